//! The access structures that are measured.

use std::fmt;

use anyhow::Result;
use xorida_core::AccessStructure;

/// Bytes of a chunk.
pub(crate) const CHUNK_LEN: usize = 2 << 20;

/// One access structure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) k: u8,
    pub(crate) n: u8,
    /// XORs per secret byte of a recovery matrix without shared terms, the mean over all sets of k.
    pub(crate) decode_xors: f64,
    /// Milliseconds of split and get that were published for another implementation elsewhere.
    pub(crate) published: Option<(f64, f64)>,
}

/// Small, middle, large. Counts of XORs come from the matrices of every set of k shares.
pub(crate) const CASES: [Case; 3] = [
    Case {
        k: 2,
        n: 3,
        decode_xors: 1.67,
        published: Some((66.0, 35.0)),
    },
    Case {
        k: 3,
        n: 5,
        decode_xors: 5.80,
        published: None,
    },
    Case {
        k: 5,
        n: 8,
        decode_xors: 22.3,
        published: None,
    },
];

impl Case {
    pub(crate) fn access(self) -> Result<AccessStructure> {
        Ok(AccessStructure::try_new(self.k, self.n)?)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-of-{}", self.k, self.n))
    }
}
