//! What can be wrong with a consent record.

use crate::error::quoted;
use crate::jurisdiction::JurisdictionCode;

/// One field of a consent record and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", quoted(.field))]
pub struct ConsentProblem {
    /// The field as the JSON form spells it, `authorizedJurisdictions[2]` for an element counted
    /// from 0, or `record` for the whole.
    pub field: String,
    /// What is wrong.
    pub reason: ConsentReason,
}

impl ConsentProblem {
    pub(crate) fn new(field: impl Into<String>, reason: ConsentReason) -> Self {
        Self {
            field: field.into(),
            reason,
        }
    }
}

/// What is wrong with a field of a consent record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentReason {
    /// The record is longer than the limit.
    #[error("is {len_bytes} bytes long, the limit is {limit_bytes}")]
    TooLarge {
        /// As handed in.
        len_bytes: usize,
        /// The longest accepted record.
        limit_bytes: usize,
    },
    /// The record is not JSON.
    #[error("is not JSON at line {line}, column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 when the line has not begun.
        column: usize,
    },
    /// A required field does not stand in the record.
    #[error("is missing")]
    Missing,
    /// A field that no consent record has. A misspelt `expiresAt` must not pass as "never ends".
    #[error("is no field of a consent record")]
    Unknown,
    /// A field that stands twice, so that two readers may see two consents.
    #[error("stands twice")]
    Duplicate,
    /// Nothing, or only white space, or no element.
    #[error("must not be empty")]
    Empty,
    /// Another JSON type.
    #[error("must be {expected}")]
    WrongType {
        /// The type with its article.
        expected: &'static str,
    },
    /// A control character, which no name needs and a terminal may obey.
    #[error("must not contain control characters")]
    ControlCharacter,
    /// Not a time of RFC 3339 with at most 9 fractional digits.
    #[error("must be a time of RFC 3339 such as 2026-04-10T00:00:00Z")]
    NotATime,
    /// The consent ends before it begins, or as it begins.
    #[error("must be later than grantedAt")]
    NotAfterGrant,
    /// Not an ISO 3166-1 alpha-2 or ISO 3166-2 code in upper case.
    #[error("{} is no ISO 3166 code{}", quoted(.text), suggestion(*.meant))]
    UnknownCode {
        /// As written.
        text: String,
        /// The code that was probably meant.
        meant: Option<JurisdictionCode>,
    },
    /// A jurisdiction that stands twice.
    #[error("{code} stands twice")]
    DuplicateCode {
        /// The code.
        code: JurisdictionCode,
    },
}

fn suggestion(meant: Option<JurisdictionCode>) -> String {
    meant.map_or_else(String::new, |code| format!("; write {code}"))
}
