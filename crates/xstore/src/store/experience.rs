//! What a store has learnt of its backends while it ran: who answers quickly, and who gave bad bytes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::budget::{Allowance, Budget};
use crate::latency::Latency;

/// How long an answer may take of a backend that has no history yet.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Second opinions: one share more is asked for when one is late, in at most 5 % of the reads.
const HEDGES: Allowance = Allowance {
    percent: 5,
    reserve: 8,
};

/// All backends of a store, by label.
#[derive(Debug)]
pub(crate) struct Experience {
    backends: Mutex<HashMap<String, Arc<Standing>>>,
    hedges: Budget,
}

/// One backend.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    latency: Latency,
    bad: AtomicU32,
}

/// A backend's place in the order in which it is asked: the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    bad: u32,
    usual: Duration,
}

impl Default for Experience {
    fn default() -> Self {
        Self {
            backends: Mutex::default(),
            hedges: Budget::new(HEDGES),
        }
    }
}

impl Experience {
    /// What is known of the backend `label`.
    pub(crate) fn of(&self, label: &str) -> Arc<Standing> {
        let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        match backends.get(label) {
            Some(standing) => Arc::clone(standing),
            None => Arc::clone(backends.entry(label.to_owned()).or_default()),
        }
    }

    /// A read is made.
    pub(crate) fn earn_hedge(&self) {
        self.hedges.earn();
    }

    /// Whether one share more may be asked for because one is late.
    pub(crate) fn may_hedge(&self) -> bool {
        self.hedges.spend()
    }
}

impl Standing {
    /// An answer took so long, or was not waited for any longer.
    pub(crate) fn answered(&self, took: Duration) {
        self.latency.record(took);
    }

    /// It gave bytes that fail their check: from now on it is asked after all others.
    pub(crate) fn gave_bad_bytes(&self) {
        self.bad.fetch_add(1, Ordering::Relaxed);
    }

    /// After so long an answer is late.
    pub(crate) fn patience(&self) -> Duration {
        self.latency.p95().unwrap_or(PATIENCE)
    }

    /// Where it stands. A backend without history comes first, so that it gets one.
    pub(crate) fn rank(&self) -> Rank {
        Rank {
            bad: self.bad.load(Ordering::Relaxed),
            usual: self.latency.ewma().unwrap_or_default(),
        }
    }
}
