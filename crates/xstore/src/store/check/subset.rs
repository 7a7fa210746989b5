//! Which chunks a check reads: all, a random sample, or one part of several.

use std::collections::BTreeSet;

use rand_core::Rng as _;

use crate::entropy::{Entropy, SegmentRandomness};
use crate::error::Error;
use crate::geometry::Geometry;

/// Chunks whose records a check reads of every share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subset {
    /// All of them.
    All,
    /// So many of a hundred, drawn anew at every check, and at least one.
    Percent(u8),
    /// About so many bytes of plaintext, drawn anew at every check, and at least one chunk.
    Bytes(u64),
    /// Part `number`, from 1, of `of`: as many checks with all numbers read everything once.
    Part {
        /// Which part.
        number: u64,
        /// How many parts there are.
        of: u64,
    },
}

impl Subset {
    /// Reads `all`, `5%`, `1/30` or `2G` (powers of 1000; `KiB`, `MiB`, `GiB` of 1024).
    ///
    /// # Errors
    /// [`Error::Config`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parsed = match text.split_once('/') {
            Some((number, of)) => part(number, of),
            None if text == "all" => Some(Self::All),
            None => match text.strip_suffix('%') {
                Some(percent) => percent
                    .parse()
                    .ok()
                    .filter(|percent| (1..=100).contains(percent))
                    .map(Self::Percent),
                None => bytes(text).map(Self::Bytes),
            },
        };
        parsed.ok_or_else(|| {
            Error::Config(format!("`{text}` is not a subset like all, 5%, 1/30 or 2G"))
        })
    }

    /// The chunks of one check, by number.
    pub(super) fn draw(
        self,
        geometry: &Geometry,
        entropy: &dyn Entropy,
    ) -> Result<BTreeSet<u64>, Error> {
        let all = geometry.chunks();
        let count = match self {
            Self::All => return Ok((0..all).collect()),
            Self::Part { number, of } => {
                return Ok((0..all).filter(|chunk| chunk % of == number - 1).collect());
            }
            Self::Percent(percent) => u128::from(all) * u128::from(percent) / 100,
            Self::Bytes(bytes) => u128::from(bytes / u64::from(geometry.layout().chunk_len())),
        };
        let count = u64::try_from(count).unwrap_or(all).clamp(1, all);
        sample(all, count, entropy)
    }
}

/// `count` of the numbers below `all`, each as likely as any other (Floyd, "A sample of brilliance",
/// CACM 30(9), 1987); at most `all`.
fn sample(all: u64, count: u64, entropy: &dyn Entropy) -> Result<BTreeSet<u64>, Error> {
    let mut rng = SegmentRandomness::draw(entropy)?.chunk(0);
    let mut chosen = BTreeSet::new();
    for last in all - count..all {
        // 64 bits modulo a number far below 2^56: the bias is below 2^-8 of one chance in all.
        let candidate = rng.next_u64() % (last + 1);
        if !chosen.insert(candidate) {
            chosen.insert(last);
        }
    }
    Ok(chosen)
}

fn part(number: &str, of: &str) -> Option<Subset> {
    let (number, of) = (number.parse().ok()?, of.parse().ok()?);
    (1..=of)
        .contains(&number)
        .then_some(Subset::Part { number, of })
}

/// A number of bytes with an optional unit.
fn bytes(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit {
        "" | "B" => 1,
        "k" | "kB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "T" | "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(factor)
        .filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use xorida_core::{AccessStructure, Padding};

    use super::*;
    use crate::entropy::OsEntropy;
    use crate::geometry::Layout;

    fn draw(text: &str, chunks: u64) -> BTreeSet<u64> {
        let access = AccessStructure::try_new(2, 3).unwrap();
        let layout = Layout::try_new(access, Padding::None, 64 << 10).unwrap();
        let geometry = Geometry::try_new(layout, (chunks - 1) * (64 << 10)).unwrap();
        let subset = Subset::parse(text).unwrap();
        subset.draw(&geometry, &OsEntropy).unwrap()
    }

    #[test]
    fn parts_cover_everything_once() {
        let mut seen = BTreeSet::new();
        for number in 1..=30 {
            for chunk in draw(&format!("{number}/30"), 100) {
                assert!(seen.insert(chunk), "{chunk} twice");
            }
        }
        assert_eq!(seen, draw("all", 100));
    }

    #[test]
    fn samples_have_their_size_and_differ() {
        assert_eq!(draw("5%", 1000).len(), 50);
        assert_eq!(draw("1%", 3).len(), 1, "never none");
        assert_eq!(draw("640KiB", 1000).len(), 10);
        assert_eq!(draw("1T", 20).len(), 20, "never more than there are");
        assert_ne!(draw("5%", 10_000), draw("5%", 10_000));
        assert!(draw("50%", 1000).into_iter().all(|chunk| chunk < 1000));
    }

    #[test]
    fn every_chunk_is_as_likely_as_any_other() {
        let mut counts = [0u32; 10];
        for _ in 0..2000 {
            let drawn = sample(10, 3, &OsEntropy).unwrap();
            assert_eq!(drawn.len(), 3);
            drawn
                .into_iter()
                .for_each(|n| counts[usize::try_from(n).unwrap()] += 1);
        }
        // 600 expected, standard deviation 20.5: ten of them.
        assert!(counts.iter().all(|n| (395..=805).contains(n)), "{counts:?}");
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "", "0%", "101%", "0/3", "4/3", "x", "1/0", "-1%", "2X", "0G",
        ] {
            let code = Subset::parse(bad).unwrap_err().code();
            assert_eq!(code, "INVALID_CONFIG", "{bad}");
        }
    }
}
