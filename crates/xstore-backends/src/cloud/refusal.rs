//! Why a call to a provider failed, in our words.
//!
//! Of what a server says only its status and code are repeated, and of a broken line only the
//! innermost cause: everything between may hold the URL, and with it a signature.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use object_store::client::HttpErrorKind;
use xstore::{BackendError, BackendErrorKind};

use super::answers::{Means, Provider, Row};
use super::tap::Seen;
use crate::url::ConnectError;

/// The source of a [`BackendError`].
#[derive(Debug)]
pub(crate) struct Refusal {
    provider: Provider,
    means: Means,
    retry_after: Option<Duration>,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// An answer that says no.
    Answer {
        status: u16,
        code: String,
        why: &'static str,
    },
    /// A good answer that broke off or is not what was asked for; the innermost cause.
    Broken(String),
    /// No answer; the innermost cause.
    Line(String),
    NoIdentity,
}

impl Refusal {
    /// What `error` of the provider's library means, after `seen` was the last on the line.
    pub(super) fn new(provider: Provider, error: &object_store::Error, seen: Option<Seen>) -> Self {
        let line = |kind| (Means::Trouble(kind), None, Cause::Line(innermost(error)));
        let (means, retry_after, cause) = match seen {
            Some(Seen::NoIdentity) => {
                let means = Means::Trouble(BackendErrorKind::AuthFailed);
                (means, None, Cause::NoIdentity)
            }
            Some(Seen::Silence(HttpErrorKind::Timeout)) => line(BackendErrorKind::Timeout),
            Some(Seen::Answer { status, .. }) if status < 300 => {
                let means = Means::Trouble(BackendErrorKind::Unavailable);
                (means, None, Cause::Broken(innermost(error)))
            }
            Some(Seen::Answer {
                status,
                code,
                retry_after,
                ..
            }) => {
                let row = Row::of(provider, status, &code);
                let why = row.map_or("an answer that nobody expects", |row| row.why);
                let unknown = Means::Trouble(BackendErrorKind::Unavailable);
                let cause = Cause::Answer { status, code, why };
                (row.map_or(unknown, |row| row.means), retry_after, cause)
            }
            // Nothing was asked: a key that cannot be used does not leave this machine.
            None => line(BackendErrorKind::AuthFailed),
            Some(Seen::Silence(_)) => line(BackendErrorKind::Unavailable),
        };
        Self {
            provider,
            means,
            retry_after,
            cause,
        }
    }

    /// What follows from it.
    pub(crate) const fn means(&self) -> Means {
        self.means
    }

    /// Whether others might be accepted in the place of these credentials.
    pub(super) fn is_of_credentials(&self) -> bool {
        self.means == Means::Trouble(BackendErrorKind::AuthFailed)
    }

    /// Whether the answer was good and could not be used all the same.
    pub(super) const fn is_broken_answer(&self) -> bool {
        matches!(&self.cause, Cause::Broken(_))
    }

    /// Whether the answer had this status.
    #[cfg(feature = "webdav")]
    pub(crate) const fn has_status(&self, wanted: u16) -> bool {
        matches!(&self.cause, Cause::Answer { status, .. } if *status == wanted)
    }

    /// Whether the provider gave no code of its own.
    pub(super) const fn is_wordless(&self) -> bool {
        matches!(&self.cause, Cause::Answer { code, .. } if code.is_empty())
    }

    /// The same as an answer of the backend labelled `id`.
    pub(crate) fn of_backend(self, id: &str) -> BackendError {
        let kind = match self.means {
            Means::Trouble(kind) => kind,
            Means::Absent => BackendErrorKind::NotFound,
            // No call that they would answer was made.
            Means::Taken | Means::EndsBefore => BackendErrorKind::Unavailable,
        };
        let retry_after = self.retry_after;
        let error = BackendError::with_source(kind, id, self);
        match retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = self.provider.name();
        match &self.cause {
            Cause::Answer { status, code, why } if code.is_empty() => {
                write!(f, "{provider} answered {status}: {why}")
            }
            Cause::Answer { status, code, why } => {
                write!(f, "{provider} answered {status} {code}: {why}")
            }
            Cause::Broken(why) | Cause::Line(why) => write!(f, "{provider}: {why}"),
            Cause::NoIdentity => write!(
                f,
                "{provider}: no credentials are configured, and this machine has no identity of its own"
            ),
        }
    }
}

impl StdError for Refusal {}

/// An error of ours in the library's type, for what it did not find itself.
pub(crate) fn refused(why: &'static str) -> object_store::Error {
    object_store::Error::Generic {
        store: "object store",
        source: why.into(),
    }
}

/// The backend labelled `id` cannot be asked, because there is no telling who asks.
pub(crate) fn unusable(id: &str, why: impl Into<Box<dyn StdError + Send + Sync>>) -> ConnectError {
    BackendError::with_source(BackendErrorKind::AuthFailed, id, why).into()
}

/// Credentials that the library does not take. Its own words may quote them.
pub(crate) fn malformed<'a>(given: impl Iterator<Item = &'a str>) -> String {
    let given: Vec<_> = given.collect();
    if given.is_empty() {
        return "no credentials are configured".to_owned();
    }
    format!(
        "the credentials are malformed or incomplete: {}",
        given.join(", ")
    )
}

fn innermost(error: &object_store::Error) -> String {
    let mut error: &dyn StdError = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
