//! What a put and a get do to one chunk on the processor, through the public functions of
//! `xorida-core`, with buffers that are used again.

mod chunk;
/// The code of short mode, which `xstore` keeps to itself.
#[cfg(feature = "peers")]
#[path = "../../crates/xstore/src/erasure.rs"]
pub(crate) mod erasure;

use std::hint::black_box;

use anyhow::{Result, ensure};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use xorida_core::AccessStructure;

use crate::case::{CASES, CHUNK_LEN, Case};
use crate::clock::try_median_ms;
use crate::floors::Floors;
pub(crate) use chunk::{Buffers, Reader};

/// Bytes of the small case, and how often it is dealt between two looks at the clock.
const SMALL_LEN: usize = 1 << 10;
const SMALL_BATCH: u32 = 500;

pub(crate) fn run() -> Result<()> {
    let floors = Floors::measure();
    println!(
        "\none chunk of 2 MiB, median ms of processor time; ratio to the floor of this process"
    );
    println!(
        "{:<14} {:>8} {:>8} {:>6} {:>11}",
        "", "ours", "floor", "ratio", "published*"
    );
    for case in CASES {
        let (split, get) = measure(case)?;
        print_row(
            "split",
            case,
            split,
            floors.split_ms(case),
            case.published.map(|ms| ms.0),
        );
        print_row(
            "get",
            case,
            get,
            floors.get_ms(case),
            case.published.map(|ms| ms.1),
        );
    }
    println!(
        "\nsplit of 1 KiB, 2-of-2: {:.2} us",
        small_split_ms()? * 1e3
    );
    println!(
        "\n* for 2 MB by the authors of the design, in JavaScript on another machine (Apple M2): a \
         reference, not a comparison.\nThe floor hashes one stream after the other and XORs one \
         source at a time; code that does several at once can be below it."
    );
    Ok(())
}

fn print_row(what: &str, case: Case, ours: f64, floor: f64, published: Option<f64>) {
    let published = published.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"));
    let ratio = ours / floor;
    println!("{what:<6}{case:<8} {ours:>8.3} {floor:>8.3} {ratio:>6.2} {published:>11}");
}

/// Milliseconds of split and of get.
fn measure(case: Case) -> Result<(f64, f64)> {
    let mut buffers = Buffers::new(case.access()?, CHUNK_LEN);
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let split = try_median_ms(|| buffers.split(&mut rng))?;
    let mut reader = Reader::new(&buffers)?;
    let get = try_median_ms(|| reader.get(&buffers))?;
    ensure!(
        reader.data() == buffers.data(),
        "{case}: get gave other bytes than were split"
    );
    Ok((split, get))
}

fn small_split_ms() -> Result<f64> {
    let mut buffers = Buffers::new(AccessStructure::try_new(2, 2)?, SMALL_LEN);
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let batch = try_median_ms(|| {
        (0..SMALL_BATCH)
            .try_for_each(|_| buffers.split(&mut rng).map(|digest| _ = black_box(digest)))
    })?;
    Ok(batch / f64::from(SMALL_BATCH))
}
