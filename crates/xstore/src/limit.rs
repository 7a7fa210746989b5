//! `Limit`: a wrapper that bounds what is asked of a backend at once and each second.
//!
//! More requests than a backend likes make all of them slower, and a line is often shared with
//! people. Bytes are counted when they are asked for, and the next call waits until they are paid
//! for: over time the rate holds, while one object travels as quickly as the line allows.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::backend::{
    BackendError, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put, StorageBackend,
};
use crate::rate::Rate;

/// Idle time that may be made up for: bytes of one second.
const BURST: Duration = Duration::from_secs(1);

/// What may be asked of one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitOptions {
    /// Calls under way at once; 8 by default.
    pub concurrency: NonZeroUsize,
    /// Bytes stored; unlimited by default.
    pub upload: Option<Rate>,
    /// Bytes read; unlimited by default.
    pub download: Option<Rate>,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            concurrency: const { NonZeroUsize::new(8).unwrap() },
            upload: None,
            download: None,
        }
    }
}

/// A backend of which no more is asked than the options say.
#[derive(Debug)]
pub struct Limit<B> {
    inner: B,
    slots: Semaphore,
    upload: Option<Bucket>,
    download: Option<Bucket>,
}

impl<B: StorageBackend> Limit<B> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: B, options: LimitOptions) -> Self {
        let concurrency = options.concurrency.get().min(Semaphore::MAX_PERMITS);
        Self {
            inner,
            slots: Semaphore::new(concurrency),
            upload: options.upload.map(Bucket::new),
            download: options.download.map(Bucket::new),
        }
    }

    /// Waits for a place; `None` never comes, since the semaphore is never closed.
    async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.acquire().await.ok()
    }
}

/// Bytes of one direction.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// When all bytes so far have had their time.
    paid: Mutex<Instant>,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            paid: Mutex::new(Instant::now()),
        }
    }

    /// Waits until earlier bytes have had their time, and books `len_bytes` behind them.
    async fn book(&self, len_bytes: u64) {
        let begin = {
            let now = Instant::now();
            let mut paid = self.paid();
            let begin = now.checked_sub(BURST).unwrap_or(now).max(*paid);
            *paid = begin + self.rate.time_for(len_bytes);
            begin
        };
        tokio::time::sleep_until(begin).await;
    }

    /// Books for a read whose length is not known yet: what was asked for, but a second at most.
    async fn book_read(&self, asked_len_bytes: u64) -> u64 {
        let booked = asked_len_bytes.min(self.rate.bytes_per_s());
        self.book(booked).await;
        booked
    }

    /// Books the rest of a read, or gives back what did not come.
    fn settle(&self, booked: u64, len_bytes: u64) {
        let mut paid = self.paid();
        let with_all = *paid + self.rate.time_for(len_bytes);
        *paid = with_all
            .checked_sub(self.rate.time_for(booked))
            .unwrap_or(with_all);
    }

    fn paid(&self) -> MutexGuard<'_, Instant> {
        self.paid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for Limit<B> {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        let _slot = self.slot().await;
        if let Some(upload) = &self.upload {
            upload.book(bytes.len() as u64).await;
        }
        self.inner.put_new(key, bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        let _slot = self.slot().await;
        let Some(download) = &self.download else {
            return self.inner.get_range(key, range).await;
        };
        let asked = range.end.saturating_sub(range.start);
        let booked = download.book_read(asked).await;
        let answer = self.inner.get_range(key, range).await;
        let len_bytes = answer.as_ref().map_or(0, Bytes::len) as u64;
        download.settle(booked, len_bytes);
        answer
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        let _slot = self.slot().await;
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        let _slot = self.slot().await;
        self.inner.list(prefix, cursor).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        let _slot = self.slot().await;
        self.inner.delete(keys).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        let _slot = self.slot().await;
        self.inner.erasure().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::join_all;

    use super::*;
    use crate::memory::MemoryBackend;
    use crate::testing::{Fault, FaultyBackend, Plan, conformance};

    fn key(name: impl std::fmt::Display) -> ObjectKey {
        ObjectKey::try_new(&name.to_string()).unwrap()
    }

    fn options() -> LimitOptions {
        LimitOptions {
            upload: Rate::try_new(1000),
            download: Rate::try_new(1000),
            ..LimitOptions::default()
        }
    }

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_conforms() {
        let fast = LimitOptions {
            upload: Rate::try_new(1 << 40),
            download: Rate::try_new(1 << 40),
            ..LimitOptions::default()
        };
        for options in [LimitOptions::default(), fast] {
            let limit = Limit::new(MemoryBackend::new("m"), options);
            let backend: Arc<dyn StorageBackend> = Arc::new(limit);
            conformance::run_all(&backend).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_than_slots_are_under_way() {
        let late = Fault::Delay {
            calls: 0..u64::MAX,
            by: ms(1000),
        };
        let plan = Plan::new([late]);
        let inner = FaultyBackend::new(MemoryBackend::new("m"), plan.clone());
        let backend = Limit::new(inner, LimitOptions::default());
        let begun = Instant::now();
        let calls = join_all((0..20).map(|_| backend.list("", None)));
        let look = async {
            tokio::time::sleep(ms(500)).await;
            plan.counts().calls
        };
        let (_, under_way) = futures_util::future::join(calls, look).await;
        assert_eq!(under_way, 8);
        assert_eq!(begun.elapsed(), ms(3000), "20 calls, 8 at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_gives_its_slot_back() {
        let stall = Fault::Stall { calls: 0..1 };
        let inner = FaultyBackend::new(MemoryBackend::new("m"), Plan::new([stall]));
        let one = LimitOptions {
            concurrency: NonZeroUsize::MIN,
            ..LimitOptions::default()
        };
        let backend = Limit::new(inner, one);
        let stalled = tokio::time::timeout(ms(10), backend.list("", None)).await;
        assert!(stalled.is_err());
        assert!(backend.list("", None).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn uploads_keep_the_rate() {
        let backend = Limit::new(MemoryBackend::new("m"), options());
        let begun = Instant::now();
        let puts = (0..11).map(|i| {
            let (backend, key) = (&backend, key(i));
            async move { backend.put_new(&key, vec![0; 500].into()).await }
        });
        join_all(puts).await;
        assert_eq!(
            begun.elapsed(),
            ms(5000),
            "10 of 500 bytes go before the last"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_second_may_be_made_up_for_and_no_more() {
        let backend = Limit::new(MemoryBackend::new("m"), options());
        tokio::time::advance(ms(60_000)).await;
        let begun = Instant::now();
        for (i, at) in [0, 0, 0, 500, 1000].into_iter().enumerate() {
            let put = backend.put_new(&key(i), vec![0; 500].into()).await;
            assert_eq!((put.unwrap(), begun.elapsed()), (Put::Created, ms(at)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn downloads_keep_the_rate_whatever_is_asked_for() {
        let inner = MemoryBackend::new("m");
        inner.replace(&key("long"), vec![0; 5000]);
        inner.replace(&key("short"), vec![0; 100]);
        let backend = Limit::new(inner, options());
        let begun = Instant::now();
        let open = backend.get_range(&key("long"), 0..u64::MAX).await.unwrap();
        assert_eq!((open.len(), begun.elapsed()), (5000, ms(0)));
        let _ = backend.get_range(&key("short"), 0..u64::MAX).await.unwrap();
        assert_eq!(begun.elapsed(), ms(5000), "the long one is paid for first");
        assert!(backend.get_range(&key("none"), 0..900).await.is_err());
        assert_eq!(begun.elapsed(), ms(5100), "only what came is counted");
        assert!(backend.get_range(&key("none"), 0..900).await.is_err());
        assert_eq!(begun.elapsed(), ms(5100), "nothing came");
    }

    #[tokio::test(start_paused = true)]
    async fn reads_at_once_do_not_all_begin_at_once() {
        let inner = MemoryBackend::new("m");
        inner.replace(&key("long"), vec![0; 5000]);
        let late = Fault::Delay {
            calls: 0..u64::MAX,
            by: ms(2000),
        };
        let plan = Plan::new([late]);
        let backend = Limit::new(FaultyBackend::new(inner, plan.clone()), options());
        let long = key("long");
        let reads = join_all((0..8).map(|_| backend.get_range(&long, 0..5000)));
        let look = async {
            tokio::time::sleep(ms(1500)).await;
            plan.counts().calls
        };
        let (_, begun) = futures_util::future::join(reads, look).await;
        assert_eq!(begun, 2, "one a second");
    }
}
