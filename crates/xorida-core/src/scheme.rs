//! The equations of XorIDA over GF(2).
//!
//! Kurihara, Kiyomoto, Fukushima, Tanaka: *A New (k,n)-Threshold Secret Sharing Scheme and
//! Its Extension*, ISC 2008, LNCS 5222. With p the smallest odd prime >= n, the padded secret
//! is cut into p - 1 pieces s_1 .. s_(p-1) of d bytes, and s_0 = 0. Piece j (0 <= j <= p - 2)
//! of share i is
//!
//! ```text
//! w(i, j) = s[(j - i) mod p] ^ r0[j] ^ r1[(i + j) mod p] ^ ... ^ r(k-2)[((k-2) i + j) mod p]
//! ```
//!
//! The random pieces r^h[p-1] with h >= 1 are fixed to zero (r0[p-1] occurs in no share). So
//! (k-1)(p-1) random pieces are drawn: as many bytes as k - 1 shares have, the least that
//! perfect secrecy allows, where the paper draws k - 2 pieces more. Shares decode alike either
//! way.
//!
//! # Why any k shares suffice and fewer say nothing
//! Read the pieces of a share as coefficients of a polynomial modulo x^p - 1 and write M for
//! 1 + x + ... + x^(p-1). Then share i is, up to its coefficient p - 1, which is not stored,
//! `c_i = x^i f(x^-i)` with `f(a) = s + r0 a + ... + r(k-2) a^(k-1)`: Shamir's scheme with nodes
//! x^-i. Since p is an odd prime, x^a + x^b is invertible modulo M for a != b, and the ring is
//! the product of GF(2) (evaluation at 1) and GF(2)\[x\]/M.
//! - *Correctness*: let all k known shares be zero, so c_i = e_i x^(p-1). Evaluation at 1 gives
//!   the same value s(1) + sum of r_h(1) for each share, so all e_i are one e. Modulo M, the
//!   only solution is r_0 = e x^(p-1) with all else zero, so s is 0 or M, and s_0 = 0 leaves 0.
//! - *Secrecy*: let the secret be zero. The map from the random pieces to k - 1 shares goes
//!   between spaces of equal size and is injective: by the same argument a kernel element has
//!   r_h in {0, M} for h >= 1, hence 0 because coefficient p - 1 is fixed, and r_0 can differ
//!   from zero only in the coefficient that is not drawn. So k - 1 shares are uniformly
//!   distributed whatever the secret is.

use crate::access::{AccessStructure, is_odd_prime};
use crate::error::{Buffer, Error};
use crate::kernel::{Cut, Sources, xor_sources};

/// The equations for a threshold and a prime.
///
/// This is the inner layer that published known answers are checked against: it takes given
/// random pieces, and its limits are those of the formula (k <= p <= 257), wider than those of
/// [`AccessStructure`]. Applications deal through [`deal`](crate::dealer::deal).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Equations {
    threshold: usize,
    prime: usize,
}

impl Equations {
    /// The largest prime, which the largest published known answer uses.
    pub const MAX_PRIME: u16 = 257;

    /// The equations with threshold `threshold` modulo `prime`.
    ///
    /// # Errors
    /// [`Error::Equations`] unless `prime` is an odd prime up to 257 and
    /// 2 <= `threshold` <= `prime`.
    pub const fn try_new(threshold: u8, prime: u16) -> Result<Self, Error> {
        if threshold < 2
            || threshold as u16 > prime
            || prime > Self::MAX_PRIME
            || !is_odd_prime(prime)
        {
            return Err(Error::Equations { threshold, prime });
        }
        Ok(Self {
            threshold: threshold as usize,
            prime: prime as usize,
        })
    }

    /// The equations of an access structure. For k = n they exist too, though
    /// [`Scheme::NOfN`](crate::access::Scheme::NOfN) is what deals there.
    pub(crate) const fn of(access: AccessStructure) -> Self {
        Self {
            threshold: access.threshold() as usize,
            prime: access.prime() as usize,
        }
    }

    pub(crate) const fn threshold(self) -> usize {
        self.threshold
    }

    pub(crate) const fn prime(self) -> usize {
        self.prime
    }

    /// How many pieces a secret and a share have: p - 1.
    #[must_use]
    pub const fn pieces(self) -> usize {
        self.prime - 1
    }

    /// How many random pieces are drawn: (k - 1)(p - 1).
    #[must_use]
    pub const fn random_pieces(self) -> usize {
        (self.threshold - 1) * self.pieces()
    }

    /// Which piece of the secret, counted from 0, occurs in piece `j` of share `i`.
    pub(crate) const fn secret_term(self, i: usize, j: usize) -> Option<usize> {
        ((j + self.prime - i) % self.prime).checked_sub(1)
    }

    /// Which random piece of polynomial `h`, counted in document order over all polynomials,
    /// occurs in piece `j` of share `i`. `None` where it is fixed to zero.
    pub(crate) const fn random_term(self, h: usize, i: usize, j: usize) -> Option<usize> {
        let coefficient = (h * i + j) % self.prime;
        if coefficient == self.pieces() {
            None
        } else {
            Some(h * self.pieces() + coefficient)
        }
    }

    /// Computes shares from given random pieces.
    ///
    /// `random` holds (k-1)(p-1) pieces in document order (polynomial h outermost, coefficient j
    /// innermost). Slice i of `shares` becomes share i. All lengths are in bytes.
    ///
    /// # Errors
    /// [`Error::BufferLength`] unless `secret` is a multiple of p - 1 long, each share as long as
    /// `secret`, and `random` (k - 1) times as long, or for more than p shares.
    ///
    /// # Security
    /// Secrecy rests on random pieces that are uniform and never used twice.
    pub fn deal_pieces(
        self,
        secret: &[u8],
        random: &[u8],
        shares: &mut [&mut [u8]],
    ) -> Result<(), Error> {
        Buffer::Secret.expect_multiple(self.pieces(), secret.len())?;
        Buffer::Random.expect_exactly((self.threshold - 1) * secret.len(), random.len())?;
        Buffer::Shares.expect_at_most(self.prime, shares.len())?;
        for share in shares.iter() {
            Buffer::Share.expect_exactly(secret.len(), share.len())?;
        }
        let piece_len = secret.len() / self.pieces();
        self.deal_tile(secret, Cut::whole(piece_len), random, shares);
        Ok(())
    }

    /// Computes the range `cut` of all shares from that range of `secret`, with random pieces
    /// that are as long as the range.
    pub(crate) fn deal_tile(
        self,
        secret: &[u8],
        cut: Cut,
        random: &[u8],
        shares: &mut [&mut [u8]],
    ) {
        let random_cut = Cut::whole(cut.len());
        let mut sources = Sources::new();
        for (i, share) in shares.iter_mut().enumerate() {
            for j in 0..self.pieces() {
                // Never empty in the end: r0[j] occurs in piece j of every share.
                sources.clear();
                if let Some(number) = self.secret_term(i, j) {
                    sources.push(&secret[cut.range(number)]);
                }
                for h in 0..self.threshold - 1 {
                    if let Some(number) = self.random_term(h, i, j) {
                        sources.push(&random[random_cut.range(number)]);
                    }
                }
                xor_sources(&mut share[cut.range(j)], sources.as_slice());
            }
        }
    }
}
