//! Inventories made by hand: what they count, set aside, and read.

use std::sync::Arc;

use super::*;
use crate::ids::PutId;
use crate::keys::{OwnerKeys, RootKey};
use crate::manifest::SupersededLocation;
use crate::memory::MemoryBackend;
use crate::placement::FailureDomain;
use crate::store::Attached;
use crate::testing::{Fault, FaultyBackend, Plan};

pub(in crate::store::gc) const TAG: StoreTag = StoreTag([7; 16]);

pub(in crate::store::gc) fn place(at: u8) -> (BackendUid, Prefix) {
    (BackendUid([at; 16]), Prefix([at; 16]))
}

/// A live version of three shares, whose copies are at so many of its backends.
pub(in crate::store::gc) fn version(copies: u8) -> Version {
    Version {
        is_live: true,
        previous: None,
        expires_unix_s: None,
        age: 0,
        shares: (0..3).map(place).collect(),
        kept: BTreeSet::new(),
        given_up: BTreeSet::new(),
        segments: 2,
        write_quorum: 2,
        holders: (0..copies).map(|at| place(at).0).collect(),
        copies: (0..copies)
            .map(|at| (usize::from(at), place(at).1))
            .collect(),
    }
}

pub(in crate::store::gc) const fn hash(byte: u8) -> ManifestHash {
    ManifestHash([byte; 32])
}

/// Three backends with the identities of [`place`].
pub(in crate::store::gc) fn sites() -> Vec<Site> {
    let site = |at: u8| Site {
        uid: place(at).0,
        attached: Attached {
            backend: Arc::new(MemoryBackend::new(format!("site-{at}"))),
            domain: FailureDomain::default(),
        },
    };
    (0..3).map(site).collect()
}

pub(in crate::store::gc) fn dealing(names: &[&str]) -> Dealing {
    let mut dealing = Dealing::default();
    names.iter().for_each(|name| dealing.add(name));
    dealing
}

/// Versions of one object, by number and the byte of their hash.
pub(in crate::store::gc) fn inventory(
    versions: impl IntoIterator<Item = ((u64, u8), Version)>,
) -> Inventory {
    let versions = versions.into_iter();
    let versions = versions.map(|((number, byte), version)| ((number, hash(byte)), version));
    let mut inventory = Inventory::default();
    inventory
        .objects
        .insert(ObjectId([1; 32]), versions.collect());
    inventory
}

#[test]
fn a_dealing_counts_segments_once_and_tombs_apart() {
    let whole = dealing(&["0/0", "0/1", "1/0"]);
    assert_eq!((whole.keys, whole.tombs, whole.segments), (3, 0, 2));
    assert!(whole.is_untouched(2) && whole.is_untouched(1));
    assert!(!whole.is_untouched(3), "a part is missing");
    let marked = dealing(&["0/0", "1/0", "tomb/1"]);
    assert_eq!((marked.keys, marked.tombs, marked.segments), (3, 1, 2));
    assert!(!marked.is_untouched(2));
}

#[test]
fn a_version_is_committed_on_its_own_backends_and_whole_on_all() {
    assert!(!version(1).is_committed() && version(2).is_committed());
    let sites = sites();
    let mut inventory = Inventory::default();
    for at in 0..3 {
        let dealing = dealing(&["0/0", "1/0"]);
        inventory
            .dealings
            .insert((usize::from(at), place(at).1), dealing);
    }
    assert!(inventory.is_untouched(&sites, &version(3)));
    let of_another = inventory.dealings.remove(&(2, place(2).1)).unwrap();
    inventory.dealings.insert((2, place(9).1), of_another);
    assert!(!inventory.is_untouched(&sites, &version(3)));
}

#[test]
fn what_is_not_one_of_its_backends_holds_a_copy_and_commits_nothing() {
    let keys = OwnerKeys::derive(&RootKey::from_bytes([1; 32]));
    let body = manifest::tests::body(&keys);
    let manifest = Manifest::seal(body, &keys).unwrap();
    let sites = sites();
    let mut inventory = Inventory::default();
    let mut of = version(0);
    of.shares.pop();
    inventory.add((0, &sites[0]), place(0).1, &manifest, of);
    inventory.add((2, &sites[2]), place(2).1, &manifest, version(0));
    let version = inventory.objects.values().next().unwrap();
    let version = version.values().next().unwrap();
    assert_eq!(version.copies, [(0, place(0).1), (2, place(2).1)]);
    assert_eq!(version.holders, BTreeSet::from([place(0).0]));
}

/// The first differs from the second in nothing but its key.
#[test]
fn only_a_later_key_seals_anew_and_word_for_word() {
    let old = || Version {
        age: 1,
        ..version(2)
    };
    assert!(version(2).is_sealed_anew(&old()));
    assert!(!old().is_sealed_anew(&version(2)));
    assert!(!old().is_sealed_anew(&old()));
    let changes: [fn(&mut Version); 7] = [
        |v| v.is_live = false,
        |v| v.previous = Some(hash(9)),
        |v| v.expires_unix_s = Some(1),
        |v| v.segments = 3,
        |v| _ = v.shares.pop(),
        |v| _ = v.kept.insert(place(9)),
        |v| _ = v.given_up.insert(place(9)),
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut other = old();
        change(&mut other);
        assert!(!version(2).is_sealed_anew(&other), "change {at}");
    }
}

#[test]
fn what_was_sealed_anew_goes_once_that_is_committed_and_nothing_else() {
    let old = |copies| Version {
        age: 1,
        ..version(copies)
    };
    for (copies, gone) in [(2, 1), (1, 0)] {
        let mut inventory = inventory([
            ((1, 1), old(3)),
            ((2, 2), old(1)),
            ((2, 3), version(copies)),
            ((3, 4), version(2)),
        ]);
        inventory.set_replaced_aside(TAG);
        let left = inventory.objects[&ObjectId([1; 32])].keys();
        let left: Vec<u64> = left.map(|(number, _)| *number).collect();
        assert_eq!(left, [1, 2, 3]);
        let name = names::manifest(TAG, place(0).1, 2, hash(2));
        assert_eq!(inventory.replaced, vec![(0, name); gone]);
        assert!(inventory.after_a_later_key(&sites(), TAG).is_empty());
    }
}

#[test]
fn a_replaced_key_has_no_word_beside_or_after_a_later_one() {
    let old = |byte| Version {
        age: 1,
        previous: Some(hash(byte)),
        ..version(1)
    };
    let inventory = inventory([
        ((1, 1), old(9)),
        ((2, 2), version(3)),
        ((2, 3), old(8)),
        ((3, 4), old(7)),
    ]);
    let name = |number, byte| names::manifest(TAG, place(0).1, number, hash(byte));
    let expected = [name(2, 3), name(3, 4)].map(|name| ("site-0".to_owned(), name));
    assert_eq!(inventory.after_a_later_key(&sites(), TAG), expected);
}

#[test]
fn earlier_dealings_are_kept_or_given_up_by_their_time() {
    let keys = OwnerKeys::derive(&RootKey::from_bytes([1; 32]));
    let earlier = |at: u8, kept_until_unix_s| Superseded {
        put_id: PutId([at; 32]),
        locations: vec![SupersededLocation {
            backend: place(at).0,
            share_prefix: place(at).1,
        }],
        refreshed: Some(true),
        kept_until_unix_s,
    };
    let mut body = manifest::tests::body(&keys);
    body.superseded = Some(vec![earlier(8, Some(101)), earlier(9, None)]);
    for (now, kept, given_up) in [(100, vec![8], vec![9]), (101, vec![], vec![8, 9])] {
        let version = Version::of(&body, 0, now).unwrap();
        let places = |of: Vec<u8>| of.into_iter().map(place).collect::<BTreeSet<_>>();
        assert_eq!(version.kept, places(kept));
        assert_eq!(version.given_up, places(given_up));
    }
}

#[tokio::test]
async fn a_manifest_is_read_under_its_own_name_only() {
    let keys = Arc::new(OwnerKeys::derive(&RootKey::from_bytes([1; 32])));
    let backend = Arc::new(MemoryBackend::new("site-0"));
    let plan = Plan::default();
    let faulty = Arc::new(FaultyBackend::new(Arc::clone(&backend), plan.clone()));
    let builder = Store::builder().keys(Arc::clone(&keys));
    let builder = builder.backend(Arc::clone(&faulty) as _, FailureDomain::default());
    let store = builder.build().unwrap();
    let site = Site {
        uid: place(0).0,
        attached: Attached {
            backend: faulty,
            domain: FailureDomain::default(),
        },
    };
    let body = manifest::tests::body(&keys);
    let (tag, prefix) = (
        body.store_tag,
        keys.manifest_prefix(body.object_id, site.uid),
    );
    let manifest = Manifest::seal(body, &keys).unwrap();
    let name = |version| names::manifest(tag, prefix, version, manifest.hash());
    let [own, other, nothing] = [1, 2, 3].map(name);
    for name in [&own, &other] {
        backend.replace(name, manifest.envelope().to_vec());
    }
    let found = read(&store, &site, tag, &own).await.unwrap();
    assert_eq!(found, Some((prefix, manifest.clone())));
    let error = read(&store, &site, tag, &other).await.unwrap_err();
    assert_eq!(error.code(), "MANIFEST_INVALID");
    assert_eq!(read(&store, &site, tag, &nothing).await.unwrap(), None);
    plan.set([Fault::FailCalls {
        calls: 0..u64::MAX,
        kind: BackendErrorKind::Timeout,
    }]);
    let error = read(&store, &site, tag, &own).await.unwrap_err();
    assert_eq!(error.code(), "BACKEND_TIMEOUT");
}
