//! What an inspection says of a file: its format, its findings and its facts.

use crate::{Assembly, Contig, Error, Format, bgzf};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing, and legal.
    Info,
    /// Readable, but unusual or in part not checked.
    Warning,
    /// Cut, damaged or against the rules of the format.
    Error,
}

/// One thing found in a file.
///
/// A message carries counts, offsets and lengths, never names or other content of the file, so
/// that it may stand in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How grave it is.
    pub level: Level,
    /// Stable kebab-case identifier, for example `bgzf-eof-missing`.
    pub code: &'static str,
    /// One clause for people: lower case, no full stop.
    pub message: String,
}

impl Finding {
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn info(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Info,
            code,
            message: message.into(),
        }
    }
}

/// The order of alignment records, as `@HD SO` states it (SAM specification section 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SortOrder {
    /// By contig and position.
    Coordinate,
    /// By the name of the read.
    QueryName,
    /// Stated to be in no order.
    Unsorted,
    /// Stated to be unknown.
    Unknown,
}

/// The word that `@HD SO` has for it.
impl std::fmt::Display for SortOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Coordinate => "coordinate",
            Self::QueryName => "queryname",
            Self::Unsorted => "unsorted",
            Self::Unknown => "unknown",
        })
    }
}

/// What a file's header and records say of themselves.
///
/// Unlike a [`Finding`], this repeats content of the file: treat it as the file itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// Samples in the order of the file: VCF columns, or distinct `@RG SM` values.
    pub samples: Vec<String>,
    /// Contigs in the order of the header.
    pub contigs: Vec<Contig>,
    /// Assembly guessed from the contig lengths.
    pub assembly: Option<Assembly>,
    /// Order of the records, where the header states it.
    pub sort_order: Option<SortOrder>,
    /// Count of records, where all of them were read.
    pub records: Option<u64>,
}

/// The result of an inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Format by content.
    pub format: Format,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// The walk over the blocks, of a BGZF file.
    pub bgzf: Option<bgzf::Summary>,
    /// Findings in the order in which they were made.
    pub findings: Vec<Finding>,
    /// What the file says of itself.
    pub facts: Facts,
}

impl Report {
    /// The gravest level among the findings; `None` if there are none.
    #[must_use]
    pub fn worst(&self) -> Option<Level> {
        self.findings.iter().map(|finding| finding.level).max()
    }

    /// Passes a file without findings of level error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other file.
    pub fn require_valid(&self) -> Result<(), Error> {
        let mut errors = self
            .findings
            .iter()
            .filter(|finding| finding.level == Level::Error);
        match errors.next() {
            None => Ok(()),
            Some(first) => Err(Error::Invalid {
                format: self.format.name(),
                count: 1 + errors.count(),
                first: first.code,
            }),
        }
    }
}
