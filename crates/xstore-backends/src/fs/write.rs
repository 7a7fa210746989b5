//! `put_new`: stage, link, sync.
//!
//! Crash order: before the link the object does not exist and a temporary file is swept later;
//! from the link on it exists whole, because its bytes were synced before.

use rustix::io::Errno;
use xstore::Put;

use super::error::FsError;
use super::root::Root;
use super::staging::Staged;
use super::sync::sync_folder;
use crate::layout::ObjectPath;

/// How often folders are made again that a concurrent delete removed because they were empty.
const ATTEMPT_COUNT_MAX: usize = 1000;

pub(super) fn put_new(root: &Root, path: &ObjectPath, bytes: &[u8]) -> Result<Put, FsError> {
    let outcome = Staged::write(root, bytes).and_then(|staged| publish(root, path, &staged));
    match outcome {
        // Nothing that a put needs is missing while the root is there, except in a race.
        Err(error) if error.is_missing() => root.check_present().and(Err(FsError::Contended)),
        outcome => outcome,
    }
}

fn publish(root: &Root, path: &ObjectPath, staged: &Staged) -> Result<Put, FsError> {
    for _ in 0..ATTEMPT_COUNT_MAX {
        match publish_once(root, path, staged) {
            Err(error) if error.is_missing() => root.check_present()?,
            outcome => return outcome,
        }
    }
    Err(FsError::Contended)
}

fn publish_once(root: &Root, path: &ObjectPath, staged: &Staged) -> Result<Put, FsError> {
    let folders = root.make_folders(&path.folders)?;
    let put = match staged.link_to(folders.innermost(), &path.file) {
        Ok(()) => Put::Created,
        // Durable like a new one: who made it may have died before its name was.
        Err(Errno::EXIST) => Put::AlreadyExists,
        Err(errno) => {
            let step = "link the object to its name (the file system must have hard links)";
            return Err(FsError::at(step)(errno));
        }
    };
    // All of them, also those that were there: another put may have made one and not synced yet.
    for folder in folders.inside_out() {
        sync_folder(folder)?;
    }
    Ok(put)
}
