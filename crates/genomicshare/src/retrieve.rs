//! retrieve: shares become the file again, for as long as the consent holds.
//!
//! The [`Authorization`] is used up here. It is checked and extended before every release of bytes
//! and once more at the end, so a consent that ends while a large file streams stops the stream,
//! and the file never gets its final name.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::io::AsyncWrite;
use xstore::progress::Observer;
use xstore::{GetOptions, GetReport, Guard, Manifest, SalvageReport, Store};

use crate::authorize::{Authorization, Use};
use crate::error::Error;

/// Tells the time; a clock is an argument, so that tests can let consents end.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Restores the file that `manifest` describes into `output`.
///
/// # Errors
/// [`Error::Refused`] when the authorisation is for another use or object, or no longer holds;
/// otherwise as [`Store::get`].
pub async fn retrieve(
    store: &Store,
    authorization: Authorization,
    manifest: &Manifest,
    output: &mut (dyn AsyncWrite + Unpin + Send),
    now: Now,
    observer: Option<Arc<dyn Observer>>,
) -> Result<GetReport, Error> {
    let options = options(store, authorization, manifest, now, observer)?;
    Ok(store.get(manifest, output, &options).await?)
}

/// Restores what is good of the file that `manifest` describes into `output`, and lists what is lost.
///
/// # Errors
/// As [`retrieve`], but for missing shares; see [`Store::salvage`].
pub async fn salvage(
    store: &Store,
    authorization: Authorization,
    manifest: &Manifest,
    output: &mut (dyn AsyncWrite + Unpin + Send),
    now: Now,
    observer: Option<Arc<dyn Observer>>,
) -> Result<SalvageReport, Error> {
    let options = options(store, authorization, manifest, now, observer)?;
    Ok(store.salvage(manifest, output, &options).await?)
}

fn options(
    store: &Store,
    authorization: Authorization,
    manifest: &Manifest,
    now: Now,
    observer: Option<Arc<dyn Observer>>,
) -> Result<GetOptions, Error> {
    let mut options = GetOptions::default();
    options.observer = observer;
    options.guard = Some(guard(store, authorization, manifest, now)?);
    Ok(options)
}

/// What the store asks for as long as it reads: whether `authorization`, which is for reading the
/// object of `manifest`, still holds.
pub(crate) fn guard(
    store: &Store,
    authorization: Authorization,
    manifest: &Manifest,
    now: Now,
) -> Result<Arc<Guard>, Error> {
    authorization.still_valid(now())?;
    let Use::Retrieve { from } = authorization.usage() else {
        return Err(Error::wrong_use(
            "this authorisation is not for a retrieval",
        ));
    };
    let asked = |label: &str| from.iter().any(|code| code.as_str() == label);
    let holds = |label: &str| {
        let mut stored = manifest.body().stored();
        stored.any(|(_, at)| at.label == label)
    };
    if store.labels().any(|label| holds(label) && !asked(label)) {
        return Err(Error::wrong_use(
            "this authorisation is for fewer jurisdictions",
        ));
    }
    if authorization.object_id() != Some(&manifest.body().object_id.0) {
        return Err(Error::wrong_use("this authorisation is for another object"));
    }
    let authorization = Mutex::new(authorization);
    Ok(Arc::new(move || {
        let mut authorization = authorization.lock().unwrap_or_else(PoisonError::into_inner);
        authorization.renew(now()).map_err(Into::into)
    }))
}
