//! A stop at every effect of a put and of a delete, clean recovery, and a fault during recovery.

use xstore::testing::Fault;
use xstore::{Freshness, PutOptions, Recovered, Remedy};

use crate::world::{CHUNK, World, get, payload};

/// Runs a put that stops at effect `stop` of one backend; whether it was acknowledged, and whether
/// it got that far.
async fn stopped_put(world: &World, data: &[u8], at: usize, stop: u64) -> (bool, bool) {
    world.plans[at].set([Fault::StopAt { effect: stop }]);
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    let acknowledged = world.try_put(data, options).await.is_ok();
    let stopped = world.plans[at].counts().effects > stop;
    world.plans.iter().for_each(|plan| plan.set([]));
    (acknowledged, stopped)
}

/// The object is wholly there or wholly absent, and nothing else is left behind.
async fn expect_all_or_nothing(world: &World, data: &[u8], acknowledged: bool, what: &str) {
    match world.store().find_name("genome").await {
        Ok(found) => {
            let (restored, report) = get(&world.store(), &found.manifest).await.unwrap();
            assert!(restored == data, "{what}");
            assert!(report.faults.is_empty(), "{what}: {:?}", report.faults);
            assert_eq!(found.freshness, Freshness::Proven, "{what}");
        }
        Err(error) => {
            assert_eq!(error.code(), "OBJECT_NOT_FOUND", "{what}");
            assert!(!acknowledged, "{what}: acknowledged and gone");
            assert!(
                world.share_names().is_empty(),
                "{what}: {:?}",
                world.share_names()
            );
        }
    }
}

/// What recovery would do.
fn remedies(world: &World) -> Vec<Remedy> {
    let unfinished = world.store().unfinished().unwrap();
    unfinished.iter().map(|one| one.remedy).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_stopped_at_any_effect_is_all_or_nothing() {
    let data = payload(300 * CHUNK, 1);
    let mut cases = 0;
    for at in 0..3 {
        for stop in 0.. {
            let world = World::new(2, 3);
            let (acknowledged, stopped) = stopped_put(&world, &data, at, stop).await;
            let foretold = remedies(&world);
            assert_eq!(remedies(&world), foretold, "to ask changes nothing");
            let report = world.store().recover(|_, _| Ok(())).await.unwrap();
            assert!(report.postponed.is_empty(), "{:?}", report.postponed);
            let done = report.recovered.iter().map(|recovered| match recovered {
                Recovered::Undone => Remedy::Undo,
                Recovered::Finished { .. } => Remedy::Finish,
            });
            assert_eq!(foretold, done.collect::<Vec<_>>());
            assert_eq!(remedies(&world), []);
            expect_all_or_nothing(
                &world,
                &data,
                acknowledged,
                &format!("site {at}, effect {stop}"),
            )
            .await;
            cases += 1;
            if !stopped {
                assert!(acknowledged);
                break; // The put has no effect with this number: every one has been a stop.
            }
        }
    }
    // Identity, two segments, index and manifest at each of three sites, and one run that went through.
    assert_eq!(cases, 3 * (5 + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_may_be_stopped_too_and_goes_on_later() {
    let data = payload(100, 2);
    for stop in 0..6 {
        for second in 0..4 {
            let world = World::new(2, 3);
            let (acknowledged, _) = stopped_put(&world, &data, 1, stop).await;
            world.plans[2].set([Fault::StopAt { effect: second }]);
            let _ = world.store().recover(|_, _| Ok(())).await.unwrap();
            world.plans[2].set([]);
            let report = world.store().recover(|_, _| Ok(())).await.unwrap();
            assert!(report.postponed.is_empty(), "{:?}", report.postponed);
            let what = format!("effect {stop}, recovery stopped at {second}");
            expect_all_or_nothing(&world, &data, acknowledged, &what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_stopped_at_any_effect_is_finished_or_never_began() {
    let data = payload(100, 3);
    for at in 0..3 {
        for stop in 0..3 {
            let world = World::new(2, 3);
            let manifest = world.put_named("genome", &data).await.manifest;
            world.plans[at].set([Fault::StopAt { effect: stop }]);
            let acknowledged = world.store().delete(&manifest).await.is_ok();
            world.plans[at].set([]);
            let report = world.store().recover(|_, _| Ok(())).await.unwrap();
            assert!(report.postponed.is_empty(), "{:?}", report.postponed);
            let error = world.store().find_name("genome").await.unwrap_err();
            assert_eq!(
                error.code(),
                "OBJECT_NOT_FOUND",
                "its intent reached the manifest phase"
            );
            assert!(
                world.share_names().is_empty(),
                "site {at}, effect {stop}, {acknowledged}"
            );
        }
    }
}
