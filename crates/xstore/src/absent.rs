//! A stand-in for a backend that cannot be opened: every call fails as opening it did.
//!
//! A store names its backends by their place in a list. One that was left out would give its place to
//! the next, so that shares and labels went astray; this one keeps the place and holds nothing.

use std::error::Error as StdError;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::backend::{
    BackendError, BackendErrorKind, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put,
    StorageBackend,
};

/// A backend that answers every call with one error.
#[derive(Debug)]
pub struct Absent {
    label: String,
    kind: BackendErrorKind,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Absent {
    /// In the place of the backend that `failure` names.
    #[must_use]
    pub fn new(failure: BackendError) -> Self {
        Self {
            label: failure.backend,
            kind: failure.kind,
            cause: failure.source.map(Arc::from),
        }
    }

    fn failure(&self) -> BackendError {
        match &self.cause {
            Some(cause) => BackendError::with_source(self.kind, &self.label, Arc::clone(cause)),
            None => BackendError::new(self.kind, &self.label),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageBackend for Absent {
    fn id(&self) -> &str {
        &self.label
    }

    /// What nothing was ever stored at promises nothing.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(false, false)
    }

    async fn put_new(&self, _: &ObjectKey, _: Bytes) -> Result<Put, BackendError> {
        Err(self.failure())
    }

    async fn get_range(&self, _: &ObjectKey, _: Range<u64>) -> Result<Bytes, BackendError> {
        Err(self.failure())
    }

    async fn head(&self, _: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        Err(self.failure())
    }

    async fn list(&self, _: &str, _: Option<&str>) -> Result<ListPage, BackendError> {
        Err(self.failure())
    }

    async fn delete(&self, _: &[ObjectKey]) -> Result<(), BackendError> {
        Err(self.failure())
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        Err(self.failure())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_call_fails_as_opening_did() {
        let cause = std::io::Error::other("not mounted");
        let kind = BackendErrorKind::AuthFailed;
        let absent = Absent::new(BackendError::with_source(kind, "DE", cause));
        assert_eq!(absent.id(), "DE");
        let key = ObjectKey::try_new("a").unwrap();
        let failures = [
            absent.put_new(&key, Bytes::new()).await.err(),
            absent.get_range(&key, 0..1).await.err(),
            absent.head(&key).await.err(),
            absent.list("", None).await.err(),
            absent.delete(&[key]).await.err(),
        ];
        for failure in failures {
            let failure = failure.unwrap();
            assert_eq!((failure.kind, failure.backend.as_str()), (kind, "DE"));
            assert_eq!(failure.source.unwrap().to_string(), "not mounted");
        }
    }
}
