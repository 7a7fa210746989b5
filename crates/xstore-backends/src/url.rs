//! `connect`: a backend from the URL that configuration gives it.
//!
//! URLs say where, never who: credentials come from elsewhere. Errors name the scheme at most and
//! never repeat the URL, because people put secrets into URLs all the same.

use std::sync::Arc;

use xstore::memory::MemoryBackend;
use xstore::{BackendError, BackendErrorKind, StorageBackend};

/// Connects to the backend at `url` and labels it `id`.
///
/// - `file:///absolute/path` (feature `fs`): the folder must exist. `%` and two hexadecimal digits
///   stand for one byte of the path (RFC 3986, section 2.1).
/// - `memory:` forgets everything when it is dropped; for trials and tests.
///
/// # Errors
/// [`ConnectError`].
pub fn connect(id: &str, url: &str) -> Result<Arc<dyn StorageBackend>, ConnectError> {
    let (scheme, rest) = url.split_once(':').ok_or(ConnectError::NoScheme)?;
    match scheme {
        #[cfg(feature = "fs")]
        "file" => {
            let path = file::path(rest)?;
            Ok(Arc::new(crate::fs::FsBackend::open(id, &path)?))
        }
        "memory" if rest.is_empty() => Ok(Arc::new(MemoryBackend::new(id))),
        "memory" => Err(ConnectError::Malformed("`memory:` takes nothing behind it")),
        _ => Err(ConnectError::UnknownScheme(scheme.to_owned())),
    }
}

/// The schemes that this build knows, for messages.
const KNOWN_SCHEMES: &str = if cfg!(feature = "fs") {
    "file, memory"
} else {
    "memory"
};

/// Why a URL leads to no backend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// There is no `scheme:` in front.
    #[error("the backend URL has no scheme; known are: {KNOWN_SCHEMES}")]
    NoScheme,
    /// No backend of this build has this scheme.
    #[error("no backend has the scheme {0:?}; known are: {KNOWN_SCHEMES}")]
    UnknownScheme(String),
    /// The scheme is known, but the rest of the URL is not as it has to be.
    #[error("malformed backend URL: {0}")]
    Malformed(&'static str),
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
            Self::Malformed(_) => "write the URL like file:///absolute/path or memory:",
            Self::Backend(error) => error.kind.recovery(),
        }
    }
}

#[cfg(feature = "fs")]
mod file {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::PathBuf;

    use super::ConnectError;

    /// The path behind `file:`, RFC 8089 with an empty authority.
    pub(super) fn path(rest: &str) -> Result<PathBuf, ConnectError> {
        let path = match rest.strip_prefix("//") {
            Some(path) if path.starts_with('/') => path,
            _ => return Err(ConnectError::Malformed("a file URL starts with file:///")),
        };
        if path.contains(['?', '#']) {
            return Err(ConnectError::Malformed(
                "`?` and `#` in a path are written %3F and %23",
            ));
        }
        let bytes = percent_decode(path.as_bytes()).ok_or(ConnectError::Malformed(
            "`%` in a path is followed by two hexadecimal digits, and not by 00",
        ))?;
        Ok(OsString::from_vec(bytes).into())
    }

    /// `None` when a `%` is not followed by two hexadecimal digits, or stands for a zero byte.
    fn percent_decode(mut text: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(text.len());
        while let [first, rest @ ..] = text {
            let (byte, rest) = match (first, rest) {
                (b'%', [high, low, rest @ ..]) => (hex(*high)? << 4 | hex(*low)?, rest),
                (b'%', _) => return None,
                _ => (*first, rest),
            };
            if byte == 0 {
                return None;
            }
            bytes.push(byte);
            text = rest;
        }
        Some(bytes)
    }

    const fn hex(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            b'A'..=b'F' => Some(digit - b'A' + 10),
            _ => None,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn paths_are_absolute_and_decoded() {
            for (rest, expected) in [
                ("///srv/a", "/srv/a"),
                ("///srv/a%20b%2Fc", "/srv/a b/c"),
                ("///%c3%A9", "/é"),
                ("///", "/"),
            ] {
                assert_eq!(path(rest).unwrap(), PathBuf::from(expected), "{rest}");
            }
            for rest in [
                "",
                "/srv",
                "srv",
                "//host/srv",
                "//",
                "///a%",
                "///a%2",
                "///a%zz",
                "///a%00",
                "///a\0",
                "///a?b",
                "///a#b",
            ] {
                assert_eq!(path(rest).unwrap_err().code(), "INVALID_CONFIG", "{rest:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_connected() {
        assert_eq!(connect("m", "memory:").unwrap().id(), "m");
    }

    #[test]
    fn what_is_not_a_backend_is_an_invalid_configuration() {
        for url in [
            "",
            "/srv/a",
            "memory",
            "memory:x",
            "s4://a:secret@b",
            "FILE:///",
        ] {
            let error = connect("b", url).unwrap_err();
            assert_eq!(error.code(), "INVALID_CONFIG", "{url}");
            assert!(!error.recovery().is_empty());
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        let error = connect("b", "s4://bucket").unwrap_err();
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
        assert_eq!(connect("f", &url).unwrap().id(), "f");
        let error = connect("f", &format!("{url}/missing")).unwrap_err();
        assert_eq!(error.code(), "BACKEND_UNAVAILABLE");
        assert_eq!(error.into_backend("f").backend, "f");
        assert!(!folder.path().join("missing").exists());
    }
}
