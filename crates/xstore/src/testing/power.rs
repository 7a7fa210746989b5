//! A power cut: names that were made in a folder since it was last synced are gone.
//!
//! A file system may keep a file and forget its name until the folder is synced, and no test on a
//! machine that stays up can see that. So a folder that is watched notes its names at each sync, and
//! a cut removes all others. Each thread watches its own folders.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

type Names = BTreeSet<OsString>;

thread_local! {
    static DURABLE: RefCell<BTreeMap<PathBuf, Names>> = const { RefCell::new(BTreeMap::new()) };
}

/// A folder that is watched for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Watched(PathBuf);

impl Watched {
    /// Watches `folder`, which need not exist; no name in it is durable yet.
    pub(crate) fn new(folder: &Path) -> Self {
        DURABLE.with_borrow_mut(|durable| durable.insert(folder.to_owned(), Names::new()));
        Self(folder.to_owned())
    }

    /// Forgets what a power cut forgets.
    pub(crate) fn cut(&self) {
        DURABLE.with_borrow(|durable| {
            let kept = durable.get(&self.0);
            for name in names(&self.0) {
                if !kept.is_some_and(|kept| kept.contains(&name)) {
                    // It is a file of a journal; whatever else there is stays.
                    let _ = std::fs::remove_file(self.0.join(name));
                }
            }
        });
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        DURABLE.with_borrow_mut(|durable| durable.remove(&self.0));
    }
}

/// `folder` was synced: the names that are in it now outlive a power cut.
pub(crate) fn synced(folder: &Path) {
    DURABLE.with_borrow_mut(|durable| {
        if let Some(kept) = durable.get_mut(folder) {
            *kept = names(folder);
        }
    });
}

fn names(folder: &Path) -> Names {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_synced_is_gone_after_a_cut() {
        let folder = tempfile::tempdir().unwrap();
        let watched = Watched::new(folder.path());
        std::fs::write(folder.path().join("kept"), "").unwrap();
        synced(folder.path());
        std::fs::write(folder.path().join("lost"), "").unwrap();
        watched.cut();
        assert_eq!(names(folder.path()), Names::from(["kept".into()]));
    }
}
