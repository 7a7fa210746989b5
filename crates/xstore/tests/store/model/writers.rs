//! Those who write versions of one object, beside each other, readers and a collector.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::runtime::Runtime;
use xstore::{
    Effects, Error, Manifest, MigrateOptions, OldShares, RefreshOptions, RepairOptions, Store,
    names,
};

use super::{
    ANYWHERE, AT_EFFECTS, Act, Acting, Hands, Model, Outcome, Places, block_on, collect,
    delete_genome, explore, new_data, old_data, read, write,
};

async fn refresh(store: &Store, old_shares: OldShares) -> Outcome {
    let mut options = RefreshOptions::default();
    options.old_shares = old_shares;
    done(async {
        let found = store.find_name("genome").await?;
        store.refresh(&found.manifest, &options).await
    })
    .await
}

pub(super) async fn done<T>(work: impl Future<Output = Result<T, Error>>) -> Outcome {
    Outcome::Done(work.await.map(|_| ()).map_err(|error| error.code()))
}

fn refresh_now(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move { refresh(&store, OldShares::RemoveNow).await })
}

fn refresh_gently(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move { refresh(&store, OldShares::KeepADay).await })
}

pub(super) fn read_genome(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move { Outcome::Read(read(&store, "genome").await) })
}

fn repair_genome(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move {
        done(async {
            let found = store.find_name("genome").await?;
            let options = RepairOptions::default();
            store.repair(&found.manifest, &options).await
        })
        .await
    })
}

fn migrate_genome(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move {
        done(async {
            let found = store.find_name("genome").await?;
            let options = MigrateOptions::default();
            let (from, to) = ("site-0", "site-2");
            store.migrate(&found.manifest, from, to, &options).await
        })
        .await
    })
}

/// What "genome" may be: some bytes, or not there.
pub(super) type Contents = Vec<Option<Vec<u8>>>;

/// The object has one of `contents` and keeps it; or two writers of one version contest it, and then
/// the owner can keep a version that has. Once everything is over, nothing else is left.
fn expect(runtime: &Runtime, model: &Model, contents: &Contents, what: &str) {
    let siblings = runtime.block_on(siblings(model));
    if siblings.len() < 2 {
        let before = content(runtime, model, what);
        assert!(contents.contains(&before), "{what}");
        runtime.block_on(model.settle(what));
        assert_eq!(content(runtime, model, what), before, "{what}");
        return;
    }
    let mut kept = 0;
    for sibling in siblings {
        let model = model.copy();
        let store = model.direct();
        let (object, hash) = (sibling.body().object_id, sibling.hash());
        match runtime.block_on(store.resolve(object, hash, Effects::Apply)) {
            Ok(_) if contents.contains(&content(runtime, &model, what)) => {
                kept += 1;
                expect(runtime, &model, contents, what);
            }
            Ok(_) => {}
            // The other writer was acknowledged, and what this one needs is gone.
            Err(error) => assert_eq!(error.code(), "CONFLICT", "{what}: {error}"),
        }
    }
    assert!(kept > 0, "no version can be kept that has it: {what}");
}

fn content(runtime: &Runtime, model: &Model, what: &str) -> Option<Vec<u8>> {
    match runtime.block_on(model.read("genome")) {
        Ok(data) => Some(data),
        Err(error) if error.starts_with("OBJECT_NOT_FOUND") => None,
        Err(error) => panic!("{what}: {error}"),
    }
}

async fn siblings(model: &Model) -> Vec<Manifest> {
    let object = model.keys.named_object("genome");
    model.direct().siblings(object).await.unwrap()
}

/// All schedules of `acts`, where what counts in the end follows from their outcomes; how they ended.
pub(super) fn explore_with(
    base: &Model,
    acts: &[Act],
    most: usize,
    contents: impl Fn(&[Outcome]) -> Contents + Sync,
) -> BTreeSet<Vec<Outcome>> {
    let seen = Mutex::new(BTreeSet::new());
    let tried = explore(
        base,
        acts,
        most,
        ANYWHERE,
        |runtime, model, outcomes, what| {
            seen.lock().unwrap().insert(outcomes.to_vec());
            runtime.block_on(model.try_recover());
            expect(runtime, model, &contents(outcomes), what);
        },
    );
    let seen = seen.into_inner().unwrap();
    println!("{tried} schedules, {} ways to end", seen.len());
    seen
}

fn with_genome(backends: usize) -> Model {
    let base = Model::empty(backends);
    block_on(base.put("genome", &old_data()));
    base
}

pub(super) fn always_old(_: &[Outcome]) -> Contents {
    vec![Some(old_data())]
}

pub(super) fn after(seen: &BTreeSet<Vec<Outcome>>, at: usize) -> BTreeSet<&Outcome> {
    seen.iter().map(|outcomes| &outcomes[at]).collect()
}

#[test]
fn readers_go_on_whenever_the_old_shares_go() {
    for refresh in [refresh_now as Act, refresh_gently] {
        let seen = explore_with(&with_genome(2), &[refresh, read_genome], 2, always_old);
        let fine = vec![Outcome::Done(Ok(())), Outcome::Read(Ok(old_data()))];
        assert_eq!(seen, BTreeSet::from([fine]));
    }
}

#[test]
fn two_refreshes_leave_one_dealing() {
    let acts: [Act; 2] = [refresh_now, refresh_gently];
    let seen = explore_with(&with_genome(2), &acts, 2, always_old);
    for at in [0, 1] {
        let ended = after(&seen, at);
        assert!(ended.contains(&Outcome::Done(Ok(()))), "{ended:?}");
        assert!(ended.contains(&Outcome::Done(Err("CONFLICT"))), "{ended:?}");
    }
}

#[test]
fn a_put_beside_a_refresh_is_not_taken_back() {
    let contents = |outcomes: &[Outcome]| match &outcomes[1] {
        Outcome::Put(Ok(())) => vec![Some(new_data())],
        // The refresh may have seen it.
        _ => vec![Some(old_data()), Some(new_data())],
    };
    let acts: [Act; 2] = [refresh_now, write];
    let seen = explore_with(&with_genome(2), &acts, 2, contents);
    assert!(after(&seen, 1).contains(&Outcome::Put(Ok(()))), "{seen:?}");
}

#[test]
fn a_deletion_beside_a_refresh_is_not_taken_back() {
    let contents = |outcomes: &[Outcome]| match &outcomes[1] {
        Outcome::Done(Ok(())) => vec![None],
        _ => vec![Some(old_data()), None],
    };
    let acts: [Act; 2] = [refresh_now, delete_genome];
    let seen = explore_with(&with_genome(2), &acts, 2, contents);
    assert!(after(&seen, 1).contains(&Outcome::Done(Ok(()))), "{seen:?}");
}

#[test]
fn a_repair_beside_a_refresh_disturbs_nobody() {
    let base = Model::empty(3);
    let manifest = block_on(base.put("genome", &old_data()));
    let (_, at) = manifest.body().stored().next().unwrap();
    let lost = names::segment(manifest.body().store_tag, at.share_prefix, 0, 0);
    base.backends[0].remove(&lost).unwrap();
    let acts: [Act; 2] = [refresh_now, repair_genome];
    let seen = explore_with(&base, &acts, 2, always_old);
    assert!(after(&seen, 0).contains(&Outcome::Done(Ok(()))), "{seen:?}");
}

/// Two shares, both needed, and a third backend that one of them may move to.
#[test]
fn a_move_beside_a_refresh_loses_no_share() {
    let mut base = Model::empty(3);
    base.shares = 2;
    block_on(base.put("genome", &old_data()));
    let acts: [Act; 2] = [refresh_now, migrate_genome];
    let seen = explore_with(&base, &acts, 2, always_old);
    for at in [0, 1] {
        let ended = after(&seen, at);
        assert!(ended.contains(&Outcome::Done(Ok(()))), "{seen:?}");
    }
}

/// A move is two versions, so what it passed is not the newest but the one before.
#[test]
fn a_put_beside_a_move_is_not_lost() {
    let mut base = Model::empty(3);
    base.shares = 2;
    block_on(base.put("genome", &old_data()));
    let contents = |outcomes: &[Outcome]| match &outcomes[0] {
        Outcome::Put(Ok(())) => vec![Some(new_data())],
        _ => vec![Some(old_data()), Some(new_data())],
    };
    let acts: [Act; 2] = [write, migrate_genome];
    let seen = explore_with(&base, &acts, 2, contents);
    let ended = after(&seen, 0);
    assert!(ended.contains(&Outcome::Put(Ok(()))), "{seen:?}");
    assert!(ended.contains(&Outcome::Put(Err("CONFLICT"))), "{seen:?}");
}

#[test]
fn a_collector_beside_a_refresh_takes_only_what_nobody_names() {
    for refresh in [refresh_now as Act, refresh_gently] {
        explore_with(&with_genome(2), &[refresh, collect], 2, always_old);
    }
}

#[test]
fn a_reader_and_a_collector_beside_a_refresh() {
    let base = with_genome(2);
    let acts: [Act; 3] = [refresh_now, read_genome, collect];
    let tried = explore(
        &base,
        &acts,
        2,
        AT_EFFECTS,
        |runtime, model, outcomes, what| {
            match (&outcomes[0], &outcomes[1]) {
                (_, Outcome::Read(Ok(data))) => assert_eq!(*data, old_data(), "{what}"),
                // Between the commit of what was collected and the version that takes it back.
                (Outcome::Done(Err("CONFLICT")), Outcome::Read(Err(error))) => {
                    assert!(error.starts_with("INSUFFICIENT_SHARES"), "{what}");
                }
                _ => panic!("{what}"),
            }
            expect(runtime, model, &always_old(outcomes), what);
        },
    );
    println!("{tried} schedules");
}

/// A refresh that stops at each of its calls, on another machine than the collector's, and is started
/// again when everything that nobody names is gone.
#[test]
fn what_a_stopped_refresh_leaves_is_finished_or_goes() {
    let mut base = with_genome(2);
    base.journal = Some(tempfile::tempdir().unwrap());
    let mut tried = 0;
    for call in 0.. {
        let ended = Mutex::new(false);
        let stop = (Some((0, call)), Places::AllCalls);
        let acts: [Act; 2] = [refresh_now, collect];
        tried += explore(&base, &acts, 1, stop, |runtime, model, outcomes, what| {
            *ended.lock().unwrap() |= outcomes[0] == Outcome::Done(Ok(()));
            runtime.block_on(model.collect());
            runtime.block_on(model.recover());
            expect(runtime, model, &always_old(outcomes), what);
        });
        if ended.into_inner().unwrap() {
            break;
        }
    }
    println!("{tried} schedules, stopped refreshes");
}
