//! Every object is found again by the root key and the backends alone.

use std::sync::Arc;

use xstore::catalogue::MemoryCatalogue;
use xstore::ids::{ManifestHash, ObjectId, Prefix};
use xstore::manifest::{STATE_DELETED, STATE_LIVE};
use xstore::{Freshness, names};

use crate::world::{World, get, payload, scratch, subsets};

/// The owner after a loss of everything but the root key.
fn bereft(world: World) -> World {
    World {
        catalogue: Arc::new(MemoryCatalogue::default()),
        journal: scratch(),
        ..world
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_version_of_each_is_found_by_as_many_as_freshness_needs() {
    let world = World::new(2, 4);
    world.put_named("twice", b"first").await;
    let twice = world.put_named("twice", b"second").await.manifest;
    let unnamed = world.put(&payload(100, 1)).await.manifest;
    let gone = world.put_named("gone", b"gone").await.manifest;
    world.store().delete(&gone).await.unwrap();
    let ids = |world: &World| {
        let store = world.store();
        async move { store.objects().await.unwrap() }
    };
    let mut world = world;
    for answering in 1..=4 {
        for set in subsets(4, answering) {
            world = bereft(world);
            let down = (0..4).filter(|at| !set.contains(at));
            down.for_each(|at| world.fail(at));
            let objects = ids(&world).await;
            // Every backend has a copy of each here; two answers are needed to be sure of that.
            assert_eq!(objects.ids.len(), 3, "{set:?}");
            let complete = objects.freshness == Freshness::Proven;
            assert_eq!(complete, answering >= 2, "{set:?}");
            for (manifest, version, state) in [
                (&twice, 2, STATE_LIVE),
                (&unnamed, 1, STATE_LIVE),
                (&gone, 2, STATE_DELETED),
            ] {
                let object = manifest.body().object_id;
                let found = world.store().find_object(object).await.unwrap();
                let body = found.manifest.body();
                assert_eq!((body.version, body.state), (version, state), "{set:?}");
                assert_eq!(found.freshness == Freshness::Proven, complete, "{set:?}");
            }
            world.heal();
        }
    }
    let found = world
        .store()
        .find_object(twice.body().object_id)
        .await
        .unwrap();
    assert_eq!(
        get(&world.store(), &found.manifest).await.unwrap().0,
        b"second"
    );
    let unknown = world
        .store()
        .find_object(ObjectId([9; 32]))
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), "OBJECT_NOT_FOUND");
}

/// What a backend made up is no object, and hides none.
#[tokio::test(flavor = "multi_thread")]
async fn made_up_names_are_no_objects() {
    let world = World::new(2, 3);
    let manifest = world.put(b"data").await.manifest;
    let body = manifest.body();
    let (_, at) = body.stored().next().unwrap();
    for number in 0..200_u8 {
        for prefix in [at.manifest_prefix, Prefix([number; 16])] {
            let hash = ManifestHash([number; 32]);
            let name = names::manifest(body.store_tag, prefix, 1, hash);
            world.replace(0, &name, manifest.envelope()[..100].to_vec());
        }
    }
    let world = bereft(world);
    for set in [&[0][..], &[0, 1, 2]] {
        let objects = world.reader(set).objects().await.unwrap();
        assert_eq!(
            objects.ids.into_iter().collect::<Vec<_>>(),
            [body.object_id]
        );
    }
}
