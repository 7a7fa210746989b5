//! Storing one object, and believing it only after reading it back.

use bytes::Bytes;

use crate::backend::{BackendError, ObjectKey, Put, StorageBackend};
use crate::error::Error;
use crate::store::sites::require_all;

/// Creates an object and reads its end back: an acknowledgement alone proves nothing about what is
/// stored, and neither does the word that the name is taken.
pub(crate) async fn put_confirmed(
    backend: &dyn StorageBackend,
    key: &ObjectKey,
    object: Bytes,
    end_len: usize,
) -> Result<(), Error> {
    let (len, end) = (object.len() as u64, object.slice(object.len() - end_len..));
    let (Put::Created | Put::AlreadyExists) = backend.put_new(key, object).await?;
    let stored = backend
        .get_range(key, len - end_len as u64..len + 1)
        .await?;
    if stored == end {
        Ok(())
    } else {
        Err(Error::ShareUpload {
            backend: backend.id().to_owned(),
        })
    }
}

/// Success of all, or what is most worth telling of the failures.
pub(crate) fn all_stored(results: Vec<Result<(), Error>>) -> Result<(), Error> {
    let asked = results.len();
    let mut failures: Vec<BackendError> = Vec::new();
    for result in results {
        match result {
            Ok(()) => {}
            Err(Error::Backend(failure)) => failures.push(failure),
            Err(other) => return Err(other),
        }
    }
    require_all(asked, failures)
}
