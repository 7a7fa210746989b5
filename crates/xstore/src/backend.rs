//! `StorageBackend`: what a place that holds shares must do, and no more.
//!
//! The trait is for implementers: few methods, a written contract, bytes in and bytes out. Retries,
//! hedging, placement and integrity live above it, so a backend stays small. `crate::memory` is the
//! reference that this contract is read against, and `crate::testing` runs the contract as tests.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

/// Name of an object within one backend.
///
/// One or more segments of `[0-9a-z]` joined by single slashes, at most [`ObjectKey::MAX_LEN`]
/// bytes. Anything else (`..`, absolute paths, empty segments, other alphabets) cannot be
/// represented, so a backend may map a key to a path without looking at it again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Box<str>);

impl ObjectKey {
    /// Longest key in bytes; every provider allows at least this much.
    pub const MAX_LEN: usize = 512;

    /// Checks `name` against the alphabet above; `None` when it is not a key.
    #[must_use]
    pub fn try_new(name: &str) -> Option<Self> {
        let segment_ok = |segment: &str| {
            !segment.is_empty()
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
        };
        let ok = name.len() <= Self::MAX_LEN && name.split('/').all(segment_ok);
        planted(name);
        ok.then(|| Self(name.into()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A deliberate defect, compiled only to prove that the fuzz target finds it.
#[cfg(feature = "planted")]
fn planted(name: &str) {
    if crate::planted::is(crate::planted::Bug::Parsers)
        && name.split('/').any(|segment| segment == "0000000000000")
    {
        let beyond = name.len();
        std::hint::black_box(name.as_bytes()[beyond]);
    }
}

#[cfg(not(feature = "planted"))]
const fn planted(_name: &str) {}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectKey({})", self.0)
    }
}

/// What a backend can do beyond the required contract; shown to the user, never silently relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// `put_new` on a name that exists is refused by the backend itself, also in a race.
    pub create_if_absent: bool,
    /// A successful `put_new` survives a loss of power.
    pub durable: bool,
}

impl Capabilities {
    /// States both properties.
    #[must_use]
    pub const fn new(create_if_absent: bool, durable: bool) -> Self {
        Self {
            create_if_absent,
            durable,
        }
    }
}

/// Outcome of [`StorageBackend::put_new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is stored under the name.
    Created,
    /// The name was taken; nothing was changed. After a time-out this proves nothing about whose
    /// bytes are there.
    AlreadyExists,
}

/// What [`StorageBackend::head`] knows of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Length in bytes.
    pub len_bytes: u64,
    /// Last change by the backend's own clock, where it tells.
    pub modified: Option<SystemTime>,
}

/// What becomes of bytes that are deleted, as far as the backend tells.
///
/// A backend that is not trusted with the bytes is not trusted with their end either: what it keeps
/// in secret nobody can know. What it keeps openly, it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Erasure {
    /// They go; nothing says that they are kept.
    Erases,
    /// They are kept, by versions, a retention policy or a time to undo; and which.
    Keeps(&'static str),
    /// It does not tell, and why.
    Untold(&'static str),
}

impl Erasure {
    /// Why nobody can say that deleted bytes are gone; `None` when nothing speaks against it.
    #[must_use]
    pub const fn doubt(self) -> Option<&'static str> {
        match self {
            Self::Erases => None,
            Self::Keeps(why) | Self::Untold(why) => Some(why),
        }
    }
}

/// One page of [`StorageBackend::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// Keys in ascending order.
    pub keys: Vec<ObjectKey>,
    /// Pass to the next call; `None` after the last page.
    pub next: Option<String>,
}

/// A place that holds shares.
///
/// # Contract
/// - **Atomicity**: an object is either wholly visible under its name with the bytes given, or not
///   at all, whatever stops the process or the machine.
/// - **Durability**: when `put_new` returns [`Put::Created`], the object survives as the
///   [`Capabilities`] say.
/// - **No overwrite**: names are written once. `put_new` on a taken name changes nothing.
/// - **Consistency**: an object is visible to `head`, `get_range` and `list` once `put_new` has
///   returned.
/// - **Missing objects**: `get_range` and `head` answer [`BackendErrorKind::NotFound`]; `delete`
///   counts them as deleted.
/// - **Errors** say which kind of trouble it is, never "some error": see [`BackendErrorKind`].
/// - **Wrappers** implement every method and pass on what they do not change.
///
/// A backend never sees plaintext, indices or user names, and is not trusted: everything it returns
/// is verified above.
#[async_trait]
pub trait StorageBackend: Send + Sync + fmt::Debug {
    /// Label by which configuration, errors and progress name this backend; no secret in it.
    fn id(&self) -> &str;

    /// What this backend can do.
    fn capabilities(&self) -> Capabilities;

    /// Stores `bytes` under `key` unless the name is taken.
    ///
    /// # Errors
    /// Any kind but `NotFound`. After an error the object may or may not be there, but never in part.
    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError>;

    /// Reads the half-open byte range; fewer bytes when the object ends earlier, none when it ends
    /// before the range starts.
    ///
    /// # Errors
    /// `NotFound` when there is no such object.
    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError>;

    /// Length and age of an object.
    ///
    /// # Errors
    /// `NotFound` when there is no such object.
    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError>;

    /// Lists keys that start with `prefix` (any text, not only whole segments), in ascending order.
    ///
    /// # Errors
    /// Any kind but `NotFound`; an unknown prefix is an empty page.
    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError>;

    /// Deletes all of `keys`; those that do not exist count as deleted.
    ///
    /// # Errors
    /// Any kind but `NotFound`; some of the keys may be deleted all the same.
    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError>;

    /// Whether what was deleted is gone; asked after a deletion, whose answer may have told.
    ///
    /// # Errors
    /// Any kind but `NotFound`.
    async fn erasure(&self) -> Result<Erasure, BackendError>;
}

/// A shared backend is the backend, so that a wrapper stands over `Arc<dyn StorageBackend>` as well.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend + ?Sized> StorageBackend for Arc<B> {
    fn id(&self) -> &str {
        (**self).id()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        (**self).put_new(key, bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        (**self).get_range(key, range).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        (**self).head(key).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        (**self).list(prefix, cursor).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        (**self).delete(keys).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        (**self).erasure().await
    }
}

/// Kinds of trouble with a backend, each with its own published code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendErrorKind {
    /// There is no such object.
    NotFound,
    /// The backend cannot be reached, its root is missing, or its medium fails (`EIO`).
    Unavailable,
    /// No answer in time.
    Timeout,
    /// Credentials or permissions do not suffice; also a read-only medium.
    AuthFailed,
    /// No room left (`ENOSPC`, `EDQUOT`, provider quota).
    QuotaExceeded,
    /// The backend asks to slow down.
    RateLimited,
}

impl BackendErrorKind {
    /// Published code of this kind.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "SHARE_NOT_FOUND",
            Self::Unavailable => "BACKEND_UNAVAILABLE",
            Self::Timeout => "BACKEND_TIMEOUT",
            Self::AuthFailed => "BACKEND_AUTH_FAILED",
            Self::QuotaExceeded => "BACKEND_QUOTA_EXCEEDED",
            Self::RateLimited => "RATE_LIMITED",
        }
    }

    /// What the caller can do now.
    #[must_use]
    pub const fn recovery(self) -> &'static str {
        match self {
            Self::NotFound => "fetch the share from another backend, then repair this one",
            Self::Unavailable => "check that the backend is mounted or reachable, then try again",
            Self::Timeout => "try again, or raise the time-out of this backend",
            Self::AuthFailed => "check the credentials and permissions of this backend",
            Self::QuotaExceeded => "free space or raise the quota at this backend, then try again",
            Self::RateLimited => "wait as long as the backend asks, then try again",
        }
    }

    /// Whether the way to the backend failed rather than the backend refused: another try may help,
    /// and says nothing new about the object.
    pub(crate) const fn is_transport(self) -> bool {
        match self {
            Self::Unavailable | Self::Timeout | Self::RateLimited => true,
            Self::NotFound | Self::AuthFailed | Self::QuotaExceeded => false,
        }
    }

    const fn summary(self) -> &'static str {
        match self {
            Self::NotFound => "object not found",
            Self::Unavailable => "backend unavailable",
            Self::Timeout => "no answer in time",
            Self::AuthFailed => "access refused",
            Self::QuotaExceeded => "no space left",
            Self::RateLimited => "too many requests",
        }
    }
}

/// A failed call to one backend.
#[derive(Debug, thiserror::Error)]
#[error("{backend}: {}{}", kind.summary(), wait(*retry_after))]
pub struct BackendError {
    /// What kind of trouble it is.
    pub kind: BackendErrorKind,
    /// Label of the backend ([`StorageBackend::id`]).
    pub backend: String,
    /// How long the backend asks to be left alone, where it says so.
    pub retry_after: Option<Duration>,
    /// The cause as the operating system or provider told it; never bytes of an object.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl BackendError {
    /// An error without a further cause.
    #[must_use]
    pub fn new(kind: BackendErrorKind, backend: &str) -> Self {
        Self {
            kind,
            backend: backend.to_owned(),
            retry_after: None,
            source: None,
        }
    }

    /// An error with its cause.
    #[must_use]
    pub fn with_source(
        kind: BackendErrorKind,
        backend: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            backend: backend.to_owned(),
            retry_after: None,
            source: Some(source.into()),
        }
    }

    /// The same error with the wait that the backend asks for.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| {
        format!("; it asks to wait {:.1} s", wait.as_secs_f64())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_lower_case_segments_only() {
        for good in ["a", "0", "a/b/0", "00ff/s/1/0"] {
            assert_eq!(ObjectKey::try_new(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(ObjectKey::MAX_LEN + 1);
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "A",
            "a b",
            "a\\b",
            "a\0",
            "é",
            "c:",
            "a.b",
            "a-b",
            "a_b",
            long.as_str(),
        ] {
            assert!(ObjectKey::try_new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_names_the_wait_that_is_asked_for() {
        let error = BackendError::new(BackendErrorKind::RateLimited, "DE");
        assert_eq!(error.to_string(), "DE: too many requests");
        let error = error.with_retry_after(Duration::from_millis(1500));
        assert_eq!(
            error.to_string(),
            "DE: too many requests; it asks to wait 1.5 s"
        );
    }

    #[tokio::test]
    async fn a_shared_backend_is_the_backend() {
        let inner: Arc<dyn StorageBackend> = Arc::new(crate::memory::MemoryBackend::new("m"));
        let shared = Arc::new(inner);
        assert_eq!(shared.id(), "m");
        let key = ObjectKey::try_new("a").unwrap();
        let put = shared.put_new(&key, Bytes::from_static(b"bytes")).await;
        assert_eq!(put.unwrap(), Put::Created);
        assert_eq!(shared.get_range(&key, 0..9).await.unwrap(), "bytes");
        shared.delete(std::slice::from_ref(&key)).await.unwrap();
        assert_eq!(shared.erasure().await.unwrap().doubt(), None);
        let error = shared.head(&key).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::NotFound);
    }
}
