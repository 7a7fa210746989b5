//! `list`: a walk through the folders in the order of keys.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, FileType, statat};
use rustix::io::Errno;
use xstore::{ListPage, ObjectKey};

use super::error::FsError;
use super::root::{Root, open_folder};
use crate::layout::{Entry, EntryKind};

/// Most keys on one page.
const PAGE_KEY_COUNT_MAX: usize = 1000;

/// One page of the keys under `prefix` after `cursor`, which is the last key of the page before.
///
/// Names that no key has are passed over. Something else than a file or folder under the name of
/// one is an error, because a listing without it would look complete.
pub(super) fn list(root: &Root, prefix: &str, cursor: Option<&str>) -> Result<ListPage, FsError> {
    let mut walk = Walk {
        prefix,
        cursor,
        keys: Vec::new(),
    };
    walk.folder(root.as_fd(), "")?;
    root.check_present()?;
    let mut keys = walk.keys;
    let is_last = keys.len() <= PAGE_KEY_COUNT_MAX;
    keys.truncate(PAGE_KEY_COUNT_MAX);
    let next = match keys.last() {
        Some(last) if !is_last => Some(last.to_string()),
        _ => None,
    };
    Ok(ListPage { keys, next })
}

struct Walk<'a> {
    prefix: &'a str,
    cursor: Option<&'a str>,
    /// Found so far; the walk ends with one more than a page holds.
    keys: Vec<ObjectKey>,
}

impl<'a> Walk<'a> {
    /// Goes through one folder, whose keys all start with `base`.
    fn folder(&mut self, folder: BorrowedFd<'_>, base: &str) -> Result<(), FsError> {
        if let Some((segment, _)) = self.rest(base).split_once('/') {
            return self.segment(folder, base, segment);
        }
        let mut last = None;
        loop {
            let entries = self.entries_after(folder, base, last.as_ref())?;
            for entry in &entries {
                if self.keys.len() > PAGE_KEY_COUNT_MAX {
                    return Ok(());
                }
                let text = entry.key_text(base);
                match entry.kind() {
                    EntryKind::Object => self.keys.extend(ObjectKey::try_new(&text)),
                    EntryKind::Segment | EntryKind::Continued => {
                        self.subfolder(folder, entry, &text)?;
                    }
                }
            }
            if entries.len() <= PAGE_KEY_COUNT_MAX {
                return Ok(());
            }
            last = entries.into_iter().next_back();
        }
    }

    /// What of the prefix is below a folder.
    fn rest(&self, base: &str) -> &'a str {
        self.prefix.strip_prefix(base).unwrap_or_default()
    }

    /// Goes straight to the one entry that all keys are below, however many there are beside it.
    fn segment(
        &mut self,
        folder: BorrowedFd<'_>,
        base: &str,
        segment: &str,
    ) -> Result<(), FsError> {
        let Some(entry) = Entry::leading_to(segment) else {
            return Ok(());
        };
        let text = entry.key_text(base);
        let step = FsError::at("read a folder");
        match statat(folder, entry.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(step(errno)),
            Ok(stat) if is_part_of_key(&entry, FileType::from_raw_mode(stat.st_mode))? => {
                self.subfolder(folder, &entry, &text)
            }
            Ok(_) => Ok(()),
        }
    }

    fn subfolder(
        &mut self,
        parent: BorrowedFd<'_>,
        entry: &Entry,
        base: &str,
    ) -> Result<(), FsError> {
        if !self.may_hold_keys(base) {
            return Ok(());
        }
        let walked =
            open_folder(parent, &entry.name()).and_then(|folder| self.folder(folder.as_fd(), base));
        match walked {
            // Its last object was deleted meanwhile.
            Err(error) if error.is_missing() => Ok(()),
            outcome => outcome,
        }
    }

    /// The first entries of a folder after `last`, in the order of keys, of which keys are wanted: one
    /// more than a page holds, or all. Memory is that of a page, however many entries there are.
    fn entries_after(
        &self,
        folder: BorrowedFd<'_>,
        base: &str,
        last: Option<&Entry>,
    ) -> Result<BTreeSet<Entry>, FsError> {
        let step = FsError::at("read a folder");
        let mut found = BTreeSet::new();
        for item in Dir::read_from(folder).map_err(&step)? {
            let item = item.map_err(&step)?;
            let name = item.file_name();
            let Some(entry) = name.to_str().ok().and_then(Entry::parse) else {
                continue;
            };
            let is_behind = found.len() > PAGE_KEY_COUNT_MAX && Some(&entry) > found.last();
            if is_behind || Some(&entry) <= last || !self.wants(&entry, base) {
                continue;
            }
            let file_type = match item.file_type() {
                // Some file systems do not tell in the folder.
                FileType::Unknown => match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(Errno::NOENT) => continue,
                    Err(errno) => return Err(step(errno)),
                },
                known => known,
            };
            if is_part_of_key(&entry, file_type)? {
                found.insert(entry);
            }
            if found.len() > PAGE_KEY_COUNT_MAX + 1 {
                found.pop_last();
            }
        }
        Ok(found)
    }

    fn wants(&self, entry: &Entry, base: &str) -> bool {
        let text = entry.key_text(base);
        match entry.kind() {
            EntryKind::Object => {
                let is_ahead = self.cursor.is_none_or(|last| text.as_str() > last);
                text.starts_with(self.prefix) && is_ahead
            }
            EntryKind::Segment | EntryKind::Continued => self.may_hold_keys(&text),
        }
    }

    /// Whether a key that starts with `base` can be one that is looked for.
    fn may_hold_keys(&self, base: &str) -> bool {
        let has_prefix = base.starts_with(self.prefix) || self.prefix.starts_with(base);
        let is_ahead = self
            .cursor
            .is_none_or(|last| base > last || last.starts_with(base));
        // Folders planted deeper than any key are not followed down.
        has_prefix && is_ahead && base.len() < ObjectKey::MAX_LEN
    }
}

/// Whether what stands under the name of an entry is what it has to be.
fn is_part_of_key(entry: &Entry, file_type: FileType) -> Result<bool, FsError> {
    match (entry.kind(), file_type) {
        (EntryKind::Object, FileType::RegularFile)
        | (EntryKind::Segment | EntryKind::Continued, FileType::Directory) => Ok(true),
        // A plain file without the suffix is somebody's note, and hides no object.
        (EntryKind::Segment, FileType::RegularFile) => Ok(false),
        _ => Err(FsError::Foreign),
    }
}
