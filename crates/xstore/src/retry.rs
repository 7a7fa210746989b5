//! `Retry`: a wrapper that asks again when the way to a backend failed.
//!
//! Every call of a backend may be repeated: names are written once and deletions count what is gone
//! as deleted. What may not be repeated is the load on a backend that is already ill, so retries
//! come out of a budget that ordinary requests fill, after waits that grow and that chance spreads.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::backend::{
    BackendError, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put, StorageBackend,
};
use crate::budget::{Allowance, Budget};
use crate::entropy::{Entropy, jitter};

/// A tenth of the requests, and enough at the start for a short run to get over a bad moment.
const ALLOWANCE: Allowance = Allowance {
    percent: 10,
    reserve: 10,
};

/// How often and how patiently a call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryOptions {
    /// Retries of one call at most; 3 by default, 0 for none.
    pub retries: u32,
    /// Longest wait before the first retry, doubled for each further one; 100 ms by default. The
    /// wait is uniform from 0 to this bound ("full jitter").
    pub first_backoff: Duration,
    /// Bound that doubling ends at; 10 s by default.
    pub longest_backoff: Duration,
    /// Longest wait that a backend may ask for; 60 s by default. When it asks for more, the error
    /// goes to the caller at once.
    pub longest_wait: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            retries: 3,
            first_backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(10),
            longest_wait: Duration::from_secs(60),
        }
    }
}

/// A backend whose transport failures are tried again.
#[derive(Debug)]
pub struct Retry<B> {
    inner: B,
    options: RetryOptions,
    budget: Budget,
    entropy: Arc<dyn Entropy>,
}

impl<B: StorageBackend> Retry<B> {
    /// Wraps `inner`; `entropy` spreads the waits.
    #[must_use]
    pub fn new(inner: B, options: RetryOptions, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            inner,
            options,
            budget: Budget::new(ALLOWANCE),
            entropy,
        }
    }

    async fn retried<T, F>(&self, call: impl Fn() -> F) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        self.budget.earn();
        let mut retries = 0;
        loop {
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(wait) = self.wait_before_retry(&error, retries) else {
                return Err(error);
            };
            tokio::time::sleep(wait).await;
            retries += 1;
        }
    }

    /// `None` when the error goes to the caller.
    fn wait_before_retry(&self, error: &BackendError, retries: u32) -> Option<Duration> {
        let asked = error.retry_after.unwrap_or_default();
        let again = error.kind.is_transport()
            && retries < self.options.retries
            && asked <= self.options.longest_wait
            && self.budget.spend();
        let doubled = 2_u32.saturating_pow(retries);
        let backoff = self.options.first_backoff.saturating_mul(doubled);
        let bound = backoff.min(self.options.longest_backoff);
        again.then(|| asked + jitter(&*self.entropy, bound))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for Retry<B> {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        self.retried(|| self.inner.put_new(key, bytes.clone()))
            .await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.retried(|| self.inner.get_range(key, range.clone()))
            .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.retried(|| self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.retried(|| self.inner.list(prefix, cursor)).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        self.retried(|| self.inner.delete(keys)).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        self.retried(|| self.inner.erasure()).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::backend::BackendErrorKind;
    use crate::entropy::{EntropyFailed, OsEntropy};
    use crate::memory::MemoryBackend;
    use crate::testing::{Fault, FaultyBackend, Plan, conformance};

    /// Always draws the longest wait.
    #[derive(Debug)]
    struct AllOnes;

    impl Entropy for AllOnes {
        fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
            out.fill(0xff);
            Ok(())
        }
    }

    fn over(
        faults: impl Into<Vec<Fault>>,
        entropy: Arc<dyn Entropy>,
    ) -> (Retry<FaultyBackend<MemoryBackend>>, Plan) {
        let plan = Plan::new(faults);
        let inner = FaultyBackend::new(MemoryBackend::new("m"), plan.clone());
        (Retry::new(inner, RetryOptions::default(), entropy), plan)
    }

    fn failing(calls: Range<u64>, kind: BackendErrorKind) -> Fault {
        Fault::FailCalls { calls, kind }
    }

    fn key() -> ObjectKey {
        ObjectKey::try_new("a").unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_conforms() {
        let (backend, _) = over([], Arc::new(OsEntropy));
        let backend: Arc<dyn StorageBackend> = Arc::new(backend);
        conformance::run_all(&backend).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn transport_failures_are_tried_again_after_growing_waits() {
        for kind in [
            BackendErrorKind::Unavailable,
            BackendErrorKind::Timeout,
            BackendErrorKind::RateLimited,
        ] {
            let (backend, plan) = over([failing(0..3, kind)], Arc::new(AllOnes));
            let begun = Instant::now();
            let put = backend.put_new(&key(), Bytes::from_static(b"bytes")).await;
            assert_eq!(put.unwrap(), Put::Created);
            assert_eq!(begun.elapsed(), Duration::from_millis(100 + 200 + 400));
            assert_eq!(plan.counts().calls, 4);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_error_is_given_back() {
        let lasting = failing(0..u64::MAX, BackendErrorKind::Timeout);
        let (backend, plan) = over([lasting], Arc::new(AllOnes));
        let error = backend.head(&key()).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Timeout);
        assert_eq!(plan.counts().calls, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_not_asked_for_again() {
        for kind in [
            BackendErrorKind::NotFound,
            BackendErrorKind::AuthFailed,
            BackendErrorKind::QuotaExceeded,
        ] {
            let (backend, plan) = over([failing(0..1, kind)], Arc::new(AllOnes));
            let error = backend.list("", None).await.unwrap_err();
            assert_eq!((error.kind, plan.counts().calls), (kind, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_put_whose_answer_was_lost_ends_as_taken() {
        let lost = Fault::LoseAnswers {
            effects: 0..1,
            kind: BackendErrorKind::Timeout,
        };
        let (backend, _) = over([lost], Arc::new(OsEntropy));
        let put = backend.put_new(&key(), Bytes::from_static(b"bytes")).await;
        assert_eq!(put.unwrap(), Put::AlreadyExists);
        assert_eq!(backend.get_range(&key(), 0..9).await.unwrap(), "bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn chance_spreads_the_waits() {
        let mut waits = std::collections::BTreeSet::new();
        for _ in 0..20 {
            let once = failing(0..1, BackendErrorKind::Unavailable);
            let (backend, _) = over([once], Arc::new(OsEntropy));
            let begun = Instant::now();
            assert!(backend.list("", None).await.is_ok());
            let wait = begun.elapsed();
            assert!(wait <= Duration::from_millis(101), "{wait:?}");
            waits.insert(wait.as_millis());
        }
        assert!(waits.len() > 2, "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_that_is_asked_for_is_kept() {
        let ask = |seconds| Fault::SlowDown {
            calls: 0..1,
            retry_after: Duration::from_secs(seconds),
        };
        let (backend, plan) = over([ask(60)], Arc::new(AllOnes));
        let begun = Instant::now();
        assert!(backend.list("", None).await.is_ok());
        assert_eq!(begun.elapsed(), Duration::from_millis(60_100));
        plan.set([ask(61)]);
        let error = backend.list("", None).await.unwrap_err();
        assert!(error.to_string().contains("61.0 s"), "{error}");
        assert_eq!(begun.elapsed(), Duration::from_millis(60_100));
        assert_eq!(plan.counts().calls, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sick_backend_gets_little_more_than_it_would_without_retries() {
        let lasting = failing(0..u64::MAX, BackendErrorKind::Unavailable);
        let (backend, plan) = over([lasting], Arc::new(OsEntropy));
        for _ in 0..1000 {
            assert!(backend.head(&key()).await.is_err());
        }
        let extra = plan.counts().calls - 1000;
        assert!((100..=110).contains(&extra), "{extra} retries");
    }

    #[tokio::test(start_paused = true)]
    async fn none_are_made_when_none_are_wanted() {
        let (mut backend, plan) = over(
            [failing(0..1, BackendErrorKind::Timeout)],
            Arc::new(AllOnes),
        );
        backend.options.retries = 0;
        assert!(backend.head(&key()).await.is_err());
        assert_eq!(plan.counts().calls, 1);
    }
}
