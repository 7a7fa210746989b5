//! `FaultyBackend`: a wrapper that follows a [`Plan`] of faults and is honest otherwise.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use super::fault::{Fate, Fault, Plan, Turn};
use crate::backend::{
    BackendError, BackendErrorKind, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put,
    StorageBackend,
};
use crate::memory::slice;

mod view;

use view::{Past, damage};

/// A backend that misbehaves as its plan says.
#[derive(Debug)]
pub struct FaultyBackend<B> {
    inner: B,
    plan: Plan,
    past: Past,
}

impl<B: StorageBackend> FaultyBackend<B> {
    /// Wraps `inner`; keep a clone of `plan` to change it and to read its counts.
    #[must_use]
    pub fn new(inner: B, plan: Plan) -> Self {
        Self {
            inner,
            plan,
            past: Past::default(),
        }
    }

    /// The backend behind the faults.
    #[must_use]
    pub const fn inner(&self) -> &B {
        &self.inner
    }

    fn error(&self, kind: BackendErrorKind) -> BackendError {
        BackendError::with_source(kind, self.inner.id(), "planned fault")
    }

    async fn next_call(&self) -> Result<(), BackendError> {
        match self.plan.next_call() {
            Turn::Proceed => {}
            Turn::Fail(kind) => return Err(self.error(kind)),
            Turn::SlowDown(wait) => {
                let error = self.error(BackendErrorKind::RateLimited);
                return Err(error.with_retry_after(wait));
            }
            Turn::Delay(by) => tokio::time::sleep(by).await,
            Turn::Stall => std::future::pending().await,
        }
        Ok(())
    }

    async fn delete_one(&self, key: &ObjectKey) -> Result<(), BackendError> {
        let delete = || self.inner.delete(std::slice::from_ref(key));
        match self.plan.next_effect() {
            Fate::Happen | Fate::Misdirect | Fate::Repeat => delete().await,
            Fate::Fail(kind) => Err(self.error(kind)),
            Fate::LoseAnswer(kind) => delete().await.and(Err(self.error(kind))),
            // A deletion has no bytes to tear; what is left of it is that nothing happened.
            Fate::Lose | Fate::Tear(_) | Fate::Keep => Ok(()),
            Fate::Break(_, kind) => Err(self.error(kind)),
        }
    }

    /// Notes what is under `key` before it changes, if the plan shows the past.
    async fn remember(&self, key: &ObjectKey) -> Result<(), BackendError> {
        let Some(times_set) = self.plan.shows_past() else {
            return Ok(());
        };
        let before = match self.inner.get_range(key, 0..u64::MAX).await {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind == BackendErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.past.remember(times_set, key, before);
        Ok(())
    }

    /// What is under `key`, or was when the plan was set.
    async fn whole(&self, key: &ObjectKey) -> Result<Bytes, BackendError> {
        if self.plan.has(&Fault::ReadStale)
            && let Some(before) = self.past.of(self.plan.shows_past(), key)
        {
            let missing = || BackendError::new(BackendErrorKind::NotFound, self.inner.id());
            return before.ok_or_else(missing);
        }
        self.inner.get_range(key, 0..u64::MAX).await
    }

    /// The object that readers of `key` get to see.
    async fn seen(&self, key: &ObjectKey, faults: &[Fault]) -> Result<Bytes, BackendError> {
        let mut key = key.clone();
        for fault in faults {
            match fault {
                Fault::FailReads { kind, .. } => return Err(self.error(*kind)),
                Fault::ReadNext { .. } => key = self.neighbour(&key, Side::After).await?,
                _ => {}
            }
        }
        Ok(damage(self.whole(&key).await?, faults))
    }

    /// The next object in order, the first after the last; or that before, if there is one.
    async fn neighbour(&self, key: &ObjectKey, side: Side) -> Result<ObjectKey, BackendError> {
        let keys = self.inner.list("", None).await?.keys;
        let found = match side {
            Side::Before => keys.iter().rfind(|other| *other < key),
            Side::After => keys.iter().find(|other| *other > key).or(keys.first()),
        };
        Ok(found.unwrap_or(key).clone())
    }

    async fn misdirect(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        let hit = self.neighbour(key, Side::Before).await?;
        self.inner.delete(std::slice::from_ref(&hit)).await?;
        self.inner.put_new(&hit, bytes).await
    }
}

/// Where a neighbour is.
#[derive(Debug, Clone, Copy)]
enum Side {
    Before,
    After,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for FaultyBackend<B> {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        self.next_call().await?;
        self.plan.count_written(bytes.len());
        self.remember(key).await?;
        match self.plan.next_effect() {
            Fate::Happen | Fate::Keep => self.inner.put_new(key, bytes).await,
            Fate::Fail(kind) => Err(self.error(kind)),
            Fate::LoseAnswer(kind) => {
                self.inner.put_new(key, bytes).await?;
                Err(self.error(kind))
            }
            Fate::Lose => Ok(Put::Created),
            Fate::Tear(len_bytes) => {
                let torn = bytes.slice(..len_bytes.min(bytes.len()));
                self.inner.put_new(key, torn).await
            }
            Fate::Break(len_bytes, kind) => {
                let torn = bytes.slice(..len_bytes.min(bytes.len()));
                self.inner.put_new(key, torn).await?;
                Err(self.error(kind))
            }
            Fate::Misdirect => self.misdirect(key, bytes).await,
            Fate::Repeat => {
                self.inner.put_new(key, bytes.clone()).await?;
                self.inner.put_new(key, bytes).await
            }
        }
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.next_call().await?;
        let faults = self.plan.read_faults(key);
        let bytes = if faults.is_empty() && !self.plan.has(&Fault::ReadStale) {
            self.inner.get_range(key, range).await?
        } else {
            slice(&self.seen(key, &faults).await?, range)
        };
        self.plan.count_read(bytes.len());
        Ok(bytes)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.next_call().await?;
        let faults = self.plan.read_faults(key);
        let mut meta = self.inner.head(key).await?;
        if !faults.is_empty() {
            meta.len_bytes = self.seen(key, &faults).await?.len() as u64;
        }
        meta.modified = meta.modified.map(|told| told + self.plan.skew());
        Ok(meta)
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.next_call().await?;
        let mut page = self.inner.list(prefix, cursor).await?;
        if self.plan.has(&Fault::ListStale) {
            self.past
                .show(self.plan.shows_past(), &mut page, prefix, cursor);
        }
        page.keys.retain(|key| !self.plan.hides(key));
        Ok(page)
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        self.next_call().await?;
        for key in keys {
            self.remember(key).await?;
            self.delete_one(key).await?;
        }
        Ok(())
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        self.next_call().await?;
        self.inner.erasure().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryBackend;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::try_new(name).unwrap()
    }

    fn faulty(faults: impl Into<Vec<Fault>>) -> (FaultyBackend<MemoryBackend>, Plan) {
        let plan = Plan::new(faults);
        let backend = FaultyBackend::new(MemoryBackend::new("m"), plan.clone());
        (backend, plan)
    }

    async fn put(backend: &dyn StorageBackend, name: &str) -> Result<Put, BackendErrorKind> {
        let bytes = Bytes::from_static(b"0123456789");
        backend.put_new(&key(name), bytes).await.map_err(|e| e.kind)
    }

    fn stored(backend: &FaultyBackend<MemoryBackend>) -> Vec<(String, usize)> {
        let objects = backend.inner().snapshot();
        let shown = objects.iter().map(|(k, b)| (k.to_string(), b.len()));
        shown.collect()
    }

    #[tokio::test]
    async fn numbers_decide_which_effect_fails() {
        let (backend, plan) = faulty([
            Fault::FailEffects {
                effects: 1..2,
                kind: BackendErrorKind::QuotaExceeded,
            },
            Fault::LoseAnswers {
                effects: 2..3,
                kind: BackendErrorKind::Timeout,
            },
            Fault::LoseEffects { effects: 3..4 },
            Fault::TearWrite {
                effect: 4,
                len_bytes: 3,
            },
        ]);
        let mut answers = Vec::new();
        for name in ["a", "b", "c", "d", "e", "f"] {
            answers.push(put(&backend, name).await);
        }
        let created = Ok(Put::Created);
        let expected = [
            created,
            Err(BackendErrorKind::QuotaExceeded),
            Err(BackendErrorKind::Timeout),
            created,
            created,
            created,
        ];
        assert_eq!(answers, expected);
        let left = [("a", 10), ("c", 10), ("e", 3), ("f", 10)];
        assert_eq!(stored(&backend), left.map(|(k, len)| (k.to_owned(), len)));
        assert_eq!(plan.counts().effects, 6);
        assert_eq!(plan.counts().written_bytes, 60);
    }

    #[tokio::test]
    async fn a_batch_stops_in_the_middle() {
        let (backend, plan) = faulty([]);
        let names = ["a", "b", "c"];
        for name in names {
            put(&backend, name).await.unwrap();
        }
        plan.set([Fault::StopAt { effect: 1 }]);
        let error = backend.delete(&names.map(key)).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable);
        assert_eq!(stored(&backend).len(), 2);
        assert!(
            backend.list("", None).await.is_err(),
            "nothing after a crash"
        );
        plan.set([]);
        assert_eq!(backend.list("", None).await.unwrap().keys.len(), 2);
    }

    #[tokio::test]
    async fn backends_of_one_plan_stop_together() {
        let plan = Plan::new([Fault::StopAt { effect: 2 }]);
        let one = FaultyBackend::new(MemoryBackend::new("one"), plan.clone());
        let other = FaultyBackend::new(MemoryBackend::new("other"), plan.clone());
        put(&one, "a").await.unwrap();
        put(&other, "a").await.unwrap();
        for backend in [&one, &other] {
            let answer = put(backend, "b").await;
            assert_eq!(answer, Err(BackendErrorKind::Unavailable));
            assert!(backend.head(&key("a")).await.is_err());
        }
        plan.set([]);
        plan.stop();
        assert!(one.head(&key("a")).await.is_err());
        assert_eq!(plan.counts().calls, 1);
    }

    #[tokio::test]
    async fn calls_can_fail_for_ever() {
        let (backend, plan) = faulty([Fault::FailCalls {
            calls: 1..u64::MAX,
            kind: BackendErrorKind::AuthFailed,
        }]);
        put(&backend, "a").await.unwrap();
        for _ in 0..3 {
            let error = backend.get_range(&key("a"), 0..1).await.unwrap_err();
            assert_eq!(error.kind, BackendErrorKind::AuthFailed);
        }
        assert_eq!((plan.counts().calls, plan.counts().effects), (4, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_can_be_late_or_never_answered() {
        let ms = std::time::Duration::from_millis;
        let (backend, plan) = faulty([
            Fault::Delay {
                calls: 0..1,
                by: ms(300),
            },
            Fault::Stall { calls: 1..2 },
            Fault::SlowDown {
                calls: 2..3,
                retry_after: ms(700),
            },
        ]);
        let begun = tokio::time::Instant::now();
        put(&backend, "a").await.unwrap();
        assert_eq!(begun.elapsed(), ms(300));
        let stalled = tokio::time::timeout(ms(60_000), put(&backend, "b")).await;
        assert!(stalled.is_err() && stored(&backend).len() == 1);
        let error = backend.head(&key("a")).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::RateLimited);
        assert_eq!(error.retry_after, Some(ms(700)));
        backend.head(&key("a")).await.unwrap();
        assert_eq!(plan.counts().calls, 4);
    }

    #[tokio::test]
    async fn reads_of_matching_keys_are_damaged() {
        let prefix = || "a/".to_owned();
        for (fault, seen, tail) in [
            (
                Fault::FlipBit {
                    prefix: prefix(),
                    offset_bytes: 9,
                    bit: 0,
                },
                "0123456788",
                "788",
            ),
            (
                Fault::Truncate {
                    prefix: prefix(),
                    len_bytes: 8,
                },
                "01234567",
                "7",
            ),
            (
                Fault::Extend {
                    prefix: prefix(),
                    by_bytes: 2,
                },
                "0123456789\0\0",
                "789\0\0",
            ),
        ] {
            let (backend, plan) = faulty([]);
            put(&backend, "a/0").await.unwrap();
            put(&backend, "b").await.unwrap();
            plan.set([fault]);
            let read = |name, range| {
                let (backend, key) = (&backend, key(name));
                async move { backend.get_range(&key, range).await.unwrap() }
            };
            assert_eq!(read("a/0", 0..99).await, seen);
            assert_eq!(read("a/0", 7..99).await, tail);
            assert_eq!(read("b", 0..99).await, "0123456789");
            let len_bytes = backend.head(&key("a/0")).await.unwrap().len_bytes;
            assert_eq!(len_bytes, seen.len() as u64);
            assert_eq!(stored(&backend)[0].1, 10, "only the view is damaged");
        }
    }

    async fn read(backend: &dyn StorageBackend, name: &str) -> Result<Bytes, BackendErrorKind> {
        let read = backend.get_range(&key(name), 0..99).await;
        read.map_err(|error| error.kind)
    }

    async fn listed(backend: &dyn StorageBackend) -> Vec<String> {
        let page = backend.list("", None).await.unwrap();
        page.keys.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn the_past_is_shown_until_the_plan_is_set_again() {
        let (backend, plan) = faulty([]);
        put(&backend, "a").await.unwrap();
        put(&backend, "b").await.unwrap();
        plan.set([Fault::ReadStale, Fault::ListStale]);
        put(&backend, "c").await.unwrap();
        backend.delete(&[key("a")]).await.unwrap();
        assert_eq!(listed(&backend).await, ["a", "b"]);
        assert_eq!(read(&backend, "a").await.unwrap(), "0123456789");
        assert_eq!(read(&backend, "c").await, Err(BackendErrorKind::NotFound));
        plan.set([Fault::ReadStale, Fault::ListStale]);
        assert_eq!(listed(&backend).await, ["b", "c"]);
        assert!(read(&backend, "a").await.is_err());
        assert!(read(&backend, "c").await.is_ok());
    }

    #[tokio::test]
    async fn reads_fail_or_see_another_object_and_listings_leave_out() {
        let (backend, plan) = faulty([]);
        put(&backend, "a/0").await.unwrap();
        let other = Bytes::from_static(b"other");
        backend.put_new(&key("b"), other).await.unwrap();
        let prefix = || "a/".to_owned();
        plan.set([Fault::ReadNext { prefix: prefix() }]);
        assert_eq!(read(&backend, "a/0").await.unwrap(), "other");
        assert_eq!(backend.head(&key("a/0")).await.unwrap().len_bytes, 5);
        let kind = BackendErrorKind::Unavailable;
        plan.set([
            Fault::FailReads {
                prefix: prefix(),
                kind,
            },
            Fault::Hide { prefix: prefix() },
        ]);
        assert_eq!(read(&backend, "a/0").await, Err(kind));
        assert_eq!(read(&backend, "b").await.unwrap(), "other");
        assert_eq!(listed(&backend).await, ["b"]);
    }

    #[tokio::test]
    async fn puts_break_go_astray_or_come_twice_and_deletions_are_not_done() {
        let (backend, plan) = faulty([
            Fault::BreakWrites {
                effects: 0..1,
                len_bytes: 3,
                kind: BackendErrorKind::Timeout,
            },
            Fault::RepeatWrites { effects: 1..2 },
            Fault::MisdirectWrites { effects: 2..3 },
            Fault::KeepDeleted { effects: 3..4 },
        ]);
        assert_eq!(put(&backend, "a").await, Err(BackendErrorKind::Timeout));
        assert_eq!(put(&backend, "b").await, Ok(Put::AlreadyExists));
        backend.inner().replace(&key("b"), "old");
        assert_eq!(put(&backend, "c").await, Ok(Put::Created));
        backend.delete(&[key("a")]).await.unwrap();
        let there = [("a".to_owned(), 3), ("b".to_owned(), 10)];
        assert_eq!(stored(&backend), there);
        let honest = backend.head(&key("a")).await.unwrap().modified.unwrap();
        let by = std::time::Duration::from_secs(60);
        plan.set([Fault::SkewClock { by }]);
        let skewed = backend.head(&key("a")).await.unwrap().modified.unwrap();
        assert_eq!(skewed, honest + by);
    }
}
