//! The ring decoder: interpolation of the sharing polynomial in GF(2)\[x\]/(x^p - 1).
//!
//! Share i, extended by the XOR of its pieces as piece p - 1, is `c_i = x^i f(x^-i)` for one
//! polynomial f of degree k - 1 over the ring (see [`crate::scheme`]): the extension makes every
//! c_i zero at x = 1, which shifts the unknown coefficient of each share into the same r_0. So f
//! is interpolated by Newton's divided differences at the nodes x^-i and evaluated
//! - at 0, which gives s up to a multiple of M = 1 + x + ... + x^(p-1); s_0 = 0 removes it;
//! - at x^-m, which gives c_m and so share m. There nothing is left to remove: all values here
//!   are zero at x = 1, and an element of the ring is determined by its value there and modulo
//!   M, since p is odd.
//!
//! Nodes differ by x^-i (1 + x^t). Dividing by 1 + x^t walks the residues mod p in steps of t:
//! y_j = c_j + y_(j-t), begun at y_0 = 0 and made zero at x = 1 by adding the sum of all y to
//! each (p is odd). Multiplying by a power of x only moves the origin of a polynomial, so it is
//! kept as an offset and no byte is moved.

use crate::kernel::{divide_step, tile_len, tiles, xor_into};
use crate::reconstruct::Target;
use crate::scheme::Equations;

/// The plan: nothing but numbers.
#[derive(Clone)]
pub(super) struct Ring {
    equations: Equations,
    target: Target,
}

/// Polynomials of p coefficients with one tile of bytes each, one after the other, and where
/// each has its origin: coefficient j of polynomial t lies at `(j + origin[t]) mod p`.
struct Polynomials<'a> {
    bytes: &'a mut [u8],
    prime: usize,
    len: usize,
    origins: [usize; MAX_POLYNOMIALS],
}

/// One for each share, and one to evaluate into.
const MAX_POLYNOMIALS: usize = u8::MAX as usize + 1;

impl Ring {
    pub(super) const fn new(equations: Equations, target: Target) -> Self {
        Self { equations, target }
    }

    /// k + 1 polynomials, and the running value and sum of a division.
    const fn tiles_in_work(&self) -> usize {
        (self.equations.threshold() + 1) * self.equations.prime() + 2
    }

    pub(super) const fn scratch_len(&self) -> usize {
        self.tiles_in_work() * tile_len(self.tiles_in_work())
    }

    /// Computes the target. `shares` are in the order of `indices`.
    pub(super) fn run(
        &self,
        indices: &[u8],
        shares: &[&[u8]],
        scratch: &mut [u8],
        output: &mut [u8],
    ) {
        let piece_len = output.len() / self.equations.pieces();
        for (start, len) in tiles(piece_len, tile_len(self.tiles_in_work())) {
            let (bytes, carry) = scratch.split_at_mut(scratch.len() - 2 * len);
            let prime = self.equations.prime();
            let origins = [0; MAX_POLYNOMIALS];
            let mut polynomials = Polynomials {
                bytes,
                prime,
                len,
                origins,
            };
            for (t, (share, index)) in shares.iter().zip(indices).enumerate() {
                let piece = |j: usize| &share[j * piece_len + start..j * piece_len + start + len];
                polynomials.load(t, piece, usize::from(*index));
            }
            polynomials.divided_differences(indices, carry);
            let mut write = |piece: usize, value: &[u8], correction: Option<&[u8]>| {
                let first = piece * piece_len + start;
                let target = &mut output[first..first + len];
                target.copy_from_slice(value);
                if let Some(correction) = correction {
                    xor_into(target, correction);
                }
            };
            match self.target {
                Target::Secret => polynomials.evaluate_at_zero(indices, &mut write),
                Target::Share(index) => {
                    polynomials.evaluate_at(indices, usize::from(index.get()), &mut write);
                }
            }
        }
    }
}

impl Polynomials<'_> {
    fn range(&self, t: usize, coefficient: usize) -> core::ops::Range<usize> {
        let place = (coefficient + self.origins[t]) % self.prime;
        let first = (t * self.prime + place) * self.len;
        first..first + self.len
    }

    fn coefficient(&self, t: usize, coefficient: usize) -> &[u8] {
        &self.bytes[self.range(t, coefficient)]
    }

    /// `target ^= source` for two different coefficients.
    fn add(&mut self, target: (usize, usize), source: (usize, usize)) {
        let (target, source) = (
            self.range(target.0, target.1),
            self.range(source.0, source.1),
        );
        let (target, source) = pair(self.bytes, target, source);
        xor_into(target, source);
    }

    /// Polynomial t becomes f(x^-i) = x^-i c_i from the pieces of share i.
    fn load<'s>(&mut self, t: usize, piece: impl Fn(usize) -> &'s [u8], index: usize) {
        self.origins[t] = 0;
        let parity = self.range(t, self.prime - 1);
        self.bytes[parity.clone()].fill(0);
        for j in 0..self.prime - 1 {
            let range = self.range(t, j);
            self.bytes[range].copy_from_slice(piece(j));
            xor_into(&mut self.bytes[parity.clone()], piece(j));
        }
        // Coefficient j of x^-i c is coefficient j + i of c.
        self.origins[t] = index;
    }

    /// Newton's divided differences, in place: polynomial t becomes f\[x_0, ..., x_t\].
    fn divided_differences(&mut self, indices: &[u8], carry: &mut [u8]) {
        for level in 1..indices.len() {
            for t in (level..indices.len()).rev() {
                let (i, m) = (usize::from(indices[t]), usize::from(indices[t - level]));
                self.divide(t, i, (i + self.prime - m) % self.prime, carry);
            }
        }
    }

    /// Polynomial t becomes (polynomial t + polynomial t - 1) / (x^-i (1 + x^step)).
    fn divide(&mut self, t: usize, i: usize, step: usize, carry: &mut [u8]) {
        let (value, sum) = carry.split_at_mut(self.len);
        value.fill(0);
        sum.fill(0);
        // Coefficient j of the quotient takes the place of coefficient j - i of the difference.
        let place = |j: usize| (j + self.prime - i % self.prime) % self.prime;
        let (first, mut j) = (place(0), step);
        let first = self.range(t, first);
        self.bytes[first].fill(0);
        for _ in 1..self.prime {
            let (target, source) = (self.range(t, place(j)), self.range(t - 1, place(j)));
            let (target, source) = pair(self.bytes, target, source);
            divide_step(target, source, value, sum);
            j = (j + step) % self.prime;
        }
        let all = t * self.prime * self.len..(t + 1) * self.prime * self.len;
        for coefficient in self.bytes[all].chunks_exact_mut(self.len) {
            xor_into(coefficient, sum);
        }
        self.origins[t] = (self.origins[t] + self.prime - i % self.prime) % self.prime;
    }

    /// Horner's rule at 0, where node minus point is the node x^-i itself.
    fn evaluate_at_zero(
        mut self,
        indices: &[u8],
        write: &mut impl FnMut(usize, &[u8], Option<&[u8]>),
    ) {
        let last = indices.len() - 1;
        for t in (0..last).rev() {
            self.origins[last] = (self.origins[last] + usize::from(indices[t])) % self.prime;
            for j in 0..self.prime {
                self.add((last, j), (t, j));
            }
        }
        for piece in 0..self.prime - 1 {
            write(
                piece,
                self.coefficient(last, piece + 1),
                Some(self.coefficient(last, 0)),
            );
        }
    }

    /// Horner's rule at x^-m, with a spare polynomial to multiply into; then x^m times that.
    fn evaluate_at(
        mut self,
        indices: &[u8],
        m: usize,
        write: &mut impl FnMut(usize, &[u8], Option<&[u8]>),
    ) {
        let mut value = indices.len() - 1;
        let mut spare = indices.len();
        for t in (0..indices.len() - 1).rev() {
            self.origins[spare] = 0;
            for j in 0..self.prime {
                let range = self.range(spare, j);
                self.bytes[range].fill(0);
                self.add((spare, j), (value, (j + m) % self.prime));
                self.add(
                    (spare, j),
                    (value, (j + usize::from(indices[t])) % self.prime),
                );
                self.add((spare, j), (t, j));
            }
            (value, spare) = (spare, value);
        }
        for piece in 0..self.prime - 1 {
            let from = (piece + self.prime - m % self.prime) % self.prime;
            write(piece, self.coefficient(value, from), None);
        }
    }
}

/// Two ranges of one buffer, which do not overlap.
fn pair(
    bytes: &mut [u8],
    first: core::ops::Range<usize>,
    second: core::ops::Range<usize>,
) -> (&mut [u8], &[u8]) {
    if first.start < second.start {
        let (low, high) = bytes.split_at_mut(second.start);
        (&mut low[first], &high[..second.len()])
    } else {
        let (low, high) = bytes.split_at_mut(first.start);
        (&mut high[..first.len()], &low[second])
    }
}
