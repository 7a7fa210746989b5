//! Why an operation of the store failed: a stable code, one sentence, what to do next.

use std::fmt;
use std::path::Path;

use crate::backend::{BackendError, BackendErrorKind, ObjectKey};
use crate::entropy::EntropyFailed;
use crate::ids::{DeviceId, MakerKey, ManifestHash};
use crate::keys::trust::to_did_key;
use crate::placement::QuorumFinding;

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call or configuration cannot work as given.
    #[error("{0}")]
    Config(String),
    /// One backend failed, and the operation needs it.
    #[error("a backend failed")]
    Backend(#[from] BackendError),
    /// Too few backends answered.
    #[error("{needed} backends must answer, {available} did{}", list(failures))]
    InsufficientBackends {
        /// How many the operation needs.
        needed: usize,
        /// How many answered.
        available: usize,
        /// What the others said.
        failures: Vec<BackendError>,
    },
    /// Fewer than k good shares of at least one chunk.
    #[error("{}", .0)]
    InsufficientShares(Shortage),
    /// What a backend stored is not what was sent.
    #[error("{backend}: the stored share is not the one that was sent")]
    ShareUpload {
        /// Label of the backend.
        backend: String,
    },
    /// A stored format has a version that this program does not know.
    #[error("{what} has format version {version}, which this program does not know")]
    Version {
        /// What was read.
        what: &'static str,
        /// The version found.
        version: u8,
    },
    /// A manifest is malformed, was changed, or names another object.
    #[error("the manifest is not valid: {0}")]
    ManifestInvalid(&'static str),
    /// The object's time to live is over.
    #[error("the object expired at {expired_unix_s} (seconds since 1970)")]
    ManifestExpired {
        /// When it expired.
        expired_unix_s: u64,
    },
    /// k authentic shares do not give a chunk that their dealer can have made.
    #[error("chunk {chunk} does not reconstruct although its shares are authentic")]
    Reconstruction {
        /// Chunk number.
        chunk: u64,
    },
    /// Padding that must be fixed bytes is not.
    #[error("the padding after the payload is not the one that is written")]
    Padding,
    /// The payload is not the one that was stored.
    #[error("the payload does not match its authenticated length and digest")]
    PayloadHmac,
    /// The random source failed.
    #[error("no randomness to deal with")]
    Random(#[from] EntropyFailed),
    /// The dealer failed.
    #[error("dealing failed")]
    Dealer(#[from] xorida_core::Error),
    /// Something else took the name or version.
    #[error("{0}")]
    Conflict(String),
    /// A resumed put reads another source than the put that stopped.
    #[error("the source has changed in segment {segment}, which is stored already")]
    SourceChanged {
        /// The first segment that differs.
        segment: u64,
    },
    /// Another operation on the same object has not ended.
    #[error("{0}")]
    Locked(String),
    /// Backends show an older version than this client has seen.
    #[error("version {found} was offered, but version {seen} has been seen")]
    Rollback {
        /// Highest version this client has seen.
        seen: u64,
        /// Version offered now.
        found: u64,
    },
    /// Two manifests of one version by one installation, of which there must be two copies.
    #[error("one installation wrote version {version} twice: {} and {}", ids[0], ids[1])]
    Fork {
        /// The version.
        version: u64,
        /// The manifests.
        ids: [ManifestHash; 2],
    },
    /// Two manifests of one version by two installations, which wrote at the same time.
    #[error("two installations wrote version {version} at the same time: {} and {}", ids[0], ids[1])]
    Siblings {
        /// The version.
        version: u64,
        /// The manifests.
        ids: [ManifestHash; 2],
    },
    /// No such object, or it was deleted.
    #[error("no object {0}")]
    ObjectNotFound(String),
    /// The manifest's maker is not pinned.
    #[error("the manifest was made by {}, who is not trusted here", to_did_key(*.0))]
    KeyUntrusted(MakerKey),
    /// The object was put again or deleted while it was read.
    #[error("the object was replaced while it was read; it is at version {version} now")]
    Replaced {
        /// The version that counts now.
        version: u64,
    },
    /// The operation needs the owner's root key and there is none.
    #[error("there is no root key")]
    KeyMissing,
    /// A private file is open to others.
    #[error("{0}")]
    KeyUnsafe(String),
    /// A key is damaged or not the right one.
    #[error("{0}")]
    KeyMismatch(String),
    /// The input cannot be read.
    #[error("cannot read {what}")]
    Input {
        /// What was read.
        what: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write {what}")]
    Output {
        /// What was written.
        what: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// One zone, operator, credential or host would hold a quorum.
    #[error("one party could read alone:{}", quorum(.0))]
    ZoneQuorum(Vec<QuorumFinding>),
    /// A collection would delete more of the store than one run may.
    #[error("{would_delete} of {objects} stored objects would be deleted in one run")]
    GcBrake {
        /// Stored objects that would be deleted.
        would_delete: u64,
        /// Stored objects of this owner at all backends.
        objects: u64,
    },
    /// What stands under the name of a manifest is none, so that nobody can say what it needs.
    #[error("not valid manifests:{}", names(.0))]
    InvalidManifests(Vec<(String, ObjectKey)>),
    /// The caller's own check, run before a release, said no.
    #[error("refused by the caller")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Stable machine-readable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "INVALID_CONFIG",
            Self::Backend(error) => error.kind.code(),
            Self::InsufficientBackends { .. } => "INSUFFICIENT_BACKENDS",
            Self::InsufficientShares(_) => "INSUFFICIENT_SHARES",
            Self::ShareUpload { .. } => "SHARE_UPLOAD_FAILED",
            Self::Version { .. } | Self::Replaced { .. } => "SHARE_VERSION_MISMATCH",
            Self::ManifestInvalid(_) => "MANIFEST_INVALID",
            Self::ManifestExpired { .. } => "MANIFEST_EXPIRED",
            Self::Reconstruction { .. } => "RECONSTRUCTION_FAILED",
            Self::Padding => "PADDING_INVALID",
            Self::PayloadHmac => "PAYLOAD_HMAC_FAILED",
            Self::Random(_) => "SPLIT_FAILED",
            Self::Dealer(error) => error.code(),
            Self::Conflict(_) => "CONFLICT",
            Self::SourceChanged { .. } => "SOURCE_CHANGED",
            Self::Locked(_) => "LOCKED",
            Self::Rollback { .. } => "ROLLBACK_DETECTED",
            Self::Fork { .. } => "FORK_DETECTED",
            Self::Siblings { .. } => "CONFLICT",
            Self::ObjectNotFound(_) => "OBJECT_NOT_FOUND",
            Self::KeyUntrusted(_) => "KEY_UNTRUSTED",
            Self::KeyMissing => "KEY_MISSING",
            Self::KeyUnsafe(_) => "KEY_UNSAFE",
            Self::KeyMismatch(_) => "KEY_MISMATCH",
            Self::Input { .. } => "INPUT_UNREADABLE",
            Self::Output { .. } => "OUTPUT_FAILED",
            Self::ZoneQuorum(_) => "ZONE_QUORUM",
            Self::GcBrake { .. } => "GC_BRAKE",
            Self::InvalidManifests(_) => "MANIFEST_INVALID",
            Self::Refused(_) => "REFUSED",
        }
    }

    /// What the caller can do now.
    #[must_use]
    pub fn recovery(&self) -> &'static str {
        match self {
            Self::Config(_) => "correct the configuration or the command line",
            Self::Backend(error) => error.kind.recovery(),
            Self::InsufficientBackends { .. } => {
                "bring the named backends back, then run the command again"
            }
            Self::InsufficientShares(_) => {
                "bring back one of the named sites for each chunk listed, then try again"
            }
            Self::ShareUpload { .. } => "check the named backend's medium, then put again",
            Self::Version { .. } => "read it with the newer version of this program that wrote it",
            Self::Replaced { .. } => "read the object again",
            Self::ManifestInvalid(_) => "take another copy of the manifest of this object",
            Self::ManifestExpired { .. } => "store the data again if its source is available",
            Self::Reconstruction { .. } => "report this to the maintainers with the error text",
            Self::Padding | Self::PayloadHmac => {
                "whoever wrote this object wrote it wrongly: restore it from its source"
            }
            Self::Random(_) => "check the operating system's random source, then try again",
            Self::Dealer(error) => error.recovery(),
            Self::Conflict(_) => "look at what is there, then choose another name or try again",
            Self::SourceChanged { .. } => {
                "put the source as it was, or put without resuming, which discards what is stored"
            }
            Self::Locked(_) => "let the other operation end, or bring back what it waits for",
            Self::Rollback { .. } => "bring the other backends back; do not trust the old version",
            Self::Fork { .. } => {
                "stop one of the two copies of this installation, then `xgene store resolve NAME`"
            }
            Self::Siblings { .. } => {
                "look at both with `xgene store resolve NAME`, then keep one with --keep"
            }
            Self::ObjectNotFound(_) => "check the name, and that all backends of the store answer",
            Self::KeyUntrusted(_) => {
                "compare this key with its maker, then `xgene keys trust add NAME KEY`; if it is your own, restore your root key"
            }
            Self::KeyMissing => "restore the root key from its backup, or make one",
            Self::KeyUnsafe(_) => "make the file yours alone (chmod 600), or replace it",
            Self::KeyMismatch(_) => "use the key that made this object, or restore its backup",
            Self::Input { .. } => "check that the input exists and can be read",
            Self::Output { .. } => "check free space and permissions where the output goes",
            Self::ZoneQuorum(_) => {
                "place fewer shares with the named party, or raise the threshold"
            }
            Self::GcBrake { .. } => {
                "look at what would be deleted (--dry-run), then lift the brake if it is right"
            }
            Self::InvalidManifests(_) => "repair their objects, or move the named ones away",
            Self::Refused(_) => "see the cause",
        }
    }

    /// Two manifests of one version, each with the installation that wrote it: by one it is a fork, by
    /// two a race.
    pub(crate) fn rivalry(version: u64, mut rivals: [(DeviceId, ManifestHash); 2]) -> Self {
        rivals.sort_by_key(|(_, hash)| *hash);
        let [(one, _), (other, _)] = rivals;
        let ids = rivals.map(|(_, hash)| hash);
        if one == other {
            Self::Fork { version, ids }
        } else {
            Self::Siblings { version, ids }
        }
    }

    /// Whether one backend failed, so that another can stand in for it.
    pub(crate) const fn is_of_one_backend(&self) -> bool {
        matches!(self, Self::Backend(_) | Self::ShareUpload { .. })
    }

    /// What one backend said, for a list of failures.
    pub(crate) fn into_backend(self) -> Option<BackendError> {
        match self {
            Self::Backend(failure) => Some(failure),
            Self::ShareUpload { backend } => {
                let cause = "the stored share is not the one that was sent";
                let kind = BackendErrorKind::Unavailable;
                Some(BackendError::with_source(kind, &backend, cause))
            }
            _ => None,
        }
    }

    pub(crate) fn input(path: &Path, source: std::io::Error) -> Self {
        Self::Input {
            what: path.display().to_string(),
            source,
        }
    }

    pub(crate) fn output(path: &Path, source: std::io::Error) -> Self {
        Self::Output {
            what: path.display().to_string(),
            source,
        }
    }
}

/// One share that could not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareFault {
    /// Label of the backend.
    pub backend: String,
    /// Segment number; `None` when the whole share is concerned.
    pub segment: Option<u64>,
    /// Chunk number; `None` when the whole segment is concerned.
    pub chunk: Option<u64>,
    /// What is wrong.
    pub reason: FaultReason,
}

impl fmt::Display for ShareFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.backend)?;
        if let Some(segment) = self.segment {
            write!(f, ", segment {segment}")?;
        }
        if let Some(chunk) = self.chunk {
            write!(f, ", chunk {chunk}")?;
        }
        write!(f, ": {}", self.reason.code())
    }
}

/// Why a share could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultReason {
    /// Its bytes do not match their tag, or its structure is broken.
    Integrity,
    /// Its format version is unknown.
    Version,
    /// The backend did not give it.
    Backend(ReasonKind),
    /// No configured backend carries the identity that the manifest names.
    NotConfigured,
    /// No backend has it: none took it when it was put, or the one that did was retired.
    NotStored,
}

/// The kind of a backend's failure, ordered for reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReasonKind(pub BackendErrorKind);

impl PartialOrd for ReasonKind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ReasonKind {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.code().cmp(other.0.code())
    }
}

impl FaultReason {
    /// The backend answered that it is not there.
    pub(crate) const NOT_FOUND: Self = Self::Backend(ReasonKind(BackendErrorKind::NotFound));

    /// Whether the backend did not answer, so that nothing is known about what it holds.
    #[must_use]
    pub fn is_out_of_reach(self) -> bool {
        match self {
            Self::Backend(ReasonKind(kind)) => kind != BackendErrorKind::NotFound,
            Self::NotConfigured => true,
            Self::Integrity | Self::Version | Self::NotStored => false,
        }
    }

    /// Whether part of an object may be unreadable (`EIO`) of which another part was read.
    pub(crate) fn may_be_the_medium(self) -> bool {
        self == Self::Backend(ReasonKind(BackendErrorKind::Unavailable))
    }

    /// Published code of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Integrity => "SHARE_INTEGRITY_FAILED",
            Self::Version => "SHARE_VERSION_MISMATCH",
            Self::Backend(ReasonKind(kind)) => kind.code(),
            Self::NotConfigured => "BACKEND_UNAVAILABLE",
            Self::NotStored => "SHARE_NOT_FOUND",
        }
    }
}

/// Everything that is missing for a read, listed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// Shares that each chunk needs.
    pub needed: u8,
    /// Chunks with too few good shares: number, and how many are good.
    pub chunks: Vec<(u64, u8)>,
    /// Every share that could not be used.
    pub faults: Vec<ShareFault>,
}

/// How many chunks and faults an error text names before it counts the rest.
const NAMED: usize = 8;

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} good shares are needed of every chunk; too few of",
            self.needed
        )?;
        for (chunk, good) in self.chunks.iter().take(NAMED) {
            write!(f, " chunk {chunk} ({good})")?;
        }
        if self.chunks.len() > NAMED {
            write!(f, " and {} more chunks", self.chunks.len() - NAMED)?;
        }
        for fault in self.faults.iter().take(NAMED) {
            write!(f, "; {fault}")?;
        }
        if self.faults.len() > NAMED {
            write!(f, "; and {} more faults", self.faults.len() - NAMED)?;
        }
        Ok(())
    }
}

fn list(failures: &[BackendError]) -> String {
    failures
        .iter()
        .map(|failure| format!("; {failure}"))
        .collect()
}

fn names(manifests: &[(String, ObjectKey)]) -> String {
    let named = manifests.iter().take(NAMED);
    let mut text: String = named
        .map(|(backend, name)| format!(" {name} at {backend};"))
        .collect();
    text.pop();
    if manifests.len() > NAMED {
        text += &format!("; and {} more", manifests.len() - NAMED);
    }
    text
}

fn quorum(findings: &[QuorumFinding]) -> String {
    let each =
        |f: &QuorumFinding| format!(" {} {} would hold {} shares", f.label, f.value, f.holds);
    findings.iter().map(each).collect::<Vec<_>>().join(",")
}
