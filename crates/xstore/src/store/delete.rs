//! delete: a last manifest says so, then the shares go.
//!
//! Order of effects: the intent; the deletion manifest in the journal; its copies on W (from here
//! no reader finds the object); the shares, at every backend. A backend that does not answer keeps
//! the journal entry open, and the next run goes on with it. The deletion manifest stays, so that
//! an old copy never brings the object back.

use crate::error::Error;
use crate::journal::{Intent, Place};
use crate::manifest::{Body, Manifest, STATE_DELETED};
use crate::store::Store;
use crate::store::put::next_version;

/// What a deletion has done.
#[derive(Debug)]
pub struct DeleteReport {
    /// The deletion manifest.
    pub manifest: Manifest,
    /// Backends at which shares remain until the next run.
    pub pending: Vec<String>,
}

impl Store {
    /// Deletes the object that `manifest` describes, which is the newest of this owner.
    ///
    /// A deletion is not an erasure: a backend may keep versions or copies of what it was told to
    /// delete.
    ///
    /// # Errors
    /// [`Error::KeyMissing`] without the owner's keys, [`Error::KeyMismatch`] when the object is
    /// somebody else's, [`Error::Locked`] while another operation works on it, [`Error::Conflict`]
    /// when `manifest` is not the newest; [`Error::InsufficientBackends`] when the deletion manifest
    /// cannot be committed: the next run completes it.
    pub async fn delete(&self, manifest: &Manifest) -> Result<DeleteReport, Error> {
        let keys = self.keys()?;
        let old = manifest.body();
        let _lock = self.lock_newest(manifest).await?;
        let body = Body {
            version: next_version(manifest)?,
            previous: Some(manifest.hash()),
            state: STATE_DELETED,
            device: self.device,
            created_unix_s: self.clock.now_unix_s(),
            extension: None,
            ..old.clone()
        };
        let sites = self.sites(old.store_tag).await.known;
        let mut entry = self.begin(intent(&body))?;
        let deletion = Manifest::seal(body, keys)?;
        if let Some(entry) = &mut entry {
            entry.reach_manifest(deletion.envelope())?;
        }
        self.commit(&deletion, None, &sites).await?;
        self.remember(&deletion, None)?;
        if let Some(entry) = &mut entry {
            entry.reach_commit()?;
        }
        let pending = self.finish(&deletion, entry).await?;
        Ok(DeleteReport {
            manifest: deletion,
            pending,
        })
    }
}

fn intent(body: &Body) -> Intent {
    let places = body.stored().map(|(_, at)| Place::of(at));
    Intent {
        object_id: body.object_id,
        put_id: body.put_id,
        store_tag: body.store_tag,
        k: body.k,
        places: places.collect(),
        deals: false,
        note: None,
        former: None,
    }
}
