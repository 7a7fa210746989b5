//! Making bytes and names outlive a power cut.

use std::os::fd::AsFd;

use rustix::fs::fsync;
use rustix::io::Errno;

use super::error::FsError;

/// Makes the bytes of a file durable.
pub(super) fn sync_file(file: impl AsFd) -> Result<(), Errno> {
    fsync(&file)?;
    #[cfg(test)]
    tests::synced(file.as_fd());
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: impl AsFd) -> Result<(), FsError> {
    fsync(&folder).map_err(FsError::at("sync a folder"))?;
    #[cfg(test)]
    tests::synced(folder.as_fd());
    Ok(())
}

/// No machine that stays up shows what a power cut takes. So each sync notes what it made durable,
/// and after an operation that must be all there is.
#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::os::fd::BorrowedFd;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use rustix::fs::{Dir, FileType, fstat};
    use xstore::{ObjectKey, Put};

    use super::super::root::Root;
    use super::super::{delete, write};
    use crate::layout::ObjectPath;

    /// What the last sync of a file or folder saw.
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Durable {
        Len(u64),
        Names(BTreeSet<String>),
    }

    thread_local! {
        static DURABLE: RefCell<BTreeMap<u64, Durable>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) fn synced(handle: BorrowedFd<'_>) {
        let stat = fstat(handle).unwrap();
        let durable = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let names = Dir::read_from(handle).unwrap();
                let names =
                    names.map(|name| name.unwrap().file_name().to_str().unwrap().to_owned());
                Durable::Names(names.filter(|name| !name.starts_with('.')).collect())
            }
            _ => Durable::Len(u64::try_from(stat.st_size).unwrap()),
        };
        DURABLE.with_borrow_mut(|all| all.insert(stat.st_ino, durable));
    }

    fn durable(path: &Path) -> Option<Durable> {
        let inode = fs::metadata(path).unwrap().ino();
        DURABLE.with_borrow(|all| all.get(&inode).cloned())
    }

    fn names(names: &[&str]) -> Option<Durable> {
        let names = names.iter().map(|name| (*name).to_owned());
        Some(Durable::Names(names.collect()))
    }

    #[test]
    fn a_put_that_ends_outlives_a_power_cut_and_so_does_a_removal() {
        let folder = tempfile::tempdir().unwrap();
        let (root, at) = (Root::open(folder.path()).unwrap(), folder.path());
        let path = ObjectPath::new(&ObjectKey::try_new("a/b/c").unwrap());
        for expected in [Put::Created, Put::AlreadyExists] {
            assert_eq!(write::put_new(&root, &path, b"bytes").unwrap(), expected);
            assert_eq!(durable(at), names(&["a"]));
            assert_eq!(durable(&at.join("a")), names(&["b"]));
            assert_eq!(durable(&at.join("a/b")), names(&["c.obj"]));
            if expected == Put::Created {
                assert_eq!(durable(&at.join("a/b/c.obj")), Some(Durable::Len(5)));
            }
            // Whoever found it there cannot know whether its maker came to sync it.
            DURABLE.take();
        }
        let beside = ObjectPath::new(&ObjectKey::try_new("a/b/d").unwrap());
        write::put_new(&root, &beside, b"bytes").unwrap();
        delete::delete(&root, &[path]).unwrap();
        assert_eq!(durable(&at.join("a/b")), names(&["d.obj"]));
    }
}
