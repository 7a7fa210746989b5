//! The faults of the matrix: what servers, networks, media and operators do to objects.

use std::time::Duration;

use xstore::ids::StoreTag;
use xstore::{BackendErrorKind, names, testing};

use crate::world::{Objects, World};

/// One kind of fault, for as long as an operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Unavailable,
    NoAnswer,
    AnswersLate,
    Slow,
    AccessRefused,
    CredentialsExpire,
    RateLimited,
    QuotaExceeded,
    MediumFails,
    ReadOnly,
    PartialWriteAcknowledged,
    TornWrite,
    LostWrite,
    MisdirectedWrite,
    BitFlip,
    IdentityBitFlip,
    Truncation,
    Extension,
    StaleRead,
    StaleListing,
    WrongObject,
    DeliveredTwice,
    DeletionIgnored,
    ClockAhead,
    AnswerLost,
    ListingOmits,
    ObjectsGone,
    ObjectsSwapped,
    OldStateRestored,
}

const ALL_CALLS: std::ops::Range<u64> = 0..u64::MAX;

/// Calls that succeed before credentials expire: within every operation.
const CALLS_BEFORE: u64 = 3;

/// What is left of a write that was torn.
const TORN_LEN: usize = 40;

/// So many writes are torn: more than any operation here makes.
const TORN_WRITES: u64 = 64;

impl Fault {
    pub(crate) const ALL: [Self; 29] = [
        Self::Unavailable,
        Self::NoAnswer,
        Self::AnswersLate,
        Self::Slow,
        Self::AccessRefused,
        Self::CredentialsExpire,
        Self::RateLimited,
        Self::QuotaExceeded,
        Self::MediumFails,
        Self::ReadOnly,
        Self::PartialWriteAcknowledged,
        Self::TornWrite,
        Self::LostWrite,
        Self::MisdirectedWrite,
        Self::BitFlip,
        Self::IdentityBitFlip,
        Self::Truncation,
        Self::Extension,
        Self::StaleRead,
        Self::StaleListing,
        Self::WrongObject,
        Self::DeliveredTwice,
        Self::DeletionIgnored,
        Self::ClockAhead,
        Self::AnswerLost,
        Self::ListingOmits,
        Self::ObjectsGone,
        Self::ObjectsSwapped,
        Self::OldStateRestored,
    ];

    /// What it is, as the table says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::NoAnswer => "accepts and never answers",
            Self::AnswersLate => "done, answered too late",
            Self::Slow => "20 s for each call",
            Self::AccessRefused => "access refused",
            Self::CredentialsExpire => "credentials expire meanwhile",
            Self::RateLimited => "asks to slow down",
            Self::QuotaExceeded => "no space left",
            Self::MediumFails => "objects cannot be read (EIO)",
            Self::ReadOnly => "read-only",
            Self::PartialWriteAcknowledged => "part of a write acknowledged",
            Self::TornWrite => "torn write, with an error",
            Self::LostWrite => "acknowledged and lost",
            Self::MisdirectedWrite => "write over another object",
            Self::BitFlip => "bit flipped",
            Self::IdentityBitFlip => "bit flipped of the identity",
            Self::Truncation => "object truncated",
            Self::Extension => "object extended",
            Self::StaleRead => "stale reads",
            Self::StaleListing => "stale listings",
            Self::WrongObject => "another object read",
            Self::DeliveredTwice => "write delivered twice",
            Self::DeletionIgnored => "deletion ignored",
            Self::ClockAhead => "clock a day ahead",
            Self::AnswerLost => "done, connection lost",
            Self::ListingOmits => "listings are empty",
            Self::ObjectsGone => "all objects gone",
            Self::ObjectsSwapped => "two objects swapped",
            Self::OldStateRestored => "restored from an old backup",
        }
    }

    /// Whether what was good at a backend may be bad for ever.
    pub(crate) const fn destroys(self) -> bool {
        matches!(
            self,
            Self::MisdirectedWrite
                | Self::ObjectsGone
                | Self::ObjectsSwapped
                | Self::OldStateRestored
        )
    }

    /// Whether shares that a deletion should find are not listed: they are left to a collector.
    pub(crate) const fn hides_shares(self) -> bool {
        matches!(self, Self::StaleListing | Self::ListingOmits)
    }

    /// Comes over the backends `at`; each held `old` when the object had its first version.
    pub(crate) async fn comes(self, world: &World, at: &[usize], old: &[Objects]) {
        for &at in at {
            match self {
                Self::ObjectsGone => world.replace(at, Objects::new()).await,
                Self::OldStateRestored => world.replace(at, old[at].clone()).await,
                Self::ObjectsSwapped => {
                    let swapped = swapped(world.objects(at).await);
                    world.replace(at, swapped).await;
                }
                _ => world.plans[at].set(self.plan(world.tag())),
            }
        }
    }

    /// What happens to calls and to what is read; the identity of the backend is read all the same,
    /// or nothing else would be.
    fn plan(self, tag: StoreTag) -> Vec<testing::Fault> {
        use testing::Fault as F;
        let (calls, effects) = (ALL_CALLS, ALL_CALLS);
        let fails = |calls, kind| F::FailCalls { calls, kind };
        let contents = || [names::dealings(tag), names::manifests(tag)];
        let of_contents = |fault: fn(String) -> F| contents().map(fault).to_vec();
        let one = match self {
            Self::Unavailable => fails(calls, BackendErrorKind::Unavailable),
            Self::NoAnswer => F::Stall { calls },
            Self::AnswersLate => F::LoseAnswers {
                effects,
                kind: BackendErrorKind::Timeout,
            },
            Self::Slow => F::Delay {
                calls,
                by: Duration::from_secs(20),
            },
            Self::AccessRefused => fails(calls, BackendErrorKind::AuthFailed),
            Self::CredentialsExpire => fails(CALLS_BEFORE..u64::MAX, BackendErrorKind::AuthFailed),
            Self::RateLimited => F::SlowDown {
                calls,
                retry_after: Duration::from_secs(1),
            },
            Self::QuotaExceeded => F::FailEffects {
                effects,
                kind: BackendErrorKind::QuotaExceeded,
            },
            Self::MediumFails => {
                return of_contents(|prefix| F::FailReads {
                    prefix,
                    kind: BackendErrorKind::Unavailable,
                });
            }
            Self::ReadOnly => F::FailEffects {
                effects,
                kind: BackendErrorKind::AuthFailed,
            },
            Self::PartialWriteAcknowledged => {
                let torn = |effect| F::TearWrite {
                    effect,
                    len_bytes: TORN_LEN,
                };
                return (0..TORN_WRITES).map(torn).collect();
            }
            Self::TornWrite => F::BreakWrites {
                effects,
                len_bytes: TORN_LEN,
                kind: BackendErrorKind::Unavailable,
            },
            Self::LostWrite => F::LoseEffects { effects },
            Self::MisdirectedWrite => F::MisdirectWrites { effects },
            Self::BitFlip => return of_contents(flipped),
            Self::IdentityBitFlip => flipped(names::backend_uid(tag).to_string()),
            Self::Truncation => {
                return of_contents(|prefix| F::Truncate {
                    prefix,
                    len_bytes: 60,
                });
            }
            Self::Extension => {
                return of_contents(|prefix| F::Extend {
                    prefix,
                    by_bytes: 1,
                });
            }
            Self::StaleRead => F::ReadStale,
            Self::StaleListing => F::ListStale,
            Self::WrongObject => return of_contents(|prefix| F::ReadNext { prefix }),
            Self::DeliveredTwice => F::RepeatWrites { effects },
            Self::DeletionIgnored => F::KeepDeleted { effects },
            Self::ClockAhead => F::SkewClock {
                by: Duration::from_secs(24 * 3600),
            },
            Self::AnswerLost => F::LoseAnswers {
                effects,
                kind: BackendErrorKind::Unavailable,
            },
            Self::ListingOmits => {
                let prefix = String::new();
                F::Hide { prefix }
            }
            Self::ObjectsGone | Self::ObjectsSwapped | Self::OldStateRestored => return Vec::new(),
        };
        vec![one]
    }
}

const fn flipped(prefix: String) -> testing::Fault {
    testing::Fault::FlipBit {
        prefix,
        offset_bytes: 11,
        bit: 3,
    }
}

/// The share and the newest manifest change places.
fn swapped(mut objects: Objects) -> Objects {
    let last = |part: &str| {
        let mut keys = objects.keys();
        keys.rfind(|key| key.as_str().contains(part)).cloned()
    };
    if let (Some(share), Some(manifest)) = (last("/s/"), last("/o/")) {
        let (of_share, of_manifest) = (objects[&share].clone(), objects[&manifest].clone());
        objects.insert(share, of_manifest);
        objects.insert(manifest, of_share);
    }
    objects
}
