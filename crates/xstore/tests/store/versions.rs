//! Names, versions, freshness, expiry, placement and keys.

use std::sync::Arc;

use xstore::catalogue::MemoryCatalogue;
use xstore::keys::trust::TrustedMakers;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::placement::FailureDomain;
use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, Error, Freshness, GetOptions, PutOptions, StorageBackend, Store,
    UnknownMakers, nothing_more,
};

use crate::world::{NOW, World, get, payload, subsets};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_put_replaces_the_first_and_leaves_none_of_its_shares() {
    let world = World::new(2, 3);
    let first = world.put_named("genome", &payload(100, 1)).await;
    let second = world.put_named("genome", &payload(200, 2)).await;
    assert_eq!(
        first.manifest.body().object_id,
        second.manifest.body().object_id
    );
    assert_eq!(second.manifest.body().version, 2);
    assert_eq!(second.manifest.body().previous, Some(first.manifest.hash()));
    let found = world.store().find_name("genome").await.unwrap();
    assert_eq!(
        get(&world.store(), &found.manifest).await.unwrap().0,
        payload(200, 2)
    );
    assert_eq!(
        world.share_names().len(),
        3,
        "one segment object at each site"
    );
    // The file of the first put names the object, and the newest version counts.
    let found = world
        .store()
        .find_file(first.manifest.envelope())
        .await
        .unwrap();
    assert_eq!(found.manifest.body().version, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_object_is_gone_and_an_old_file_does_not_bring_it_back() {
    let world = World::new(2, 3);
    let manifest = world.put_named("genome", &payload(100, 3)).await.manifest;
    let report = world.store().delete(&manifest).await.unwrap();
    assert!(report.pending.is_empty());
    assert!(world.share_names().is_empty());
    for error in [
        world.store().find_name("genome").await.unwrap_err(),
        world
            .store()
            .find_file(manifest.envelope())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.code(), "OBJECT_NOT_FOUND");
    }
    let again = world.put_named("genome", &payload(50, 4)).await;
    assert_eq!(again.manifest.body().version, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn freshness_is_proven_by_n_minus_w_plus_1_answers_and_never_claimed_with_fewer() {
    let world = World::new(3, 5);
    let manifest = world.put(&payload(100, 5)).await.manifest;
    for answering in 0..=5 {
        for set in subsets(5, answering) {
            if set.is_empty() {
                continue;
            }
            let found = world
                .reader(&set)
                .find_file(manifest.envelope())
                .await
                .unwrap();
            let proven = found.freshness == Freshness::Proven;
            assert_eq!(proven, answering >= 3, "{set:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_that_show_an_old_version_are_caught() {
    let world = World::new(2, 3);
    world.put_named("genome", &payload(100, 6)).await;
    let old: Vec<_> = (0..3).map(|at| world.objects(at)).collect();
    world.put_named("genome", &payload(100, 7)).await;
    for (at, objects) in old.iter().enumerate() {
        world
            .objects(at)
            .keys()
            .for_each(|key| world.remove(at, key));
        objects
            .iter()
            .for_each(|(key, bytes)| world.replace(at, key, bytes.clone()));
    }
    let error = world.store().find_name("genome").await.unwrap_err();
    assert_eq!(error.code(), "ROLLBACK_DETECTED");
    let newcomer = World {
        catalogue: Arc::new(MemoryCatalogue::default()),
        ..world
    };
    let found = newcomer.store().find_name("genome").await.unwrap();
    assert!(
        found.first_sight,
        "a client that never saw version 2 cannot know"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_not_found_only_when_enough_backends_say_so() {
    let world = World::new(2, 3);
    world.put_named("genome", &payload(10, 8)).await;
    assert_eq!(
        world.store().find_name("other").await.unwrap_err().code(),
        "OBJECT_NOT_FOUND"
    );
    for plan in &world.plans[..2] {
        let kind = BackendErrorKind::Unavailable;
        plan.set([Fault::FailCalls {
            calls: 0..u64::MAX,
            kind,
        }]);
    }
    let error = world.store().find_name("other").await.unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_object_is_refused() {
    let mut world = World::new(2, 3);
    let mut options = PutOptions::default();
    options.ttl_s = Some(60);
    let manifest = world
        .try_put(&payload(10, 9), options)
        .await
        .unwrap()
        .manifest;
    world.now = NOW + 59;
    assert!(get(&world.store(), &manifest).await.is_ok());
    world.now = NOW + 60;
    assert_eq!(
        get(&world.store(), &manifest).await.unwrap_err().code(),
        "MANIFEST_EXPIRED"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_stops_a_release() {
    let world = World::new(2, 3);
    let manifest = world.put(&payload(10, 10)).await.manifest;
    let mut options = GetOptions::default();
    options.guard = Some(Arc::new(|| Err("revoked".into())));
    let mut out = Vec::new();
    let error = world
        .store()
        .get(&manifest, &mut out, &options)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused(_)));
    assert!(out.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_root_key_loses_no_data() {
    let world = World::new(2, 3);
    let data = payload(1000, 11);
    let manifest = world.put(&data).await.manifest;
    let keyless = |unknown: UnknownMakers| {
        let mut builder = Store::builder().unknown_makers(unknown);
        for backend in &world.backends {
            let backend: Arc<dyn StorageBackend> = Arc::clone(backend) as _;
            builder = builder.backend(backend, FailureDomain::default());
        }
        builder.build().unwrap()
    };
    let refused = keyless(UnknownMakers::Refuse)
        .find_file(manifest.envelope())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "KEY_UNTRUSTED");
    let store = keyless(UnknownMakers::Accept);
    let found = store.find_file(manifest.envelope()).await.unwrap();
    assert_eq!(get(&store, &found.manifest).await.unwrap().0, data);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owner_reads_what_they_pinned_and_deletes_nothing() {
    let world = World::new(2, 3);
    let data = payload(1000, 12);
    let manifest = world.put(&data).await.manifest;
    let mut trusted = TrustedMakers::default();
    trusted.pin("berlin", world.keys.maker()).unwrap();
    let mut builder = Store::builder()
        .keys(Arc::new(OwnerKeys::derive(&RootKey::from_bytes([9; 32]))))
        .trusted(trusted);
    for backend in &world.backends {
        let backend: Arc<dyn StorageBackend> = Arc::clone(backend) as _;
        builder = builder.backend(backend, FailureDomain::default());
    }
    let store = builder.build().unwrap();
    let found = store.find_file(manifest.envelope()).await.unwrap();
    assert_eq!(get(&store, &found.manifest).await.unwrap().0, data);
    assert_eq!(
        store.delete(&found.manifest).await.unwrap_err().code(),
        "KEY_MISMATCH"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_backend_fails_the_put_with_the_code_that_says_what_helps() {
    for (kind, code) in [
        (BackendErrorKind::QuotaExceeded, "BACKEND_QUOTA_EXCEEDED"),
        (BackendErrorKind::AuthFailed, "BACKEND_AUTH_FAILED"),
        (BackendErrorKind::Unavailable, "INSUFFICIENT_BACKENDS"),
        (BackendErrorKind::Timeout, "INSUFFICIENT_BACKENDS"),
    ] {
        let world = World::new(2, 3);
        world.plans[1].set([Fault::FailEffects {
            effects: 1..2,
            kind,
        }]);
        let error = world
            .try_put(&payload(10, 13), PutOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code);
        assert!(world.share_names().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_was_stored_torn_or_not_at_all_is_noticed_before_the_acknowledgement() {
    for fault in [
        Fault::TearWrite {
            effect: 1,
            len_bytes: 50,
        },
        Fault::LoseEffects { effects: 1..2 },
    ] {
        let world = World::new(2, 3);
        world.plans[2].set([fault.clone()]);
        let error = world
            .try_put(&payload(100, 14), PutOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), "SHARE_UPLOAD_FAILED", "{fault:?}");
        assert!(world.share_names().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_party_may_hold_a_quorum() {
    let world = World::new(2, 3);
    let mut builder = Store::builder()
        .keys(Arc::clone(&world.keys))
        .threshold(world.access);
    for (backend, zone) in world.backends.iter().zip(["EEA", "EEA", "US"]) {
        let domain = FailureDomain {
            zone: Some(zone.into()),
            ..FailureDomain::default()
        };
        let backend: Arc<dyn StorageBackend> = Arc::clone(backend) as _;
        builder = builder.backend(backend, domain);
    }
    let store = builder.build().unwrap();
    let mut source: &[u8] = b"genome";
    let error = store
        .put(&mut source, PutOptions::default(), &mut nothing_more)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "ZONE_QUORUM");
    assert!(
        (0..3).all(|at| world.objects(at).is_empty()),
        "nothing was written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_place_under_two_labels_is_noticed() {
    let world = World::new(2, 2);
    let inner = Arc::clone(&world.backends[0]);
    let other: Arc<dyn StorageBackend> = Arc::new(xstore::testing::FaultyBackend::new(
        Relabelled(inner),
        xstore::testing::Plan::new([]),
    ));
    let store = Store::builder()
        .keys(Arc::clone(&world.keys))
        .threshold(world.access)
        .backend(
            Arc::clone(&world.backends[0]) as _,
            FailureDomain::default(),
        )
        .backend(other, FailureDomain::default())
        .build()
        .unwrap();
    let mut source: &[u8] = b"genome";
    let put = |store: Store| async move {
        store
            .put(&mut source, PutOptions::default(), &mut nothing_more)
            .await
            .map(|_| ())
    };
    assert_eq!(put(store).await.unwrap_err().code(), "INVALID_CONFIG");
}

/// The same place under another label.
#[derive(Debug)]
struct Relabelled<B>(Arc<B>);

#[async_trait::async_trait]
impl<B: StorageBackend> StorageBackend for Relabelled<B> {
    fn id(&self) -> &str {
        "another"
    }

    fn capabilities(&self) -> xstore::Capabilities {
        self.0.capabilities()
    }

    async fn put_new(
        &self,
        key: &xstore::ObjectKey,
        bytes: bytes::Bytes,
    ) -> Result<xstore::Put, xstore::BackendError> {
        self.0.put_new(key, bytes).await
    }

    async fn get_range(
        &self,
        key: &xstore::ObjectKey,
        range: std::ops::Range<u64>,
    ) -> Result<bytes::Bytes, xstore::BackendError> {
        self.0.get_range(key, range).await
    }

    async fn head(
        &self,
        key: &xstore::ObjectKey,
    ) -> Result<xstore::ObjectMeta, xstore::BackendError> {
        self.0.head(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
    ) -> Result<xstore::ListPage, xstore::BackendError> {
        self.0.list(prefix, cursor).await
    }

    async fn delete(&self, keys: &[xstore::ObjectKey]) -> Result<(), xstore::BackendError> {
        self.0.delete(keys).await
    }

    async fn erasure(&self) -> Result<xstore::Erasure, xstore::BackendError> {
        self.0.erasure().await
    }
}
