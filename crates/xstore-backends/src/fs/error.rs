//! What goes wrong in a file system, and which kind of backend error it is.

use rustix::io::Errno;
use tokio::task::JoinError;
use xstore::{BackendError, BackendErrorKind};

/// Why an operation below a root failed; becomes the source of a [`BackendError`].
#[derive(Debug, thiserror::Error)]
pub(super) enum FsError {
    #[error("cannot {step}")]
    Os {
        step: &'static str,
        #[source]
        errno: Errno,
    },
    #[error("the root folder does not exist; it is never created, mount or make it first")]
    RootMissing,
    #[error("the root is not a folder")]
    RootNotAFolder,
    #[error("the root folder opened before no longer stands at its path")]
    RootReplaced,
    #[error("everybody may replace files in the root folder; use chmod o-w on it")]
    RootWritableByAll,
    #[error("something that is neither a file nor a folder has the name of an object or folder")]
    Foreign,
    #[error("the folders of the object vanish as often as they are made")]
    Contended,
    #[error("no memory for the range asked for")]
    OutOfMemory,
    #[error("the operation did not run to its end")]
    Stopped(#[source] JoinError),
}

impl FsError {
    /// For `map_err`: the step that the system call was made for, "cannot ..." in front of it.
    pub(super) fn at(step: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::Os { step, errno }
    }

    /// A name on the path does not exist.
    pub(super) const fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Os {
                errno: Errno::NOENT,
                ..
            }
        )
    }

    pub(super) fn of_backend(self, id: &str) -> BackendError {
        BackendError::with_source(self.kind(), id, self)
    }

    fn kind(&self) -> BackendErrorKind {
        match self {
            Self::Os { errno, .. } => kind_of(*errno),
            Self::RootWritableByAll => BackendErrorKind::AuthFailed,
            Self::RootMissing
            | Self::RootNotAFolder
            | Self::RootReplaced
            | Self::Foreign
            | Self::Contended
            | Self::OutOfMemory
            | Self::Stopped(_) => BackendErrorKind::Unavailable,
        }
    }
}

fn kind_of(errno: Errno) -> BackendErrorKind {
    match errno {
        Errno::NOENT => BackendErrorKind::NotFound,
        Errno::NOSPC | Errno::DQUOT => BackendErrorKind::QuotaExceeded,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => BackendErrorKind::AuthFailed,
        _ => BackendErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_kind() {
        for (errno, kind) in [
            (Errno::NOENT, BackendErrorKind::NotFound),
            (Errno::NOSPC, BackendErrorKind::QuotaExceeded),
            (Errno::DQUOT, BackendErrorKind::QuotaExceeded),
            (Errno::ACCESS, BackendErrorKind::AuthFailed),
            (Errno::PERM, BackendErrorKind::AuthFailed),
            (Errno::ROFS, BackendErrorKind::AuthFailed),
            (Errno::IO, BackendErrorKind::Unavailable),
            (Errno::LOOP, BackendErrorKind::Unavailable),
            (Errno::NOTDIR, BackendErrorKind::Unavailable),
        ] {
            assert_eq!(FsError::at("test")(errno).kind(), kind, "{errno}");
        }
    }
}
