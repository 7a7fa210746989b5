//! What can be wrong with a backend: moods that last for a while, and damage to what it stores.

use bytes::Bytes;

use crate::backend::{BackendErrorKind, ObjectKey};
use crate::testing::simulation::backend::Stored;
use crate::testing::simulation::random::Random;

/// How a backend behaves for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// As the contract says.
    Honest,
    /// Calls fail and do nothing.
    Unavailable(BackendErrorKind),
    /// Effects fail and do not happen; reads go on.
    FailsEffects(BackendErrorKind),
    /// Effects happen, and the answer is an error.
    LosesAnswers(BackendErrorKind),
    /// Puts are acknowledged and nothing is stored.
    LosesPuts,
    /// Deletions are acknowledged and nothing is deleted.
    KeepsDeleted,
    /// Puts are acknowledged, and only their first bytes are stored.
    TearsPuts,
    /// Puts are delivered a second time, long after they were answered.
    DeliversTwice,
    /// Puts time out and are delivered long after.
    DeliversLate,
    /// Reads show an older state.
    ReadsStale,
    /// Listings show an older state.
    ListsStale,
}

const KINDS: [BackendErrorKind; 5] = [
    BackendErrorKind::Unavailable,
    BackendErrorKind::Timeout,
    BackendErrorKind::AuthFailed,
    BackendErrorKind::QuotaExceeded,
    BackendErrorKind::RateLimited,
];

impl Mood {
    /// A mood of one that fails and never says what is not so.
    pub(super) fn draw_failing(random: &mut Random) -> Self {
        let kind = random.choose(&KINDS);
        match random.below(5) {
            0 | 1 => Self::FailsEffects(kind),
            2 => Self::LosesAnswers(kind),
            _ => Self::Unavailable(kind),
        }
    }

    /// Any mood.
    pub(super) fn draw(random: &mut Random) -> Self {
        match random.below(11) {
            0 => Self::LosesPuts,
            1 => Self::KeepsDeleted,
            2 => Self::TearsPuts,
            3 => Self::DeliversTwice,
            4 => Self::DeliversLate,
            5 | 6 => Self::ReadsStale,
            7 => Self::ListsStale,
            _ => Self::draw_failing(random),
        }
    }

    /// Calls that matter to it within an operation, about.
    pub(super) const fn calls(self) -> u64 {
        match self {
            Self::Unavailable(_) | Self::ReadsStale | Self::ListsStale => 24,
            _ => 4,
        }
    }

    /// Whether an erasure that this backend confirmed may have left something.
    pub(super) const fn hides_orphans(self) -> bool {
        matches!(
            self,
            Self::DeliversTwice | Self::DeliversLate | Self::ReadsStale | Self::ListsStale
        )
    }
}

/// What becomes of objects at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    FlipBit,
    Truncate,
    Extend,
    Remove,
    /// Two objects have changed places.
    Swap,
    /// An object is one of its length that the backend had before, under whatever name.
    Older,
    /// Everything is gone, the identity too.
    Empty,
}

impl Damage {
    pub(super) fn draw(random: &mut Random) -> Self {
        match random.below(16) {
            0 | 1 => Self::FlipBit,
            2 | 3 => Self::Truncate,
            4 => Self::Extend,
            5..=7 => Self::Remove,
            8 | 9 => Self::Swap,
            10..=14 => Self::Older,
            _ => Self::Empty,
        }
    }

    /// Does it to an object drawn among `stored`, mostly to a share; what was done.
    pub(super) fn apply(self, stored: &mut Stored, random: &mut Random) -> Option<String> {
        if self == Self::Empty {
            stored.objects.clear();
            stored.scarred = true;
            return Some("everything".to_owned());
        }
        let any_object = random.once_in(4);
        let chosen = |key: &&ObjectKey| any_object || is_share(key);
        let keys: Vec<ObjectKey> = stored.objects.keys().filter(chosen).cloned().collect();
        if keys.is_empty() {
            return None;
        }
        let key = keys[random.index(keys.len())].clone();
        let bytes = stored.objects.get(&key).cloned().unwrap_or_default();
        let damaged = match self {
            Self::FlipBit => Some(flipped(&bytes, random)),
            Self::Truncate => Some(bytes.slice(..random.index(bytes.len().max(1)))),
            Self::Extend => Some([bytes.as_ref(), b"more"].concat().into()),
            Self::Remove | Self::Empty => None,
            Self::Swap => {
                let other = keys[random.index(keys.len())].clone();
                let theirs = stored.objects.insert(other.clone(), bytes);
                stored.scarred |= !is_share(&other);
                theirs
            }
            Self::Older => {
                let alike = |past: &&Bytes| past.len() == bytes.len();
                let past: Vec<&Bytes> = stored.past.iter().filter(alike).collect();
                Some((*past.get(random.index(past.len().max(1)))?).clone())
            }
        };
        match damaged {
            Some(damaged) => _ = stored.objects.insert(key.clone(), damaged),
            None => _ = stored.objects.remove(&key),
        }
        stored.scarred |= !is_share(&key);
        Some(key.to_string())
    }
}

/// Whether a name is that of a share's segment or index, which a new generation replaces; damage to
/// anything else stays for ever.
pub(super) fn is_share(key: &ObjectKey) -> bool {
    key.as_str().contains("/s/")
}

fn flipped(bytes: &Bytes, random: &mut Random) -> Bytes {
    let mut bytes = bytes.to_vec();
    if !bytes.is_empty() {
        let at = random.index(bytes.len());
        bytes[at] ^= 1 << random.below(8);
    }
    bytes.into()
}
