//! `Root`: the folder that everything is reached from.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use super::error::FsError;

/// An open folder, and where it stood when it was opened.
#[derive(Debug)]
pub(super) struct Root {
    handle: File,
    path: PathBuf,
    identity: (u64, u64),
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, FsError> {
        // Absolute, so that a later change of the working directory does not look like a loss.
        let path = std::path::absolute(path).map_err(|_| FsError::RootMissing)?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(CWD, &path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT => FsError::RootMissing,
            Errno::NOTDIR => FsError::RootNotAFolder,
            _ => FsError::at("open the root folder")(errno),
        })?;
        let handle = File::from(handle);
        let metadata = handle.metadata().map_err(|_| FsError::RootMissing)?;
        if replaceable_by_all(metadata.mode()) {
            return Err(FsError::RootWritableByAll);
        }
        Ok(Self {
            handle,
            path,
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    pub(super) const fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Fails unless the folder opened before still stands at its path: an unmounted or deleted
    /// root looks empty through its handle.
    pub(super) fn check_present(&self) -> Result<(), FsError> {
        let metadata = std::fs::metadata(&self.path).map_err(|_| FsError::RootReplaced)?;
        if (metadata.dev(), metadata.ino()) == self.identity {
            Ok(())
        } else {
            Err(FsError::RootReplaced)
        }
    }

    /// Opens the folders called `names`, each inside the one before.
    pub(super) fn open_folders(&self, names: &[String]) -> Result<Folders<'_>, FsError> {
        self.descend(names, |parent, name| open_folder(parent, name))
    }

    /// Like [`Root::open_folders`], but makes the folders that are missing.
    pub(super) fn make_folders(&self, names: &[String]) -> Result<Folders<'_>, FsError> {
        self.descend(names, |parent, name| make_folder(parent, name))
    }

    fn descend(
        &self,
        names: &[String],
        step: impl Fn(BorrowedFd<'_>, &str) -> Result<OwnedFd, FsError>,
    ) -> Result<Folders<'_>, FsError> {
        let mut folders = Folders {
            root: self.as_fd(),
            below: Vec::with_capacity(names.len()),
        };
        for name in names {
            let folder = step(folders.innermost(), name)?;
            folders.below.push(folder);
        }
        Ok(folders)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Open folders from the root down to the one that holds a file.
#[derive(Debug)]
pub(super) struct Folders<'a> {
    root: BorrowedFd<'a>,
    below: Vec<OwnedFd>,
}

impl Folders<'_> {
    pub(super) fn innermost(&self) -> BorrowedFd<'_> {
        self.below.last().map_or(self.root, AsFd::as_fd)
    }

    /// All of them, innermost first, the root last.
    pub(super) fn inside_out(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let below = self.below.iter().rev().map(AsFd::as_fd);
        below.chain([self.root])
    }
}

/// Opens one folder; a symbolic link in its place is refused.
pub(super) fn open_folder(parent: impl AsFd, name: &str) -> Result<OwnedFd, FsError> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty()).map_err(FsError::at("open a folder"))
}

/// Opens one folder, and makes it first when it is missing.
pub(super) fn make_folder(parent: impl AsFd, name: &str) -> Result<OwnedFd, FsError> {
    match open_folder(&parent, name) {
        Err(error) if error.is_missing() => {}
        outcome => return outcome,
    }
    match mkdirat(&parent, name, Mode::RWXU) {
        // Somebody else was quicker, which is as good.
        Ok(()) | Err(Errno::EXIST) => open_folder(&parent, name),
        Err(errno) => Err(FsError::at("make a folder")(errno)),
    }
}

/// Others may write, and no sticky bit keeps them from deleting what is not theirs.
const fn replaceable_by_all(mode: u32) -> bool {
    mode & 0o002 != 0 && mode & 0o1000 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writable_by_all_is_refused_without_the_sticky_bit() {
        for (mode, refused) in [
            (0o700, false),
            (0o775, false),
            (0o777, true),
            (0o702, true),
            (0o1777, false),
        ] {
            assert_eq!(replaceable_by_all(mode), refused, "{mode:o}");
        }
    }
}
