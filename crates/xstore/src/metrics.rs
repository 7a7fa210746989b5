//! `Metrics`: a wrapper that counts what passes.
//!
//! The numbers go where more people look than may know what is stored, so they hold no key, no byte
//! and no error text: only how many, how long and of which kind.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;

use crate::backend::{
    BackendError, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put, StorageBackend,
};

/// Upper bounds of the latency buckets in milliseconds, each included in its bucket; one more
/// bucket holds what took longer.
pub const LATENCY_BOUNDS_MS: [u64; 8] = [1, 4, 16, 64, 256, 1_000, 4_000, 16_000];

/// What passed through one backend so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Label of the backend.
    pub backend: String,
    /// `put_new`.
    pub put_new: Operation,
    /// `get_range`.
    pub get_range: Operation,
    /// `head`.
    pub head: Operation,
    /// `list`.
    pub list: Operation,
    /// `delete`.
    pub delete: Operation,
    /// Bytes handed to `put_new`, whether or not they were stored.
    pub written_bytes: u64,
    /// Bytes answered by `get_range`.
    pub read_bytes: u64,
}

/// What became of the calls of one method.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Operation {
    /// Calls begun.
    pub calls: u64,
    /// Failed calls by published code.
    pub errors: BTreeMap<&'static str, u64>,
    /// Calls ended, failed ones included, by how long they took: one number for each of
    /// [`LATENCY_BOUNDS_MS`] and one for what took longer. Calls that were dropped have not ended.
    pub latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
}

/// A backend whose calls are counted.
#[derive(Debug)]
pub struct Metrics<B> {
    inner: B,
    counted: Mutex<Snapshot>,
}

/// Which part of a snapshot a call belongs to.
type Part = fn(&mut Snapshot) -> &mut Operation;

impl<B: StorageBackend> Metrics<B> {
    /// Wraps `inner`; keep the wrapper in an [`Arc`](std::sync::Arc) to ask for snapshots.
    #[must_use]
    pub fn new(inner: B) -> Self {
        let counted = Snapshot {
            backend: inner.id().to_owned(),
            put_new: Operation::default(),
            get_range: Operation::default(),
            head: Operation::default(),
            list: Operation::default(),
            delete: Operation::default(),
            written_bytes: 0,
            read_bytes: 0,
        };
        Self {
            inner,
            counted: Mutex::new(counted),
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.counted().clone()
    }

    async fn counting<T>(
        &self,
        part: Part,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        part(&mut self.counted()).calls += 1;
        let begun = Instant::now();
        let answer = call.await;
        let took = begun.elapsed();
        let mut counted = self.counted();
        part(&mut counted).ended(took, answer.as_ref().err());
        drop(counted);
        answer
    }

    fn counted(&self) -> MutexGuard<'_, Snapshot> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operation {
    fn ended(&mut self, took: Duration, error: Option<&BackendError>) {
        let bucket = LATENCY_BOUNDS_MS
            .iter()
            .position(|bound| took <= Duration::from_millis(*bound));
        self.latency[bucket.unwrap_or(LATENCY_BOUNDS_MS.len())] += 1;
        if let Some(error) = error {
            *self.errors.entry(error.kind.code()).or_default() += 1;
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for Metrics<B> {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        self.counted().written_bytes += bytes.len() as u64;
        self.counting(|s| &mut s.put_new, self.inner.put_new(key, bytes))
            .await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        let call = self.inner.get_range(key, range);
        let bytes = self.counting(|s| &mut s.get_range, call).await?;
        self.counted().read_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.counting(|s| &mut s.head, self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.counting(|s| &mut s.list, self.inner.list(prefix, cursor))
            .await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        self.counting(|s| &mut s.delete, self.inner.delete(keys))
            .await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        // Not counted: it moves nothing.
        self.inner.erasure().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::backend::BackendErrorKind;
    use crate::memory::MemoryBackend;
    use crate::testing::{Fault, FaultyBackend, Plan, conformance};

    #[tokio::test(flavor = "multi_thread")]
    async fn it_conforms() {
        let backend: Arc<dyn StorageBackend> = Arc::new(Metrics::new(MemoryBackend::new("m")));
        conformance::run_all(&backend).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn every_call_is_counted_by_what_became_of_it() {
        let plan = Plan::new([
            Fault::Delay {
                calls: 0..1,
                by: Duration::from_millis(4),
            },
            Fault::FailCalls {
                calls: 2..3,
                kind: BackendErrorKind::Timeout,
            },
            Fault::Delay {
                calls: 3..4,
                by: Duration::from_secs(17),
            },
            Fault::Stall { calls: 4..5 },
        ]);
        let inner = FaultyBackend::new(MemoryBackend::new("DE"), plan);
        let backend = Metrics::new(inner);
        let key = ObjectKey::try_new("secretname").unwrap();
        let bytes = Bytes::from_static(b"0123456789");
        backend.put_new(&key, bytes).await.unwrap();
        backend.get_range(&key, 0..7).await.unwrap();
        backend.get_range(&key, 0..7).await.unwrap_err();
        backend.list("", None).await.unwrap();
        let stalled = backend.delete(std::slice::from_ref(&key));
        let stalled = tokio::time::timeout(Duration::from_secs(1), stalled).await;
        assert!(stalled.is_err());
        let counted = serde_json::to_value(backend.snapshot()).unwrap();
        let none = json!({ "calls": 0, "errors": {}, "latency": [0, 0, 0, 0, 0, 0, 0, 0, 0] });
        let expected = json!({
            "backend": "DE",
            "put_new": { "calls": 1, "errors": {}, "latency": [0, 1, 0, 0, 0, 0, 0, 0, 0] },
            "get_range": {
                "calls": 2,
                "errors": { "BACKEND_TIMEOUT": 1 },
                "latency": [2, 0, 0, 0, 0, 0, 0, 0, 0]
            },
            "head": none,
            "list": { "calls": 1, "errors": {}, "latency": [0, 0, 0, 0, 0, 0, 0, 0, 1] },
            "delete": { "calls": 1, "errors": {}, "latency": [0, 0, 0, 0, 0, 0, 0, 0, 0] },
            "written_bytes": 10,
            "read_bytes": 7
        });
        assert_eq!(counted, expected);
        let shown = format!("{counted}{:?}", backend.snapshot());
        assert!(!shown.contains("secretname") && !shown.contains("0123"));
    }
}
