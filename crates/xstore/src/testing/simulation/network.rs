//! What lies between clients and backends: virtual time, latency, and the record of all calls.
//!
//! Time stands still while anything runs. A call waits for a millisecond that no other call ends
//! in, so each instant of a run begins with one event and its order follows from the seed alone.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::testing::simulation::random::Random;

/// The time at which every run begins, in seconds since 1970.
const START_UNIX_S: u64 = 1_800_000_000;

/// Longest way of a call or an answer in milliseconds.
const LATENCY_MS_MAX: u64 = 20;

#[derive(Debug)]
pub(super) struct Network {
    state: Mutex<State>,
    start: Instant,
    jumped_s: AtomicU64,
}

#[derive(Debug)]
struct State {
    random: Random,
    /// Milliseconds in which something is going to happen.
    taken: BTreeSet<u64>,
    calls: u64,
    faults: u64,
    trace: u64,
}

impl Network {
    /// Begins the virtual time; called within the runtime of the run.
    pub(super) fn new(random: Random) -> Self {
        Self {
            state: Mutex::new(State {
                random,
                taken: BTreeSet::new(),
                calls: 0,
                faults: 0,
                trace: FNV_OFFSET,
            }),
            start: Instant::now(),
            jumped_s: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until a moment of its own, between `least_ms` and one latency more from now.
    pub(super) async fn pause(&self, least_ms: u64) {
        let due = {
            let (now, mut state) = (self.now_ms(), self.state());
            state.taken = state.taken.split_off(&now);
            let mut due = now + least_ms + 1 + state.random.below(LATENCY_MS_MAX);
            while !state.taken.insert(due) {
                due += 1;
            }
            due
        };
        tokio::time::sleep_until(self.start + Duration::from_millis(due)).await;
    }

    /// Draws for what happens on the way or at a backend.
    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.state().random)
    }

    pub(super) fn count_fault(&self) {
        self.state().faults += 1;
    }

    /// Adds a call with its answer to the record.
    pub(super) fn record(&self, backend: usize, call: &str, key: &str, answer: &str) {
        let (now, mut state) = (self.now_ms(), self.state());
        state.calls += 1;
        let numbers = [now.to_le_bytes(), (backend as u64).to_le_bytes()];
        let words = [call.as_bytes(), key.as_bytes(), answer.as_bytes()];
        let parts = numbers.iter().map(<[u8; 8]>::as_slice).chain(words);
        state.trace = parts.fold(state.trace, fnv);
    }

    pub(super) fn calls(&self) -> u64 {
        self.state().calls
    }

    pub(super) fn faults(&self) -> u64 {
        self.state().faults
    }

    /// Digest of all calls and answers so far, in their order.
    pub(super) fn trace(&self) -> u64 {
        self.state().trace
    }

    /// Moves the clock on without anything happening meanwhile.
    pub(super) fn jump(&self, seconds: u64) {
        self.jumped_s.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for Network {
    fn now_unix_s(&self) -> u64 {
        START_UNIX_S + self.jumped_s.load(Ordering::Relaxed) + self.now_ms() / 1000
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a of Fowler, Noll and Vo, 64 bits: enough to tell two runs apart, and nothing is secret.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
