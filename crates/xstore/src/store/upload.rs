//! Storing one object, and believing it only after reading it back.

use bytes::Bytes;

use crate::backend::{BackendErrorKind, ObjectKey, Put, StorageBackend};
use crate::error::Error;
use crate::planted::{self, Bug};

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
    if planted::is(Bug::ConfirmNothing) {
        return Ok(());
    }
    let stored = backend.get_range(key, len - end_len as u64..len + 1).await;
    match stored {
        Ok(stored) if stored == end => Ok(()),
        Err(failure) if failure.kind != BackendErrorKind::NotFound => Err(failure.into()),
        Ok(_) | Err(_) => Err(Error::ShareUpload {
            backend: backend.id().to_owned(),
        }),
    }
}

/// As [`put_confirmed`], under a name that holds the hash of the bytes: anything else there is damage,
/// which a torn write leaves, and would keep the name from these bytes for ever.
pub(crate) async fn put_in_its_name(
    backend: &dyn StorageBackend,
    key: &ObjectKey,
    object: Bytes,
) -> Result<(), Error> {
    let len = object.len();
    match put_confirmed(backend, key, object.clone(), len).await {
        Err(Error::ShareUpload { .. }) => {
            backend.delete(std::slice::from_ref(key)).await?;
            put_confirmed(backend, key, object, len).await
        }
        put => put,
    }
}
