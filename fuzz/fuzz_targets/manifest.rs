//! The manifest (docs/formats/manifest.md), before and behind its signature: nothing changed is
//! believed, and everything that can be signed is read back as it was.
#![no_main]

#[path = "manifest/plan.rs"]
mod plan;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use plan::Plan;
use xgene_fuzz::{Input, read};
use xstore::Manifest;
use xstore::cbor;
use xstore::keys::trust::TrustedMakers;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::manifest::{Body, Verifier};

static OWNER: LazyLock<OwnerKeys> =
    LazyLock::new(|| OwnerKeys::derive(&RootKey::from_bytes([7; 32])));
static NOBODY: LazyLock<TrustedMakers> = LazyLock::new(TrustedMakers::default);

fuzz_target!(|data: &[u8]| {
    match read::<Plan>(data) {
        Some(Input::Raw(bytes)) => raw(bytes),
        Some(Input::Planned(plan)) => planned(&plan),
        None => {}
    }
});

/// A stranger's bytes: refused by the owner, or, where no maker is asked for, one form of a body.
fn raw(bytes: &[u8]) {
    let owned = Manifest::open(bytes, &as_owner());
    assert!(owned.is_err() || owned.is_ok_and(|manifest| manifest.envelope() == bytes));
    let anybody = Verifier {
        owner: None,
        trusted: &NOBODY,
        accept_unsigned: true,
    };
    if let Ok(manifest) = Manifest::open(bytes, &anybody) {
        let body = cbor::to_vec(manifest.body());
        assert!(bytes[9..].starts_with(&body), "a body has one encoding");
    }
    if let Ok(body) = cbor::from_slice::<Body>(bytes) {
        assert_eq!(cbor::to_vec(&body), bytes);
    }
}

fn planned(plan: &Plan) {
    let body = plan.body(&OWNER);
    let sealed = match Manifest::seal(body.clone(), &OWNER) {
        Ok(sealed) => sealed,
        Err(error) => {
            assert!(plan.edited(), "{error}: {body:?}");
            assert_eq!(error.code(), "MANIFEST_INVALID");
            return;
        }
    };
    match Manifest::open(sealed.envelope(), &as_owner()) {
        Ok(read) => assert_eq!(read, sealed),
        Err(error) => panic!("{error}: what was signed is not read: {body:?}"),
    }
    let damaged = plan.damage.apply(sealed.envelope());
    if damaged != sealed.envelope() {
        assert!(
            Manifest::open(&damaged, &as_owner()).is_err(),
            "a changed manifest was believed"
        );
    }
}

fn as_owner() -> Verifier<'static> {
    Verifier {
        owner: Some(&OWNER),
        trusted: &NOBODY,
        accept_unsigned: false,
    }
}
