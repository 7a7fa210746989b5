//! repair: lost shares are recomputed, for as long as the consent holds.
//!
//! Whoever repairs has k shares in memory, and so has the rights of one who reads: the
//! [`Authorization`] is the same, and is used up here.

use xstore::{Manifest, RepairOptions, RepairReport, Store};

use crate::authorize::Authorization;
use crate::error::Error;
use crate::retrieve::{Now, guard};

/// Recomputes what is lost of the file that `manifest` describes, and writes it to its own place.
/// A guard in `options` is replaced by the authorisation.
///
/// # Errors
/// [`Error::Refused`] when the authorisation is for another use or object, or no longer holds;
/// otherwise as [`Store::repair`].
pub async fn repair(
    store: &Store,
    authorization: Authorization,
    manifest: &Manifest,
    now: Now,
    mut options: RepairOptions,
) -> Result<RepairReport, Error> {
    options.guard = Some(guard(store, authorization, manifest, now)?);
    Ok(store.repair(manifest, &options).await?)
}
