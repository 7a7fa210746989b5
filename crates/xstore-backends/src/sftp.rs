//! `sftp://`: a folder of an SSH server.
//!
//! An object is written under a temporary name, synced, and linked to its own, as on a local disk:
//! the link fails when the name is taken, and it is the only step of the protocol that is certain
//! to. Then the folders are synced. Links and syncs are extensions of OpenSSH, and a server without
//! them is refused rather than trusted to be careful.
//!
//! The `ssh` of the system makes the connection, with the keys and agents that it knows, so it has to
//! be on the PATH. SFTP itself is spoken here, in a dozen requests, because libraries leave out the
//! one that counts: OpenDAL writes an object under its own name, where everybody sees half of it, and
//! `openssh-sftp-client` below it syncs no folder, without which a name may be lost with the power.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::OnceCell;
use xstore::{BackendError, Capabilities, Put};

use crate::credential::Source;
use crate::layout::STAGING_FOLDER;
use crate::tree::{Item, ItemKind, OBJECT_LEN_BYTES_MAX, Objects, Tree};
use crate::url::{ConnectError, Place};

mod connection;
mod error;
mod ssh;
mod wire;

use connection::{Connection, Handle};
use error::SftpError;
use ssh::{Line, Target};
use wire::{Attributes, READ, Reply, Request, WRITE_NEW};

/// Every server takes and gives as much at once.
const PART_LEN_BYTES: u32 = 32 << 10;

/// Parts under way at once.
const PARTS: usize = 64;

/// Most entries of a folder; what has more is not one of ours.
const ITEM_COUNT_MAX: usize = 1 << 20;

pub(crate) fn connect(
    id: &str,
    place: Place,
    source: &Source,
) -> Result<Objects<Sftp>, ConnectError> {
    let target = Target::parse(place.authority("user@host")?)?;
    let folder = place.segments()?;
    place.finish()?;
    Ok(Objects::new(Sftp {
        id: id.to_owned(),
        target,
        root: format!("/{}", folder.join("/")),
        source: source.clone(),
        line: Mutex::default(),
    }))
}

/// One folder of a server.
#[derive(Debug)]
pub(crate) struct Sftp {
    id: String,
    target: Target,
    /// Absolute path of the folder.
    root: String,
    /// Asked anew for each connection.
    source: Source,
    line: Mutex<Arc<OnceCell<Arc<Line>>>>,
}

impl Sftp {
    /// The line that stands, or a new one.
    async fn line(&self) -> Result<Arc<Line>, SftpError> {
        let cell = self.cell();
        let line = cell.get_or_try_init(|| async {
            let source = self.source.clone();
            let read = tokio::task::spawn_blocking(move || source.read()).await;
            let variables = read.map_err(|_| SftpError::Lost)?;
            let variables = variables.map_err(SftpError::Credential)?;
            Line::open(&self.target, &variables).await.map(Arc::new)
        });
        line.await.map(Arc::clone)
    }

    fn cell(&self) -> Arc<OnceCell<Arc<Line>>> {
        let mut cell = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if cell.get().is_some_and(|line| line.connection.is_lost()) {
            *cell = Arc::default();
        }
        Arc::clone(&cell)
    }

    fn path(&self, path: &str) -> String {
        match path {
            "" => self.root.clone(),
            _ => format!("{}/{path}", self.root.trim_end_matches('/')),
        }
    }

    /// The folders on the way to `path`, the root first.
    fn folders(&self, path: &str) -> Vec<String> {
        let ends = path
            .match_indices('/')
            .map(|(end, _)| self.path(&path[..end]));
        [self.path("")].into_iter().chain(ends).collect()
    }
}

async fn attributes(at: &Connection, path: &str) -> Result<Attributes, SftpError> {
    match at.ask(Request::Stat { path }).await? {
        Reply::Attributes(attributes) => Ok(attributes),
        reply => Err(SftpError::unexpected(&reply)),
    }
}

async fn sync(at: &Connection, handle: &Handle) -> Result<(), SftpError> {
    let handle = handle.bytes();
    at.command(Request::Sync { handle }).await
}

/// Opened to be read a folder is a file like any other.
async fn sync_folder(at: &Connection, path: String) -> Result<(), SftpError> {
    let (path, flags) = (&*path, READ);
    let folder = at.handle(Request::Open { path, flags }).await?;
    sync(at, &folder).await
}

async fn write(at: &Connection, path: &str, file: &Handle, bytes: Bytes) -> Result<(), SftpError> {
    let handle = file.bytes();
    let parts = (0_usize..).step_by(PART_LEN_BYTES as usize);
    let parts = parts.take_while(|start| *start < bytes.len()).map(|start| {
        let end = bytes.len().min(start + PART_LEN_BYTES as usize);
        (start as u64, bytes.slice(start..end))
    });
    let written = stream::iter(parts)
        .map(|(offset, bytes)| {
            at.command(Request::Write {
                handle,
                offset,
                bytes,
            })
        })
        .buffer_unordered(PARTS)
        .try_collect();
    let written: Result<(), SftpError> = written.await;
    match written {
        Err(error) if error.is_failure() && is_full(at, path).await => Err(SftpError::Full),
        Err(error) => Err(error),
        Ok(()) => sync(at, file).await,
    }
}

/// Whether no part fits any more, by `statvfs`: block size, fragment size, blocks, free blocks and
/// those free for users come first.
async fn is_full(at: &Connection, path: &str) -> bool {
    let reply = at.ask(Request::FileSystem { path }).await;
    let Ok(Reply::Extended(numbers)) = reply else {
        return false;
    };
    let number = |index: usize| {
        let bytes = numbers.get(index * 8..)?.first_chunk()?;
        Some(u64::from_be_bytes(*bytes))
    };
    match (number(1), number(4)) {
        (Some(fragment), Some(free)) => fragment.saturating_mul(free) < PART_LEN_BYTES.into(),
        _ => false,
    }
}

async fn read(at: &Connection, path: &str, range: Range<u64>) -> Result<Bytes, SftpError> {
    let file = at.handle(Request::Open { path, flags: READ }).await?;
    let handle = file.bytes();
    let found = match at.ask(Request::StatOpen { handle }).await? {
        Reply::Attributes(found) => found,
        reply => return Err(SftpError::unexpected(&reply)),
    };
    let end = range.end.min(found.len_bytes);
    if end.saturating_sub(range.start) > OBJECT_LEN_BYTES_MAX {
        return Err(SftpError::OtherLength);
    }
    let parts = (range.start..end).step_by(PART_LEN_BYTES as usize);
    let parts = stream::iter(parts).map(|start| {
        let end = end.min(start + u64::from(PART_LEN_BYTES));
        read_part(at, handle, start..end)
    });
    let parts = parts.buffered(PARTS);
    let joined = parts.try_fold(BytesMut::new(), |mut bytes, part| async move {
        bytes.extend_from_slice(&part);
        Ok(bytes)
    });
    joined.await.map(BytesMut::freeze)
}

/// A server may give less at once than it is asked for.
async fn read_part(at: &Connection, handle: &Bytes, range: Range<u64>) -> Result<Bytes, SftpError> {
    let mut bytes = BytesMut::new();
    loop {
        let offset = range.start + bytes.len() as u64;
        let len_bytes = u32::try_from(range.end - offset).unwrap_or(PART_LEN_BYTES);
        let request = Request::Read {
            handle,
            offset,
            len_bytes,
        };
        let data = match at.ask(request).await? {
            Reply::Data(data) if data.len() as u64 <= range.end - offset => data,
            Reply::Data(_) => return Err(SftpError::Broken),
            Reply::Status(1) => return Err(SftpError::OtherLength),
            reply => return Err(SftpError::unexpected(&reply)),
        };
        if data.is_empty() {
            return Err(SftpError::Broken);
        }
        let is_whole = data.len() as u64 == range.end - offset;
        if is_whole && bytes.is_empty() {
            return Ok(data);
        }
        bytes.extend_from_slice(&data);
        if is_whole {
            return Ok(bytes.freeze());
        }
    }
}

async fn items(at: &Connection, path: &str) -> Result<Vec<Item>, SftpError> {
    let folder = at.handle(Request::OpenFolder { path }).await?;
    let handle = folder.bytes();
    let mut items = Vec::new();
    loop {
        match at.ask(Request::ReadFolder { handle }).await? {
            Reply::Status(1) => return Ok(items),
            Reply::Names(names) if !names.is_empty() => {
                items.extend(names.into_iter().map(|(name, found)| item(name, found)));
            }
            reply => return Err(SftpError::unexpected(&reply)),
        }
        if items.len() > ITEM_COUNT_MAX {
            return Err(SftpError::TooMany);
        }
    }
}

fn item(name: impl Into<String>, found: Attributes) -> Item {
    Item {
        name: name.into(),
        kind: found.kind,
        len_bytes: found.len_bytes,
        modified: found.modified,
    }
}

impl Sftp {
    async fn try_write(&self, path: &str, bytes: Bytes) -> Result<(), SftpError> {
        let (line, path) = (self.line().await?, self.path(path));
        let (at, path) = (&line.connection, &*path);
        let flags = WRITE_NEW;
        let file = at.handle(Request::Open { path, flags }).await?;
        let written = write(at, path, &file, bytes).await;
        if written.is_err() {
            // What is left is swept later.
            let _ = at.command(Request::Remove { path }).await;
        }
        written
    }

    async fn try_publish(&self, from: &str, to: &str) -> Result<Put, SftpError> {
        let line = self.line().await?;
        let at = &line.connection;
        let (from, file) = (&*self.path(from), &*self.path(to));
        let put = match at.command(Request::HardLink { from, to: file }).await {
            Ok(()) => Put::Created,
            Err(error) if error.is_failure() && attributes(at, file).await.is_ok() => {
                Put::AlreadyExists
            }
            Err(error) => return Err(error),
        };
        // All of them, also those that were there: another put may have made one and not synced yet.
        // And of a name that is taken as well: who made it may have died before.
        let folders = stream::iter(self.folders(to)).map(|folder| sync_folder(at, folder));
        folders.buffer_unordered(PARTS).try_collect::<()>().await?;
        Ok(put)
    }

    async fn try_make_folder(&self, path: &str) -> Result<(), SftpError> {
        let (line, path) = (self.line().await?, self.path(path));
        let (at, path) = (&line.connection, &*path);
        match at.command(Request::MakeFolder { path }).await {
            Err(error) if error.is_failure() => match attributes(at, path).await {
                Ok(found) if found.kind == ItemKind::Folder => Ok(()),
                _ => Err(error),
            },
            outcome => outcome,
        }
    }

    async fn try_remove(&self, path: &str) -> Result<(), SftpError> {
        let line = self.line().await?;
        let at = &line.connection;
        let file = &*self.path(path);
        at.command(Request::Remove { path: file }).await?;
        let (folder, _) = path.rsplit_once('/').unwrap_or_default();
        if folder == STAGING_FOLDER {
            return Ok(());
        }
        match sync_folder(at, self.path(folder)).await {
            // Another delete was quicker.
            Err(error) if error.is_missing() => Ok(()),
            outcome => outcome,
        }
    }

    async fn try_remove_if_empty(&self, path: &str) -> Result<bool, SftpError> {
        let (line, path) = (self.line().await?, self.path(path));
        let path = &*path;
        match line
            .connection
            .command(Request::RemoveFolder { path })
            .await
        {
            Ok(()) => Ok(true),
            Err(error) if error.is_failure() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Tree for Sftp {
    fn id(&self) -> &str {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, true)
    }

    async fn items(&self, folder: &str) -> Result<Vec<Item>, BackendError> {
        let found = async { items(&self.line().await?.connection, &self.path(folder)).await };
        found.await.map_err(|error| error.of_backend(&self.id))
    }

    async fn item(&self, path: &str) -> Result<Item, BackendError> {
        let found = async { attributes(&self.line().await?.connection, &self.path(path)).await };
        let found = found.await.map_err(|error| error.of_backend(&self.id))?;
        Ok(item(path, found))
    }

    async fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, BackendError> {
        let bytes = async { read(&self.line().await?.connection, &self.path(path), range).await };
        bytes.await.map_err(|error| error.of_backend(&self.id))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<(), BackendError> {
        let written = self.try_write(path, bytes).await;
        written.map_err(|error| error.of_backend(&self.id))
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Put, BackendError> {
        let put = self.try_publish(from, to).await;
        put.map_err(|error| error.of_backend(&self.id))
    }

    async fn make_folder(&self, path: &str) -> Result<(), BackendError> {
        let made = self.try_make_folder(path).await;
        made.map_err(|error| error.of_backend(&self.id))
    }

    async fn remove(&self, path: &str) -> Result<(), BackendError> {
        let removed = self.try_remove(path).await;
        removed.map_err(|error| error.of_backend(&self.id))
    }

    async fn remove_if_empty(&self, path: &str) -> Result<bool, BackendError> {
        let removed = self.try_remove_if_empty(path).await;
        removed.map_err(|error| error.of_backend(&self.id))
    }
}
