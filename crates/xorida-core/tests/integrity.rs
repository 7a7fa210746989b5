//! Tags, trees and share files against plain implementations, and against every change.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

use core::convert::Infallible;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;
use sha2::{Digest, Sha256};
use xorida_core::error::Malformed;
use xorida_core::{
    AccessStructure, Error, Kind, MerkleTree, Mode, Padding, Salt, Seed, ShareContext, ShareFile,
    ShareIndex, Suffix, Tag, VerifiedShare, combine_files, deal_files, root_from_path,
    root_of_segments, verify,
};

fn access() -> AccessStructure {
    AccessStructure::try_new(2, 3).unwrap()
}

fn context() -> ShareContext {
    ShareContext {
        mode: Mode::Perfect,
        kind: Kind::Data,
        padding: Padding::Padme,
        suffix: Suffix::Seed,
        access: access(),
        chunk_len: 0x0020_0000,
        chunks_per_segment: 8,
        object_id: [0xa1; 32],
        put_id: [0xb2; 32],
        chunk: 0x0102_0304_0506_0708,
        share_len: 5,
    }
}

fn index(i: u8) -> ShareIndex {
    ShareIndex::try_new(i, access()).unwrap()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[test]
fn the_context_is_the_documented_block() {
    let mut expected = Vec::from(*b"xgene/share/tag\0");
    expected.extend([1, 1, 0, 0, 1, 0, 2, 3, 2, 0, 0, 0]);
    expected.extend([0, 0x20, 0, 0, 0, 0, 0, 8]);
    expected.extend([0xa1; 32]);
    expected.extend([0xb2; 32]);
    expected.extend([1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 5]);
    expected.extend([0; 16]);
    assert_eq!(context().encode(index(2)).as_slice(), expected);
    let trailer = ShareContext {
        kind: Kind::Trailer,
        ..context()
    };
    assert_eq!(trailer.encode(index(2))[25], 1, "the trailer is last");
}

#[test]
fn salts_and_tags_are_plain_hmac() {
    let salt = Seed::from_bytes([9; 32]).salt(index(2));
    assert_eq!(*salt.expose(), hmac(&[9; 32], &[b"xgene/salt/1", &[0, 2]]));
    let tag = salt.tag(&context(), index(2), b"share");
    assert_eq!(
        *tag.as_bytes(),
        hmac(salt.expose(), &[&context().encode(index(2)), b"share"])
    );
}

#[test]
fn the_sealing_key_is_plain_hmac_and_no_salt() {
    let seed = Seed::from_bytes([9; 32]);
    let key = seed.sealing_key();
    assert_eq!(*key, hmac(&[9; 32], &[b"xgene/seal/1"]));
    assert!((0..3).all(|i| *seed.salt(index(i)).expose() != *key));
}

/// No name of a mode claims more secrecy than it gives.
#[test]
fn modes_say_what_they_are() {
    assert_eq!(Mode::default(), Mode::Perfect);
    assert_eq!(Mode::Perfect.to_string(), "perfect");
    assert_eq!(Mode::Short.to_string(), "short (computational)");
}

#[test]
fn parts_of_a_verified_share_are_its_bytes() {
    let share = VerifiedShare::assume_authentic(index(1), b"shard and share");
    let (first, rest) = share.split_at(5).unwrap();
    assert_eq!(
        (first.bytes(), rest.bytes()),
        (&b"shard"[..], &b" and share"[..])
    );
    assert_eq!((first.index(), rest.index()), (index(1), index(1)));
    assert!(share.split_at(15).is_some() && share.split_at(16).is_none());
}

#[test]
fn any_other_context_index_salt_or_share_fails() {
    let salt = Salt::from_bytes([3; 32]);
    let tag = salt.tag(&context(), index(1), b"share");
    assert!(verify(&context(), index(1), &salt, b"share", &tag).is_ok());
    let base = context();
    let others = [
        ShareContext {
            mode: Mode::Short,
            ..base
        },
        ShareContext {
            kind: Kind::Trailer,
            ..base
        },
        ShareContext {
            padding: Padding::None,
            ..base
        },
        ShareContext {
            access: AccessStructure::try_new(2, 4).unwrap(),
            ..base
        },
        ShareContext {
            access: AccessStructure::try_new(3, 3).unwrap(),
            ..base
        },
        ShareContext {
            chunk_len: 1,
            ..base
        },
        ShareContext {
            chunks_per_segment: 1,
            ..base
        },
        ShareContext {
            object_id: [0; 32],
            ..base
        },
        ShareContext {
            put_id: [0; 32],
            ..base
        },
        ShareContext { chunk: 0, ..base },
        ShareContext {
            share_len: 4,
            ..base
        },
    ];
    for other in others {
        assert!(
            verify(&other, index(1), &salt, b"share", &tag).is_err(),
            "{other:?}"
        );
    }
    assert!(verify(&base, index(0), &salt, b"share", &tag).is_err());
    assert!(verify(&base, index(1), &Salt::from_bytes([4; 32]), b"share", &tag).is_err());
    assert!(verify(&base, index(1), &salt, b"shard", &tag).is_err());
    assert!(verify(&base, index(1), &salt, b"shar", &tag).is_err());
}

/// RFC 6962 section 2.1, as it is written there.
fn merkle_tree_hash(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return *leaf;
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let (left, right) = (merkle_tree_hash(left), merkle_tree_hash(right));
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

fn tags(count: usize) -> Vec<Tag> {
    (0..count)
        .map(|i| Tag::from_bytes(Sha256::digest(i.to_be_bytes()).into()))
        .collect()
}

fn leaf(tag: &Tag) -> [u8; 32] {
    Sha256::new()
        .chain_update([0])
        .chain_update(tag.as_bytes())
        .finalize()
        .into()
}

fn root(tags: &[Tag]) -> [u8; 32] {
    let mut tree = MerkleTree::new();
    tags.iter().for_each(|tag| tree.push_tag(tag));
    tree.root().into_bytes()
}

/// RFC 9162 section 2.1.3.1.
fn path(at: usize, leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let (mut below, sibling) = if at < split {
        (path(at, left), right)
    } else {
        (path(at - split, right), left)
    };
    below.push(merkle_tree_hash(sibling));
    below
}

#[test]
fn roots_and_paths_are_those_of_the_rfc() {
    for count in 1..=70 {
        let tags = tags(count);
        let leaves: Vec<_> = tags.iter().map(leaf).collect();
        let expected = merkle_tree_hash(&leaves);
        assert_eq!(root(&tags), expected, "{count} leaves");
        for (at, tag) in tags.iter().enumerate() {
            let path = path(at, &leaves);
            let found = |count: usize, path: &[[u8; 32]]| {
                root_from_path(tag, at as u64, count as u64, path).map(|r| r.into_bytes())
            };
            assert_eq!(found(count, &path), Ok(expected), "leaf {at} of {count}");
            let longer = [path.as_slice(), &[[0; 32]]].concat();
            assert!(
                found(count, &longer).is_err(),
                "a path of another shape is refused"
            );
            if let Some((_, shorter)) = path.split_last() {
                assert!(found(count, shorter).is_err());
            }
        }
        assert!(root_from_path(&tags[0], count as u64, count as u64, &[]).is_err());
    }
}

proptest! {
    #[test]
    fn segment_roots_give_the_root_of_the_whole_tree(count in 1usize..600, log2 in 0u32..9) {
        let tags = tags(count);
        let segments = tags.chunks(1 << log2).map(root);
        prop_assert_eq!(root_of_segments(segments).into_bytes(), root(&tags));
    }

    #[test]
    fn share_files_of_any_bytes_do_not_panic(bytes: Vec<u8>) {
        let _ = ShareFile::parse(&bytes);
    }
}

fn files() -> Vec<Vec<u8>> {
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let files = deal_files(access(), b"root key", &mut rng).unwrap();
    files.iter().map(|file| file.to_vec()).collect()
}

#[test]
fn any_two_share_files_give_the_secret() {
    let files = files();
    let parse = |i: usize| ShareFile::parse(&files[i]).unwrap();
    for pair in [[0, 1], [0, 2], [2, 1]] {
        let parsed = pair.map(parse);
        assert_eq!(combine_files(&parsed).unwrap().as_slice(), b"root key");
    }
    let all = [parse(0), parse(1), parse(2)];
    assert_eq!(combine_files(&all).unwrap().as_slice(), b"root key");
    assert!(matches!(
        combine_files(&[parse(0)]),
        Err(Error::TooFewShares { .. })
    ));
    assert!(matches!(
        combine_files(&[parse(0), parse(0)]),
        Err(Error::DuplicateIndex { .. })
    ));
    for (i, bytes) in files.iter().enumerate() {
        let mut again = vec![0; parse(i).encoded_len()];
        parse(i).encode(&mut again).unwrap();
        assert_eq!(&again, bytes);
    }
}

#[test]
fn every_changed_bit_of_a_share_file_is_noticed() {
    let files = files();
    for bit in 0..files[0].len() * 8 {
        let mut bad = files[0].clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let noticed = ShareFile::parse(&bad).and_then(|first| {
            combine_files(&[first, ShareFile::parse(&files[1]).unwrap()]).map(|_| ())
        });
        let error = noticed.unwrap_err();
        let version = bit / 8 == 4;
        let code = if version {
            "SHARE_VERSION_MISMATCH"
        } else {
            "SHARE_INTEGRITY_FAILED"
        };
        assert_eq!(error.code(), code, "bit {bit}: {error}");
    }
    for len in 0..files[0].len() {
        assert!(ShareFile::parse(&files[0][..len]).is_err(), "cut to {len}");
    }
    assert!(ShareFile::parse(&[files[0].as_slice(), &[0]].concat()).is_err());
}

#[test]
fn files_of_two_dealings_do_not_combine() {
    let (first, mut rng) = (files(), ChaCha20Rng::from_seed([6; 32]));
    let second = deal_files(access(), b"root key", &mut rng).unwrap();
    let mixed = [
        ShareFile::parse(&first[0]).unwrap(),
        ShareFile::parse(&second[1]).unwrap(),
    ];
    assert_eq!(
        combine_files(&mixed).unwrap_err(),
        Error::MixedDeals { first: 0, index: 1 }
    );
}

#[test]
fn debug_output_holds_no_secret() {
    let shown = format!(
        "{:?} {:?}",
        Seed::from_bytes([0xab; 32]),
        Salt::from_bytes([0xab; 32])
    );
    let files = files();
    let file = format!("{:?}", ShareFile::parse(&files[0]).unwrap());
    for text in [shown, file] {
        assert!(
            !text.contains("171") && !text.to_lowercase().contains("ab, "),
            "{text}"
        );
    }
}

/// Gives the bytes 0, 1, 2 and so on, and 0 again after 255.
struct Counter(u8);

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("dealing draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("dealing draws bytes")
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for byte in target {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

#[test]
fn share_files_are_those_of_another_implementation() {
    let golden: Value = serde_json::from_str(include_str!("vectors/share-file.json")).unwrap();
    let files = deal_files(access(), b"root key", &mut Counter(0)).unwrap();
    let shown: Vec<String> = files
        .iter()
        .map(|file| file.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert_eq!(golden["files_hex"], Value::from(shown));
}

#[test]
fn bad_share_files_are_refused_by_name() {
    let good = &files()[1];
    let patched = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        bad
    };
    let cases = [
        ("magic", patched(0, b'x'), Malformed::Magic),
        ("unknown scheme", patched(5, 3), Malformed::Access),
        ("scheme of k = n", patched(5, 2), Malformed::Access),
        ("k = 1", patched(6, 1), Malformed::Access),
        ("n = 252", patched(7, 252), Malformed::Access),
        ("index 3 of 3", patched(8, 3), Malformed::Index),
        ("reserved", patched(9, 1), Malformed::Reserved),
        ("share length", patched(15, 41), Malformed::Length),
        (
            "odd share",
            {
                let mut bad = patched(15, 41);
                bad.pop();
                bad
            },
            Malformed::ShareLength,
        ),
        ("empty", Vec::new(), Malformed::Length),
        ("header alone", good[..16].to_vec(), Malformed::Length),
        ("more tags than bytes", patched(7, 251), Malformed::Length),
    ];
    for (name, bad, reason) in cases {
        assert_eq!(
            ShareFile::parse(&bad).unwrap_err(),
            Error::Malformed(reason),
            "{name}"
        );
    }
    let newer = ShareFile::parse(&patched(4, 2)).unwrap_err();
    assert_eq!(newer.code(), "SHARE_VERSION_MISMATCH");
}
