//! Removing what no manifest needs any more.
//!
//! A removal may wait for its backend for a long time, and meanwhile a later version may have given
//! that backend the very share again: so the newest version is asked first, and what it names stays.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use crate::error::Error;
use crate::ids::{BackendUid, Prefix, StoreTag};
use crate::journal::{Entry, Intent, Place};
use crate::keys::OwnerKeys;
use crate::manifest::{Body, Manifest, STATE_DELETED, STATE_LIVE, SupersededLocation};
use crate::names;
use crate::planted::{self, Bug};
use crate::store::Store;
use crate::store::copies::Patience;
use crate::store::listing::delete_all;
use crate::store::sites::{Site, claimant};

/// Shares of one dealing at one backend.
struct Remains {
    backend: BackendUid,
    label: String,
    share_prefix: Prefix,
}

impl Store {
    /// Removes all shares of a dealing; labels of the backends where that is not certain.
    pub(crate) async fn erase_places(
        &self,
        tag: StoreTag,
        places: &[Place],
        sites: &[Site],
    ) -> Vec<String> {
        let remains = places.iter().map(|place| Remains {
            backend: place.backend,
            label: place.label.clone(),
            share_prefix: place.share_prefix,
        });
        self.erase(tag, remains.collect(), sites).await
    }

    /// What follows a commit: removes the shares that the manifest gives up, and closes the journal
    /// entry once nothing is left. Labels of the backends where shares remain for the next run; what is
    /// kept for readers is none of that.
    pub(crate) async fn finish(
        &self,
        manifest: &Manifest,
        entry: Option<Entry>,
    ) -> Result<Vec<String>, Error> {
        let body = manifest.body();
        let now_unix_s = self.clock.now_unix_s();
        let mut given_up = given_up(manifest, entry.as_ref(), self.keys.as_deref(), now_unix_s);
        let pending = if given_up.is_empty() {
            Vec::new()
        } else {
            let Ok(named) = self.named_now(manifest).await else {
                return Ok(given_up.into_iter().map(|remains| remains.label).collect());
            };
            given_up.retain(|remains| !named.contains(&(remains.backend, remains.share_prefix)));
            let tag = body.store_tag;
            self.erase(tag, given_up, &self.sites(tag).await.known)
                .await
        };
        match entry {
            Some(entry) if pending.is_empty() && !body.keeps_earlier(now_unix_s) => {
                entry.close()?;
            }
            _ => {}
        }
        Ok(pending)
    }
}

impl Store {
    /// Removes what can be removed; labels of the backends where that is not certain. A backend that
    /// was retired is not waited for.
    async fn erase(&self, tag: StoreTag, mut remains: Vec<Remains>, sites: &[Site]) -> Vec<String> {
        remains.retain(|remains| !self.is_retired(remains.backend));
        erase(tag, remains, sites).await
    }

    /// Where the newest version of an object says that its shares are; nowhere once it is deleted.
    ///
    /// # Errors
    /// [`Error::InsufficientBackends`] when too few answer to say which version is the newest.
    pub(crate) async fn named_now(
        &self,
        from: &Manifest,
    ) -> Result<BTreeSet<(BackendUid, Prefix)>, Error> {
        let (copies, _) = self.follow(from, Patience::All).await?;
        let newest = self.newest(copies.manifests.iter().chain([from]).cloned());
        let mut named = BTreeSet::new();
        for body in newest.iter().map(Manifest::body) {
            copies.expect_fresh(body)?;
            let stored = body.stored().filter(|_| body.state == STATE_LIVE);
            named.extend(stored.map(|(_, at)| (at.backend, at.share_prefix)));
        }
        Ok(named)
    }

    /// As [`Store::named_now`] of whatever else stands where `from` would: that may be at other backends
    /// too, which have to be asked as well.
    pub(crate) async fn named_beside(
        &self,
        from: &Manifest,
    ) -> Result<BTreeSet<(BackendUid, Prefix)>, Error> {
        let (copies, _) = self.follow(from, Patience::All).await?;
        let others = copies.manifests.iter();
        let others = others.filter(|other| other.hash() != from.hash());
        let newest = others.max_by_key(|other| self.rank(other.body()));
        let newest = newest.ok_or(Error::InsufficientBackends {
            needed: 1,
            available: 0,
            failures: copies.failures,
        })?;
        self.named_now(newest).await
    }

    /// Those of `places` that the newest version does not name, where `intent` is of an operation
    /// that followed an earlier one.
    ///
    /// # Errors
    /// [`Error::InsufficientBackends`] when too few answer to say which version is the newest.
    pub(crate) async fn unnamed_places(
        &self,
        intent: &Intent,
        sites: &[Site],
    ) -> Result<Vec<Place>, Error> {
        let mut places = intent.places.clone();
        let Some(former) = &intent.former else {
            return Ok(places);
        };
        let asked = former.places.iter().filter_map(|place| {
            let site = claimant(sites, place.backend, &place.label)?;
            Some((site.clone(), place.manifest_prefix))
        });
        let asked: Vec<(Site, Prefix)> = asked.collect();
        let wanted = self.wanted(intent.object_id)?;
        let copies = self.copies(&asked, wanted).await;
        let newest = copies
            .manifests
            .iter()
            .max_by_key(|copy| self.rank(copy.body()));
        let newest = newest.ok_or(Error::InsufficientBackends {
            needed: 1,
            available: 0,
            failures: copies.failures,
        })?;
        let named = self.named_now(newest).await?;
        places.retain(|place| !named.contains(&(place.backend, place.share_prefix)));
        Ok(places)
    }
}

/// What a manifest gives up: its own dealing when it says that the object is deleted, what reached
/// backends that are not named for a share any more, and all that it supersedes and does not keep.
fn given_up(
    manifest: &Manifest,
    entry: Option<&Entry>,
    keys: Option<&OwnerKeys>,
    now_unix_s: u64,
) -> Vec<Remains> {
    let body = manifest.body();
    let former = entry.and_then(|entry| entry.intent.former.as_ref());
    let former = former.into_iter().flat_map(|former| &former.places);
    let labels: BTreeMap<BackendUid, &str> = former
        .map(|place| (place.backend, place.label.as_str()))
        .chain(body.stored().map(|(_, at)| (at.backend, at.label.as_str())))
        .collect();
    let label = |backend: BackendUid| match labels.get(&backend) {
        Some(label) => (*label).to_owned(),
        None => backend.to_string(),
    };
    let stored = body.stored().map(|(_, at)| SupersededLocation {
        backend: at.backend,
        share_prefix: at.share_prefix,
    });
    let former = keys.into_iter().flat_map(|keys| former_holders(body, keys));
    let own = stored.filter(|_| body.state == STATE_DELETED).chain(former);
    let superseded = body.given_up(now_unix_s);
    let superseded = superseded.flat_map(|dealing| dealing.locations.iter().cloned());
    own.chain(superseded)
        .map(|location| Remains {
            backend: location.backend,
            label: label(location.backend),
            share_prefix: location.share_prefix,
        })
        .collect()
}

/// Backends that were sent a share of the dealing and are not named for it any more: they failed, or
/// it moved away. What reached them is still there.
pub(crate) fn former_holders(
    body: &Body,
    keys: &OwnerKeys,
) -> impl Iterator<Item = SupersededLocation> {
    let stored: BTreeSet<BackendUid> = body.stored().map(|(_, at)| at.backend).collect();
    let held: BTreeSet<BackendUid> = body.held.iter().map(|held| held.backend).collect();
    let former: Vec<BackendUid> = held.difference(&stored).copied().collect();
    let (object, put) = (body.object_id, body.put_id);
    former.into_iter().map(move |backend| SupersededLocation {
        backend,
        share_prefix: keys.share_prefix(object, put, backend),
    })
}

async fn erase(tag: StoreTag, remains: Vec<Remains>, sites: &[Site]) -> Vec<String> {
    let erasures = remains.into_iter().map(|remains| async move {
        // All that carry the identity: one of them has the share.
        let mut claimants = sites
            .iter()
            .filter(|site| site.uid == remains.backend)
            .peekable();
        let mut erased = claimants.peek().is_some();
        for site in claimants {
            let names = names::shares(tag, remains.share_prefix);
            erased &= delete_all(&*site.attached.backend, &names).await.is_ok();
        }
        (!erased && !planted::is(Bug::ForgetOrphans)).then_some(remains.label)
    });
    join_all(erasures).await.into_iter().flatten().collect()
}
