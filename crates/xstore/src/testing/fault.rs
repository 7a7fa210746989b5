//! `Fault` and `Plan`: the script of a [`FaultyBackend`](super::FaultyBackend).
//!
//! Calls and effects are numbered from 0, and a plan decides by these numbers alone, so the same
//! calls meet the same faults in every run.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backend::{BackendErrorKind, ObjectKey};

/// One thing that goes wrong.
///
/// A *call* is one call of `put_new`, `get_range`, `head`, `list` or `delete`. An *effect* is a
/// change that a call asks for: one `put_new`, or one key of a `delete`. Ranges are half-open:
/// `3..4` is once, `3..u64::MAX` is for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// These calls fail with `kind` and do nothing.
    FailCalls {
        /// Numbers of the calls.
        calls: Range<u64>,
        /// What they answer.
        kind: BackendErrorKind,
    },
    /// These calls fail as `RateLimited` and ask to be left alone for a while.
    SlowDown {
        /// Numbers of the calls.
        calls: Range<u64>,
        /// How long to wait before the next call.
        retry_after: Duration,
    },
    /// These calls begin late.
    Delay {
        /// Numbers of the calls.
        calls: Range<u64>,
        /// How late, in tokio's time.
        by: Duration,
    },
    /// These calls are accepted, do nothing and never answer.
    Stall {
        /// Numbers of the calls.
        calls: Range<u64>,
    },
    /// These effects fail with `kind` and do nothing.
    FailEffects {
        /// Numbers of the effects.
        effects: Range<u64>,
        /// What the call answers.
        kind: BackendErrorKind,
    },
    /// These effects happen, but the answer is `kind`: a time-out after the fact.
    LoseAnswers {
        /// Numbers of the effects.
        effects: Range<u64>,
        /// What the call answers.
        kind: BackendErrorKind,
    },
    /// These effects are acknowledged and never happen.
    LoseEffects {
        /// Numbers of the effects.
        effects: Range<u64>,
    },
    /// This put is acknowledged, but only its first bytes are stored.
    TearWrite {
        /// Number of the effect.
        effect: u64,
        /// How many bytes are stored at most.
        len_bytes: usize,
    },
    /// A crash: this effect does not happen, and nothing can be reached from then on.
    StopAt {
        /// Number of the first effect that does not happen.
        effect: u64,
    },
    /// Reads of objects under `prefix` see one bit flipped.
    FlipBit {
        /// Start of the keys concerned.
        prefix: String,
        /// Byte within the object.
        offset_bytes: u64,
        /// Bit within the byte, 0 (lowest) to 7; taken modulo 8.
        bit: u8,
    },
    /// Reads of objects under `prefix` see at most this many bytes.
    Truncate {
        /// Start of the keys concerned.
        prefix: String,
        /// Length at which the objects end.
        len_bytes: u64,
    },
    /// Reads of objects under `prefix` see this many zero bytes appended.
    Extend {
        /// Start of the keys concerned.
        prefix: String,
        /// How many bytes longer the objects look.
        by_bytes: u64,
    },
    /// Reads of objects under `prefix` fail with `kind`, as from a bad sector.
    FailReads {
        /// Start of the keys concerned.
        prefix: String,
        /// What they answer.
        kind: BackendErrorKind,
    },
    /// Reads of objects under `prefix` see the next object of the backend instead, which after the
    /// last one is the first.
    ReadNext {
        /// Start of the keys concerned.
        prefix: String,
    },
    /// Reads see the objects as they were when the plan was set.
    ReadStale,
    /// Listings see the names as they were when the plan was set.
    ListStale,
    /// Listings leave out the keys under `prefix`.
    Hide {
        /// Start of the keys concerned.
        prefix: String,
    },
    /// Objects look so much younger than they are.
    SkewClock {
        /// How far the clock is ahead.
        by: Duration,
    },
    /// These puts answer `kind`, and their first bytes are stored.
    BreakWrites {
        /// Numbers of the effects.
        effects: Range<u64>,
        /// How many bytes are stored at most.
        len_bytes: usize,
        /// What the call answers.
        kind: BackendErrorKind,
    },
    /// These puts are acknowledged, but stored in the place of the object before them in order.
    MisdirectWrites {
        /// Numbers of the effects.
        effects: Range<u64>,
    },
    /// These puts are delivered twice, and the answer is that to the second.
    RepeatWrites {
        /// Numbers of the effects.
        effects: Range<u64>,
    },
    /// These deletions are acknowledged and do not happen.
    KeepDeleted {
        /// Numbers of the effects.
        effects: Range<u64>,
    },
}

/// What passed through the backends of a plan since it was last set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Calls, failed ones included.
    pub calls: u64,
    /// Effects asked for, failed ones included.
    pub effects: u64,
    /// Bytes handed to `put_new`.
    pub written_bytes: u64,
    /// Bytes answered by `get_range`.
    pub read_bytes: u64,
}

/// The faults to come and the counts so far.
///
/// A clone is the same plan: backends that share one share its numbers, so that
/// [`Fault::StopAt`] stops a client in front of all of them at once.
#[derive(Debug, Clone, Default)]
pub struct Plan(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    counts: Counts,
    stopped: bool,
    /// How often the plan was set.
    times_set: u64,
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Proceed,
    Fail(BackendErrorKind),
    SlowDown(Duration),
    Delay(Duration),
    Stall,
}

/// What becomes of one effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Happen,
    Fail(BackendErrorKind),
    LoseAnswer(BackendErrorKind),
    Lose,
    Tear(usize),
    Break(usize, BackendErrorKind),
    Misdirect,
    Repeat,
    Keep,
}

impl Plan {
    /// A plan with these faults; the first that concerns a call or effect decides.
    #[must_use]
    pub fn new(faults: impl Into<Vec<Fault>>) -> Self {
        let plan = Self::default();
        plan.set(faults);
        plan
    }

    /// Replaces the faults and counts from 0 again.
    pub fn set(&self, faults: impl Into<Vec<Fault>>) {
        let mut state = self.state();
        *state = State {
            faults: faults.into(),
            times_set: state.times_set + 1,
            ..State::default()
        };
    }

    /// From now on every call answers [`BackendErrorKind::Unavailable`], until the next
    /// [`Plan::set`].
    pub fn stop(&self) {
        self.state().stopped = true;
    }

    /// What passed so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call.
    pub(super) fn next_call(&self) -> Turn {
        let mut state = self.state();
        let number = state.counts.calls;
        state.counts.calls += 1;
        if state.stopped {
            return Turn::Fail(BackendErrorKind::Unavailable);
        }
        let turn = state.faults.iter().find_map(|fault| fault.turn_of(number));
        turn.unwrap_or(Turn::Proceed)
    }

    /// Counts an effect of a call that was let through.
    pub(super) fn next_effect(&self) -> Fate {
        let mut state = self.state();
        let number = state.counts.effects;
        state.counts.effects += 1;
        let stops = |fault: &Fault| matches!(fault, Fault::StopAt { effect } if *effect <= number);
        state.stopped |= state.faults.iter().any(stops);
        if state.stopped {
            return Fate::Fail(BackendErrorKind::Unavailable);
        }
        let fate = state.faults.iter().find_map(|fault| fault.fate_of(number));
        fate.unwrap_or(Fate::Happen)
    }

    pub(super) fn count_written(&self, len_bytes: usize) {
        self.state().counts.written_bytes += len_bytes as u64;
    }

    pub(super) fn count_read(&self, len_bytes: usize) {
        self.state().counts.read_bytes += len_bytes as u64;
    }

    /// How often the plan was set, if it is one under which the past is shown.
    pub(super) fn shows_past(&self) -> Option<u64> {
        let state = self.state();
        let stale = |fault: &Fault| matches!(fault, Fault::ReadStale | Fault::ListStale);
        state.faults.iter().any(stale).then_some(state.times_set)
    }

    pub(super) fn has(&self, fault: &Fault) -> bool {
        self.state().faults.contains(fault)
    }

    /// Whether listings leave `key` out.
    pub(super) fn hides(&self, key: &ObjectKey) -> bool {
        let state = self.state();
        let hides = |fault: &Fault| matches!(fault, Fault::Hide { prefix } if key.as_str().starts_with(prefix.as_str()));
        state.faults.iter().any(hides)
    }

    /// How far the clock is ahead.
    pub(super) fn skew(&self) -> Duration {
        let state = self.state();
        let by = |fault: &Fault| match fault {
            Fault::SkewClock { by } => *by,
            _ => Duration::ZERO,
        };
        state.faults.iter().map(by).sum()
    }

    /// The faults that change what is read of `key`, in their order.
    pub(super) fn read_faults(&self, key: &ObjectKey) -> Vec<Fault> {
        let state = self.state();
        let concerned = state.faults.iter().filter(|fault| match fault {
            Fault::FlipBit { prefix, .. }
            | Fault::Truncate { prefix, .. }
            | Fault::Extend { prefix, .. }
            | Fault::FailReads { prefix, .. }
            | Fault::ReadNext { prefix } => key.as_str().starts_with(prefix.as_str()),
            _ => false,
        });
        concerned.cloned().collect()
    }
}

impl Fault {
    fn turn_of(&self, number: u64) -> Option<Turn> {
        match self {
            Self::FailCalls { calls, kind } if calls.contains(&number) => Some(Turn::Fail(*kind)),
            Self::SlowDown { calls, retry_after } if calls.contains(&number) => {
                Some(Turn::SlowDown(*retry_after))
            }
            Self::Delay { calls, by } if calls.contains(&number) => Some(Turn::Delay(*by)),
            Self::Stall { calls } if calls.contains(&number) => Some(Turn::Stall),
            _ => None,
        }
    }

    fn fate_of(&self, number: u64) -> Option<Fate> {
        match self {
            Self::FailEffects { effects, kind } if effects.contains(&number) => {
                Some(Fate::Fail(*kind))
            }
            Self::LoseAnswers { effects, kind } if effects.contains(&number) => {
                Some(Fate::LoseAnswer(*kind))
            }
            Self::LoseEffects { effects } if effects.contains(&number) => Some(Fate::Lose),
            Self::TearWrite { effect, len_bytes } if *effect == number => {
                Some(Fate::Tear(*len_bytes))
            }
            Self::BreakWrites {
                effects,
                len_bytes,
                kind,
            } if effects.contains(&number) => Some(Fate::Break(*len_bytes, *kind)),
            Self::MisdirectWrites { effects } if effects.contains(&number) => Some(Fate::Misdirect),
            Self::RepeatWrites { effects } if effects.contains(&number) => Some(Fate::Repeat),
            Self::KeepDeleted { effects } if effects.contains(&number) => Some(Fate::Keep),
            _ => None,
        }
    }
}
