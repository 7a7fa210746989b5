//! Puts with backends that fail: a spare steps in, or fewer shares are stored on request, or nothing is.

use std::collections::BTreeSet;
use std::sync::Arc;

use xstore::placement::FailureDomain;
use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, CheckOptions, Effects, Error, Freshness, Happy, Health, Manifest, PutOptions,
    Receipt, RepairOptions, RepairReport, StorageBackend, Store, Subset,
};

use crate::world::{CHUNK, MODES, World, get, payload, subsets};

fn options(happy: Happy) -> PutOptions {
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    options.happy = happy;
    options
}

/// Which backends the manifest names.
fn holders(manifest: &Manifest) -> Vec<usize> {
    let labels = manifest.body().stored().map(|(_, at)| at.label.clone());
    labels
        .map(|label| label.strip_prefix("site-").unwrap().parse().unwrap())
        .collect()
}

async fn health(world: &World, manifest: &Manifest) -> Health {
    let mut options = CheckOptions::default();
    options.data = Some(Subset::All);
    let report = world.store().check(manifest, &options).await.unwrap();
    report.health()
}

async fn restores(world: &World, from: &[usize], manifest: &Manifest, data: &[u8]) {
    let (restored, _) = get(&world.reader(from), manifest).await.unwrap();
    assert!(restored == data, "from {from:?}");
}

/// Shares that each way of being happy asks for: the table of the guide.
#[tokio::test(flavor = "multi_thread")]
async fn every_set_of_failed_backends_gives_what_the_table_says() {
    // k, n; write quorum, least happy, degraded minimum.
    let table = [
        (2, 2, 2, 2),
        (2, 3, 3, 2),
        (3, 3, 3, 3),
        (2, 4, 3, 3),
        (3, 4, 4, 3),
        (4, 4, 4, 4),
        (2, 5, 4, 4),
        (3, 5, 4, 3),
        (4, 5, 5, 4),
        (5, 5, 5, 5),
    ];
    let data = payload(100, 1);
    for (k, n, least_happy, degraded) in table {
        for spares in 0..=1 {
            let count = usize::from(n + spares);
            for failed in (0..=count).flat_map(|failed| subsets(count, failed)) {
                for (happy, least) in [
                    (Happy::All, n),
                    (Happy::AtLeast(least_happy), least_happy),
                    (Happy::Degraded, degraded),
                ] {
                    let world = World::with_spares(k, n, spares);
                    failed.iter().for_each(|at| world.fail(*at));
                    // Unnamed: for a name, too few answers cannot say that nobody else has it.
                    let mut options = PutOptions::default();
                    options.happy = happy;
                    let outcome = world.try_put(&data, options).await;
                    world.heal();
                    let stored = (count - failed.len()).min(n.into());
                    let what = format!("{k}-of-{n}+{spares} without {failed:?}, {happy:?}");
                    if stored < usize::from(least) {
                        let error = outcome.unwrap_err();
                        assert_eq!(error.code(), "INSUFFICIENT_BACKENDS", "{what}");
                        assert!(world.share_names().is_empty(), "{what}");
                        continue;
                    }
                    let receipt = outcome.expect(&what);
                    let manifest = &receipt.manifest;
                    let holders = holders(manifest);
                    assert_eq!(holders.len(), stored, "{what}");
                    assert!(holders.iter().all(|at| !failed.contains(at)), "{what}");
                    assert_eq!(
                        usize::from(receipt.missing_shares()),
                        usize::from(n) - stored
                    );
                    let survived = usize::from(receipt.losses_survived());
                    assert_eq!(survived, stored - usize::from(k), "{what}");
                    let alone = &holders[..usize::from(k)];
                    restores(&world, alone, manifest, &data).await;
                    let found = world.store().find_file(manifest.envelope()).await;
                    assert_eq!(found.unwrap().freshness, Freshness::Proven, "{what}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_than_the_least_happy_are_no_choice() {
    let world = World::new(3, 5);
    for count in [0, 1, 2, 3, 6] {
        let error = world.try_put(b"x", options(Happy::AtLeast(count))).await;
        assert_eq!(error.unwrap_err().code(), "INVALID_CONFIG", "{count}");
    }
    assert!(world.share_names().is_empty());
}

/// A backend fails at every effect of a put of three segments; the spare gets what it lacks.
#[tokio::test(flavor = "multi_thread")]
async fn a_spare_steps_in_at_any_moment() {
    for mode in MODES {
        let data = payload(600 * CHUNK, 2);
        for effect in 0..6 {
            let world = World::with_spares(2, 3, 1).in_mode(mode);
            world.plans[1].set([Fault::FailEffects {
                effects: effect..u64::MAX,
                kind: BackendErrorKind::Unavailable,
            }]);
            let receipt = world.try_put(&data, options(Happy::All)).await.unwrap();
            world.heal();
            let manifest = &receipt.manifest;
            // Identity, three segments, index; then the copy of the manifest, for which no spare is needed.
            if effect == 5 {
                assert_eq!(holders(manifest), [0, 1, 2]);
                continue;
            }
            // One that fails before anything is sent was never chosen.
            let expected = if effect == 0 { [0, 2, 3] } else { [0, 3, 2] };
            assert_eq!(holders(manifest), expected, "effect {effect}");
            assert_eq!(receipt.failures.len(), 1);
            assert_eq!(
                health(&world, manifest).await,
                Health::Whole,
                "effect {effect}"
            );
            restores(&world, &[0, 3], manifest, &data).await;
            let sent: BTreeSet<u8> = manifest.body().held.iter().map(|held| held.index).collect();
            let entries = manifest.body().held.len();
            assert_eq!((sent.len(), entries), (3, if effect == 0 { 3 } else { 4 }));
            // What reached the failed backend goes with the object.
            let report = world.store().delete(manifest).await.unwrap();
            assert!(report.pending.is_empty());
            assert!(world.share_names().is_empty(), "effect {effect}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_that_fails_in_turn_is_replaced_or_done_without() {
    let data = payload(300 * CHUNK, 3);
    let fail_from = |effect| Fault::FailEffects {
        effects: effect..u64::MAX,
        kind: BackendErrorKind::Timeout,
    };
    for (spares, expected) in [(1, vec![0, 2]), (2, vec![0, 4, 2])] {
        for effect in 1..4 {
            let world = World::with_spares(2, 3, spares);
            world.plans[1].set([fail_from(2)]);
            world.plans[3].set([fail_from(effect)]);
            let receipt = world
                .try_put(&data, options(Happy::Degraded))
                .await
                .unwrap();
            world.heal();
            assert_eq!(holders(&receipt.manifest), expected, "effect {effect}");
            assert_eq!(receipt.failures.len(), 2);
            restores(&world, &expected, &receipt.manifest, &data).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_nobody_took_is_placed_by_a_repair() {
    let data = payload(300 * CHUNK, 4);
    let world = World::new(2, 3);
    world.fail(2);
    let receipt = world
        .try_put(&data, options(Happy::Degraded))
        .await
        .unwrap();
    assert_eq!(
        (receipt.missing_shares(), receipt.losses_survived()),
        (1, 0)
    );
    assert_eq!(receipt.failures[0].backend, "site-2");
    let first = receipt.manifest;
    // It is still down: nothing can be done, and that is said.
    let report = repair(&world, &first, Effects::Apply).await;
    assert!(report.placed.is_empty() && report.manifest.is_none());
    assert_eq!(report.remaining[0].reason.code(), "SHARE_NOT_FOUND");
    world.heal();
    assert_eq!(health(&world, &first).await, Health::Degraded);
    let preview = repair(&world, &first, Effects::Preview).await;
    assert_eq!(preview.placed, [(2, "site-2".to_owned())]);
    assert!(
        world
            .objects(2)
            .keys()
            .all(|key| !key.as_str().contains("/s/"))
    );
    let report = repair(&world, &first, Effects::Apply).await;
    assert_eq!(
        (&report.placed, report.remaining.len()),
        (&preview.placed, 0)
    );
    let second = report.manifest.unwrap();
    // One version counts the backend as a holder, the next says that it is one.
    assert_eq!(second.body().version, first.body().version + 2);
    assert_eq!(second.body().put_id, first.body().put_id);
    assert_eq!(health(&world, &second).await, Health::Whole);
    restores(&world, &[1, 2], &second, &data).await;
    // The first manifest still reads, and whoever has it finds the second.
    restores(&world, &[0, 1], &first, &data).await;
    let found = world.store().find_file(first.envelope()).await.unwrap();
    assert_eq!(found.manifest.hash(), second.hash());
}

async fn repair(world: &World, manifest: &Manifest, effects: Effects) -> RepairReport {
    let mut options = RepairOptions::default();
    options.effects = effects;
    world.store().repair(manifest, &options).await.unwrap()
}

/// A spare in the zone of another holder would make two of its shares: it may not step in.
#[tokio::test(flavor = "multi_thread")]
async fn a_spare_that_would_make_a_quorum_is_not_taken() {
    let world = World::with_spares(2, 3, 1);
    let zones = ["DE", "CA", "JP", "DE"];
    let store = zoned(&world, &zones);
    world.plans[1].set([Fault::FailEffects {
        effects: 1..u64::MAX,
        kind: BackendErrorKind::Unavailable,
    }]);
    let error = put(&store, options(Happy::All)).await.unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
    world.heal();
    // In the failed one's own zone it would be the same index in that zone: once is once.
    let store = zoned(&world, &["DE", "CA", "JP", "CA"]);
    world.plans[1].set([Fault::FailEffects {
        effects: 0..u64::MAX,
        kind: BackendErrorKind::Unavailable,
    }]);
    let receipt = put(&store, options(Happy::All)).await.unwrap();
    assert_eq!(holders(&receipt.manifest), [0, 3, 2]);
}

async fn put(store: &Store, options: PutOptions) -> Result<Receipt, Error> {
    let mut source: &[u8] = b"in zones";
    store
        .put(&mut source, options, &mut xstore::nothing_more)
        .await
}

fn zoned(world: &World, zones: &[&str]) -> Store {
    let mut builder = Store::builder()
        .keys(Arc::clone(&world.keys))
        .threshold(world.access);
    for (backend, zone) in world.backends.iter().zip(zones) {
        let domain = FailureDomain {
            zone: Some((*zone).into()),
            ..FailureDomain::default()
        };
        builder = builder.backend(Arc::clone(backend) as Arc<dyn StorageBackend>, domain);
    }
    builder.build().unwrap()
}

/// The second version is on other backends than the first; whoever can reach only old ones, any two
/// of them, learns of it, by name and by the first version's file.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_on_other_backends_is_known_to_the_old_ones() {
    for failed in 0..3 {
        let world = World::with_spares(2, 3, 1);
        let first = world.put_named("genome", b"first").await.manifest;
        world.fail(failed);
        let second = world.try_put(b"second", options(Happy::All)).await.unwrap();
        assert_eq!(
            second.pending,
            [format!("site-{failed}")],
            "it has an old share"
        );
        let second = second.manifest;
        assert!(holders(&second).contains(&3));
        world.heal();
        for pair in subsets(3, 2) {
            let reader = world.reader(&pair);
            let found = reader.find_file(first.envelope()).await.unwrap();
            assert_eq!(
                found.manifest.hash(),
                second.hash(),
                "{failed} failed, {pair:?} left"
            );
        }
        let report = world.store().recover(|_, _| Ok(())).await.unwrap();
        assert!(report.postponed.is_empty());
        assert_eq!(world.share_names().len(), 3, "nothing of the first is left");
        world.put_named("genome", b"third").await;
        let found = world.store().find_file(first.envelope()).await.unwrap();
        assert_eq!(found.manifest.body().version, 3);
    }
}
