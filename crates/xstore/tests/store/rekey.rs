//! A new root key: everything is found, read and changed as before, and what the old key makes after
//! that counts for nothing.

use std::sync::Arc;

use xstore::entropy::OsEntropy;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::testing::Fault;
use xstore::{BackendErrorKind, Effects, Error, Manifest, PutOptions, RekeyReport, names};

use crate::world::{World, get, payload, subsets};

/// The owner with a new root key; the same backends, memory and journal.
fn rekeyed(world: World) -> World {
    let old = RootKey::from_bytes([7; 32]);
    let new = old.replace(&OsEntropy).unwrap();
    World {
        keys: Arc::new(OwnerKeys::derive(&new)),
        ..world
    }
}

async fn rekey(world: &World, name: &str) -> Result<RekeyReport, Error> {
    let newest = world.store().find_name(name).await?.manifest;
    world.store().rekey(&newest).await
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_keep_names_and_shares_and_stay_deleted() {
    let data = payload(1000, 1);
    let world = World::new(2, 3);
    let first = world.put_named("genome", &data).await.manifest;
    let gone = world.put_named("gone", b"gone").await.manifest;
    let gone = world.store().delete(&gone).await.unwrap().manifest;
    let world = rekeyed(world);
    let found = world.store().find_name("genome").await.unwrap();
    assert_eq!(
        (found.manifest.hash(), found.first_sight),
        (first.hash(), false)
    );
    assert!(!world.store().is_current(&found.manifest).unwrap());
    let before = world.share_names();
    let second = world.store().rekey(&first).await.unwrap().manifest;
    assert_eq!(second.body().maker, world.keys.maker());
    assert_eq!(
        (second.body().version, second.body().previous),
        (2, Some(first.hash()))
    );
    assert_eq!(world.share_names(), before);
    let again = world.store().rekey(&second).await.unwrap().manifest;
    assert_eq!(again.hash(), second.hash(), "it is done");
    let deletion = world.store().rekey(&gone).await.unwrap().manifest;
    assert_eq!(deletion.body().maker, world.keys.maker());
    let error = world.store().find_name("gone").await.unwrap_err();
    assert_eq!(error.code(), "OBJECT_NOT_FOUND");
    let listed = world.store().list().await.unwrap().whole().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        listed[0].name.as_deref(),
        Some("genome"),
        "the name is remembered"
    );
    for pair in subsets(3, 2) {
        let found = world.reader(&pair).find_file(first.envelope()).await;
        let found = found.unwrap().manifest;
        assert_eq!(found.hash(), second.hash(), "by the old file");
        assert_eq!(get(&world.reader(&pair), &found).await.unwrap().0, data);
    }
    let foreign = world.another_client(&Arc::new(OwnerKeys::derive(&RootKey::from_bytes([9; 32]))));
    let error = foreign.store().rekey(&second).await.unwrap_err();
    assert_eq!(error.code(), "KEY_MISMATCH");
}

/// Whatever else is written to an object is written under the present key.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_made_under_the_present_key() {
    let world = World::new(2, 3);
    for name in ["renewed", "replaced", "deleted"] {
        world.put_named(name, b"data").await;
    }
    let world = rekeyed(world);
    let (store, keys) = (world.store(), &world.keys);
    let newest = async |name: &str| store.find_name(name).await.unwrap().manifest;
    let renewed = store
        .renew(&newest("renewed").await, None, Effects::Apply)
        .await;
    let replaced = world.put_named("replaced", b"more").await;
    let deleted = store.delete(&newest("deleted").await).await;
    let manifests = [
        renewed.unwrap().manifest,
        replaced.manifest,
        deleted.unwrap().manifest,
    ];
    for manifest in manifests {
        assert_eq!(
            (manifest.body().maker, manifest.body().version),
            (keys.maker(), 2)
        );
    }
    assert_eq!(world.share_names().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_key_makes_later_counts_for_nothing() {
    let world = World::new(2, 3);
    let old = Arc::clone(&world.keys);
    let first = world.put_named("genome", b"data").await.manifest;
    let world = rekeyed(world);
    let second = rekey(&world, "genome").await.unwrap().manifest;
    // The thief sees what the old key made, and follows it: twice, so with a higher version.
    let thief = world.another_client(&old);
    let mut theirs = first.clone();
    for _ in 0..2 {
        let store = thief.store();
        theirs = store
            .renew(&theirs, Some(1), Effects::Apply)
            .await
            .unwrap()
            .manifest;
    }
    assert_eq!(theirs.body().version, 3);
    let newcomer = world.another_client(&world.keys);
    for client in [&world, &newcomer] {
        let found = client.store().find_name("genome").await.unwrap().manifest;
        assert_eq!(found.hash(), second.hash());
        let siblings = client
            .store()
            .siblings(second.body().object_id)
            .await
            .unwrap();
        assert_eq!(siblings.len(), 1);
    }
    // Nor does it keep the owner from going on, wherever the thief is by now.
    let mut ours = vec![second];
    for version in 3..6 {
        ours.push(world.put_named("genome", b"data").await.manifest);
        assert_eq!(ours.last().unwrap().body().version, version);
    }
    let error = world.collect().await.unwrap_err();
    assert_eq!(
        error.code(),
        "MANIFEST_INVALID",
        "nothing is collected by a thief's word"
    );
    // Who has seen the new key is not led back by its absence; who has not cannot know.
    for at in 0..3 {
        for manifest in &ours {
            let (body, hash) = (manifest.body(), manifest.hash());
            let (_, place) = body.stored().nth(at).unwrap();
            let (tag, prefix) = (body.store_tag, place.manifest_prefix);
            world.remove(at, &names::manifest(tag, prefix, body.version, hash));
        }
    }
    let error = world.store().find_name("genome").await.unwrap_err();
    assert_eq!(error.code(), "ROLLBACK_DETECTED");
    let fresh = world.another_client(&world.keys);
    assert!(fresh.store().find_name("genome").await.unwrap().first_sight);
}

/// A put stopped after its first copy, and another installation rekeyed the version before: what was put
/// does not count, and its recovery waits for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_rekeying_overtook_is_undone() {
    let world = World::new(2, 3);
    world.put_named("genome", b"data").await;
    for plan in &world.plans[1..] {
        plan.set([Fault::FailEffects {
            effects: 1..u64::MAX,
            kind: BackendErrorKind::Unavailable,
        }]);
    }
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    let stopped = world.try_put(b"more", options).await.unwrap_err();
    assert_eq!(stopped.code(), "INSUFFICIENT_BACKENDS");
    world.heal();
    let world = rekeyed(world);
    let other = world.another_client(&world.keys);
    world.fail(0);
    let second = rekey(&other, "genome").await.unwrap().manifest;
    assert_eq!(second.body().version, 2);
    world.heal();
    let store = world.store();
    let report = store.recover(|_, _| panic!("it was told")).await.unwrap();
    assert!(report.postponed.is_empty(), "{:?}", report.postponed);
    let found = store.find_name("genome").await.unwrap().manifest;
    assert_eq!(found.hash(), second.hash());
    assert_eq!(get(&store, &found).await.unwrap().0, b"data");
    assert_eq!(world.share_names().len(), 3);
    expect_collected(&world, [1, 2, 2]).await;
}

/// A put and a rekeying of the version before, both stopped: what is recovered first stands, also for
/// who read it in between under the old key.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_recovered_under_a_replaced_key_stands() {
    let failing = |from| Fault::FailEffects {
        effects: from..u64::MAX,
        kind: BackendErrorKind::Unavailable,
    };
    for was_read in [false, true] {
        let world = World::new(2, 3);
        let first = world.put_named("genome", b"data").await.manifest;
        // The first effect is the share; the one after it the copy of the manifest, at most at site 0.
        for (at, plan) in world.plans.iter().enumerate() {
            plan.set([failing(if was_read && at == 0 { 2 } else { 1 })]);
        }
        let mut options = PutOptions::default();
        options.name = Some("genome".into());
        let stopped = world.try_put(b"more", options).await.unwrap_err();
        assert_eq!(stopped.code(), "INSUFFICIENT_BACKENDS");
        let world = rekeyed(world);
        let other = world.another_client(&world.keys);
        world.fail(0);
        world.plans[1..]
            .iter()
            .for_each(|plan| plan.set([failing(0)]));
        let stopped = other.store().rekey(&first).await.unwrap_err();
        assert_eq!(stopped.code(), "INSUFFICIENT_BACKENDS");
        world.heal();
        let reader = world.another_client(&world.keys);
        let found = reader.store().find_name("genome").await.unwrap().manifest;
        assert_eq!(found.hash() == first.hash(), !was_read);

        let mut told = Vec::new();
        let finished = |manifest: &Manifest, _: Option<&str>| {
            told.push(manifest.hash());
            Ok(())
        };
        let report = world.store().recover(finished).await.unwrap();
        assert!(report.postponed.is_empty(), "{:?}", report.postponed);
        let report = other.store();
        let report = report.recover(|_, _| panic!("it was told")).await.unwrap();
        assert!(report.postponed.is_empty(), "{:?}", report.postponed);
        for client in [&world, &other, &reader] {
            let store = client.store();
            let found = store.find_name("genome").await.unwrap().manifest;
            assert_eq!(told, [found.hash()]);
            assert!(store.is_current(&found).unwrap());
            assert_eq!(get(&store, &found).await.unwrap().0, b"more");
        }
        expect_collected(&world, [2; 3]).await;
    }
}

/// A collector takes nothing here for a thief's word, and leaves of each backend's manifests these: what
/// counts, where it came, and the version before.
async fn expect_collected(world: &World, copies: [usize; 3]) {
    world.collect().await.unwrap();
    let manifests = (0..3).map(|at| {
        let names = world.objects(at).into_keys();
        names.filter(|key| key.as_str().contains("/o/")).count()
    });
    assert!(manifests.eq(copies), "copies that are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekeying_stopped_at_any_effect_is_finished() {
    for at in 0..3 {
        for stop in 0..2 {
            let world = World::new(2, 3);
            world.put_named("genome", b"data").await;
            let world = rekeyed(world);
            world.plans[at].set([Fault::StopAt { effect: stop }]);
            let outcome = rekey(&world, "genome").await;
            world.heal();
            let report = world.store().recover(|_, _| Ok(())).await.unwrap();
            assert!(report.postponed.is_empty(), "{:?}", report.postponed);
            expect_current(&world, &format!("site {at}, effect {stop}: {outcome:?}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_that_are_down_refuse_or_postpone_it() {
    for down in 1..4 {
        for set in subsets(4, down) {
            let world = World::new(2, 4);
            world.put_named("genome", b"data").await;
            let world = rekeyed(world);
            set.iter().for_each(|&at| world.fail(at));
            let outcome = rekey(&world, "genome").await;
            assert_eq!(outcome.is_ok(), down == 1, "{set:?}: {outcome:?}");
            world.heal();
            world.store().recover(|_, _| Ok(())).await.unwrap();
            rekey(&world, "genome").await.unwrap();
            expect_current(&world, &format!("{set:?}")).await;
        }
    }
}

async fn expect_current(world: &World, what: &str) {
    let newest: Manifest = world.store().find_name("genome").await.unwrap().manifest;
    assert!(world.store().is_current(&newest).unwrap(), "{what}");
    assert_eq!(newest.body().version, 2, "{what}");
    assert_eq!(
        get(&world.store(), &newest).await.unwrap().0,
        b"data",
        "{what}"
    );
}
