//! Manifests: the documented one, encoded here a second time, and what may not be made of it.

mod encoding;
mod envelope;
mod rules;

use xstore::ids::{BackendUid, ObjectId, PutId};
use xstore::keys::trust::TrustedMakers;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::manifest::Verifier;
use xstore::{Error, Manifest};

use crate::cbor::{Map, array, bytes, text, uint};
use crate::corpus::{self, Case, OK, case};
use crate::owner;

const INVALID: &str = "MANIFEST_INVALID";
const DOMAIN: &[u8] = b"xgene/manifest/1\0";
const OBJECT: ObjectId = ObjectId([1; 32]);
const PUT: PutId = PutId([2; 32]);
const TIME: u64 = 1_800_000_000;

#[test]
fn manifests_are_read_or_refused_as_named() {
    let all = [good(), envelope::bad(), encoding::bad(), rules::bad()];
    let cases: Vec<Case> = all.into_iter().flatten().collect();
    corpus::check("tests/golden/files/manifest", &cases, |bytes| {
        match open(bytes) {
            Ok(manifest) => {
                assert_eq!(manifest.envelope(), bytes);
                OK
            }
            Err(error) => error.code(),
        }
    });
}

/// One code has many causes: what is wrong with a body is found in the body, not in a signature
/// that the recipe got wrong.
#[test]
fn bodies_are_refused_for_what_is_wrong_with_them() {
    let encoding = "its body is not in the one form it may have";
    let authenticity = "it was changed after it was signed";
    for case in encoding::bad() {
        assert_eq!(reason(&case.bytes), encoding, "{}", case.what);
    }
    for case in rules::bad() {
        let reason = reason(&case.bytes);
        assert!(
            reason != encoding && reason != authenticity,
            "{}",
            case.what
        );
    }
}

fn reason(bytes: &[u8]) -> &'static str {
    match open(bytes) {
        Err(Error::ManifestInvalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Opens as the owner who has pinned one other maker.
pub(crate) fn open(bytes: &[u8]) -> Result<Manifest, Error> {
    let owner = owner();
    let mut trusted = TrustedMakers::default();
    trusted.pin("pinned", other().maker()).unwrap();
    let verifier = Verifier {
        owner: Some(&owner),
        trusted: &trusted,
        accept_unsigned: false,
    };
    Manifest::open(bytes, &verifier)
}

fn good() -> Vec<Case> {
    let pinned = two_shares().with(7, bytes(&other().maker().0));
    vec![
        case(
            "two-shares",
            OK,
            "the manifest that docs/formats/manifest.md prints",
            seal(&two_shares().encode()),
        ),
        case(
            "three-shares",
            OK,
            "k = 2, n = 3, and every optional field",
            seal(&three_shares().encode()),
        ),
        case(
            "share-not-stored",
            OK,
            "k = 2, n = 3, and no backend took share 1",
            seal(&one_not_stored().encode()),
        ),
        case(
            "refreshed",
            OK,
            "deals anew what another dealing held, which stays for a day",
            seal(
                &three_shares()
                    .with(24, array(&[refreshed().encode()]))
                    .encode(),
            ),
        ),
        case(
            "deleted",
            OK,
            "version 2, deleted",
            seal(&second_version().with(4, uint(1)).encode()),
        ),
        case(
            "mode-short",
            OK,
            "the short mode",
            seal(&two_shares().with(10, uint(1)).encode()),
        ),
        case(
            "pinned-maker",
            OK,
            "by another maker, whom the reader has pinned",
            seal_as(&other(), &pinned.encode()),
        ),
    ]
}

/// Another maker, pinned by the reader of these files: root key 32 times `08`.
fn other() -> OwnerKeys {
    OwnerKeys::derive(&RootKey::from_bytes([8; 32]))
}

/// The body of the documented manifest.
pub(crate) fn two_shares() -> Map {
    let owner = owner();
    Map::of(&[
        (1, bytes(&OBJECT.0)),
        (2, bytes(&PUT.0)),
        (3, uint(1)),
        (4, uint(0)),
        (5, bytes(&[3; 16])),
        (7, bytes(&owner.maker().0)),
        (8, bytes(&owner.store_tag().0)),
        (9, uint(2)),
        (10, uint(0)),
        (11, uint(0)),
        (12, uint(0)),
        (13, uint(2)),
        (14, uint(2)),
        (15, uint(65_536)),
        (16, uint(256)),
        (17, uint(7)),
        (18, uint(2)),
        (
            19,
            array(&[
                share(0, "DE", "EEA").encode(),
                share(1, "CA", "CA").encode(),
            ]),
        ),
        (20, array(&[held(0).encode(), held(1).encode()])),
        (21, uint(0)),
        (22, uint(TIME)),
    ])
}

/// The next version of it.
fn second_version() -> Map {
    two_shares().with(3, uint(2)).insert(6, bytes(&[9; 32]))
}

/// XorIDA, and every optional field.
fn three_shares() -> Map {
    let labels = [("DE", "EEA"), ("CA", "CA"), ("JP", "JP")];
    let shares = (0..).zip(labels).map(|(index, (label, zone))| {
        let location = location(index, label, zone)
            .insert(6, text("operator"))
            .insert(7, text("profile"))
            .insert(8, text("this computer"));
        share(index, label, zone)
            .with(3, location.encode())
            .encode()
    });
    second_version()
        .with(9, uint(1))
        .with(11, uint(1))
        .with(14, uint(3))
        .with(19, array(&shares.collect::<Vec<_>>()))
        .with(20, array(&[held(0).encode(), held(2).encode()]))
        .with(23, uint(TIME + 1))
        .with(24, array(&[superseded().encode()]))
        .with(25, bytes(&[0xa0]))
        .with(26, vec![0xf5])
}

/// As many shares as can be read and found without a backend more.
fn one_not_stored() -> Map {
    let shares = [share(0, "DE", "EEA"), unstored(1), share(2, "JP", "JP")];
    three_shares().with(19, array(&shares.map(|share| share.encode())))
}

/// A share without a location.
fn unstored(index: u8) -> Map {
    let mut share = share(index, "", "");
    share.0.truncate(2);
    share
}

fn superseded() -> Map {
    let location = Map::of(&[(1, bytes(&[4; 16])), (2, bytes(&[6; 16]))]);
    Map::of(&[(1, bytes(&[7; 32])), (2, array(&[location.encode()]))])
}

fn refreshed() -> Map {
    superseded()
        .with(3, vec![0xf5])
        .with(4, uint(TIME + 86_400))
}

fn share(index: u8, label: &str, zone: &str) -> Map {
    Map::of(&[
        (1, uint(index.into())),
        (2, bytes(&[0x10 + index; 32])),
        (3, location(index, label, zone).encode()),
    ])
}

fn location(index: u8, label: &str, zone: &str) -> Map {
    let (owner, backend) = (owner(), BackendUid([4 + index; 16]));
    Map::of(&[
        (1, bytes(&backend.0)),
        (2, text(label)),
        (3, bytes(&owner.manifest_prefix(OBJECT, backend).0)),
        (4, bytes(&owner.share_prefix(OBJECT, PUT, backend).0)),
        (5, text(zone)),
    ])
}

fn held(index: u8) -> Map {
    Map::of(&[
        (1, uint(index.into())),
        (2, bytes(&[4 + index; 16])),
        (3, uint(TIME)),
    ])
}

/// Magic, version, length and body: what is signed.
fn signed(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap();
    [b"XGMF\x01".as_slice(), &len.to_be_bytes(), body].concat()
}

/// The envelope of any body, correctly authenticated by the owner.
pub(crate) fn seal(body: &[u8]) -> Vec<u8> {
    seal_as(&owner(), body)
}

fn seal_as(keys: &OwnerKeys, body: &[u8]) -> Vec<u8> {
    let signed = signed(body);
    let (mac, signature) = keys.authenticate(&[DOMAIN, &signed].concat());
    [signed.as_slice(), &keys.maker().0, &mac, &signature].concat()
}
