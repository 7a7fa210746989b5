//! delete: a last manifest says so, then the shares go.
//!
//! Order of effects: the intent; the deletion manifest in the journal; its copies on W (from here
//! no reader finds the object); the shares, at every backend. A backend that does not answer keeps
//! the journal entry open, and the next run goes on with it. The deletion manifest stays, so that
//! an old copy never brings the object back.

use crate::error::Error;
use crate::manifest::{Body, Manifest, STATE_DELETED};
use crate::store::Store;

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
        let _lock = self.lock_newest(manifest).await?;
        let content = Body {
            state: STATE_DELETED,
            extension: None,
            ..manifest.body().clone()
        };
        let (deletion, pending) = self.follow_with(manifest, content, None).await?;
        Ok(DeleteReport {
            manifest: deletion,
            pending,
        })
    }
}
