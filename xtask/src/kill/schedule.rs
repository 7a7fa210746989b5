//! When to kill: uniformly over a run, or uniformly over one stage that it tells of, because some
//! stages are so short that few moments of the run fall into them.

use std::time::Duration;

use crate::random::Random;

/// After a kill that came too late the delays shrink, after any other they grow. Both balance where
/// one kill in twelve is late: ln(1.02) / (ln(1.02) - ln(0.8)) = 0.08.
const AFTER_LATE: f64 = 0.8;
const AFTER_EARLY: f64 = 1.02;

/// A run nobody disturbed.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) duration: Duration,
    /// The stages that it told, and when, since its start.
    pub(super) stages: Vec<(String, Duration)>,
}

/// When one run is killed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// So long after its start.
    AfterStart(Duration),
    /// So long after it told this stage.
    AfterStage(String, Duration),
}

/// Moments of one kind of run; they follow the speed of the machine.
#[derive(Debug)]
pub(super) struct Schedule {
    undisturbed: Timeline,
    /// How long anything takes now, as a part of what it took undisturbed.
    scale: f64,
}

impl Schedule {
    pub(super) fn new(undisturbed: Timeline) -> Self {
        Self {
            undisturbed,
            scale: 1.0,
        }
    }

    /// A moment of the whole run; where there are stages, every other time one of a stage, each stage
    /// as often as the next.
    pub(super) fn draw(&self, random: &mut Random) -> Moment {
        let stages = &self.undisturbed.stages;
        if stages.is_empty() || random.below(2) == 0 {
            return Moment::AfterStart(self.delay(self.undisturbed.duration, random));
        }
        let at = random.below(stages.len());
        let (name, begin) = &stages[at];
        let end = stages
            .get(at + 1)
            .map_or(self.undisturbed.duration, |next| next.1);
        let len = end.saturating_sub(*begin);
        Moment::AfterStage(name.clone(), self.delay(len, random))
    }

    fn delay(&self, longest: Duration, random: &mut Random) -> Duration {
        longest.mul_f64(self.scale * random.unit())
    }

    /// Takes note of whether the kill came after the acknowledgement.
    pub(super) fn observe(&mut self, late: bool) {
        self.scale *= if late { AFTER_LATE } else { AFTER_EARLY };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Duration = Duration::from_millis(100);

    fn schedule(duration: Duration, stages: &[(&str, Duration)]) -> Schedule {
        let stages = stages.iter().map(|(name, at)| ((*name).to_owned(), *at));
        Schedule::new(Timeline {
            duration,
            stages: stages.collect(),
        })
    }

    #[test]
    fn kills_settle_before_the_end_from_either_side() {
        for start in [RUN / 5, RUN * 5] {
            let mut random = Random::new(1);
            let mut schedule = schedule(start, &[]);
            let mut late = 0;
            for number in 0..1100 {
                let moment = schedule.draw(&mut random);
                let is_late = moment > Moment::AfterStart(RUN);
                schedule.observe(is_late);
                late += u32::from(is_late && number >= 100);
            }
            assert!((40..140).contains(&late), "{late} of 1000 late");
        }
    }

    #[test]
    fn a_short_stage_is_drawn_as_often_as_a_long_one() {
        let schedule = schedule(RUN, &[("long", RUN / 10), ("short", RUN * 98 / 100)]);
        let mut random = Random::new(1);
        let (mut start, mut long, mut short) = (0, 0, 0);
        for _ in 0..1000 {
            match schedule.draw(&mut random) {
                Moment::AfterStart(_) => start += 1,
                Moment::AfterStage(name, delay) if name == "long" => {
                    assert!(delay < RUN * 88 / 100);
                    long += 1;
                }
                Moment::AfterStage(_, delay) => {
                    assert!(delay < RUN * 2 / 100);
                    short += 1;
                }
            }
        }
        for (count, about) in [(start, 500), (long, 250), (short, 250)] {
            assert!(
                (about - 60..about + 60).contains(&count),
                "{count} of {about}"
            );
        }
    }
}
