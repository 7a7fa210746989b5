//! Who can read: how many shares there are, and how many of them are enough.
//!
//! Everything the scheme derives from these two numbers (the prime, the piece count, the
//! padded length) is computed here and nowhere else, so that dealer, decoder and formats
//! cannot disagree.

use crate::error::Error;
use crate::share::ShareIndex;

/// How shares are computed from a secret. The identifier of a scheme is part of every format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Scheme {
    /// The XOR threshold scheme of Kurihara, Kiyomoto, Fukushima and Tanaka (ISC 2008).
    Xorida,
    /// All shares are needed: n - 1 random ones, and the XOR of them with the secret.
    NOfN,
}

impl Scheme {
    /// The identifier in formats: 1 for XorIDA, 2 for n-of-n.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Xorida => 1,
            Self::NOfN => 2,
        }
    }

    /// The scheme with this identifier, or `None` for an unknown one.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::Xorida),
            2 => Some(Self::NOfN),
            _ => None,
        }
    }
}

/// A threshold k and a share count n with 2 <= k <= n <= 251.
///
/// Any k of the n shares are a qualified set: they determine the secret and every other
/// share. Fewer say nothing about the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AccessStructure {
    threshold: u8,
    share_count: u8,
}

impl AccessStructure {
    /// The largest share count. It is the largest prime whose predecessor, the padding
    /// block, is a count that one byte can hold.
    pub const MAX_SHARES: u8 = 251;

    /// A structure in which `threshold` of `share_count` shares are enough.
    ///
    /// A threshold of 1 is refused, because each share would then be a copy of the secret.
    ///
    /// # Errors
    /// [`Error::AccessStructure`] unless 2 <= threshold <= share count <= 251.
    pub const fn try_new(threshold: u8, share_count: u8) -> Result<Self, Error> {
        if threshold < 2 || threshold > share_count || share_count > Self::MAX_SHARES {
            return Err(Error::AccessStructure {
                threshold,
                share_count,
            });
        }
        Ok(Self {
            threshold,
            share_count,
        })
    }

    /// How many shares are enough (k).
    #[must_use]
    pub const fn threshold(self) -> u8 {
        self.threshold
    }

    /// How many shares are dealt (n).
    #[must_use]
    pub const fn share_count(self) -> u8 {
        self.share_count
    }

    /// The scheme that deals for this structure: n-of-n when every share is needed.
    #[must_use]
    pub const fn scheme(self) -> Scheme {
        if self.threshold == self.share_count {
            Scheme::NOfN
        } else {
            Scheme::Xorida
        }
    }

    /// The prime of the scheme: the smallest odd prime that is at least n, from 3 to 251.
    #[must_use]
    pub const fn prime(self) -> u16 {
        let mut candidate = self.share_count as u16 | 1;
        while !is_odd_prime(candidate) {
            candidate += 2;
        }
        candidate
    }

    /// Into how many equally long pieces the padded secret is cut: p - 1, or 1 for n-of-n.
    #[must_use]
    pub const fn pieces(self) -> usize {
        match self.scheme() {
            Scheme::Xorida => self.prime() as usize - 1,
            Scheme::NOfN => 1,
        }
    }

    /// Length in bytes of the padded secret, which is also the length of each share.
    ///
    /// Padding fills to the next multiple of [`pieces`](Self::pieces) and is never empty;
    /// n-of-n needs none. The result saturates for lengths that no buffer can have.
    #[must_use]
    pub const fn padded_len(self, secret_len: usize) -> usize {
        match self.scheme() {
            Scheme::Xorida => {
                let block = self.pieces();
                secret_len.saturating_add(block - secret_len % block)
            }
            Scheme::NOfN => secret_len,
        }
    }

    /// All share indices, ascending.
    pub fn indices(self) -> impl ExactSizeIterator<Item = ShareIndex> + Clone {
        (0..self.share_count).map(ShareIndex::from_checked)
    }
}

/// Whether `number` is a prime other than 2. Trial division: numbers here have three digits.
pub(crate) const fn is_odd_prime(number: u16) -> bool {
    if number < 3 || number.is_multiple_of(2) {
        return false;
    }
    let mut divisor = 3;
    while divisor * divisor <= number {
        if number.is_multiple_of(divisor) {
            return false;
        }
        divisor += 2;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_the_smallest_odd_ones_not_below_the_share_count() {
        for (share_count, prime) in [
            (3, 3),
            (4, 5),
            (5, 5),
            (6, 7),
            (8, 11),
            (11, 11),
            (12, 13),
            (242, 251),
            (251, 251),
        ] {
            assert_eq!(
                AccessStructure::try_new(2, share_count).unwrap().prime(),
                prime
            );
        }
        assert_eq!(AccessStructure::try_new(2, 2).unwrap().prime(), 3);
    }

    #[test]
    fn limits_are_exact() {
        for (threshold, share_count, fits) in [
            (2, 2, true),
            (1, 2, false),
            (3, 2, false),
            (2, 251, true),
            (2, 252, false),
            (0, 0, false),
        ] {
            assert_eq!(
                AccessStructure::try_new(threshold, share_count).is_ok(),
                fits
            );
        }
    }

    #[test]
    fn scheme_ids_are_stable() {
        for id in 0..=u8::MAX {
            assert_eq!(
                Scheme::from_id(id).map(Scheme::id),
                (1..=2).contains(&id).then_some(id)
            );
        }
    }
}
