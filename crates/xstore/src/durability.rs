//! How likely a year costs an object, computed from what is assumed about its backends.
//!
//! No store can know its durability, and a figure without its assumptions is advertising. So every
//! assumption is an argument, and the result names the one that caps it.
//!
//! The model is a Markov chain over the backends that have lost their shares. A backend loses its
//! share at a constant rate; shares are restored one at a time, whichever is lost with equal chance;
//! the object is lost once fewer than k shares are left. Backends with equal rates are
//! interchangeable, so a state is a count for each rate: with one rate that is a birth-death chain,
//! with n rates all subsets.
//!
//! The chain is solved for the year by uniformisation (A. Jensen, Skandinavisk Aktuarietidskrift 36,
//! 1953): the number of events is Poisson, and each moves the state by one matrix. All terms are
//! positive and the lost probability is summed by itself, never as one minus what is left, so that
//! 1e-20 comes out as exactly as 0.5.

use std::time::Duration;

use xorida_core::AccessStructure;

use crate::error::Error;

/// The most nines reported. Beyond, events that no model of backends has decide.
pub const MAX_NINES: f64 = 20.0;

const YEAR_S: f64 = 31_557_600.0;

/// All subsets of twelve backends; about a second of work.
const MAX_STATES: u32 = 1 << 12;

/// Expected events of one stretch: its Poisson weights start at `exp(-500)`, far above underflow.
const STRETCH_EVENTS: f64 = 500.0;

/// Relative change between stretches below which the hazard is constant.
const STEADY: f64 = 1e-10;

/// What is assumed about backends and operation. Nothing in here is measured by this program.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Assumptions {
    /// For each backend, the probability that it loses its share within a year; between 0 and 1,
    /// both excluded.
    pub share_loss: Vec<f64>,
    /// Mean time to restore one share once its loss is known; above zero.
    pub repair: Duration,
    /// Time between two checks. A loss is counted as noticed at the end of its interval; zero means
    /// at once.
    pub check: Duration,
    /// Probability that one cause destroys more shares than may be lost, within a year; between 0
    /// and 1, both excluded. `None` leaves such causes out of the figure.
    pub common_cause: Option<f64>,
}

impl Assumptions {
    /// Losses noticed at once, and no common cause.
    #[must_use]
    pub fn new(share_loss: Vec<f64>, repair: Duration) -> Self {
        Self {
            share_loss,
            repair,
            check: Duration::ZERO,
            common_cause: None,
        }
    }
}

/// What follows from [`Assumptions`] for one object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Durability {
    object_loss: f64,
    common_cause: Option<f64>,
    fatal_losses: u8,
}

impl Durability {
    /// Solves the model for an object of `access`.
    ///
    /// # Errors
    /// [`Error::Config`] if an assumption is out of its range, if there is not one loss for each
    /// share, or if the backends differ so much that the chain has more than 4096 states, which
    /// twelve different rates have.
    pub fn try_new(access: AccessStructure, assumptions: &Assumptions) -> Result<Self, Error> {
        let share_count = access.share_count();
        if assumptions.share_loss.len() != usize::from(share_count) {
            return Err(Error::Config(format!(
                "{} losses are given for {share_count} backends",
                assumptions.share_loss.len()
            )));
        }
        if assumptions.repair.is_zero() {
            return Err(Error::Config("a repair takes no time".into()));
        }
        for &loss in assumptions
            .share_loss
            .iter()
            .chain(&assumptions.common_cause)
        {
            require_probability(loss)?;
        }
        let fatal_losses = share_count - access.threshold() + 1;
        let restore = assumptions.repair.saturating_add(assumptions.check);
        let independent = Chain::new(
            &Class::of(&assumptions.share_loss)?,
            u32::from(fatal_losses),
            YEAR_S / restore.as_secs_f64(),
        )
        .lost_within_a_year();
        let common = assumptions.common_cause.unwrap_or(0.0);
        Ok(Self {
            object_loss: (common + independent * (1.0 - common)).min(1.0),
            common_cause: assumptions.common_cause,
            fatal_losses,
        })
    }

    /// Probability that a year costs the object.
    #[must_use]
    pub fn object_loss(&self) -> f64 {
        self.object_loss
    }

    /// The same as a count of nines, at most [`MAX_NINES`]; the model supports one decimal.
    #[must_use]
    pub fn nines(&self) -> f64 {
        nines(self.object_loss)
    }

    /// Part of the lost years in which the common cause struck; zero when none is assumed.
    #[must_use]
    pub fn common_cause_share(&self) -> f64 {
        self.common_cause
            .map_or(0.0, |common| common / self.object_loss)
    }

    /// The assumption that caps the figure, in one sentence.
    #[must_use]
    pub fn caveat(&self) -> String {
        let fatal = self.fatal_losses;
        match self.common_cause {
            None => format!(
                "holds only if no administrator, credential or operator can destroy {fatal} of the \
                 shares; the chance that one does caps the figure and is not in it"
            ),
            Some(common) if self.common_cause_share() >= 0.5 => format!(
                "capped at {:.1} nines by the assumed common cause, one administrator, credential or \
                 operator that destroys {fatal} of the shares; no backend and no repair raises it",
                nines(common)
            ),
            Some(_) => {
                "holds only if backends lose their shares independently, but for the assumed \
                        common cause"
                    .into()
            }
        }
    }
}

fn nines(probability: f64) -> f64 {
    probability.recip().log10().min(MAX_NINES)
}

fn require_probability(value: f64) -> Result<(), Error> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(Error::Config(format!(
        "a probability must lie between 0 and 1, both excluded; {value} does not"
    )))
}

/// Backends of one rate. A state is a number whose digits, one for each class, count the lost ones.
#[derive(Debug)]
struct Class {
    /// Losses of one backend per year.
    rate: f64,
    count: u32,
    /// Place value of the digit.
    stride: u32,
}

impl Class {
    fn of(share_loss: &[f64]) -> Result<Vec<Self>, Error> {
        let mut sorted = share_loss.to_vec();
        sorted.sort_by(f64::total_cmp);
        let mut classes: Vec<Self> = Vec::new();
        for loss in sorted {
            let rate = -(-loss).ln_1p();
            match classes.last_mut() {
                Some(class) if class.rate == rate => class.count += 1,
                _ => classes.push(Self {
                    rate,
                    count: 1,
                    stride: 1,
                }),
            }
        }
        let mut states: u32 = 1;
        for class in &mut classes {
            class.stride = states;
            states = states
                .checked_mul(class.count + 1)
                .filter(|states| *states <= MAX_STATES)
                .ok_or_else(|| {
                    Error::Config(format!(
                        "the backends differ too much: the model has more than {MAX_STATES} states; \
                         give like backends the same loss"
                    ))
                })?;
        }
        Ok(classes)
    }

    fn lost(&self, state: u32) -> u32 {
        state / self.stride % (self.count + 1)
    }
}

/// One way on from a state at an event.
#[derive(Debug)]
struct Jump {
    from: u32,
    to: u32,
    /// Per year while the chain is built, then the chance at an event.
    weight: f64,
}

/// The uniformised chain; its last state is the lost object.
#[derive(Debug)]
struct Chain {
    jumps: Vec<Jump>,
    /// For each state, the chance that an event changes nothing.
    stay: Vec<f64>,
    events_per_year: f64,
    fatal_losses: u32,
}

impl Chain {
    fn new(classes: &[Class], fatal_losses: u32, repairs_per_year: f64) -> Self {
        let object_lost = classes.iter().map(|class| class.count + 1).product();
        let mut jumps = Vec::new();
        for from in 0..object_lost {
            let lost: u32 = classes.iter().map(|class| class.lost(from)).sum();
            if lost >= fatal_losses {
                continue;
            }
            for class in classes {
                let here = class.lost(from);
                if here < class.count {
                    let to = if lost + 1 < fatal_losses {
                        from + class.stride
                    } else {
                        object_lost
                    };
                    let weight = f64::from(class.count - here) * class.rate;
                    jumps.push(Jump { from, to, weight });
                }
                if here > 0 {
                    let to = from - class.stride;
                    let weight = repairs_per_year * f64::from(here) / f64::from(lost);
                    jumps.push(Jump { from, to, weight });
                }
            }
        }
        Self::uniformised(jumps, object_lost, fatal_losses)
    }

    /// Turns rates into chances at the events of a Poisson process as fast as the fastest state.
    fn uniformised(mut jumps: Vec<Jump>, object_lost: u32, fatal_losses: u32) -> Self {
        let mut exit = vec![0.0; object_lost as usize + 1];
        for jump in &jumps {
            exit[jump.from as usize] += jump.weight;
        }
        let events_per_year = exit.iter().copied().fold(0.0, f64::max);
        for jump in &mut jumps {
            jump.weight /= events_per_year;
        }
        // The one subtraction. Its error is a rounding of the event rate, whatever it leaves.
        let stay = exit
            .iter()
            .map(|exit| (events_per_year - exit) / events_per_year)
            .collect();
        Self {
            jumps,
            stay,
            events_per_year,
            fatal_losses,
        }
    }

    /// Goes through the year in stretches. Once the chance to be lost in a stretch, given survival
    /// until then, no longer changes, it holds for all stretches left: a repair within seconds costs
    /// no more than one within weeks.
    fn lost_within_a_year(&self) -> f64 {
        let mut left = (self.events_per_year / STRETCH_EVENTS).ceil();
        let events = self.events_per_year / left;
        let mut state = vec![0.0; self.stay.len()];
        state[0] = 1.0;
        let (mut lost, mut alive) = (0.0, 1.0);
        let (mut hazard, mut hazard_before) = (f64::NAN, f64::NAN);
        while left > 0.0 {
            if (hazard - hazard_before).abs() <= STEADY * hazard {
                return lost - alive * (left * (-hazard).ln_1p()).exp_m1();
            }
            state = self.after(state, events);
            let lost_now = state.last_mut().map_or(0.0, std::mem::take);
            hazard_before = hazard;
            hazard = f64::min(lost_now / alive, 1.0);
            lost += lost_now;
            alive = state.iter().sum();
            left -= 1.0;
        }
        lost
    }

    /// The distribution after a time in which `events` are expected.
    fn after(&self, mut state: Vec<f64>, events: f64) -> Vec<f64> {
        // The object cannot be lost in fewer events, so before them no term says how small the rest is.
        let least = events + f64::from(self.fatal_losses);
        let mut weight = (-events).exp();
        let mut after: Vec<f64> = state.iter().map(|chance| weight * chance).collect();
        let mut count = 0.0;
        let mut settled = false;
        while !settled {
            state = self.at_event(&state);
            count += 1.0;
            weight *= events / count;
            settled = count > least;
            for (sum, chance) in after.iter_mut().zip(&state) {
                let term = weight * chance;
                *sum += term;
                settled &= term <= f64::EPSILON * *sum;
            }
        }
        after
    }

    fn at_event(&self, state: &[f64]) -> Vec<f64> {
        let mut next: Vec<f64> = state
            .iter()
            .zip(&self.stay)
            .map(|(p, stay)| p * stay)
            .collect();
        for jump in &self.jumps {
            next[jump.to as usize] += state[jump.from as usize] * jump.weight;
        }
        next
    }
}

#[cfg(test)]
mod tests;
