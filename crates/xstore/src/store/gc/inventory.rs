//! What lies at the backends: dealings first, then every manifest.
//!
//! The order matters: a tomb that is listed stood before any manifest was read, so a manifest that is
//! not read came after the tomb and its writer sees it. Of objects only names are held, and of
//! manifests what they name.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use crate::backend::{BackendError, BackendErrorKind, ObjectKey};
use crate::error::Error;
use crate::ids::{BackendUid, ManifestHash, ObjectId, Prefix, StoreTag};
use crate::manifest::{self, Body, Manifest, Provenance, STATE_LIVE, Superseded};
use crate::names;
use crate::placement::write_quorum;
use crate::store::Store;
use crate::store::gc::complete;
use crate::store::listing::for_each_page;
use crate::store::sites::Site;

/// Manifests that are read at once.
const READS_AT_ONCE: usize = 16;

/// Everything under one store tag. Sites are numbers into the list that it was taken from.
#[derive(Default)]
pub(super) struct Inventory {
    /// Stored objects.
    pub(super) keys: u64,
    pub(super) dealings: BTreeMap<(usize, Prefix), Dealing>,
    pub(super) objects: BTreeMap<ObjectId, Versions>,
    /// Copies of manifests that were sealed anew since, under a later key: they say nothing any more.
    pub(super) replaced: Vec<(usize, ObjectKey)>,
}

/// Shares of one dealing at one backend.
#[derive(Default)]
pub(super) struct Dealing {
    pub(super) keys: u64,
    pub(super) tombs: u64,
    /// Segments of which there is any attempt; names come in order.
    segments: u64,
    last_segment: Option<u64>,
}

impl Dealing {
    fn add(&mut self, rest: &str) {
        self.keys += 1;
        self.tombs += u64::from(rest.starts_with("tomb/"));
        let segment = rest
            .split_once('/')
            .and_then(|(first, _)| first.parse().ok());
        if segment.is_some() && segment != self.last_segment {
            self.segments += 1;
            self.last_segment = segment;
        }
    }

    /// Whether no collector has marked it or taken a part of it.
    fn is_untouched(&self, segments: u64) -> bool {
        self.tombs == 0 && self.segments >= segments
    }
}

/// All manifests of one object.
pub(super) type Versions = BTreeMap<(u64, ManifestHash), Version>;

/// What one manifest says.
pub(super) struct Version {
    pub(super) is_live: bool,
    /// The version that it follows.
    pub(super) previous: Option<ManifestHash>,
    pub(super) expires_unix_s: Option<u64>,
    /// Later keys of the owner than the one that made it.
    age: usize,
    /// Where its shares are.
    pub(super) shares: Vec<(BackendUid, Prefix)>,
    /// Where those of earlier dealings are that it keeps for readers.
    pub(super) kept: BTreeSet<(BackendUid, Prefix)>,
    /// Where those are that it gives up.
    pub(super) given_up: BTreeSet<(BackendUid, Prefix)>,
    segments: u64,
    write_quorum: usize,
    /// Backends of it that have a copy.
    pub(super) holders: BTreeSet<BackendUid>,
    /// Copies, wherever they are: the site, and the name part there.
    pub(super) copies: Vec<(usize, Prefix)>,
}

impl Version {
    fn of(body: &Body, age: usize, now_unix_s: u64) -> Result<Self, Error> {
        let places = |dealing: &Superseded| {
            let places = dealing.locations.iter();
            places
                .map(|at| (at.backend, at.share_prefix))
                .collect::<Vec<_>>()
        };
        let given_up: BTreeSet<_> = body.given_up(now_unix_s).flat_map(places).collect();
        let mut kept: BTreeSet<_> = body.superseded().flat_map(places).collect();
        kept.retain(|place| !given_up.contains(place));
        let shares = body.stored().map(|(_, at)| (at.backend, at.share_prefix));
        Ok(Self {
            is_live: body.state == STATE_LIVE,
            previous: body.previous,
            expires_unix_s: body.expires_unix_s,
            age,
            shares: shares.collect(),
            kept,
            given_up,
            segments: body.geometry()?.segments(),
            write_quorum: write_quorum(body.k, body.n),
            holders: BTreeSet::new(),
            copies: Vec::new(),
        })
    }

    /// Whether so many of its backends have a copy that it can not be overlooked.
    pub(super) fn is_committed(&self) -> bool {
        self.holders.len() >= self.write_quorum
    }

    /// Whether this is `other` under a later key, word for word as far as anything is decided by it.
    fn is_sealed_anew(&self, other: &Self) -> bool {
        self.age < other.age
            && (self.is_live, self.previous) == (other.is_live, other.previous)
            && (self.expires_unix_s, self.segments) == (other.expires_unix_s, other.segments)
            && self.shares == other.shares
            && (&self.kept, &self.given_up) == (&other.kept, &other.given_up)
    }
}

impl Inventory {
    /// Lists and reads everything.
    pub(super) async fn take(store: &Store, sites: &[Site], tag: StoreTag) -> Result<Self, Error> {
        let now_unix_s = store.clock.now_unix_s();
        let mut inventory = Self::default();
        inventory.list_dealings(sites, tag).await?;
        let listed = list_manifests(sites, tag).await?;
        let mut invalid = Vec::new();
        let mut missing: BTreeMap<BackendUid, String> = BTreeMap::new();
        for (at, keys) in listed.iter().enumerate() {
            inventory.keys += keys.len() as u64;
            for keys in keys.chunks(READS_AT_ONCE) {
                let reads = keys.iter().map(|key| read(store, &sites[at], tag, key));
                for (key, read) in keys.iter().zip(join_all(reads).await) {
                    match read {
                        Ok(Some((prefix, manifest))) => {
                            missing.extend(store.not_among(sites, manifest.body()));
                            let age = store.age_of(manifest.body().maker);
                            let version = Version::of(manifest.body(), age, now_unix_s)?;
                            inventory.add((at, &sites[at]), prefix, &manifest, version);
                        }
                        // Another collector removed it.
                        Ok(None) => {}
                        Err(Error::Backend(failure)) => return Err(failure.into()),
                        Err(_) => invalid.push((sites[at].label().to_owned(), key.clone())),
                    }
                }
            }
        }
        inventory.set_replaced_aside(tag);
        invalid.extend(inventory.after_a_later_key(sites, tag));
        if !invalid.is_empty() {
            return Err(Error::InvalidManifests(invalid));
        }
        let missing = missing.into_values().map(|label| {
            let cause = "a manifest names it, and it is not a backend of this store";
            BackendError::with_source(BackendErrorKind::Unavailable, &label, cause)
        });
        complete(sites.iter().collect(), missing.collect())?;
        Ok(inventory)
    }

    /// Sets aside what recovery sealed anew; copies of it go once what replaces it is committed.
    fn set_replaced_aside(&mut self, tag: StoreTag) {
        for versions in self.objects.values_mut() {
            let anew = |key: &(u64, ManifestHash), version: &Version| {
                let beside = versions.range((key.0, ManifestHash([0; 32]))..);
                let mut beside = beside.take_while(|((number, _), _)| *number == key.0);
                let anew = beside.find(|(_, other)| other.is_sealed_anew(version))?;
                Some((*key, anew.1.is_committed()))
            };
            let replaced = versions
                .iter()
                .filter_map(|(key, version)| anew(key, version));
            for (key, is_done) in replaced.collect::<Vec<_>>() {
                let copies = versions.remove(&key).map(|version| version.copies);
                let copies = copies.into_iter().flatten().filter(|_| is_done);
                let name = |prefix| names::manifest(tag, prefix, key.0, key.1);
                self.replaced
                    .extend(copies.map(|(site, prefix)| (site, name(prefix))));
            }
        }
    }

    /// Manifests that a replaced key made beside or after one of a later key: nobody but a thief, or
    /// an installation without the later key, makes such.
    fn after_a_later_key(&self, sites: &[Site], tag: StoreTag) -> Vec<(String, ObjectKey)> {
        let mut made = Vec::new();
        for versions in self.objects.values() {
            for ((number, hash), version) in versions {
                let later = |(other, _): &(u64, ManifestHash), v: &Version| {
                    other <= number && v.age < version.age
                };
                if versions.iter().any(|(at, other)| later(at, other)) {
                    made.extend(version.copies.iter().map(|(site, prefix)| {
                        let key = names::manifest(tag, *prefix, *number, *hash);
                        (sites[*site].label().to_owned(), key)
                    }));
                }
            }
        }
        made
    }

    async fn list_dealings(&mut self, sites: &[Site], tag: StoreTag) -> Result<(), Error> {
        let mut failures = Vec::new();
        for (at, site) in sites.iter().enumerate() {
            let backend = &*site.attached.backend;
            let start = names::dealings(tag);
            let listed = for_each_page(backend, &start, |keys| {
                for key in &keys {
                    self.keys += 1;
                    let Some((prefix, rest)) = names::parse_share(tag, key) else {
                        continue;
                    };
                    self.dealings.entry((at, prefix)).or_default().add(rest);
                }
            });
            failures.extend(listed.await.err());
        }
        complete(sites.iter().collect(), failures).map(|_| ())
    }

    /// Whether a version has all its shares as they were written: its writer never goes back.
    pub(super) fn is_untouched(&self, sites: &[Site], version: &Version) -> bool {
        version.shares.iter().all(|(uid, prefix)| {
            let mut at = (0..sites.len()).filter(|at| sites[*at].uid == *uid);
            at.any(|at| {
                let dealing = self.dealings.get(&(at, *prefix));
                dealing.is_some_and(|dealing| dealing.is_untouched(version.segments))
            })
        })
    }

    fn add(&mut self, site: (usize, &Site), prefix: Prefix, manifest: &Manifest, of: Version) {
        let body = manifest.body();
        let versions = self.objects.entry(body.object_id).or_default();
        let key = (body.version, manifest.hash());
        let version = versions.entry(key).or_insert(of);
        let (at, site) = site;
        if version.shares.iter().any(|(uid, _)| *uid == site.uid) {
            version.holders.insert(site.uid);
        }
        version.copies.push((at, prefix));
    }
}

/// Names of manifests at each site, and of whatever else is where manifests are.
async fn list_manifests(sites: &[Site], tag: StoreTag) -> Result<Vec<Vec<ObjectKey>>, Error> {
    let (mut listed, mut failures) = (Vec::new(), Vec::new());
    for site in sites {
        let mut keys = Vec::new();
        let backend = &*site.attached.backend;
        match for_each_page(backend, &names::manifests(tag), |page| keys.extend(page)).await {
            Ok(()) => listed.push(keys),
            Err(failure) => failures.push(failure),
        }
    }
    complete(listed, failures)
}

/// The manifest that must be at `key`; `None` when nothing is there any more.
async fn read(
    store: &Store,
    site: &Site,
    tag: StoreTag,
    key: &ObjectKey,
) -> Result<Option<(Prefix, Manifest)>, Error> {
    let backend = &*site.attached.backend;
    let read = backend.get_range(key, 0..manifest::MAX_LEN as u64 + 1);
    let bytes = match read.await {
        Err(error) if error.kind == BackendErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let manifest = store.open_manifest(&bytes)?;
    let body = manifest.body();
    let prefix = store.keys()?.manifest_prefix(body.object_id, site.uid);
    let name = names::manifest(tag, prefix, body.version, manifest.hash());
    if *manifest.provenance() == Provenance::Owner && body.store_tag == tag && name == *key {
        return Ok(Some((prefix, manifest)));
    }
    Err(Error::ManifestInvalid("it stands under another's name"))
}

impl Store {
    /// Backends that a manifest names and that are neither among `sites` nor retired, with their
    /// labels.
    fn not_among(&self, sites: &[Site], body: &Body) -> Vec<(BackendUid, String)> {
        let label = |uid: BackendUid| {
            let stored = body.stored().find(|(_, at)| at.backend == uid);
            stored.map_or_else(|| uid.to_string(), |(_, at)| at.label.clone())
        };
        let held = body.held.iter().map(|held| held.backend);
        let named = held.chain(body.stored().map(|(_, at)| at.backend));
        let there = |uid: BackendUid| sites.iter().any(|site| site.uid == uid);
        let missing = named.filter(|uid| !there(*uid) && !self.is_retired(*uid));
        missing.map(|uid| (uid, label(uid))).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
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
}
