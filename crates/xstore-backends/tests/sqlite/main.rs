//! What `SqliteBackend` promises beyond the contract.

#[cfg(test)]
mod file;
#[cfg(test)]
mod media;
#[cfg(test)]
#[path = "../fs/medium.rs"]
mod medium;
#[cfg(test)]
mod processes;

#[cfg(test)]
use self::world::{World, body, key};

#[cfg(test)]
mod world {
    use std::path::{Path, PathBuf};

    use bytes::Bytes;
    use rusqlite::Connection;
    use tempfile::TempDir;
    use xstore::{BackendError, ObjectKey};
    use xstore_backends::sqlite::SqliteBackend;

    /// An empty file in a folder of its own.
    pub(crate) struct World {
        folder: TempDir,
    }

    impl World {
        pub(crate) fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::File::create(folder.path().join("a.db")).unwrap();
            Self { folder }
        }

        pub(crate) fn folder(&self) -> &Path {
            self.folder.path()
        }

        pub(crate) fn file(&self) -> PathBuf {
            self.folder().join("a.db")
        }

        pub(crate) fn open(&self) -> Result<SqliteBackend, BackendError> {
            SqliteBackend::open("q", &self.file())
        }

        /// The database as any program may open it.
        pub(crate) fn raw(&self) -> Connection {
            Connection::open(self.file()).unwrap()
        }
    }

    pub(crate) fn key(name: &str) -> ObjectKey {
        ObjectKey::try_new(name).unwrap()
    }

    pub(crate) fn body(len_bytes: usize) -> Bytes {
        vec![7; len_bytes].into()
    }
}
