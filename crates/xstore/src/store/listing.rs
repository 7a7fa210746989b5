//! Listings of a backend, to the end, whatever it answers.

use crate::backend::{BackendError, BackendErrorKind, ObjectKey, StorageBackend};

/// Keys that are deleted with one call.
const KEYS_AT_ONCE: usize = 1000;

/// No listing of ours has more pages: a hundred million keys at a thousand a page.
const MAX_PAGES: usize = 100_000;

/// Calls `each` with every key that starts with `prefix`, page by page.
///
/// A backend is not trusted to end or to keep to the prefix: keys that do not ascend from page to
/// page, that belong elsewhere, or a listing without end are an error.
pub(crate) async fn for_each_page(
    backend: &dyn StorageBackend,
    prefix: &str,
    mut each: impl FnMut(Vec<ObjectKey>),
) -> Result<(), BackendError> {
    let (mut cursor, mut last): (Option<String>, Option<ObjectKey>) = (None, None);
    for _ in 0..MAX_PAGES {
        let page = backend.list(prefix, cursor.as_deref()).await?;
        let ascends =
            page.keys.is_empty() || (page.keys.first() > last.as_ref() && page.keys.is_sorted());
        let belongs = page.keys.iter().all(|key| key.as_str().starts_with(prefix));
        if !ascends || !belongs {
            return Err(incredible(backend));
        }
        last = page.keys.last().cloned().or(last);
        each(page.keys);
        match page.next {
            None => return Ok(()),
            next if next > cursor => cursor = next,
            _ => return Err(incredible(backend)),
        }
    }
    Err(incredible(backend))
}

/// Deletes everything that starts with `prefix`.
pub(crate) async fn delete_all(
    backend: &dyn StorageBackend,
    prefix: &str,
) -> Result<(), BackendError> {
    let mut keys = Vec::new();
    for_each_page(backend, prefix, |page| keys.extend(page)).await?;
    delete_keys(backend, &keys).await?;
    // An acknowledged deletion proves nothing: a lock, or a backend that keeps what it has.
    let left = backend.list(prefix, None).await?;
    if left.keys.is_empty() {
        Ok(())
    } else {
        Err(incredible(backend))
    }
}

/// Deletes objects by name.
pub(crate) async fn delete_keys(
    backend: &dyn StorageBackend,
    keys: &[ObjectKey],
) -> Result<(), BackendError> {
    for some in keys.chunks(KEYS_AT_ONCE) {
        backend.delete(some).await?;
    }
    Ok(())
}

fn incredible(backend: &dyn StorageBackend) -> BackendError {
    let cause = "its listing cannot be true, or deleted objects are still there";
    BackendError::with_source(BackendErrorKind::Unavailable, backend.id(), cause)
}
