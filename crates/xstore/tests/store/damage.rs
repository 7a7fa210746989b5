//! Every kind of damage to one share is named and replaced; to too many, it is listed. Never a
//! wrong byte comes out.

use bytes::Bytes;
use xstore::{Error, FaultReason, ObjectKey};

use crate::world::{CHUNK, MODES, World, get, payload, record_len, subsets};

/// Reads with one damaged share: the payload is right, and the damage is named.
async fn expect_replaced(
    world: &World,
    receipt: &xstore::Receipt,
    data: &[u8],
    at: usize,
    what: &str,
) {
    let (restored, report) = get(&world.store(), &receipt.manifest).await.unwrap();
    assert!(restored == data, "{what}");
    let label = format!("site-{at}");
    // Two other shares are enough, so the damaged one is found only where it was asked for.
    assert!(
        report.faults.iter().all(|fault| fault.backend == label),
        "{what}"
    );
    let alone = world.reader(&[at, (at + 1) % 3]);
    match get(&alone, &receipt.manifest).await {
        Err(Error::InsufficientShares(shortage)) => {
            let named = shortage
                .faults
                .iter()
                .any(|fault| fault.backend == label && fault.reason != FaultReason::NotConfigured);
            assert!(named && !shortage.chunks.is_empty(), "{what}: {shortage}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_bit_anywhere_is_named_and_replaced() {
    for mode in MODES {
        let world = World::new(2, 3).in_mode(mode);
        let data = payload(40, 1);
        let receipt = world.put(&data).await;
        let (key, good) = world.segment(0);
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            world.replace(0, &key, bad);
            expect_replaced(&world, &receipt, &data, 0, &format!("bit {bit}")).await;
        }
        println!("{} flipped bits named and replaced", good.len() * 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_truncation_and_extension_is_named_and_replaced() {
    for mode in MODES {
        let world = World::new(2, 3).in_mode(mode);
        let data = payload(40, 2);
        let receipt = world.put(&data).await;
        let (key, good) = world.segment(1);
        for len in 0..good.len() {
            world.replace(1, &key, good.slice(..len));
            expect_replaced(&world, &receipt, &data, 1, &format!("cut to {len}")).await;
        }
        for extra in 1..64 {
            world.replace(1, &key, [good.as_ref(), &vec![0; extra]].concat());
            expect_replaced(&world, &receipt, &data, 1, &format!("{extra} bytes more")).await;
        }
        world.remove(1, &key);
        expect_replaced(&world, &receipt, &data, 1, "missing").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_chunks_shares_and_generations_are_named_and_replaced() {
    for mode in MODES {
        let world = World::new(2, 3).in_mode(mode);
        let data = payload(3 * CHUNK, 3);
        let receipt = world.put(&data).await;
        let segments: Vec<(ObjectKey, Bytes)> = (0..3).map(|at| world.segment(at)).collect();
        let (key, good) = &segments[0];
        let record = record_len(&receipt.manifest);
        let chunk = |i: usize| good.slice(i * record..(i + 1) * record);
        let swapped = [&chunk(1), &chunk(0), &good.slice(2 * record..)]
            .map(|part| part.to_vec())
            .concat();
        assert_eq!(swapped.len(), good.len());
        world.replace(0, key, swapped);
        expect_replaced(&world, &receipt, &data, 0, "two chunks").await;

        world.replace(0, key, segments[1].1.clone());
        expect_replaced(&world, &receipt, &data, 0, "the share of another index").await;
        world.replace(0, key, good.clone());

        // The same bytes dealt again are another generation: its shares do not fit this one.
        for (at, (key, _)) in segments.iter().enumerate() {
            world.remove(at, key);
        }
        world.put(&data).await;
        let (other_key, other) = world.segment(0);
        world.remove(0, &other_key);
        for (at, (key, bytes)) in segments.iter().enumerate().skip(1) {
            world.replace(at, key, bytes.clone());
        }
        world.replace(0, key, other);
        expect_replaced(
            &world,
            &receipt,
            &data,
            0,
            "the share of another generation",
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn different_chunks_may_be_bad_at_different_sites() {
    for mode in MODES {
        let world = World::new(2, 3).in_mode(mode);
        let data = payload(3 * CHUNK, 4);
        let receipt = world.put(&data).await;
        let record = record_len(&receipt.manifest);
        for at in 0..3 {
            let (key, good) = world.segment(at);
            let mut bad = good.to_vec();
            bad[at * record + 100] ^= 1;
            world.replace(at, &key, bad);
        }
        let (restored, report) = get(&world.store(), &receipt.manifest).await.unwrap();
        assert!(restored == data);
        assert!(report.faults.len() >= 2, "{:?}", report.faults);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_damage_lists_every_short_chunk_and_site() {
    for mode in MODES {
        let world = World::new(2, 3).in_mode(mode);
        let data = payload(600 * CHUNK, 5);
        let manifest = world.put(&data).await.manifest;
        let record = record_len(&manifest);
        // Chunks 1 and 2 of segment 0 and chunk 0 of segment 1, at two of three sites.
        for at in [0, 2] {
            for (key, good) in world.objects(at) {
                let bad_chunks: &[usize] = match key.as_str() {
                    name if name.ends_with("/0/0") => &[1, 2],
                    name if name.ends_with("/1/0") => &[0],
                    _ => continue,
                };
                let mut bad = good.to_vec();
                bad_chunks
                    .iter()
                    .for_each(|chunk| bad[chunk * record + 50] ^= 1);
                world.replace(at, &key, bad);
            }
        }
        let Err(Error::InsufficientShares(shortage)) = get(&world.store(), &manifest).await else {
            panic!("two good shares of some chunks are missing");
        };
        assert_eq!(shortage.chunks, [(1, 1), (2, 1), (256, 1)]);
        let named: Vec<(&str, Option<u64>)> = shortage
            .faults
            .iter()
            .map(|f| (f.backend.as_str(), f.chunk))
            .collect();
        for site in ["site-0", "site-2"] {
            for chunk in [1, 2, 256] {
                assert!(
                    named.contains(&(site, Some(chunk))),
                    "{site} {chunk}: {named:?}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_damaged_index_is_rebuilt_from_the_footers() {
    let world = World::new(2, 3);
    let data = payload(300 * CHUNK, 6);
    let manifest = world.put(&data).await.manifest;
    for at in 0..3 {
        let index = world
            .objects(at)
            .into_keys()
            .find(|key| key.as_str().ends_with("/index"));
        let index = index.unwrap();
        if at == 0 {
            world.remove(at, &index);
        } else {
            let mut bad = world.objects(at)[&index].to_vec();
            bad[20] ^= 1;
            world.replace(at, &index, bad);
        }
    }
    for set in subsets(3, 2) {
        let (restored, _) = get(&world.reader(&set), &manifest).await.unwrap();
        assert!(restored == data);
    }
}
