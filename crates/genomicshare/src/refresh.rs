//! refresh: a file is dealt anew among the same sites, for as long as the consent holds.
//!
//! Whoever refreshes reads the whole file, so the [`Authorization`] is that of a retrieval, and is used
//! up here. Consent and sites stay as the manifest has them: the store gives no share to another site.

use xstore::{Manifest, RefreshOptions, RefreshReport, Store};

use crate::authorize::Authorization;
use crate::error::Error;
use crate::retrieve::{Now, guard};

/// Deals the file that `manifest` describes again. A guard in `options` is replaced by the
/// authorisation.
///
/// # Errors
/// [`Error::Refused`] when the authorisation is for another use or object, or no longer holds;
/// otherwise as [`Store::refresh`].
pub async fn refresh(
    store: &Store,
    authorization: Authorization,
    manifest: &Manifest,
    now: Now,
    mut options: RefreshOptions,
) -> Result<RefreshReport, Error> {
    options.guard = Some(guard(store, authorization, manifest, now)?);
    Ok(store.refresh(manifest, &options).await?)
}
