//! `SqliteBackend`: objects as rows of one SQLite file, for a computer that has no server.
//!
//! A put is one statement, so that an object is whole or absent whatever stops the process; it is in
//! the write-ahead log and synced when it is answered. Several processes may use one file. What SQLite
//! does to a file it does on threads that may block.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;
use xstore::{
    BackendError, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put, StorageBackend,
};

mod error;
mod file;
mod objects;
mod schema;

use error::SqliteError;
use file::DatabaseFile;

/// Objects in one SQLite file.
///
/// `put_new` writes twice: to the log, and from there to the file. Deleted bytes are overwritten with
/// zeros, which takes the room of the object in the log for a while: on a full disk nothing is deleted
/// before there is that much room again.
///
/// The file lies on a disk of this computer: processes share the index of the log through memory, which
/// file systems of a network do not offer.
#[derive(Debug)]
pub struct SqliteBackend {
    id: String,
    database: Arc<Database>,
}

/// The file and its two connections: a read does not wait for a write.
#[derive(Debug)]
struct Database {
    file: DatabaseFile,
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

/// Which of the two connections an operation is for.
#[derive(Debug, Clone, Copy)]
enum Side {
    Reads,
    Writes,
}

impl SqliteBackend {
    /// Opens the database in the file `path`; an empty file becomes one.
    ///
    /// The file is never created: an unmounted disk must not be mistaken for an empty one.
    /// This makes blocking calls to the file system, and waits a few seconds at most for another
    /// process that writes.
    ///
    /// # Errors
    /// `Unavailable` when there is no file at `path`, or it is not a database of this backend, or is
    /// damaged; `AuthFailed` when the file cannot be read, when its folder cannot be written, where
    /// the log stands, or when everybody may write to either. A file that is only readable opens, and
    /// every put answers `AuthFailed`.
    pub fn open(id: &str, path: &Path) -> Result<Self, BackendError> {
        let database = Database::open(path).map_err(|error| error.of_backend(id))?;
        Ok(Self {
            id: id.to_owned(),
            database: Arc::new(database),
        })
    }

    /// Device and inode of the file: two backends with the same pair are one database, and must not
    /// count as two places.
    #[must_use]
    pub fn file_identity(&self) -> (u64, u64) {
        self.database.file.identity()
    }

    /// Runs `operation` where it may block.
    ///
    /// A caller that stops waiting (a time-out, say) does not stop it: it ends on its thread.
    async fn run<T: Send + 'static>(
        &self,
        side: Side,
        operation: impl FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let database = Arc::clone(&self.database);
        let task = tokio::task::spawn_blocking(move || database.run(side, operation));
        let outcome = task
            .await
            .unwrap_or_else(|why| Err(SqliteError::Stopped(why)));
        outcome.map_err(|error| error.of_backend(&self.id))
    }
}

impl Database {
    fn open(path: &Path) -> Result<Self, SqliteError> {
        let file = DatabaseFile::find(path)?;
        let mut writer = file.connect()?;
        schema::prepare(&mut writer)?;
        let reader = file.connect()?;
        Ok(Self {
            file,
            reader: Mutex::new(reader),
            writer: Mutex::new(writer),
        })
    }

    fn run<T>(
        &self,
        side: Side,
        operation: impl FnOnce(&mut Connection) -> Result<T, SqliteError>,
    ) -> Result<T, SqliteError> {
        let connection = match side {
            Side::Reads => &self.reader,
            Side::Writes => &self.writer,
        };
        // A transaction that a panic left behind was rolled back by its own drop.
        let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        // Through its handles a deleted file looks as sound as ever.
        self.file.check_present()?;
        operation(&mut connection)
    }
}

#[async_trait]
impl StorageBackend for SqliteBackend {
    fn id(&self) -> &str {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, true)
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        let key = key.clone();
        self.run(Side::Writes, move |connection| {
            objects::put_new(connection, &key, &bytes)
        })
        .await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        let key = key.clone();
        self.run(Side::Reads, move |connection| {
            objects::get_range(connection, &key, range)
        })
        .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        let key = key.clone();
        self.run(Side::Reads, move |connection| {
            objects::head(connection, &key)
        })
        .await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        let (prefix, cursor) = (prefix.to_owned(), cursor.map(str::to_owned));
        self.run(Side::Reads, move |connection| {
            objects::list(connection, &prefix, cursor.as_deref())
        })
        .await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        let keys = keys.to_vec();
        self.run(Side::Writes, move |connection| {
            objects::delete(connection, &keys)
        })
        .await
    }

    /// Deleted rows are zeros in the file, but their bytes may still stand in the log: it is emptied
    /// here. A copy or snapshot of either is out of sight.
    async fn erasure(&self) -> Result<Erasure, BackendError> {
        self.run(Side::Writes, |connection| objects::empty_log(connection))
            .await
    }
}
