//! Merkle trees over tags, as RFC 6962 section 2.1 defines them.
//!
//! A leaf is `SHA-256(0x00 || tag)`, a node `SHA-256(0x01 || left || right)`, and n > 1 leaves
//! split at the largest power of two below n.
//!
//! # Segments
//! Cut the leaves into segments of 2^m, the last of which may be shorter. Then the root is the
//! same whether it is built over all leaves or over the segments' roots as if they were leaves
//! already hashed ([`root_of_segments`]): while n > 2^m the split point is a power of two that is
//! at least 2^m, hence a multiple of the segment length, so every cut of the recursion falls
//! between segments; and S = ceil(n / 2^m) segments split at the largest power of two below S,
//! which is that same point counted in segments.

use crate::error::Error;
use crate::integrity::Tag;
use sha2::{Digest, Sha256};

/// Bytes of a hash.
const HASH_LEN: usize = 32;
/// Levels of a tree with 2^64 leaves.
const LEVELS: usize = 64;

/// The root of a tree: commits to every tag and to their order and number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Root([u8; HASH_LEN]);

impl Root {
    /// Takes over the bytes of a root.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; HASH_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn into_bytes(self) -> [u8; HASH_LEN] {
        self.0
    }
}

/// Builds a root from tags in order, in constant memory.
#[derive(Clone, Debug)]
pub struct MerkleTree {
    /// The root of a full subtree of 2^level leaves at each level that has one: a binary counter.
    full: [Option<[u8; HASH_LEN]>; LEVELS],
}

impl MerkleTree {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            full: [None; LEVELS],
        }
    }

    /// Adds the next leaf.
    pub fn push_tag(&mut self, tag: &Tag) {
        self.push(leaf(tag));
    }

    /// Carries like an addition: two full subtrees of one size are one of the next.
    fn push(&mut self, hash: [u8; HASH_LEN]) {
        let mut carry = hash;
        for level in &mut self.full {
            match level.take() {
                Some(left) => carry = node(&left, &carry),
                None => {
                    *level = Some(carry);
                    return;
                }
            }
        }
    }

    /// The root; of a tree without leaves it is SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Root {
        let ascending = self.full.iter().flatten();
        let root = ascending.copied().reduce(|right, left| node(&left, &right));
        Root(root.unwrap_or_else(|| Sha256::digest([]).into()))
    }
}

impl Default for MerkleTree {
    fn default() -> Self {
        Self::new()
    }
}

/// The root of the whole tree from the roots of its segments, in order; see the module's text.
#[must_use]
pub fn root_of_segments(roots: impl Iterator<Item = [u8; HASH_LEN]>) -> Root {
    let mut tree = MerkleTree::new();
    roots.for_each(|root| tree.push(root));
    tree.root()
}

/// The root to which `tag` leads as leaf `leaf_index` of `leaf_count` along `path`, the
/// siblings from the leaf upwards (RFC 9162, section 2.1.3.2).
///
/// The shape of the path follows from the two numbers alone; no other is taken.
///
/// # Errors
/// [`Error::InclusionPath`] if no path of this length can lead there.
pub fn root_from_path(
    tag: &Tag,
    leaf_index: u64,
    leaf_count: u64,
    path: &[[u8; HASH_LEN]],
) -> Result<Root, Error> {
    let wrong = Error::InclusionPath {
        leaf_index,
        leaf_count,
        path_len: path.len(),
    };
    if leaf_index >= leaf_count {
        return Err(wrong);
    }
    let (mut at, mut last) = (leaf_index, leaf_count - 1);
    let mut hash = leaf(tag);
    for sibling in path {
        if last == 0 {
            return Err(wrong);
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last == 0 {
        Ok(Root(hash))
    } else {
        Err(wrong)
    }
}

fn leaf(tag: &Tag) -> [u8; HASH_LEN] {
    Sha256::new()
        .chain_update([0])
        .chain_update(tag.as_bytes())
        .finalize()
        .into()
}

fn node(left: &[u8; HASH_LEN], right: &[u8; HASH_LEN]) -> [u8; HASH_LEN] {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}
