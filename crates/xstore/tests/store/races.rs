//! Several clients, stale journals and changed backends: nobody's acknowledged object is lost.

use std::sync::Arc;

use xstore::keys::trust::TrustedMakers;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::manifest::Body;
use xstore::placement::FailureDomain;
use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, Effects, Error, Manifest, ObjectKey, PutOptions, Recovered, Store, names,
    nothing_more,
};

use crate::world::{World, get, payload};

fn named() -> PutOptions {
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    options
}

/// Another installation of the same owner.
fn other_client(world: &World) -> World {
    world.another_client(&world.keys)
}

/// A put that reached its manifest and then no backend at all.
async fn stranded_put(world: &World, data: &[u8]) {
    // Identity, segment; then the manifest, which fails everywhere.
    stranded_after(2, world, data).await;
}

/// A put that stored so many objects at each backend.
async fn stranded_after(effects: u64, world: &World, data: &[u8]) {
    for plan in &world.plans {
        let kind = BackendErrorKind::Unavailable;
        plan.set([Fault::FailEffects {
            effects: effects..u64::MAX,
            kind,
        }]);
    }
    let error = world.try_put(data, named()).await.unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
    world.plans.iter().for_each(|plan| plan.set([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_journal_does_not_contest_what_was_acknowledged_since() {
    let world = World::new(2, 3);
    stranded_put(&world, b"stranded").await;
    let other = other_client(&world);
    let data = payload(100, 1);
    other.put_named("genome", &data).await;
    // One backend down: it might have the stranded manifest, so recovery waits.
    let kind = BackendErrorKind::Unavailable;
    world.plans[2].set([Fault::FailCalls {
        calls: 0..u64::MAX,
        kind,
    }]);
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert_eq!((report.recovered.len(), report.postponed.len()), (0, 1));
    world.plans[2].set([]);
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert!(
        matches!(report.recovered[..], [Recovered::Undone]),
        "{:?}",
        report.postponed
    );
    for client in [&world, &other] {
        let found = client.store().find_name("genome").await.unwrap();
        assert_eq!(get(&client.store(), &found.manifest).await.unwrap().0, data);
    }
    assert_eq!(
        world.share_names().len(),
        3,
        "nothing of the stranded put is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranded_put_that_nobody_contests_is_finished() {
    let world = World::new(2, 3);
    stranded_put(&world, b"stranded").await;
    assert_eq!(
        world.try_put(b"again", named()).await.unwrap_err().code(),
        "LOCKED"
    );
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert!(matches!(report.recovered[..], [Recovered::Finished { .. }]));
    let found = world.store().find_name("genome").await.unwrap();
    assert_eq!(
        get(&world.store(), &found.manifest).await.unwrap().0,
        b"stranded"
    );
}

/// A put stopped after its first copy; another installation saw it, followed it three times, and a collector
/// removed what it had. Its shares are those that the newest version names.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranded_put_whose_manifest_was_collected_since_keeps_its_shares() {
    let world = World::new(2, 3);
    for (at, plan) in world.plans.iter().enumerate() {
        plan.set([Fault::FailEffects {
            effects: if at == 0 { 3 } else { 2 }..u64::MAX,
            kind: BackendErrorKind::Unavailable,
        }]);
    }
    let stopped = world.try_put(b"stranded", named()).await;
    assert_eq!(stopped.unwrap_err().code(), "INSUFFICIENT_BACKENDS");
    world.heal();
    let other = other_client(&world);
    let store = other.store();
    let mut newest = store.find_name("genome").await.unwrap().manifest;
    for _ in 0..3 {
        let renewed = store.renew(&newest, None, Effects::Apply).await;
        newest = renewed.unwrap().manifest;
    }
    world.collect().await.unwrap();
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert!(
        matches!(report.recovered[..], [Recovered::Finished { .. }]),
        "{report:?}"
    );
    for client in [&world, &other] {
        let found = client.store().find_name("genome").await.unwrap();
        assert_eq!(found.manifest.hash(), newest.hash());
        let (data, _) = get(&client.store(), &found.manifest).await.unwrap();
        assert_eq!(data, b"stranded");
    }
}

/// A put stopped before its manifest stood anywhere, and a collector took its shares. Wherever its recovery
/// stops, nobody who follows what they see gives up what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_collected_is_shown_to_nobody() {
    let data = payload(100, 1);
    for stop in 0.. {
        let world = World::new(2, 3);
        world.put_named("genome", &data).await;
        let acknowledged = world.share_names();
        stranded_after(1, &world, b"stranded").await;
        for at in 0..3 {
            let mut stored = world.objects(at).into_keys();
            let is_dealt =
                |key: &ObjectKey| key.as_str().contains("/s/") && !acknowledged.contains(key);
            let dealt = stored.find(is_dealt);
            world.remove(at, &dealt.unwrap());
        }
        world.together.set([Fault::StopAt { effect: stop }]);
        let recovered = world.store().recover(|_, _| Ok(())).await.unwrap();
        let stopped = world.together.counts().effects > stop;
        world.heal();
        let store = other_client(&world).store();
        let found = store.find_name("genome").await.unwrap().manifest;
        let renewed = store.renew(&found, None, Effects::Apply).await;
        let renewed = renewed.unwrap().manifest;
        assert!(get(&store, &renewed).await.unwrap().0 == data, "{stop}");
        if !stopped {
            assert!(matches!(recovered.recovered[..], [Recovered::Undone]));
            assert!(stop >= 3, "a copy at each backend");
            break;
        }
    }
}

/// A put of which one copy stood, and which another installation saw and followed, so its shares are gone;
/// and of those who know that, nobody answers. Recovery waits, and puts nothing beside what followed.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_followed_where_nobody_answers_is_not_taken_back() {
    let world = World::new(2, 3);
    for (at, plan) in world.plans.iter().enumerate() {
        plan.set([Fault::FailEffects {
            effects: if at == 0 { 3 } else { 2 }..u64::MAX,
            kind: BackendErrorKind::Unavailable,
        }]);
    }
    let stopped = world.try_put(b"stranded", named()).await;
    assert_eq!(stopped.unwrap_err().code(), "INSUFFICIENT_BACKENDS");
    world.heal();
    let other = other_client(&world);
    let data = payload(100, 1);
    let followed = other.put_named("genome", &data).await.manifest;
    assert_eq!(followed.body().version, 2);
    // Site 0 never heard of what followed.
    for key in world.objects(0).into_keys() {
        if key.as_str().contains("/o/") && key.as_str().contains("/2/") {
            world.remove(0, &key);
        }
    }
    let before = world.objects(0);
    world.fail(1);
    world.fail(2);
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert_eq!((report.recovered.len(), report.postponed.len()), (0, 1));
    assert!(world.objects(0) == before, "nothing is put beside it");
    world.heal();
    for client in [&world, &other] {
        let store = client.store();
        store.recover(|_, _| Ok(())).await.unwrap();
        let found = store.find_name("genome").await.unwrap().manifest;
        assert!(get(&store, &found).await.unwrap().0 == data);
    }
}

/// A put stopped before its manifest stood anywhere, and another one took its version, at backends of which
/// only one is among the first's: the others are asked as well, and nothing waits.
#[tokio::test(flavor = "multi_thread")]
async fn an_overtaken_put_does_not_wait_for_backends_that_it_does_not_name() {
    let world = World::with_spares(3, 3, 2);
    let kind = BackendErrorKind::Unavailable;
    let fail_from = |at: usize, first| {
        let effects = first..u64::MAX;
        world.plans[at].set([Fault::FailEffects { effects, kind }]);
    };
    // Identity, segment; then the manifest.
    (0..5).for_each(|at| fail_from(at, if at < 2 { 0 } else { 2 }));
    let stopped = world.try_put(b"stopped", named()).await;
    assert_eq!(stopped.unwrap_err().code(), "INSUFFICIENT_BACKENDS");
    world.heal();
    let other = other_client(&world);
    (3..5).for_each(|at| fail_from(at, 0));
    other.put_named("genome", b"other").await;
    world.heal();
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert!(
        matches!(report.recovered[..], [Recovered::Undone]),
        "{report:?}"
    );
    let found = world.store().find_name("genome").await.unwrap().manifest;
    assert_eq!(get(&world.store(), &found).await.unwrap().0, b"other");
    assert_eq!(world.share_names().len(), 3);
}

/// A source that lets another client put the same name while it is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_was_overtaken_is_taken_back() {
    let world = World::new(2, 3);
    let other = other_client(&world);
    world.put_named("genome", b"first").await;
    let (mut writer, mut reader) = tokio::io::duplex(64);
    let slow = async {
        world
            .store()
            .put(&mut reader, named(), &mut nothing_more)
            .await
            .map(|_| ())
    };
    let overtaking = async {
        use tokio::io::AsyncWriteExt as _;
        writer.write_all(b"slow").await.unwrap();
        other.put_named("genome", b"fast").await;
        drop(writer);
    };
    let (slow, ()) = tokio::join!(slow, overtaking);
    assert_eq!(slow.unwrap_err().code(), "CONFLICT");
    let found = world.store().find_name("genome").await.unwrap();
    assert_eq!(
        get(&world.store(), &found.manifest).await.unwrap().0,
        b"fast"
    );
    assert_eq!(world.share_names().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_does_one_thing_with_an_object_at_a_time() {
    let world = World::new(2, 3);
    let manifest = world.put_named("genome", b"first").await.manifest;
    let (writer, mut reader) = tokio::io::duplex(64);
    let slow = async {
        world
            .store()
            .put(&mut reader, named(), &mut nothing_more)
            .await
    };
    let meanwhile = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let delete = world.store().delete(&manifest).await;
        let put = world.try_put(b"second", named()).await;
        drop(writer);
        [delete.unwrap_err().code(), put.unwrap_err().code()]
    };
    let (slow, meanwhile) = tokio::join!(slow, meanwhile);
    assert_eq!(meanwhile, ["LOCKED", "LOCKED"]);
    assert_eq!(slow.unwrap().manifest.body().version, 2);
}

/// Another maker's manifest of our object, however high its version, is no mark for ours.
#[tokio::test(flavor = "multi_thread")]
async fn marks_of_one_maker_say_nothing_about_another() {
    let world = World::new(2, 3);
    let mine = world.put_named("genome", b"mine").await.manifest;
    let other = OwnerKeys::derive(&RootKey::from_bytes([8; 32]));
    let body = Body {
        version: u64::MAX - 1,
        previous: Some(mine.hash()),
        maker: other.maker(),
        ..mine.body().clone()
    };
    let theirs = Manifest::seal(body, &other).unwrap();
    let mut trusted = TrustedMakers::default();
    trusted.pin("other", other.maker()).unwrap();
    let builder = Store::builder()
        .keys(Arc::clone(&world.keys))
        .trusted(trusted)
        .catalogue(Arc::clone(&world.catalogue));
    let store = world.backends.iter().fold(builder, |builder, backend| {
        builder.backend(Arc::clone(backend) as _, FailureDomain::default())
    });
    store
        .build()
        .unwrap()
        .find_file(theirs.envelope())
        .await
        .unwrap();
    assert_eq!(
        world.store().find_name("genome").await.unwrap().manifest,
        mine
    );
    world.put_named("genome", b"mine again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_identities_cost_no_share() {
    let world = World::new(2, 3);
    let data = payload(1000, 2);
    let manifest = world.put(&data).await.manifest;
    let id = names::backend_uid(manifest.body().store_tag);
    (0..3).for_each(|at| world.remove(at, &id));
    let (restored, _) = get(&world.reader(&[0, 1, 2]), &manifest).await.unwrap();
    assert_eq!(restored, data);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_was_acknowledged_and_lost_is_noticed_before_anything_is_dealt() {
    let world = World::new(2, 3);
    world.plans[1].set([Fault::LoseEffects { effects: 0..1 }]);
    let error = world
        .try_put(b"genome", PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
    assert!(world.share_names().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_does_not_vanish_or_move() {
    let world = World::new(2, 3);
    world.put_named("genome", b"seen").await;
    for at in 0..3 {
        world
            .objects(at)
            .keys()
            .for_each(|key| world.remove(at, key));
    }
    for result in [
        world.store().find_name("genome").await.map(|_| ()),
        world.try_put(b"again", named()).await.map(|_| ()),
    ] {
        assert!(matches!(result, Err(Error::Rollback { seen: 1, found: 0 })));
    }
    assert!(world.share_names().is_empty(), "nothing was dealt");
}

/// A deletion that one backend still shows is no proof that the object is gone: a later version
/// may stand where nobody answers.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_deletion_does_not_hide_what_was_acknowledged_since() {
    let world = World::new(2, 3);
    let first = world.put_named("genome", b"first").await.manifest;
    world.store().delete(&first).await.unwrap();
    let kind = BackendErrorKind::Unavailable;
    // Its share, and then its manifest, which it does not take.
    let effects = 1..u64::MAX;
    world.plans[2].set([Fault::FailEffects { effects, kind }]);
    world.put_named("genome", b"second").await;
    world.plans[2].set([]);
    for plan in &world.plans[..2] {
        let calls = 0..u64::MAX;
        plan.set([Fault::FailCalls { calls, kind }]);
    }
    let error = other_client(&world)
        .store()
        .find_name("genome")
        .await
        .unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
}
