//! Backends that are slow, stall or die: readers do not wait for them. Time is virtual, so the figures
//! are the same on every machine.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use xstore::catalogue::MemoryCatalogue;
use xstore::testing::Fault;
use xstore::{BackendErrorKind, GetOptions, Store};

use crate::world::{CHUNK, World, get, payload};

const FAST: Duration = Duration::from_millis(20);
const SLOW: Duration = Duration::from_secs(1);

fn late(world: &World, at: usize, by: Duration) {
    world.plans[at].set([Fault::Delay {
        calls: 0..u64::MAX,
        by,
    }]);
}

/// Durations of so many gets by name through one store, in ascending order.
async fn gets(store: &Store, count: usize, data: &[u8]) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let found = store.find_name("genome").await.unwrap();
        let (restored, report) = get(store, &found.manifest).await.unwrap();
        took.push(begun.elapsed());
        assert!(restored == data && report.faults.is_empty());
    }
    took.sort_unstable();
    took
}

fn p99(took: &[Duration]) -> Duration {
    took[(took.len() * 99).div_ceil(100) - 1]
}

#[tokio::test(start_paused = true)]
async fn one_slow_backend_of_three_is_not_waited_for() {
    let data = payload(600 * CHUNK, 1);
    for slow in 0..3 {
        let world = World::new(2, 3);
        world.put_named("genome", &data).await;
        for at in 0..3 {
            late(&world, at, FAST);
        }
        let fast = p99(&gets(&world.store(), 100, &data).await);
        late(&world, slow, SLOW);
        let with_slow = p99(&gets(&world.store(), 100, &data).await);
        println!("site {slow} slow: p99 {with_slow:?}, all fast {fast:?}");
        assert!(with_slow * 10 <= fast * 13, "{with_slow:?} of {fast:?}");
    }
}

/// It becomes slow while it is read from: one share more is asked for, and then it is left alone.
#[tokio::test(start_paused = true)]
async fn a_backend_that_becomes_slow_costs_one_wait() {
    let data = payload(2000 * CHUNK, 2);
    let world = World::new(2, 3);
    world.put_named("genome", &data).await;
    for at in 0..3 {
        late(&world, at, FAST);
    }
    let store = world.store();
    let usual = gets(&store, 10, &data).await[9];
    for slow in 0..2 {
        late(&world, slow, SLOW);
    }
    late(&world, 1, FAST);
    let first = gets(&store, 1, &data).await[0];
    assert!(first < usual + SLOW / 4, "{first:?}, usually {usual:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_backend_is_hedged_even_without_history() {
    let data = payload(3 * CHUNK, 3);
    let world = World::new(2, 3);
    let manifest = world.put_named("genome", &data).await.manifest;
    let store = world.store();
    // Its identity comes, and then nothing any more.
    world.plans[0].set([Fault::Stall { calls: 1..u64::MAX }]);
    let begun = Instant::now();
    let (restored, _) = get(&store, &manifest).await.unwrap();
    assert!(restored == data);
    assert!(
        begun.elapsed() <= Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

/// Those that a version does not name say nothing of it: the version after it need not have reached
/// them, however many they are and however fast.
#[tokio::test(start_paused = true)]
async fn copies_beside_the_holders_are_no_reason_to_stop_waiting() {
    let mut world = World::with_spares(2, 3, 2);
    world.put_named("genome", b"at 0, 1, 2").await;
    // Its share goes to a spare, and the manifest of that to the holders before it too.
    world.plans[0].set([Fault::FailEffects {
        effects: 0..1,
        kind: BackendErrorKind::Unavailable,
    }]);
    world.put_named("genome", b"at 1, 2, 3").await;
    world.fail(0);
    world.fail(1);
    let newest = world.put_named("genome", b"at 2, 3, 4").await.manifest;
    world.heal();
    for at in 2..5 {
        late(&world, at, SLOW);
    }
    // One who has not seen any of them.
    world.catalogue = Arc::new(MemoryCatalogue::default());
    let found = world.store().find_name("genome").await.unwrap();
    assert_eq!(found.manifest.hash(), newest.hash());
}

/// With nobody else to ask, a slow one is waited for.
#[tokio::test(start_paused = true)]
async fn slow_is_not_lost() {
    let data = payload(3 * CHUNK, 4);
    let world = World::new(2, 3);
    let manifest = world.put_named("genome", &data).await.manifest;
    world.fail(0);
    late(&world, 1, SLOW * 10);
    late(&world, 2, SLOW * 20);
    let (restored, _) = get(&world.store(), &manifest).await.unwrap();
    assert!(restored == data);
}

#[tokio::test(start_paused = true)]
async fn one_dead_backend_shows_no_failure_and_two_are_named() {
    let data = payload(3 * CHUNK, 5);
    for dead in 0..3 {
        let world = World::new(2, 3);
        world.put_named("genome", &data).await;
        world.fail(dead);
        let found = world.store().find_name("genome").await.unwrap();
        assert_eq!(get(&world.store(), &found.manifest).await.unwrap().0, data);
        world.fail((dead + 1) % 3);
        let error = get(&world.store(), &found.manifest).await.unwrap_err();
        assert_eq!(error.code(), "INSUFFICIENT_SHARES");
        for gone in [dead, (dead + 1) % 3] {
            assert!(
                error.to_string().contains(&format!("site-{gone}")),
                "{error}"
            );
        }
    }
}

/// A backend that gave bad bytes once is asked last from then on.
#[tokio::test(start_paused = true)]
async fn bad_bytes_are_remembered() {
    let data = payload(3 * CHUNK, 6);
    let world = World::new(2, 3);
    let manifest = world.put(&data).await.manifest;
    let store = world.store();
    let flip = Fault::FlipBit {
        prefix: manifest.body().store_tag.to_string() + "/s",
        offset_bytes: 50,
        bit: 1,
    };
    world.plans[0].set([flip.clone()]);
    let (_, report) = get(&store, &manifest).await.unwrap();
    assert_eq!(report.faults.len(), 1);
    world.plans[0].set([flip]);
    let (restored, report) = get(&store, &manifest).await.unwrap();
    assert!(restored == data && report.faults.is_empty());
    assert_eq!(world.plans[0].counts().read_bytes, 0);
}

#[tokio::test]
async fn what_is_good_is_saved_and_what_is_lost_is_listed() {
    let data = payload(300 * CHUNK + 100, 7);
    let world = World::new(2, 3);
    let manifest = world.put(&data).await.manifest;
    let geometry = manifest.body().geometry().unwrap();
    let damage = |at: usize, chunk: u64| {
        let segment = geometry.segment_of(chunk);
        let end = format!("/{segment}/0");
        let objects = world.objects(at);
        let key = objects
            .keys()
            .find(|key| key.as_str().ends_with(&end))
            .unwrap();
        let mut bytes = objects[key].to_vec();
        let record = geometry.records(&(chunk..chunk + 1));
        bytes[usize::try_from(record.start).unwrap() + 40] ^= 1;
        world.replace(at, key, bytes);
    };
    // Chunks 3 and 4, one far away, and the last are short; chunk 9 lacks one share only.
    for chunk in [3, 4, 270, 300] {
        damage(0, chunk);
        damage(1, chunk);
    }
    damage(2, 9);
    let options = GetOptions::default();
    let error = world
        .store()
        .get(&manifest, &mut Vec::new(), &options)
        .await;
    assert_eq!(error.unwrap_err().code(), "INSUFFICIENT_SHARES");
    let mut saved = Vec::new();
    let report = world
        .store()
        .salvage(&manifest, &mut saved, &options)
        .await
        .unwrap();
    let chunk = CHUNK as u64;
    let lost = [
        3 * chunk..5 * chunk,
        270 * chunk..271 * chunk,
        300 * chunk..300 * chunk + 100,
    ];
    assert_eq!(report.lost, lost);
    assert!(report.len_known && report.len_bytes == data.len() as u64);
    let mut expected = data.clone();
    for range in &report.lost {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        expected[range].fill(0);
    }
    assert!(saved == expected);
    // Without the trailer nobody knows where the payload ends.
    damage(0, 301);
    damage(1, 301);
    let mut saved = Vec::new();
    let report = world
        .store()
        .salvage(&manifest, &mut saved, &options)
        .await
        .unwrap();
    assert!(!report.len_known && report.len_bytes == data.len() as u64);
}

/// It is not asked again for what others have, and nothing but the search says that it failed.
#[tokio::test(start_paused = true)]
async fn a_backend_that_failed_while_the_object_was_looked_for_is_named() {
    let data = payload(3 * CHUNK, 1);
    for failing in 0..3 {
        let world = World::new(2, 3);
        world.put_named("genome", &data).await;
        for at in 0..3 {
            late(&world, at, FAST);
        }
        let refused = Fault::FailCalls {
            calls: 0..1,
            kind: BackendErrorKind::AuthFailed,
        };
        let stalled = Fault::Stall { calls: 1..u64::MAX };
        world.plans[failing].set([refused, stalled]);
        let store = world.store();
        let found = store.find_name("genome").await.unwrap();
        let named: Vec<(&str, &str)> = found
            .faults
            .iter()
            .map(|fault| (&*fault.backend, fault.reason.code()))
            .collect();
        assert_eq!(
            named,
            [(&*format!("site-{failing}"), "BACKEND_AUTH_FAILED")]
        );
        let (restored, report) = get(&store, &found.manifest).await.unwrap();
        assert!(restored == data && report.faults.is_empty());
    }
}
