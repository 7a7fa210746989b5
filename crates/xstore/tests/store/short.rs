//! Short mode: what it costs, what it keeps from whom, and that it is the format which is written down.

use std::ops::Range;

use proptest::prelude::*;
use xorida_core::{
    Kind, Mode, Recovery, Seed, ShareContext, ShareIndex, Suffix, Target, VerifiedShare, unpad,
};
use xstore::geometry::Geometry;
use xstore::{AccessStructure, GetOptions, Manifest, Padding};

use crate::short_format;
use crate::world::{CHUNK, World, get, payload, subsets};

const SALT: usize = 32;

fn short(k: u8, n: u8) -> World {
    World::new(k, n).in_mode(Mode::Short)
}

/// Bytes of a share of the suffix alone.
fn split_len(access: AccessStructure) -> usize {
    access.padded_len(36)
}

fn seed_of(secret: &[u8]) -> [u8; 32] {
    secret[4..].try_into().unwrap()
}

/// What is split of a chunk, of k shares with their numbers.
fn split(access: AccessStructure, shares: &[(u8, &[u8])]) -> Vec<u8> {
    let split_len = split_len(access);
    let index = |i: u8| ShareIndex::try_new(i, access).unwrap();
    let shares = shares.iter().map(|(i, share)| {
        VerifiedShare::assume_authentic(index(*i), &share[share.len() - split_len..])
    });
    let shares: Vec<VerifiedShare<'_>> = shares.collect();
    let indices: Vec<ShareIndex> = shares.iter().map(VerifiedShare::index).collect();
    let recovery = Recovery::try_new(access, &indices, Target::Secret).unwrap();
    let (mut scratch, mut secret) = (vec![0; recovery.scratch_len()], vec![0; split_len]);
    recovery.run(&shares, &mut scratch, &mut secret).unwrap();
    unpad(access, &secret).unwrap().to_vec()
}

fn context(manifest: &Manifest, chunk: u64) -> ShareContext {
    let (body, geometry) = (manifest.body(), manifest.body().geometry().unwrap());
    ShareContext {
        mode: Mode::Short,
        kind: Kind::Data,
        padding: geometry.layout().padding,
        suffix: Suffix::Seed,
        access: geometry.layout().access,
        chunk_len: geometry.layout().chunk_len(),
        chunks_per_segment: geometry.layout().chunks_per_segment(),
        object_id: body.object_id.0,
        put_id: body.put_id.0,
        chunk,
        share_len: u32::try_from(geometry.share_len(chunk)).unwrap(),
    }
}

fn record_of(geometry: &Geometry, chunk: u64) -> Range<usize> {
    let at = geometry.records(&(chunk..chunk + 1));
    usize::try_from(at.start).unwrap()..usize::try_from(at.end).unwrap()
}

/// The document says enough: a second reader, made from it, opens every chunk from every k shares and
/// computes all n records.
#[tokio::test(flavor = "multi_thread")]
async fn the_format_is_the_one_that_is_written_down() {
    for (k, n) in [(2u8, 3u8), (3, 5), (2, 2)] {
        let world = short(k, n);
        let data = payload(CHUNK + 77, k);
        let manifest = world.put(&data).await.manifest;
        let geometry = manifest.body().geometry().unwrap();
        let access = geometry.layout().access;
        let index = |i: u8| ShareIndex::try_new(i, access).unwrap();
        let objects: Vec<_> = (0..usize::from(n)).map(|at| world.segment(at).1).collect();
        for (chunk, expected) in (0..).zip(data.chunks(CHUNK)) {
            let shares = (0..n).zip(objects.iter().map(|object| {
                let record = &object[record_of(&geometry, chunk)];
                &record[SALT..]
            }));
            let shares: Vec<(u8, &[u8])> = shares.collect();
            let context = context(&manifest, chunk);
            let label = context.encode(index(0));
            let secret = split(access, &shares[..usize::from(k)]);
            let sealed = short_format::seal(&seed_of(&secret), &label, expected, usize::from(k));
            let shard_len = short_format::shard_len(expected.len(), usize::from(k));
            let sources: Vec<(u8, &[u8])> = (0..k).zip(sealed.chunks(shard_len)).collect();
            for set in subsets(usize::from(n), usize::from(k)) {
                let chosen: Vec<(u8, &[u8])> = set.iter().map(|at| shares[*at]).collect();
                assert_eq!(split(access, &chosen), secret);
                let len = u32::try_from(expected.len()).unwrap();
                assert_eq!(secret[..4], len.to_be_bytes());
            }
            for (i, share) in &shares {
                // The second coder is slow: the ends of a shard are enough of it.
                for part in [
                    0..shard_len.min(100),
                    shard_len.saturating_sub(100)..shard_len,
                ] {
                    let pieces = sources.iter().map(|(j, s)| (*j, &s[part.clone()]));
                    let pieces: Vec<(u8, &[u8])> = pieces.collect();
                    assert_eq!(share[part], short_format::shard(&pieces, *i), "share {i}");
                }
                let salt = Seed::from_bytes(seed_of(&secret)).salt(index(*i));
                let record = &objects[usize::from(*i)][record_of(&geometry, chunk)];
                assert_eq!(&record[..SALT], salt.expose());
                let tag = salt.tag(&context, index(*i), share);
                let all = usize::try_from(geometry.chunks()).unwrap();
                let object = &objects[usize::from(*i)];
                let at = object.len() - (all - usize::try_from(chunk).unwrap()) * 32;
                assert_eq!(&object[at..at + 32], tag.as_bytes());
            }
        }
    }
}

/// Whoever has every shard but fewer than k shares of the key has the ciphertext and cannot open it:
/// every share of the key that they make up gives another seed, and the data fails under it.
#[tokio::test(flavor = "multi_thread")]
async fn all_shards_and_fewer_than_k_shares_of_the_key_open_nothing() {
    let world = short(2, 2);
    let data = payload(100, 1);
    let manifest = world.put(&data).await.manifest;
    let geometry = manifest.body().geometry().unwrap();
    let access = geometry.layout().access;
    let objects = [0, 1].map(|at| world.segment(at).1);
    let [first, second] = [0, 1].map(|i: usize| &objects[i][record_of(&geometry, 0)][SALT..]);
    let shard_len = short_format::shard_len(100, 2);
    let sealed = [&first[..shard_len], &second[..shard_len]].concat();
    let label = context(&manifest, 0).encode(ShareIndex::try_new(0, access).unwrap());
    let opened = |second: &[u8]| {
        let seed = seed_of(&split(access, &[(0, first), (1, second)]));
        short_format::open(&seed, &label, &sealed)
    };
    assert_eq!(opened(second).unwrap(), data, "with k shares it opens");
    // The first four bytes give the valid length, not the key.
    for byte in shard_len + 4..second.len() {
        for difference in 1..=255 {
            let mut made_up = second.to_vec();
            made_up[byte] ^= difference;
            assert_eq!(opened(&made_up), None, "{byte} {difference}");
        }
    }
}

/// n/k of the payload, where perfect shares take n times it; and what a plan says is what is stored.
#[tokio::test(flavor = "multi_thread")]
async fn storage_is_as_told_and_n_over_k() {
    let data = payload(300 * CHUNK + 7, 2);
    for (k, n) in [(2u8, 3u8), (3, 5), (4, 6)] {
        for (mode, factor) in [
            (Mode::Perfect, f64::from(n)),
            (Mode::Short, f64::from(n) / f64::from(k)),
        ] {
            let world = World::new(k, n).in_mode(mode);
            let manifest = world.put(&data).await.manifest;
            let segments = (0..usize::from(n)).flat_map(|at| world.objects(at));
            let segments = segments.filter(|(key, _)| {
                let name = key.as_str();
                name.contains("/s/") && !name.ends_with("/index")
            });
            let stored: usize = segments.map(|(_, bytes)| bytes.len()).sum();
            let told = manifest.body().geometry().unwrap().stored_len();
            assert_eq!(told, stored as u64);
            let ratio = stored as f64 / data.len() as f64;
            println!("{k}-of-{n}, {mode}: {ratio:.4} times the payload");
            assert!(ratio > factor && ratio < factor * 1.01, "{ratio}");
        }
    }
}

/// An object of its trailer alone has shares of one length in both modes: only the tags tell, and
/// they do.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_the_other_mode_fits_no_share() {
    for (len, mode, other) in [
        (0, Mode::Short, Mode::Perfect),
        (0, Mode::Perfect, Mode::Short),
        (100, Mode::Short, Mode::Perfect),
        (100, Mode::Perfect, Mode::Short),
    ] {
        let world = World::new(2, 3).in_mode(mode);
        let data = payload(len, 3);
        let manifest = world.put(&data).await.manifest;
        assert_eq!(manifest.body().mode().unwrap(), mode);
        let mut swapped = manifest.body().clone();
        swapped.mode = other.id();
        let swapped = Manifest::seal(swapped, &world.keys).unwrap();
        let error = get(&world.store(), &swapped).await.unwrap_err();
        assert_eq!(error.code(), "INSUFFICIENT_SHARES", "{len} {mode}");
        assert_eq!(get(&world.store(), &manifest).await.unwrap().0, data);
    }
}

/// A chunk that is lost is lost alone: no other chunk needs anything of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_good_is_saved() {
    let world = short(2, 3);
    let data = payload(5 * CHUNK, 4);
    let manifest = world.put(&data).await.manifest;
    let geometry = manifest.body().geometry().unwrap();
    for at in 0..2 {
        let (key, object) = world.segment(at);
        let mut bad = object.to_vec();
        bad[record_of(&geometry, 2).start + 40] ^= 1;
        world.replace(at, &key, bad);
    }
    let mut out = Vec::new();
    let options = GetOptions::default();
    let report = world.store().salvage(&manifest, &mut out, &options).await;
    let lost = 2 * CHUNK as u64..3 * CHUNK as u64;
    assert_eq!(report.unwrap().lost, [lost]);
    assert!(out[..2 * CHUNK] == data[..2 * CHUNK] && out[3 * CHUNK..] == data[3 * CHUNK..]);
    assert!(out[2 * CHUNK..3 * CHUNK].iter().all(|byte| *byte == 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_put_comes_back_whole_and_in_parts(
        (k, n) in (2u8..=8).prop_flat_map(|n| (2..=n, Just(n))),
        len in 0..2 * CHUNK,
        (start, end) in (0..2 * CHUNK as u64, 0..3 * CHUNK as u64),
        padme in any::<bool>(),
        seed in any::<u8>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let padding = if padme { Padding::Padme } else { Padding::None };
            let world = World { padding, ..short(k, n) };
            let data = payload(len, seed);
            let manifest = world.put(&data).await.manifest;
            // From the last k shares: every data shard that can be missing is.
            let last: Vec<usize> = (usize::from(n - k)..usize::from(n)).collect();
            let store = world.reader(&last);
            assert!(get(&store, &manifest).await.unwrap().0 == data);
            let mut out = Vec::new();
            let options = GetOptions::default();
            store.get_range(&manifest, start..end, &mut out, &options).await.unwrap();
            let at = |offset: u64| usize::try_from(offset).unwrap().min(len);
            let expected = data.get(at(start)..at(end)).unwrap_or_default();
            assert!(out == expected, "{start}..{end} of {len}");
        });
    }
}
