//! Listings of a backend, to the end, whatever it answers.

use crate::backend::{BackendError, BackendErrorKind, ObjectKey, StorageBackend};

/// Calls `each` with every key that starts with `prefix`, page by page.
///
/// A backend is not trusted to end: a page that does not go beyond the one before is an error.
pub(crate) async fn for_each_page(
    backend: &dyn StorageBackend,
    prefix: &str,
    mut each: impl FnMut(Vec<ObjectKey>),
) -> Result<(), BackendError> {
    let mut cursor: Option<String> = None;
    loop {
        let page = backend.list(prefix, cursor.as_deref()).await?;
        each(page.keys);
        match (page.next, &cursor) {
            (None, _) => return Ok(()),
            (Some(next), Some(last)) if next <= *last => return Err(endless(backend)),
            (next, _) => cursor = next,
        }
    }
}

/// Deletes everything that starts with `prefix`.
pub(crate) async fn delete_all(
    backend: &dyn StorageBackend,
    prefix: &str,
) -> Result<(), BackendError> {
    let mut before = Vec::new();
    loop {
        // Always the first page: what it named is gone when the next is asked for.
        let page = backend.list(prefix, None).await?;
        if page.keys.is_empty() {
            return Ok(());
        }
        if page.keys == before {
            // It says deleted and shows it still: a lock, or a backend that does not delete.
            return Err(endless(backend));
        }
        backend.delete(&page.keys).await?;
        before = page.keys;
    }
}

fn endless(backend: &dyn StorageBackend) -> BackendError {
    let cause = "the listing does not change or end";
    BackendError::with_source(BackendErrorKind::Unavailable, backend.id(), cause)
}
