//! `get_range` and `head`: look at one file.

use std::fs::{File, Metadata};
use std::ops::Range;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, pread, retry_on_intr};
use xstore::ObjectMeta;

use super::buffers::Buffers;
use super::error::FsError;
use super::root::Root;
use crate::layout::ObjectPath;

pub(super) fn head(root: &Root, path: &ObjectPath) -> Result<ObjectMeta, FsError> {
    let (_, metadata) = open_object(root, path)?;
    Ok(ObjectMeta {
        len_bytes: metadata.len(),
        modified: metadata.modified().ok(),
    })
}

pub(super) fn get_range(
    root: &Root,
    path: &ObjectPath,
    range: Range<u64>,
    buffers: &Buffers,
) -> Result<Bytes, FsError> {
    let (file, metadata) = open_object(root, path)?;
    // The length is bounded by the file, not by the caller, before memory is taken for it.
    let len_bytes = range.end.min(metadata.len()).saturating_sub(range.start);
    read_at(&file, range.start, len_bytes, buffers)
}

/// Opens an object and asks about it; anything but a file is refused, links included.
fn open_object(root: &Root, path: &ObjectPath) -> Result<(File, Metadata), FsError> {
    let step = FsError::at("open the object");
    let folders = root.open_folders(&path.folders)?;
    // Without `NONBLOCK` a planted pipe would hold up the open for ever.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folders.innermost(), &path.file, flags, Mode::empty()).map_err(&step)?;
    let file = File::from(file);
    let metadata = file
        .metadata()
        .map_err(|error| step(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(FsError::Foreign)
    }
}

/// Reads `len_bytes` from `offset` on, or fewer if the file ends before.
fn read_at(file: &File, offset: u64, len_bytes: u64, buffers: &Buffers) -> Result<Bytes, FsError> {
    let len_bytes = usize::try_from(len_bytes).map_err(|_| FsError::OutOfMemory)?;
    let mut bytes = buffers.take(len_bytes);
    bytes
        .try_reserve_exact(len_bytes)
        .map_err(|_| FsError::OutOfMemory)?;
    while bytes.len() < len_bytes {
        let position = offset + bytes.len() as u64;
        let read = retry_on_intr(|| pread(file, spare_capacity(&mut bytes), position))
            .map_err(FsError::at("read the object"))?;
        if read == 0 {
            break;
        }
    }
    // The allocator may have given more room than asked for.
    bytes.truncate(len_bytes);
    Ok(buffers.lend(bytes))
}
