//! The erasure code of short mode beside another Reed-Solomon code: what follows the k shards of data,
//! and the data from the last k shards.

use anyhow::{Result, ensure};
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use super::Times;
use crate::case::{CASES, CHUNK_LEN, Case};
use crate::clock::{median_ms, try_median_ms};
use crate::ours::erasure::Interpolation;

/// A chunk of a large file, and a small one.
const LENS: [usize; 2] = [CHUNK_LEN, 64 << 10];

pub(super) fn run() -> Result<()> {
    println!("\nErasure coding, MB/s of data: code / restore");
    println!(
        "{:<18} {:>16} {:>22}",
        "", "xstore", "reed-solomon-simd 3.1"
    );
    for case in CASES {
        for len in LENS {
            // Shards of whole 16-bit elements.
            let len = (len / usize::from(case.k)) & !1;
            let (ours, peer) = (ours(case, len)?, peer(case, len)?);
            let [ours, peer] = [ours, peer].map(|times| rates(len * usize::from(case.k), times));
            println!(
                "{case:<10} {:>7} {ours:>16} {peer:>22}",
                len * usize::from(case.k)
            );
        }
    }
    Ok(())
}

fn rates(len: usize, (code, restore): Times) -> String {
    let rate = |ms: f64| len as f64 / ms / 1e3;
    format!("{:.0} / {:.0}", rate(code), rate(restore))
}

/// n shards, of which the first k are data and the others zero.
fn shards(case: Case, len: usize) -> Vec<Vec<u8>> {
    let data = (0..case.k).map(|x| (0..=u8::MAX).cycle().skip(x.into()).take(len).collect());
    let others = (case.k..case.n).map(|_| vec![0; len]);
    data.chain(others).collect()
}

/// The data shards that the last k shards lack.
fn lost(case: Case) -> std::ops::Range<u8> {
    0..case.k.min(case.n - case.k)
}

fn ours(case: Case, len: usize) -> Result<Times> {
    let mut shards = shards(case, len);
    let (data, others) = shards.split_at_mut(case.k.into());
    let slices: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
    let sources: Vec<u8> = (0..case.k).collect();
    let code = median_ms(|| {
        for (index, shard) in (case.k..).zip(&mut *others) {
            Interpolation::new(&sources, index).run(&slices, shard);
        }
    });
    let last: Vec<u8> = (case.n - case.k..case.n).collect();
    let slices: Vec<&[u8]> = last.iter().map(|x| &*shards[usize::from(*x)]).collect();
    let mut restored = vec![vec![0; len]; lost(case).len()];
    let restore = median_ms(|| {
        for (index, shard) in lost(case).zip(&mut restored) {
            Interpolation::new(&last, index).run(&slices, shard);
        }
    });
    ensure!(
        shards.starts_with(&restored),
        "{case}: restored other bytes"
    );
    Ok((code, restore))
}

fn peer(case: Case, len: usize) -> Result<Times> {
    let (k, coded) = (usize::from(case.k), usize::from(case.n - case.k));
    let mut shards = shards(case, len);
    let (data, others) = shards.split_at_mut(k);
    let mut encoder = ReedSolomonEncoder::new(k, coded, len)?;
    let code = try_median_ms(|| {
        for shard in &*data {
            encoder.add_original_shard(shard)?;
        }
        let result = encoder.encode()?;
        for (shard, made) in others.iter_mut().zip(result.recovery_iter()) {
            shard.copy_from_slice(made);
        }
        Ok::<_, reed_solomon_simd::Error>(())
    })?;
    let mut decoder = ReedSolomonDecoder::new(k, coded, len)?;
    let mut restored = vec![vec![0; len]; lost(case).len()];
    let restore = try_median_ms(|| {
        for (index, shard) in shards.iter().enumerate().skip(usize::from(case.n) - k) {
            match index.checked_sub(k) {
                None => decoder.add_original_shard(index, shard)?,
                Some(index) => decoder.add_recovery_shard(index, shard)?,
            }
        }
        let result = decoder.decode()?;
        for (shard, (_, made)) in restored.iter_mut().zip(result.restored_original_iter()) {
            shard.copy_from_slice(made);
        }
        Ok::<_, reed_solomon_simd::Error>(())
    })?;
    ensure!(
        shards.starts_with(&restored),
        "reed-solomon-simd {case}: restored other bytes"
    );
    Ok((code, restore))
}
