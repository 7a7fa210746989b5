//! From a consent and a request to the one value that splitting and retrieving accept.
//!
//! [`authorize`] is the only source of an [`Authorization`]. It takes the clock as an argument,
//! draws nothing and writes nothing: with bad consent there is no later step to stop.

use jiff::{SignedDuration, Timestamp};

use crate::consent::ConsentRecord;
use crate::error::{ConfigProblem, ConfigReason, Error, Refusal};
use crate::jurisdiction::JurisdictionCode;

/// How far a clock may differ from the clock that wrote the consent, or step back under an
/// authorisation.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// How long an authorisation holds before it must be renewed.
pub const AUTHORIZATION_LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// What somebody wants to do with one object.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The object that is read; `None` for a deposit, which makes one object that has no id yet.
    pub object_id: Option<[u8; 32]>,
    /// What is done with it.
    pub usage: &'a Use,
    /// What for; `None` means the consent's own purpose. Compared byte for byte.
    pub purpose: Option<&'a str>,
}

/// What is done with an object, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Use {
    /// Split it, one share to each jurisdiction.
    Deposit {
        /// Every jurisdiction that gets a share.
        jurisdictions: Vec<JurisdictionCode>,
    },
    /// Read it from the shares of these jurisdictions.
    Retrieve {
        /// Every jurisdiction that is asked.
        from: Vec<JurisdictionCode>,
    },
}

impl Use {
    /// The jurisdictions concerned.
    #[must_use]
    pub fn jurisdictions(&self) -> &[JurisdictionCode] {
        match self {
            Self::Deposit { jurisdictions } => jurisdictions,
            Self::Retrieve { from } => from,
        }
    }
}

/// Proof that a consent permits one use of one object, for a short while.
///
/// It holds the consent itself, not a digest of it: a digest of so short a text would let anybody
/// who sees it test guesses at the subject.
///
/// It cannot be copied, so one permission serves one operation:
/// ```compile_fail,E0599
/// fn twice(once: &genomicshare::Authorization) -> genomicshare::Authorization {
///     once.clone()
/// }
/// ```
/// It is moved into the operation that uses it up:
/// ```compile_fail,E0382
/// fn deposit(_: genomicshare::Authorization) {}
/// fn twice(once: genomicshare::Authorization) {
///     deposit(once);
///     deposit(once);
/// }
/// ```
/// And nobody but [`authorize`] can make one:
/// ```compile_fail,E0451
/// fn forge(
///     usage: genomicshare::Use,
///     consent: genomicshare::ConsentRecord,
///     now: jiff::Timestamp,
/// ) -> genomicshare::Authorization {
///     genomicshare::Authorization {
///         usage,
///         object_id: None,
///         consent,
///         authorized_at: now,
///         not_after: now,
///     }
/// }
/// ```
#[derive(Debug)]
#[must_use = "an authorisation permits one operation; hand it over"]
pub struct Authorization {
    usage: Use,
    object_id: Option<[u8; 32]>,
    consent: ConsentRecord,
    authorized_at: Timestamp,
    not_after: Timestamp,
}

/// Permits `request` if `consent` covers it at the time `now`.
///
/// # Errors
/// [`Error::Refused`] with the first of: [`Refusal::ConsentNotYetGranted`] (more than
/// [`CLOCK_TOLERANCE`] ahead), [`Refusal::ConsentExpired`], [`Refusal::PurposeNotPermitted`],
/// [`Refusal::JurisdictionMismatch`] naming every missing code; [`Error::Config`] for a request
/// without any jurisdiction, which would permit nothing and look like a permission.
pub fn authorize(
    consent: &ConsentRecord,
    request: Request<'_>,
    now: Timestamp,
) -> Result<Authorization, Error> {
    if request.usage.jurisdictions().is_empty() {
        return Err(ConfigProblem::new("jurisdictions of the request", ConfigReason::Empty).into());
    }
    if let Some(refusal) = refusals(consent, request, now).into_iter().next() {
        return Err(refusal.into());
    }
    Ok(Authorization {
        usage: request.usage.clone(),
        object_id: request.object_id,
        consent: consent.clone(),
        authorized_at: now,
        not_after: not_after(consent, now),
    })
}

impl Authorization {
    /// What is permitted.
    #[must_use]
    pub fn usage(&self) -> &Use {
        &self.usage
    }

    /// The object it is permitted for; `None` for the one that a deposit makes.
    #[must_use]
    pub fn object_id(&self) -> Option<&[u8; 32]> {
        self.object_id.as_ref()
    }

    /// The consent that permits it.
    #[must_use]
    pub fn consent(&self) -> &ConsentRecord {
        &self.consent
    }

    /// First instant at which the permission no longer holds.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Checks again, as is due before the last rename makes the result visible.
    ///
    /// # Errors
    /// [`Refusal::ConsentExpired`] once the consent has ended, [`Refusal::AuthorizationLapsed`]
    /// once the permission has, or when the clock stands more than [`CLOCK_TOLERANCE`] before the
    /// time at which it was given.
    pub fn still_valid(&self, now: Timestamp) -> Result<(), Error> {
        if let Some(refusal) = period_refusal(&self.consent, now) {
            return Err(refusal.into());
        }
        let set_back = self.authorized_at.duration_since(now) > CLOCK_TOLERANCE;
        if set_back || now >= self.not_after {
            return Err(Refusal::AuthorizationLapsed {
                from: self.authorized_at,
                until: self.not_after,
                now,
            }
            .into());
        }
        Ok(())
    }

    /// Extends the permission for an operation that outlives [`AUTHORIZATION_LIFETIME`]. Purpose
    /// and jurisdictions cannot have changed since, so only the time is checked.
    ///
    /// # Errors
    /// As [`Authorization::still_valid`]: a permission that has lapsed stays lapsed.
    pub fn renew(&mut self, now: Timestamp) -> Result<(), Error> {
        self.still_valid(now)?;
        self.authorized_at = self.authorized_at.max(now);
        self.not_after = not_after(&self.consent, self.authorized_at);
        Ok(())
    }
}

/// Everything in `consent` that speaks against `request`, in the order [`authorize`] reports it.
pub(crate) fn refusals(
    consent: &ConsentRecord,
    request: Request<'_>,
    now: Timestamp,
) -> Vec<Refusal> {
    let fields = consent.fields();
    let mut refusals: Vec<Refusal> = period_refusal(consent, now).into_iter().collect();
    if request.purpose.is_some_and(|asked| asked != fields.purpose) {
        refusals.push(Refusal::PurposeNotPermitted);
    }
    let missing: Vec<JurisdictionCode> = request
        .usage
        .jurisdictions()
        .iter()
        .copied()
        .filter(|code| !fields.authorized_jurisdictions.contains(code))
        .collect();
    if !missing.is_empty() {
        refusals.push(Refusal::JurisdictionMismatch { missing });
    }
    refusals
}

fn period_refusal(consent: &ConsentRecord, now: Timestamp) -> Option<Refusal> {
    let granted_at = consent.fields().granted_at;
    if granted_at.duration_since(now) > CLOCK_TOLERANCE {
        return Some(Refusal::ConsentNotYetGranted { granted_at, now });
    }
    let expired_at = consent.fields().expires_at.filter(|end| now >= *end)?;
    Some(Refusal::ConsentExpired { expired_at, now })
}

/// The end of the consent or of the lifetime, whichever comes first.
fn not_after(consent: &ConsentRecord, now: Timestamp) -> Timestamp {
    let lapses = now
        .checked_add(AUTHORIZATION_LIFETIME)
        .unwrap_or(Timestamp::MAX);
    consent
        .fields()
        .expires_at
        .map_or(lapses, |end| end.min(lapses))
}
