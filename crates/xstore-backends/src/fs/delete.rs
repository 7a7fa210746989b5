//! `delete`: unlink, sync, and take away the folders that are empty then.

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use super::error::FsError;
use super::root::{Folders, Root};
use super::sync::sync_folder;
use crate::layout::ObjectPath;

pub(super) fn delete(root: &Root, paths: &[ObjectPath]) -> Result<(), FsError> {
    for path in paths {
        match delete_one(root, path) {
            Err(error) if error.is_missing() => {}
            outcome => outcome?,
        }
    }
    // What is missing counts as deleted only while the root is there.
    root.check_present()
}

fn delete_one(root: &Root, path: &ObjectPath) -> Result<(), FsError> {
    let folders = root.open_folders(&path.folders)?;
    let folder = folders.innermost();
    unlinkat(folder, &path.file, AtFlags::empty()).map_err(FsError::at("delete the object"))?;
    sync_folder(folder)?;
    remove_empty(&folders, path)
}

/// Removes the folders that held the object from the inside out, until one is in use.
///
/// A put that is about to use such a folder makes it again. These removals need no sync: an empty
/// folder that comes back after a crash holds no object.
fn remove_empty(folders: &Folders<'_>, path: &ObjectPath) -> Result<(), FsError> {
    let parents = folders.inside_out().skip(1);
    for (parent, name) in parents.zip(path.folders.iter().rev()) {
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => break,
            Err(errno) => return Err(FsError::at("remove an empty folder")(errno)),
        }
    }
    Ok(())
}
