//! What this core can do at best: hash, generate, write, read, XOR. Nothing that is built of these
//! steps one after the other is faster than their sum.

use std::hint::black_box;

use anyhow::Result;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use crate::case::{CASES, CHUNK_LEN, Case};
use crate::clock::median_ms;

/// Bytes of one call of the generator in a dealing, to within a factor of two.
const FILL_LEN: usize = 16 << 10;
/// Bytes of each operand of the XOR: two of them fit the second-level cache.
const XOR_LEN: usize = 128 << 10;

/// Milliseconds for one chunk's worth of bytes, each step alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floors {
    /// SHA-256, one stream.
    hash: f64,
    /// ChaCha20.
    random: f64,
    write: f64,
    read: f64,
    /// One source into one destination.
    xor: f64,
}

pub(crate) fn run() -> Result<()> {
    let floors = Floors::measure();
    println!("\nrates of one core, GB/s");
    for (name, ms) in [
        ("SHA-256, one stream, 2 MiB", floors.hash),
        ("ChaCha20Rng, fills of 16 KiB", floors.random),
        ("write, 2 MiB", floors.write),
        ("read, 2 MiB", floors.read),
        ("XOR into place, 128 KiB", floors.xor),
    ] {
        println!("{name:<30} {:>7.2}", CHUNK_LEN as f64 / ms / 1e6);
    }
    println!(
        "\nfloors of a chunk of 2 MiB, ms\n{:<8} {:>7} {:>7}",
        "", "split", "get"
    );
    for case in CASES {
        println!(
            "{case:<8} {:>7.2} {:>7.2}",
            floors.split_ms(case),
            floors.get_ms(case)
        );
    }
    Ok(())
}

impl Floors {
    /// Measures every step; takes about a second.
    pub(crate) fn measure() -> Self {
        Self {
            hash: hash(),
            random: random(),
            write: write(),
            read: read(),
            xor: xor(),
        }
    }

    /// n tags and the payload digest, k - 1 secrets' worth of random bytes, n shares written, the
    /// secret read.
    pub(crate) fn split_ms(&self, case: Case) -> f64 {
        let (k, n) = (f64::from(case.k), f64::from(case.n));
        (n + 1.0) * self.hash + (k - 1.0) * self.random + n * self.write + self.read
    }

    /// k tags and the payload digest, the XORs of the decoder, the secret written.
    pub(crate) fn get_ms(&self, case: Case) -> f64 {
        (f64::from(case.k) + 1.0) * self.hash + case.decode_xors * self.xor + self.write
    }
}

fn hash() -> f64 {
    let bytes = vec![0x55; CHUNK_LEN];
    median_ms(|| {
        black_box(Sha256::digest(black_box(&bytes)));
    })
}

fn random() -> f64 {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut bytes = vec![0; FILL_LEN];
    median_ms(|| {
        for _ in 0..CHUNK_LEN / FILL_LEN {
            rng.fill_bytes(black_box(&mut bytes));
        }
    })
}

fn write() -> f64 {
    let mut bytes = vec![0; CHUNK_LEN];
    let mut value = 0_u8;
    median_ms(|| {
        value = value.wrapping_add(1);
        black_box(&mut bytes).fill(value);
    })
}

fn read() -> f64 {
    let words = vec![0x55_u64; CHUNK_LEN / 8];
    median_ms(|| {
        let mut sums = [0_u64; 16];
        for group in black_box(&words).chunks_exact(sums.len()) {
            for (sum, word) in sums.iter_mut().zip(group) {
                *sum ^= word;
            }
        }
        black_box(sums);
    })
}

fn xor() -> f64 {
    let (mut into, from) = (vec![0_u64; XOR_LEN / 8], vec![0x55_u64; XOR_LEN / 8]);
    median_ms(|| {
        for _ in 0..CHUNK_LEN / XOR_LEN {
            for (into, from) in black_box(&mut into).iter_mut().zip(black_box(&from)) {
                *into ^= from;
            }
        }
    })
}
