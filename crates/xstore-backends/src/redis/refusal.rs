//! Why a call to Redis failed, in our words.
//!
//! Of what the server says only the code is repeated: the rest may quote a command, and with it the
//! name of a user. Of a broken line only the innermost cause is.

use std::error::Error as StdError;
use std::fmt;

use redis::{ErrorKind, RedisError, ServerError};
use tokio::task::JoinError;
use xstore::{BackendError, BackendErrorKind};

use super::answers::Row;
use crate::credential::CredentialError;

/// No code of Redis is longer, in bytes.
const CODE_LEN_BYTES_MAX: usize = 32;

/// The source of a [`BackendError`].
#[derive(Debug)]
pub(super) enum Refusal {
    /// The server says no, with this code.
    Answer(String),
    /// No answer, or one that broke off; the innermost cause.
    Line(String),
    /// No answer in time.
    Silence,
    /// There is no such object.
    Absent,
    /// The object is longer than any can be.
    TooLong,
    /// An answer, but none to what was asked.
    Unexpected(&'static str),
    /// The source of credentials failed.
    Credential(CredentialError),
    /// Its thread did.
    Stopped(JoinError),
}

impl Refusal {
    pub(super) fn of_backend(self, id: &str) -> BackendError {
        BackendError::with_source(self.kind(), id, self)
    }

    pub(super) fn kind(&self) -> BackendErrorKind {
        match self {
            Self::Answer(code) => {
                Row::of(code).map_or(BackendErrorKind::Unavailable, |row| row.kind)
            }
            Self::Silence => BackendErrorKind::Timeout,
            Self::Absent => BackendErrorKind::NotFound,
            Self::TooLong => BackendErrorKind::QuotaExceeded,
            Self::Credential(_) => BackendErrorKind::AuthFailed,
            Self::Line(_) | Self::Unexpected(_) | Self::Stopped(_) => BackendErrorKind::Unavailable,
        }
    }
}

impl From<RedisError> for Refusal {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io if error.is_timeout() => Self::Silence,
            ErrorKind::Io => Self::Line(innermost(&error)),
            ErrorKind::Parse => Self::Unexpected("what answers is not Redis"),
            _ => match error.into_server_errors() {
                // The first error of a transaction is the cause of the others.
                Some(errors) => Self::Answer(errors.first().map_or("", |(_, e)| code(e)).into()),
                None => Self::Unexpected("the answer is of another kind than the question"),
            },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(code) => {
                let why = Row::of(code).map_or("an answer that nobody expects", |row| row.why);
                write!(f, "Redis answered {}: {why}", shown(code))
            }
            Self::Line(why) => write!(f, "Redis: {why}"),
            Self::Silence => f.write_str("Redis did not answer"),
            Self::Absent => f.write_str("there is no such object"),
            Self::TooLong => f.write_str("an object has at most 64 MiB"),
            Self::Unexpected(why) => write!(f, "Redis: {why}"),
            Self::Credential(_) => f.write_str("there is no telling who asks"),
            Self::Stopped(_) => f.write_str("the credential was not read to its end"),
        }
    }
}

impl StdError for Refusal {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Credential(error) => Some(error),
            Self::Stopped(error) => Some(error),
            _ => None,
        }
    }
}

/// The code in front. Inside of a script, a missing right has a code that many other things have.
fn code(error: &ServerError) -> &str {
    let is_of_rights = |text: &str| {
        let words = [
            "ACL failure in script",
            "The user executing the script can't",
        ];
        words.iter().any(|words| text.starts_with(words))
    };
    match error.code() {
        "ERR" if error.details().is_some_and(is_of_rights) => "NOPERM",
        code => code,
    }
}

/// Nothing else that an untrusted server says is repeated.
fn shown(code: &str) -> &str {
    let is_code = code.len() <= CODE_LEN_BYTES_MAX && code.bytes().all(|b| b.is_ascii_uppercase());
    if is_code { code } else { "an error" }
}

fn innermost(error: &RedisError) -> String {
    let mut error: &dyn StdError = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(line: &str) -> Refusal {
        let (code, detail) = line.split_once(' ').unwrap_or((line, ""));
        redis::make_extension_error(code.to_owned(), Some(detail.to_owned())).into()
    }

    #[test]
    fn only_the_code_is_repeated() {
        for (line, kind, shown) in [
            (
                "WRONGPASS secret",
                BackendErrorKind::AuthFailed,
                "WRONGPASS",
            ),
            ("OOM secret", BackendErrorKind::QuotaExceeded, "OOM"),
            ("READONLY secret", BackendErrorKind::Unavailable, "READONLY"),
            ("TEAPOT secret", BackendErrorKind::Unavailable, "TEAPOT"),
            ("secret secret", BackendErrorKind::Unavailable, "an error"),
        ] {
            let refusal = answered(line);
            assert_eq!(refusal.kind(), kind, "{line}");
            let told = refusal.to_string();
            assert!(told.contains(shown) && !told.contains("secret"), "{told}");
        }
    }
}
