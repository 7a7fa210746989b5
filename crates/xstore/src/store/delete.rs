//! delete: a last manifest says so, then the shares go.
//!
//! Order of effects: the intent; the deletion manifest in the journal; its copies on W (from here
//! no reader finds the object); the shares, at every backend. A backend that does not answer keeps
//! the journal entry open, and the next run goes on with it. The deletion manifest stays, so that
//! an old copy never brings the object back.

use futures_util::future::join_all;

use crate::backend::{Erasure, StorageBackend as _};
use crate::error::Error;
use crate::manifest::{Body, Manifest, STATE_DELETED};
use crate::store::{Attached, Store};

/// What a deletion has done.
#[derive(Debug)]
pub struct DeleteReport {
    /// The deletion manifest.
    pub manifest: Manifest,
    /// Backends at which shares remain until the next run.
    pub pending: Vec<String>,
}

impl Store {
    /// Those of `labels` where nobody can say that deleted bytes are gone, each with the reason; ask
    /// after a deletion, whose answers may have told.
    pub async fn erasure_doubts(&self, labels: &[&str]) -> Vec<(String, &'static str)> {
        let named = |site: &&Attached| labels.contains(&site.backend.id());
        let sites = self.backends.iter().filter(named);
        let doubts = join_all(sites.map(async |site| {
            let told = site.backend.erasure().await;
            let doubt = told.map_or(Some("it did not say"), Erasure::doubt);
            Some((site.backend.id().to_owned(), doubt?))
        }));
        doubts.await.into_iter().flatten().collect()
    }

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
