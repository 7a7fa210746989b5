//! The manifest as an attacker sees it: every byte, every field, every trap of its encoding.

use super::*;
use crate::keys::RootKey;

/// A change that makes a body contradict itself.
type Edit = fn(&mut Body);

fn keys(seed: u8) -> OwnerKeys {
    OwnerKeys::derive(&RootKey::from_bytes([seed; 32]))
}

fn share(index: u8) -> ShareEntry {
    ShareEntry {
        index,
        root: ShareRoot([index; 32]),
        location: Some(Location {
            backend: BackendUid([index; 16]),
            label: format!("site-{index}"),
            manifest_prefix: Prefix([index; 16]),
            share_prefix: Prefix([index + 100; 16]),
            zone: Some("EEA".into()),
            operator: None,
            credential: None,
            host: Some("this computer".into()),
        }),
    }
}

pub(crate) fn body(maker: &OwnerKeys) -> Body {
    Body {
        object_id: ObjectId([1; 32]),
        put_id: PutId([2; 32]),
        version: 1,
        state: STATE_LIVE,
        device: DeviceId([3; 16]),
        previous: None,
        maker: maker.maker(),
        store_tag: maker.store_tag(),
        scheme: 1,
        mode: 0,
        padding: 0,
        suffix: 0,
        k: 2,
        n: 3,
        chunk_len: 64 << 10,
        chunks_per_segment: 256,
        padded_len: 100_000,
        chunks: 3,
        shares: (0..3).map(share).collect(),
        held: Vec::new(),
        revocation: 0,
        created_unix_s: 1_700_000_000,
        expires_unix_s: None,
        superseded: None,
        extension: Some(Blob(vec![0xa0])),
        trial: None,
    }
}

fn verifier<'a>(owner: Option<&'a OwnerKeys>, trusted: &'a TrustedMakers) -> Verifier<'a> {
    Verifier {
        owner,
        trusted,
        accept_unsigned: false,
    }
}

#[test]
fn the_owner_and_whoever_pinned_the_maker_read_it_and_nobody_else() {
    let owner = keys(7);
    let manifest = Manifest::seal(body(&owner), &owner).unwrap();
    let nobody = TrustedMakers::default();
    let read = Manifest::open(manifest.envelope(), &verifier(Some(&owner), &nobody)).unwrap();
    assert_eq!(
        (read.body(), read.provenance()),
        (manifest.body(), &Provenance::Owner)
    );
    assert_eq!(read.hash(), manifest.hash());

    let mut pinned = TrustedMakers::default();
    pinned.pin("berlin", owner.maker()).unwrap();
    let read = Manifest::open(manifest.envelope(), &verifier(Some(&keys(8)), &pinned)).unwrap();
    assert_eq!(read.provenance(), &Provenance::Pinned("berlin".into()));

    let stranger = Manifest::open(manifest.envelope(), &verifier(Some(&keys(8)), &nobody));
    assert_eq!(stranger.unwrap_err().code(), "KEY_UNTRUSTED");
    let accepting = Verifier {
        accept_unsigned: true,
        ..verifier(None, &nobody)
    };
    let read = Manifest::open(manifest.envelope(), &accepting).unwrap();
    assert_eq!(read.provenance(), &Provenance::Unproven);
}

/// With our own key at hand a failed check is final, whatever the caller accepts.
#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let owner = keys(7);
    let manifest = Manifest::seal(body(&owner), &owner).unwrap();
    let nobody = TrustedMakers::default();
    let verifier = verifier(Some(&owner), &nobody);
    let good = manifest.envelope().to_vec();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let code = Manifest::open(&bad, &verifier).unwrap_err().code();
        let version_byte = bit / 8 == 4;
        assert_eq!(
            code,
            if version_byte {
                "SHARE_VERSION_MISMATCH"
            } else {
                "MANIFEST_INVALID"
            }
        );
    }
    for len in 0..good.len() {
        assert!(
            Manifest::open(&good[..len], &verifier).is_err(),
            "cut at {len}"
        );
    }
    assert!(Manifest::open(&[good.as_slice(), &[0]].concat(), &verifier).is_err());
}

#[test]
fn accepting_unsigned_manifests_does_not_accept_changed_ones_of_ours() {
    let owner = keys(7);
    let mut bytes = Manifest::seal(body(&owner), &owner)
        .unwrap()
        .envelope()
        .to_vec();
    bytes[20] ^= 1;
    let nobody = TrustedMakers::default();
    let accepting = Verifier {
        accept_unsigned: true,
        ..verifier(Some(&owner), &nobody)
    };
    assert_eq!(
        Manifest::open(&bytes, &accepting).unwrap_err().code(),
        "MANIFEST_INVALID"
    );
}

/// Fields that contradict each other are refused even under a valid signature.
#[test]
fn contradictions_are_not_signed_and_not_read() {
    let owner = keys(7);
    let edits: [(&str, Edit); 21] = [
        ("version", |b| b.version = 0),
        ("state", |b| b.state = 2),
        ("previous", |b| b.previous = Some(ManifestHash([0; 32]))),
        ("scheme", |b| b.scheme = 2),
        ("mode", |b| b.mode = 2),
        ("padding", |b| b.padding = 9),
        ("suffix", |b| b.suffix = 1),
        ("k", |b| b.k = 1),
        ("n", |b| b.n = 4),
        ("chunk_len", |b| b.chunk_len = 65_537),
        ("chunks_per_segment", |b| b.chunks_per_segment = 8),
        ("padded_len", |b| b.padded_len = u64::MAX),
        ("chunks", |b| b.chunks = 2),
        ("shares", |b| b.shares.swap(0, 1)),
        ("one backend twice", |b| {
            b.shares[1].location = b.shares[0].location.clone()
        }),
        ("revocation", |b| b.revocation = 1),
        ("last version", |b| {
            (b.version, b.previous) = (u64::MAX, Some(ManifestHash([0; 32])))
        }),
        ("no trial", |b| b.trial = Some(false)),
        ("nothing superseded", |b| b.superseded = Some(Vec::new())),
        ("held", |b| {
            b.held = vec![Held {
                index: 3,
                backend: BackendUid([0; 16]),
                since_unix_s: 0,
            }];
        }),
        ("length", |b| b.padding = 1),
    ];
    for (field, edit) in edits {
        let mut bad = body(&owner);
        edit(&mut bad);
        let code = Manifest::seal(bad, &owner).unwrap_err().code();
        assert_eq!(code, "MANIFEST_INVALID", "{field}");
    }
}

#[test]
fn the_signer_is_the_maker() {
    let (owner, other) = (keys(7), keys(8));
    let forged = Manifest::seal(body(&owner), &other).unwrap();
    let nobody = TrustedMakers::default();
    let read = Manifest::open(forged.envelope(), &verifier(Some(&other), &nobody));
    assert_eq!(read.unwrap_err().code(), "MANIFEST_INVALID");
}

/// 2 KiB + 160 bytes for each share + the extension, whatever the object's size.
#[test]
fn a_manifest_of_100_gb_is_small() {
    let owner = keys(7);
    let mut large = body(&owner);
    large.chunk_len = 2 << 20;
    large.chunks_per_segment = 8;
    large.padded_len = 100_000_000_000;
    large.chunks = large.geometry().unwrap().chunks();
    large.held = (0..3)
        .map(|index| Held {
            index,
            backend: BackendUid([index; 16]),
            since_unix_s: 1 << 40,
        })
        .collect();
    let extension = large.extension.as_ref().map_or(0, |e| e.0.len());
    let manifest = Manifest::seal(large, &owner).unwrap();
    let bound = 2048 + 160 * 3 + extension;
    assert!(
        manifest.envelope().len() < bound,
        "{} bytes",
        manifest.envelope().len()
    );
}

/// Readers fetch [`MAX_LEN`] bytes at most, so what may be written must fit exactly.
#[test]
fn the_longest_body_is_read_and_a_longer_one_is_not_signed() {
    let owner = keys(7);
    let with_extension = |len| {
        let mut body = body(&owner);
        body.extension = Some(Blob(vec![0xa0; len]));
        body
    };
    let around = cbor::to_vec(&with_extension(MAX_BODY_LEN / 2)).len() - MAX_BODY_LEN / 2;
    let longest = MAX_BODY_LEN - around;
    let manifest = Manifest::seal(with_extension(longest), &owner).unwrap();
    assert_eq!(manifest.envelope().len(), MAX_LEN);
    let nobody = TrustedMakers::default();
    Manifest::open(manifest.envelope(), &verifier(Some(&owner), &nobody)).unwrap();
    let longer = Manifest::seal(with_extension(longest + 1), &owner);
    assert_eq!(longer.unwrap_err().code(), "MANIFEST_INVALID");
}

/// What a manifest says of a place is what placement judges it by.
#[test]
fn a_location_keeps_the_labels_of_its_failure_domain() {
    let mut location = share(0).location.unwrap();
    location.operator = Some("clinic".into());
    location.credential = Some("backup".into());
    let domain = location.failure_domain();
    let labels: Vec<&str> = domain.labels().map(|(_, value)| value).collect();
    assert_eq!(labels, ["EEA", "clinic", "backup", "this computer"]);
}
