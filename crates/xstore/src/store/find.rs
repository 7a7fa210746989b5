//! Which manifest counts: the highest version with valid authenticators among enough answers.

use futures_util::future::join_all;

use crate::catalogue::Mark;
use crate::error::{Error, ShareFault};
use crate::ids::{ObjectId, Prefix};
use crate::manifest::{Body, Manifest, Provenance, STATE_DELETED};
use crate::names;
use crate::placement::write_quorum;
use crate::planted::{self, Bug};
use crate::store::Store;
use crate::store::commit::rivalry;
use crate::store::copies::{Copies, Patience, Wanted, committed, is_committed};
use crate::store::sites::{Site, Sites};
use crate::store::upload::put_confirmed;

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
    /// Backends with a share of it that failed meanwhile. Reading may well do without them, and then
    /// nothing else says so.
    pub faults: Vec<ShareFault>,
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
        let file = self.open_manifest(envelope)?;
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
        let holds = |label: &str| body.stored().any(|(_, at)| at.label == label);
        let faults = copies.failures.iter();
        let faults = faults.filter(|failure| holds(&failure.backend));
        let faults = faults.map(ShareFault::from).collect();
        Ok(Some(Found {
            manifest,
            freshness,
            first_sight,
            faults,
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
