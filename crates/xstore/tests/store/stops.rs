//! A stop in front of every effect of every operation, at one backend and at all at once; then clean
//! recovery, or one that is stopped in front of each of its own effects and goes on later.

use std::collections::BTreeSet;

use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, CheckOptions, Error, Freshness, Happy, Manifest, MigrateOptions, PutOptions,
    RepairOptions, Subset, names,
};

use crate::world::{World, get, payload};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// Replaces the object.
    Put,
    Delete,
    /// A record is bad.
    RepairBad,
    /// Everything that a backend had is gone.
    RepairLost,
    /// A share that no backend took is given one.
    Place,
    Migrate,
    /// A reader completes the copies of a manifest that is not committed.
    WriteBack,
}

/// In front of what a client stops.
#[derive(Debug, Clone, Copy)]
enum Place {
    One(usize),
    All,
}

/// Three shares, one spare: each backend, and all of them.
const PLACES: [Place; 5] = [
    Place::One(0),
    Place::One(1),
    Place::One(2),
    Place::One(3),
    Place::All,
];

impl Place {
    fn stop_at(self, world: &World, effect: u64) {
        let plan = match self {
            Self::One(at) => &world.plans[at],
            Self::All => &world.together,
        };
        plan.set([Fault::StopAt { effect }]);
    }

    /// Whether the client came to the stop; all is well again after that.
    fn was_reached(self, world: &World, effect: u64) -> bool {
        let counts = match self {
            Self::One(at) => world.plans[at].counts(),
            Self::All => world.together.counts(),
        };
        world.heal();
        counts.effects > effect
    }
}

/// One operation, and the object as it was.
struct Scene {
    operation: Operation,
    world: World,
    manifest: Manifest,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Scene {
    async fn new(operation: Operation) -> Self {
        let world = World::with_spares(2, 3, 1);
        let (before, after) = (payload(100, 1), payload(90, 2));
        let manifest = match operation {
            Operation::Place => degraded(&world, &before).await,
            _ => world.put_named("genome", &before).await.manifest,
        };
        match operation {
            Operation::RepairBad => {
                let (key, bytes) = world.segment(1);
                let mut bytes = bytes.to_vec();
                bytes[40] ^= 4;
                world.replace(1, &key, bytes);
            }
            Operation::RepairLost => {
                let there = world.objects(1);
                there.keys().for_each(|key| world.remove(1, key));
            }
            Operation::WriteBack => [0, 2].into_iter().for_each(|at| {
                let there = world.objects(at);
                let copies = there.keys().filter(|key| key.as_str().contains("/o/"));
                copies.for_each(|key| world.remove(at, key));
            }),
            _ => {}
        }
        Self {
            operation,
            world,
            manifest,
            before,
            after,
        }
    }

    async fn run(&self) -> Result<(), Error> {
        let store = self.world.store();
        match self.operation {
            Operation::Put => {
                let mut options = PutOptions::default();
                options.name = Some("genome".into());
                self.world.try_put(&self.after, options).await.map(|_| ())
            }
            Operation::Delete => store.delete(&self.manifest).await.map(|_| ()),
            Operation::RepairBad | Operation::RepairLost | Operation::Place => {
                let mut options = RepairOptions::default();
                options.data = Some(Subset::All);
                store.repair(&self.manifest, &options).await.map(|_| ())
            }
            Operation::Migrate => {
                let options = MigrateOptions::default();
                let moved = store.migrate(&self.manifest, "site-1", "site-3", &options);
                moved.await.map(|_| ())
            }
            Operation::WriteBack => store.find_name("genome").await.map(|_| ()),
        }
    }

    /// What the next run does; a repair has no journal and is run again.
    async fn recover(&self) -> Result<(), Error> {
        let report = self.world.store().recover(|_, _| Ok(())).await?;
        if let Some(postponed) = report.postponed.into_iter().next() {
            return Err(postponed);
        }
        match self.operation {
            Operation::RepairBad | Operation::RepairLost => self.run().await,
            Operation::WriteBack => self.run().await,
            Operation::Place => {
                // The stop may have come after a version that counts the new holder.
                let store = self.world.store();
                let newest = store.find_name("genome").await?.manifest;
                let options = RepairOptions::default();
                store.repair(&newest, &options).await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// The object is wholly as it was or wholly as it was to be; an acknowledgement decides.
    async fn judge(&self, acknowledged: bool, what: &str) {
        let (world, store) = (&self.world, self.world.store());
        let found = match store.find_name("genome").await {
            Ok(found) => found,
            Err(error) => {
                assert_eq!(error.code(), "OBJECT_NOT_FOUND", "{what}");
                assert_eq!(self.operation, Operation::Delete, "{what}");
                assert!(world.share_names().is_empty(), "{what}");
                return;
            }
        };
        let is_there = self.operation != Operation::Delete || !acknowledged;
        assert!(is_there, "{what}: acknowledged and still there");
        assert_eq!(found.freshness, Freshness::Proven, "{what}");
        let (restored, report) = get(&store, &found.manifest).await.unwrap();
        assert!(report.faults.is_empty(), "{what}: {:?}", report.faults);
        let replaced = self.operation == Operation::Put && restored == self.after;
        assert!(replaced || restored == self.before, "{what}");
        if self.operation == Operation::Put && acknowledged {
            assert!(replaced, "{what}: acknowledged and gone");
        }
        self.nothing_is_missing_or_left(&found.manifest, what).await;
    }

    async fn nothing_is_missing_or_left(&self, manifest: &Manifest, what: &str) {
        let (world, body) = (&self.world, manifest.body());
        let mut options = CheckOptions::default();
        options.data = Some(Subset::All);
        let checked = world.store().check(manifest, &options).await.unwrap();
        assert_eq!(checked.least_good, 3, "{what}: {checked:?}");
        let named: BTreeSet<_> = body.stored().map(|(_, at)| at.share_prefix).collect();
        let left = world.share_names().into_iter().filter(|key| {
            let (prefix, _) = names::parse_share(body.store_tag, key).unwrap();
            !named.contains(&prefix)
        });
        let left: Vec<_> = left.collect();
        assert!(left.is_empty(), "{what}: {left:?}");
    }
}

/// An object of which one share has no backend.
async fn degraded(world: &World, data: &[u8]) -> Manifest {
    for at in [2, 3] {
        // They answer that they have no such object, and take nothing.
        world.plans[at].set([Fault::FailEffects {
            effects: 0..u64::MAX,
            kind: BackendErrorKind::Unavailable,
        }]);
    }
    let mut options = PutOptions::default();
    options.happy = Happy::Degraded;
    options.name = Some("genome".into());
    let manifest = world.try_put(data, options).await.unwrap().manifest;
    world.heal();
    manifest
}

/// Every stop at every place with a clean recovery; how many.
async fn stops(operation: Operation) -> usize {
    let mut cases = 0;
    for place in PLACES {
        for stop in 0.. {
            let scene = Scene::new(operation).await;
            place.stop_at(&scene.world, stop);
            let acknowledged = scene.run().await.is_ok();
            let reached = place.was_reached(&scene.world, stop);
            let what = format!("{operation:?}, {place:?}, effect {stop}");
            let recovered = scene.recover().await;
            assert!(recovered.is_ok(), "{what}: {recovered:?}");
            scene.judge(acknowledged, &what).await;
            cases += 1;
            if !reached {
                assert!(acknowledged, "{what}");
                break;
            }
        }
    }
    cases
}

/// As [`stops`], but recovery stops too, at the same place and in front of every effect that it has.
async fn stops_of_recovery(operation: Operation) -> usize {
    let mut cases = 0;
    for place in PLACES {
        for stop in 0.. {
            let mut reached = false;
            for second in 0.. {
                let scene = Scene::new(operation).await;
                place.stop_at(&scene.world, stop);
                let acknowledged = scene.run().await.is_ok();
                reached = place.was_reached(&scene.world, stop);
                place.stop_at(&scene.world, second);
                let _ = scene.recover().await;
                let again = place.was_reached(&scene.world, second);
                let what = format!("{operation:?}, {place:?}, effects {stop} and {second}");
                let recovered = scene.recover().await;
                assert!(recovered.is_ok(), "{what}: {recovered:?}");
                scene.judge(acknowledged, &what).await;
                cases += 1;
                if !again {
                    break;
                }
            }
            if !reached {
                break;
            }
        }
    }
    cases
}

async fn all_stops(operation: Operation) -> (usize, usize) {
    (stops(operation).await, stops_of_recovery(operation).await)
}

#[tokio::test]
async fn a_put_over_another_version_is_all_or_nothing() {
    assert_eq!(all_stops(Operation::Put).await, (23, 59));
}

#[tokio::test]
async fn a_delete_is_finished_or_never_began() {
    assert_eq!(all_stops(Operation::Delete).await, (17, 47));
}

#[tokio::test]
async fn a_repair_of_a_bad_record_loses_nothing() {
    assert_eq!(all_stops(Operation::RepairBad).await, (13, 37));
}

#[tokio::test]
async fn a_repair_of_a_lost_backend_loses_nothing() {
    assert_eq!(all_stops(Operation::RepairLost).await, (13, 35));
}

#[tokio::test]
async fn a_share_is_placed_or_still_vacant() {
    assert_eq!(all_stops(Operation::Place).await, (21, 71));
}

#[tokio::test]
async fn a_share_has_moved_or_has_not() {
    assert_eq!(all_stops(Operation::Migrate).await, (23, 55));
}

#[tokio::test]
async fn a_reader_that_completes_copies_takes_nothing() {
    assert_eq!(all_stops(Operation::WriteBack).await, (11, 14));
}
