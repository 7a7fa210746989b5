//! The same payload dealt anew: old shares end, readers do not, and a stop anywhere loses nothing.

use std::collections::BTreeSet;

use tokio::io::AsyncReadExt as _;
use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, Error, GetOptions, Happy, Manifest, ObjectKey, OldShares, PutOptions,
    RefreshOptions, RefreshReport,
};

use crate::world::{CHUNK, MODES, NOW, World, get, payload, subsets};

const DAY_S: u64 = 24 * 3600;

fn options(old_shares: OldShares) -> RefreshOptions {
    let mut options = RefreshOptions::default();
    options.old_shares = old_shares;
    options
}

async fn refresh(
    world: &World,
    manifest: &Manifest,
    old_shares: OldShares,
) -> Result<RefreshReport, Error> {
    world.store().refresh(manifest, &options(old_shares)).await
}

fn new_version(report: RefreshReport) -> Manifest {
    report.receipt.unwrap().manifest
}

/// Names of the shares of one dealing.
fn shares_of(world: &World, manifest: &Manifest) -> BTreeSet<ObjectKey> {
    let prefixes = manifest.body().stored();
    let prefixes: Vec<String> = prefixes
        .map(|(_, at)| format!("/s/{}/", at.share_prefix))
        .collect();
    let mut names = world.share_names();
    names.retain(|name| prefixes.iter().any(|part| name.as_str().contains(part)));
    names.into_iter().collect()
}

async fn recover(world: &World) {
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert!(report.postponed.is_empty(), "{:?}", report.postponed);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_shares_stay_a_day_for_those_who_read_them_and_then_go() {
    let mut world = World::new(2, 3);
    let data = payload(300 * CHUNK, 1);
    let old = world.put_named("genome", &data).await.manifest;
    let report = refresh(&world, &old, OldShares::KeepADay).await.unwrap();
    assert_eq!(report.kept_until_unix_s, Some(NOW + DAY_S));
    assert_eq!(
        (report.remaining.len(), report.is_effective(&[])),
        (3, false)
    );
    let new = new_version(report);
    assert_eq!(new.body().version, 2);
    assert_ne!(new.body().put_id, old.body().put_id);
    let roots = |manifest: &Manifest| {
        let shares = manifest.body().shares.iter();
        shares.map(|share| share.root).collect::<BTreeSet<_>>()
    };
    assert!(roots(&old).is_disjoint(&roots(&new)));

    // Both read, and the running client does not take the old shares for something unfinished.
    world.now = NOW + DAY_S - 1;
    recover(&world).await;
    assert_eq!(get(&world.store(), &old).await.unwrap().0, data);
    for pair in subsets(3, 2) {
        assert_eq!(get(&world.reader(&pair), &new).await.unwrap().0, data);
    }
    assert!(!shares_of(&world, &old).is_empty());
    world.now = NOW + DAY_S;
    recover(&world).await;
    assert!(shares_of(&world, &old).is_empty());
    assert_eq!(get(&world.store(), &new).await.unwrap().0, data);
    let found = world.store().find_file(old.envelope()).await.unwrap();
    assert_eq!(found.manifest.hash(), new.hash());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_leak_old_shares_go_at_once_unless_a_backend_is_away() {
    let world = World::new(3, 5);
    let old = world.put_named("genome", &payload(100, 2)).await.manifest;
    let report = refresh(&world, &old, OldShares::RemoveNow).await.unwrap();
    assert!(report.remaining.is_empty());
    assert!(
        report.is_effective(&[0, 4]),
        "two leaked shares say nothing"
    );
    assert!(!report.is_effective(&[0, 1, 4]), "three are the payload");
    assert!(shares_of(&world, &old).is_empty());
    let new = new_version(report);

    // The new shares are stored, and then site-1 does not delete the old one.
    world.plans[1].set([Fault::FailEffects {
        effects: 2..u64::MAX,
        kind: BackendErrorKind::Unavailable,
    }]);
    let report = refresh(&world, &new, OldShares::RemoveNow).await.unwrap();
    let remaining: Vec<u8> = report.remaining.iter().map(|old| old.index).collect();
    assert_eq!(remaining, [1]);
    assert!(report.is_effective(&[1]) && report.is_effective(&[2]));
    assert!(!report.is_effective(&[2, 3]));
    world.heal();
    recover(&world).await;
    assert!(shares_of(&world, &new).is_empty());
}

/// Reads the first bytes, lets `meanwhile` happen, and reads on.
async fn read_across(
    world: &World,
    manifest: &Manifest,
    meanwhile: impl Future<Output = ()>,
) -> (Result<(), Error>, Vec<u8>) {
    let (mut reader, mut writer) = tokio::io::duplex(4096);
    let store = world.store();
    let read = async move {
        let options = GetOptions::default();
        let read = store.get(manifest, &mut writer, &options).await;
        read.map(|_| ())
    };
    let look = async move {
        let mut bytes = vec![0; 10];
        reader.read_exact(&mut bytes).await.unwrap();
        meanwhile.await;
        reader.read_to_end(&mut bytes).await.unwrap();
        bytes
    };
    futures_util::future::join(read, look).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_with_the_new_shares_at_the_next_chunk() {
    let world = World::new(2, 3);
    let data = payload(900 * CHUNK, 3);
    let old = world.put_named("genome", &data).await.manifest;
    let twice = async {
        let new = refresh(&world, &old, OldShares::RemoveNow).await.unwrap();
        let new = new_version(new);
        refresh(&world, &new, OldShares::RemoveNow).await.unwrap();
        assert!(shares_of(&world, &old).is_empty());
    };
    let (read, bytes) = read_across(&world, &old, twice).await;
    read.unwrap();
    assert!(bytes == data);
    let (store, options, mut bytes) = (world.store(), GetOptions::default(), Vec::new());
    let range = 17..(600 * CHUNK as u64);
    let read = store.get_range(&old, range, &mut bytes, &options).await;
    read.unwrap();
    assert!(bytes == data[17..600 * CHUNK]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_goes_on_with_another_payload() {
    let world = World::new(2, 3);
    let data = payload(900 * CHUNK, 4);
    let old = world.put_named("genome", &data).await.manifest;
    let other = payload(900 * CHUNK, 5);
    let replace = async {
        let new = refresh(&world, &old, OldShares::RemoveNow).await.unwrap();
        drop(new);
        world.put_named("genome", &other).await;
    };
    let (read, bytes) = read_across(&world, &old, replace).await;
    assert_eq!(read.unwrap_err().code(), "SHARE_VERSION_MISMATCH");
    assert!(bytes.len() < data.len() && data.starts_with(&bytes));

    let newest = world.store().find_name("genome").await.unwrap().manifest;
    let delete = async {
        world.store().delete(&newest).await.unwrap();
    };
    let (read, bytes) = read_across(&world, &newest, delete).await;
    assert_eq!(read.unwrap_err().code(), "SHARE_VERSION_MISMATCH");
    assert!(other.starts_with(&bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_or_a_deletion_ends_the_grace_of_old_shares() {
    for delete in [true, false] {
        let world = World::new(2, 3);
        let old = world.put_named("genome", &payload(100, 6)).await.manifest;
        let new = new_version(refresh(&world, &old, OldShares::KeepADay).await.unwrap());
        if delete {
            world.store().delete(&new).await.unwrap();
        } else {
            world.put_named("genome", b"another").await;
        }
        assert!(shares_of(&world, &old).is_empty(), "{delete}");
        assert!(shares_of(&world, &new).is_empty(), "{delete}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_stopped_at_any_effect_leaves_an_object_that_reads() {
    let data = payload(300 * CHUNK, 7);
    let mut cases = 0;
    for at in 0..3 {
        for stop in 0.. {
            let world = World::new(2, 3);
            let old = world.put_named("genome", &data).await.manifest;
            world.plans[at].set([Fault::StopAt { effect: stop }]);
            let done = refresh(&world, &old, OldShares::RemoveNow).await;
            let stopped = world.plans[at].counts().effects > stop;
            world.heal();
            recover(&world).await;
            let found = world.store().find_name("genome").await.unwrap().manifest;
            assert!(get(&world.store(), &found).await.unwrap().0 == data);
            let stray = world.share_names().len() - shares_of(&world, &found).len();
            assert_eq!(stray, 0, "site {at}, effect {stop}");
            cases += 1;
            if !stopped {
                assert_eq!(new_version(done.unwrap()).hash(), found.hash());
                break;
            }
        }
    }
    // Two segments, index and manifest, three old objects deleted, and one run that went through.
    assert_eq!(cases, 3 * (7 + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_whole_is_not_dealt_again() {
    let world = World::new(2, 3);
    let data = payload(300 * CHUNK, 8);
    let old = world.put_named("genome", &data).await.manifest;
    let before = world.share_names();
    let of_last = |at: usize| {
        let mut names = world.objects(at).into_keys();
        names.find(|key| key.as_str().ends_with("/1/0")).unwrap()
    };
    let (at_0, at_1) = (of_last(0), of_last(1));
    world.remove(0, &at_0);
    world.remove(1, &at_1);
    let error = refresh(&world, &old, OldShares::RemoveNow)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_SHARES");
    assert_eq!(world.share_names().len(), before.len() - 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_away_is_replaced_by_a_spare_or_left_out_on_request() {
    let world = World::with_spares(2, 3, 1);
    let data = payload(100, 9);
    let old = world.put_named("genome", &data).await.manifest;
    world.fail(1);
    let new = new_version(refresh(&world, &old, OldShares::KeepADay).await.unwrap());
    let labels = new.body().stored().map(|(_, at)| at.label.clone());
    assert_eq!(labels.collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(get(&world.reader(&[0, 3]), &new).await.unwrap().0, data);

    // What the layer above wrote may say where shares may be: nobody steps in then.
    let world = World::with_spares(2, 3, 1);
    let mut put = PutOptions::default();
    put.extension = Some(vec![0xa0]);
    let old = world.try_put(&data, put).await.unwrap().manifest;
    world.fail(1);
    let error = refresh(&world, &old, OldShares::KeepADay)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
    let mut degraded = options(OldShares::KeepADay);
    degraded.happy = Happy::Degraded;
    let report = world.store().refresh(&old, &degraded).await.unwrap();
    let new = new_version(report);
    let labels = new.body().stored().map(|(_, at)| at.label.clone());
    assert_eq!(labels.collect::<Vec<_>>(), ["site-0", "site-2"]);
    assert_eq!(new.body().extension, old.body().extension);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_or_deleted_object_is_not_refreshed() {
    let mut world = World::new(2, 3);
    let mut put = PutOptions::default();
    put.ttl_s = Some(10);
    let old = world.try_put(b"genome", put).await.unwrap().manifest;
    let new = new_version(refresh(&world, &old, OldShares::RemoveNow).await.unwrap());
    assert_eq!(new.body().expires_unix_s, old.body().expires_unix_s);
    let stale = refresh(&world, &old, OldShares::RemoveNow).await;
    assert_eq!(stale.unwrap_err().code(), "CONFLICT");
    let deleted = world.store().delete(&new).await.unwrap().manifest;
    let error = refresh(&world, &deleted, OldShares::RemoveNow).await;
    assert_eq!(error.unwrap_err().code(), "OBJECT_NOT_FOUND");
    world.now = NOW + 10;
    let error = refresh(&world, &new, OldShares::RemoveNow).await;
    assert_eq!(error.unwrap_err().code(), "MANIFEST_EXPIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_changes_no_mode_and_no_lengths() {
    for mode in MODES {
        let world = World::new(2, 3).in_mode(mode);
        let data = payload(3 * CHUNK, 10);
        let old = world.put_named("genome", &data).await.manifest;
        let new = new_version(refresh(&world, &old, OldShares::RemoveNow).await.unwrap());
        assert_eq!(new.body().mode, mode.id());
        assert_eq!(
            new.body().geometry().unwrap(),
            old.body().geometry().unwrap()
        );
        assert_eq!(get(&world.reader(&[1, 2]), &new).await.unwrap().0, data);
    }
}
