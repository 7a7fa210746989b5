//! Why sharing failed, and what to do then.

/// Why a sharing operation failed. Never carries bytes of a secret or a share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The threshold and share count are outside 2 <= k <= n <= 251.
    #[error("threshold {threshold} of {share_count} shares is outside 2 <= k <= n <= 251")]
    AccessStructure {
        /// The threshold asked for.
        threshold: u8,
        /// The share count asked for.
        share_count: u8,
    },
    /// The equations do not exist for this threshold and prime.
    #[error("no equations for threshold {threshold} and prime {prime}")]
    Equations {
        /// The threshold asked for.
        threshold: u8,
        /// The prime asked for.
        prime: u16,
    },
    /// A share index is not below the share count.
    #[error("share index {index} is not below the share count {share_count}")]
    ShareIndex {
        /// The index given.
        index: u8,
        /// How many shares there are.
        share_count: u8,
    },
    /// A share index was given twice.
    #[error("share index {index} is given twice")]
    DuplicateIndex {
        /// The index.
        index: u8,
    },
    /// A share was given that the recovery was not prepared for.
    #[error("share {index} is not in the set that the recovery was prepared for")]
    UnexpectedShare {
        /// The index of that share.
        index: u8,
    },
    /// More shares than the threshold were given where exactly that many are taken.
    #[error("takes exactly {threshold} shares, got {available}")]
    TooManyShares {
        /// How many are taken.
        threshold: u8,
        /// How many were given.
        available: usize,
    },
    /// A buffer has the wrong length, in bytes, or in slices for the list of shares.
    #[error("buffer `{buffer}` has length {actual}, needs {needed}")]
    BufferLength {
        /// Which buffer.
        buffer: Buffer,
        /// The length it needs, or the number its length must be a multiple of.
        needed: usize,
        /// The length it has.
        actual: usize,
    },
    /// The decoder asked for cannot serve this access structure.
    #[error("this decoder cannot serve threshold {threshold} with {pieces} pieces per share")]
    Decoder {
        /// The threshold.
        threshold: usize,
        /// Pieces per share.
        pieces: usize,
    },
    /// Fewer shares than the threshold.
    #[error("need {threshold} shares, have {available}")]
    TooFewShares {
        /// How many are needed.
        threshold: u8,
        /// How many were given.
        available: usize,
    },
    /// A lost share of an n-of-n dealing cannot be recomputed from the others.
    #[error("all {share_count} shares are needed, a lost one cannot be recomputed")]
    NoRedundancy {
        /// How many shares there are.
        share_count: u8,
    },
    /// A share does not fit its tag, or does not belong where it was found.
    #[error("share {index} failed authentication")]
    ShareIntegrity {
        /// The index of the share.
        index: u8,
    },
    /// An inclusion path does not have the shape that leaf number and leaf count give it.
    #[error("no inclusion path of {path_len} hashes leads from leaf {leaf_index} of {leaf_count}")]
    InclusionPath {
        /// The number of the leaf, from 0.
        leaf_index: u64,
        /// How many leaves the tree has.
        leaf_count: u64,
        /// How many hashes were given.
        path_len: usize,
    },
    /// Two share files come from different dealings.
    #[error("share {index} is from another dealing than share {first}")]
    MixedDeals {
        /// The index in the first file.
        first: u8,
        /// The index in the file that differs from it.
        index: u8,
    },
    /// A share file is not well formed.
    #[error("malformed share file: {0}")]
    Malformed(Malformed),
    /// A share file has a version that this build does not know.
    #[error("share file has version {version}, this build reads version 1")]
    Version {
        /// The version found.
        version: u8,
    },
    /// Shares differ in length, or have a length that no dealing gives.
    #[error("share has {actual} bytes where {expected} fit")]
    ShareLength {
        /// The length of the first share, or the number its length must be a multiple of.
        expected: usize,
        /// The length found.
        actual: usize,
    },
    /// The padding of a reconstructed secret is not what the dealer wrote.
    #[error("padding is invalid")]
    Padding,
    /// The random source failed. Nothing that was dealt may be used.
    #[error("random source failed")]
    Random,
}

/// A buffer or list that the caller provides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Buffer {
    /// The secret, padded where the function takes a padded one.
    Secret,
    /// Given random pieces.
    Random,
    /// The list of shares, counted in shares.
    Shares,
    /// One share.
    Share,
    /// Working memory.
    Scratch,
    /// Where a result goes.
    Output,
}

/// What is wrong with the bytes of a share file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The first four bytes are not `XIDA`.
    #[error("not a share file")]
    Magic,
    /// The file ends early or goes on after its share.
    #[error("length does not fit the header")]
    Length,
    /// The threshold, share count and scheme do not belong together.
    #[error("impossible access structure")]
    Access,
    /// The share index is not below the share count.
    #[error("share index out of range")]
    Index,
    /// Reserved bytes are not zero.
    #[error("reserved bytes are set")]
    Reserved,
    /// The share length is one that no dealing gives.
    #[error("impossible share length")]
    ShareLength,
}

impl Error {
    /// The stable machine-readable code. Codes are never renamed or reused.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AccessStructure { .. }
            | Self::Equations { .. }
            | Self::ShareIndex { .. }
            | Self::DuplicateIndex { .. }
            | Self::UnexpectedShare { .. }
            | Self::TooManyShares { .. }
            | Self::BufferLength { .. }
            | Self::Decoder { .. } => "INVALID_CONFIG",
            Self::TooFewShares { .. } | Self::NoRedundancy { .. } => "INSUFFICIENT_SHARES",
            Self::ShareIntegrity { .. }
            | Self::InclusionPath { .. }
            | Self::MixedDeals { .. }
            | Self::Malformed(_) => "SHARE_INTEGRITY_FAILED",
            Self::Version { .. } => "SHARE_VERSION_MISMATCH",
            Self::ShareLength { .. } => "RECONSTRUCTION_FAILED",
            Self::Padding => "PADDING_INVALID",
            Self::Random => "SPLIT_FAILED",
        }
    }

    /// What can be done now, in one sentence.
    #[must_use]
    pub const fn recovery(&self) -> &'static str {
        match self {
            Self::AccessStructure { .. } | Self::Equations { .. } => {
                "choose a threshold of at least 2 and at most 251 shares"
            }
            Self::ShareIndex { .. }
            | Self::DuplicateIndex { .. }
            | Self::UnexpectedShare { .. }
            | Self::TooManyShares { .. } => "pass exactly one share for each of k distinct indices",
            Self::BufferLength { .. } => "size buffers with the length functions",
            Self::Decoder { .. } => "let the recovery choose its decoder",
            Self::TooFewShares { .. } => "fetch shares from other holders",
            Self::NoRedundancy { .. } => "deal again from the secret, with a threshold below n",
            Self::ShareIntegrity { .. } | Self::Malformed(_) => {
                "discard this share and fetch another one"
            }
            Self::InclusionPath { .. } => "discard the proof and ask for another one",
            Self::MixedDeals { .. } => "bring together files of one dealing only",
            Self::Version { .. } => "read the file with a newer release",
            Self::ShareLength { .. } => "fetch the shares again, all from one dealing",
            Self::Padding => "fetch other shares, and check that they are of one dealing",
            Self::Random => "repair the random source and deal again",
        }
    }
}

impl Buffer {
    /// Refuses a length other than `needed`.
    pub(crate) const fn expect_exactly(self, needed: usize, actual: usize) -> Result<(), Error> {
        self.expect(actual == needed, needed, actual)
    }

    /// Refuses a length below `needed`.
    pub(crate) const fn expect_at_least(self, needed: usize, actual: usize) -> Result<(), Error> {
        self.expect(actual >= needed, needed, actual)
    }

    /// Refuses a length above `needed`.
    pub(crate) const fn expect_at_most(self, needed: usize, actual: usize) -> Result<(), Error> {
        self.expect(actual <= needed, needed, actual)
    }

    /// Refuses a length that is not a multiple of `needed`.
    pub(crate) const fn expect_multiple(self, needed: usize, actual: usize) -> Result<(), Error> {
        self.expect(actual.is_multiple_of(needed), needed, actual)
    }

    const fn expect(self, fits: bool, needed: usize, actual: usize) -> Result<(), Error> {
        if fits {
            Ok(())
        } else {
            Err(Error::BufferLength {
                buffer: self,
                needed,
                actual,
            })
        }
    }
}

impl core::fmt::Display for Buffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Secret => "secret",
            Self::Random => "random",
            Self::Shares => "shares",
            Self::Share => "share",
            Self::Scratch => "scratch",
            Self::Output => "output",
        })
    }
}
