//! list: the objects of this owner, as the backends that answer show them.

use std::collections::BTreeSet;

use crate::backend::{BackendError, StorageBackend};
use crate::error::Error;
use crate::ids::{ObjectId, Prefix, StoreTag};
use crate::manifest::{self, Manifest, Provenance, STATE_LIVE};
use crate::names;
use crate::store::Store;
use crate::store::find::Patience;
use crate::store::listing::for_each_page;
use crate::store::sites::Site;

/// One object of a listing.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its newest manifest.
    pub manifest: Manifest,
    /// The name it was put under, where this client knows it. Backends never learn names.
    pub name: Option<String>,
}

impl Store {
    /// All objects that are not deleted, by object id.
    ///
    /// # Errors
    /// As [`Store::objects`] and [`Store::listed`]: one object with an error hides the others.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut listed = Vec::new();
        for object in self.objects().await? {
            listed.extend(self.listed(object).await?);
        }
        Ok(listed)
    }

    /// Ids of all objects of which a backend has a manifest, deleted or not.
    ///
    /// # Errors
    /// [`Error::KeyMissing`] without the owner's keys; [`Error::InsufficientBackends`] when none
    /// answers.
    pub async fn objects(&self) -> Result<BTreeSet<ObjectId>, Error> {
        let tag = self.keys()?.store_tag();
        let sites = self.sites(tag).await;
        if sites.known.is_empty() && sites.strangers.is_empty() {
            let failures = sites.failures;
            return Err(Error::InsufficientBackends {
                needed: 1,
                available: 0,
                failures,
            });
        }
        let mut objects: BTreeSet<ObjectId> = BTreeSet::new();
        let mut failures = sites.failures;
        for site in &sites.known {
            match self.objects_at(site, tag).await {
                Ok(found) => objects.extend(found),
                Err(failure) => failures.push(failure),
            }
        }
        if failures.len() == self.backends.len() {
            return Err(Error::InsufficientBackends {
                needed: 1,
                available: 0,
                failures,
            });
        }
        Ok(objects)
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
        let mark = self.catalogue.mark(self.keys()?.maker(), object)?;
        Ok(Some(Listed {
            manifest: found.manifest,
            name: mark.and_then(|mark| mark.name),
        }))
    }

    /// Objects of which one backend has a manifest.
    async fn objects_at(&self, site: &Site, tag: StoreTag) -> Result<Vec<ObjectId>, BackendError> {
        let backend = &*site.attached.backend;
        let mut prefixes: BTreeSet<Prefix> = BTreeSet::new();
        for_each_page(backend, &names::manifests(tag), |keys| {
            let parsed = keys
                .iter()
                .filter_map(|key| names::parse_manifest(tag, key));
            prefixes.extend(parsed.map(|(prefix, ..)| prefix));
        })
        .await?;
        let mut objects = Vec::new();
        for prefix in prefixes {
            objects.extend(self.object_under(backend, tag, prefix).await?);
        }
        Ok(objects)
    }

    /// Which object the manifests under `prefix` are of: names do not tell, a valid manifest does.
    async fn object_under(
        &self,
        backend: &dyn StorageBackend,
        tag: StoreTag,
        prefix: Prefix,
    ) -> Result<Option<ObjectId>, BackendError> {
        let page = backend
            .list(&names::manifest_versions(tag, prefix), None)
            .await?;
        for key in page.keys {
            let bytes = backend
                .get_range(&key, 0..manifest::MAX_LEN as u64 + 1)
                .await?;
            match Manifest::open(&bytes, &self.verifier()) {
                Ok(manifest) if *manifest.provenance() == Provenance::Owner => {
                    return Ok(Some(manifest.body().object_id));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}
