//! `Latency`: how quickly one backend answered lately.
//!
//! Whoever chooses between backends, or wonders whether a second request pays, compares with what
//! this very backend usually takes: no fixed number fits a folder and an archive alike.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Answers that are remembered.
const WINDOW: usize = 64;

/// Share of an answer in the moving average: an eighth, so that about the last ten count.
const EWMA_DIVISOR: u32 = 8;

/// The durations of a backend's last 64 answers.
#[derive(Debug, Default)]
pub struct Latency(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    window: VecDeque<Duration>,
    ewma: Option<Duration>,
}

impl Latency {
    /// Remembers one answer and forgets the 65th last.
    pub fn record(&self, took: Duration) {
        let mut recent = self.recent();
        recent.window.truncate(WINDOW - 1);
        recent.window.push_front(took);
        recent.ewma = Some(match recent.ewma {
            None => took,
            Some(ewma) => ewma - ewma / EWMA_DIVISOR + took / EWMA_DIVISOR,
        });
    }

    /// What 95 % of the remembered answers took at most (nearest rank); `None` before the first.
    #[must_use]
    pub fn p95(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.recent().window.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * 95).div_ceil(100);
        sorted.get(rank.checked_sub(1)?).copied()
    }

    /// Exponentially weighted moving average of all answers; `None` before the first.
    #[must_use]
    pub fn ewma(&self) -> Option<Duration> {
        self.recent().ewma
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        let latency = Latency::default();
        assert_eq!((latency.p95(), latency.ewma()), (None, None));
        latency.record(ms(7));
        assert_eq!(latency.p95(), Some(ms(7)));
        assert_eq!(latency.ewma(), Some(ms(7)));
    }

    #[test]
    fn p95_is_the_nearest_rank_of_the_last_64() {
        let latency = Latency::default();
        for i in (1..=20).rev() {
            latency.record(ms(i));
        }
        assert_eq!(latency.p95(), Some(ms(19)));
        for _ in 0..61 {
            latency.record(ms(100));
        }
        for _ in 0..3 {
            latency.record(ms(900));
        }
        assert_eq!(latency.p95(), Some(ms(100)), "three of 64 are the tail");
        latency.record(ms(900));
        assert_eq!(latency.p95(), Some(ms(900)));
        for _ in 0..64 {
            latency.record(ms(5));
        }
        assert_eq!(latency.p95(), Some(ms(5)), "what is older is forgotten");
    }

    #[test]
    fn the_average_follows_slowly() {
        let latency = Latency::default();
        latency.record(ms(80));
        latency.record(ms(160));
        assert_eq!(latency.ewma(), Some(ms(90)));
        for _ in 0..100 {
            latency.record(ms(160));
        }
        assert!(latency.ewma().unwrap() > ms(159));
    }
}
