//! `redis://` and `rediss://`: a Redis server that keeps objects in memory, and on disk as it is set up.
//!
//! A put and a deletion are one script each, so that an object is whole or absent, and listed exactly
//! when it is there. A value is the object behind eight bytes that say when it was stored, by the
//! server's clock. All names stand in one sorted set of equal scores, which Redis keeps in order.
//!
//! The library reads an answer to its end, however long it is: a server that means harm can forge
//! nothing, but fill this process's memory with what it sends before the time of the call is over.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use redis::{cmd, pipe};
use xstore::{
    BackendError, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put, StorageBackend,
};

mod address;
mod answers;
mod line;
mod refusal;
mod script;

use address::Address;
use line::Line;
use refusal::Refusal;
use script::Script;

use crate::credential::Source;
use crate::objects::{NAME_COUNT_ASKED, OBJECT_LEN_BYTES_MAX, names_under, page};
use crate::url::{ConnectError, Place};

/// Length of the time in front of an object: milliseconds since 1970, big-endian.
const STAMP_LEN_BYTES: u64 = 8;

/// Objects that one script deletes: the server does nothing else meanwhile.
const DELETED_COUNT_MAX: usize = 100;

/// Objects in one database of a server, under one prefix.
pub(crate) struct RedisBackend {
    id: String,
    prefix: String,
    line: Line,
    put: Script,
    delete: Script,
}

pub(crate) fn connect(
    id: &str,
    place: Place,
    source: &Source,
) -> Result<RedisBackend, ConnectError> {
    let address = Address::take(place)?;
    Ok(RedisBackend {
        id: id.to_owned(),
        prefix: address.prefix.clone(),
        line: Line::new(address, source.clone()),
        put: Script::new(include_str!("redis/put.lua")),
        delete: Script::new(include_str!("redis/delete.lua")),
    })
}

/// A part of a value, and how long the object is.
struct Part {
    bytes: Bytes,
    len_bytes: u64,
}

impl RedisBackend {
    fn value(&self, key: &ObjectKey) -> String {
        format!("{}/{key}", self.prefix)
    }

    /// No value has this key, since none has a colon.
    fn names(&self) -> String {
        format!("{}:names", self.prefix)
    }

    /// Reads a half-open range of a value, stamp included, as far as it goes.
    async fn part(&self, key: &ObjectKey, range: Range<u64>) -> Result<Part, Refusal> {
        let value = self.value(key);
        let mut both = pipe();
        both.atomic().cmd("STRLEN").arg(&value);
        // Redis is told the last byte, not the one behind it.
        let (first, last) = (range.start, range.end.saturating_sub(1));
        both.cmd("GETRANGE").arg(&value).arg(first).arg(last);
        let asked = self
            .line
            .ask(async |mut line| both.query_async(&mut line).await);
        let (stored_len_bytes, bytes): (u64, Bytes) = asked.await?;
        if stored_len_bytes == 0 {
            return Err(Refusal::Absent);
        }
        let end = range.end.min(stored_len_bytes);
        if bytes.len() as u64 != end.saturating_sub(range.start) {
            return Err(Refusal::Unexpected(
                "it gave another part than was asked for",
            ));
        }
        match stored_len_bytes.checked_sub(STAMP_LEN_BYTES) {
            Some(len_bytes) => Ok(Part { bytes, len_bytes }),
            None => Err(Refusal::Unexpected(
                "the name of an object is used for something else",
            )),
        }
    }

    async fn put(&self, key: &ObjectKey, bytes: &Bytes) -> Result<Put, Refusal> {
        if bytes.len() as u64 > OBJECT_LEN_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let keys = [self.value(key), self.names()];
        let arguments = [key.as_str().as_bytes(), bytes];
        let call = self
            .line
            .ask(async |line| self.put.run(line, &keys, &arguments).await);
        match call.await? {
            0 => Ok(Put::AlreadyExists),
            _ => Ok(Put::Created),
        }
    }

    async fn read(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, Refusal> {
        // One byte more than an object can have shows that it has too many.
        let clamp = |offset: u64| STAMP_LEN_BYTES + offset.min(OBJECT_LEN_BYTES_MAX + 1);
        let (start, end) = (clamp(range.start), clamp(range.end));
        let part = self.part(key, start..end.max(start)).await?;
        if part.len_bytes > OBJECT_LEN_BYTES_MAX {
            return Err(Refusal::Unexpected("an object is longer than any can be"));
        }
        Ok(part.bytes)
    }

    async fn look(&self, key: &ObjectKey) -> Result<ObjectMeta, Refusal> {
        let part = self.part(key, 0..STAMP_LEN_BYTES).await?;
        let stamp = <[u8; 8]>::try_from(&*part.bytes).unwrap_or_default();
        let since = Duration::from_millis(u64::from_be_bytes(stamp));
        Ok(ObjectMeta {
            len_bytes: part.len_bytes,
            modified: SystemTime::UNIX_EPOCH.checked_add(since),
        })
    }

    /// The cursor is the last name of the page before.
    async fn names_after(
        &self,
        prefix: &str,
        cursor: Option<&str>,
    ) -> Result<Vec<String>, Refusal> {
        let under = names_under(prefix);
        let from = match cursor.filter(|last| *last >= prefix) {
            Some(last) => format!("({last}"),
            None => format!("[{}", under.start),
        };
        let mut range = cmd("ZRANGEBYLEX");
        range
            .arg(self.names())
            .arg(from)
            .arg(format!("({}", under.end));
        range.arg("LIMIT").arg(0).arg(NAME_COUNT_ASKED);
        self.line
            .ask(async |mut line| range.query_async(&mut line).await)
            .await
    }

    async fn delete_some(&self, keys: &[ObjectKey]) -> Result<(), Refusal> {
        let values = keys.iter().map(|key| self.value(key));
        let values: Vec<_> = std::iter::once(self.names()).chain(values).collect();
        let names: Vec<_> = keys.iter().map(|key| key.as_str().as_bytes()).collect();
        let call = self
            .line
            .ask(async |line| self.delete.run(line, &values, &names).await);
        call.await.map(|_| ())
    }
}

#[async_trait]
impl StorageBackend for RedisBackend {
    fn id(&self) -> &str {
        &self.id
    }

    /// Redis answers before it has synced, unless it is set up with `appendfsync always`, which most
    /// users may not ask about.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, false)
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        let put = self.put(key, &bytes).await;
        put.map_err(|refusal| refusal.of_backend(&self.id))
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        let read = self.read(key, range).await;
        read.map_err(|refusal| refusal.of_backend(&self.id))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        let look = self.look(key).await;
        look.map_err(|refusal| refusal.of_backend(&self.id))
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        let names = self.names_after(prefix, cursor).await;
        names
            .map(page)
            .map_err(|refusal| refusal.of_backend(&self.id))
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        for keys in keys.chunks(DELETED_COUNT_MAX) {
            let deleted = self.delete_some(keys).await;
            deleted.map_err(|refusal| refusal.of_backend(&self.id))?;
        }
        Ok(())
    }

    /// They are gone from memory; how it keeps its data on disk, most users may not ask.
    async fn erasure(&self) -> Result<Erasure, BackendError> {
        let why = "its append-only file or snapshot holds deleted bytes until it is written anew";
        Ok(Erasure::Untold(why))
    }
}

/// Neither the address nor what the library's own types show.
impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
