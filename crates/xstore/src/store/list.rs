//! list: the objects of this owner, as the backends that answer show them.

use std::collections::BTreeSet;

use crate::backend::{BackendError, BackendErrorKind, ObjectKey, StorageBackend};
use crate::error::Error;
use crate::ids::{ObjectId, Prefix, StoreTag};
use crate::manifest::{self, Manifest, Provenance, STATE_LIVE};
use crate::names;
use crate::store::Store;
use crate::store::copies::Patience;
use crate::store::find::Freshness;
use crate::store::listing::Pages;
use crate::store::sites::Site;

/// One object of a listing.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its newest manifest.
    pub manifest: Manifest,
    /// The name it was put under, where this client knows it. Backends never learn names.
    pub name: Option<String>,
}

/// The objects that the backends show.
#[derive(Debug)]
pub struct Objects {
    /// Those of which a backend has a manifest, deleted or not.
    pub ids: BTreeSet<ObjectId>,
    /// Whether so many backends answered that there are no others.
    pub freshness: Freshness,
}

/// An object whose newest manifest is not known.
#[derive(Debug)]
pub struct Unlisted {
    /// The object.
    pub object_id: ObjectId,
    /// The name it was put under, where this client knows it.
    pub name: Option<String>,
    /// Why.
    pub error: Error,
}

/// What a store holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Objects that are not deleted, by id.
    pub objects: Vec<Listed>,
    /// Objects with an error of their own, which hides no other.
    pub failed: Vec<Unlisted>,
}

impl Listing {
    /// The objects, if none has an error.
    ///
    /// # Errors
    /// The first of them.
    pub fn whole(self) -> Result<Vec<Listed>, Error> {
        match self.failed.into_iter().next() {
            Some(failed) => Err(failed.error),
            None => Ok(self.objects),
        }
    }
}

impl Store {
    /// All objects that are not deleted, and those of which that is not known.
    ///
    /// # Errors
    /// As [`Store::objects`].
    pub async fn list(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        for object_id in self.objects().await?.ids {
            match self.listed(object_id).await {
                Ok(listed) => listing.objects.extend(listed),
                Err(error) => listing.failed.push(Unlisted {
                    object_id,
                    name: self.name_of(object_id)?,
                    error,
                }),
            }
        }
        Ok(listing)
    }

    /// Ids of all objects of which a backend has a manifest. Root key and backends are enough.
    ///
    /// # Errors
    /// [`Error::KeyMissing`] without the owner's keys; [`Error::InsufficientBackends`] when none
    /// answers.
    pub async fn objects(&self) -> Result<Objects, Error> {
        let tag = self.keys()?.store_tag();
        let sites = self.sites(tag).await;
        let mut answered = sites.strangers.len();
        let mut ids: BTreeSet<ObjectId> = BTreeSet::new();
        let mut failures = sites.failures;
        for site in &sites.known {
            match self.objects_at(site, tag).await {
                Ok(found) => {
                    answered += 1;
                    ids.extend(found);
                }
                Err(failure) => failures.push(failure),
            }
        }
        if answered == 0 {
            return Err(Error::InsufficientBackends {
                needed: 1,
                available: 0,
                failures,
            });
        }
        let freshness = Freshness::of(answered, self.answers_needed());
        Ok(Objects { ids, freshness })
    }

    /// One object of [`Store::objects`]; `None` when it was deleted.
    ///
    /// # Errors
    /// [`Error::Rollback`] and its kin when copies contradict what was seen.
    pub async fn listed(&self, object: ObjectId) -> Result<Option<Listed>, Error> {
        let Some(found) = self.find_id(object, Patience::All).await? else {
            return Ok(None);
        };
        if found.manifest.body().state != STATE_LIVE {
            return Ok(None);
        }
        Ok(Some(Listed {
            manifest: found.manifest,
            name: self.name_of(object)?,
        }))
    }

    /// The name that an object of this owner was put under, where this client knows it.
    fn name_of(&self, object: ObjectId) -> Result<Option<String>, Error> {
        let mark = self.mark(self.keys()?.maker(), object)?;
        Ok(mark.and_then(|mark| mark.name))
    }

    /// Objects of which one backend has a manifest. No more is held than what this owner signed,
    /// whatever a backend shows.
    async fn objects_at(
        &self,
        site: &Site,
        tag: StoreTag,
    ) -> Result<BTreeSet<ObjectId>, BackendError> {
        let mut objects = BTreeSet::new();
        // Names do not tell which object they are of, a valid manifest does.
        let mut told: Option<Prefix> = None;
        let (backend, start) = (&*site.attached.backend, names::manifests(tag));
        let mut pages = Pages::new(backend, &start);
        while let Some(keys) = pages.next().await? {
            for key in keys {
                let prefix = names::parse_manifest(tag, &key).map(|(prefix, ..)| prefix);
                if prefix.is_none() || prefix == told {
                    continue;
                }
                if let Some(manifest) = self.own_manifest(backend, &key).await? {
                    objects.insert(manifest.body().object_id);
                    told = prefix;
                }
            }
        }
        Ok(objects)
    }

    /// The manifest at `key`, if it is one of this owner.
    pub(crate) async fn own_manifest(
        &self,
        backend: &dyn StorageBackend,
        key: &ObjectKey,
    ) -> Result<Option<Manifest>, BackendError> {
        let read = backend.get_range(key, 0..manifest::MAX_LEN as u64 + 1);
        let bytes = match read.await {
            Err(error) if error.kind == BackendErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let manifest = self.open_manifest(&bytes).ok();
        Ok(manifest.filter(|manifest| *manifest.provenance() == Provenance::Owner))
    }
}
