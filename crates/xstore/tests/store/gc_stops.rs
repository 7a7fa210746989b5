//! A stop in front of every effect of both runs of a collection, at one backend and at all at once;
//! then the next run, or one that is stopped in front of each of its own effects and goes on later.

use std::sync::Arc;

use xstore::journal::Journal;
use xstore::testing::{Fault, Plan};
use xstore::{Error, GcReport, Manifest, Store};

use crate::gc::{DAY_S, World, unbraked};
use crate::world::{get, payload, scratch};

/// Which of the two runs is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// Marks what nobody names, and removes old manifests.
    First,
    /// Removes what was marked, and deletes what expired.
    Second,
}

struct Scene {
    world: World,
    store: Store,
    manifest: Manifest,
    _journal: tempfile::TempDir,
}

impl Scene {
    /// An object of three versions, one that expires, and shares that nobody names, at the time of
    /// the run.
    async fn new(run: Run) -> Self {
        let world = World::new();
        for _ in 0..2 {
            world.put("genome", None).await;
        }
        let manifest = world.put("genome", None).await;
        world.put("short", Some(3600)).await;
        world.orphan().await;
        let journal = scratch();
        let builder = world.builder(Arc::clone(&world.hands) as _);
        let builder = builder.journal(Journal::new(journal.path()));
        let scene = Self {
            store: builder.build().unwrap(),
            world,
            manifest,
            _journal: journal,
        };
        scene.world.hands.advance(DAY_S);
        if run == Run::Second {
            scene.collect().await.unwrap();
            scene.world.hands.advance(DAY_S + 3600);
        }
        scene
    }

    /// What the next run of the program does: it recovers, and collects.
    async fn collect(&self) -> Result<GcReport, Error> {
        let report = self.store.recover(|_, _| Ok(())).await?;
        if let Some(postponed) = report.postponed.into_iter().next() {
            return Err(postponed);
        }
        self.store.gc(&unbraked()).await
    }

    /// In front of what the client stops: all backends, or one.
    fn plan(&self, at: Option<usize>) -> &Plan {
        at.map_or(&self.world.together, |at| &self.world.plans[at])
    }

    /// Runs until the stop, and lifts it; whether it was reached.
    async fn stopped(&self, at: Option<usize>, effect: u64) -> bool {
        let plan = self.plan(at);
        plan.set([Fault::StopAt { effect }]);
        let ended = self.collect().await;
        let reached = plan.counts().effects > effect;
        plan.set([]);
        assert!(reached || ended.is_ok(), "{ended:?}");
        reached
    }

    /// What lives is whole, at any time.
    async fn lives(&self, what: &str) {
        let (restored, report) = get(&self.store, &self.manifest).await.unwrap();
        assert!(restored == payload(100, 3), "{what}");
        assert!(report.faults.is_empty(), "{what}: {:?}", report.faults);
    }

    /// Run after run, a grace apart, until nothing is left to do.
    async fn end(&self, what: &str) {
        for _ in 0..4 {
            let collected = self.collect().await;
            assert!(collected.is_ok(), "{what}: {collected:?}");
            self.lives(what).await;
            self.world.hands.advance(DAY_S + 3600);
        }
        assert_eq!(self.collect().await.unwrap().steps, [], "{what}");
        let left = self.world.shares();
        assert_eq!(
            left.len(),
            3,
            "{what}: those of the object are left: {left:?}"
        );
    }
}

/// Every stop of one run at every place, and every stop of the run after it; how many.
async fn stops(run: Run) -> (usize, usize) {
    let (mut clean, mut double) = (0, 0);
    for at in [Some(0), Some(1), Some(2), None] {
        for stop in 0.. {
            let what = format!("{run:?} at {at:?}, effect {stop}");
            let scene = Scene::new(run).await;
            let reached = scene.stopped(at, stop).await;
            scene.lives(&what).await;
            scene.end(&what).await;
            clean += 1;
            if !reached {
                break;
            }
            for second in 0.. {
                let what = format!("{what}, then {second}");
                let scene = Scene::new(run).await;
                scene.stopped(at, stop).await;
                let again = scene.stopped(at, second).await;
                scene.lives(&what).await;
                scene.end(&what).await;
                double += 1;
                if !again {
                    break;
                }
            }
        }
    }
    (clean, double)
}

#[tokio::test]
async fn a_first_run_takes_nothing_that_lives() {
    assert_eq!(stops(Run::First).await, (34, 312));
}

#[tokio::test]
async fn a_second_run_takes_nothing_that_lives_and_leaves_nothing_behind() {
    assert_eq!(stops(Run::Second).await, (46, 546));
}
