//! The matrix decoder: each piece of the target as the XOR of some pieces of the shares.
//!
//! The pieces of k shares and the pieces of secret and randomness are equally many, and each
//! determines the other, so the k (p - 1) equations have an inverse over GF(2). It is found by
//! Gauss-Jordan elimination; indices are public, so nothing here needs constant time.

use crate::kernel::{MAX_SOURCES, Sources, Tile, tile_len, tiles, xor_sources};
use crate::reconstruct::Target;
use crate::scheme::Equations;

/// Words of a bit set with one bit for each equation.
const WORDS: usize = MAX_SOURCES / 64;

/// The most pieces a target has: k >= 2 shares of them fit into [`MAX_SOURCES`].
const MAX_TARGET_PIECES: usize = MAX_SOURCES / 2;

/// A set of equations, or of unknowns.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Bits([u64; WORDS]);

impl Bits {
    const NONE: Self = Self([0; WORDS]);

    const fn has(&self, bit: usize) -> bool {
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    const fn flip(&mut self, bit: usize) {
        self.0[bit / 64] ^= 1 << (bit % 64);
    }

    fn add(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word ^= *other;
        }
    }
}

/// For each piece of the target, which pieces of the shares it is the XOR of. Piece j of the
/// t-th share of the plan is number t (p - 1) + j.
#[derive(Clone)]
pub(super) struct Matrix {
    rows: [Bits; MAX_TARGET_PIECES],
}

impl Matrix {
    /// Whether the equations fit into the bit sets.
    pub(super) const fn fits(equations: Equations) -> bool {
        equations.threshold() * equations.pieces() <= MAX_SOURCES
    }

    /// Solves the equations of the shares `indices` for `target`.
    pub(super) fn solve(equations: Equations, indices: &[u8], target: Target) -> Self {
        let inverse = inverse(equations, indices);
        let mut rows = [Bits::NONE; MAX_TARGET_PIECES];
        for (piece, row) in rows.iter_mut().enumerate().take(equations.pieces()) {
            match target {
                // The first p - 1 unknowns are the pieces of the secret.
                Target::Secret => *row = inverse[piece],
                Target::Share(index) => {
                    let terms = unknowns(equations, usize::from(index.get()), piece);
                    (0..MAX_SOURCES)
                        .filter(|unknown| terms.has(*unknown))
                        .for_each(|unknown| {
                            row.add(&inverse[unknown]);
                        });
                }
            }
        }
        Self { rows }
    }

    /// Computes the target. `shares` are in the order of the plan.
    pub(super) fn run(&self, pieces: usize, shares: &[&[u8]], output: &mut [u8]) {
        let piece_len = output.len() / pieces;
        let inputs = shares.len() * pieces;
        for (start, len) in tiles(piece_len, tile_len(inputs + pieces)) {
            for (piece, row) in self.rows.iter().enumerate().take(pieces) {
                let mut sources = Sources::new();
                for input in (0..inputs).filter(|input| row.has(*input)) {
                    let share = Tile::new(shares[input / pieces], piece_len, start, len);
                    sources.push(share.piece(input % pieces));
                }
                let target = piece * piece_len + start;
                xor_sources(&mut output[target..target + len], sources.as_slice());
            }
        }
    }
}

/// The unknowns that piece `j` of share `i` is the XOR of: the pieces of the secret, then the
/// random pieces in document order.
fn unknowns(equations: Equations, i: usize, j: usize) -> Bits {
    let mut terms = Bits::NONE;
    if let Some(number) = equations.secret_term(i, j) {
        terms.flip(number);
    }
    for h in 0..equations.threshold() - 1 {
        if let Some(number) = equations.random_term(h, i, j) {
            terms.flip(equations.pieces() + number);
        }
    }
    terms
}

/// For each unknown, the pieces of the shares that it is the XOR of.
fn inverse(equations: Equations, indices: &[u8]) -> [Bits; MAX_SOURCES] {
    let size = indices.len() * equations.pieces();
    let mut left = [Bits::NONE; MAX_SOURCES];
    let mut right = [Bits::NONE; MAX_SOURCES];
    for (row, (left, right)) in left.iter_mut().zip(&mut right).enumerate().take(size) {
        let (share, piece) = (row / equations.pieces(), row % equations.pieces());
        *left = unknowns(equations, usize::from(indices[share]), piece);
        right.flip(row);
    }
    for column in 0..size {
        // There is always a pivot: the scheme module proves that k shares determine everything.
        let Some(pivot) = (column..size).find(|row| left[*row].has(column)) else {
            continue;
        };
        left.swap(column, pivot);
        right.swap(column, pivot);
        let (pivot_left, pivot_right) = (left[column], right[column]);
        for row in (0..size).filter(|row| *row != column) {
            if left[row].has(column) {
                left[row].add(&pivot_left);
                right[row].add(&pivot_right);
            }
        }
    }
    right
}
