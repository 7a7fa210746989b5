//! What goes wrong with an SFTP server, and which kind of backend error it is.

use xstore::{BackendError, BackendErrorKind};

use super::wire::{Malformed, Reply};
use crate::credential::CredentialError;

use BackendErrorKind::{AuthFailed, NotFound, QuotaExceeded, Timeout, Unavailable};

/// Why a call failed; becomes the source of a [`BackendError`].
#[derive(Debug, thiserror::Error)]
pub(super) enum SftpError {
    #[error("cannot run `ssh`, which has to be installed")]
    NoSsh(#[source] std::io::Error),
    #[error("there is no telling who asks")]
    Credential(#[source] CredentialError),
    #[error("the path in {0} holds a character that `ssh` reads otherwise")]
    UnusablePath(&'static str),
    #[error("SSH: {0}")]
    NotConnected(&'static Refusal),
    #[error("SFTP answered {0}: {why}", why = meaning(*.0).1)]
    Status(u32),
    #[error("SFTP: the file system is full")]
    Full,
    #[error("SFTP: the connection is lost")]
    Lost,
    #[error("SFTP: the server breaks the protocol")]
    Broken,
    #[error("SFTP: the server has no {0}, without which no object is created whole and for good")]
    Lacks(&'static str),
    #[error("SFTP: the object is longer than an object can be, or shorter than it was")]
    OtherLength,
    #[error("SFTP: the folder has more entries than are read")]
    TooMany,
}

/// What `ssh` says when it gives up; the first that is found decides. Its words are not repeated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    says: &'static str,
    kind: BackendErrorKind,
    why: &'static str,
}

const REFUSALS: [Refusal; 9] = [
    refusal(
        "IDENTIFICATION HAS CHANGED",
        AuthFailed,
        "the server has another key than it is known by",
    ),
    refusal(
        "Host key verification failed",
        AuthFailed,
        "the key of the server is not a known one",
    ),
    refusal(
        "UNPROTECTED PRIVATE KEY FILE",
        AuthFailed,
        "others may read the private key; use chmod 600 on it",
    ),
    refusal(
        "Permission denied (",
        AuthFailed,
        "the server does not accept the key",
    ),
    refusal(
        "Too many authentication failures",
        AuthFailed,
        "the server accepts none of the keys",
    ),
    refusal("timed out", Timeout, "the server does not answer"),
    refusal("Connection refused", Unavailable, "nobody listens there"),
    refusal(
        "subsystem request failed",
        Unavailable,
        "the server has no SFTP",
    ),
    refusal("", Unavailable, "there is no connection to the server"),
];

const fn refusal(says: &'static str, kind: BackendErrorKind, why: &'static str) -> Refusal {
    Refusal { says, kind, why }
}

impl Refusal {
    /// What `ssh` means by these words.
    fn of(words: &str) -> &'static Self {
        let last = &REFUSALS[REFUSALS.len() - 1];
        let found = REFUSALS.iter().find(|refusal| words.contains(refusal.says));
        found.unwrap_or(last)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.why)
    }
}

/// Version 3 knows the codes up to 8; some servers send those of later versions.
const fn meaning(status: u32) -> (BackendErrorKind, &'static str) {
    match status {
        NO_SUCH_FILE | 10 => (NotFound, "there is no such file or folder"),
        3 => (AuthFailed, "the user may not do this"),
        12 => (AuthFailed, "the medium is read-only"),
        14 => (QuotaExceeded, "the file system is full"),
        15 => (QuotaExceeded, "the quota of the user is spent"),
        8 => (Unavailable, "the server cannot do this"),
        _ => (Unavailable, "the server failed"),
    }
}

const NO_SUCH_FILE: u32 = 2;
const FAILURE: u32 = 4;
const ALREADY_EXISTS: u32 = 11;

impl SftpError {
    /// `ssh` gave up with these words.
    pub(super) fn not_connected(words: &str) -> Self {
        Self::NotConnected(Refusal::of(words))
    }

    /// An answer to something else, or one that says no.
    pub(super) const fn unexpected(reply: &Reply) -> Self {
        match reply {
            Reply::Status(status) if *status > 1 => Self::Status(*status),
            _ => Self::Broken,
        }
    }

    /// What servers say of a name that is taken, a folder that is not empty and a full file system
    /// alike.
    pub(super) const fn is_failure(&self) -> bool {
        matches!(self, Self::Status(FAILURE | ALREADY_EXISTS))
    }

    pub(super) const fn is_missing(&self) -> bool {
        matches!(self.kind(), NotFound)
    }

    const fn kind(&self) -> BackendErrorKind {
        match self {
            Self::Credential(_) | Self::UnusablePath(_) => AuthFailed,
            Self::NotConnected(refusal) => refusal.kind,
            Self::Status(status) => meaning(*status).0,
            Self::Full => QuotaExceeded,
            Self::NoSsh(_)
            | Self::Lost
            | Self::Broken
            | Self::Lacks(_)
            | Self::OtherLength
            | Self::TooMany => Unavailable,
        }
    }

    pub(super) fn of_backend(self, id: &str) -> BackendError {
        BackendError::with_source(self.kind(), id, self)
    }
}

impl From<Malformed> for SftpError {
    fn from(_: Malformed) -> Self {
        Self::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_kind() {
        for (status, kind) in [
            (2, NotFound),
            (3, AuthFailed),
            (4, Unavailable),
            (7, Unavailable),
            (8, Unavailable),
            (12, AuthFailed),
            (14, QuotaExceeded),
            (15, QuotaExceeded),
            (99, Unavailable),
        ] {
            let error = SftpError::unexpected(&Reply::Status(status));
            assert_eq!(error.kind(), kind, "{status}");
        }
        for odd in [Reply::Status(0), Reply::Status(1), Reply::Data("x".into())] {
            assert_eq!(SftpError::unexpected(&odd).kind(), Unavailable);
        }
    }

    #[test]
    fn what_ssh_says_is_understood_and_not_repeated() {
        for (words, kind) in [
            (
                "No ED25519 host key is known for h.\nHost key verification failed.",
                AuthFailed,
            ),
            ("root@h: Permission denied (publickey).", AuthFailed),
            ("Connection timed out during banner exchange", Timeout),
            (
                "ssh: connect to host h port 22: Connection refused",
                Unavailable,
            ),
            ("subsystem request failed on channel 0", Unavailable),
            ("something else", Unavailable),
            ("", Unavailable),
        ] {
            let error = SftpError::not_connected(words);
            assert_eq!(error.kind(), kind, "{words}");
            assert!(words.is_empty() || !error.to_string().contains(words));
        }
    }
}
