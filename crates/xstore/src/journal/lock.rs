//! Files of the journal that exist for as long as somebody holds them.
//!
//! A file is locked by who made it, and the lock ends with the process: what is not locked was left
//! by one that was stopped, and anybody may remove it. So whoever locks a file looks whether it still
//! has its name. A client that works on a hundred thousand objects leaves nothing behind for any.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Tried so often before giving up; a second time is only needed when somebody removes just then.
const ATTEMPT_COUNT_MAX: usize = 16;

/// The right to work on one object; ends when dropped.
#[derive(Debug)]
pub struct ObjectLock {
    path: PathBuf,
    _file: File,
}

impl ObjectLock {
    /// `None` while somebody else holds it.
    pub(super) fn try_take(path: PathBuf) -> io::Result<Option<Self>> {
        for _ in 0..ATTEMPT_COUNT_MAX {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(false);
            let file = open(options, &path)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) if has_name(&file, &path) => {
                    return Ok(Some(Self { path, _file: file }));
                }
                // Who held it removed it before letting go.
                Ok(()) => {}
            }
        }
        Ok(None)
    }
}

impl Drop for ObjectLock {
    fn drop(&mut self) {
        // Before the lock ends, so that nobody else's is removed. What stays is swept.
        let _ = fs::remove_file(&self.path);
    }
}

/// A new private file that is locked already.
pub(super) fn new_locked(path: &Path) -> io::Result<File> {
    for _ in 0..ATTEMPT_COUNT_MAX {
        let _ = fs::remove_file(path);
        let mut options = OpenOptions::new();
        let file = open(options.read(true).write(true).create_new(true), path)?;
        // A sweep may be quicker.
        if file.try_lock().is_ok() && has_name(&file, path) {
            return Ok(file);
        }
    }
    Err(ErrorKind::WouldBlock.into())
}

/// Removes a file that nobody holds. What cannot be removed does no harm.
pub(super) fn sweep(path: &Path) {
    if let Ok(file) = open(OpenOptions::new().write(true), path)
        && file.try_lock().is_ok()
        && has_name(&file, path)
    {
        let _ = fs::remove_file(path);
    }
}

/// Whether `file` is still the one at `path`.
pub(super) fn has_name(file: &File, path: &Path) -> bool {
    let there = fs::symlink_metadata(path).ok();
    let both = there.zip(file.metadata().ok());
    both.is_some_and(|(there, ours)| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // Both are the C type `int`; the crate keeps them unsigned.
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    options.mode(0o600).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path) -> Option<ObjectLock> {
        ObjectLock::try_take(path.to_owned()).unwrap()
    }

    #[test]
    fn a_lock_is_one_s_own_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object.lock");
        let held = take(&path).unwrap();
        assert!(take(&path).is_none());
        sweep(&path);
        assert!(take(&path).is_none(), "what is held is not swept");
        drop(held);
        assert!(!path.exists());
        assert!(take(&path).is_some());
    }

    /// Who opened the file before it was removed must not believe that it holds the lock.
    #[test]
    fn a_lock_without_its_name_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object.lock");
        let held = take(&path).unwrap();
        let early = open(OpenOptions::new().write(true), &path).unwrap();
        drop(held);
        early.try_lock().unwrap();
        assert!(!has_name(&early, &path));
        let again = take(&path).unwrap();
        assert!(!has_name(&early, &path));
        drop(early);
        assert!(take(&path).is_none());
        drop(again);
    }

    #[test]
    fn many_who_take_turns_never_hold_it_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object.lock");
        let holders = std::sync::atomic::AtomicUsize::new(0);
        let relaxed = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Some(held) = take(&path) {
                            assert_eq!(holders.fetch_add(1, relaxed), 0);
                            holders.fetch_sub(1, relaxed);
                            drop(held);
                        }
                        sweep(&path);
                    }
                });
            }
        });
        assert!(!path.exists());
    }
}
