//! Collectors beside writers, readers and those who mend.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use xstore::{MigrateOptions, Store, names};

use super::{
    ANYWHERE, AT_EFFECTS, Act, Acting, Hands, Model, Outcome, Places, block_on, collect,
    delete_genome, explore, new_data, old_data, read_steady, repair_steady, unbraked, write,
};

#[test]
fn a_put_is_acknowledged_and_stays_or_is_taken_back() {
    let base = Model::empty(2);
    let seen = Mutex::new(BTreeSet::new());
    let tried = explore(
        &base,
        &[write, collect],
        3,
        ANYWHERE,
        |runtime, model, outcomes, what| {
            let Outcome::Put(put) = &outcomes[0] else {
                unreachable!("it writes")
            };
            seen.lock().unwrap().insert(put.is_ok());
            let expect = |when: &str| {
                let found = runtime.block_on(model.read("genome"));
                match put {
                    Ok(()) => assert_eq!(found, Ok(new_data()), "{when} {what}"),
                    Err(code) => {
                        // Collected before, or while, it reads back what it stored.
                        let known = ["CONFLICT", "SHARE_UPLOAD_FAILED"];
                        assert!(known.contains(code), "{when} {what}");
                        let error = found.unwrap_err();
                        assert!(error.contains("OBJECT_NOT_FOUND"), "{when} {what}: {error}");
                    }
                }
            };
            expect("at once");
            runtime.block_on(model.settle(what));
            expect("settled");
        },
    );
    println!("{tried} schedules");
    assert_eq!(seen.into_inner().unwrap().len(), 2, "{tried} schedules");
}

#[test]
fn what_a_put_replaces_is_there_until_it_is_replaced() {
    let base = Model::empty(2);
    block_on(base.put("genome", &old_data()));
    let tried = explore(
        &base,
        &[write, collect],
        2,
        ANYWHERE,
        |runtime, model, outcomes, what| {
            let expected = match &outcomes[0] {
                Outcome::Put(Ok(())) => new_data(),
                _ => old_data(),
            };
            for _ in 0..2 {
                let found = runtime.block_on(model.read("genome"));
                assert_eq!(found.as_ref(), Ok(&expected), "{what}");
                runtime.block_on(model.settle(what));
            }
        },
    );
    println!("{tried} schedules");
}

#[test]
fn two_collectors_and_a_writer() {
    let base = Model::empty(2);
    let acts: [Act; 3] = [write, collect, collect];
    let tried = explore(
        &base,
        &acts,
        2,
        ANYWHERE,
        |runtime, model, outcomes, what| {
            runtime.block_on(model.settle(what));
            let found = runtime.block_on(model.read("genome"));
            let acknowledged = outcomes[0] == Outcome::Put(Ok(()));
            assert_eq!(found.ok(), acknowledged.then(new_data), "{what}");
        },
    );
    println!("{tried} schedules");
}

/// A collector that looks once, at once.
fn look(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move {
        let _ = store.gc(&unbraked()).await;
        Outcome::Collected
    })
}

/// One collector is about to remove what it marked, the manifest comes, and another collector sees it.
#[test]
fn a_tomb_stays_until_every_look_before_the_manifest_has_run_out() {
    let base = Model::empty(2);
    let acts: [Act; 3] = [write, collect, look];
    let tried = explore(
        &base,
        &acts,
        4,
        AT_EFFECTS,
        |runtime, model, outcomes, what| {
            runtime.block_on(model.settle(what));
            let found = runtime.block_on(model.read("genome"));
            let acknowledged = outcomes[0] == Outcome::Put(Ok(()));
            assert_eq!(found.ok(), acknowledged.then(new_data), "{what}");
        },
    );
    println!("{tried} schedules");
}

/// A writer whose shares were collected sleeps again, after its manifest stands, for both graces of
/// what it replaces.
#[test]
fn what_a_sleeping_writer_goes_back_to_is_kept_for_it() {
    let base = Model::empty(2);
    block_on(base.put("genome", &old_data()));
    let acts: [Act; 3] = [write, collect, collect];
    let tried = explore(
        &base,
        &acts,
        2,
        AT_EFFECTS,
        |runtime, model, outcomes, what| {
            let expected = match &outcomes[0] {
                Outcome::Put(Ok(())) => new_data(),
                _ => old_data(),
            };
            runtime.block_on(model.settle(what));
            let found = runtime.block_on(model.read("genome"));
            assert_eq!(found, Ok(expected), "{what}");
        },
    );
    println!("{tried} schedules");
}

#[test]
fn readers_and_deletions_are_not_disturbed() {
    let base = Model::empty(2);
    block_on(base.put("steady", &old_data()));
    block_on(base.put("genome", &old_data()));
    let acts: [Act; 3] = [read_steady, delete_genome, collect];
    let tried = explore(
        &base,
        &acts,
        2,
        ANYWHERE,
        |runtime, model, outcomes, what| {
            assert_eq!(outcomes[0], Outcome::Read(Ok(old_data())), "{what}");
            assert_eq!(outcomes[1], Outcome::Done(Ok(())), "{what}");
            runtime.block_on(model.settle(what));
            assert_eq!(runtime.block_on(model.read("steady")), Ok(old_data()));
            let error = runtime.block_on(model.read("genome")).unwrap_err();
            assert!(error.contains("OBJECT_NOT_FOUND"), "{what}: {error}");
        },
    );
    println!("{tried} schedules");
}

#[test]
fn repairs_are_not_disturbed() {
    let base = Model::empty(3);
    let manifest = block_on(base.put("steady", &old_data()));
    let (_, at) = manifest.body().stored().next().unwrap();
    let lost = names::segment(manifest.body().store_tag, at.share_prefix, 0, 0);
    base.backends[0].remove(&lost).unwrap();
    let acts: [Act; 2] = [repair_steady, collect];
    let tried = explore(
        &base,
        &acts,
        2,
        ANYWHERE,
        |runtime, model, outcomes, what| {
            assert_eq!(outcomes[0], Outcome::Done(Ok(())), "{what}");
            runtime.block_on(model.settle(what));
            assert_eq!(runtime.block_on(model.read("steady")), Ok(old_data()));
            assert_eq!(model.names_of_shares().len(), 3, "{what}");
        },
    );
    println!("{tried} schedules");
}

fn migrate_steady(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move {
        let found = store.find_name("steady").await.unwrap();
        let options = MigrateOptions::default();
        let moved = store
            .migrate(&found.manifest, "site-0", "site-2", &options)
            .await;
        Outcome::Done(moved.map(|_| ()).map_err(|error| error.code()))
    })
}

/// Two shares, both needed, and a third backend: a move that loses its share would lose the object.
#[test]
fn a_share_that_moves_is_at_one_of_its_two_places() {
    let mut base = Model::empty(3);
    base.shares = 2;
    block_on(base.put("steady", &old_data()));
    let seen = Mutex::new(BTreeSet::new());
    let acts: [Act; 2] = [migrate_steady, collect];
    let tried = explore(
        &base,
        &acts,
        2,
        ANYWHERE,
        |runtime, model, outcomes, what| {
            seen.lock().unwrap().insert(outcomes[0].clone());
            for _ in 0..2 {
                let found = runtime.block_on(model.read("steady"));
                assert_eq!(found, Ok(old_data()), "{what}");
                runtime.block_on(model.settle(what));
            }
            assert_eq!(model.names_of_shares().len(), 2, "{what}");
        },
    );
    println!("{tried} schedules");
    let seen = seen.into_inner().unwrap();
    let ended = |with| seen.contains(&Outcome::Done(with));
    assert!(ended(Ok(())) && ended(Err("CONFLICT")), "{seen:?}");
}

/// A writer that stops at each of its calls, on another machine than the collector's, and is started
/// again when everything that nobody names is gone.
#[test]
fn what_a_stopped_writer_leaves_is_finished_or_goes() {
    let mut base = Model::empty(2);
    base.journal = Some(tempfile::tempdir().unwrap());
    let (mut tried, ended) = (0, AtomicBool::new(false));
    for call in 0.. {
        let stop = Some((0, call));
        let acts: [Act; 2] = [write, collect];
        tried += explore(
            &base,
            &acts,
            1,
            (stop, Places::AllCalls),
            |runtime, model, outcomes, what| {
                let acknowledged = outcomes[0] == Outcome::Put(Ok(()));
                ended.fetch_or(acknowledged, Ordering::Relaxed);
                runtime.block_on(model.settle(what));
                runtime.block_on(model.recover());
                match runtime.block_on(model.read("genome")) {
                    Ok(found) => assert_eq!(found, new_data(), "{what}"),
                    Err(error) => {
                        assert!(!acknowledged, "{what}");
                        assert!(error.contains("OBJECT_NOT_FOUND"), "{what}: {error}");
                    }
                }
                runtime.block_on(model.settle(what));
            },
        );
        if ended.load(Ordering::Relaxed) {
            break;
        }
    }
    println!("{tried} schedules, stopped writers");
}
