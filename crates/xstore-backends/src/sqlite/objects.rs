//! The operations, each on one connection.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rusqlite::{Connection, TransactionBehavior};
use xstore::{Erasure, ListPage, ObjectKey, ObjectMeta, Put};

use super::error::SqliteError;
use crate::objects::{NAME_COUNT_ASKED, OBJECT_LEN_BYTES_MAX, names_under, page};

pub(super) fn put_new(
    connection: &Connection,
    key: &ObjectKey,
    bytes: &[u8],
) -> Result<Put, SqliteError> {
    if bytes.len() as u64 > OBJECT_LEN_BYTES_MAX {
        return Err(SqliteError::TooLong);
    }
    let insert = "INSERT INTO objects (name, modified_ms, bytes)
        VALUES (?1, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?2)
        ON CONFLICT (name) DO NOTHING";
    match connection.execute(insert, (key.as_str(), bytes))? {
        0 => Ok(Put::AlreadyExists),
        _ => Ok(Put::Created),
    }
}

/// Reads pages of the range alone, however long the object is.
pub(super) fn get_range(
    connection: &mut Connection,
    key: &ObjectKey,
    range: Range<u64>,
) -> Result<Bytes, SqliteError> {
    // One transaction, so that the object is not deleted between the two steps.
    let transaction = connection.transaction()?;
    let id = "SELECT id FROM objects WHERE name = ?1";
    let id = transaction.query_row(id, [key.as_str()], |row| row.get(0))?;
    let blob = transaction.blob_open("main", "objects", "bytes", id, true)?;
    let len_bytes = range.end.min(blob.len() as u64).saturating_sub(range.start);
    if len_bytes > OBJECT_LEN_BYTES_MAX {
        return Err(SqliteError::TooLong);
    }
    let (Ok(start), Ok(len_bytes)) = (usize::try_from(range.start), usize::try_from(len_bytes))
    else {
        return Ok(Bytes::new());
    };
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(len_bytes)
        .map_err(|_| SqliteError::OutOfMemory)?;
    bytes.resize(len_bytes, 0);
    blob.read_at_exact(&mut bytes, start)?;
    Ok(bytes.into())
}

pub(super) fn head(connection: &Connection, key: &ObjectKey) -> Result<ObjectMeta, SqliteError> {
    let about = "SELECT length(bytes), modified_ms FROM objects WHERE name = ?1";
    let about: (i64, i64) =
        connection.query_row(about, [key.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let number = |told: i64| u64::try_from(told).map_err(|_| SqliteError::Malformed);
    let since = Duration::from_millis(number(about.1)?);
    Ok(ObjectMeta {
        len_bytes: number(about.0)?,
        modified: SystemTime::UNIX_EPOCH.checked_add(since),
    })
}

/// The cursor is the last name of the page before.
pub(super) fn list(
    connection: &Connection,
    prefix: &str,
    cursor: Option<&str>,
) -> Result<ListPage, SqliteError> {
    let under = names_under(prefix);
    let from = cursor.map_or(prefix, |last| last.max(prefix));
    let mut names = connection.prepare(
        "SELECT name FROM objects WHERE name >= ?1 AND name < ?2 AND name IS NOT ?3
         ORDER BY name LIMIT ?4",
    )?;
    let asked = (from, under.end, cursor, NAME_COUNT_ASKED);
    let names = names.query_map(asked, |row| row.get(0))?;
    Ok(page(names.collect::<Result<_, _>>()?))
}

/// All of them or none.
pub(super) fn delete(connection: &mut Connection, keys: &[ObjectKey]) -> Result<(), SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut delete = transaction.prepare("DELETE FROM objects WHERE name = ?1")?;
        for key in keys {
            delete.execute([key.as_str()])?;
        }
    }
    Ok(transaction.commit()?)
}

/// Moves what the log holds into the file and cuts the log to nothing.
pub(super) fn empty_log(connection: &Connection) -> Result<Erasure, SqliteError> {
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let is_busy: bool = connection.query_row(checkpoint, (), |row| row.get(0))?;
    if is_busy {
        let why = "another process holds on to the log, where deleted bytes may stand";
        return Ok(Erasure::Untold(why));
    }
    Ok(Erasure::Erases)
}
