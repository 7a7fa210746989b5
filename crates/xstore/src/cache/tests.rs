//! A cache answers from memory, forgets what it must, and never holds k shares.

use super::*;
use crate::backend::BackendErrorKind;
use crate::entropy::OsEntropy;
use crate::memory::MemoryBackend;
use crate::testing::{Fault, FaultyBackend, Plan, conformance};

/// A store of three backends, of which two read: one of them is cached.
struct Trial {
    cache: Cache,
    backends: Vec<Arc<dyn StorageBackend>>,
    stored: Vec<Arc<FaultyBackend<MemoryBackend>>>,
    plan: Plan,
}

impl Trial {
    fn new(threshold: u8, capacity_bytes: usize) -> Self {
        let plan = Plan::default();
        let faulty = |id| {
            let inner = MemoryBackend::new(id);
            Arc::new(FaultyBackend::new(inner, plan.clone()))
        };
        let stored: Vec<_> = ["a", "b", "c"].map(faulty).into();
        let shared = stored.iter().map(|backend| Arc::clone(backend) as _);
        let access = AccessStructure::try_new(threshold, 3).unwrap();
        let (cache, backends) =
            Cache::over(shared.collect(), access, capacity_bytes, &OsEntropy).unwrap();
        Self {
            cache,
            backends,
            stored,
            plan,
        }
    }

    fn store(&self, name: &str, len_bytes: usize) {
        for backend in &self.stored {
            backend.inner().replace(&key(name), vec![7; len_bytes]);
        }
    }

    /// Reads at the backend of this position; whether it was asked.
    async fn asks(&self, position: usize, name: &str) -> bool {
        let before = self.plan.counts().calls;
        let _ = self.backends[position].get_range(&key(name), 0..9).await;
        self.plan.counts().calls > before
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::try_new(name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    for capacity_bytes in [0, 2000, 1 << 26] {
        for backend in Trial::new(3, capacity_bytes).backends {
            conformance::run_all(&backend).await.unwrap();
        }
    }
}

#[tokio::test]
async fn fewer_than_k_backends_are_cached_whatever_k() {
    for threshold in [2, 3] {
        let trial = Trial::new(threshold, 1 << 20);
        trial.store("x", 9);
        let mut asked_again = 0;
        for position in 0..3 {
            assert!(trial.asks(position, "x").await);
            asked_again += usize::from(trial.asks(position, "x").await);
        }
        assert_eq!(3 - asked_again, usize::from(threshold) - 1);
        assert_eq!(trial.backends.len(), 3);
    }
}

#[tokio::test]
async fn what_was_read_is_answered_from_memory_range_by_range() {
    let trial = Trial::new(2, 1 << 20);
    trial.store("x", 9);
    let read = async |range| trial.backends[0].get_range(&key("x"), range).await.unwrap();
    assert_eq!(read(2..5).await.len(), 3);
    assert_eq!(read(2..6).await.len(), 4);
    trial.plan.stop();
    assert_eq!(read(2..5).await, vec![7; 3]);
    assert_eq!(read(2..6).await, vec![7; 4]);
    let error = trial.backends[0].get_range(&key("x"), 0..9).await;
    assert_eq!(error.unwrap_err().kind, BackendErrorKind::Unavailable);
}

#[tokio::test]
async fn what_failed_is_asked_for_again() {
    let trial = Trial::new(2, 1 << 20);
    assert!(trial.asks(0, "x").await);
    trial.store("x", 9);
    assert!(trial.asks(0, "x").await, "not found before");
    trial.store("y", 9);
    trial.plan.set([Fault::FailCalls {
        calls: 0..1,
        kind: BackendErrorKind::Timeout,
    }]);
    assert!(trial.asks(0, "y").await);
    assert!(trial.asks(0, "y").await, "timed out before");
    assert!(!trial.asks(0, "y").await);
}

#[tokio::test]
async fn a_deletion_forgets_its_objects_whatever_becomes_of_it() {
    let trial = Trial::new(2, 1 << 20);
    for name in ["x", "y"] {
        trial.store(name, 9);
        trial.asks(0, name).await;
    }
    trial.plan.set([Fault::LoseAnswers {
        effects: 0..1,
        kind: BackendErrorKind::Timeout,
    }]);
    assert!(trial.backends[0].delete(&[key("x")]).await.is_err());
    assert!(trial.asks(0, "x").await);
    assert!(!trial.asks(0, "y").await, "another object");
    trial.plan.set([Fault::Stall { calls: 0..1 }]);
    let stalled = futures_util::FutureExt::now_or_never(trial.backends[0].delete(&[key("y")]));
    assert!(stalled.is_none());
    assert!(trial.asks(0, "y").await, "dropped in the middle");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_deletion_overtook_is_not_kept() {
    let trial = Trial::new(2, 1 << 20);
    trial.store("x", 9);
    let second = std::time::Duration::from_secs(1);
    trial.plan.set([Fault::Delay {
        calls: 0..1,
        by: second,
    }]);
    for forget in ["delete", "purge"] {
        let read = trial.asks(0, "x");
        let meanwhile = async {
            tokio::time::sleep(second / 2).await;
            match forget {
                "delete" => trial.backends[0].delete(&[key("other")]).await.unwrap(),
                _ => trial.cache.purge(),
            }
        };
        futures_util::future::join(read, meanwhile).await;
        assert_eq!(trial.cache.len_bytes(), 0, "{forget}");
        trial.plan.set([Fault::Delay {
            calls: 0..1,
            by: second,
        }]);
    }
}

#[tokio::test]
async fn a_purge_forgets_everything() {
    let trial = Trial::new(3, 1 << 20);
    trial.store("x", 9);
    for position in 0..2 {
        trial.asks(position, "x").await;
    }
    assert!(trial.cache.len_bytes() > 0);
    trial.cache.purge();
    assert_eq!(trial.cache.len_bytes(), 0);
    assert!(trial.asks(0, "x").await && trial.asks(1, "x").await);
}

#[tokio::test]
async fn what_was_asked_for_longest_ago_goes_first() {
    let trial = Trial::new(2, 2000);
    for name in ["x", "y", "z"] {
        trial.store(name, 100);
        trial.asks(0, name).await;
    }
    assert!(!trial.asks(0, "x").await, "now y is oldest");
    trial.store("w", 100);
    trial.asks(0, "w").await;
    assert!(!trial.asks(0, "x").await && !trial.asks(0, "z").await);
    assert!(!trial.asks(0, "w").await);
    assert!(trial.asks(0, "y").await);
    assert!(trial.cache.len_bytes() <= 2000);
}

#[tokio::test]
async fn what_is_longer_than_the_bound_is_not_kept() {
    let trial = Trial::new(2, 600);
    trial.store("x", 100);
    let x = key("x");
    let all = || trial.backends[0].get_range(&x, 0..100);
    all().await.unwrap();
    assert_eq!(trial.cache.len_bytes(), 0);
    assert!(trial.asks(0, "x").await, "9 bytes fit");
    all().await.unwrap();
    assert!(!trial.asks(0, "x").await, "and stay");
}
