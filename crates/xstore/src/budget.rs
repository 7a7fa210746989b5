//! `Budget`: extra requests as a share of the ordinary ones.
//!
//! A retry or a second copy of a request helps against one bad answer. Against a backend that
//! answers badly to everything it multiplies the load, so whoever makes extra requests has to earn
//! them with ordinary ones.

use std::sync::{Mutex, PoisonError};

/// How much may be spent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Extra requests earned by a hundred ordinary ones.
    pub(crate) percent: u32,
    /// Extra requests that may be saved up; so many are there at the start.
    pub(crate) reserve: u32,
}

/// A bucket of extra requests.
#[derive(Debug)]
pub(crate) struct Budget {
    allowance: Allowance,
    /// In hundredths of a request.
    saved: Mutex<u32>,
}

/// One extra request in the unit of [`Budget::saved`].
const WHOLE: u32 = 100;

impl Budget {
    pub(crate) const fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            saved: Mutex::new(allowance.reserve * WHOLE),
        }
    }

    /// An ordinary request is made.
    pub(crate) fn earn(&self) {
        let Allowance { percent, reserve } = self.allowance;
        self.change(|saved| Some((saved + percent).min(reserve * WHOLE)));
    }

    /// Takes one extra request; false when none is left.
    pub(crate) fn spend(&self) -> bool {
        self.change(|saved| saved.checked_sub(WHOLE))
    }

    fn change(&self, new: impl FnOnce(u32) -> Option<u32>) -> bool {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = new(*saved);
        *saved = changed.unwrap_or(*saved);
        changed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_earned_first() {
        let budget = Budget::new(Allowance {
            percent: 10,
            reserve: 2,
        });
        assert!(budget.spend() && budget.spend());
        assert!(!budget.spend());
        for _ in 0..9 {
            budget.earn();
        }
        assert!(!budget.spend());
        budget.earn();
        assert!(budget.spend() && !budget.spend());
        for _ in 0..1000 {
            budget.earn();
        }
        let saved = std::iter::repeat_with(|| budget.spend());
        assert_eq!(saved.take_while(|spent| *spent).count(), 2);
    }
}
