//! The hot loops: XOR of byte slices, one pass over memory each.
//!
//! A piece is the XOR of several others. Adding them one at a time would read and write the
//! result once per source; here a block of the result stays in registers while all sources
//! pass by. The loops are plain safe code over fixed blocks, which the compiler turns into
//! vector instructions of the target.
//!
//! Addresses and trip counts depend on lengths and share numbers only, never on data.

use core::ops::Range;

/// Bytes of the result that are held in registers at a time: half of those of SSE2 or NEON.
const BLOCK_LEN: usize = 128;

/// Working memory that should stay in the fast caches while a tile is processed, in bytes.
const TILE_BUDGET: usize = 64 * 1024;
/// Longer tiles gain nothing.
const TILE_LEN_MAX: usize = 4096;
/// Shorter tiles would spend their time on bookkeeping; this bounds the scratch for n = 251
/// at about 1 MiB.
const TILE_LEN_MIN: usize = 16;

/// The most slices that are ever added up: inputs of the largest recovery matrix.
pub(crate) const MAX_SOURCES: usize = 256;

/// Length in bytes of a tile when `pieces` tiles are worked on together.
pub(crate) const fn tile_len(pieces: usize) -> usize {
    let fair = TILE_BUDGET / pieces;
    if fair >= TILE_LEN_MAX {
        TILE_LEN_MAX
    } else if fair >= BLOCK_LEN {
        fair - fair % BLOCK_LEN
    } else if fair >= TILE_LEN_MIN {
        fair - fair % TILE_LEN_MIN
    } else {
        TILE_LEN_MIN
    }
}

/// `target ^= source`. Both have the same length.
pub(crate) fn xor_into(target: &mut [u8], source: &[u8]) {
    debug_assert_eq!(target.len(), source.len());
    for (byte, other) in target.iter_mut().zip(source) {
        *byte ^= *other;
    }
}

/// `target` = XOR of all `sources`, each as long as `target`. No source gives zeros.
pub(crate) fn xor_sources(target: &mut [u8], sources: &[&[u8]]) {
    let (blocks, tail) = target.as_chunks_mut::<BLOCK_LEN>();
    let tail_start = blocks.len() * BLOCK_LEN;
    for (number, block) in blocks.iter_mut().enumerate() {
        let start = number * BLOCK_LEN;
        let mut sum = [0; BLOCK_LEN];
        for source in sources {
            xor_into(&mut sum, &source[start..start + BLOCK_LEN]);
        }
        *block = sum;
    }
    tail.fill(0);
    for source in sources {
        xor_into(tail, &source[tail_start..tail_start + tail.len()]);
    }
}

/// One step along the chain of a division by 1 + x^t: with the new chain value
/// `c = chain ^ target ^ source`, stores it in `target` and `chain` and adds it to `total`.
/// All four have the same length.
pub(crate) fn divide_step(target: &mut [u8], source: &[u8], chain: &mut [u8], total: &mut [u8]) {
    debug_assert_eq!(target.len(), source.len());
    debug_assert_eq!(chain.len(), total.len());
    let carried = chain.iter_mut().zip(total);
    for ((byte, other), (chain, total)) in target.iter_mut().zip(source).zip(carried) {
        *chain ^= *byte ^ *other;
        *byte = *chain;
        *total ^= *chain;
    }
}

/// A list of slices to be added up, filled anew for each result.
pub(crate) struct Sources<'a> {
    slices: [&'a [u8]; MAX_SOURCES],
    count: usize,
}

impl<'a> Sources<'a> {
    pub(crate) const fn new() -> Self {
        Self {
            slices: [&[]; MAX_SOURCES],
            count: 0,
        }
    }

    pub(crate) const fn clear(&mut self) {
        self.count = 0;
    }

    pub(crate) const fn push(&mut self, slice: &'a [u8]) {
        self.slices[self.count] = slice;
        self.count += 1;
    }

    pub(crate) fn as_slice(&self) -> &[&'a [u8]] {
        &self.slices[..self.count]
    }
}

/// The same byte range of every piece of a buffer that is cut into pieces of equal length.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    piece_len: usize,
    start: usize,
    len: usize,
}

impl Cut {
    /// All of every piece.
    pub(crate) const fn whole(piece_len: usize) -> Self {
        Self {
            piece_len,
            start: 0,
            len: piece_len,
        }
    }

    /// The tiles of at most `tile_len` bytes that cover every piece.
    pub(crate) fn tiles(piece_len: usize, tile_len: usize) -> impl Iterator<Item = Self> {
        (0..piece_len).step_by(tile_len).map(move |start| Self {
            piece_len,
            start,
            len: tile_len.min(piece_len - start),
        })
    }

    /// How many bytes of each piece are in the range.
    pub(crate) const fn len(self) -> usize {
        self.len
    }

    /// Where the range of piece `number` lies in the buffer.
    pub(crate) const fn range(self, number: usize) -> Range<usize> {
        let first = number * self.piece_len + self.start;
        first..first + self.len
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// Bytes without a pattern of a short period.
    fn bytes(seed: usize, len: usize) -> Vec<u8> {
        (0..len)
            .map(|at| ((((at + 1) * (2 * seed + 37)) >> 3) ^ (at * seed)).to_le_bytes()[0])
            .collect()
    }

    #[test]
    fn fused_sum_equals_byte_by_byte_at_all_lengths() {
        for len in 0..=256 {
            for count in [0, 1, 2, 3, 7, 20] {
                let owned: Vec<_> = (0..count).map(|seed| bytes(seed, len + 3)).collect();
                // Three alignments at once: each source starts elsewhere.
                let sources: Vec<_> = owned
                    .iter()
                    .enumerate()
                    .map(|(at, s)| &s[at % 3..at % 3 + len])
                    .collect();
                let mut sum = bytes(99, len);
                xor_sources(&mut sum, &sources);
                for at in 0..len {
                    assert_eq!(sum[at], sources.iter().fold(0, |sum, s| sum ^ s[at]));
                }
            }
        }
    }

    #[test]
    fn divide_step_carries_the_chain() {
        for len in 0..=256 {
            let (before, source) = (bytes(1, len), bytes(2, len));
            let (mut target, mut chain, mut total) = (before.clone(), bytes(3, len), bytes(4, len));
            divide_step(&mut target, &source, &mut chain, &mut total);
            for at in 0..len {
                let value = before[at] ^ source[at] ^ bytes(3, len)[at];
                assert_eq!((target[at], chain[at]), (value, value));
                assert_eq!(total[at], bytes(4, len)[at] ^ value);
            }
        }
    }

    #[test]
    fn tiles_cover_every_byte_once_and_scratch_is_bounded() {
        for pieces in 1..=62_750 {
            let len = tile_len(pieces);
            assert!((TILE_LEN_MIN..=TILE_LEN_MAX).contains(&len));
            assert!(len * pieces <= 1 << 20);
        }
        let ranges: Vec<_> = Cut::tiles(10, 4).map(|cut| cut.range(1)).collect();
        assert_eq!(ranges, [10..14, 14..18, 18..20]);
        assert_eq!(Cut::tiles(0, 4).count(), 0);
    }
}
