//! When to kill: uniformly over a run, most of the time before it is acknowledged.

use std::time::Duration;

use crate::random::Random;

/// After a kill that came too late the horizon shrinks, after any other it grows. Both balance where
/// one kill in twelve is late: ln(1.02) / (ln(1.02) - ln(0.8)) = 0.08.
const AFTER_LATE: f64 = 0.8;
const AFTER_EARLY: f64 = 1.02;

/// Delays of one kind of run; they follow the speed of the machine.
#[derive(Debug)]
pub(super) struct Schedule {
    horizon: Duration,
}

impl Schedule {
    /// `duration` is that of a run nobody disturbed.
    pub(super) fn new(duration: Duration) -> Self {
        Self { horizon: duration }
    }

    pub(super) fn draw(&self, random: &mut Random) -> Duration {
        self.horizon.mul_f64(random.unit())
    }

    /// Takes note of whether the kill came after the acknowledgement.
    pub(super) fn observe(&mut self, late: bool) {
        let factor = if late { AFTER_LATE } else { AFTER_EARLY };
        self.horizon = self.horizon.mul_f64(factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_settle_before_the_end_from_either_side() {
        const RUN: Duration = Duration::from_millis(100);
        for start in [RUN / 5, RUN * 5] {
            let mut random = Random::new(1);
            let mut schedule = Schedule::new(start);
            let mut late = 0;
            for number in 0..1100 {
                let is_late = schedule.draw(&mut random) > RUN;
                schedule.observe(is_late);
                late += u32::from(is_late && number >= 100);
            }
            assert!((40..140).contains(&late), "{late} of 1000 late");
        }
    }
}
