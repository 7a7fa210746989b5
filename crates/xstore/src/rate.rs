//! `Rate`: bytes per second, never zero, so that every length has a time.

use std::num::NonZeroU64;
use std::time::Duration;

/// Bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(NonZeroU64);

impl Rate {
    /// `None` for 0, at which nothing would ever pass.
    #[must_use]
    pub const fn try_new(bytes_per_s: u64) -> Option<Self> {
        match NonZeroU64::new(bytes_per_s) {
            Some(rate) => Some(Self(rate)),
            None => None,
        }
    }

    /// Bytes per second.
    #[must_use]
    pub const fn bytes_per_s(self) -> u64 {
        self.0.get()
    }

    /// How long `len_bytes` take, to the nanosecond below.
    #[must_use]
    pub fn time_for(self, len_bytes: u64) -> Duration {
        let nanos = u128::from(len_bytes) * 1_000_000_000 / u128::from(self.0.get());
        Duration::from_nanos_u128(nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_takes_its_time() {
        assert!(Rate::try_new(0).is_none());
        let rate = Rate::try_new(1000).unwrap();
        assert_eq!(rate.time_for(0), Duration::ZERO);
        assert_eq!(rate.time_for(1), Duration::from_millis(1));
        assert_eq!(rate.time_for(2500), Duration::from_millis(2500));
        let slowest = Rate::try_new(1).unwrap();
        assert_eq!(slowest.time_for(u64::MAX), Duration::from_secs(u64::MAX));
        let fastest = Rate::try_new(u64::MAX).unwrap();
        assert_eq!(fastest.time_for(u64::MAX), Duration::from_secs(1));
    }
}
