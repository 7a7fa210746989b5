//! A share moves to another backend: the same bytes, never more than one share in one hand, and a
//! manifest that every reader finds.

use std::collections::BTreeSet;

use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, CheckOptions, Effects, Error, Health, Manifest, MigrateOptions,
    MigrateReport, ShareSource, Subset,
};

use crate::world::{CHUNK, MODES, World, get, payload, subsets};

async fn migrate(
    world: &World,
    manifest: &Manifest,
    (from, to): (usize, usize),
    source: ShareSource,
) -> Result<MigrateReport, Error> {
    let mut options = MigrateOptions::default();
    options.source = source;
    let (from, to) = (format!("site-{from}"), format!("site-{to}"));
    world.store().migrate(manifest, &from, &to, &options).await
}

async fn health(world: &World, manifest: &Manifest) -> Health {
    let mut options = CheckOptions::default();
    options.data = Some(Subset::All);
    world
        .store()
        .check(manifest, &options)
        .await
        .unwrap()
        .health()
}

/// Bytes of the share objects at one backend, whatever their names.
fn shares(world: &World, at: usize) -> BTreeSet<Vec<u8>> {
    let objects = world.objects(at).into_iter();
    let shares = objects.filter(|(key, _)| key.as_str().contains("/s/"));
    shares.map(|(_, bytes)| bytes.to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_moves_with_the_same_bytes_and_leaves_nothing_behind() {
    for mode in MODES {
        let data = payload(300 * CHUNK, 1);
        for source in [ShareSource::Holder, ShareSource::Others] {
            let world = World::with_spares(2, 3, 1).in_mode(mode);
            let first = world.put_named("genome", &data).await.manifest;
            let before = shares(&world, 1);
            let report = migrate(&world, &first, (1, 3), source).await.unwrap();
            assert!(report.pending.is_empty());
            let second = report.manifest;
            assert_eq!(shares(&world, 3), before, "{source:?}");
            assert!(shares(&world, 1).is_empty());
            assert_eq!(health(&world, &second).await, Health::Whole);
            let held: Vec<u8> = second.body().held.iter().map(|held| held.index).collect();
            assert_eq!(held, [0, 1, 2, 1], "the old holder counts for ever");
            for pair in subsets(4, 2) {
                let found = world
                    .reader(&pair)
                    .find_file(first.envelope())
                    .await
                    .unwrap();
                if pair != [1, 3] {
                    assert_eq!(found.manifest.hash(), second.hash(), "{pair:?}");
                }
            }
            assert_eq!(get(&world.reader(&[0, 3]), &second).await.unwrap().0, data);
        }
    }
}

/// The share is read where it is and nowhere else: no other share is touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_copied_without_a_second_one() {
    let world = World::with_spares(2, 3, 1);
    let manifest = world
        .put_named("genome", &payload(300 * CHUNK, 2))
        .await
        .manifest;
    world.heal();
    migrate(&world, &manifest, (1, 3), ShareSource::Holder)
        .await
        .unwrap();
    let read: Vec<u64> = world
        .plans
        .iter()
        .map(|plan| plan.counts().read_bytes)
        .collect();
    assert!(read[1] > 300 * CHUNK as u64, "{read:?}");
    assert!(read[0] < 10_000 && read[2] < 10_000, "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_share_moves_by_way_of_the_others() {
    for mode in MODES {
        let data = payload(3 * CHUNK, 3);
        let world = World::with_spares(2, 3, 1).in_mode(mode);
        let manifest = world.put_named("genome", &data).await.manifest;
        world.fail(1);
        let error = migrate(&world, &manifest, (1, 3), ShareSource::Holder)
            .await
            .unwrap_err();
        assert_eq!(error.code(), "INSUFFICIENT_SHARES");
        // The try counts the new backend as a holder, in a version of its own.
        let manifest = world.store().find_name("genome").await.unwrap().manifest;
        let report = migrate(&world, &manifest, (1, 3), ShareSource::Others)
            .await
            .unwrap();
        assert_eq!(
            report.pending,
            ["site-1"],
            "what it has is removed when it is back"
        );
        let second = report.manifest;
        assert_eq!(health(&world, &second).await, Health::Whole);
        world.heal();
        let recovered = world.store().recover(|_, _| Ok(())).await.unwrap();
        assert!(recovered.postponed.is_empty(), "{:?}", recovered.postponed);
        assert!(shares(&world, 1).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backend_is_never_sent_two_indices() {
    let world = World::with_spares(2, 3, 1);
    let first = world.put_named("genome", b"data").await.manifest;
    let refused = |outcome: Result<MigrateReport, Error>| outcome.unwrap_err().code();
    let to_holder = migrate(&world, &first, (0, 1), ShareSource::Holder).await;
    assert_eq!(refused(to_holder), "INVALID_CONFIG");
    let second = migrate(&world, &first, (1, 3), ShareSource::Holder)
        .await
        .unwrap()
        .manifest;
    let other = migrate(&world, &second, (0, 1), ShareSource::Holder).await;
    assert_eq!(refused(other), "INVALID_CONFIG", "it had share 1 before");
    let stale = migrate(&world, &first, (0, 3), ShareSource::Holder).await;
    assert_eq!(refused(stale), "CONFLICT", "not the newest manifest");
    let back = migrate(&world, &second, (3, 1), ShareSource::Holder)
        .await
        .unwrap();
    assert_eq!(health(&world, &back.manifest).await, Health::Whole);
    assert_eq!(back.manifest.body().held.len(), 4);
}

/// A backend may keep what it was sent, also when the rest never came: it counts as a holder.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_to_which_a_move_failed_gets_no_other_share() {
    let world = World::with_spares(2, 2, 1);
    let data = payload(300 * CHUNK, 6);
    let first = world.put_named("genome", &data).await.manifest;
    let kind = BackendErrorKind::Unavailable;
    // The first segment is stored, the second is not.
    world.plans[2].set([Fault::FailEffects {
        effects: 1..2,
        kind,
    }]);
    let failed = migrate(&world, &first, (1, 2), ShareSource::Holder).await;
    assert_eq!(failed.unwrap_err().code(), "BACKEND_UNAVAILABLE");
    world.heal();
    let now = world.store().find_name("genome").await.unwrap().manifest;
    let other = migrate(&world, &now, (0, 2), ShareSource::Holder).await;
    assert_eq!(other.unwrap_err().code(), "INVALID_CONFIG");
    let again = migrate(&world, &now, (1, 2), ShareSource::Holder).await;
    assert_eq!(
        health(&world, &again.unwrap().manifest).await,
        Health::Whole
    );
}

/// A stop at any effect at the new backend or the old one: afterwards the share is at exactly one of
/// the two, whole, and what the manifest says is true.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_stopped_at_any_effect_is_done_or_undone() {
    let data = payload(300 * CHUNK, 4);
    let mut stops = 0;
    for at in [0, 1, 3] {
        for stop in 0.. {
            let world = World::with_spares(2, 3, 1);
            let first = world.put_named("genome", &data).await.manifest;
            world.plans[at].set([Fault::StopAt { effect: stop }]);
            let outcome = migrate(&world, &first, (1, 3), ShareSource::Holder).await;
            let stopped = world.plans[at].counts().effects > stop;
            world.heal();
            let report = world.store().recover(|_, _| Ok(())).await.unwrap();
            assert!(report.postponed.is_empty(), "{:?}", report.postponed);
            let what = format!("site {at}, effect {stop}");
            let now = world.store().find_name("genome").await.unwrap().manifest;
            let (old, new) = (shares(&world, 1).len(), shares(&world, 3).len());
            let moved = now.body().version == 3;
            assert!(moved || outcome.is_err(), "{what}");
            assert_eq!((old, new), if moved { (0, 3) } else { (3, 0) }, "{what}");
            // A copy of the manifest may be missing where the stop was; no share is.
            let found = world.store().check(&now, &CheckOptions::default()).await;
            assert_eq!(found.unwrap().least_good, 3, "{what}");
            assert_eq!(get(&world.store(), &now).await.unwrap().0, data, "{what}");
            stops += 1;
            if !stopped {
                break;
            }
        }
    }
    assert!(stops >= 10, "{stops}");
}

/// A removal that waited for its backend, and one that was stopped, come back when the share has
/// returned there: they leave it alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_removal_takes_nothing_that_a_later_version_names() {
    let data = payload(300 * CHUNK, 5);
    let world = World::with_spares(2, 3, 1);
    let first = world.put_named("genome", &data).await.manifest;
    // Away from site 1, which fails before its old share is removed: the removal waits.
    world.fail(1);
    let away = migrate(&world, &first, (1, 3), ShareSource::Others)
        .await
        .unwrap();
    assert_eq!(away.pending, ["site-1"]);
    world.heal();
    // A first try to go back is stopped in the middle, and nothing of it can be undone yet.
    world.plans[1].set([Fault::StopAt { effect: 1 }]);
    let stopped = migrate(&world, &away.manifest, (3, 1), ShareSource::Holder).await;
    assert!(stopped.is_err());
    world.heal();
    let back = migrate(&world, &away.manifest, (3, 1), ShareSource::Holder)
        .await
        .unwrap();
    assert_eq!(health(&world, &back.manifest).await, Health::Whole);
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert_eq!((report.recovered.len(), report.postponed.len()), (2, 0));
    assert_eq!(health(&world, &back.manifest).await, Health::Whole);
    assert_eq!(
        get(&world.reader(&[0, 1]), &back.manifest).await.unwrap().0,
        data
    );
}

/// A preview refuses what would be refused, and writes nothing: no identity either, at a backend that
/// is new to the owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_would_happen_and_changes_nothing() {
    let world = World::with_spares(2, 3, 1);
    let first = world.put_named("genome", b"data").await.manifest;
    world.objects(3).keys().for_each(|key| world.remove(3, key));
    let mut options = MigrateOptions::default();
    options.effects = Effects::Preview;
    let preview = |manifest: Manifest, from: &'static str, to: &'static str| {
        let (store, options) = (world.store(), options.clone());
        async move { store.migrate(&manifest, from, to, &options).await }
    };
    let report = preview(first.clone(), "site-1", "site-3").await.unwrap();
    assert_eq!((report.index, report.manifest.hash()), (1, first.hash()));
    assert_eq!(shares(&world, 1).len(), 1);
    assert!(world.objects(3).is_empty());
    let second = migrate(&world, &first, (1, 3), ShareSource::Holder).await;
    let second = second.unwrap().manifest;
    let refused = preview(second, "site-0", "site-1").await.unwrap_err();
    assert_eq!(refused.code(), "INVALID_CONFIG", "it had share 1 before");
}
