//! `list`: a walk through the folders in the order of keys.

use std::vec;

use xstore::{BackendError, BackendErrorKind, ListPage, ObjectKey};

use super::{Item, ItemKind, Tree, child, is_missing};
use crate::layout::{Entry, EntryKind};

/// Most keys on one page.
const PAGE_KEY_COUNT_MAX: usize = 1000;

/// One page of the keys under `prefix` after `cursor`, which is the last key of the page before.
///
/// Names that no key has are passed over. Something else than a file or folder under the name of
/// one is an error, because a listing without it would look complete.
pub(super) async fn page<T: Tree>(
    tree: &T,
    prefix: &str,
    cursor: Option<&str>,
) -> Result<ListPage, BackendError> {
    let walk = Walk {
        tree,
        prefix,
        cursor,
    };
    let mut keys = walk.first_keys().await?;
    let is_last = keys.len() <= PAGE_KEY_COUNT_MAX;
    keys.truncate(PAGE_KEY_COUNT_MAX);
    let next = match keys.last() {
        Some(last) if !is_last => Some(last.to_string()),
        _ => None,
    };
    Ok(ListPage { keys, next })
}

struct Walk<'a, T> {
    tree: &'a T,
    prefix: &'a str,
    cursor: Option<&'a str>,
}

/// A folder that is walked through.
struct Level {
    path: String,
    /// What all keys below start with.
    base: String,
    /// What is to come, in the order of keys.
    entries: vec::IntoIter<Entry>,
}

impl<T: Tree> Walk<'_, T> {
    /// The first keys that are looked for: one more than a page holds, or all.
    async fn first_keys(&self) -> Result<Vec<ObjectKey>, BackendError> {
        let mut keys = Vec::new();
        let mut levels = vec![self.level(String::new(), String::new()).await?];
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.next() else {
                levels.pop();
                continue;
            };
            let text = entry.key_text(&level.base);
            match entry.kind() {
                EntryKind::Object => keys.extend(ObjectKey::try_new(&text)),
                EntryKind::Segment | EntryKind::Continued => {
                    let path = child(&level.path, &entry.name());
                    levels.push(self.level(path, text).await?);
                }
            }
            if keys.len() > PAGE_KEY_COUNT_MAX {
                break;
            }
        }
        Ok(keys)
    }

    async fn level(&self, path: String, base: String) -> Result<Level, BackendError> {
        let rest = self.prefix.strip_prefix(&*base).unwrap_or_default();
        let entries = match rest.split_once('/') {
            // Straight to the one entry that all keys are below, however many there are beside it.
            Some((segment, _)) => Entry::leading_to(segment).into_iter().collect(),
            None => self.entries(&path, &base).await?,
        };
        Ok(Level {
            path,
            base,
            entries: entries.into_iter(),
        })
    }

    async fn entries(&self, path: &str, base: &str) -> Result<Vec<Entry>, BackendError> {
        let items = match self.tree.items(path).await {
            // Its last object was deleted meanwhile, or there is nothing under this prefix.
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            items => items?,
        };
        let mut entries = Vec::new();
        for item in items {
            let Some(entry) = Entry::parse(&item.name) else {
                continue;
            };
            if self.wants(&entry, base) && self.is_part_of_key(&entry, &item)? {
                entries.push(entry);
            }
        }
        entries.sort_unstable();
        Ok(entries)
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

    /// Whether what stands under the name of an entry is what it has to be.
    fn is_part_of_key(&self, entry: &Entry, item: &Item) -> Result<bool, BackendError> {
        match (entry.kind(), item.kind) {
            (EntryKind::Object, ItemKind::File)
            | (EntryKind::Segment | EntryKind::Continued, ItemKind::Folder) => Ok(true),
            // A plain file without the suffix is somebody's note, and hides no object.
            (EntryKind::Segment, ItemKind::File) => Ok(false),
            _ => {
                let why = "something that is neither a file nor a folder has the name of one";
                let kind = BackendErrorKind::Unavailable;
                Err(BackendError::with_source(kind, self.tree.id(), why))
            }
        }
    }
}
