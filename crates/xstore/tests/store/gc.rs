//! Collection of what no manifest names: what is marked, what waits, what stops it, and its brake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use xstore::clock::{Clock, FixedClock};
use xstore::journal::Journal;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::memory::MemoryBackend;
use xstore::placement::FailureDomain;
use xstore::testing::{Fault, FaultyBackend, Plan};
use xstore::{
    AccessStructure, BackendErrorKind, Brake, Effects, Error, GcAction, GcOptions, GcReport,
    Manifest, ObjectKey, PutOptions, Store, StoreBuilder, names, nothing_more,
};

use crate::model::Hands;
use crate::world::{CHUNK, get, payload};

pub(crate) const DAY_S: u64 = 24 * 3600;

pub(crate) struct World {
    pub(crate) hands: Arc<Hands>,
    pub(crate) plans: Vec<Plan>,
    /// Stands in front of all backends at once.
    pub(crate) together: Plan,
    backends: Vec<Arc<FaultyBackend<MemoryBackend>>>,
    keys: Arc<OwnerKeys>,
}

impl World {
    pub(crate) fn new() -> Self {
        let hands = Hands::new();
        let plans: Vec<Plan> = (0..3).map(|_| Plan::new([])).collect();
        let backend = |(at, plan): (usize, &Plan)| {
            let clock: Arc<dyn Clock> = Arc::clone(&hands) as _;
            let memory = MemoryBackend::new(format!("site-{at}")).with_clock(clock);
            Arc::new(FaultyBackend::new(memory, plan.clone()))
        };
        Self {
            backends: plans.iter().enumerate().map(backend).collect(),
            plans,
            together: Plan::default(),
            hands,
            keys: Arc::new(OwnerKeys::derive(&RootKey::from_bytes([7; 32]))),
        }
    }

    fn store_at(&self, clock: Arc<dyn Clock>) -> Store {
        self.builder(clock).build().unwrap()
    }

    pub(crate) fn builder(&self, clock: Arc<dyn Clock>) -> StoreBuilder {
        let builder = Store::builder()
            .chunk_len(u32::try_from(CHUNK).unwrap())
            .threshold(AccessStructure::try_new(2, 3).unwrap())
            .keys(Arc::clone(&self.keys))
            .clock(clock);
        self.backends.iter().fold(builder, |builder, backend| {
            let backend = FaultyBackend::new(Arc::clone(backend), self.together.clone());
            builder.backend(Arc::new(backend), FailureDomain::default())
        })
    }

    fn store(&self) -> Store {
        self.store_at(Arc::clone(&self.hands) as _)
    }

    pub(crate) async fn put(&self, name: &str, ttl_s: Option<u64>) -> Manifest {
        let mut options = PutOptions::default();
        options.name = Some(name.into());
        options.ttl_s = ttl_s;
        let (data, store) = (payload(100, 3), self.store());
        let receipt = store.put(&mut &data[..], options, &mut nothing_more).await;
        receipt.unwrap().manifest
    }

    /// A put whose writer and journal are gone: its shares are there, and no manifest.
    pub(crate) async fn orphan(&self) -> Vec<ObjectKey> {
        let before = self.shares();
        for plan in &self.plans {
            let kind = BackendErrorKind::Unavailable;
            // The identity is there; the segment is stored, and then nothing is any more.
            plan.set([Fault::FailEffects {
                effects: 1..u64::MAX,
                kind,
            }]);
        }
        let data = payload(100, 4);
        let store = self.store();
        store
            .put(&mut &data[..], PutOptions::default(), &mut nothing_more)
            .await
            .unwrap_err();
        self.plans.iter().for_each(|plan| plan.set([]));
        let mut after = self.shares();
        after.retain(|key| !before.contains(key));
        assert_eq!(after.len(), 3, "one segment at each backend");
        after
    }

    fn names(&self) -> Vec<ObjectKey> {
        let all = self.backends.iter();
        all.flat_map(|backend| backend.inner().snapshot().into_keys())
            .collect()
    }

    pub(crate) fn shares(&self) -> Vec<ObjectKey> {
        let mut names = self.names();
        names.retain(|key| key.as_str().contains("/s/"));
        names
    }

    async fn gc(&self) -> GcReport {
        self.store().gc(&unbraked()).await.unwrap()
    }
}

pub(crate) fn unbraked() -> GcOptions {
    let mut options = GcOptions::default();
    options.brake = Brake::Lifted;
    options
}

fn preview() -> GcOptions {
    let mut options = unbraked();
    options.effects = Effects::Preview;
    options
}

fn actions(report: &GcReport) -> BTreeMap<GcAction, usize> {
    let mut actions = BTreeMap::new();
    for step in &report.steps {
        *actions.entry(step.action).or_default() += 1;
    }
    actions
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_marked_after_one_grace_and_removed_after_two() {
    let world = World::new();
    let manifest = world.put("genome", None).await;
    let orphan = world.orphan().await;
    assert_eq!(actions(&world.gc().await), [(GcAction::Wait, 3)].into());
    world.hands.advance(DAY_S);
    let before = world.names();
    let previewed = world.store().gc(&preview()).await.unwrap();
    assert_eq!(
        world.names(),
        before,
        "a preview leaves everything as it was"
    );
    let marked = world.gc().await;
    assert_eq!(marked, previewed);
    assert_eq!(actions(&marked), [(GcAction::Mark, 3)].into());
    let tombs = world.shares().into_iter();
    assert_eq!(
        tombs.filter(|key| key.as_str().contains("/tomb/")).count(),
        3
    );
    world.hands.advance(DAY_S - 1);
    assert_eq!(actions(&world.gc().await), [(GcAction::Wait, 3)].into());
    assert!(orphan.iter().all(|key| world.names().contains(key)));
    world.hands.advance(1);
    assert_eq!(actions(&world.gc().await), [(GcAction::Remove, 3)].into());
    assert_eq!(world.shares().len(), 3, "those of the object are left");
    let (restored, report) = get(&world.store(), &manifest).await.unwrap();
    assert_eq!(restored, payload(100, 3));
    assert!(report.faults.is_empty());
    assert_eq!(world.gc().await.steps, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brake_stops_before_anything_is_deleted_and_can_be_lifted() {
    let world = World::new();
    world.put("genome", None).await;
    world.orphan().await;
    world.hands.advance(DAY_S);
    world.gc().await;
    world.hands.advance(DAY_S);
    let before = world.names();
    let error = world.store().gc(&GcOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "GC_BRAKE");
    assert!(matches!(
        error,
        Error::GcBrake {
            would_delete: 6,
            objects: 12
        }
    ));
    assert_eq!(world.names(), before);
    world.gc().await;
    // One of ten and more is within it: versions that nobody goes back to.
    for version in 2..=10 {
        world.put("genome", None).await;
        let report = world.store().gc(&preview()).await.unwrap();
        let old = actions(&report).get(&GcAction::RemoveManifest).copied();
        assert_eq!(old.unwrap_or(0), (version - 1usize).saturating_sub(1) * 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backend_or_manifest_missing_stops_everything() {
    let world = World::new();
    let manifest = world.put("genome", None).await;
    world.orphan().await;
    world.hands.advance(DAY_S);
    world.gc().await;
    world.hands.advance(DAY_S);
    let before = world.names();
    let (_, at) = manifest.body().stored().nth(1).unwrap();
    let tag = manifest.body().store_tag;
    let name = names::manifest(tag, at.manifest_prefix, 1, manifest.hash());

    world.plans[1].set([Fault::FailCalls {
        calls: 0..u64::MAX,
        kind: BackendErrorKind::Unavailable,
    }]);
    let error = world.store().gc(&unbraked()).await.unwrap_err();
    assert!(error.to_string().contains("site-1"), "{error}");
    world.plans[1].set([]);

    let fewer = Store::builder()
        .keys(Arc::clone(&world.keys))
        .clock(Arc::clone(&world.hands) as _);
    let fewer = [0, 2].iter().fold(fewer, |builder, at| {
        let backend = Arc::clone(&world.backends[*at]) as _;
        builder.backend(backend, FailureDomain::default())
    });
    let error = fewer.build().unwrap().gc(&unbraked()).await.unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
    assert!(error.to_string().contains("site-1"), "{error}");

    let good = world.backends[1].inner().remove(&name).unwrap();
    world.backends[1].inner().replace(&name, "no manifest");
    let error = world.store().gc(&unbraked()).await.unwrap_err();
    assert_eq!(error.code(), "MANIFEST_INVALID");
    assert!(error.to_string().contains(name.as_str()), "{error}");
    world.backends[1].inner().replace(&name, good);

    let id = names::backend_uid(tag);
    let uid = world.backends[1].inner().remove(&id).unwrap();
    let error = world.store().gc(&unbraked()).await.unwrap_err();
    let Error::InsufficientBackends { failures, .. } = error else {
        panic!("{error}");
    };
    let cause = failures[0].source.as_ref().unwrap().to_string();
    assert_eq!(cause, "it has lost its identity");
    world.backends[1].inner().replace(&id, uid);

    assert_eq!(world.names(), before);
    let removed = actions(&world.gc().await);
    assert_eq!(removed, [(GcAction::Remove, 3)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_and_a_short_grace_are_refused() {
    let world = World::new();
    world.put("genome", None).await;
    let ahead = FixedClock(world.hands.now_unix_s() + 301);
    let ahead = world.store_at(Arc::new(ahead));
    let error = ahead.gc(&unbraked()).await.unwrap_err();
    assert_eq!(error.code(), "INVALID_CONFIG");
    let near = FixedClock(world.hands.now_unix_s() + 300);
    let near = world.store_at(Arc::new(near));
    near.gc(&unbraked()).await.unwrap();
    let mut short = unbraked();
    short.grace = Duration::from_secs(7199);
    let error = world.store().gc(&short).await.unwrap_err();
    assert_eq!(error.code(), "INVALID_CONFIG");
    short.grace = Duration::from_secs(7200);
    world.store().gc(&short).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_new_to_the_owner_stops_nothing() {
    let world = World::new();
    world.put("genome", None).await;
    let clock: Arc<dyn Clock> = Arc::clone(&world.hands) as _;
    let new = MemoryBackend::new("new").with_clock(Arc::clone(&clock));
    let builder = world.builder(clock);
    let builder = builder.backend(Arc::new(new), FailureDomain::default());
    let report = builder.build().unwrap().gc(&unbraked()).await.unwrap();
    assert_eq!(report.steps, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_nobody_goes_back_to_are_removed() {
    let world = World::new();
    for _ in 0..3 {
        world.put("genome", None).await;
    }
    let manifests = || {
        let names = world.names().into_iter();
        names.filter(|key| key.as_str().contains("/o/")).count()
    };
    assert_eq!(manifests(), 9);
    let removed = actions(&world.gc().await);
    assert_eq!(removed, [(GcAction::RemoveManifest, 3)].into());
    assert_eq!(manifests(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_object_is_deleted_a_grace_later() {
    let world = World::new();
    world.put("genome", Some(3600)).await;
    world.hands.advance(3600 + DAY_S - 1);
    assert_eq!(world.gc().await.steps, []);
    world.hands.advance(1);
    assert_eq!(actions(&world.gc().await), [(GcAction::Expire, 1)].into());
    assert!(world.shares().is_empty());
    let error = world.store().find_name("genome").await.unwrap_err();
    assert_eq!(error.code(), "OBJECT_NOT_FOUND");
    assert_eq!(world.gc().await.steps, [], "the deletion stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deletion_left_goes_and_tombs_of_what_lives_go() {
    let world = World::new();
    let manifest = world.put("genome", None).await;
    let other = world.put("other", None).await;
    let tag = manifest.body().store_tag;
    let places = |manifest: &Manifest, at: usize| {
        let mut stored = manifest.body().stored();
        stored.nth(at).unwrap().1.share_prefix
    };
    let segment = names::segment(tag, places(&manifest, 0), 0, 0);
    let bytes = world.backends[0].inner().snapshot()[&segment].clone();
    world.store().delete(&manifest).await.unwrap();
    world.backends[0].inner().replace(&segment, bytes);
    let tomb = names::tomb(tag, places(&other, 2));
    world.backends[2].inner().replace(&tomb, "tomb");
    assert_eq!(
        actions(&world.gc().await),
        [(GcAction::Wait, 1)].into(),
        "the manifest of the marked one is too young to be sure that every collector saw it"
    );
    world.hands.advance(DAY_S);
    let steps = actions(&world.gc().await);
    assert_eq!(steps, [(GcAction::Mark, 1), (GcAction::Unmark, 1)].into());
    world.hands.advance(DAY_S);
    assert_eq!(actions(&world.gc().await), [(GcAction::Remove, 1)].into());
    assert_eq!(world.shares().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_keeps_shares_from_being_marked() {
    let world = World::new();
    world.put("genome", None).await;
    let orphan = world.orphan().await;
    world.hands.advance(DAY_S);
    for (backend, share) in world.backends.iter().zip(&orphan) {
        let (prefix, _) = names::parse_share(world.keys.store_tag(), share).unwrap();
        let lease = names::lease(world.keys.store_tag(), prefix, 23);
        backend.inner().replace(&lease, "lease");
    }
    assert_eq!(actions(&world.gc().await), [(GcAction::Wait, 3)].into());
    world.hands.advance(DAY_S);
    assert_eq!(actions(&world.gc().await), [(GcAction::Mark, 3)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_machine_works_at_is_left_alone_however_long_it_takes() {
    let world = World::new();
    world.put("genome", None).await;
    let folder = tempfile::tempdir().unwrap();
    let journalled = || {
        let builder = world.builder(Arc::clone(&world.hands) as _);
        let builder = builder.journal(Journal::new(folder.path()));
        builder.build().unwrap()
    };
    let segment_len = CHUNK * 256;
    let data = payload(segment_len + 1, 6);
    let (mut writer, mut reader) = tokio::io::duplex(segment_len);
    let store = journalled();
    let put = async {
        store
            .put(&mut reader, PutOptions::default(), &mut nothing_more)
            .await
            .unwrap()
    };
    let meanwhile = async {
        use tokio::io::AsyncWriteExt as _;
        writer.write_all(&data).await.unwrap();
        while world.shares().len() < 6 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.hands.advance(DAY_S);
        let here = journalled().gc(&unbraked()).await.unwrap();
        let elsewhere = world.store().gc(&preview()).await.unwrap();
        drop(writer);
        (here, elsewhere)
    };
    let (receipt, (here, elsewhere)) = tokio::join!(put, meanwhile);
    assert_eq!(here.steps, []);
    assert_eq!(actions(&elsewhere), [(GcAction::Mark, 3)].into());
    let (restored, _) = get(&world.store(), &receipt.manifest).await.unwrap();
    assert!(restored == data);
}

/// A source that takes an hour for each of its segments.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_put_says_every_hour_that_it_is_at_work() {
    let world = World::new();
    let segment_len = CHUNK * 256;
    let data = payload(3 * segment_len, 5);
    let (mut writer, mut reader) = tokio::io::duplex(segment_len);
    let store = world.store();
    let put = async {
        store
            .put(&mut reader, PutOptions::default(), &mut nothing_more)
            .await
            .unwrap();
    };
    let slow = async {
        use tokio::io::AsyncWriteExt as _;
        for part in data.chunks(segment_len) {
            writer.write_all(part).await.unwrap();
            world.hands.advance(3600);
        }
        drop(writer);
    };
    tokio::join!(put, slow);
    let names = world.shares().into_iter();
    let leases = names.filter(|key| key.as_str().contains("/lease/")).count();
    assert!(leases >= 3, "{leases} leases at three backends");
}

/// The journal of the client that refreshed is lost: whoever collects ends what it began.
#[tokio::test(flavor = "multi_thread")]
async fn old_shares_of_a_refresh_go_after_their_day_whoever_collects() {
    let world = World::new();
    let old = world.put("genome", None).await;
    let before = world.shares();
    let options = xstore::RefreshOptions::default();
    let report = world.store().refresh(&old, &options).await.unwrap();
    let new = report.receipt.unwrap().manifest;
    for day in 0..4 {
        let expected: &[(GcAction, usize)] = match day {
            // A day for readers; then the grace of the tomb.
            1 => &[(GcAction::Mark, 3)],
            2 => &[(GcAction::Remove, 3)],
            _ => &[],
        };
        let expected = expected.iter().copied().collect();
        assert_eq!(actions(&world.gc().await), expected, "day {day}");
        world.hands.advance(DAY_S);
    }
    let left = world.shares();
    assert!(before.iter().all(|share| !left.contains(share)));
    assert_eq!(get(&world.store(), &new).await.unwrap().0, payload(100, 3));
}

/// A writer whose own shares a collector touched goes back to the version before: its shares stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_lacks_a_share_keeps_its_predecessor() {
    let world = World::new();
    let old = world.put("genome", None).await;
    let before = world.shares();
    let options = xstore::RefreshOptions::default();
    let report = world.store().refresh(&old, &options).await.unwrap();
    let new = report.receipt.unwrap().manifest;
    let (_, at) = new.body().stored().next().unwrap();
    let own = format!("/s/{}/", at.share_prefix);
    let lost = world.shares().into_iter();
    let lost = lost.filter(|key| key.as_str().contains(&own));
    for key in lost {
        world.backends[0].inner().remove(&key);
    }
    for _ in 0..4 {
        world.gc().await;
        world.hands.advance(DAY_S);
    }
    let left = world.shares();
    assert!(before.iter().all(|share| left.contains(share)));
}
