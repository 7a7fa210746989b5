//! What can be wrong with a file that an operator writes: the sites file or a law table.

use crate::error::quoted;

/// One place of a configuration file and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ConfigProblem {
    /// Where: `threshold`, `jurisdiction 2 (FR), endpoint`, `zones table, line 7`.
    pub place: String,
    /// What is wrong.
    pub reason: ConfigReason,
}

impl ConfigProblem {
    pub(crate) fn new(place: impl Into<String>, reason: ConfigReason) -> Self {
        Self {
            place: place.into(),
            reason,
        }
    }
}

/// What is wrong at one place of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigReason {
    /// The file is longer than any honest one.
    #[error("longer than {limit_bytes} bytes")]
    TooLarge {
        /// The longest accepted file.
        limit_bytes: usize,
    },
    /// The file is not UTF-8.
    #[error("not UTF-8 text")]
    NotText,
    /// The TOML reader refused: syntax, an unknown or doubled key, a missing key, a wrong type.
    #[error("{message}")]
    Toml {
        /// The reader's own words.
        message: String,
    },
    /// Nothing, or only white space, where something must stand.
    #[error("must not be empty")]
    Empty,
    /// A control character, which no name needs and a terminal may obey.
    #[error("must not contain control characters")]
    ControlCharacter,
    /// Fewer than two or more than 251 jurisdictions.
    #[error("needs {min} to {max} jurisdictions, has {count}")]
    JurisdictionCount {
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
        /// As written.
        count: usize,
    },
    /// The threshold is below 2 or above the number of jurisdictions.
    #[error("must be at least 2 and at most the {count} jurisdictions, is {threshold}")]
    Threshold {
        /// As written.
        threshold: i64,
        /// Jurisdictions in the file.
        count: usize,
    },
    /// Not a power of two of KiB or MiB between 64 KiB and 16 MiB.
    #[error("must be a power of two from 64KiB to 16MiB, written like \"2MiB\"; is {}", quoted(.text))]
    ChunkLen {
        /// As written.
        text: String,
    },
    /// Not an ISO 3166-1 alpha-2 or ISO 3166-2 code.
    #[error("{} is no ISO 3166 code{}", quoted(.text), suggestion(*.meant))]
    UnknownCode {
        /// As written.
        text: String,
        /// The code that was probably meant.
        meant: Option<crate::JurisdictionCode>,
    },
    /// A code or row that stands twice.
    #[error("{what} stands twice")]
    Duplicate {
        /// The code or key.
        what: String,
    },
    /// Two jurisdictions name one place of storage.
    #[error("is the same place as the endpoint of {other}")]
    SameEndpoint {
        /// The code that named it first.
        other: crate::JurisdictionCode,
    },
    /// The bucket lies in another country than the site says.
    #[error("{} lies in {country}", quoted(.region))]
    RegionElsewhere {
        /// The provider's region.
        region: String,
        /// Where it is.
        country: crate::JurisdictionCode,
    },
    /// The region of the endpoint's own `region` option is another.
    #[error("is not the region of the endpoint, which is {}", quoted(.endpoint))]
    RegionTwice {
        /// As the endpoint has it.
        endpoint: String,
    },
    /// The endpoint cannot be understood.
    #[error("{0}")]
    Endpoint(&'static str),
    /// A table row with the wrong number of columns.
    #[error("has {found} columns, needs {expected}")]
    Columns {
        /// As written.
        found: usize,
        /// As the heading says.
        expected: usize,
    },
    /// The first row of a table is not its heading.
    #[error("the heading must be {expected}")]
    Heading {
        /// The heading, columns parted by a blank.
        expected: String,
    },
    /// Neither a code, nor a zone of the zones table, nor `*`.
    #[error("{} is neither an ISO 3166 code nor a zone nor *", quoted(.text))]
    UnknownPlace {
        /// As written.
        text: String,
    },
    /// Not one of the five words of the status column.
    #[error("{} is no status; use adequate, prohibited, authorisation, notify or conditional", quoted(.text))]
    UnknownStatus {
        /// As written.
        text: String,
    },
}

fn suggestion(meant: Option<crate::JurisdictionCode>) -> String {
    meant.map_or_else(String::new, |code| format!("; write {code}"))
}
