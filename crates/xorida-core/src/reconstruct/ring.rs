//! The ring decoder: interpolation without a matrix, by XORs and rotations.
//!
//! With the notation of [`scheme`](crate::scheme), let e be the idempotent 1 + M of the ring
//! GF(2)\[x\]/(x^p - 1): multiplication by it maps a polynomial to the one of even weight in its
//! class modulo M. The decoder works on polynomials of even weight only, where 1 + x^t is
//! invertible.
//!
//! *Extension.* Replace the coefficient p - 1 of share i, which is not stored, by the parity of
//! the others. This adds the constant c_i(1) = s(1) + sum of r_h(1), the same for every share, to
//! that coefficient, which is as if r_0 had another coefficient p - 1. So the extended shares
//! are `c_i = x^i f(x^-i)` for one polynomial f whose coefficient of degree 0 is still s, and
//! they have even weight.
//!
//! *Interpolation.* The values `f(x^-i) = x^-i c_i` at k nodes determine e f, by Newton's divided
//! differences. The divisor of nodes u and v is x^-u + x^-v = x^-u (1 + x^(u-v)).
//!
//! *Division* of an even-weight N by 1 + x^t: y\[j\] = N\[j\] + y\[j - t\] is a chain through all p
//! coefficients, because p is prime. It starts from an arbitrary y\[0\] = 0; if y then has odd
//! weight, adding M, which has odd weight and is annihilated by 1 + x^t, mends it.
//!
//! *Evaluation* by Horner's rule. At 0 it gives e s, which is s or s + M; since s_0 = 0, the
//! coefficient 0 tells which, so s_j = y\[j\] + y\[0\]. At x^-m, times x^m, it gives e c_m; the
//! extended share m already has even weight, so this is c_m itself, whose coefficients 0 to
//! p - 2 are share m.

use crate::kernel::{Cut, divide_step, tile_len, xor_into};
use crate::scheme::Equations;
use zeroize::Zeroize;

/// The decoder for one set of indices and one target.
pub(super) struct Ring<'a> {
    equations: Equations,
    indices: &'a [u8],
    /// The share to recompute, or `None` for the secret.
    share: Option<usize>,
}

impl<'a> Ring<'a> {
    pub(super) const fn new(equations: Equations, indices: &'a [u8], share: Option<usize>) -> Self {
        Self {
            equations,
            indices,
            share,
        }
    }

    /// Memory traffic in pieces read or written, to compare with a matrix.
    pub(super) const fn cost(&self) -> usize {
        let (k, p) = (self.equations.threshold(), self.equations.prime());
        let extension = 3 * k * p;
        let divisions = k * (k - 1) / 2 * 6 * p;
        let horner = (k - 1) * p * if self.share.is_some() { 5 } else { 3 };
        extension + divisions + horner + 2 * p
    }

    /// k polynomials of p tiles each, and two tiles for division.
    const fn scratch_tiles(&self) -> usize {
        self.equations.threshold() * self.equations.prime() + 2
    }

    pub(super) const fn scratch_len(&self) -> usize {
        self.scratch_tiles() * tile_len(self.scratch_tiles())
    }

    /// Computes the target from `shares`, which stand in the order of the indices. `scratch` has
    /// at least [`scratch_len`](Self::scratch_len) bytes.
    pub(super) fn run(&self, shares: &[&[u8]], scratch: &mut [u8], output: &mut [u8]) {
        let piece_len = output.len() / self.equations.pieces();
        let scratch = &mut scratch[..self.scratch_len()];
        for cut in Cut::tiles(piece_len, tile_len(self.scratch_tiles())) {
            let tiles = &mut scratch[..self.scratch_tiles() * cut.len()];
            let mut workspace = Workspace::new(self, tiles, cut.len());
            for (number, share) in shares.iter().enumerate() {
                workspace.extend(number, share, cut);
            }
            workspace.interpolate();
            workspace.evaluate();
            workspace.write(cut, output);
        }
        scratch.zeroize();
    }
}

/// The polynomials of one tile. A rotation by a power of x moves no bytes: coefficient j of
/// polynomial v lies in slot (j + `rotation`\[v\]) mod p.
struct Workspace<'a> {
    ring: &'a Ring<'a>,
    p: usize,
    tile_len: usize,
    /// One polynomial after the other, p slots each.
    polynomials: &'a mut [u8],
    chain: &'a mut [u8],
    total: &'a mut [u8],
    rotation: [usize; super::MAX_THRESHOLD],
}

impl<'a> Workspace<'a> {
    fn new(ring: &'a Ring<'a>, scratch: &'a mut [u8], tile_len: usize) -> Self {
        let p = ring.equations.prime();
        let (polynomials, rest) = scratch.split_at_mut(ring.indices.len() * p * tile_len);
        let (chain, total) = rest.split_at_mut(tile_len);
        let rotation = [0; super::MAX_THRESHOLD];
        Self {
            ring,
            p,
            tile_len,
            polynomials,
            chain,
            total,
            rotation,
        }
    }

    fn index(&self, number: usize) -> usize {
        usize::from(self.ring.indices[number])
    }

    /// Loads share `number` with its parity, as the value of f at its node.
    fn extend(&mut self, number: usize, share: &[u8], cut: Cut) {
        let polynomial_len = self.p * self.tile_len;
        let polynomial = &mut self.polynomials[number * polynomial_len..][..polynomial_len];
        let (stored, parity) = polynomial.split_at_mut(polynomial_len - self.tile_len);
        parity.fill(0);
        for (j, slot) in stored.chunks_exact_mut(self.tile_len).enumerate() {
            slot.copy_from_slice(&share[cut.range(j)]);
            xor_into(parity, slot);
        }
        self.rotation[number] = self.index(number);
    }

    /// Turns the k values into the coefficients of Newton's form, in place.
    fn interpolate(&mut self) {
        let k = self.ring.indices.len();
        for level in 1..k {
            for number in (level..k).rev() {
                self.divide_difference(number, number - level);
            }
        }
    }

    /// Replaces polynomial `number` by (itself + its predecessor) divided by the sum of the
    /// nodes of `number` and `other`.
    fn divide_difference(&mut self, number: usize, other: usize) {
        let (p, len) = (self.p, self.tile_len);
        let (u, v) = (self.index(number), self.index(other));
        let step = (u + p - v) % p;
        // Multiplying the sum by x^u.
        let rotation = (self.rotation[number] + p - u) % p;
        let source_rotation = (self.rotation[number - 1] + p - u) % p;
        self.rotation[number] = rotation;

        let (before, from_number) = self.polynomials.split_at_mut(number * p * len);
        let source = &before[(number - 1) * p * len..];
        let target = &mut from_number[..p * len];
        self.chain.fill(0);
        self.total.fill(0);
        slot_mut(target, rotation, len).fill(0);
        let mut j = 0;
        for _ in 1..p {
            j = (j + step) % p;
            let source = slot(source, (j + source_rotation) % p, len);
            let target = slot_mut(target, (j + rotation) % p, len);
            divide_step(target, source, self.chain, self.total);
        }
        for coefficient in target.chunks_exact_mut(len) {
            xor_into(coefficient, self.total);
        }
    }

    /// Evaluates Newton's form at the target's node; the value ends up in polynomial 0.
    fn evaluate(&mut self) {
        let (p, len) = (self.p, self.tile_len);
        for number in (0..self.ring.indices.len() - 1).rev() {
            let node = self.index(number);
            let (sum_rotation, rotation) = (self.rotation[number + 1], self.rotation[number]);
            let (before, from_sum) = self.polynomials.split_at_mut((number + 1) * p * len);
            let target = &mut before[number * p * len..];
            for j in 0..p {
                let target = slot_mut(target, (j + rotation) % p, len);
                xor_into(target, slot(from_sum, (j + node + sum_rotation) % p, len));
                if let Some(m) = self.ring.share {
                    xor_into(target, slot(from_sum, (j + m + sum_rotation) % p, len));
                }
            }
        }
    }

    /// Writes the value in polynomial 0 as pieces of the target.
    fn write(&self, cut: Cut, output: &mut [u8]) {
        let coefficient = |j: usize| {
            slot(
                self.polynomials,
                (j + self.rotation[0]) % self.p,
                self.tile_len,
            )
        };
        for number in 0..self.p - 1 {
            let piece = &mut output[cut.range(number)];
            match self.ring.share {
                None => {
                    piece.copy_from_slice(coefficient(number + 1));
                    xor_into(piece, coefficient(0));
                }
                // Times x^m.
                Some(m) => piece.copy_from_slice(coefficient(number + self.p - m)),
            }
        }
    }
}

fn slot(polynomial: &[u8], number: usize, tile_len: usize) -> &[u8] {
    &polynomial[number * tile_len..][..tile_len]
}

fn slot_mut(polynomial: &mut [u8], number: usize, tile_len: usize) -> &mut [u8] {
    &mut polynomial[number * tile_len..][..tile_len]
}
