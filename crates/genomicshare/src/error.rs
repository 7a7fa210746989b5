//! Why consented sharing stopped: a bad file, or a refusal.
//!
//! Whatever is wrong with one input is reported at once, so that one round of mending is enough.
//! Messages quote codes and field names; they never quote a subject, a purpose or an endpoint's
//! query, which may carry what nobody but the operator should read.

use std::fmt;

use jiff::Timestamp;

pub use crate::config_problem::{ConfigProblem, ConfigReason};
pub use crate::consent::problem::{ConsentProblem, ConsentReason};
pub use crate::refusal::Refusal;

/// Why an operation of this crate failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A sites file or a law table is not valid.
    #[error("configuration is not valid: {}", listed(.0))]
    Config(Vec<ConfigProblem>),
    /// A consent record lacks something or says something impossible.
    #[error("consent record is not valid: {}", listed(.0))]
    Consent(Vec<ConsentProblem>),
    /// Everything could be read, and the answer is no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The file is damaged or not what it says it is.
    #[error(transparent)]
    Format(#[from] genomic_formats::Error),
    /// Storage failed.
    #[error(transparent)]
    Store(xstore::Error),
}

impl Error {
    /// Stable machine-readable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "INVALID_CONFIG",
            Self::Consent(_) => "CONSENT_INVALID",
            Self::Refused(refusal) => refusal.code(),
            Self::Format(error) => error.code(),
            Self::Store(error) => sharing_code(error.code()),
        }
    }

    /// The code of the layer below, where this crate has its own name for it.
    #[must_use]
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => Some(error.code()).filter(|code| *code != self.code()),
            Self::Config(_) | Self::Consent(_) | Self::Refused(_) | Self::Format(_) => None,
        }
    }

    /// What the caller can do now, in one sentence.
    #[must_use]
    pub fn recovery(&self) -> &'static str {
        match self {
            Self::Config(_) => "mend every place named in the message and try again",
            Self::Consent(_) => {
                "obtain a record with every named field mended; nothing was written"
            }
            Self::Refused(refusal) => refusal.recovery(),
            Self::Format(error) => error.recovery(),
            Self::Store(error) => error.recovery(),
        }
    }

    /// The caller mixed up what belongs together; nothing was written.
    pub(crate) fn wrong_use(what: &'static str) -> Self {
        Self::Store(xstore::Error::Config(what.into()))
    }
}

/// The three codes that sharing has its own names for; every other passes unchanged.
fn sharing_code(code: &'static str) -> &'static str {
    match code {
        "PAYLOAD_HMAC_FAILED" => "HMAC_FAILED",
        "RECONSTRUCTION_FAILED" | "PADDING_INVALID" => "RECONSTRUCT_FAILED",
        other => other,
    }
}

/// A refusal by our own guard comes back as what it was; all else is storage.
impl From<xstore::Error> for Error {
    fn from(error: xstore::Error) -> Self {
        match error {
            xstore::Error::Refused(cause) => match cause.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::Store(xstore::Error::Refused(other)),
            },
            other => Self::Store(other),
        }
    }
}

impl From<ConfigProblem> for Error {
    fn from(problem: ConfigProblem) -> Self {
        Self::Config(vec![problem])
    }
}

impl From<ConsentProblem> for Error {
    fn from(problem: ConsentProblem) -> Self {
        Self::Consent(vec![problem])
    }
}

/// `a; b; c`.
pub(crate) fn listed<T: fmt::Display>(items: &[T]) -> String {
    let words: Vec<String> = items.iter().map(ToString::to_string).collect();
    words.join("; ")
}

/// Outside text made safe for a message: no control characters, at most 40 characters of it.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push_str("...");
    }
    shown
}

/// A time to whole seconds, as messages show it.
pub(crate) fn shown_time(time: &Timestamp) -> String {
    format!("{time:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_cannot_move_the_cursor_or_flood_a_log() {
        assert_eq!(quoted("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(quoted(&"x".repeat(1000)).len(), 43);
        assert_eq!(quoted(&"x".repeat(40)).len(), 40);
    }
}
