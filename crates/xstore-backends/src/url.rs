//! `connect`: a backend from the URL that configuration gives it.
//!
//! URLs say where, never who: credentials come from a [`Source`]. Errors name the scheme and the
//! option at most and never repeat the URL, because people put secrets into URLs all the same.

use std::sync::Arc;

use xstore::memory::MemoryBackend;
use xstore::{BackendError, BackendErrorKind, StorageBackend};

use crate::credential::Source;

mod place;

#[cfg(feature = "webdav")]
pub(crate) use place::percent_decode;
pub use place::{Place, Reason};

/// Connects to the backend at `url` and labels it `id`; `source` says who asks.
///
/// Nothing is sent over a network here: a bucket that does not exist, and credentials that do not
/// suffice, show at the first call.
///
/// | URL | feature | options behind `?` |
/// |---|---|---|
/// | `file:///absolute/path` | `fs` | none; the folder must exist |
/// | `s3://bucket/prefix` | `s3` | `region`, `endpoint`, `virtual-hosted`, `allow-plaintext` |
/// | `az://account/container/prefix` | `azure` | `endpoint`, `allow-plaintext` |
/// | `gs://bucket/prefix` | `gcs` | `endpoint`, `allow-plaintext` |
/// | `redis://host:port/database`, `rediss` for TLS | `redis` | `prefix`, `allow-plaintext` |
/// | `sqlite:///absolute/file.db` | `sqlite` | none; the file must exist, and may be empty |
/// | `webdav+https://host/path` | `webdav` | none; the folder must exist |
/// | `webdav+http://host/path` | `webdav` | `allow-plaintext` |
/// | `sftp://user@host:port/absolute/path` | `sftp` | none; the folder must exist, and `ssh` be installed |
/// | `memory:` | none | none; forgets everything when it is dropped |
///
/// `%` and two hexadecimal digits stand for one byte of a path or an option (RFC 3986, section 2.1).
///
/// # Errors
/// [`ConnectError`].
pub fn connect(
    id: &str,
    url: &str,
    source: &Source,
) -> Result<Arc<dyn StorageBackend>, ConnectError> {
    Place::parse(url)?.connect(id, source)
}

impl Place {
    /// Credentials that no provider gave to anybody, to see that they are refused; `None` where
    /// nobody has to say who asks, and for SFTP: what is said there says also which servers are known,
    /// so that a stranger would turn away before the server could refuse.
    #[must_use]
    pub fn stranger(&self) -> Option<Source> {
        let variables: &[(&str, &str)] = match self.scheme() {
            "s3" => &[
                ("AWS_ACCESS_KEY_ID", "AKIAXGENEISASTRANGER"),
                ("AWS_SECRET_ACCESS_KEY", "stranger"),
            ],
            "az" => &[("AZURE_STORAGE_ACCOUNT_KEY", "c3RyYW5nZXI=")],
            "gs" => &[("GOOGLE_BEARER_TOKEN", "stranger")],
            "redis" | "rediss" => &[("REDIS_PASSWORD", "stranger")],
            "webdav+https" | "webdav+http" => &[
                ("WEBDAV_USERNAME", "stranger"),
                ("WEBDAV_PASSWORD", "stranger"),
            ],
            _ => return None,
        };
        Some(Source::Fixed(variables.iter().copied().collect()))
    }

    /// [`connect`], after an application has taken options of its own.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(
        self,
        id: &str,
        source: &Source,
    ) -> Result<Arc<dyn StorageBackend>, ConnectError> {
        match self.scheme() {
            "memory" => {
                self.finish_empty()?;
                Ok(Arc::new(MemoryBackend::new(id)))
            }
            #[cfg(feature = "fs")]
            "file" => {
                let path = self.absolute_path()?;
                Ok(Arc::new(crate::fs::FsBackend::open(id, &path)?))
            }
            #[cfg(feature = "s3")]
            "s3" => Ok(Arc::new(crate::s3::connect(id, self, source)?)),
            #[cfg(feature = "azure")]
            "az" => Ok(Arc::new(crate::azure::connect(id, self, source)?)),
            #[cfg(feature = "gcs")]
            "gs" => Ok(Arc::new(crate::gcs::connect(id, self, source)?)),
            #[cfg(feature = "redis")]
            "redis" | "rediss" => Ok(Arc::new(crate::redis::connect(id, self, source)?)),
            #[cfg(feature = "sqlite")]
            "sqlite" => {
                let path = self.absolute_path()?;
                Ok(Arc::new(crate::sqlite::SqliteBackend::open(id, &path)?))
            }
            #[cfg(feature = "sftp")]
            "sftp" => Ok(Arc::new(crate::sftp::connect(id, self, source)?)),
            #[cfg(feature = "webdav")]
            "webdav+https" | "webdav+http" => {
                Ok(Arc::new(crate::webdav::connect(id, self, source)?))
            }
            other => {
                // Whoever asks, where there is nobody to ask.
                let _ = source;
                Err(ConnectError::UnknownScheme(other.to_owned()))
            }
        }
    }
}

/// The schemes that this build knows, for messages.
fn known_schemes() -> String {
    [
        ("file", cfg!(feature = "fs")),
        ("s3", cfg!(feature = "s3")),
        ("az", cfg!(feature = "azure")),
        ("gs", cfg!(feature = "gcs")),
        ("redis", cfg!(feature = "redis")),
        ("rediss", cfg!(feature = "redis")),
        ("sqlite", cfg!(feature = "sqlite")),
        ("sftp", cfg!(feature = "sftp")),
        ("webdav+https", cfg!(feature = "webdav")),
        ("memory", true),
    ]
    .into_iter()
    .filter_map(|(scheme, known)| known.then_some(scheme))
    .collect::<Vec<_>>()
    .join(", ")
}

/// Why a URL leads to no backend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// There is no `scheme:` in front.
    #[error("the backend URL has no scheme; known are: {}", known_schemes())]
    NoScheme,
    /// No backend of this build has this scheme.
    #[error("no backend has the scheme {scheme:?}; known are: {}", known_schemes(), scheme = .0)]
    UnknownScheme(String),
    /// The scheme is known, but the rest of the URL is not as it has to be.
    #[error("malformed backend URL: {0}")]
    Malformed(Reason),
    /// The backend itself refused.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ConnectError {
    /// The same as an answer of the backend that was to be labelled `id`.
    #[must_use]
    pub fn into_backend(self, id: &str) -> BackendError {
        match self {
            Self::Backend(error) => error,
            other => BackendError::with_source(BackendErrorKind::Unavailable, id, other),
        }
    }

    /// Stable machine-readable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoScheme | Self::UnknownScheme(_) | Self::Malformed(_) => "INVALID_CONFIG",
            Self::Backend(error) => error.kind.code(),
        }
    }

    /// What the caller can do now.
    #[must_use]
    pub const fn recovery(&self) -> &'static str {
        match self {
            Self::NoScheme | Self::UnknownScheme(_) => {
                "start the URL of the backend with one of the known schemes"
            }
            Self::Malformed(_) => {
                "write the URL like file:///absolute/path or s3://bucket/prefix?region=eu-central-1"
            }
            Self::Backend(error) => error.kind.recovery(),
        }
    }
}

impl From<Reason> for ConnectError {
    fn from(reason: Reason) -> Self {
        Self::Malformed(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(url: &str) -> Result<Arc<dyn StorageBackend>, ConnectError> {
        connect("b", url, &Source::default())
    }

    #[test]
    fn memory_is_connected() {
        assert_eq!(connected("memory:").unwrap().id(), "b");
    }

    #[test]
    fn what_is_not_a_backend_is_an_invalid_configuration() {
        for url in [
            "",
            "/srv/a",
            "memory",
            "memory:x",
            "memory:?x=secret",
            "s4://a:secret@b",
            "FILE:///",
        ] {
            let error = connected(url).unwrap_err();
            assert_eq!(error.code(), "INVALID_CONFIG", "{url}");
            assert!(!error.recovery().is_empty());
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        let error = connected("s4://bucket").unwrap_err();
        assert!(error.to_string().contains("memory"), "{error}");
        let error = error.into_backend("b");
        assert_eq!(
            (error.kind.code(), &*error.backend),
            ("BACKEND_UNAVAILABLE", "b")
        );
    }

    #[cfg(feature = "fs")]
    #[test]
    fn a_folder_is_connected_if_it_exists() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        assert_eq!(connected(&url).unwrap().id(), "b");
        let error = connected(&format!("{url}/missing")).unwrap_err();
        assert_eq!(error.code(), "BACKEND_UNAVAILABLE");
        assert_eq!(error.into_backend("b").backend, "b");
        assert!(!folder.path().join("missing").exists());
    }
}
