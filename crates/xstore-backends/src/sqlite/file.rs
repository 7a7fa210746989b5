//! `DatabaseFile`: the file, who else may change it, and connections to it.
//!
//! The file is looked at by its path alone. To open and close it beside SQLite would drop the locks
//! that this process holds on it (<https://sqlite.org/howtocorrupt.html>, section 2.2).

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::error::SqliteError;

/// How long a call waits for another process that writes.
const BUSY_TIME: Duration = Duration::from_secs(5);

/// Where the database stood when it was opened.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    /// Absolute, without a symbolic link.
    path: PathBuf,
    identity: (u64, u64),
}

impl DatabaseFile {
    pub(super) fn find(path: &Path) -> Result<Self, SqliteError> {
        let path = std::fs::canonicalize(path).map_err(|error| match os(&error) {
            Errno::NOENT => SqliteError::FileMissing,
            errno => at("find the database file")(errno),
        })?;
        let metadata = std::fs::metadata(&path).map_err(|_| SqliteError::FileMissing)?;
        if !metadata.is_file() {
            return Err(SqliteError::NotAFile);
        }
        access(&path, Access::READ_OK).map_err(at("read the database file"))?;
        check_folder(&path)?;
        if is_writable_by_all(metadata.mode()) {
            return Err(SqliteError::WritableByAll);
        }
        Ok(Self {
            path,
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    pub(super) const fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Fails unless the file found before still stands at its path.
    pub(super) fn check_present(&self) -> Result<(), SqliteError> {
        let metadata = std::fs::metadata(&self.path).map_err(|_| SqliteError::FileReplaced)?;
        if (metadata.dev(), metadata.ino()) == self.identity {
            Ok(())
        } else {
            Err(SqliteError::FileReplaced)
        }
    }

    /// Opens a connection that trusts nothing in the file: a schema of somebody else's runs no code.
    pub(super) fn connect(&self) -> Result<Connection, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIME)?;
        for (config, value) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        ] {
            connection.set_db_config(config, value)?;
        }
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", true)?;
        Ok(connection)
    }
}

/// The folder holds the log, so whoever may write there may write to the database.
fn check_folder(path: &Path) -> Result<(), SqliteError> {
    let folder = path.parent().ok_or(SqliteError::NotAFile)?;
    let step = "look at the folder of the database";
    let metadata = std::fs::metadata(folder).map_err(|error| at(step)(os(&error)))?;
    if is_writable_by_all(metadata.mode()) {
        return Err(SqliteError::WritableByAll);
    }
    access(folder, Access::WRITE_OK).map_err(at("write into the folder of the database"))
}

/// No sticky bit helps: a log planted beside the database would be read as part of it.
const fn is_writable_by_all(mode: u32) -> bool {
    mode & 0o002 != 0
}

fn at(step: &'static str) -> impl Fn(Errno) -> SqliteError {
    move |errno| SqliteError::Os { step, errno }
}

fn os(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
