//! A backend that is gone for good: nobody waits for it, its shares go elsewhere, and it counts as a
//! holder for ever.

use std::sync::Arc;

use xstore::placement::FailureDomain;
use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, Brake, CheckOptions, Effects, Error, GcOptions, Health, IfItAnswers,
    Manifest, Member, MemberState, MigrateOptions, PutOptions, RepairOptions, ShareSource,
    StorageBackend, Store, StoreBuilder, nothing_more,
};

use crate::world::{World, get, payload};

async fn retire(world: &World, label: &str) -> Result<(), Error> {
    let store = world.store();
    let retired = store.retire(label, "it burnt", IfItAnswers::Refuse, Effects::Apply);
    retired.await.map(|_| ())
}

/// The owner's store without some backends, in this zone each.
fn without(world: &World, gone: &[usize], zones: &[&str]) -> Store {
    let mut builder: StoreBuilder = Store::builder()
        .threshold(world.access)
        .keys(Arc::clone(&world.keys))
        .catalogue(Arc::clone(&world.catalogue));
    for (at, backend) in world.backends.iter().enumerate() {
        if gone.contains(&at) {
            continue;
        }
        let backend: Arc<dyn StorageBackend> = Arc::clone(backend) as _;
        let zone = zones.get(at).map(|zone| (*zone).to_owned());
        let domain = FailureDomain {
            zone,
            ..FailureDomain::default()
        };
        builder = builder.backend(backend, domain);
    }
    builder.build().unwrap()
}

async fn health(store: &Store, manifest: &Manifest) -> Health {
    let report = store.check(manifest, &CheckOptions::default()).await;
    report.unwrap().health()
}

fn states(members: &[Member]) -> Vec<(&str, &'static str)> {
    let word = |state: &MemberState| match state {
        MemberState::Answers => "answers",
        MemberState::New => "new",
        MemberState::Silent(_) => "silent",
        MemberState::Missing => "missing",
        MemberState::Retired(_) => "retired",
        _ => "other",
    };
    let mut states: Vec<_> = members
        .iter()
        .map(|member| (member.label.as_str(), word(&member.state)))
        .collect();
    states.sort_unstable();
    states
}

#[tokio::test(flavor = "multi_thread")]
async fn its_share_is_repaired_elsewhere_and_collection_goes_on() {
    let world = World::with_spares(2, 3, 1);
    let data = payload(1000, 1);
    let first = world.put_named("genome", &data).await.manifest;
    world.fail(1);
    let before = world
        .store()
        .repair(&first, &RepairOptions::default())
        .await;
    assert_eq!(before.unwrap().remaining.len(), 1, "it may come back");
    let error = collect(&without(&world, &[1], &[])).await.unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
    let members = world.store().members().await.unwrap();
    let new = ("site-3", "answers");
    assert_eq!(
        states(&members),
        [
            ("site-0", "answers"),
            ("site-1", "silent"),
            ("site-2", "answers"),
            new
        ]
    );

    let preview = world.store();
    let preview = preview.retire("site-1", "why", IfItAnswers::Refuse, Effects::Preview);
    preview.await.unwrap();
    assert_eq!(health(&world.store(), &first).await, Health::Degraded);
    retire(&world, "site-1").await.unwrap();
    retire(&world, "site-1").await.unwrap();
    assert_eq!(
        world.catalogue.retired().unwrap().len(),
        1,
        "once is enough"
    );

    let store = without(&world, &[1], &[]);
    collect(&store).await.unwrap();
    let report = store
        .repair(&first, &RepairOptions::default())
        .await
        .unwrap();
    assert_eq!(report.placed, [(1, "site-3".to_owned())]);
    assert!(report.remaining.is_empty(), "{:?}", report.remaining);
    let second = report.manifest.unwrap();
    assert_eq!(health(&store, &second).await, Health::Whole);
    let held: Vec<u8> = second.body().held.iter().map(|held| held.index).collect();
    assert_eq!(held, [0, 1, 2, 1], "it counts for ever");
    collect(&store).await.unwrap();
    assert_eq!(get(&store, &second).await.unwrap().0, data);
    let deleted = store.delete(&second).await.unwrap();
    assert!(deleted.pending.is_empty(), "{:?}", deleted.pending);
}

async fn collect(store: &Store) -> Result<(), Error> {
    let mut options = GcOptions::default();
    options.brake = Brake::Lifted;
    store.gc(&options).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_is_retired_on_request_only_and_never_used_again() {
    let world = World::with_spares(2, 3, 1);
    let first = world.put_named("genome", b"data").await.manifest;
    let code = |outcome: Result<(), Error>| outcome.unwrap_err().code();
    assert_eq!(code(retire(&world, "site-1").await), "CONFLICT");
    assert_eq!(code(retire(&world, "nobody").await), "INVALID_CONFIG");
    assert!(world.catalogue.retired().unwrap().is_empty());
    let before = world.objects(1);
    let store = world.store();
    let uid = first.body().stored().nth(1).unwrap().1.backend.to_string();
    let retired = store.retire(&uid, "sold", IfItAnswers::Retire, Effects::Apply);
    assert_eq!(retired.await.unwrap().label, "site-1");
    for store in [&store, &world.store()] {
        assert_eq!(health(store, &first).await, Health::Degraded);
    }
    let repaired = store
        .repair(&first, &RepairOptions::default())
        .await
        .unwrap();
    assert_eq!(repaired.placed, [(1, "site-3".to_owned())]);
    let mut options = MigrateOptions::default();
    options.source = ShareSource::Others;
    let second = repaired.manifest.unwrap();
    let back = store.migrate(&second, "site-3", "site-1", &options);
    assert_eq!(back.await.unwrap_err().code(), "BACKEND_UNAVAILABLE");
    let put = world.put_named("other", b"data").await.manifest;
    assert!(put.body().stored().all(|(_, at)| at.label != "site-1"));
    assert_eq!(world.objects(1), before);
}

/// A zone whose backend is gone still has what it was sent, also when no manifest names it any more.
#[tokio::test(flavor = "multi_thread")]
async fn the_zone_of_one_that_is_gone_still_counts() {
    for (zone, code) in [("US", Some("ZONE_QUORUM")), ("BR", None)] {
        let world = World::with_spares(2, 3, 2);
        let zones = ["EEA", "US", "CA", "JP", zone];
        let mut source: &[u8] = b"data";
        let mut last = nothing_more;
        let store = without(&world, &[3, 4], &zones);
        let put = store.put(&mut source, PutOptions::default(), &mut last);
        let first = put.await.unwrap().manifest;
        world.fail(1);
        retire(&world, "site-1").await.unwrap();
        let store = without(&world, &[1, 4], &zones);
        let repaired = store.repair(&first, &RepairOptions::default()).await;
        let second = repaired.unwrap().manifest.unwrap();
        let store = without(&world, &[1], &zones);
        let options = MigrateOptions::default();
        let moved = store.migrate(&second, "site-2", "site-4", &options).await;
        assert_eq!(moved.err().map(|error| error.code()), code, "{zone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_entry_no_longer_waits_for_it() {
    let world = World::with_spares(2, 3, 1);
    let first = world.put_named("genome", b"data").await.manifest;
    world.fail(1);
    let deleted = world.store().delete(&first).await.unwrap();
    assert_eq!(deleted.pending, ["site-1"]);
    let waiting = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert_eq!(waiting.postponed.len(), 1);
    retire(&world, "site-1").await.unwrap();
    let ended = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert!(ended.postponed.is_empty(), "{:?}", ended.postponed);
}

/// A put stopped before any copy of its manifest stood, and another one took its version: whether one
/// stood at the backend that is gone does not matter any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_overtaken_put_no_longer_waits_for_it() {
    let world = World::with_spares(2, 3, 1);
    let first = world.put_named("genome", b"data").await.manifest;
    for plan in &world.plans {
        plan.set([Fault::FailEffects {
            effects: 1..u64::MAX,
            kind: BackendErrorKind::Unavailable,
        }]);
    }
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    let stopped = world.try_put(b"more", options).await;
    assert_eq!(stopped.unwrap_err().code(), "INSUFFICIENT_BACKENDS");
    world.heal();
    let other = world.another_client(&world.keys);
    let taken = other.put_named("genome", b"other").await.manifest;
    let (_, gone) = first.body().stored().nth(1).unwrap();
    let at = gone.label.strip_prefix("site-").unwrap().parse().unwrap();
    world.fail(at);
    let waiting = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert_eq!(waiting.postponed.len(), 1);
    retire(&world, &gone.label).await.unwrap();
    let ended = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert!(ended.postponed.is_empty(), "{:?}", ended.postponed);
    let found = world.store().find_name("genome").await.unwrap().manifest;
    assert_eq!(found.hash(), taken.hash());
}

/// A stop at any effect of the repair that places its share: it is placed, or a later repair does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_stopped_at_any_effect_is_done_later() {
    let data = payload(100, 2);
    for at in [0, 2, 3] {
        for stop in 0..4 {
            let world = World::with_spares(2, 3, 1);
            world.put_named("genome", &data).await;
            world.fail(1);
            retire(&world, "site-1").await.unwrap();
            let repair = async |world: &World| {
                let now = world.store().find_name("genome").await?.manifest;
                world.store().repair(&now, &RepairOptions::default()).await
            };
            world.plans[at].set([Fault::StopAt { effect: stop }]);
            let outcome = repair(&world).await;
            world.plans[at].set([]);
            let report = world.store().recover(|_, _| Ok(())).await.unwrap();
            let what = format!("site {at}, effect {stop}: {outcome:?}");
            assert!(
                report.postponed.is_empty(),
                "{what}: {:?}",
                report.postponed
            );
            repair(&world).await.unwrap();
            let now = world.store().find_name("genome").await.unwrap().manifest;
            assert_eq!(health(&world.store(), &now).await, Health::Whole, "{what}");
            assert_eq!(get(&world.store(), &now).await.unwrap().0, data, "{what}");
        }
    }
}
