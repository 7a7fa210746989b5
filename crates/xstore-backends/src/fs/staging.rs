//! `Staged`: an object under a temporary name, before it is linked to its own.
//!
//! Temporary files live in the folder `.tmp` of the root, which no key can name. Their writer holds
//! a lock (`flock`) on them, which ends with the process: what is not locked was left by a crash.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, linkat, openat, unlinkat};
use rustix::io::Errno;

use super::error::FsError;
use super::root::{Root, make_folder, open_folder};
use super::sync::sync_file;
use crate::layout::{STAGING_FOLDER, fresh_staging_name, is_staging_name};

/// Names tried before giving up; a second is only needed when another process sweeps just then.
const NAME_COUNT_MAX: usize = 16;

/// A temporary file with all its bytes synced; removed when dropped.
#[derive(Debug)]
pub(super) struct Staged {
    folder: OwnedFd,
    name: String,
    file: File,
}

impl Staged {
    pub(super) fn write(root: &Root, bytes: &[u8]) -> Result<Self, FsError> {
        let mut staged = Self::create(root)?;
        let written = staged.file.write_all(bytes);
        let written = written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
        let synced = written.and_then(|()| sync_file(&staged.file));
        synced.map_err(FsError::at("write the object"))?;
        Ok(staged)
    }

    /// A second name for the file, in `folder`; fails when the name is taken.
    pub(super) fn link_to(&self, folder: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        linkat(&self.folder, &self.name, folder, name, AtFlags::empty())
    }

    fn create(root: &Root) -> Result<Self, FsError> {
        for _ in 0..NAME_COUNT_MAX {
            if let Some(staged) = Self::create_once(root)? {
                return Ok(staged);
            }
        }
        Err(FsError::Contended)
    }

    /// `None` when a sweep took the file before it was locked, or the name was taken.
    fn create_once(root: &Root) -> Result<Option<Self>, FsError> {
        let folder = make_folder(root, STAGING_FOLDER)?;
        let name = fresh_staging_name();
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match openat(&folder, &name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => File::from(file),
            Err(Errno::EXIST) => return Ok(None),
            Err(errno) => return Err(FsError::at("make a temporary file")(errno)),
        };
        let staged = Self { folder, name, file };
        match try_lock(&staged.file) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(FsError::at("lock a temporary file")(errno)),
        }
        let link_count = staged
            .file
            .metadata()
            .map_or(0, |metadata| metadata.nlink());
        Ok((link_count > 0).then_some(staged))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What cannot be removed now is left to the sweep of the next `open`.
        let _ = unlinkat(&self.folder, &self.name, AtFlags::empty());
    }
}

/// Removes the temporary files of writers that are no more.
///
/// What cannot be removed (a read-only medium, say) costs space and does no harm, so there is no
/// error.
pub(super) fn sweep(root: &Root) {
    let Ok(folder) = open_folder(root, STAGING_FOLDER) else {
        return;
    };
    let Ok(entries) = Dir::read_from(&folder) else {
        return;
    };
    for entry in entries.flatten() {
        if let Ok(name) = entry.file_name().to_str()
            && is_staging_name(name)
        {
            sweep_one(folder.as_fd(), name);
        }
    }
}

fn sweep_one(folder: BorrowedFd<'_>, name: &str) {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // The lock is held until the file is gone: a writer that comes to lock it finds that it lost.
    if let Ok(file) = openat(folder, name, flags, Mode::empty())
        && try_lock(&file).is_ok()
    {
        let _ = unlinkat(folder, name, AtFlags::empty());
    }
}

fn try_lock(file: impl AsFd) -> Result<(), Errno> {
    flock(file, FlockOperation::NonBlockingLockExclusive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_spares_what_is_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        let staged = Staged::write(&root, b"bytes").unwrap();
        let path = folder.path().join(STAGING_FOLDER).join(&staged.name);
        assert!(is_staging_name(&staged.name));
        sweep(&root);
        assert!(path.exists());
        drop(staged);
        assert!(!path.exists());
        std::fs::write(&path, "left by a crash").unwrap();
        sweep(&root);
        assert!(!path.exists());
    }

    #[test]
    fn a_sweep_touches_its_own_names_only() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        drop(Staged::write(&root, b"bytes").unwrap());
        let staging = folder.path().join(STAGING_FOLDER);
        for name in ["notes", "1-2", "1-2-x", "1-2-3-4"] {
            std::fs::write(staging.join(name), "not ours").unwrap();
        }
        let target = folder.path().join("target");
        std::fs::write(&target, "not ours").unwrap();
        std::os::unix::fs::symlink(&target, staging.join("1-2-3")).unwrap();
        sweep(&root);
        assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 5);
        assert!(target.exists());
    }
}
