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
pub(super) mod tests;
