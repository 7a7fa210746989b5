//! A renewal moves the expiry and nothing else, also of what has expired, and never of what was
//! deleted.

use xstore::testing::Fault;
use xstore::{Effects, Error, Manifest, PutOptions, RenewReport};

use crate::world::{NOW, World, get, payload, subsets};

const TTL: u64 = 60;

async fn expiring(world: &World, data: &[u8]) -> Manifest {
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    options.ttl_s = Some(TTL);
    world.try_put(data, options).await.unwrap().manifest
}

async fn renew(world: &World, manifest: &Manifest) -> Result<RenewReport, Error> {
    let ttl = Some(TTL);
    world.store().renew(manifest, ttl, Effects::Apply).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_read_again_and_no_share_is_touched() {
    let mut world = World::new(2, 3);
    let data = payload(1000, 1);
    let first = expiring(&world, &data).await;
    let shares = |world: &World| (0..3).map(|at| world.segment(at)).collect::<Vec<_>>();
    let before = shares(&world);
    world.now = NOW + TTL;
    let found = world.store().find_name("genome").await.unwrap();
    let refused = get(&world.store(), &found.manifest).await.unwrap_err();
    assert_eq!(refused.code(), "MANIFEST_EXPIRED");
    let shown = world.store().renew(&first, None, Effects::Preview).await;
    let shown = shown.unwrap();
    assert_eq!(
        (shown.manifest.hash(), shown.expires_unix_s),
        (first.hash(), None)
    );
    assert_eq!(
        world
            .store()
            .find_name("genome")
            .await
            .unwrap()
            .manifest
            .hash(),
        first.hash()
    );

    let second = renew(&world, &first).await.unwrap().manifest;
    assert_eq!(second.body().expires_unix_s, Some(NOW + 2 * TTL));
    assert_eq!(get(&world.store(), &second).await.unwrap().0, data);
    assert_eq!(shares(&world), before);
    let stale = renew(&world, &first).await.unwrap_err();
    assert_eq!(stale.code(), "CONFLICT", "not the newest manifest");
    let third = world.store().renew(&second, None, Effects::Apply).await;
    let third = third.unwrap().manifest;
    assert_eq!(
        (third.body().version, third.body().expires_unix_s),
        (3, None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_not_brought_back() {
    let world = World::new(2, 3);
    let first = expiring(&world, b"data").await;
    let deletion = world.store().delete(&first).await.unwrap().manifest;
    for manifest in [&first, &deletion] {
        let error = renew(&world, manifest).await.unwrap_err();
        assert!(["CONFLICT", "OBJECT_NOT_FOUND"].contains(&error.code()));
    }
    assert!(world.share_names().is_empty());
}

/// A stop at any effect: afterwards the object expires when the newest manifest says, and is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_stopped_at_any_effect_is_finished() {
    let data = payload(100, 2);
    for at in 0..3 {
        for stop in 0..2 {
            let world = World::new(2, 3);
            let first = expiring(&world, &data).await;
            // A share that is lost already is no reason to take the renewal back.
            world.remove(2, &world.segment(2).0);
            world.plans[at].set([Fault::StopAt { effect: stop }]);
            let outcome = renew(&world, &first).await;
            world.heal();
            let report = world.store().recover(|_, _| Ok(())).await.unwrap();
            assert!(report.postponed.is_empty(), "{:?}", report.postponed);
            let now = world.store().find_name("genome").await.unwrap().manifest;
            let what = format!("site {at}, effect {stop}: {outcome:?}");
            assert_eq!(now.body().version, 2, "{what}");
            assert_eq!(get(&world.store(), &now).await.unwrap().0, data, "{what}");
        }
    }
}

/// With any backends down it is refused, done, or done by the next run; never half.
#[tokio::test(flavor = "multi_thread")]
async fn backends_that_are_down_refuse_or_postpone_it() {
    for (k, n) in [(2, 3), (2, 4), (3, 5)] {
        for down in 1..n {
            for set in subsets(usize::from(n), usize::from(down)) {
                let world = World::new(k, n);
                let first = expiring(&world, b"data").await;
                let body = first.body();
                let up = usize::from(n - down);
                set.iter().for_each(|&at| world.fail(at));
                let outcome = renew(&world, &first).await;
                world.heal();
                world.store().recover(|_, _| Ok(())).await.unwrap();
                let now = world.store().find_name("genome").await.unwrap().manifest;
                let what = format!("{k}-of-{n}, down {set:?}: {outcome:?}");
                assert_eq!(
                    outcome.is_ok(),
                    up >= body.write_quorum().max(body.read_quorum()),
                    "{what}"
                );
                assert_eq!(now.body().version == 2, up >= body.read_quorum(), "{what}");
            }
        }
    }
}
