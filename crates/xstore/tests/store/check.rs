//! What a check says of every kind of damage, and what a repair makes of it: the very bytes that were
//! there before.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use xstore::memory::MemoryBackend;
use xstore::progress::{Observer, ProgressEvent, Status};
use xstore::testing::{Fault, FaultyBackend};
use xstore::{
    BackendErrorKind, CheckOptions, CheckReport, Effects, FaultReason, Health, Manifest, Metadata,
    ObjectKey, RepairOptions, RepairReport, Subset,
};

use crate::world::{CHUNK, MODES, World, get, payload, subsets};

type Snapshot = Vec<BTreeMap<ObjectKey, Bytes>>;

fn snapshot(world: &World) -> Snapshot {
    (0..world.backends.len())
        .map(|at| world.objects(at))
        .collect()
}

async fn check(world: &World, manifest: &Manifest, data: Option<Subset>) -> CheckReport {
    let mut options = CheckOptions::default();
    options.data = data;
    world.store().check(manifest, &options).await.unwrap()
}

async fn repair(world: &World, manifest: &Manifest) -> Result<RepairReport, xstore::Error> {
    let mut options = RepairOptions::default();
    options.data = Some(Subset::All);
    world.store().repair(manifest, &options).await
}

/// Something that happens to what one backend holds.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Gone,
    FlippedRecord,
    FlippedFooter,
    Truncated,
    Extended,
    Emptied,
    Swapped,
    IndexGone,
    IndexFlipped,
    CopyGone,
    CopyFlipped,
    IdentityGone,
    Everything,
}

const DAMAGES: [Damage; 13] = [
    Damage::Gone,
    Damage::FlippedRecord,
    Damage::FlippedFooter,
    Damage::Truncated,
    Damage::Extended,
    Damage::Emptied,
    Damage::Swapped,
    Damage::IndexGone,
    Damage::IndexFlipped,
    Damage::CopyGone,
    Damage::CopyFlipped,
    Damage::IdentityGone,
    Damage::Everything,
];

impl Damage {
    fn happens(self, world: &World, at: usize) {
        let objects = world.objects(at);
        let named = |part: &str| {
            let mut keys = objects.keys();
            let key = keys.find(|key| key.as_str().contains(part)).cloned();
            key.unwrap()
        };
        let flip = |key: &ObjectKey, byte: usize| {
            let mut bytes = objects[key].to_vec();
            bytes[byte] ^= 4;
            world.replace(at, key, bytes);
        };
        let first = segment(&objects, 0);
        let bytes = &objects[&first];
        match self {
            Self::Gone => world.remove(at, &first),
            Self::FlippedRecord => flip(&first, 40),
            Self::FlippedFooter => flip(&first, bytes.len() - 1),
            Self::Truncated => world.replace(at, &first, bytes.slice(..bytes.len() - 1)),
            Self::Extended => world.replace(at, &first, [bytes, &b"!"[..]].concat()),
            Self::Emptied => world.replace(at, &first, Bytes::new()),
            Self::Swapped => world.replace(at, &first, objects[&segment(&objects, 1)].clone()),
            Self::IndexGone => world.remove(at, &named("/index")),
            Self::IndexFlipped => flip(&named("/index"), 30),
            Self::CopyGone => world.remove(at, &named("/o/")),
            Self::CopyFlipped => flip(&named("/o/"), 60),
            Self::IdentityGone => world.remove(at, &named("/id")),
            Self::Everything => objects.keys().for_each(|key| world.remove(at, key)),
        }
    }
}

fn segment(objects: &BTreeMap<ObjectKey, Bytes>, number: u64) -> ObjectKey {
    let end = format!("/{number}/0");
    let mut keys = objects.keys();
    keys.find(|key| key.as_str().ends_with(&end))
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_seen_and_mended_to_the_bytes_that_were_there() {
    for mode in MODES {
        let data = payload(300 * CHUNK + 7, 1);
        let world = World::new(2, 3).in_mode(mode);
        let manifest = world.put_named("genome", &data).await.manifest;
        let before = snapshot(&world);
        let sound = check(&world, &manifest, Some(Subset::All)).await;
        assert_eq!(sound.health(), Health::Whole, "{sound:?}");
        assert!(sound.shares.iter().all(|share| share.records_read == 302));
        for damage in DAMAGES {
            for at in 0..3 {
                damage.happens(&world, at);
                let found = check(&world, &manifest, Some(Subset::All)).await;
                assert_eq!(found.health(), Health::Degraded, "{damage:?} at {at}");
                assert_eq!(snapshot(&world)[(at + 1) % 3], before[(at + 1) % 3]);
                let report = repair(&world, &manifest).await.unwrap();
                assert_eq!(report.found, found, "{damage:?} at {at}");
                assert!(report.remaining.is_empty());
                assert!(
                    snapshot(&world) == before,
                    "{damage:?} at {at}: other bytes"
                );
            }
        }
        let again = repair(&world, &manifest).await.unwrap();
        assert!(
            again.shares.is_empty() && again.metadata.is_empty(),
            "nothing is left to do"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_losses_that_leave_k_shares_are_mended_and_others_are_named() {
    for mode in MODES {
        for (k, n) in [(2u8, 3u8), (2, 4), (3, 5), (2, 2), (3, 3)] {
            let world = World::new(k, n).in_mode(mode);
            let manifest = world.put(&payload(2 * CHUNK + 77, k)).await.manifest;
            let before = snapshot(&world);
            for lost in (1..=n).flat_map(|count| subsets(n.into(), count.into())) {
                for at in &lost {
                    world.remove(*at, &segment(&before[*at], 0));
                }
                let left = n - u8::try_from(lost.len()).unwrap();
                let found = check(&world, &manifest, None).await;
                assert_eq!(found.least_good, left);
                let outcome = repair(&world, &manifest).await;
                if left >= k {
                    assert_eq!(found.health(), Health::Degraded);
                    assert_eq!(found.losses_survived(), left - k);
                    assert_eq!(outcome.unwrap().shares.len(), lost.len());
                } else {
                    assert_eq!(found.health(), Health::Unreadable);
                    assert_eq!(outcome.unwrap_err().code(), "INSUFFICIENT_SHARES");
                    for at in &lost {
                        let key = segment(&before[*at], 0);
                        world.replace(*at, &key, before[*at][&key].clone());
                    }
                }
                assert!(snapshot(&world) == before, "{k}-of-{n} without {lost:?}");
            }
        }
    }
}

/// Different chunks are bad at different backends: each chunk has its k good records, and all come
/// back although no single share is whole.
#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_mended_from_wherever_they_are_good() {
    for mode in MODES {
        let world = World::new(2, 3).in_mode(mode);
        let manifest = world.put(&payload(3 * CHUNK, 5)).await.manifest;
        let before = snapshot(&world);
        let geometry = manifest.body().geometry().unwrap();
        for at in 0..3 {
            let (key, bytes) = world.segment(at);
            let mut bytes = bytes.to_vec();
            let chunk = at as u64;
            let record = geometry.records(&(chunk..chunk + 1));
            bytes[usize::try_from(record.end).unwrap() - 1] ^= 1;
            world.replace(at, &key, bytes);
        }
        let found = check(&world, &manifest, Some(Subset::All)).await;
        assert_eq!((found.faults().count(), found.least_good), (3, 2));
        repair(&world, &manifest).await.unwrap();
        assert!(snapshot(&world) == before);
    }
}

/// At every stop of a repair, at every backend: nothing that could be read before cannot be read
/// now, and the next repair ends with the bytes that were there.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_stopped_at_any_effect_loses_nothing() {
    let data = payload(3 * CHUNK, 6);
    let mut stops = 0;
    for damage in [
        Damage::FlippedRecord,
        Damage::FlippedFooter,
        Damage::Everything,
    ] {
        for stop in 0.. {
            let world = World::new(2, 3);
            let manifest = world.put(&data).await.manifest;
            let before = snapshot(&world);
            damage.happens(&world, 1);
            let least = check(&world, &manifest, Some(Subset::All)).await.least_good;
            world.plans[1].set([Fault::StopAt { effect: stop }]);
            let outcome = repair(&world, &manifest).await;
            let stopped = world.plans[1].counts().effects > stop;
            world.plans[1].set([]);
            let now = check(&world, &manifest, Some(Subset::All)).await.least_good;
            assert!(now >= least, "{damage:?}, effect {stop}: {now} < {least}");
            let others = get(&world.reader(&[0, 2]), &manifest).await.unwrap();
            assert!(others.0 == data);
            repair(&world, &manifest).await.unwrap();
            assert!(snapshot(&world) == before, "{damage:?}, effect {stop}");
            stops += 1;
            if !stopped {
                assert!(outcome.is_ok());
                break;
            }
        }
    }
    assert!(stops >= 12, "{stops}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_the_same_and_changes_nothing() {
    let world = World::new(2, 3);
    let manifest = world.put(&payload(CHUNK, 7)).await.manifest;
    Damage::FlippedRecord.happens_in_one_segment(&world, 2);
    let before = snapshot(&world);
    let mut options = RepairOptions::default();
    options.data = Some(Subset::All);
    options.effects = Effects::Preview;
    let preview = world.store().repair(&manifest, &options).await.unwrap();
    assert!(snapshot(&world) == before);
    assert_eq!(preview, repair(&world, &manifest).await.unwrap());
    assert!(snapshot(&world) != before);
}

impl Damage {
    /// As [`Damage::happens`], for objects that have no second segment.
    fn happens_in_one_segment(self, world: &World, at: usize) {
        let (key, bytes) = world.segment(at);
        let mut bytes = bytes.to_vec();
        bytes[40] ^= 4;
        world.replace(at, &key, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_reach_is_told_apart_and_left_alone() {
    let world = World::new(2, 3);
    let manifest = world.put(&payload(CHUNK, 8)).await.manifest;
    let down = Fault::FailCalls {
        calls: 0..u64::MAX,
        kind: BackendErrorKind::Timeout,
    };
    world.plans[0].set([down]);
    let found = check(&world, &manifest, None).await;
    assert_eq!((found.health(), found.least_good), (Health::Degraded, 2));
    let fault = found.faults().next().unwrap();
    assert_eq!(
        (fault.backend.as_str(), fault.reason.code()),
        ("site-0", "BACKEND_TIMEOUT")
    );
    assert!(fault.reason.is_out_of_reach());
    let report = repair(&world, &manifest).await.unwrap();
    assert_eq!(report.remaining.len(), 1);
    assert!(report.shares.is_empty() && report.metadata.is_empty());
}

/// A read that comes too late says nothing against the share; one that the medium refuses does, because
/// the end of the same object was read before.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_replaced_and_what_comes_late_is_not() {
    for (kind, replaced) in [
        (BackendErrorKind::Timeout, 0),
        (BackendErrorKind::AuthFailed, 0),
        (BackendErrorKind::Unavailable, 1),
    ] {
        let world = World::new(2, 3);
        let manifest = world.put(&payload(CHUNK, 8)).await.manifest;
        let before = snapshot(&world);
        let mut lowest = 0;
        let report = loop {
            // The first of so many calls at site 0 that it is the records that cannot be read.
            let calls = lowest..lowest + 1;
            world.plans[0].set([Fault::FailCalls { calls, kind }]);
            let report = repair(&world, &manifest).await;
            world.plans[0].set([]);
            let report = report.unwrap();
            if report.found.shares[0].records_read > 0 && !report.found.shares[0].faults.is_empty()
            {
                break report;
            }
            lowest += 1;
            assert!(lowest < 100, "no call reads records");
        };
        assert_eq!(report.shares.len(), replaced, "{kind:?}");
        assert_eq!(report.remaining.len(), 1 - replaced, "{kind:?}");
        assert!(snapshot(&world) == before, "{kind:?}");
    }
}

/// What is left of a repair that was stopped between the bad object and the good one, while too few
/// others answer to make it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_all_there_is_of_a_share_stays() {
    let world = World::new(2, 3);
    let data = payload(CHUNK, 6);
    let manifest = world.put(&data).await.manifest;
    let before = snapshot(&world);
    let (key, bytes) = world.segment(0);
    let beside = format!("{}1", key.as_str().strip_suffix('0').unwrap());
    world.remove(0, &key);
    world.replace(0, &ObjectKey::try_new(&beside).unwrap(), bytes);
    world.fail(1);
    world.fail(2);
    let repaired = repair(&world, &manifest).await;
    assert_eq!(repaired.unwrap_err().code(), "INSUFFICIENT_SHARES");
    world.heal();
    let pair = world.reader(&[0, 1]);
    assert!(get(&pair, &manifest).await.unwrap().0 == data);
    repair(&world, &manifest).await.unwrap();
    assert!(snapshot(&world) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn structure_alone_does_not_see_a_flipped_record_and_data_does() {
    let world = World::new(2, 3);
    let manifest = world.put(&payload(10 * CHUNK, 9)).await.manifest;
    Damage::FlippedRecord.happens_in_one_segment(&world, 1);
    assert_eq!(check(&world, &manifest, None).await.health(), Health::Whole);
    let mut seen = 0;
    for number in 1..=11 {
        let part = Subset::Part { number, of: 11 };
        let found = check(&world, &manifest, Some(part)).await;
        seen += usize::from(found.health() == Health::Degraded);
    }
    assert_eq!(seen, 1, "each part reads one chunk, and one is bad");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_or_expired_object_is_not_repaired() {
    let mut world = World::new(2, 3);
    let manifest = world.put_named("gone", &payload(100, 1)).await.manifest;
    let deletion = world.store().delete(&manifest).await.unwrap().manifest;
    let error = repair(&world, &deletion).await.unwrap_err();
    assert_eq!(error.code(), "OBJECT_NOT_FOUND");
    let error = repair(&world, &manifest).await.unwrap_err();
    assert_eq!(error.code(), "CONFLICT", "with the manifest from before");
    assert!(world.share_names().is_empty());

    let mut options = xstore::PutOptions::default();
    options.ttl_s = Some(10);
    let manifest = world
        .try_put(b"short-lived", options)
        .await
        .unwrap()
        .manifest;
    world.now += 10;
    let error = repair(&world, &manifest).await.unwrap_err();
    assert_eq!(error.code(), "MANIFEST_EXPIRED");
    let error = world
        .store()
        .check(&manifest, &CheckOptions::default())
        .await;
    assert_eq!(error.unwrap_err().code(), "MANIFEST_EXPIRED");
}

type Site = Arc<FaultyBackend<MemoryBackend>>;

/// Shows copies of a manifest at all backends as soon as something is written.
struct Meddler(Vec<(Site, BTreeMap<ObjectKey, Bytes>)>);

impl Observer for Meddler {
    fn progress(&self, event: &ProgressEvent) {
        if event.status == Status::Uploading {
            for (backend, objects) in &self.0 {
                let copies = objects
                    .iter()
                    .filter(|(key, _)| key.as_str().contains("/o/"));
                copies.for_each(|(key, bytes)| backend.inner().replace(key, bytes.clone()));
            }
        }
    }
}

/// Somebody replaces the object between the first look of a repair and its last: the old share that
/// the repair wrote does not stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_of_a_replaced_dealing_leaves_nothing_behind() {
    let world = World::new(2, 3);
    let old = world.put_named("genome", &payload(100, 1)).await.manifest;
    let before = snapshot(&world);
    world.put_named("genome", &payload(100, 2)).await;
    let after = snapshot(&world);
    for at in 0..3 {
        after[at].keys().for_each(|key| world.remove(at, key));
        before[at]
            .iter()
            .for_each(|(key, bytes)| world.replace(at, key, bytes.clone()));
    }
    let lost = world.segment(2).0;
    world.remove(2, &lost);
    let backends = world.backends.iter().cloned();
    let mut options = RepairOptions::default();
    options.observer = Some(Arc::new(Meddler(backends.zip(after).collect())));
    let outcome = world.store().repair(&old, &options).await;
    assert_eq!(outcome.unwrap_err().code(), "CONFLICT");
    assert!(!world.objects(2).contains_key(&lost));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_named_by_what_it_is() {
    let world = World::new(2, 3);
    let manifest = world.put(&payload(300 * CHUNK, 3)).await.manifest;
    Damage::IndexGone.happens(&world, 0);
    Damage::CopyFlipped.happens(&world, 1);
    Damage::IdentityGone.happens(&world, 2);
    let found = check(&world, &manifest, None).await;
    let named: Vec<(&str, Metadata, FaultReason)> = found
        .metadata
        .iter()
        .map(|fault| (fault.backend.as_str(), fault.what, fault.reason))
        .collect();
    assert_eq!(named.len(), 4, "{named:?}");
    let code = |at: usize| (named[at].0, named[at].1, named[at].2.code());
    assert_eq!(code(0), ("site-0", Metadata::Index, "SHARE_NOT_FOUND"));
    assert_eq!(
        code(1),
        ("site-1", Metadata::Manifest, "SHARE_INTEGRITY_FAILED")
    );
    assert_eq!(code(2), ("site-2", Metadata::Identity, "SHARE_NOT_FOUND"));
    assert_eq!(code(3), ("site-2", Metadata::Manifest, "SHARE_NOT_FOUND"));
    assert_eq!(found.least_good, 3, "no share is lost");
}
