//! What was put comes back, byte for byte, from every qualified set of backends and no other.

use xstore::{GetOptions, Padding};

use crate::world::{CHUNK, MODES, World, get, payload, subsets};

/// Lengths around every border: of a chunk, of a segment (256 chunks), of nothing.
const LENGTHS: [usize; 9] = [
    0,
    1,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK,
    256 * CHUNK - 1,
    256 * CHUNK,
    256 * CHUNK + 1,
];

#[tokio::test(flavor = "multi_thread")]
async fn every_qualified_set_restores_every_length() {
    for mode in MODES {
        for (k, n) in [(2, 3), (3, 5), (3, 3), (2, 2)] {
            for padding in [Padding::None, Padding::Padme] {
                for len in LENGTHS {
                    let world = World {
                        padding,
                        ..World::new(k, n).in_mode(mode)
                    };
                    let data = payload(len, 1);
                    let manifest = world.put(&data).await.manifest;
                    let sets = subsets(usize::from(n), usize::from(k));
                    // Long objects are restored from the first and last set only.
                    let long = len > 10 * CHUNK;
                    let chosen: Vec<_> = if long {
                        [sets[0].clone(), sets[sets.len() - 1].clone()].into()
                    } else {
                        sets
                    };
                    for set in chosen {
                        let (restored, report) = get(&world.reader(&set), &manifest).await.unwrap();
                        assert!(restored == data, "{k}-of-{n}, {len} bytes, from {set:?}");
                        assert_eq!(
                            report.faults.len(),
                            usize::from(n - k),
                            "the absent are named"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_than_k_backends_give_nothing() {
    for mode in MODES {
        let world = World::new(3, 5).in_mode(mode);
        let manifest = world.put(&payload(1000, 2)).await.manifest;
        for set in subsets(5, 2) {
            let mut out = Vec::new();
            let error = world
                .reader(&set)
                .get(&manifest, &mut out, &GetOptions::default())
                .await;
            assert_eq!(error.unwrap_err().code(), "INSUFFICIENT_SHARES");
            assert!(out.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_the_same_bytes_and_fetches_only_its_chunks() {
    for mode in MODES {
        let world = World {
            padding: Padding::Padme,
            ..World::new(2, 3).in_mode(mode)
        };
        let data = payload(300 * CHUNK + 17, 3);
        let manifest = world.put(&data).await.manifest;
        let store = world.store();
        let len = data.len() as u64;
        let chunk = CHUNK as u64;
        for range in [
            0..1,
            chunk - 1..chunk + 1,
            255 * chunk..257 * chunk,
            len - 1..len,
            len - 1..len + 999,
            len..len + 1,
            5..5,
            u64::MAX - 1..u64::MAX,
        ] {
            let before: Vec<u64> = world
                .plans
                .iter()
                .map(|plan| plan.counts().read_bytes)
                .collect();
            let mut out = Vec::new();
            let options = GetOptions::default();
            store
                .get_range(&manifest, range.clone(), &mut out, &options)
                .await
                .unwrap();
            let at = |offset: u64| usize::try_from(offset.min(len)).unwrap();
            assert_eq!(out, data[at(range.start)..at(range.end)], "{range:?}");
            let read: u64 = world
                .plans
                .iter()
                .zip(before)
                .map(|(plan, before)| plan.counts().read_bytes - before)
                .sum();
            // Two shares of at most three chunks, footers, an index and identities.
            assert!(
                read < 2 * 3 * (chunk + 100) + 100_000,
                "{range:?} read {read} bytes"
            );
        }
    }
}

/// The trailer confirms guesses about the whole payload, so a ranged read must not touch it.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_never_fetches_the_trailer() {
    for mode in MODES {
        let world = World::new(2, 2).in_mode(mode);
        let data = payload(CHUNK, 4);
        let manifest = world.put(&data).await.manifest;
        for at in 0..2 {
            // Destroy the trailer's record: it lies between chunk 0 and the footer.
            let (key, bytes) = world.segment(at);
            let mut bytes = bytes.to_vec();
            let footer = 24 + 2 * 32;
            let trailer = 32 + 104 + 36;
            let end = bytes.len() - footer;
            bytes[end - trailer..end].fill(0);
            world.replace(at, &key, bytes);
        }
        let mut out = Vec::new();
        let all = 0..data.len() as u64;
        world
            .store()
            .get_range(&manifest, all, &mut out, &GetOptions::default())
            .await
            .unwrap();
        assert_eq!(out, data);
        assert_eq!(
            get(&world.store(), &manifest).await.unwrap_err().code(),
            "INSUFFICIENT_SHARES"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_puts_of_one_payload_share_nothing() {
    for mode in MODES {
        let world = World::new(2, 3).in_mode(mode);
        let data = payload(3000, 5);
        world.put(&data).await;
        let (first, bytes) = world.segment(0);
        world.remove(0, &first);
        world.put(&data).await;
        let (second, again) = world.segment(0);
        assert_ne!(first, second);
        let same = bytes[..1000]
            .iter()
            .zip(&again[..1000])
            .filter(|(a, b)| a == b)
            .count();
        assert!(same < 30, "{same} of 1000 bytes are equal; 4 are by chance");
    }
}
