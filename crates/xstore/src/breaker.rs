//! `Breaker`: a wrapper that stops asking a backend which does not answer.
//!
//! An operation that has other backends should turn to them at once, not after a time-out for each
//! call, and a backend that is getting up again should not be met by everybody. So after a run of
//! failures calls are refused without asking; after a pause one call is let through as a probe, and
//! it decides. Refused credentials open the breaker at once: asking again may lock an account.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use crate::backend::{
    BackendError, BackendErrorKind, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put,
    StorageBackend,
};
use crate::entropy::{Entropy, jitter};

#[cfg(test)]
mod tests;

/// Transport failures in a row that open the breaker.
const FAILURES_IN_A_ROW: usize = 5;

/// Calls of which more than half must fail to open it.
const WINDOW: usize = 20;

/// First pause before a probe; each failed probe doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Pause that doubling ends at.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Up to this part of a pause is added by chance, so that clients do not probe in step.
const JITTER_DIVISOR: u32 = 4;

/// A backend that is left alone while it does not answer.
#[derive(Debug)]
pub struct Breaker<B> {
    inner: B,
    entropy: Arc<dyn Entropy>,
    health: Mutex<Health>,
}

#[derive(Debug)]
struct Health {
    gate: Gate,
    /// Of the last calls, latest first: whether each was a transport failure.
    failed: VecDeque<bool>,
    /// How long the gate stays open when it opens next.
    pause: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Gate {
    /// Calls go through.
    Closed,
    /// Calls are refused; from `until` on the next one is the probe.
    Open { until: Instant, cause: Cause },
    /// The probe is under way; other calls are refused.
    Probing { cause: Cause },
}

/// Why the breaker opened.
#[derive(Debug, Clone, Copy)]
enum Cause {
    Silence,
    Credentials,
}

/// Why a call was not made.
#[derive(Debug, thiserror::Error)]
#[error("not asked, since it {} before; {}", .cause.told(), probe(*.wait))]
struct NotAsked {
    cause: Cause,
    /// Until the next probe; `None` while one is under way.
    wait: Option<Duration>,
}

/// The one call that is let through; a probe that is dropped decides nothing, and the next call is
/// the probe.
struct Probe<'a>(&'a Mutex<Health>);

impl<B: StorageBackend> Breaker<B> {
    /// Wraps `inner`; `entropy` spreads the pauses.
    #[must_use]
    pub fn new(inner: B, entropy: Arc<dyn Entropy>) -> Self {
        let health = Health {
            gate: Gate::Closed,
            failed: VecDeque::with_capacity(WINDOW),
            pause: FIRST_PAUSE,
        };
        Self {
            inner,
            entropy,
            health: Mutex::new(health),
        }
    }

    async fn guarded<T>(
        &self,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let probe = self.admit()?;
        let answer = call.await;
        let kind = answer.as_ref().err().map(|error| error.kind);
        let mut health = lock(&self.health);
        match (probe.is_some(), health.gate) {
            (true, _) => health.probed(kind, &*self.entropy),
            (false, Gate::Closed) => health.observed(kind, &*self.entropy),
            // It began before the breaker opened, and says nothing about the time since.
            (false, Gate::Open { .. } | Gate::Probing { .. }) => {}
        }
        answer
    }

    /// Lets a call through, as a probe where one is due, or refuses it.
    fn admit(&self) -> Result<Option<Probe<'_>>, BackendError> {
        let mut health = lock(&self.health);
        let now = Instant::now();
        let (cause, wait) = match health.gate {
            Gate::Closed => return Ok(None),
            Gate::Open { until, cause } if until <= now => {
                health.gate = Gate::Probing { cause };
                return Ok(Some(Probe(&self.health)));
            }
            Gate::Open { until, cause } => (cause, Some(until - now)),
            Gate::Probing { cause } => (cause, None),
        };
        let not_asked = NotAsked { cause, wait };
        Err(BackendError::with_source(
            cause.kind(),
            self.inner.id(),
            not_asked,
        ))
    }
}

impl Health {
    /// Counts the answer of an ordinary call: its failure, or `None`.
    fn observed(&mut self, kind: Option<BackendErrorKind>, entropy: &dyn Entropy) {
        self.failed.truncate(WINDOW - 1);
        self.failed
            .push_front(kind.is_some_and(BackendErrorKind::is_transport));
        let in_a_row = self.failed.iter().take_while(|failed| **failed).count();
        let failures = self.failed.iter().filter(|failed| **failed).count();
        let mostly = self.failed.len() == WINDOW && failures > WINDOW / 2;
        if kind == Some(BackendErrorKind::AuthFailed) {
            self.open(Cause::Credentials, entropy);
        } else if in_a_row >= FAILURES_IN_A_ROW || mostly {
            self.open(Cause::Silence, entropy);
        }
    }

    /// Lets the answer of the probe decide.
    fn probed(&mut self, kind: Option<BackendErrorKind>, entropy: &dyn Entropy) {
        match kind {
            Some(BackendErrorKind::AuthFailed) => self.open(Cause::Credentials, entropy),
            Some(kind) if kind.is_transport() => self.open(Cause::Silence, entropy),
            _ => {
                self.gate = Gate::Closed;
                self.failed.clear();
                self.pause = FIRST_PAUSE;
            }
        }
    }

    fn open(&mut self, cause: Cause, entropy: &dyn Entropy) {
        let pause = self.pause + jitter(entropy, self.pause / JITTER_DIVISOR);
        let until = Instant::now() + pause;
        self.gate = Gate::Open { until, cause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        let mut health = lock(self.0);
        if let Gate::Probing { cause } = health.gate {
            let until = Instant::now();
            health.gate = Gate::Open { until, cause };
        }
    }
}

impl Cause {
    /// What the caller is told: what was wrong still is, as far as anybody knows.
    const fn kind(self) -> BackendErrorKind {
        match self {
            Self::Silence => BackendErrorKind::Unavailable,
            Self::Credentials => BackendErrorKind::AuthFailed,
        }
    }

    const fn told(self) -> &'static str {
        match self {
            Self::Silence => "did not answer",
            Self::Credentials => "refused our credentials",
        }
    }
}

fn probe(wait: Option<Duration>) -> String {
    wait.map_or_else(
        || "it is being tried again now".to_owned(),
        |wait| format!("it is tried again in {:.1} s", wait.as_secs_f64()),
    )
}

fn lock(health: &Mutex<Health>) -> MutexGuard<'_, Health> {
    health.lock().unwrap_or_else(PoisonError::into_inner)
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for Breaker<B> {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        self.guarded(self.inner.put_new(key, bytes)).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.guarded(self.inner.get_range(key, range)).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.guarded(self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.guarded(self.inner.list(prefix, cursor)).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        self.guarded(self.inner.delete(keys)).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        self.guarded(self.inner.erasure()).await
    }
}
