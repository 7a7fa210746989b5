//! Backends, makers and histories that want to take an object over, hide it, or keep its shares.

use std::sync::Arc;

use xorida_core::{Kind, SALT_LEN, Salt, ShareContext, ShareIndex, Suffix, Tag};
use xstore::catalogue::MemoryCatalogue;
use xstore::cbor::Blob;
use xstore::keys::trust::TrustedMakers;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::manifest::Body;
use xstore::placement::FailureDomain;
use xstore::segment::Footer;
use xstore::{Manifest, PutOptions, Store, StoreBuilder, UnknownMakers, names};

use crate::world::{World, get, payload};

/// Puts a manifest where one backend would keep it.
fn plant(world: &World, at: usize, manifest: &Manifest) {
    let body = manifest.body();
    let prefix = body.shares[at].location.as_ref().unwrap().manifest_prefix;
    let key = names::manifest(body.store_tag, prefix, body.version, manifest.hash());
    world.replace(at, &key, manifest.envelope().to_vec());
}

/// A client that has seen nothing yet.
fn newcomer(world: &World) -> StoreBuilder {
    let builder = Store::builder().catalogue(Arc::new(MemoryCatalogue::default()));
    world.backends.iter().fold(builder, |builder, backend| {
        builder.backend(Arc::clone(backend) as _, FailureDomain::default())
    })
}

/// The next version of an object, as another maker would write it.
fn forged(mine: &Manifest, by: &OwnerKeys) -> Manifest {
    let body = Body {
        version: 2,
        previous: Some(mine.hash()),
        maker: by.maker(),
        extension: Some(Blob(b"another consent".to_vec())),
        ..mine.body().clone()
    };
    Manifest::seal(body, by).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_maker_has_no_word_in_objects_of_others() {
    let world = World::new(2, 3);
    let mine = world.put_named("genome", &payload(100, 1)).await.manifest;
    let other = OwnerKeys::derive(&RootKey::from_bytes([8; 32]));
    plant(&world, 0, &forged(&mine, &other));
    let mut trusted = TrustedMakers::default();
    trusted.pin("other", other.maker()).unwrap();
    let store = newcomer(&world)
        .keys(Arc::clone(&world.keys))
        .trusted(trusted)
        .build()
        .unwrap();
    for found in [
        store.find_name("genome").await.unwrap(),
        store.find_file(mine.envelope()).await.unwrap(),
    ] {
        assert_eq!(found.manifest, mine);
    }
    assert_eq!(store.list().await.unwrap().whole().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_unknown_makers_accepts_the_maker_in_hand_and_no_other() {
    let world = World::new(2, 3);
    let mine = world.put(&payload(100, 2)).await.manifest;
    plant(
        &world,
        1,
        &forged(&mine, &OwnerKeys::derive(&RootKey::from_bytes([9; 32]))),
    );
    let store = newcomer(&world)
        .unknown_makers(UnknownMakers::Accept)
        .build()
        .unwrap();
    let found = store.find_file(mine.envelope()).await.unwrap();
    assert_eq!(found.manifest.body(), mine.body());
    let mut broken = mine.envelope().to_vec();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let error = store.find_file(&broken).await.unwrap_err();
    assert_eq!(
        error.code(),
        "MANIFEST_INVALID",
        "a broken signature is not an unknown maker"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_claims_the_identity_of_another_hides_only_itself() {
    let world = World::new(2, 3);
    let data = payload(100, 3);
    let manifest = world.put(&data).await.manifest;
    let id = names::backend_uid(manifest.body().store_tag);
    let claimed = world.objects(1)[&id].clone();
    world.replace(0, &id, claimed);
    let (restored, _) = get(&world.reader(&[0, 1, 2]), &manifest).await.unwrap();
    assert_eq!(restored, data);
    // With the other good share away, one is left: a copied identity is no second share.
    let error = get(&world.reader(&[0, 1]), &manifest).await.unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_SHARES");
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_that_could_not_be_removed_are_removed_later_even_after_another_put() {
    let world = World::new(2, 3);
    world.put_named("genome", &payload(100, 4)).await;
    let (store, plan) = (world.store(), world.plans[2].clone());
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    let mut source: &[u8] = b"second";
    let mut stop = |_: &Manifest| {
        plan.stop();
        Ok(())
    };
    let receipt = store.put(&mut source, options, &mut stop).await.unwrap();
    assert_eq!(receipt.pending, ["site-2"]);
    drop(receipt);
    world.plans[2].set([]);
    // A removal that waits for a backend stands in nobody's way, and the next version repeats it.
    world.put_named("genome", b"third").await;
    assert_eq!(world.share_names().len(), 3);
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert!(report.postponed.is_empty(), "{:?}", report.postponed);
    assert_eq!(
        world.share_names().len(),
        3,
        "only the third version is left"
    );
    let again = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert!(again.recovered.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_only_pretends_to_delete_is_told_apart() {
    let world = World::new(2, 3);
    let manifest = world.put_named("genome", &payload(100, 5)).await.manifest;
    // The deletion manifest is stored; every delete after it is acknowledged and does nothing.
    world.plans[1].set([xstore::testing::Fault::LoseEffects {
        effects: 1..u64::MAX,
    }]);
    let report = world.store().delete(&manifest).await.unwrap();
    assert_eq!(report.pending, ["site-1"]);
}

/// A backend knows the salts of its own share, and so can make tags for whatever it writes there. Only
/// the root, which is signed, says which tags were dealt.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_vouches_for_its_own_bytes_is_not_believed() {
    let world = World::new(2, 3);
    let data = payload(100, 9);
    let manifest = world.put(&data).await.manifest;
    let geometry = manifest.body().geometry().unwrap();
    let layout = geometry.layout();
    let (key, object) = world.segment(1);
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let (record, footer) = (geometry.records(&(0..1)), geometry.footer(0));
    let (record, footer) = (
        at(record.start)..at(record.end),
        at(footer.start)..at(footer.end),
    );
    let mut tags: Vec<Tag> = Footer::parse(&object[footer.clone()])
        .unwrap()
        .tags()
        .collect();
    let mut forged = object[..footer.start].to_vec();
    // A bit of the data, so that the seed beside it still gives the salts.
    forged[record.start + SALT_LEN] ^= 1;
    let (salt, share) = forged[record].split_first_chunk().unwrap();
    let context = ShareContext {
        mode: layout.mode,
        kind: Kind::Data,
        padding: layout.padding,
        suffix: Suffix::Seed,
        access: layout.access,
        chunk_len: layout.chunk_len(),
        chunks_per_segment: layout.chunks_per_segment(),
        object_id: manifest.body().object_id.0,
        put_id: manifest.body().put_id.0,
        chunk: 0,
        share_len: u32::try_from(share.len()).unwrap(),
    };
    let index = ShareIndex::try_new(1, layout.access).unwrap();
    let salt = Salt::from_bytes(*salt);
    let dealt = salt.tag(&context, index, &object[SALT_LEN..SALT_LEN + share.len()]);
    assert_eq!(dealt.as_bytes(), tags[0].as_bytes(), "it can make tags");
    tags[0] = salt.tag(&context, index, share);
    Footer::encode(0, &tags, &mut forged);
    world.replace(1, &key, forged);
    let (restored, report) = get(&world.reader(&[0, 1, 2]), &manifest).await.unwrap();
    assert!(restored == data);
    let error = get(&world.reader(&[0, 1]), &manifest).await.unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_SHARES", "{:?}", report.faults);
}
