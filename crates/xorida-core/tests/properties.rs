//! Laws: deal and recover are inverse, decoders agree, a lost share comes back bit for bit.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

use core::convert::Infallible;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_core::{TryCryptoRng, TryRng};
use xorida_core::{
    AccessStructure, Decoder, Error, Recovery, Scheme, ShareIndex, Target, VerifiedShare, deal,
    deal_scratch_len, pad, unpad,
};

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    use rand_core::Rng;
    let mut out = vec![0; len];
    ChaCha20Rng::from_seed([seed; 32]).fill_bytes(&mut out);
    out
}

fn padded(access: AccessStructure, secret: &[u8]) -> Vec<u8> {
    let mut padded = vec![0; access.padded_len(secret.len())];
    padded[..secret.len()].copy_from_slice(secret);
    pad(access, &mut padded, secret.len()).unwrap();
    padded
}

fn dealt(access: AccessStructure, padded: &[u8], seed: u8) -> Vec<Vec<u8>> {
    let mut shares = vec![vec![0; padded.len()]; usize::from(access.share_count())];
    let mut slices: Vec<&mut [u8]> = shares.iter_mut().map(Vec::as_mut_slice).collect();
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let mut scratch = vec![0; deal_scratch_len(access)];
    deal(access, padded, &mut rng, &mut scratch, &mut slices).unwrap();
    shares
}

fn index(at: usize, access: AccessStructure) -> ShareIndex {
    ShareIndex::try_new(u8::try_from(at).unwrap(), access).unwrap()
}

fn recovered(
    access: AccessStructure,
    shares: &[Vec<u8>],
    set: &[usize],
    target: Target,
    decoder: Option<Decoder>,
) -> Result<Vec<u8>, Error> {
    let indices: Vec<_> = set.iter().map(|at| index(*at, access)).collect();
    let recovery = match decoder {
        Some(decoder) => Recovery::with_decoder(access, &indices, target, decoder)?,
        None => Recovery::try_new(access, &indices, target)?,
    };
    let held: Vec<_> = set
        .iter()
        .map(|at| VerifiedShare::assume_authentic(index(*at, access), &shares[*at]))
        .collect();
    let mut output = vec![0xee; shares[0].len()];
    recovery.run(&held, &mut vec![0; recovery.scratch_len()], &mut output)?;
    Ok(output)
}

fn subsets(n: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    (0u32..1 << n)
        .filter(move |set| set.count_ones() as usize == size)
        .map(move |set| (0..n).filter(|i| set >> i & 1 == 1).collect())
}

#[test]
fn every_qualified_set_gives_the_secret_and_every_lost_share() {
    let mut recoveries = 0;
    for n in 2..=7u8 {
        for k in 2..=n {
            let access = AccessStructure::try_new(k, n).unwrap();
            let secret = bytes(50, k);
            let shares = dealt(access, &padded(access, &secret), n);
            for set in subsets(usize::from(n), usize::from(k)) {
                let restored = recovered(access, &shares, &set, Target::Secret, None).unwrap();
                assert_eq!(
                    unpad(access, &restored).unwrap(),
                    secret,
                    "{k}-of-{n} {set:?}"
                );
                if access.scheme() == Scheme::NOfN {
                    continue;
                }
                for lost in 0..usize::from(n) {
                    for decoder in [Decoder::Matrix, Decoder::Ring] {
                        let target = Target::Share(index(lost, access));
                        let again =
                            recovered(access, &shares, &set, target, Some(decoder)).unwrap();
                        assert_eq!(
                            again, shares[lost],
                            "{k}-of-{n} {set:?} share {lost} {decoder:?}"
                        );
                        recoveries += 1;
                    }
                }
            }
        }
    }
    println!("{recoveries} lost shares recomputed bit for bit");
}

/// The formula, written down once more in the plainest way.
fn naive(access: AccessStructure, secret: &[u8], random: &[u8]) -> Vec<Vec<u8>> {
    let (k, p) = (usize::from(access.threshold()), usize::from(access.prime()));
    let d = secret.len() / (p - 1);
    let s = |j: usize| match j {
        0 => vec![0; d],
        j => secret[(j - 1) * d..j * d].to_vec(),
    };
    let r = |h: usize, j: usize| match j {
        j if j == p - 1 => vec![0; d],
        j => random[(h * (p - 1) + j) * d..(h * (p - 1) + j + 1) * d].to_vec(),
    };
    (0..usize::from(access.share_count()))
        .map(|i| {
            (0..p - 1)
                .flat_map(|j| {
                    let mut piece = s((j + p - i) % p);
                    for h in 0..k - 1 {
                        piece
                            .iter_mut()
                            .zip(r(h, (h * i + j) % p))
                            .for_each(|(a, b)| *a ^= b);
                    }
                    piece
                })
                .collect()
        })
        .collect()
}

/// A generator whose draws can be put into document order afterwards.
struct Recording(ChaCha20Rng, Vec<Vec<u8>>);

impl TryRng for Recording {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the dealer draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("the dealer draws bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(out)?;
        self.1.push(out.to_vec());
        Ok(())
    }
}

impl TryCryptoRng for Recording {}

#[test]
fn tiles_make_no_difference() {
    for (k, n) in [(2, 3), (3, 5), (5, 8), (2, 31)] {
        let access = AccessStructure::try_new(k, n).unwrap();
        let pieces = access.pieces();
        for piece_len in [1, 63, 64, 65, 4095, 4096, 4097, 10_000] {
            let secret = bytes(pieces * piece_len, k);
            let mut shares = vec![vec![0; secret.len()]; usize::from(n)];
            let mut slices: Vec<&mut [u8]> = shares.iter_mut().map(Vec::as_mut_slice).collect();
            let mut rng = Recording(ChaCha20Rng::from_seed([n; 32]), Vec::new());
            let mut scratch = vec![0; deal_scratch_len(access)];
            deal(access, &secret, &mut rng, &mut scratch, &mut slices).unwrap();
            assert!(
                scratch.iter().all(|byte| *byte == 0),
                "the scratch is wiped"
            );
            // Each draw is one tile of all random pieces.
            let slots = usize::from(k - 1) * pieces;
            let random: Vec<u8> = (0..slots)
                .flat_map(|slot| {
                    rng.1.iter().flat_map(move |tile| {
                        let len = tile.len() / slots;
                        tile[slot * len..(slot + 1) * len].to_vec()
                    })
                })
                .collect();
            assert!(
                shares == naive(access, &secret, &random),
                "{k}-of-{n}, pieces of {piece_len}"
            );
        }
    }
}

#[test]
fn the_largest_structures_work() {
    for (k, n) in [
        (2, 251),
        (3, 251),
        (17, 100),
        (250, 251),
        (251, 251),
        (100, 101),
    ] {
        let access = AccessStructure::try_new(k, n).unwrap();
        let secret = bytes(600, k);
        let shares = dealt(access, &padded(access, &secret), 9);
        let set: Vec<usize> = (usize::from(n - k)..usize::from(n)).rev().collect();
        let restored = recovered(access, &shares, &set, Target::Secret, None).unwrap();
        assert_eq!(unpad(access, &restored).unwrap(), secret, "{k}-of-{n}");
        if k < n {
            let target = Target::Share(index(0, access));
            let again = recovered(access, &shares, &set, target, None).unwrap();
            assert!(again == shares[0], "{k}-of-{n}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_structure_restores_any_secret_by_both_decoders(
        n in 2u8..=40, k_part in 0u8..=255, len in 0usize..3000, seed: u8, order: u64,
    ) {
        let k = 2 + k_part % (n - 1);
        let access = AccessStructure::try_new(k, n).unwrap();
        let secret = bytes(len, seed);
        let shares = dealt(access, &padded(access, &secret), seed.wrapping_add(1));
        let mut set: Vec<usize> = (0..usize::from(n)).collect();
        let mut state = order | 1;
        for at in (1..set.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            set.swap(at, (state >> 33) as usize % (at + 1));
        }
        set.truncate(usize::from(k));
        let restored = recovered(access, &shares, &set, Target::Secret, None).unwrap();
        prop_assert_eq!(unpad(access, &restored).unwrap(), &secret[..]);
        if access.scheme() == Scheme::Xorida {
            let ring = recovered(access, &shares, &set, Target::Secret, Some(Decoder::Ring)).unwrap();
            prop_assert!(ring == restored);
        }
    }

    #[test]
    fn padding_is_undone_and_damage_to_it_is_seen(n in 3u8..=251, len in 0usize..600) {
        let access = AccessStructure::try_new(2, n).unwrap();
        let mut buffer = padded(access, &bytes(len, 1));
        prop_assert_eq!(unpad(access, &buffer).unwrap().len(), len);
        prop_assert!(buffer.len() > len && buffer.len().is_multiple_of(access.pieces()));
        let last = buffer.len() - 1;
        for bad in [0, u8::MAX] {
            buffer[last] = bad;
            if usize::from(bad) > access.pieces() || bad == 0 {
                prop_assert_eq!(unpad(access, &buffer), Err(Error::Padding));
            }
        }
    }
}

struct Failing;

impl TryRng for Failing {
    type Error = std::io::Error;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Err(std::io::ErrorKind::Other.into())
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Err(std::io::ErrorKind::Other.into())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.fill(0xaa);
        Err(std::io::ErrorKind::Other.into())
    }
}

impl TryCryptoRng for Failing {}

#[test]
fn a_failing_source_is_an_error_and_leaves_no_share() {
    for (k, n) in [(2, 3), (3, 3)] {
        let access = AccessStructure::try_new(k, n).unwrap();
        let secret = padded(access, b"secret");
        let mut shares = vec![vec![0; secret.len()]; usize::from(n)];
        let mut slices: Vec<&mut [u8]> = shares.iter_mut().map(Vec::as_mut_slice).collect();
        let mut scratch = vec![0; deal_scratch_len(access)];
        let error = deal(access, &secret, &mut Failing, &mut scratch, &mut slices).unwrap_err();
        assert_eq!((error, error.code()), (Error::Random, "SPLIT_FAILED"));
        assert!(
            shares
                .iter()
                .chain([&scratch])
                .flatten()
                .all(|byte| *byte == 0)
        );
    }
}

#[test]
fn wrong_calls_have_typed_errors() {
    let access = AccessStructure::try_new(2, 3).unwrap();
    let at = |i| index(i, access);
    let plan = |set: &[ShareIndex]| Recovery::try_new(access, set, Target::Secret).map(|_| ());
    assert!(matches!(plan(&[at(0)]), Err(Error::TooFewShares { .. })));
    assert!(matches!(
        plan(&[at(0), at(1), at(2)]),
        Err(Error::TooManyShares { .. })
    ));
    assert!(matches!(
        plan(&[at(1), at(1)]),
        Err(Error::DuplicateIndex { index: 1 })
    ));
    assert!(matches!(
        ShareIndex::try_new(3, access),
        Err(Error::ShareIndex { .. })
    ));
    for (k, n) in [(0, 3), (1, 3), (4, 3), (2, 252), (2, 1)] {
        assert_eq!(
            AccessStructure::try_new(k, n).unwrap_err().code(),
            "INVALID_CONFIG"
        );
    }

    let all = AccessStructure::try_new(3, 3).unwrap();
    let every: Vec<_> = all.indices().collect();
    let lost = Recovery::try_new(all, &every, Target::Share(every[0])).unwrap_err();
    assert_eq!(lost.code(), "INSUFFICIENT_SHARES");

    let wide = AccessStructure::try_new(2, 251).unwrap();
    for decoder in [Decoder::Matrix, Decoder::Ring] {
        let foreign = Target::Share(index(200, wide));
        assert!(matches!(
            Recovery::with_decoder(access, &[at(0), at(1)], foreign, decoder),
            Err(Error::ShareIndex { index: 200, .. })
        ));
    }

    let recovery = Recovery::try_new(access, &[at(0), at(1)], Target::Secret).unwrap();
    let run = |first: &[u8], second: &[u8], out: usize| {
        let shares = [
            VerifiedShare::assume_authentic(at(0), first),
            VerifiedShare::assume_authentic(at(1), second),
        ];
        recovery.run(&shares, &mut [], &mut vec![0; out])
    };
    assert!(matches!(
        run(&[0; 4], &[0; 6], 4),
        Err(Error::ShareLength { .. })
    ));
    assert!(matches!(
        run(&[0; 3], &[0; 3], 3),
        Err(Error::ShareLength { .. })
    ));
    assert!(matches!(
        run(&[0; 4], &[0; 4], 5),
        Err(Error::BufferLength { .. })
    ));
    assert!(run(&[0; 4], &[0; 4], 4).is_ok());
    let stranger = VerifiedShare::assume_authentic(at(2), &[0; 4]);
    let twice = [stranger, stranger];
    assert!(matches!(
        recovery.run(&twice, &mut [], &mut [0; 4]),
        Err(Error::UnexpectedShare { .. })
    ));
}

#[test]
fn the_cheaper_decoder_is_taken() {
    let chosen = |threshold, share_count| {
        let access = AccessStructure::try_new(threshold, share_count).unwrap();
        let set: Vec<_> = access.indices().take(usize::from(threshold)).collect();
        Recovery::try_new(access, &set, Target::Secret)
            .unwrap()
            .decoder()
    };
    assert_eq!(chosen(2, 3), Decoder::Matrix);
    assert_eq!(chosen(5, 8), Decoder::Matrix);
    assert_eq!(chosen(2, 61), Decoder::Ring);
    assert_eq!(chosen(4, 31), Decoder::Ring);
    assert_eq!(chosen(3, 251), Decoder::Ring);
    assert_eq!(chosen(3, 3), Decoder::NOfN);
}

#[test]
fn a_plan_is_small() {
    assert!(size_of::<Recovery>() <= 4608, "{}", size_of::<Recovery>());
}
