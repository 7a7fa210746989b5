//! What a transfer tells while it runs.

use std::fmt;
use std::time::Duration;

/// State of one share's transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Nothing has moved yet.
    Pending,
    /// Bytes go to the backend.
    Uploading,
    /// Bytes come from the backend.
    Downloading,
    /// What was stored is read back and compared.
    Verifying,
    /// Done; the last event of this share.
    Complete,
    /// Given up; the last event of this share.
    Failed,
}

impl Status {
    /// Lower-case word of this state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Uploading => "uploading",
            Self::Downloading => "downloading",
            Self::Verifying => "verifying",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

/// Progress of one share. Bytes never go down, and exactly one terminal state ends a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressEvent {
    /// Label of the backend.
    pub backend_id: String,
    /// Share index.
    pub share_index: u8,
    /// How many shares there are.
    pub total_shares: u8,
    /// State.
    pub status: Status,
    /// Bytes of this share moved so far.
    pub bytes_transferred: u64,
    /// Bytes of this share in all, where known.
    pub total_bytes: Option<u64>,
    /// Since the operation began.
    pub duration: Duration,
}

/// Step that an operation has durably reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The intent is on disk; from here a crash leaves something to clean up.
    Journal,
    /// All segments are stored and confirmed.
    Segments,
    /// From here recovery only goes forward.
    Manifest,
    /// Enough copies of the manifest are durable.
    Committed,
}

impl Stage {
    /// Lower-case word of this stage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Segments => "segments",
            Self::Manifest => "manifest",
            Self::Committed => "committed",
        }
    }
}

/// Receives progress; called from async tasks, so it must not block.
pub trait Observer: Send + Sync {
    /// A share moved.
    fn progress(&self, _event: &ProgressEvent) {}

    /// A stage was reached.
    fn stage(&self, _stage: Stage) {}
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
