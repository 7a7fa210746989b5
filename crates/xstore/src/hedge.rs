//! `Hedge`: a wrapper that asks a second time when an answer is later than usual.
//!
//! The slowest of many reads decides how long the whole takes, and most late answers are late by
//! accident: the same request made again is answered at once. After the time in which this backend
//! answers 95 % of its requests, such a second request costs little and cuts off the tail (Dean and
//! Barroso, "The Tail at Scale", CACM 56(2), 2013). Writes are never doubled.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, select};
use tokio::time::Instant;

use crate::backend::{
    BackendError, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put, StorageBackend,
};
use crate::budget::{Allowance, Budget};
use crate::latency::Latency;

/// What is usual as long as nothing is known.
const DELAY_WITHOUT_HISTORY: Duration = Duration::from_millis(1500);

/// One request in twenty is beyond the p95 of a healthy backend; a sick one is not asked twice.
const ALLOWANCE: Allowance = Allowance {
    percent: 5,
    reserve: 3,
};

/// A backend whose late reads are asked for twice.
#[derive(Debug)]
pub struct Hedge<B> {
    inner: B,
    latency: Latency,
    budget: Budget,
}

impl<B: StorageBackend> Hedge<B> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: B) -> Self {
        Self {
            inner,
            latency: Latency::default(),
            budget: Budget::new(ALLOWANCE),
        }
    }

    /// The first answer to a request that is made once or twice; what comes later is dropped.
    async fn hedged<T, F>(&self, request: impl Fn() -> F) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        self.budget.earn();
        let delay = self.latency.p95().unwrap_or(DELAY_WITHOUT_HISTORY);
        let mut first = pin!(self.timed(request()));
        if let Ok(answer) = tokio::time::timeout(delay, &mut first).await {
            return answer;
        }
        if !self.budget.spend() {
            return first.await;
        }
        let second = pin!(self.timed(request()));
        match select(first, second).await {
            Either::Left((answer, other)) | Either::Right((answer, other)) => {
                // A failed way is no answer, and the other request may have gone another.
                if is_answer(&answer) {
                    answer
                } else {
                    other.await
                }
            }
        }
    }

    async fn timed<T>(
        &self,
        request: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let begun = Instant::now();
        let answer = request.await;
        if is_answer(&answer) {
            self.latency.record(begun.elapsed());
        }
        answer
    }
}

fn is_answer<T>(answer: &Result<T, BackendError>) -> bool {
    !answer
        .as_ref()
        .is_err_and(|error| error.kind.is_transport())
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for Hedge<B> {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        self.inner.put_new(key, bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.hedged(|| self.inner.get_range(key, range.clone()))
            .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.hedged(|| self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.inner.list(prefix, cursor).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        self.inner.delete(keys).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        self.inner.erasure().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::BackendErrorKind;
    use crate::memory::MemoryBackend;
    use crate::testing::{Fault, FaultyBackend, Plan, conformance};

    struct Trial {
        backend: Hedge<FaultyBackend<MemoryBackend>>,
        plan: Plan,
    }

    impl Trial {
        fn new(faults: impl Into<Vec<Fault>>) -> Self {
            let inner = MemoryBackend::new("m");
            inner.replace(&key(), "bytes");
            let plan = Plan::new(faults);
            let backend = Hedge::new(FaultyBackend::new(inner, plan.clone()));
            Self { backend, plan }
        }

        /// Answers so many reads after `by` each, then follows `faults`.
        async fn with_history(count: u64, by: Duration, faults: impl Into<Vec<Fault>>) -> Self {
            let trial = Self::new([delay(0..u64::MAX, by)]);
            for _ in 0..count {
                trial.read().await.unwrap();
            }
            trial.plan.set(faults);
            trial
        }

        /// How long a read takes.
        async fn read(&self) -> Result<Duration, BackendErrorKind> {
            let begun = Instant::now();
            let answer = self.backend.get_range(&key(), 0..9).await;
            assert_eq!(answer.map_err(|error| error.kind)?, "bytes");
            Ok(begun.elapsed())
        }
    }

    fn key() -> ObjectKey {
        ObjectKey::try_new("a").unwrap()
    }

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    const fn delay(calls: Range<u64>, by: Duration) -> Fault {
        Fault::Delay { calls, by }
    }

    const fn stall(calls: Range<u64>) -> Fault {
        Fault::Stall { calls }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_conforms() {
        let backend: Arc<dyn StorageBackend> = Arc::new(Hedge::new(MemoryBackend::new("m")));
        conformance::run_all(&backend).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_history_a_second_request_leaves_after_a_second_and_a_half() {
        let trial = Trial::new([stall(0..1)]);
        assert_eq!(trial.read().await, Ok(ms(1500)));
        assert_eq!(trial.plan.counts().calls, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn with_history_it_leaves_after_the_p95_of_this_backend() {
        let trial = Trial::with_history(64, ms(40), [stall(0..1), delay(1..2, ms(30))]).await;
        assert_eq!(trial.read().await, Ok(ms(70)));
        assert_eq!(trial.plan.counts().calls, 2);
        let quick = Trial::with_history(64, ms(40), [delay(0..1, ms(39))]).await;
        assert_eq!(quick.read().await, Ok(ms(39)));
        assert_eq!(quick.plan.counts().calls, 1, "in time");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_may_still_win() {
        let faults = [delay(0..1, ms(60)), stall(1..2)];
        let trial = Trial::with_history(64, ms(40), faults).await;
        assert_eq!(trial.read().await, Ok(ms(60)));
        assert_eq!(trial.plan.counts().calls, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_way_does_not_win() {
        let unavailable = Fault::FailCalls {
            calls: 1..2,
            kind: BackendErrorKind::Unavailable,
        };
        let faults = [delay(0..1, ms(60)), unavailable];
        let trial = Trial::with_history(64, ms(40), faults).await;
        assert_eq!(trial.read().await, Ok(ms(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_failure_is_not_asked_for_again() {
        let trial = Trial::new([Fault::FailCalls {
            calls: 0..1,
            kind: BackendErrorKind::Unavailable,
        }]);
        assert_eq!(trial.read().await, Err(BackendErrorKind::Unavailable));
        assert_eq!(trial.plan.counts().calls, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_in_twenty_is_doubled_at_most() {
        let trial = Trial::new([]);
        let mut calls = 0;
        // Each answer takes longer than all before it, so each is late.
        for request in 1..=1000 {
            trial.plan.set([delay(0..2, ms(10 * request + 1500))]);
            trial.read().await.unwrap();
            calls += trial.plan.counts().calls;
        }
        assert!((1050..=1053).contains(&calls), "{calls} calls");
    }

    #[tokio::test(start_paused = true)]
    async fn writes_and_listings_are_never_doubled() {
        let trial = Trial::new([delay(0..u64::MAX, ms(60_000))]);
        let other = ObjectKey::try_new("b").unwrap();
        trial.backend.put_new(&other, Bytes::new()).await.unwrap();
        trial.backend.list("", None).await.unwrap();
        trial.backend.delete(&[other]).await.unwrap();
        assert_eq!(trial.plan.counts().calls, 3);
    }
}
