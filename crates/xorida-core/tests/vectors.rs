//! Known answers of the published scheme, made by an independent implementation.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a helper that cannot go on fails its test"
)]

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;
use xorida_core::scheme::Equations;
use xorida_core::{
    AccessStructure, Decoder, Error, Recovery, ShareIndex, Target, VerifiedShare, deal,
    deal_scratch_len, pad, unpad,
};

struct Vector {
    name: String,
    variant: char,
    k: u8,
    n: u8,
    p: u16,
    secret: Vec<u8>,
    random: Vec<u8>,
    shares: Vec<Vec<u8>>,
    message: Option<Vec<u8>>,
}

fn unhex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn vectors() -> Vec<Vector> {
    let file: Value = serde_json::from_str(include_str!("vectors/xorida.json")).unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    file["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| Vector {
            name: v["name"].as_str().unwrap().into(),
            variant: v["variant"].as_str().unwrap().chars().next().unwrap(),
            k: number(&v["k"]).try_into().unwrap(),
            n: number(&v["n"]).try_into().unwrap(),
            p: number(&v["p"]).try_into().unwrap(),
            secret: unhex(&v["secret_hex"]),
            random: unhex(&v["random_hex"]),
            shares: v["shares_hex"]
                .as_array()
                .unwrap()
                .iter()
                .map(unhex)
                .collect(),
            message: v.get("message_hex").map(unhex),
        })
        .collect()
}

/// Gives the bytes of a script, and panics when more are drawn.
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

/// The access structure, where this crate deals by these equations.
fn dealt_by_us(v: &Vector) -> Option<AccessStructure> {
    AccessStructure::try_new(v.k, v.n)
        .ok()
        .filter(|_| v.k < v.n)
}

fn encode(v: &Vector) -> Vec<Vec<u8>> {
    let mut shares = vec![vec![0; v.secret.len()]; usize::from(v.n)];
    let mut slices: Vec<&mut [u8]> = shares.iter_mut().map(Vec::as_mut_slice).collect();
    match dealt_by_us(v) {
        Some(access) => {
            let mut random = Script(&v.random);
            let mut scratch = vec![0; deal_scratch_len(access)];
            deal(access, &v.secret, &mut random, &mut scratch, &mut slices).unwrap();
            assert!(
                random.0.is_empty(),
                "{}: exactly the vector's randomness is drawn",
                v.name
            );
        }
        None => Equations::try_new(v.k, v.p)
            .unwrap()
            .deal_pieces(&v.secret, &v.random, &mut slices)
            .unwrap(),
    }
    shares
}

/// The first k shares, the last k, and every second.
fn choices(v: &Vector) -> Vec<Vec<u8>> {
    let (k, n) = (usize::from(v.k), usize::from(v.n));
    let spread = (0..k).map(|t| (t * n / k) as u8).collect();
    vec![(0..v.k).collect(), (v.n - v.k..v.n).rev().collect(), spread]
}

fn expect_decoded(v: &Vector) {
    for choice in choices(v) {
        let shares: Vec<&[u8]> = choice
            .iter()
            .map(|i| v.shares[usize::from(*i)].as_slice())
            .collect();
        let mut secret = vec![0; v.secret.len()];
        let equations = Equations::try_new(v.k, v.p).unwrap();
        let mut scratch = vec![0; equations.recover_scratch_len()];
        for decoder in [Decoder::Matrix, Decoder::Ring] {
            secret.fill(0);
            let recovered =
                equations.recover_secret(decoder, &choice, &shares, &mut scratch, &mut secret);
            if decoder == Decoder::Matrix && usize::from(v.k) * (usize::from(v.p) - 1) > 256 {
                assert!(
                    matches!(recovered, Err(Error::Decoder { .. })),
                    "{}",
                    v.name
                );
                continue;
            }
            recovered.unwrap();
            assert_eq!(secret, v.secret, "{} from {choice:?}", v.name);
            assert!(
                scratch.iter().all(|byte| *byte == 0),
                "{}: scratch is wiped",
                v.name
            );
        }
        let Some(access) = dealt_by_us(v) else {
            continue;
        };
        let indices: Vec<_> = choice
            .iter()
            .map(|i| ShareIndex::try_new(*i, access).unwrap())
            .collect();
        let verified: Vec<_> = indices
            .iter()
            .zip(&shares)
            .map(|(index, share)| VerifiedShare::assume_authentic(*index, share))
            .collect();
        for decoder in [Decoder::Matrix, Decoder::Ring] {
            let Ok(recovery) = Recovery::with_decoder(access, &indices, Target::Secret, decoder)
            else {
                assert!(usize::from(v.k) * (usize::from(v.p) - 1) > 256);
                continue;
            };
            let mut scratch = vec![0; recovery.scratch_len()];
            secret.fill(0);
            recovery.run(&verified, &mut scratch, &mut secret).unwrap();
            assert_eq!(secret, v.secret, "{} by {decoder:?}", v.name);
        }
    }
}

#[test]
fn encoder_and_decoder_meet_all_known_answers() {
    let (mut encoded, mut inner, mut decoded_z, mut decoded_k, mut other) = (0, 0, 0, 0, 0);
    for v in &vectors() {
        match v.variant {
            'Z' => {
                assert_eq!(encode(v), v.shares, "{}", v.name);
                encoded += 1;
                inner += usize::from(dealt_by_us(v).is_none());
                expect_decoded(v);
                decoded_z += 1;
            }
            // The prime 2 is the one-time pad, which this crate deals as n-of-n.
            'K' if v.p == 2 => {}
            'K' => {
                expect_decoded(v);
                decoded_k += 1;
            }
            'X' => other += 1,
            unknown => panic!("variant {unknown}"),
        }
    }
    println!(
        "{encoded} Z encoded ({inner} by the inner function), {decoded_z} Z and {decoded_k} K decoded, {other} X are another scheme"
    );
    assert_eq!(
        (encoded, inner, decoded_z, decoded_k, other),
        (52, 10, 52, 50, 11)
    );
}

#[test]
fn padding_meets_the_known_answers() {
    let mut count = 0;
    for v in vectors().iter().filter(|v| v.message.is_some()) {
        let message = v.message.as_ref().unwrap();
        let access = AccessStructure::try_new(v.k, v.n).unwrap();
        let mut padded = vec![0; access.padded_len(message.len())];
        padded[..message.len()].copy_from_slice(message);
        pad(access, &mut padded, message.len()).unwrap();
        assert_eq!(padded, v.secret, "{}", v.name);
        assert_eq!(unpad(access, &v.secret).unwrap(), message);
        count += 1;
    }
    assert_eq!(count, 36);
}
