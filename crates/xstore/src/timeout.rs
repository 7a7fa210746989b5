//! `Timeout`: a wrapper that ends a call which takes longer than its bytes explain.
//!
//! A backend that accepts and never answers would hold the whole operation for ever. The time
//! grows with the bytes, so that a slow line is no failure; it ends the wait and not the work, so
//! after it a put may have happened, as the contract of [`StorageBackend`] says of every error.

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::backend::{
    BackendError, BackendErrorKind, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put,
    StorageBackend,
};
use crate::rate::Rate;

/// Slower than this is as good as no answer: 256 KiB a second.
const LEAST_RATE: Rate = Rate::try_new(256 << 10).unwrap();

/// No object is much longer than a segment of 16 MiB: a range with an open end counts as this many
/// bytes, or its time would never be over.
const LEN_BYTES_MAX: u64 = 64 << 20;

/// A deletion of many keys is one request for each of them at some providers; a key counts as this
/// many bytes.
const KEY_COST_BYTES: u64 = 64 << 10;

/// How long a call may take: the floor, and the time of its bytes at the least rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutOptions {
    /// Time of a call without bytes; 30 s by default.
    pub floor: Duration,
    /// Slowest transfer that is waited for; 256 KiB a second by default.
    pub least_rate: Rate,
}

impl Default for TimeoutOptions {
    fn default() -> Self {
        Self {
            floor: Duration::from_secs(30),
            least_rate: LEAST_RATE,
        }
    }
}

/// A backend that answers in time, if only with [`BackendErrorKind::Timeout`].
#[derive(Debug)]
pub struct Timeout<B> {
    inner: B,
    options: TimeoutOptions,
}

impl<B: StorageBackend> Timeout<B> {
    /// Wraps `inner`.
    #[must_use]
    pub const fn new(inner: B, options: TimeoutOptions) -> Self {
        Self { inner, options }
    }

    async fn within<T>(
        &self,
        len_bytes: u64,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let transfer = self
            .options
            .least_rate
            .time_for(len_bytes.min(LEN_BYTES_MAX));
        let limit = self.options.floor.saturating_add(transfer);
        let answer = tokio::time::timeout(limit, call).await;
        answer.unwrap_or_else(|_| {
            let cause = format!("nothing came in {:.1} s", limit.as_secs_f64());
            Err(BackendError::with_source(
                BackendErrorKind::Timeout,
                self.inner.id(),
                cause,
            ))
        })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for Timeout<B> {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        let len_bytes = bytes.len() as u64;
        self.within(len_bytes, self.inner.put_new(key, bytes)).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        let len_bytes = range.end.saturating_sub(range.start);
        self.within(len_bytes, self.inner.get_range(key, range))
            .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.within(0, self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.within(0, self.inner.list(prefix, cursor)).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        let len_bytes = KEY_COST_BYTES.saturating_mul(keys.len() as u64);
        self.within(len_bytes, self.inner.delete(keys)).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        self.within(0, self.inner.erasure()).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::memory::MemoryBackend;
    use crate::testing::{Fault, FaultyBackend, Plan, conformance};

    fn key() -> ObjectKey {
        ObjectKey::try_new("a").unwrap()
    }

    fn over(faults: impl Into<Vec<Fault>>) -> Timeout<FaultyBackend<MemoryBackend>> {
        let inner = FaultyBackend::new(MemoryBackend::new("m"), Plan::new(faults));
        Timeout::new(inner, TimeoutOptions::default())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_conforms() {
        let backend: Arc<dyn StorageBackend> = Arc::new(over([]));
        conformance::run_all(&backend).await.unwrap();
    }

    /// How long a call takes that must end as a time-out.
    async fn until_timeout<T: std::fmt::Debug>(
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Duration {
        let begun = Instant::now();
        assert_eq!(call.await.unwrap_err().kind, BackendErrorKind::Timeout);
        // The timer of the runtime counts whole milliseconds.
        Duration::from_secs(begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_backend_ends_in_the_time_of_its_bytes() {
        let backend = over([Fault::Stall { calls: 0..u64::MAX }]);
        let (key, s) = (key(), Duration::from_secs);
        let two_mib = Bytes::from(vec![0; 2 << 20]);
        assert_eq!(until_timeout(backend.put_new(&key, two_mib)).await, s(38));
        let mib = backend.get_range(&key, 5..(1 << 20) + 5);
        assert_eq!(until_timeout(mib).await, s(34));
        let open = backend.get_range(&key, 0..u64::MAX);
        assert_eq!(until_timeout(open).await, s(286));
        assert_eq!(until_timeout(backend.head(&key)).await, s(30));
        assert_eq!(until_timeout(backend.list("", None)).await, s(30));
        let keys = vec![key; 40];
        assert_eq!(until_timeout(backend.delete(&keys)).await, s(40));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_an_answer() {
        let backend = over([Fault::Delay {
            calls: 0..1,
            by: Duration::from_secs(29),
        }]);
        let put = backend.put_new(&key(), Bytes::from_static(b"late")).await;
        assert_eq!(put.unwrap(), Put::Created);
    }
}
