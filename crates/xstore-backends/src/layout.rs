//! Which file holds which object, and back.
//!
//! The object `a/b` is the file `b.obj` in the folder `a`. The suffix keeps `a` and `a/b` apart,
//! which both may be objects. File systems end names at 255 bytes, so a longer segment is cut: its
//! pieces but the last are folders with `+` behind the piece. The names used are the pieces of a
//! key and these two suffixes only, so no key can name `..`, `.tmp` or anything outside.
//!
//! Objects that are not whole yet lie in the folder `.tmp`, under names that tell them from anything
//! that somebody else put there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use xstore::ObjectKey;

/// Folder of the root, which no key can name.
pub(crate) const STAGING_FOLDER: &str = ".tmp";

/// Length at which segments are cut; with a suffix it stays below the 255 bytes of file systems.
const PIECE_LEN_BYTES: usize = 200;
const OBJECT_SUFFIX: &str = ".obj";
const CONTINUED_SUFFIX: &str = "+";

/// The path of an object, relative to the root.
///
/// [`ObjectKey::try_new`] is the only parser of outside text in front of it: any text becomes a
/// path through these two, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectPath {
    /// Names of the folders, outermost first.
    pub folders: Vec<String>,
    /// Name of the file in the last of them.
    pub file: String,
}

impl ObjectPath {
    /// The one path of `key`; different keys have different paths.
    #[must_use]
    pub fn new(key: &ObjectKey) -> Self {
        let mut folders = Vec::new();
        let mut segments = key.as_str().split('/');
        let mut segment = segments.next().unwrap_or_default();
        loop {
            while segment.len() > PIECE_LEN_BYTES {
                // Keys are ASCII, so every offset is the border of a character.
                let (piece, rest) = segment.split_at(PIECE_LEN_BYTES);
                folders.push([piece, CONTINUED_SUFFIX].concat());
                segment = rest;
            }
            let Some(following) = segments.next() else {
                let file = [segment, OBJECT_SUFFIX].concat();
                return Self { folders, file };
            };
            folders.push(segment.to_owned());
            segment = following;
        }
    }
}

/// A name in a folder that is part of the path of keys.
///
/// The order of entries is the order of the keys below them: the key `a`, then those that start
/// with `a/`, then the longer names that start with `a`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    piece: String,
    kind: EntryKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryKind {
    /// A file: the object whose key ends here.
    Object,
    /// A folder: the segment ends here.
    Segment,
    /// A folder: the segment goes on.
    Continued,
}

impl Entry {
    /// `None` for names that [`ObjectPath::new`] never makes.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (piece, kind) = if let Some(piece) = name.strip_suffix(OBJECT_SUFFIX) {
            (piece, EntryKind::Object)
        } else if let Some(piece) = name.strip_suffix(CONTINUED_SUFFIX) {
            (piece, EntryKind::Continued)
        } else {
            (name, EntryKind::Segment)
        };
        let len_ok = match kind {
            EntryKind::Continued => piece.len() == PIECE_LEN_BYTES,
            EntryKind::Object | EntryKind::Segment => piece.len() <= PIECE_LEN_BYTES,
        };
        let is_piece = len_ok && !piece.contains('/') && ObjectKey::try_new(piece).is_some();
        is_piece.then(|| Self {
            piece: piece.to_owned(),
            kind,
        })
    }

    /// The one entry below which all keys are that go on with `segment` and a `/`; `None` when none do.
    pub(crate) fn leading_to(segment: &str) -> Option<Self> {
        let (piece, kind) = match segment.get(..PIECE_LEN_BYTES) {
            Some(piece) if piece.len() < segment.len() => (piece, EntryKind::Continued),
            _ => (segment, EntryKind::Segment),
        };
        ObjectKey::try_new(piece).map(|_| Self {
            piece: piece.to_owned(),
            kind,
        })
    }

    pub(crate) const fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Name in the file system.
    pub(crate) fn name(&self) -> String {
        let suffix = match self.kind {
            EntryKind::Object => OBJECT_SUFFIX,
            EntryKind::Segment => "",
            EntryKind::Continued => CONTINUED_SUFFIX,
        };
        [&self.piece, suffix].concat()
    }

    /// The key, or the common start of the keys below, when the keys of this folder start with
    /// `base`.
    pub(crate) fn key_text(&self, base: &str) -> String {
        let end = match self.kind {
            EntryKind::Segment => "/",
            EntryKind::Object | EntryKind::Continued => "",
        };
        [base, &self.piece, end].concat()
    }
}

/// A name that no other writer uses: the exclusive create refuses it if one does after all.
pub(crate) fn fresh_staging_name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!("{process:x}-{count:x}-{nanos:x}")
}

pub(crate) fn is_staging_name(name: &str) -> bool {
    let is_hex = |part: &str| u128::from_str_radix(part, 16).is_ok();
    name.split('-').count() == 3 && name.split('-').all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(key: &str) -> String {
        let path = ObjectPath::new(&ObjectKey::try_new(key).unwrap());
        let mut names = path.folders;
        names.push(path.file);
        names.join("/")
    }

    #[test]
    fn keys_become_folders_and_a_file() {
        assert_eq!(path("a"), "a.obj");
        assert_eq!(path("a/b/0"), "a/b/0.obj");
        let piece = "x".repeat(PIECE_LEN_BYTES);
        assert_eq!(path(&piece), format!("{piece}.obj"));
        assert_eq!(path(&format!("{piece}y")), format!("{piece}+/y.obj"));
        let long = format!("a/{piece}{piece}y/b");
        assert_eq!(path(&long), format!("a/{piece}+/{piece}+/y/b.obj"));
    }

    #[test]
    fn names_lead_back_to_the_key() {
        let piece = "x".repeat(PIECE_LEN_BYTES);
        for key in ["a", "a/b/0", &piece, &format!("q/{piece}{piece}1/z")] {
            let names = path(key);
            let text = names.split('/').fold(String::new(), |base, name| {
                let entry = Entry::parse(name).unwrap();
                assert_eq!(entry.name(), name);
                entry.key_text(&base)
            });
            assert_eq!(text, key);
        }
    }

    #[test]
    fn a_segment_leads_to_its_first_folder() {
        let piece = "x".repeat(PIECE_LEN_BYTES);
        let name = |segment: &str| Entry::leading_to(segment).map(|entry| entry.name());
        for segment in ["a", "0f", &piece] {
            assert_eq!(name(segment).unwrap(), *segment);
        }
        assert_eq!(name(&format!("{piece}y")).unwrap(), format!("{piece}+"));
        for segment in ["", ".", "..", ".tmp", "a.obj", "a+", "A", "\u{e9}"] {
            assert_eq!(name(segment), None, "{segment:?}");
        }
    }

    #[test]
    fn foreign_names_are_no_entries() {
        let long = "x".repeat(PIECE_LEN_BYTES + 1);
        for name in [
            "",
            ".",
            "..",
            ".tmp",
            ".obj",
            "+",
            "a+",
            "A",
            "a.obj.obj",
            "a.txt",
            "a b",
            "a/b",
            "a/b.obj",
            "é.obj",
            &long,
            &format!("{long}.obj"),
            &format!("{long}+"),
        ] {
            assert_eq!(Entry::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn fresh_names_differ_and_are_known_again() {
        let (one, two) = (fresh_staging_name(), fresh_staging_name());
        assert_ne!(one, two);
        assert!(is_staging_name(&one) && is_staging_name(&two));
        for name in ["notes", "1-2", "1-2-x", "1-2-3-4", "--"] {
            assert!(!is_staging_name(name), "{name}");
        }
    }

    #[test]
    fn entries_sort_as_their_keys_do() {
        let piece = "x".repeat(PIECE_LEN_BYTES);
        let names = [
            "a.obj".to_owned(),
            "a".to_owned(),
            "a0.obj".to_owned(),
            "ab".to_owned(),
            format!("{piece}.obj"),
            piece.clone(),
            format!("{piece}+"),
            "y".to_owned(),
        ];
        let entries: Vec<_> = names.iter().map(|n| Entry::parse(n).unwrap()).collect();
        assert!(entries.is_sorted());
    }
}
