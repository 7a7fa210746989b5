//! When a breaker opens, when it asks again, and who is let through.

use std::error::Error as _;

use futures_util::future::{FutureExt as _, join};

use super::*;
use crate::entropy::{EntropyFailed, OsEntropy};
use crate::memory::MemoryBackend;
use crate::testing::{Fault, FaultyBackend, Plan, conformance};

/// Always draws this byte: 0 for the shortest pause, 255 for the longest.
#[derive(Debug)]
struct Always(u8);

impl Entropy for Always {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        out.fill(self.0);
        Ok(())
    }
}

struct Trial {
    backend: Breaker<FaultyBackend<MemoryBackend>>,
    plan: Plan,
}

impl Trial {
    fn new(faults: impl Into<Vec<Fault>>) -> Self {
        let plan = Plan::new(faults);
        let inner = FaultyBackend::new(MemoryBackend::new("m"), plan.clone());
        let backend = Breaker::new(inner, Arc::new(Always(0)));
        Self { backend, plan }
    }

    /// Whether the next call reaches the backend.
    async fn asks(&self) -> bool {
        let before = self.plan.counts().calls;
        let _ = self.backend.list("", None).await;
        self.plan.counts().calls > before
    }

    async fn opens_after(&self, calls: usize) {
        for call in 0..calls {
            assert!(self.asks().await, "call {call}");
        }
        assert!(!self.asks().await);
    }
}

fn failing(calls: Range<u64>, kind: BackendErrorKind) -> Fault {
    Fault::FailCalls { calls, kind }
}

const DOWN: BackendErrorKind = BackendErrorKind::Unavailable;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let inner = MemoryBackend::new("m");
    let backend: Arc<dyn StorageBackend> = Arc::new(Breaker::new(inner, Arc::new(OsEntropy)));
    conformance::run_all(&backend).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn five_transport_failures_in_a_row_open_it() {
    for kind in [
        DOWN,
        BackendErrorKind::Timeout,
        BackendErrorKind::RateLimited,
    ] {
        Trial::new([failing(0..u64::MAX, kind)])
            .opens_after(5)
            .await;
    }
    let trial = Trial::new([failing(0..4, DOWN), failing(5..9, DOWN)]);
    for _ in 0..10 {
        assert!(trial.asks().await, "four are not five");
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_half_of_twenty_failures_open_it() {
    let every_other = |count: u64| -> Vec<Fault> {
        let calls = (0..count).map(|i| 2 * i..2 * i + 1);
        calls.map(|calls| failing(calls, DOWN)).collect()
    };
    let half = Trial::new(every_other(10));
    for _ in 0..40 {
        assert!(half.asks().await, "ten of twenty are half");
    }
    let mut more = every_other(10);
    more.push(failing(19..20, DOWN));
    Trial::new(more).opens_after(20).await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_say_no_do_not_open_it() {
    for kind in [BackendErrorKind::NotFound, BackendErrorKind::QuotaExceeded] {
        let trial = Trial::new([failing(0..u64::MAX, kind)]);
        for _ in 0..40 {
            assert!(trial.asks().await, "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_open_it_at_once() {
    let refusal = failing(0..1, BackendErrorKind::AuthFailed);
    let trial = Trial::new([refusal]);
    trial.opens_after(1).await;
    let error = trial.backend.list("", None).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("credentials"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_when_it_is_tried_again() {
    let trial = Trial::new([failing(0..5, DOWN)]);
    trial.opens_after(5).await;
    tokio::time::advance(seconds(2)).await;
    let error = trial.backend.list("", None).await.unwrap_err();
    assert_eq!((error.kind, error.backend.as_str()), (DOWN, "m"));
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("in 3.0 s"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn pauses_double_to_a_minute_until_a_probe_succeeds() {
    let trial = Trial::new([failing(0..12, DOWN)]);
    trial.opens_after(5).await;
    for pause in [5, 10, 20, 40, 60, 60, 60] {
        tokio::time::advance(seconds(pause) - Duration::from_millis(1)).await;
        assert!(!trial.asks().await, "before {pause} s");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(trial.asks().await, "after {pause} s");
    }
    tokio::time::advance(seconds(60)).await;
    for _ in 0..30 {
        assert!(trial.asks().await, "closed again");
    }
    trial.plan.set([failing(0..5, DOWN)]);
    trial.opens_after(5).await;
    tokio::time::advance(seconds(5)).await;
    assert!(trial.asks().await, "the first pause again");
}

#[tokio::test(start_paused = true)]
async fn what_was_before_it_closed_is_forgotten() {
    let trial = Trial::new([failing(0..5, DOWN), failing(6..10, DOWN)]);
    trial.opens_after(5).await;
    tokio::time::advance(seconds(5)).await;
    for _ in 0..6 {
        assert!(
            trial.asks().await,
            "a probe, and four failures that are not five"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn chance_lengthens_a_pause_by_a_quarter_at_most() {
    let trial = Trial::new([failing(0..5, DOWN)]);
    let backend = Breaker {
        entropy: Arc::new(Always(255)),
        ..trial.backend
    };
    let trial = Trial { backend, ..trial };
    trial.opens_after(5).await;
    tokio::time::advance(Duration::from_millis(6249)).await;
    assert!(!trial.asks().await);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(trial.asks().await);
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time() {
    let slow = Fault::Delay {
        calls: 5..6,
        by: seconds(2),
    };
    let trial = Trial::new([failing(0..5, DOWN), slow]);
    trial.opens_after(5).await;
    tokio::time::advance(seconds(5)).await;
    let probe = trial.backend.list("", None);
    let meanwhile = async {
        tokio::time::sleep(seconds(1)).await;
        trial.backend.list("", None).await.unwrap_err()
    };
    let (probe, refused) = join(probe, meanwhile).await;
    assert!(probe.is_ok());
    let cause = refused.source().unwrap().to_string();
    assert!(cause.contains("being tried"), "{cause}");
    assert!(trial.asks().await);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_leaves_the_turn_to_the_next_call() {
    let trial = Trial::new([failing(0..5, DOWN), Fault::Stall { calls: 5..6 }]);
    trial.opens_after(5).await;
    tokio::time::advance(seconds(5)).await;
    assert!(trial.backend.list("", None).now_or_never().is_none());
    assert!(trial.asks().await);
    assert!(trial.asks().await);
}

#[tokio::test(start_paused = true)]
async fn answers_from_before_it_opened_are_not_counted() {
    let late = Fault::Delay {
        calls: 0..1,
        by: seconds(1),
    };
    let trial = Trial::new([late, failing(1..6, DOWN)]);
    let begun_before = trial.backend.list("", None);
    let (answer, ()) = join(begun_before, trial.opens_after(5)).await;
    assert!(answer.is_ok() && !trial.asks().await);
}
