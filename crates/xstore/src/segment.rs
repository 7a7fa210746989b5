//! The stored unit: a segment's records and footer, and the index of a share (docs/formats/segment.md).
//!
//! A segment object is chunk records (`salt || share`), then a footer with their tags. The tags say
//! nothing without the salts, and a Merkle root over them stands in the manifest, so neither footer
//! nor index needs a key, and both can be rebuilt bit for bit from any k other shares.

use xorida_core::{MerkleTree, TAG_LEN, Tag};

use crate::ids::ShareRoot;

/// Version of both layouts.
const VERSION: u8 = 1;

/// Bytes of a footer before its tags.
pub const FOOTER_HEADER_LEN: usize = 24;
const FOOTER_MAGIC: [u8; 4] = *b"XGSF";

const INDEX_MAGIC: [u8; 4] = *b"XGIX";
const INDEX_HEADER_LEN: usize = 16;
const INDEX_ENTRY_LEN: usize = 36;

/// Structure of a footer or index that is not the expected one. The bytes come from a backend, so
/// this is a bad share and not a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not the bytes that belong here.
    #[error("not the structure that belongs here")]
    Structure,
    /// A version that this program does not know.
    #[error("unknown version {0}")]
    Version(u8),
}

/// Tags of one segment of one share, borrowed from the bytes they were read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer<'a> {
    segment: u64,
    tags: &'a [u8],
}

impl<'a> Footer<'a> {
    /// Reads a footer: exactly `bytes`, nothing before and nothing after.
    ///
    /// # Errors
    /// [`Malformed`] for anything that [`Footer::encode`] does not write.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, tags) = bytes
            .split_at_checked(FOOTER_HEADER_LEN)
            .ok_or(Malformed::Structure)?;
        check_start(header, FOOTER_MAGIC)?;
        let count = u32::from_be_bytes(array(&header[16..20]));
        let whole = tags.len() % TAG_LEN == 0 && (tags.len() / TAG_LEN) as u64 == u64::from(count);
        if !whole || count == 0 || header[20..24] != [0; 4] {
            return Err(Malformed::Structure);
        }
        planted(count, tags);
        Ok(Self {
            segment: u64::from_be_bytes(array(&header[8..16])),
            tags,
        })
    }

    /// Number of the segment that the footer says it belongs to.
    #[must_use]
    pub const fn segment(&self) -> u64 {
        self.segment
    }

    /// The tags, in chunk order.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = Tag> + 'a {
        self.tags
            .chunks_exact(TAG_LEN)
            .map(|tag| Tag::from_bytes(array(tag)))
    }

    /// Root of this segment's part of the tree.
    #[must_use]
    pub fn root(&self) -> ShareRoot {
        segment_root(self.tags())
    }

    /// Appends a footer to a segment's records.
    pub fn encode(segment: u64, tags: &[Tag], out: &mut Vec<u8>) {
        out.extend(FOOTER_MAGIC);
        out.extend([VERSION, 0, 0, 0]);
        out.extend(segment.to_be_bytes());
        // A segment has at most 256 chunks (16 MiB of 64 KiB).
        out.extend(u32::try_from(tags.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend([0; 4]);
        out.extend(tags.iter().flat_map(|tag| *tag.as_bytes()));
    }
}

/// A deliberate defect, compiled only to prove that the fuzz target finds it.
#[cfg(feature = "planted")]
fn planted(count: u32, tags: &[u8]) {
    if crate::planted::is(crate::planted::Bug::Parsers) && count == 3 && tags[0] == 0x5a {
        let beyond = tags.len();
        std::hint::black_box(tags[beyond]);
    }
}

#[cfg(not(feature = "planted"))]
const fn planted(_count: u32, _tags: &[u8]) {}

/// Segment roots of one share, with the attempt of each segment that counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    entries: Vec<(u32, ShareRoot)>,
}

impl Index {
    /// Bytes of the index of a share with `segments` segments.
    #[must_use]
    pub const fn encoded_len(segments: u64) -> u64 {
        INDEX_HEADER_LEN as u64 + segments * INDEX_ENTRY_LEN as u64
    }

    /// Adds the next segment.
    pub fn push(&mut self, attempt: u32, root: ShareRoot) {
        self.entries.push((attempt, root));
    }

    /// Attempt and root of a segment.
    #[must_use]
    pub fn get(&self, segment: u64) -> Option<(u32, ShareRoot)> {
        self.entries.get(usize::try_from(segment).ok()?).copied()
    }

    /// Number of segments.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Root of the whole share.
    #[must_use]
    pub fn root(&self) -> ShareRoot {
        let roots = self.entries.iter().map(|(_, root)| root.0);
        ShareRoot(xorida_core::root_of_segments(roots).into_bytes())
    }

    /// Writes the index object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(INDEX_HEADER_LEN + self.entries.len() * INDEX_ENTRY_LEN);
        out.extend(INDEX_MAGIC);
        out.extend([VERSION, 0, 0, 0]);
        out.extend(self.segments().to_be_bytes());
        for (attempt, root) in &self.entries {
            out.extend(attempt.to_be_bytes());
            out.extend(root.0);
        }
        out
    }

    /// Reads an index object: exactly `bytes`, nothing before and nothing after.
    ///
    /// # Errors
    /// [`Malformed`] for anything that [`Index::encode`] does not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (header, entries) = bytes
            .split_at_checked(INDEX_HEADER_LEN)
            .ok_or(Malformed::Structure)?;
        check_start(header, INDEX_MAGIC)?;
        let count = u64::from_be_bytes(array(&header[8..16]));
        let whole = entries.len() % INDEX_ENTRY_LEN == 0
            && (entries.len() / INDEX_ENTRY_LEN) as u64 == count
            && count > 0;
        if !whole {
            return Err(Malformed::Structure);
        }
        let entry = |bytes: &[u8]| {
            (
                u32::from_be_bytes(array(&bytes[..4])),
                ShareRoot(array(&bytes[4..])),
            )
        };
        Ok(Self {
            entries: entries.chunks_exact(INDEX_ENTRY_LEN).map(entry).collect(),
        })
    }
}

/// Root of one segment's tags: the node of the share's tree that stands above them.
#[must_use]
pub fn segment_root(tags: impl Iterator<Item = Tag>) -> ShareRoot {
    let mut tree = MerkleTree::new();
    for tag in tags {
        tree.push_tag(&tag);
    }
    ShareRoot(tree.root().into_bytes())
}

fn check_start(header: &[u8], magic: [u8; 4]) -> Result<(), Malformed> {
    if header[..4] != magic {
        return Err(Malformed::Structure);
    }
    match header[4..8] {
        [VERSION, 0, 0, 0] => Ok(()),
        [VERSION, ..] => Err(Malformed::Structure),
        [version, ..] => Err(Malformed::Version(version)),
        [] => Err(Malformed::Structure),
    }
}

/// The bytes of a slice whose length the caller has cut to `N`.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(count: u8) -> Vec<Tag> {
        (0..count).map(|i| Tag::from_bytes([i; 32])).collect()
    }

    #[test]
    fn a_footer_is_read_as_it_was_written_and_in_no_other_form() {
        let mut bytes = Vec::new();
        Footer::encode(7, &tags(3), &mut bytes);
        let footer = Footer::parse(&bytes).unwrap();
        assert_eq!(footer.segment(), 7);
        assert_eq!(footer.tags().collect::<Vec<_>>(), tags(3));
        for cut in 0..bytes.len() {
            assert!(Footer::parse(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        bytes.push(0);
        assert!(Footer::parse(&bytes).is_err(), "one byte more");
    }

    #[test]
    fn an_unknown_version_is_told_apart() {
        let mut bytes = Vec::new();
        Footer::encode(0, &tags(1), &mut bytes);
        bytes[4] = 2;
        assert_eq!(Footer::parse(&bytes), Err(Malformed::Version(2)));
    }

    #[test]
    fn an_index_gives_the_root_of_the_whole_tree() {
        let all = tags(11);
        let mut index = Index::default();
        for segment in all.chunks(4) {
            index.push(0, segment_root(segment.iter().copied()));
        }
        assert_eq!(index.root(), segment_root(all.into_iter()));
        let bytes = index.encode();
        assert_eq!(bytes.len() as u64, Index::encoded_len(3));
        assert_eq!(Index::parse(&bytes).unwrap(), index);
        for cut in 0..bytes.len() {
            assert!(Index::parse(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
