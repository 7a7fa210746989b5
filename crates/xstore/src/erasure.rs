//! Erasure coding: k data shards give n - k others, and any k of the n give each of them back.
//!
//! Byte by byte, shard x is the value at x of the one polynomial over GF(2^8) of degree below k
//! whose values at 0 to k - 1 are the data shards (Reed and Solomon, "Polynomial Codes over Certain
//! Finite Fields", 1960). So coding, decoding and restoring are one interpolation, and the format is
//! that sentence; a library would add a format of its own, and a second formula for each of the three.

/// x^8 of the field: GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1.
const REDUCTION: u8 = 0x1d;

/// Bytes that are worked on while they are in the fastest cache.
const TILE_LEN: usize = 4096;

/// How one shard follows from k others: the weight of each.
pub(crate) struct Interpolation(Vec<u8>);

impl Interpolation {
    /// For the shard at `target` from those at `sources`, which are distinct. The weights are
    /// Lagrange's, so that of a target among the sources is one, and the others are zero.
    pub(crate) fn new(sources: &[u8], target: u8) -> Self {
        let weight = |&own: &u8| {
            let others = sources.iter().filter(|other| **other != own);
            let (above, below) = others.fold((1, 1), |(above, below), other| {
                (product(above, target ^ other), product(below, own ^ other))
            });
            product(above, inverse(below))
        };
        Self(sources.iter().map(weight).collect())
    }

    /// Computes the shard into `output`; `shards` are those of the sources, each as long as it.
    ///
    /// Time and addresses depend on lengths and indices only.
    pub(crate) fn run(&self, shards: &[&[u8]], output: &mut [u8]) {
        for (tile, start) in output.chunks_mut(TILE_LEN).zip((0..).step_by(TILE_LEN)) {
            tile.fill(0);
            // Horner's rule over the bits of the weights: no table, and whole registers at a time.
            for bit in (0..8).rev() {
                tile.iter_mut().for_each(|byte| *byte = doubled(*byte));
                let added = self.0.iter().zip(shards);
                for (_, shard) in added.filter(|(weight, _)| *weight >> bit & 1 == 1) {
                    let piece = &shard[start..start + tile.len()];
                    tile.iter_mut().zip(piece).for_each(|(t, s)| *t ^= s);
                }
            }
        }
    }
}

/// x times `a` in the field.
const fn doubled(a: u8) -> u8 {
    // The sign says whether x^8 comes out.
    let carry = (a.cast_signed() >> 7).cast_unsigned();
    a << 1 ^ (carry & REDUCTION)
}

fn product(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0, |sum, bit| {
        let addend = if b >> bit & 1 == 1 { a } else { 0 };
        doubled(sum) ^ addend
    })
}

/// a^254, since a^255 is one for every a but zero.
fn inverse(a: u8) -> u8 {
    (1..8).fold(1, |power, _| {
        let next = product(power, a);
        product(next, next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: u8, len: usize) -> Vec<Vec<u8>> {
        let byte = |x: u8, at: usize| x.wrapping_mul(91) ^ u8::try_from(at % 251).unwrap();
        let shard = |x| (0..len).map(|at| byte(x, at)).collect();
        (0..count).map(shard).collect()
    }

    fn shard(sources: &[u8], target: u8, all: &[Vec<u8>]) -> Vec<u8> {
        let shards: Vec<&[u8]> = sources.iter().map(|x| &*all[usize::from(*x)]).collect();
        let mut output = vec![0xaa; shards[0].len()];
        Interpolation::new(sources, target).run(&shards, &mut output);
        output
    }

    #[test]
    fn the_field_has_its_laws_and_known_products() {
        // Powers of x: x^8 is the reduction, and x generates all 255 elements.
        let powers = std::iter::successors(Some(1), |a| Some(doubled(*a)));
        let powers: Vec<u8> = powers.take(255).collect();
        assert_eq!(powers[8..12], [0x1d, 0x3a, 0x74, 0xe8]);
        let distinct: std::collections::BTreeSet<&u8> = powers.iter().collect();
        assert_eq!(distinct.len(), 255);
        for (i, a) in powers.iter().enumerate() {
            assert_eq!(product(*a, inverse(*a)), 1);
            for (j, b) in powers.iter().enumerate().step_by(7) {
                assert_eq!(product(*a, *b), powers[(i + j) % 255]);
            }
        }
    }

    #[test]
    fn two_points_lie_on_their_line() {
        // Through d at 0 and e at 1: the value at x is d + x (d + e).
        let all = [vec![0x53; 3], vec![0xca; 3]];
        for x in 0..=250 {
            assert_eq!(shard(&[0, 1], x, &all), [0x53 ^ product(x, 0x53 ^ 0xca); 3]);
        }
    }

    #[test]
    fn any_k_shards_give_every_shard() {
        for (k, n, len) in [(2, 3, 1), (3, 5, 4097), (4, 6, 2 * TILE_LEN), (2, 6, 33)] {
            let data = shards(k, len);
            let sources: Vec<u8> = (0..k).collect();
            let all: Vec<Vec<u8>> = (0..n).map(|x| shard(&sources, x, &data)).collect();
            assert_eq!(all[..usize::from(k)], data, "the first k are the data");
            for set in (0u32..1 << n).filter(|set| set.count_ones() == u32::from(k)) {
                let chosen: Vec<u8> = (0..n).filter(|x| set >> x & 1 == 1).collect();
                for x in 0..n {
                    assert_eq!(
                        shard(&chosen, x, &all),
                        all[usize::from(x)],
                        "{x} of {chosen:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_largest_code_restores_from_its_last_shards() {
        let data = shards(128, 5);
        let sources: Vec<u8> = (0..128).collect();
        let all: Vec<Vec<u8>> = (0..251).map(|x| shard(&sources, x, &data)).collect();
        let last: Vec<u8> = (123..251).collect();
        for x in [0, 1, 64, 122] {
            assert_eq!(shard(&last, x, &all), all[usize::from(x)]);
        }
    }
}
