//! Which backend holds which share of a put, and which one steps in when it fails.
//!
//! Within one dealing a backend is only ever sent one index, time-outs included, and of every zone,
//! operator, credential and host fewer than k indices ever count, those of failed backends among
//! them: nobody can prove that a copy was not kept.

use std::collections::BTreeMap;

use xorida_core::AccessStructure;

use crate::backend::{BackendError, BackendErrorKind};
use crate::error::Error;
use crate::journal::{Place, Sent};
use crate::placement::{self, FailureDomain, write_quorum};
use crate::store::sites::Site;

/// How many shares must be stored for a put to succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Happy {
    /// All n of them.
    #[default]
    All,
    /// At least so many: from max(min(k + 1, n), W), W being the write quorum, to n.
    AtLeast(u8),
    /// As many as reading and finding need, max(k, W): the object is stored and must be repaired.
    Degraded,
}

impl Happy {
    /// The number of shares.
    pub(crate) fn least(self, access: AccessStructure) -> Result<usize, Error> {
        let (k, n) = (access.threshold(), access.share_count());
        let quorum = write_quorum(k, n);
        let least_happy = usize::from(n.min(k + 1)).max(quorum);
        match self {
            Self::All => Ok(n.into()),
            Self::Degraded => Ok(usize::from(k).max(quorum)),
            Self::AtLeast(count) if (least_happy..=n.into()).contains(&count.into()) => {
                Ok(count.into())
            }
            Self::AtLeast(count) => Err(Error::Config(format!(
                "a put is happy with {least_happy} to {n} shares stored, not with {count}"
            ))),
        }
    }
}

/// A backend that takes part, and the names it is written under.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) site: Site,
    pub(super) place: Place,
}

impl Holder {
    pub(super) const fn domain(&self) -> &FailureDomain {
        &self.site.attached.domain
    }
}

/// One share of a put.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) index: u8,
    /// Who stores it; `None` when nobody does.
    pub(super) holder: Option<Holder>,
    /// Segments before this one went to a holder that failed.
    pub(super) lacks_before: u64,
    /// Whether the holder has the index object.
    pub(super) has_index: bool,
}

/// All shares of a put.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) slots: Vec<Slot>,
    /// Every index with the backend it was sent to, failed ones included.
    pub(super) sent: Vec<(u8, Holder)>,
    /// What went wrong at backends that failed.
    pub(super) failures: Vec<Error>,
    spares: Vec<Holder>,
    threshold: u8,
    least: usize,
}

impl Slots {
    /// Chooses among `backends`, which are in order of preference and of which some did not answer.
    ///
    /// With as many backends as shares, share i is that of backend i.
    ///
    /// # Errors
    /// As [`Slots::expect_enough`].
    pub(super) fn choose(
        access: AccessStructure,
        happy: Happy,
        backends: Vec<Result<Holder, BackendError>>,
    ) -> Result<Self, Error> {
        let (threshold, count) = (access.threshold(), usize::from(access.share_count()));
        let fixed = backends.len() == count;
        let mut there: BTreeMap<usize, Holder> = BTreeMap::new();
        let mut failures = Vec::new();
        for (at, backend) in backends.into_iter().enumerate() {
            match backend {
                Ok(holder) => _ = there.insert(at, holder),
                Err(failure) => failures.push(failure.into()),
            }
        }
        let places: Vec<usize> = there.keys().copied().collect();
        let domains: Vec<&FailureDomain> = there.values().map(Holder::domain).collect();
        let chosen = placement::choose(threshold, count, &domains);
        let chosen: Vec<usize> = chosen.into_iter().map(|at| places[at]).collect();
        let mut next = chosen.into_iter();
        let slot = |index: u8| {
            let at = if fixed {
                Some(usize::from(index))
            } else {
                next.next()
            };
            Slot {
                index,
                holder: at.and_then(|at| there.remove(&at)),
                lacks_before: 0,
                has_index: false,
            }
        };
        let slots: Vec<Slot> = (0..access.share_count()).map(slot).collect();
        let sent = slots
            .iter()
            .filter_map(|slot| Some((slot.index, slot.holder.clone()?)))
            .collect();
        let mut slots = Self {
            slots,
            sent,
            failures,
            spares: there.into_values().collect(),
            threshold,
            least: happy.least(access)?,
        };
        slots.expect_enough()?;
        Ok(slots)
    }

    /// The slots of a put that stopped: `sent` is what it sent to whom, the last of an index holds it,
    /// and `spares` were sent nothing.
    pub(super) fn taken_up(
        access: AccessStructure,
        happy: Happy,
        sent: Vec<(u8, Holder)>,
        spares: Vec<Holder>,
    ) -> Result<Self, Error> {
        let holder = |index: u8| sent.iter().rev().find(|(of, _)| *of == index);
        let slot = |index: u8| Slot {
            index,
            holder: holder(index).map(|(_, holder)| holder.clone()),
            lacks_before: 0,
            has_index: false,
        };
        let mut slots = Self {
            slots: (0..access.share_count()).map(slot).collect(),
            sent,
            failures: Vec::new(),
            spares,
            threshold: access.threshold(),
            least: happy.least(access)?,
        };
        slots.expect_enough()?;
        Ok(slots)
    }

    /// What is noted of `sent`.
    pub(super) fn noted(&self) -> Vec<Sent> {
        let sent = self.sent.iter();
        sent.map(|(index, holder)| Sent {
            index: *index,
            backend: holder.place.backend,
        })
        .collect()
    }

    /// Where a share is, or was last sent; its number when no backend was there for it.
    pub(super) fn label(&self, share: usize) -> &str {
        let index = self.slots[share].index;
        let sent = self.sent.iter().rev().find(|(sent, _)| *sent == index);
        sent.map_or("no backend", |(_, holder)| holder.site.label())
    }

    /// Slots with a holder.
    pub(super) fn held(&self) -> impl Iterator<Item = (&Slot, &Holder)> {
        self.slots
            .iter()
            .filter_map(|slot| Some((slot, slot.holder.as_ref()?)))
    }

    /// Every place that may be written to.
    pub(super) fn places(&self) -> Vec<Place> {
        let sent = self.sent.iter().map(|(_, holder)| holder);
        sent.chain(&self.spares)
            .map(|holder| holder.place.clone())
            .collect()
    }

    /// Every place that was written to, or may have been.
    pub(super) fn sent_places(&self) -> Vec<Place> {
        let places = self.sent.iter().map(|(_, holder)| holder.place.clone());
        places.collect()
    }

    /// Takes a share from its holder, which failed, and gives it to a spare that may have it. The
    /// new holder lacks every segment before `next`.
    ///
    /// # Errors
    /// As [`Slots::expect_enough`].
    pub(super) fn lose(&mut self, share: usize, next: u64, failure: Error) -> Result<(), Error> {
        self.failures.push(failure);
        let index = self.slots[share].index;
        let fits = |spare: &Holder| {
            let sent = self
                .sent
                .iter()
                .map(|(index, holder)| (*index, holder.domain()));
            let held: Vec<(u8, &FailureDomain)> = sent.chain([(index, spare.domain())]).collect();
            placement::check(self.threshold, &held).is_empty()
        };
        let spare = self.spares.iter().position(fits);
        let holder = spare.map(|at| self.spares.remove(at));
        self.sent
            .extend(holder.iter().map(|holder| (index, holder.clone())));
        self.slots[share] = Slot {
            index,
            holder,
            lacks_before: next,
            has_index: false,
        };
        self.expect_enough()
    }

    /// # Errors
    /// [`Error::InsufficientBackends`] with what every failed backend said when fewer shares than
    /// wanted have a holder. A single backend that is full, refuses, or stores something else is an
    /// error of its own, because what helps is to be done there.
    fn expect_enough(&mut self) -> Result<(), Error> {
        let available = self.held().count();
        if available >= self.least {
            return Ok(());
        }
        let mut failures = std::mem::take(&mut self.failures);
        if failures.len() == 1 && failures.iter().all(is_its_own) {
            return Err(failures.remove(0));
        }
        Err(Error::InsufficientBackends {
            needed: self.least,
            available,
            failures: failures
                .into_iter()
                .filter_map(Error::into_backend)
                .collect(),
        })
    }
}

/// Whether waiting does not help, but doing something at this backend does.
const fn is_its_own(failure: &Error) -> bool {
    match failure {
        Error::Backend(failure) => matches!(
            failure.kind,
            BackendErrorKind::AuthFailed | BackendErrorKind::QuotaExceeded
        ),
        Error::ShareUpload { .. } => true,
        _ => false,
    }
}
