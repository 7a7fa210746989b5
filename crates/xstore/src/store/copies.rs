//! What backends hold of one object: valid manifests, and who answered.

use std::collections::BTreeSet;
use std::ops::RangeFrom;

use futures_util::future::join_all;

use crate::backend::{BackendError, BackendErrorKind};
use crate::error::Error;
use crate::ids::{BackendUid, MakerKey, ManifestHash, ObjectId, Prefix, StoreTag};
use crate::manifest::{self, Body, Location, Manifest};
use crate::names;
use crate::store::gather::gather;
use crate::store::listing::for_each_page;
use crate::store::sites::{Site, Sites};
use crate::store::{Attached, Store};

/// A backend may show any number of forged names; no more than this many are looked at.
const MAX_CANDIDATES: usize = 16;

/// Which manifests are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) tag: StoreTag,
    pub(crate) object: ObjectId,
    pub(crate) maker: MakerKey,
}

impl Wanted {
    /// Other versions of the object that `body` describes.
    pub(crate) const fn of(body: &Body) -> Self {
        Self {
            tag: body.store_tag,
            object: body.object_id,
            maker: body.maker,
        }
    }
}

/// How long a reader waits for backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until all have answered.
    All,
    /// Until the answers of others cannot change the outcome.
    Enough,
}

/// What backends hold of one object.
#[derive(Default)]
pub(crate) struct Copies {
    /// Distinct valid manifests, the highest version of each backend.
    pub(crate) manifests: Vec<Manifest>,
    /// Backends that answered, whatever they hold.
    pub(crate) answered: BTreeSet<BackendUid>,
    /// Which of them hold which manifest.
    held: BTreeSet<(ManifestHash, BackendUid)>,
    /// Backends that were not waited for.
    pub(crate) late: usize,
    /// Labels of backends that answered that they have no identity, and so no manifest.
    pub(crate) strangers: Vec<String>,
    pub(crate) failures: Vec<BackendError>,
}

impl Copies {
    /// What is known before any manifest was asked for.
    pub(crate) fn of(sites: &Sites) -> Self {
        let label = |stranger: &Attached| stranger.backend.id().to_owned();
        let failure = |failure: &BackendError| BackendError::new(failure.kind, &failure.backend);
        Self {
            strangers: sites.strangers.iter().map(label).collect(),
            failures: sites.failures.iter().map(failure).collect(),
            late: sites.late.len(),
            ..Self::default()
        }
    }

    /// What was read at `places`.
    fn read(
        places: &[(Site, Prefix)],
        reads: impl Iterator<Item = Option<Result<Vec<Manifest>, BackendError>>>,
    ) -> Self {
        let mut copies = Self::default();
        for ((site, _), read) in places.iter().zip(reads) {
            match read {
                Some(Ok(found)) => {
                    copies.answered.insert(site.uid);
                    for manifest in found {
                        copies.held.insert((manifest.hash(), site.uid));
                        if !copies.manifests.contains(&manifest) {
                            copies.manifests.push(manifest);
                        }
                    }
                }
                Some(Err(failure)) => copies.failures.push(failure),
                None => copies.late += 1,
            }
        }
        copies
    }

    /// How many backends of `body` answered, if only that they have no identity.
    pub(crate) fn answered_of(&self, body: &Body) -> usize {
        let there = |at: &Location| {
            self.answered.contains(&at.backend) || self.strangers.contains(&at.label)
        };
        body.stored().filter(|(_, at)| there(at)).count()
    }

    /// Refuses unless so many backends of `body` answered that one would have a newer version.
    pub(crate) fn expect_fresh(&self, body: &Body) -> Result<(), Error> {
        self.expect(body.read_quorum(), self.answered_of(body))
    }

    /// Refuses unless every backend answered.
    pub(crate) fn expect_all(&self) -> Result<(), Error> {
        let answered = self.answered.len() + self.strangers.len();
        self.expect(answered + self.failures.len(), answered)
    }

    fn expect(&self, needed: usize, available: usize) -> Result<(), Error> {
        if available >= needed {
            return Ok(());
        }
        let failure = |failure: &BackendError| BackendError::new(failure.kind, &failure.backend);
        Err(Error::InsufficientBackends {
            needed,
            available,
            failures: self.failures.iter().map(failure).collect(),
        })
    }

    pub(crate) fn holds(&self, manifest: &Manifest, backend: BackendUid) -> bool {
        self.held.contains(&(manifest.hash(), backend))
    }

    pub(crate) fn add(&mut self, more: Self) {
        for manifest in more.manifests {
            if !self.manifests.contains(&manifest) {
                self.manifests.push(manifest);
            }
        }
        self.answered.extend(more.answered);
        self.held.extend(more.held);
        self.late += more.late;
        self.failures.extend(more.failures);
    }
}

/// Whether so many of the backends that a manifest names hold it that it is committed. Those of the
/// version before it hold it too, and say nothing: a version after it need not have reached them.
pub(crate) fn is_committed(
    manifest: &Manifest,
    holds: impl Fn(&Manifest, BackendUid) -> bool,
) -> bool {
    let body = manifest.body();
    let holders = body.stored().filter(|(_, at)| holds(manifest, at.backend));
    holders.count() >= body.write_quorum()
}

/// The version of the newest of `manifests`, if it is committed.
pub(crate) fn committed<'a>(
    manifests: impl Iterator<Item = &'a Manifest>,
    holds: impl Fn(&Manifest, BackendUid) -> bool,
) -> Option<u64> {
    // Two of one version: the one that comes up does not matter, both have fewer than all.
    let newest = manifests.max_by_key(|manifest| manifest.body().version)?;
    is_committed(newest, holds).then_some(newest.body().version)
}

impl Store {
    /// Reads the highest valid version at each of `places`.
    pub(crate) async fn copies(&self, places: &[(Site, Prefix)], wanted: Wanted) -> Copies {
        let reads = places
            .iter()
            .map(|(site, prefix)| self.copy_at(site, *prefix, wanted));
        Copies::read(places, join_all(reads).await.into_iter().map(Some))
    }

    /// As [`Store::copies`], but with [`Patience::Enough`] others are not waited for once the newest
    /// is known to be committed and this client has seen no later one.
    pub(crate) async fn copies_with(
        &self,
        places: &[(Site, Prefix)],
        wanted: Wanted,
        patience: Patience,
    ) -> Result<Copies, Error> {
        let seen = self.mark(wanted.maker, wanted.object)?;
        let seen = seen.map_or(0, |seen| seen.version);
        let reads = places
            .iter()
            .map(|(site, prefix)| self.copy_at(site, *prefix, wanted));
        let enough = |reads: &[Option<Result<Vec<Manifest>, BackendError>>]| {
            let read = places
                .iter()
                .zip(reads)
                .filter_map(|((site, _), read)| Some((site.uid, read.as_ref()?.as_ref().ok()?)));
            let read: Vec<(BackendUid, &Vec<Manifest>)> = read.collect();
            let holds = |manifest: &Manifest, uid| {
                let mut read = read.iter();
                read.any(|(at, held)| *at == uid && held.contains(manifest))
            };
            let newest = committed(read.iter().flat_map(|(_, held)| *held), holds);
            patience == Patience::Enough && newest.is_some_and(|version| version >= seen)
        };
        let reads = gather(reads, enough).await;
        Ok(Copies::read(places, reads.into_iter()))
    }

    /// Reads all valid versions from `from` on at each of `places`.
    pub(crate) async fn line(
        &self,
        places: &[(Site, Prefix)],
        wanted: Wanted,
        from: u64,
    ) -> Copies {
        let reads = places.iter().map(|(site, prefix)| async move {
            let mut names = names_at(site, wanted.tag, *prefix, from..).await?;
            // What is next to `from` says how it went on.
            names.reverse();
            names.truncate(MAX_CANDIDATES);
            let mut line = Vec::new();
            for name in names {
                line.extend(self.manifest_at(site, *prefix, name, wanted).await?);
            }
            Ok(line)
        });
        Copies::read(places, join_all(reads).await.into_iter().map(Some))
    }

    /// The valid manifests of the highest rank at one backend; a forged or damaged copy is
    /// passed over, because one valid copy is enough.
    async fn copy_at(
        &self,
        site: &Site,
        prefix: Prefix,
        wanted: Wanted,
    ) -> Result<Vec<Manifest>, BackendError> {
        let names = names_at(site, wanted.tag, prefix, 0..).await?;
        let mut found: Vec<Manifest> = Vec::new();
        for (version, hash) in names.into_iter().take(MAX_CANDIDATES) {
            // Below what a replaced key made there may be something of a later key.
            let settles = |copy: &Manifest| {
                copy.body().version > version && self.age_of(copy.body().maker) == 0
            };
            if found.iter().any(settles) {
                break;
            }
            let name = (version, hash);
            found.extend(self.manifest_at(site, prefix, name, wanted).await?);
        }
        Ok(self.newest(found))
    }

    /// What has this name, if it is a valid manifest of what is wanted. Only the maker of the object
    /// counts: another maker that is trusted for its own objects has no word in this one.
    async fn manifest_at(
        &self,
        site: &Site,
        prefix: Prefix,
        (version, hash): (u64, ManifestHash),
        wanted: Wanted,
    ) -> Result<Option<Manifest>, BackendError> {
        let backend = &site.attached.backend;
        let key = names::manifest(wanted.tag, prefix, version, hash);
        let bytes = match backend
            .get_range(&key, 0..manifest::MAX_LEN as u64 + 1)
            .await
        {
            Err(error) if error.kind == BackendErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let copy = match self.open_manifest(&bytes) {
            Ok(copy) => copy,
            // Perhaps the newest there is: then this backend has not told what it has.
            Err(error @ Error::Version { .. }) => {
                let kind = BackendErrorKind::Unavailable;
                return Err(BackendError::with_source(kind, backend.id(), error));
            }
            Err(_) => return Ok(None),
        };
        let named_so = copy.body().object_id == wanted.object
            && self.is_same_owner(copy.body().maker, wanted.maker)
            && copy.body().version == version
            && copy.hash() == hash;
        Ok(named_so.then_some(copy))
    }
}

/// Versions in `range` of what is at a backend under a prefix, the highest first; so many of the
/// highest and the lowest that the list stays short whatever a backend shows.
async fn names_at(
    site: &Site,
    tag: StoreTag,
    prefix: Prefix,
    range: RangeFrom<u64>,
) -> Result<Vec<(u64, ManifestHash)>, BackendError> {
    let mut names: Vec<(u64, ManifestHash)> = Vec::new();
    let start = names::manifest_versions(tag, prefix);
    for_each_page(&*site.attached.backend, &start, |keys| {
        let parsed = keys
            .iter()
            .filter_map(|key| names::parse_manifest(tag, key));
        let parsed = parsed.map(|(_, version, hash)| (version, hash));
        names.extend(parsed.filter(|(version, _)| range.contains(version)));
        names.sort_unstable_by(|a, b| b.cmp(a));
        let middle = MAX_CANDIDATES..names.len().saturating_sub(MAX_CANDIDATES);
        if !middle.is_empty() {
            names.drain(middle);
        }
    })
    .await?;
    Ok(names)
}
