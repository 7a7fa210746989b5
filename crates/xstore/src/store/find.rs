//! Which manifest counts: the highest version with valid authenticators among enough answers.

use std::collections::BTreeSet;
use std::ops::RangeFrom;

use futures_util::future::join_all;

use crate::backend::{BackendError, BackendErrorKind};
use crate::catalogue::Mark;
use crate::error::Error;
use crate::ids::{BackendUid, MakerKey, ManifestHash, ObjectId, Prefix, StoreTag};
use crate::manifest::{self, Body, Location, Manifest, Provenance, STATE_DELETED};
use crate::names;
use crate::placement::write_quorum;
use crate::planted::{self, Bug};
use crate::store::commit::rivalry;
use crate::store::gather::gather;
use crate::store::listing::for_each_page;
use crate::store::sites::{Site, Sites};
use crate::store::upload::put_confirmed;
use crate::store::{Attached, Store};

/// A backend may show any number of forged names; no more than this many are looked at.
const MAX_CANDIDATES: usize = 16;

/// Whether a manifest is known to be the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// So many backends answered that one of them would have had a newer one.
    Proven,
    /// Too few answered; a newer version may exist.
    Unproven {
        /// Backends that answered.
        answered: usize,
        /// Backends that must answer.
        needed: usize,
    },
}

impl Freshness {
    pub(crate) const fn of(answered: usize, needed: usize) -> Self {
        if answered >= needed {
            Self::Proven
        } else {
            Self::Unproven { answered, needed }
        }
    }
}

/// The manifest that counts.
#[derive(Debug, Clone)]
pub struct Found {
    /// The manifest.
    pub manifest: Manifest,
    /// Whether it is known to be the newest.
    pub freshness: Freshness,
    /// Whether this client sees the object for the first time.
    pub first_sight: bool,
}

/// Which manifests are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) tag: StoreTag,
    pub(crate) object: ObjectId,
    pub(crate) maker: MakerKey,
}

impl Copies {
    /// What is known before any manifest was asked for.
    fn of(sites: &Sites) -> Self {
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

    fn holds(&self, manifest: &Manifest, backend: BackendUid) -> bool {
        self.held.contains(&(manifest.hash(), backend))
    }

    fn add(&mut self, more: Self) {
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

/// Whether so many of the backends that a manifest names hold it that it is committed. Those of the
/// version before it hold it too, and say nothing: a version after it need not have reached them.
fn is_committed(manifest: &Manifest, holds: impl Fn(&Manifest, BackendUid) -> bool) -> bool {
    let body = manifest.body();
    let holders = body.stored().filter(|(_, at)| holds(manifest, at.backend));
    holders.count() >= body.write_quorum()
}

/// The version of the newest of `manifests`, if it is committed.
fn committed<'a>(
    manifests: impl Iterator<Item = &'a Manifest>,
    holds: impl Fn(&Manifest, BackendUid) -> bool,
) -> Option<u64> {
    // Two of one version: the one that comes up does not matter, both have fewer than all.
    let newest = manifests.max_by_key(|manifest| manifest.body().version)?;
    is_committed(newest, holds).then_some(newest.body().version)
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
    late: usize,
    /// Labels of backends that answered that they have no identity, and so no manifest.
    pub(crate) strangers: Vec<String>,
    pub(crate) failures: Vec<BackendError>,
}

impl Store {
    /// The newest manifest of the object that `envelope` (a manifest file) names; the file itself
    /// counts like one more copy.
    ///
    /// # Errors
    /// As [`Manifest::open`]; [`Error::ObjectNotFound`] when the object was deleted,
    /// [`Error::Rollback`], [`Error::Fork`] or [`Error::Conflict`] when the copies contradict what
    /// was seen or one another.
    pub async fn find_file(&self, envelope: &[u8]) -> Result<Found, Error> {
        let file = Manifest::open(envelope, &self.verifier())?;
        let object = file.body().object_id.to_string();
        let (mut copies, sites) = match self.follow(&file, Patience::Enough).await? {
            (copies, sites) if self.is_settled(&copies, Wanted::of(file.body()))? => {
                (copies, sites)
            }
            _ => self.follow(&file, Patience::All).await?,
        };
        copies.manifests.push(file);
        let found = self.choose(&copies)?;
        let found = found.ok_or_else(|| Error::ObjectNotFound(object.clone()))?;
        self.complete(&found.manifest, &copies, &sites).await;
        live(found, &object)
    }

    /// The newest version of the object that `from` is a version of, deleted or not; `None` when no
    /// backend has any.
    ///
    /// # Errors
    /// As [`Store::find_file`].
    pub(crate) async fn latest(&self, from: &Manifest) -> Result<Option<Manifest>, Error> {
        let (copies, _) = self.follow(from, Patience::All).await?;
        Ok(self.choose(&copies)?.map(|found| found.manifest))
    }

    /// What the backends hold that `from` names, and then those that the newest found there names,
    /// until there is none that was not asked: an object may have moved since `from` was written.
    pub(crate) async fn follow(
        &self,
        from: &Manifest,
        patience: Patience,
    ) -> Result<(Copies, Sites), Error> {
        let mut newest = from.body().clone();
        let enough = newest.write_quorum().max(newest.k.into());
        let sites = self.sites_with(newest.store_tag, patience, enough).await;
        let mut copies = Copies::of(&sites);
        loop {
            let mut places = self.places_of(&newest, &sites.known);
            places.retain(|(site, _)| !copies.answered.contains(&site.uid));
            if places.is_empty() {
                return Ok((copies, sites));
            }
            let wanted = Wanted::of(&newest);
            copies.add(self.copies_with(&places, wanted, patience).await?);
            let later = copies.manifests.iter().map(Manifest::body);
            let later = later.filter(|body| self.rank(body) > self.rank(&newest));
            match later.max_by_key(|body| self.rank(body)) {
                Some(later) => newest = later.clone(),
                None => return Ok((copies, sites)),
            }
        }
    }

    /// The newest manifest of a named object of this owner.
    ///
    /// # Errors
    /// [`Error::ObjectNotFound`] when enough backends answered that there is none;
    /// [`Error::InsufficientBackends`] when too few did to say so; else as [`Store::find_file`].
    pub async fn find_name(&self, name: &str) -> Result<Found, Error> {
        let object = self.keys()?.named_object(name);
        let found = self.find_id(object, Patience::Enough).await?;
        live(
            found.ok_or_else(|| Error::ObjectNotFound(name.to_owned()))?,
            name,
        )
    }

    /// The newest manifest of one of [`Store::objects`], deleted or not.
    ///
    /// # Errors
    /// As [`Store::find_name`], but for deleted objects.
    pub async fn find_object(&self, object: ObjectId) -> Result<Found, Error> {
        let found = self.find_id(object, Patience::All).await?;
        found.ok_or_else(|| Error::ObjectNotFound(object.to_string()))
    }

    /// The newest manifest of an object of this owner, deleted or not.
    pub(crate) async fn find_id(
        &self,
        object: ObjectId,
        patience: Patience,
    ) -> Result<Option<Found>, Error> {
        let wanted = self.wanted(object)?;
        let (copies, sites) = match self.ask(wanted, patience).await? {
            (copies, sites) if self.is_settled(&copies, wanted)? => (copies, sites),
            _ => self.ask(wanted, Patience::All).await?,
        };
        let answered = copies.answered.len() + copies.strangers.len();
        let needed = self.answers_needed();
        if copies.manifests.is_empty() && answered < needed {
            return Err(Error::InsufficientBackends {
                needed,
                available: answered,
                failures: copies.failures,
            });
        }
        let found = self.choose(&copies)?;
        if let Some(found) = &found {
            self.complete(&found.manifest, &copies, &sites).await;
        }
        if found.is_none()
            && let Some(mark) = self.mark(wanted.maker, object)?
        {
            // What was seen once does not vanish: not even a deletion removes every manifest.
            return Err(Error::Rollback {
                seen: mark.version,
                found: 0,
            });
        }
        Ok(found)
    }

    /// Wherever among all backends W copies lie, one of so many answers has one.
    pub(crate) fn answers_needed(&self) -> usize {
        self.access.map_or(self.backends.len(), |access| {
            let quorum = write_quorum(access.threshold(), access.share_count());
            (self.backends.len() + 1).saturating_sub(quorum)
        })
    }

    /// Manifests of an object of this owner.
    pub(crate) fn wanted(&self, object: ObjectId) -> Result<Wanted, Error> {
        let keys = self.keys()?;
        Ok(Wanted {
            tag: keys.store_tag(),
            object,
            maker: keys.maker(),
        })
    }

    /// What all backends of the store hold of an object of this owner.
    pub(crate) async fn ask(
        &self,
        wanted: Wanted,
        patience: Patience,
    ) -> Result<(Copies, Sites), Error> {
        let keys = self.keys()?;
        let enough = self.access.map_or(self.backends.len(), |access| {
            write_quorum(access.threshold(), access.share_count())
        });
        let sites = self.sites_with(wanted.tag, patience, enough).await;
        let place = |site: &Site| {
            let prefix = keys.manifest_prefix(wanted.object, site.uid);
            (site.clone(), prefix)
        };
        let places: Vec<(Site, Prefix)> = sites.known.iter().map(place).collect();
        let mut copies = Copies::of(&sites);
        copies.add(self.copies_with(&places, wanted, patience).await?);
        Ok((copies, sites))
    }

    /// Whether no other answer can change what these say: all have answered, or so many hold the
    /// newest manifest that it is committed, and this client has seen no later one.
    ///
    /// So a later version that is not committed yet may be overlooked by one who has never seen it,
    /// and by nobody else: whoever saw it has completed its copies ([`Store::complete`]).
    fn is_settled(&self, copies: &Copies, wanted: Wanted) -> Result<bool, Error> {
        if copies.late == 0 {
            return Ok(true);
        }
        let seen = self.mark(wanted.maker, wanted.object)?;
        let holds = |manifest: &Manifest, at| copies.holds(manifest, at);
        let newest = committed(copies.manifests.iter(), holds);
        Ok(newest.is_some_and(|version| seen.is_none_or(|seen| seen.version <= version)))
    }

    /// Writes the copies that a newest manifest lacks to be committed: it was seen, so it must stay.
    /// Only its owner does, and what a backend does not take is left for the next reader.
    async fn complete(&self, manifest: &Manifest, copies: &Copies, sites: &Sites) {
        let body = manifest.body();
        let holds = |manifest: &Manifest, at| copies.holds(manifest, at);
        if is_committed(manifest, holds) || *manifest.provenance() != Provenance::Owner {
            return;
        }
        let bytes = bytes::Bytes::copy_from_slice(manifest.envelope());
        let lacking = self.places_of(body, &sites.known).into_iter();
        let lacking = lacking.filter(|(site, _)| copies.answered.contains(&site.uid));
        let copies = lacking.map(|(site, prefix)| {
            let key = names::manifest(body.store_tag, prefix, body.version, manifest.hash());
            let (bytes, len) = (bytes.clone(), bytes.len());
            async move {
                put_confirmed(&*site.attached.backend, &key, bytes, len)
                    .await
                    .is_ok()
            }
        });
        join_all(copies).await;
    }

    /// The newest manifest of an object of this owner, for one who is going to follow it with the
    /// next version.
    ///
    /// # Errors
    /// [`Error::InsufficientBackends`] when it is not known to be the newest; else as
    /// [`Store::find_name`].
    pub(crate) async fn find_to_follow(&self, object: ObjectId) -> Result<Option<Manifest>, Error> {
        let Some(found) = self.find_id(object, Patience::All).await? else {
            return Ok(None);
        };
        match found.freshness {
            Freshness::Proven => Ok(Some(found.manifest)),
            Freshness::Unproven { answered, needed } => Err(Error::InsufficientBackends {
                needed,
                available: answered,
                failures: Vec::new(),
            }),
        }
    }

    /// Backends that a manifest names, with its prefix there, as far as they are configured.
    pub(crate) fn places_of(&self, body: &Body, sites: &[Site]) -> Vec<(Site, Prefix)> {
        let place = |site: &Site| {
            let (_, at) = body.stored().find(|(_, at)| at.backend == site.uid)?;
            Some((site.clone(), at.manifest_prefix))
        };
        sites.iter().filter_map(place).collect()
    }

    /// Reads the highest valid version at each of `places`.
    pub(crate) async fn copies(&self, places: &[(Site, Prefix)], wanted: Wanted) -> Copies {
        let reads = places
            .iter()
            .map(|(site, prefix)| self.copy_at(site, *prefix, wanted));
        Copies::read(places, join_all(reads).await.into_iter().map(Some))
    }

    /// As [`Store::copies`], but with [`Patience::Enough`] others are not waited for once the newest
    /// is known to be committed and this client has seen no later one.
    async fn copies_with(
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
        let copy = match Manifest::open(&bytes, &self.verifier()) {
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

    /// The highest version, checked against rivals and against what this client has seen.
    fn choose(&self, copies: &Copies) -> Result<Option<Found>, Error> {
        let ranks = copies.manifests.iter().map(|copy| self.rank(copy.body()));
        let highest = if planted::is(Bug::AcceptOlder) {
            ranks.min()
        } else {
            ranks.max()
        };
        let mut newest = copies
            .manifests
            .iter()
            .filter(|copy| Some(self.rank(copy.body())) == highest);
        let Some(manifest) = newest.next().cloned() else {
            return Ok(None);
        };
        if let Some(rival) = newest.find(|rival| rival.hash() != manifest.hash()) {
            return Err(rivalry(&manifest, rival));
        }
        let first_sight = match self.remember(&manifest, None) {
            // Reading needs no memory that can be written; what it says was checked all the same.
            Err(Error::Output { .. }) => {
                let body = manifest.body();
                self.seen(body.maker, body.object_id)?.is_none()
            }
            remembered => remembered?,
        };
        let body = manifest.body();
        let freshness = Freshness::of(copies.answered_of(body), body.read_quorum());
        Ok(Some(Found {
            manifest,
            freshness,
            first_sight,
        }))
    }

    /// Raises this client's mark of the object; whether there was none before.
    pub(crate) fn remember(&self, manifest: &Manifest, name: Option<&str>) -> Result<bool, Error> {
        let body = manifest.body();
        let seen = self.seen(body.maker, body.object_id)?;
        let mut mark = mark_of(manifest, name);
        self.check_seen(body, seen.as_ref(), &mark)?;
        let first_sight = seen.is_none();
        mark.name = mark.name.or_else(|| seen.and_then(|(_, seen)| seen.name));
        self.catalogue.raise(body.maker, body.object_id, mark)?;
        Ok(first_sight)
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

fn mark_of(manifest: &Manifest, name: Option<&str>) -> Mark {
    let body = manifest.body();
    Mark {
        version: body.version,
        hash: manifest.hash(),
        device: body.device,
        name: name.map(str::to_owned),
    }
}

/// A deletion counts once it is known to be the newest: an object may have been put again since.
fn live(found: Found, name: &str) -> Result<Found, Error> {
    if found.manifest.body().state != STATE_DELETED {
        return Ok(found);
    }
    Err(match found.freshness {
        Freshness::Proven => Error::ObjectNotFound(format!("{name} (it was deleted)")),
        Freshness::Unproven { answered, needed } => Error::InsufficientBackends {
            needed,
            available: answered,
            failures: Vec::new(),
        },
    })
}
