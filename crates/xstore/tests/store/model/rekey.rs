//! The root key was replaced: objects are put under the new one while others write, read and delete, and
//! while a put that stopped under the old one is recovered.

use xstore::entropy::OsEntropy;
use xstore::testing::{Fault, FaultyBackend, Plan};
use xstore::{BackendErrorKind, Recovered};

use super::writers::{Contents, after, always_old, done, explore_with, read_genome};
use super::{
    Act, Acting, Arc, Hands, Model, Outcome, OwnerKeys, RootKey, Store, block_on, delete_genome,
    new_data, old_data, payload, try_put, write,
};

fn stopped_data() -> Vec<u8> {
    payload(100, 3)
}

/// A genome that the old key made, and its owner with a new one.
fn replaced(base: Model) -> Model {
    block_on(base.put("genome", &old_data()));
    if base.journal.is_some() {
        block_on(stop_a_put(&base));
    }
    let root = RootKey::from_bytes([7; 32]).replace(&OsEntropy).unwrap();
    Model {
        keys: Arc::new(OwnerKeys::derive(&root)),
        ..base
    }
}

/// A put of the first actor stops when its manifest stands nowhere but in the journal.
async fn stop_a_put(base: &Model) {
    let builder = base.builder(|backend| {
        let plan = Plan::new([Fault::FailEffects {
            effects: 1..u64::MAX,
            kind: BackendErrorKind::Unavailable,
        }]);
        Arc::new(FaultyBackend::new(Arc::clone(backend), plan))
    });
    let store = base.journalled(builder).build().unwrap();
    let stopped = try_put(&store, "genome", &stopped_data()).await;
    assert_eq!(stopped.unwrap_err().code(), "INSUFFICIENT_BACKENDS");
}

fn rekey(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move {
        done(async {
            let found = store.find_name("genome").await?;
            store.rekey(&found.manifest).await
        })
        .await
    })
}

/// The first actor's machine is started again: the stopped put is acknowledged, or it is not.
fn recover(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move {
        let report = store.recover(|_, _| Ok(())).await.unwrap();
        Outcome::Put(match (&*report.recovered, &*report.postponed) {
            ([Recovered::Finished { .. }], []) => Ok(()),
            ([Recovered::Undone], []) => Err("it was undone"),
            ([], [waits]) => Err(waits.code()),
            other => panic!("{other:?}"),
        })
    })
}

#[test]
fn readers_go_on() {
    let seen = explore_with(
        &replaced(Model::empty(2)),
        &[rekey, read_genome],
        2,
        always_old,
    );
    let fine = vec![Outcome::Done(Ok(())), Outcome::Read(Ok(old_data()))];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [fine]);
}

#[test]
fn what_is_put_and_deleted_meanwhile_is_not_taken_back() {
    let put: fn(&[Outcome]) -> Contents = |outcomes| match &outcomes[1] {
        Outcome::Put(Ok(())) => vec![Some(new_data())],
        _ => vec![Some(old_data()), Some(new_data())],
    };
    let deleted: fn(&[Outcome]) -> Contents = |outcomes| match &outcomes[1] {
        Outcome::Done(Ok(())) => vec![None],
        _ => vec![Some(old_data()), None],
    };
    for (act, contents) in [(write as Act, put), (delete_genome, deleted)] {
        let base = replaced(Model::empty(2));
        let seen = explore_with(&base, &[rekey, act], 2, contents);
        for at in [0, 1] {
            let well = [Outcome::Put(Ok(())), Outcome::Done(Ok(()))];
            let mut ended = after(&seen, at).into_iter();
            assert!(ended.any(|outcome| well.contains(outcome)), "{seen:?}");
        }
    }
}

/// A put that stopped under the old key is recovered beside a rekeying of the version before, and beside
/// another put: what is acknowledged stays.
#[test]
fn what_is_recovered_beside_others_stays() {
    for act in [rekey as Act, write] {
        let mut base = Model::empty(2);
        base.journal = Some(tempfile::tempdir().unwrap());
        let base = replaced(base);
        let contents = |outcomes: &[Outcome]| {
            let [stopped, old, new] = [stopped_data(), old_data(), new_data()].map(Some);
            match outcomes {
                [Outcome::Put(Ok(())), Outcome::Done(_)] => vec![stopped],
                [_, Outcome::Done(_)] => vec![stopped, old],
                [Outcome::Put(Ok(())), _] => vec![stopped, new],
                [_, Outcome::Put(Ok(()))] => vec![new],
                _ => vec![stopped, old, new],
            }
        };
        let seen = explore_with(&base, &[recover, act], 2, contents);
        let ended = after(&seen, 0);
        assert!(ended.contains(&Outcome::Put(Ok(()))), "{seen:?}");
        let undone = Outcome::Put(Err("it was undone"));
        assert!(ended.contains(&undone), "{seen:?}");
    }
}
