//! renew: an object is read for longer, or no longer expires; its shares are not touched.
//!
//! An expired object stays refused until its renewal is committed. One that was deleted is gone.

use crate::error::Error;
use crate::manifest::{Body, Manifest};
use crate::store::{Effects, Store};

/// What a renewal has done, or would do.
#[derive(Debug)]
pub struct RenewReport {
    /// The manifest that says so; the one given when nothing was changed.
    pub manifest: Manifest,
    /// Until when the object is read, in seconds since 1970; `None`: for ever.
    pub expires_unix_s: Option<u64>,
    /// Backends at which shares given up earlier remain until the next run.
    pub pending: Vec<String>,
}

impl Store {
    /// Lets the object be read for `ttl_s` seconds from now, or for ever.
    ///
    /// An expiry of the layer above, such as that of a consent in the extension, is not moved by this:
    /// whoever reads under one asks it as well.
    ///
    /// # Errors
    /// [`Error::KeyMissing`], [`Error::KeyMismatch`] when the object is somebody else's,
    /// [`Error::ObjectNotFound`] for a deleted object, [`Error::Locked`], [`Error::Conflict`] when
    /// `manifest` is not the newest; [`Error::InsufficientBackends`] when too few answer to say so:
    /// nothing is changed; or when the next manifest cannot be committed: the next run completes it.
    pub async fn renew(
        &self,
        manifest: &Manifest,
        ttl_s: Option<u64>,
        effects: Effects,
    ) -> Result<RenewReport, Error> {
        let _lock = self.lock_newest(manifest).await?;
        let now = self.clock.now_unix_s();
        let expires_unix_s = ttl_s.map(|ttl| now.saturating_add(ttl));
        let (manifest, pending) = match effects {
            Effects::Preview => (manifest.clone(), Vec::new()),
            Effects::Apply => {
                let content = Body {
                    expires_unix_s,
                    ..manifest.body().clone()
                };
                self.follow_with(manifest, content, None).await?
            }
        };
        Ok(RenewReport {
            manifest,
            expires_unix_s,
            pending,
        })
    }
}
