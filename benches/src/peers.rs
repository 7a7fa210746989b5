//! Other threshold secret sharing in Rust, without authentication on either side. They are Shamir's
//! scheme over GF(256): the same secrecy, another arithmetic. Every library gets the same generator;
//! that the peers allocate their results belongs to what they do.

mod coding;

use anyhow::{Result, ensure};
use blahaj::{Share, Sharks};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use vsss_rs::Gf256;

use crate::case::{CASES, CHUNK_LEN, Case};
use crate::clock::{median_ms, try_median_ms};
use crate::ours::{Buffers, Reader};

/// Milliseconds of split and of combine.
type Times = (f64, f64);

pub(crate) fn run() -> Result<()> {
    println!("\n2 MiB without authentication, MB/s of secret: split / combine");
    println!(
        "{:<10} {:>16} {:>16} {:>16}",
        "", "xorida-core", "vsss-rs 6.0", "blahaj 0.7"
    );
    for case in CASES {
        let [ours, vsss, blahaj] = [ours(case)?, vsss(case)?, blahaj(case)?].map(rates);
        println!("{case:<10} {ours:>16} {vsss:>16} {blahaj:>16}");
    }
    coding::run()
}

fn rates((split, combine): Times) -> String {
    let rate = |ms: f64| CHUNK_LEN as f64 / ms / 1e3;
    format!("{:.0} / {:.0}", rate(split), rate(combine))
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([7; 32])
}

fn payload() -> Vec<u8> {
    (0..=u8::MAX).cycle().take(CHUNK_LEN).collect()
}

fn ours(case: Case) -> Result<Times> {
    let mut buffers = Buffers::new(case.access()?, CHUNK_LEN);
    let mut rng = rng();
    let split = try_median_ms(|| buffers.deal(&mut rng))?;
    let mut reader = Reader::new(&buffers)?;
    let combine = try_median_ms(|| reader.recover(&buffers))?;
    ensure!(
        reader.data() == buffers.data(),
        "{case}: combined to other bytes"
    );
    Ok((split, combine))
}

fn vsss(case: Case) -> Result<Times> {
    let (k, n, payload, mut rng) = (usize::from(case.k), usize::from(case.n), payload(), rng());
    let mut shares = Ok(Vec::new());
    let split = median_ms(|| shares = Gf256::split_bytes(k, n, &payload, &mut rng));
    let shares = shares.map_err(|error| anyhow::anyhow!("vsss-rs: {error}"))?;
    let mut combined = Ok(Vec::new());
    let combine = median_ms(|| combined = Gf256::combine_bytes(&shares[n - k..]));
    ensure!(
        combined.is_ok_and(|bytes| bytes == payload),
        "vsss-rs {case}: other bytes"
    );
    Ok((split, combine))
}

fn blahaj(case: Case) -> Result<Times> {
    let (k, n, payload, mut rng) = (usize::from(case.k), usize::from(case.n), payload(), rng());
    let sharks = Sharks(case.k);
    let mut shares: Vec<Share> = Vec::new();
    let split = median_ms(|| shares = sharks.dealer_rng(&payload, &mut rng).take(n).collect());
    let mut combined = Ok(Vec::new());
    let combine = median_ms(|| combined = sharks.recover(&shares[n - k..]));
    ensure!(
        combined.is_ok_and(|bytes| bytes == payload),
        "blahaj {case}: other bytes"
    );
    Ok((split, combine))
}
