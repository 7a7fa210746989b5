//! The layout of the database, and how an empty file gets it.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::SqliteError;

/// "Xgen" in the header of the file (<https://sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION_ID: i64 = 0x5867_656e;

/// Version of the layout below.
const VERSION: i64 = 1;

/// The name is in front of the bytes, so that it is read without them. Bytes are read in part by
/// `id`, which stays what it is.
const LAYOUT: &str = "
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    modified_ms INTEGER NOT NULL, -- since 1970, by the clock of the computer that wrote
    bytes BLOB NOT NULL
) STRICT";

/// Makes sure that the database is one of ours, and makes an empty one ours.
///
/// Nothing is changed in a database of anybody else.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), SqliteError> {
    if is_empty(connection)? {
        keep_log(connection)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been quicker.
        if is_empty(&transaction)? {
            lay_out(&transaction)?;
        }
        transaction.commit()?;
    }
    check_ours(connection)?;
    keep_log(connection)
}

fn is_empty(connection: &Connection) -> Result<bool, SqliteError> {
    let tables = "SELECT count(*) FROM sqlite_schema";
    let table_count: i64 = connection.query_row(tables, (), |row| row.get(0))?;
    let marks = (
        number(connection, "application_id")?,
        number(connection, "user_version")?,
    );
    Ok(table_count == 0 && marks == (0, 0))
}

fn lay_out(transaction: &Transaction<'_>) -> Result<(), SqliteError> {
    transaction.execute_batch(LAYOUT)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

fn check_ours(connection: &Connection) -> Result<(), SqliteError> {
    if number(connection, "application_id")? != APPLICATION_ID {
        return Err(SqliteError::Foreign);
    }
    match number(connection, "user_version")? {
        VERSION => Ok(()),
        other => Err(SqliteError::UnknownVersion(other)),
    }
}

fn number(connection: &Connection, pragma: &str) -> Result<i64, SqliteError> {
    Ok(connection.pragma_query_value(None, pragma, |row| row.get(0))?)
}

/// A write-ahead log is synced with every commit, and does not hold up those who read.
fn keep_log(connection: &Connection) -> Result<(), SqliteError> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" {
        Ok(())
    } else {
        Err(SqliteError::NoLog)
    }
}
