//! k shares determine the secret, k - 1 say nothing: shown on the encoder's own matrix, by exact
//! enumeration, and against random sources that are not uniform.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

use std::collections::HashMap;

use core::convert::Infallible;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_core::{Rng, TryCryptoRng, TryRng};
use xorida_core::{AccessStructure, deal, deal_scratch_len};

/// Gives the bytes of a script.
struct Script<'a>(&'a [u8]);

impl TryRng for Script<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the dealer draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("the dealer draws bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let (now, later) = self.0.split_at(out.len());
        out.copy_from_slice(now);
        self.0 = later;
        Ok(())
    }
}

impl TryCryptoRng for Script<'_> {}

/// Random bytes drawn when each piece is one byte long.
fn random_len(access: AccessStructure) -> usize {
    usize::from(access.threshold() - 1) * access.pieces()
}

/// Deals a secret of one byte for each piece.
fn deal_bytes<R: TryCryptoRng>(
    access: AccessStructure,
    secret: &[u8],
    rng: &mut R,
) -> Vec<Vec<u8>> {
    let mut shares = vec![vec![0; secret.len()]; usize::from(access.share_count())];
    let mut slices: Vec<&mut [u8]> = shares.iter_mut().map(Vec::as_mut_slice).collect();
    let mut scratch = vec![0; deal_scratch_len(access)];
    deal(access, secret, rng, &mut scratch, &mut slices).unwrap();
    shares
}

/// Up to 192 bits: which unknowns a piece of a share is the XOR of.
type Row = [u64; 3];

/// The encoder's matrix: row for each piece of each share, column for each piece of the secret and
/// then of the randomness, taken by dealing each basis vector with the real code.
fn matrix(access: AccessStructure) -> Vec<Vec<Row>> {
    let (secret_len, random_len) = (access.pieces(), random_len(access));
    let mut rows = vec![vec![[0; 3]; secret_len]; usize::from(access.share_count())];
    for column in 0..secret_len + random_len {
        let mut unknowns = vec![0; secret_len + random_len];
        unknowns[column] = 1;
        let (secret, random) = unknowns.split_at(secret_len);
        let shares = deal_bytes(access, secret, &mut Script(random));
        for (share, rows) in shares.iter().zip(&mut rows) {
            for (byte, row) in share.iter().zip(rows) {
                assert!(*byte <= 1);
                row[column / 64] |= u64::from(*byte) << (column % 64);
            }
        }
    }
    rows
}

fn rank(rows: impl Iterator<Item = Row>) -> usize {
    let mut basis: Vec<(usize, Row)> = Vec::new();
    for mut row in rows {
        for (pivot, other) in &basis {
            if row[pivot / 64] >> (pivot % 64) & 1 == 1 {
                (0..3).for_each(|word| row[word] ^= other[word]);
            }
        }
        if let Some(pivot) = (0..192).find(|bit| row[bit / 64] >> (bit % 64) & 1 == 1) {
            basis.push((pivot, row));
        }
    }
    basis.len()
}

/// The rows without the columns of the secret.
fn random_part(row: Row, secret_len: usize) -> Row {
    let mut row = row;
    (0..secret_len).for_each(|bit| row[bit / 64] &= !(1 << (bit % 64)));
    row
}

fn subsets(n: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    (0u32..1 << n)
        .filter(move |set| set.count_ones() as usize == size)
        .map(move |set| (0..n).filter(|i| set >> i & 1 == 1).collect())
}

#[test]
fn every_k_shares_determine_the_secret_and_every_fewer_say_nothing() {
    let (mut structures, mut qualified, mut unqualified) = (0, 0, 0);
    for n in 2..=13u8 {
        for k in 2..=n {
            let access = AccessStructure::try_new(k, n).unwrap();
            let matrix = matrix(access);
            let pieces = access.pieces();
            let rows_of = |set: &[usize]| -> Vec<Row> {
                set.iter()
                    .flat_map(|share| matrix[*share].iter().copied())
                    .collect()
            };
            for set in subsets(usize::from(n), usize::from(k)) {
                let rows = rows_of(&set);
                let all = rank(rows.iter().copied());
                let random = rank(rows.iter().map(|row| random_part(*row, pieces)));
                assert_eq!(
                    all - random,
                    pieces,
                    "{k}-of-{n}: {set:?} determine the secret"
                );
                qualified += 1;
            }
            for set in subsets(usize::from(n), usize::from(k) - 1) {
                let rows = rows_of(&set);
                let all = rank(rows.iter().copied());
                let random = rank(rows.iter().map(|row| random_part(*row, pieces)));
                assert_eq!(all, random, "{k}-of-{n}: {set:?} leak nothing");
                unqualified += 1;
            }
            structures += 1;
        }
    }
    println!("{structures} access structures, {qualified} qualified sets, {unqualified} others");
    assert_eq!(structures, 78);
}

/// Whether what every k - 1 shares see is distributed alike for all secrets, when each random byte
/// takes each value of `alphabet` once.
fn is_perfect(access: AccessStructure, alphabet: &[u8]) -> bool {
    let random_len = random_len(access);
    let combinations = |values: &[u8], len: usize| -> Vec<Vec<u8>> {
        let count = values.len().pow(u32::try_from(len).unwrap());
        (0..count)
            .map(|mut number| {
                (0..len)
                    .map(|_| {
                        let digit = values[number % values.len()];
                        number /= values.len();
                        digit
                    })
                    .collect()
            })
            .collect()
    };
    let n = usize::from(access.share_count());
    let others: Vec<_> = subsets(n, usize::from(access.threshold()) - 1).collect();
    let randoms = combinations(alphabet, random_len);
    let mut seen: Vec<Option<HashMap<Vec<u8>, usize>>> = vec![None; others.len()];
    for secret in combinations(&[0, 1], access.pieces()) {
        let mut views: Vec<HashMap<Vec<u8>, usize>> = vec![HashMap::new(); others.len()];
        for random in &randoms {
            let shares = deal_bytes(access, &secret, &mut Script(random));
            for (set, views) in others.iter().zip(&mut views) {
                let view = set
                    .iter()
                    .flat_map(|share| shares[*share].clone())
                    .collect();
                *views.entry(view).or_default() += 1;
            }
        }
        for (seen, view) in seen.iter_mut().zip(views) {
            match seen {
                Some(seen) if *seen != view => return false,
                Some(_) => {}
                None => *seen = Some(view),
            }
        }
    }
    true
}

#[test]
fn all_randomness_of_a_small_block_hides_every_secret_exactly() {
    for (k, n) in [
        (2, 2),
        (2, 3),
        (3, 3),
        (2, 4),
        (3, 4),
        (4, 4),
        (2, 5),
        (3, 5),
    ] {
        let access = AccessStructure::try_new(k, n).unwrap();
        assert!(is_perfect(access, &[0, 1]), "{k}-of-{n}");
    }
}

/// Two published libraries failed here: one never drew a zero.
#[test]
fn a_source_without_zeros_is_found() {
    let access = AccessStructure::try_new(2, 3).unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();
    assert!(is_perfect(access, &every_byte));
    assert!(
        !is_perfect(access, &every_byte[1..]),
        "a byte that is never zero leaks"
    );
}

/// Draws again whatever is zero.
struct NeverZero(ChaCha20Rng);

impl TryRng for NeverZero {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the dealer draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("the dealer draws bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = loop {
                let drawn = (self.0.next_u32() & 0xff) as u8;
                if drawn != 0 {
                    break drawn;
                }
            };
        }
        Ok(())
    }
}

impl TryCryptoRng for NeverZero {}

/// Chi-squared of the values of one share's bytes against the uniform distribution, 255 degrees of
/// freedom: above 450 has a probability below 10^-12.
fn chi_squared<R: TryCryptoRng>(rng: &mut R) -> f64 {
    let access = AccessStructure::try_new(2, 3).unwrap();
    let mut counts = [0u32; 256];
    for _ in 0..100_000 {
        for byte in &deal_bytes(access, &[0; 2], rng)[0] {
            counts[usize::from(*byte)] += 1;
        }
    }
    let expected = f64::from(counts.iter().sum::<u32>()) / 256.0;
    counts
        .iter()
        .map(|count| (f64::from(*count) - expected).powi(2) / expected)
        .sum()
}

#[test]
fn shares_look_uniform_and_a_biased_source_does_not() {
    let honest = chi_squared(&mut ChaCha20Rng::from_seed([1; 32]));
    assert!(honest < 450.0, "{honest}");
    // Share 0 of a secret of zeros is the random bytes themselves: no zero among 200,000.
    let biased = chi_squared(&mut NeverZero(ChaCha20Rng::from_seed([1; 32])));
    assert!(biased > 700.0, "{biased}");
}
