//! The recovery matrix: Gauss-Jordan elimination over GF(2) in fixed bitsets.
//!
//! The k(p-1) pieces of k shares are as many linear equations in the p - 1 pieces of the secret
//! and the (k-1)(p-1) random pieces: a square system, invertible by the proof in
//! [`scheme`](crate::scheme). A row of the inverse says which input pieces add up to a piece of
//! the secret or to a random piece; the rows that a share's own equation names add up to a row
//! for a piece of that share.

use crate::error::Error;
use crate::kernel::{Cut, MAX_SOURCES, Sources, tile_len, xor_sources};
use crate::scheme::Equations;

/// The most input pieces, and so the most unknowns.
const MAX_INPUTS: usize = MAX_SOURCES;
const WORD_BITS: usize = u64::BITS as usize;
/// A threshold is at least 2, so a piece count is at most half of the inputs.
const MAX_OUTPUTS: usize = MAX_INPUTS / 2;

/// A set of input pieces, or of unknowns.
#[derive(Clone, Copy)]
struct Row([u64; MAX_INPUTS / WORD_BITS]);

impl Row {
    const EMPTY: Self = Self([0; MAX_INPUTS / WORD_BITS]);

    const fn insert(&mut self, number: usize) {
        self.0[number / WORD_BITS] |= 1 << (number % WORD_BITS);
    }

    const fn contains(&self, number: usize) -> bool {
        self.0[number / WORD_BITS] >> (number % WORD_BITS) & 1 == 1
    }

    fn add(&mut self, other: Self) {
        for (word, added) in self.0.iter_mut().zip(other.0) {
            *word ^= added;
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The members, ascending.
    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(number, &word)| {
            // Each step drops the lowest bit.
            core::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
                .take_while(|&rest| rest != 0)
                .map(move |rest| number * WORD_BITS + rest.trailing_zeros() as usize)
        })
    }
}

/// For each output piece, the set of input pieces of which it is the XOR.
#[derive(Clone)]
pub(super) struct RecoveryMatrix {
    rows: [Row; MAX_OUTPUTS],
    outputs: usize,
}

impl RecoveryMatrix {
    pub(super) const EMPTY: Self = Self {
        rows: [Row::EMPTY; MAX_OUTPUTS],
        outputs: 0,
    };

    /// The matrix from the shares `indices` (k distinct ones) to the secret, or to `share`.
    ///
    /// # Errors
    /// [`Error::Decoder`] for more than 256 input pieces.
    pub(super) fn try_new(
        equations: Equations,
        indices: &[u8],
        share: Option<usize>,
    ) -> Result<Self, Error> {
        let (threshold, pieces) = (equations.threshold(), equations.pieces());
        if threshold * pieces > MAX_INPUTS {
            return Err(Error::Decoder { threshold, pieces });
        }
        let inverse = System::new(equations, indices).invert();
        let mut rows = [Row::EMPTY; MAX_OUTPUTS];
        for (j, row) in rows[..pieces].iter_mut().enumerate() {
            match share {
                None => *row = inverse[j],
                Some(i) => unknowns(equations, i, j).for_each(|u| row.add(inverse[u])),
            }
        }
        Ok(Self {
            rows,
            outputs: pieces,
        })
    }

    /// Memory traffic in pieces read or written.
    pub(super) fn cost(&self) -> usize {
        self.rows().iter().map(|row| row.len() + 1).sum()
    }

    /// Computes all output pieces from `shares`, which stand in the order of the indices.
    pub(super) fn run(&self, pieces: usize, shares: &[&[u8]], output: &mut [u8]) {
        let piece_len = output.len() / pieces;
        let mut sources = Sources::new();
        for cut in Cut::tiles(piece_len, tile_len(shares.len() * pieces)) {
            for (number, row) in self.rows().iter().enumerate() {
                sources.clear();
                for input in row.iter() {
                    sources.push(&shares[input / pieces][cut.range(input % pieces)]);
                }
                xor_sources(&mut output[cut.range(number)], sources.as_slice());
            }
        }
    }

    fn rows(&self) -> &[Row] {
        &self.rows[..self.outputs]
    }
}

/// The unknowns in piece `j` of share `i`: pieces of the secret first, then the random ones.
fn unknowns(equations: Equations, i: usize, j: usize) -> impl Iterator<Item = usize> {
    let polynomials = 0..equations.threshold() - 1;
    let random = polynomials.filter_map(move |h| equations.random_term(h, i, j));
    equations
        .secret_term(i, j)
        .into_iter()
        .chain(random.map(move |r| equations.pieces() + r))
}

/// `equations * unknowns = inputs`, one row per input piece.
struct System {
    left: [Row; MAX_INPUTS],
    right: [Row; MAX_INPUTS],
    size: usize,
}

impl System {
    fn new(equations: Equations, indices: &[u8]) -> Self {
        let mut left = [Row::EMPTY; MAX_INPUTS];
        let mut right = [Row::EMPTY; MAX_INPUTS];
        let mut size = 0;
        for &index in indices {
            for j in 0..equations.pieces() {
                unknowns(equations, usize::from(index), j).for_each(|u| left[size].insert(u));
                right[size].insert(size);
                size += 1;
            }
        }
        Self { left, right, size }
    }

    /// For each unknown, the inputs that add up to it.
    fn invert(mut self) -> [Row; MAX_INPUTS] {
        for column in 0..self.size {
            let pivot = (column..self.size).find(|&row| self.left[row].contains(column));
            let Some(pivot) = pivot else {
                unreachable!("distinct indices below the prime give an invertible system");
            };
            self.left.swap(column, pivot);
            self.right.swap(column, pivot);
            let (left, right) = (self.left[column], self.right[column]);
            for row in 0..self.size {
                if row != column && self.left[row].contains(column) {
                    self.left[row].add(left);
                    self.right[row].add(right);
                }
            }
        }
        self.right
    }
}
