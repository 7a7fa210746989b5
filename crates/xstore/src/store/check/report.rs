//! What a check found, and what it amounts to.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{FaultReason, ShareFault};
use crate::geometry::Geometry;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Shares needed of every chunk.
    pub threshold: u8,
    /// One entry for each share, by ascending index.
    pub shares: Vec<CheckedShare>,
    /// What is wrong beside the shares.
    pub metadata: Vec<MetadataFault>,
    /// Good shares of the chunk that has fewest.
    pub least_good: u8,
}

/// What is known of one share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedShare {
    /// Share index.
    pub index: u8,
    /// Label of the backend that should have it; `None` when none took it.
    pub backend: Option<String>,
    /// Everything that is wrong with it.
    pub faults: Vec<ShareFault>,
    /// Records that were read and verified.
    pub records_read: u64,
}

impl CheckedShare {
    /// Whether nothing was found that speaks against `segment`, at a backend that answers.
    pub(crate) fn is_good(&self, segment: u64) -> bool {
        let against = |fault: &ShareFault| fault.segment.is_none_or(|of| of == segment);
        !self.faults.iter().any(against)
    }
}

/// Something small that belongs to an object and can be written again without any share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFault {
    /// Label of the backend.
    pub backend: String,
    /// What it is.
    pub what: Metadata,
    /// What is wrong with it.
    pub reason: FaultReason,
}

/// What there is beside shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metadata {
    /// A copy of the manifest.
    Manifest,
    /// The segment roots of one share.
    Index,
    /// The identity of the backend.
    Identity,
    /// Objects beside the share, of an upload or a repair that was stopped; they only take space.
    Leftover,
}

impl Metadata {
    /// Lower-case word of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Index => "index",
            Self::Identity => "identity",
            Self::Leftover => "leftover",
        }
    }
}

/// What a check amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing is missing.
    Whole,
    /// It can be read, and something is missing.
    Degraded,
    /// At least one chunk has fewer good shares than the threshold.
    Unreadable,
}

impl Health {
    /// Lower-case word of this state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Degraded => "degraded",
            Self::Unreadable => "unreadable",
        }
    }
}

impl CheckReport {
    pub(super) fn new(
        threshold: u8,
        shares: Vec<CheckedShare>,
        metadata: Vec<MetadataFault>,
        geometry: &Geometry,
    ) -> Self {
        Self {
            threshold,
            least_good: least_good(&shares, geometry),
            shares,
            metadata,
        }
    }

    /// What the report amounts to.
    #[must_use]
    pub fn health(&self) -> Health {
        let missing = |fault: &MetadataFault| fault.what != Metadata::Leftover;
        if self.least_good < self.threshold {
            Health::Unreadable
        } else if !self.metadata.iter().any(missing) && self.faults().next().is_none() {
            Health::Whole
        } else {
            Health::Degraded
        }
    }

    /// Every fault of every share.
    pub fn faults(&self) -> impl Iterator<Item = &ShareFault> {
        self.shares.iter().flat_map(|share| &share.faults)
    }

    /// Further shares that may be lost before the object cannot be read.
    #[must_use]
    pub const fn losses_survived(&self) -> u8 {
        self.least_good.saturating_sub(self.threshold)
    }
}

/// Good shares of the chunk that has fewest. A share that is bad as a whole, or in a segment, is bad
/// in all chunks of it.
fn least_good(shares: &[CheckedShare], geometry: &Geometry) -> u8 {
    let mut lost = 0;
    let mut by_segment: BTreeMap<u64, BTreeSet<u8>> = BTreeMap::new();
    let mut by_chunk: BTreeMap<u64, BTreeSet<u8>> = BTreeMap::new();
    for share in shares {
        if share.faults.iter().any(|fault| fault.segment.is_none()) {
            lost += 1;
            continue;
        }
        for fault in &share.faults {
            let bad = match (fault.chunk, fault.segment) {
                (Some(chunk), _) => by_chunk.entry(chunk).or_default(),
                (None, Some(segment)) => by_segment.entry(segment).or_default(),
                (None, None) => continue,
            };
            bad.insert(share.index);
        }
    }
    let in_chunk = by_chunk.iter().map(|(chunk, bad)| {
        let in_segment = by_segment.get(&geometry.segment_of(*chunk));
        in_segment.map_or(bad.len(), |segment| segment.union(bad).count())
    });
    let in_segment = by_segment.values().map(BTreeSet::len);
    let worst = lost + in_chunk.chain(in_segment).max().unwrap_or(0);
    u8::try_from(shares.len() - worst).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use xorida_core::{AccessStructure, Padding};

    use super::*;
    use crate::geometry::Layout;

    fn share(index: u8, faults: &[(Option<u64>, Option<u64>)]) -> CheckedShare {
        let fault = |&(segment, chunk)| ShareFault {
            backend: format!("site-{index}"),
            segment,
            chunk,
            reason: FaultReason::Integrity,
        };
        CheckedShare {
            index,
            backend: None,
            faults: faults.iter().map(fault).collect(),
            records_read: 0,
        }
    }

    /// Segments of 256 chunks; the worst chunk decides, however the faults are told.
    #[test]
    fn the_worst_chunk_decides() {
        let access = AccessStructure::try_new(2, 4).unwrap();
        let layout = Layout::try_new(access, Padding::None, 64 << 10).unwrap();
        let geometry = Geometry::try_new(layout, 600 * (64 << 10)).unwrap();
        let whole = || share(3, &[]);
        let cases = [
            (vec![share(0, &[]), share(1, &[]), share(2, &[])], 4),
            (
                vec![share(0, &[(None, None)]), share(1, &[]), share(2, &[])],
                3,
            ),
            // Different chunks of one segment: each lacks one share only.
            (
                vec![
                    share(0, &[(Some(0), Some(7))]),
                    share(1, &[(Some(0), Some(8))]),
                    share(2, &[]),
                ],
                3,
            ),
            // A chunk, its segment at another, and a third that is gone.
            (
                vec![
                    share(0, &[(Some(1), Some(300))]),
                    share(1, &[(Some(1), None)]),
                    share(2, &[(None, None)]),
                ],
                1,
            ),
            (
                vec![
                    share(0, &[(Some(0), Some(7))]),
                    share(1, &[(Some(1), None)]),
                    share(2, &[]),
                ],
                3,
            ),
        ];
        for (mut shares, expected) in cases {
            shares.push(whole());
            assert_eq!(least_good(&shares, &geometry), expected, "{shares:?}");
        }
    }
}
