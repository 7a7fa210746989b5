//! Listings of a backend, to the end, whatever it answers.

use crate::backend::{BackendError, BackendErrorKind, ObjectKey, StorageBackend};

/// Keys that are deleted with one call.
const KEYS_AT_ONCE: usize = 1000;

/// No listing of ours has more pages: a hundred million keys at a thousand a page.
const MAX_PAGES: usize = 100_000;

/// A listing of one backend, page by page.
///
/// A backend is not trusted to end or to keep to the prefix: keys that do not ascend from page to
/// page, that belong elsewhere, or a listing without end are an error.
pub(crate) struct Pages<'a> {
    backend: &'a dyn StorageBackend,
    prefix: &'a str,
    cursor: Option<String>,
    last: Option<ObjectKey>,
    pages: usize,
    ended: bool,
}

impl<'a> Pages<'a> {
    /// Everything that starts with `prefix`.
    pub(crate) const fn new(backend: &'a dyn StorageBackend, prefix: &'a str) -> Self {
        Self {
            backend,
            prefix,
            cursor: None,
            last: None,
            pages: 0,
            ended: false,
        }
    }

    /// The next keys; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<ObjectKey>>, BackendError> {
        if self.ended {
            return Ok(None);
        }
        let cursor = self.cursor.as_deref();
        let page = self.backend.list(self.prefix, cursor).await?;
        let ascends = page.keys.is_empty()
            || (page.keys.first() > self.last.as_ref() && page.keys.is_sorted());
        let mut keys = page.keys.iter();
        let belongs = keys.all(|key| key.as_str().starts_with(self.prefix));
        self.pages += 1;
        if !ascends || !belongs || self.pages > MAX_PAGES {
            return Err(incredible(self.backend));
        }
        if let Some(last) = page.keys.last() {
            self.last = Some(last.clone());
        }
        self.ended = page.next.is_none();
        if !self.ended && page.next <= self.cursor {
            return Err(incredible(self.backend));
        }
        self.cursor = page.next;
        Ok(Some(page.keys))
    }
}

/// Calls `each` with every key that starts with `prefix`, page by page.
pub(crate) async fn for_each_page(
    backend: &dyn StorageBackend,
    prefix: &str,
    mut each: impl FnMut(Vec<ObjectKey>),
) -> Result<(), BackendError> {
    let mut pages = Pages::new(backend, prefix);
    while let Some(keys) = pages.next().await? {
        each(keys);
    }
    Ok(())
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
