//! What goes wrong in a SQLite file, and which kind of backend error it is.

use rusqlite::ffi;
use rustix::io::Errno;
use tokio::task::JoinError;
use xstore::{BackendError, BackendErrorKind};

/// Why an operation on the database failed; becomes the source of a [`BackendError`].
#[derive(Debug, thiserror::Error)]
pub(super) enum SqliteError {
    #[error("SQLite refuses")]
    Refused(#[source] ffi::Error),
    #[error("cannot {step}")]
    Os {
        step: &'static str,
        #[source]
        errno: Errno,
    },
    #[error(
        "the database file does not exist; it is never created, mount the disk or make an empty file first"
    )]
    FileMissing,
    #[error("the path of the database does not lead to a file")]
    NotAFile,
    #[error("the database file opened before no longer stands at its path")]
    FileReplaced,
    #[error("everybody may write to the database file or into its folder; use chmod o-w on both")]
    WritableByAll,
    #[error("the file is a database of something else")]
    Foreign,
    #[error("the database is of version {0}, which this program does not know")]
    UnknownVersion(i64),
    #[error("the database does not keep a write-ahead log")]
    NoLog,
    #[error("there is no such object")]
    NoObject,
    #[error("an object has at most 64 MiB")]
    TooLong,
    #[error("the database holds what this backend never stores")]
    Malformed,
    #[error("no memory for the range asked for")]
    OutOfMemory,
    #[error("the operation did not run to its end")]
    Stopped(#[source] JoinError),
}

/// SQLite's own messages may quote what was asked; its codes do not.
impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::NoObject,
            error => match error.sqlite_error() {
                Some(refused) => Self::Refused(*refused),
                None => Self::Malformed,
            },
        }
    }
}

impl SqliteError {
    pub(super) fn of_backend(self, id: &str) -> BackendError {
        BackendError::with_source(self.kind(), id, self)
    }

    pub(super) fn kind(&self) -> BackendErrorKind {
        match self {
            Self::Refused(error) => kind_of_code(error.extended_code),
            Self::Os { errno, .. } => kind_of_errno(*errno),
            Self::WritableByAll => BackendErrorKind::AuthFailed,
            Self::NoObject => BackendErrorKind::NotFound,
            Self::TooLong => BackendErrorKind::QuotaExceeded,
            Self::FileMissing
            | Self::NotAFile
            | Self::FileReplaced
            | Self::Foreign
            | Self::UnknownVersion(_)
            | Self::NoLog
            | Self::Malformed
            | Self::OutOfMemory
            | Self::Stopped(_) => BackendErrorKind::Unavailable,
        }
    }
}

/// An extended result code (<https://sqlite.org/rescode.html>); its low byte is the primary one.
fn kind_of_code(code: std::ffi::c_int) -> BackendErrorKind {
    match (code, code & 0xff) {
        // There is no room for the index of the log.
        (ffi::SQLITE_IOERR_SHMSIZE, _) => BackendErrorKind::QuotaExceeded,
        (_, ffi::SQLITE_FULL | ffi::SQLITE_TOOBIG) => BackendErrorKind::QuotaExceeded,
        (_, ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_AUTH) => {
            BackendErrorKind::AuthFailed
        }
        // Another process wrote for longer than we wait.
        (_, ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED) => BackendErrorKind::Timeout,
        _ => BackendErrorKind::Unavailable,
    }
}

const fn kind_of_errno(errno: Errno) -> BackendErrorKind {
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => BackendErrorKind::AuthFailed,
        _ => BackendErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_kind() {
        for (code, kind) in [
            (ffi::SQLITE_FULL, BackendErrorKind::QuotaExceeded),
            (ffi::SQLITE_TOOBIG, BackendErrorKind::QuotaExceeded),
            (ffi::SQLITE_IOERR_SHMSIZE, BackendErrorKind::QuotaExceeded),
            (ffi::SQLITE_READONLY, BackendErrorKind::AuthFailed),
            (ffi::SQLITE_READONLY_DBMOVED, BackendErrorKind::AuthFailed),
            (ffi::SQLITE_PERM, BackendErrorKind::AuthFailed),
            (ffi::SQLITE_AUTH, BackendErrorKind::AuthFailed),
            (ffi::SQLITE_BUSY, BackendErrorKind::Timeout),
            (ffi::SQLITE_BUSY_SNAPSHOT, BackendErrorKind::Timeout),
            (ffi::SQLITE_LOCKED, BackendErrorKind::Timeout),
            (ffi::SQLITE_IOERR, BackendErrorKind::Unavailable),
            (ffi::SQLITE_IOERR_READ, BackendErrorKind::Unavailable),
            (ffi::SQLITE_CANTOPEN, BackendErrorKind::Unavailable),
            (ffi::SQLITE_CORRUPT, BackendErrorKind::Unavailable),
            (ffi::SQLITE_NOTADB, BackendErrorKind::Unavailable),
            (ffi::SQLITE_NOMEM, BackendErrorKind::Unavailable),
        ] {
            assert_eq!(kind_of_code(code), kind, "{code}");
        }
    }

    #[test]
    fn what_was_asked_is_not_repeated() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let error = connection.execute_batch("SELECT secret").unwrap_err();
        assert!(error.to_string().contains("secret"));
        let error = SqliteError::from(error).of_backend("b");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
