//! gc: what no manifest names goes, after two looks a grace apart.
//!
//! Nothing begins unless every backend that any manifest names answers, tells ages by a clock that
//! agrees with ours, and has valid manifests only. The listing of shares, tombs among them, comes
//! before that of manifests. Then, in this order:
//! 1. tombs of dealings that a manifest names are removed;
//! 2. dealings that none names, and in which nothing is younger than the grace, are marked with a tomb;
//! 3. dealings marked a grace ago, which this look too found in no manifest, are removed, the tomb last;
//! 4. manifests before the committed version and its predecessor are removed;
//! 5. objects that expired a grace ago are deleted, by a manifest that says so.
//!
//! A writer that slept through all this finds its tomb, or segments missing, after its manifest stands
//! (`store::tomb`). For two collectors at once the time between look and effect is bounded: no effect
//! comes later than half a grace after the look began, and a tomb goes only when the manifest that
//! names its dealing is older than a grace. So no collector takes away the tomb that a writer needs to
//! see while another one, which looked before that manifest stood, may still delete.

use std::time::Duration;

use crate::backend::{BackendError, BackendErrorKind, StorageBackend};
use crate::error::Error;
use crate::ids::{ObjectId, Prefix, StoreTag};
use crate::names;
use crate::store::listing::{delete_keys, for_each_page};
use crate::store::sites::Site;
use crate::store::{Effects, Store};

mod age;
mod inventory;
mod plan;

use age::Clocks;
use inventory::Inventory;
use plan::{Planned, What};

/// How long what no manifest names is left alone, unless a collection says otherwise.
pub(crate) const GRACE: Duration = Duration::from_secs(24 * 3600);

/// The least grace: leases are written hourly, and clocks may differ by minutes.
const LEAST_GRACE: Duration = Duration::from_secs(2 * 3600);

/// Of this many stored objects one may be deleted in a run.
const BRAKE: u64 = 10;

/// How a store is collected.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GcOptions {
    /// How old something unnamed must be to be marked, and how old the mark to be acted upon; at
    /// least two hours, 24 by default. Longer than any writer sleeps, or that writer puts again.
    pub grace: Duration,
    /// Whether anything is changed. Even a preview writes, looks at and removes one small object at
    /// each backend, because that is how the time there is told.
    pub effects: Effects,
    /// How much one run may delete.
    pub brake: Brake,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self {
            grace: GRACE,
            effects: Effects::Apply,
            brake: Brake::TenPercent,
        }
    }
}

/// How much of a store one run may delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Brake {
    /// Of ten stored objects of the owner no more than one.
    #[default]
    TenPercent,
    /// Everything that is due.
    Lifted,
}

/// What a collection found, and did or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcReport {
    /// Stored objects of the owner, at all backends together.
    pub objects: u64,
    /// What is done, or waits, in order.
    pub steps: Vec<GcStep>,
}

/// One step of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcStep {
    /// Label of the backend; all backends of the object when it expires.
    pub backend: String,
    /// What happens, and why.
    pub action: GcAction,
    /// Start of the names concerned, or the object.
    pub subject: String,
    /// Stored objects concerned.
    pub objects: u64,
}

/// What happens to something stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GcAction {
    /// The tomb goes.
    Unmark,
    /// A tomb is written.
    Mark,
    /// It stays for now.
    Wait,
    /// The dealing goes.
    Remove,
    /// The manifest goes.
    RemoveManifest,
    /// The object is deleted.
    Expire,
}

impl GcAction {
    /// The action in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unmark => "unmark",
            Self::Mark => "mark",
            Self::Wait => "wait",
            Self::Remove => "remove",
            Self::RemoveManifest => "remove-manifest",
            Self::Expire => "expire",
        }
    }

    /// Why it is right.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unmark => "a manifest names it",
            Self::Mark => "no manifest names it, and nothing in it is younger than the grace",
            Self::Wait => "no manifest names it, and its grace is not over",
            Self::Remove => "it was marked a grace ago, and still no manifest names it",
            Self::RemoveManifest => {
                "a committed version is in its place, and nobody goes back to it"
            }
            Self::Expire => "it expired a grace ago",
        }
    }

    /// Whether stored objects of a writer are deleted.
    const fn deletes(self) -> bool {
        matches!(self, Self::Remove | Self::RemoveManifest | Self::Expire)
    }
}

/// One collection under way.
struct Collecting<'a> {
    store: &'a Store,
    tag: StoreTag,
    sites: Vec<Site>,
    grace: Duration,
    began_unix_s: u64,
}

impl Store {
    /// Removes what no manifest of this owner names. It runs only when called, and needs no memory of
    /// earlier runs: what was marked stands at the backends.
    ///
    /// # Errors
    /// Before anything is changed: [`Error::KeyMissing`]; [`Error::Config`] when the grace is too
    /// short or clocks differ; [`Error::InsufficientBackends`] naming every backend that does not
    /// answer, has lost its identity, or is named by a manifest and not configured;
    /// [`Error::InvalidManifests`]; [`Error::GcBrake`].
    ///
    /// [`Error::Backend`] when one fails later, [`Error::Conflict`] when half a grace was not enough:
    /// what is done is right, and another run goes on.
    pub async fn gc(&self, options: &GcOptions) -> Result<GcReport, Error> {
        let tag = self.keys()?.store_tag();
        if options.grace < LEAST_GRACE {
            let cause = "what nobody names is kept for two hours at least";
            return Err(Error::Config(cause.into()));
        }
        let collecting = Collecting {
            store: self,
            tag,
            sites: self.all_sites(tag).await?,
            grace: options.grace,
            began_unix_s: self.clock.now_unix_s(),
        };
        let clocks = Clocks::ask(&collecting.sites, tag, collecting.began_unix_s).await?;
        let inventory = Inventory::take(self, &collecting.sites, tag).await?;
        let planned = collecting.plan(&inventory, &clocks).await?;
        let steps: Vec<GcStep> = planned.iter().map(|planned| planned.step.clone()).collect();
        let report = GcReport {
            objects: inventory.keys,
            steps,
        };
        if options.effects == Effects::Apply {
            if options.brake == Brake::TenPercent {
                report.brake()?;
            }
            for planned in planned {
                collecting.apply(planned).await?;
            }
        }
        Ok(report)
    }

    /// All backends with their identities. One that has none and no names of the owner is new.
    async fn all_sites(&self, tag: StoreTag) -> Result<Vec<Site>, Error> {
        let mut sites = self.sites(tag).await;
        for stranger in &sites.strangers {
            let backend = &stranger.backend;
            let cause = match backend.list(&format!("{tag}/"), None).await {
                Ok(page) if page.keys.is_empty() => continue,
                Ok(_) => BackendError::with_source(
                    BackendErrorKind::Unavailable,
                    backend.id(),
                    "it has lost its identity",
                ),
                Err(failure) => failure,
            };
            sites.failures.push(cause);
        }
        complete(sites.known, sites.failures)
    }
}

/// `there`, unless a backend is missing.
fn complete<T>(there: Vec<T>, missing: Vec<BackendError>) -> Result<Vec<T>, Error> {
    if missing.is_empty() {
        return Ok(there);
    }
    Err(Error::InsufficientBackends {
        needed: there.len() + missing.len(),
        available: there.len(),
        failures: missing,
    })
}

impl GcReport {
    fn brake(&self) -> Result<(), Error> {
        let deleted = self.steps.iter().filter(|step| step.action.deletes());
        let would_delete = deleted.map(|step| step.objects).sum::<u64>();
        if would_delete.saturating_mul(BRAKE) <= self.objects {
            return Ok(());
        }
        Err(Error::GcBrake {
            would_delete,
            objects: self.objects,
        })
    }
}

impl Collecting<'_> {
    async fn apply(&self, planned: Planned) -> Result<(), Error> {
        let late = self.store.clock.now_unix_s().abs_diff(self.began_unix_s);
        if late > self.grace.as_secs() / 2 {
            let cause = "the collection has taken half a grace and ends here: run it again";
            return Err(Error::Conflict(cause.into()));
        }
        match (planned.step.action, planned.what) {
            (GcAction::Mark, What::Dealing { site, prefix }) => {
                let tomb = names::tomb(self.tag, prefix);
                // It counts when a later run lists it: there is nothing to confirm.
                let bytes = bytes::Bytes::from_static(b"tomb");
                self.backend(site).put_new(&tomb, bytes).await?;
                Ok(())
            }
            (GcAction::Unmark, What::Dealing { site, prefix }) => {
                Ok(remove_tombs(self.backend(site), self.tag, prefix).await?)
            }
            (GcAction::Remove, What::Dealing { site, prefix }) => {
                Ok(remove_dealing(self.backend(site), self.tag, prefix).await?)
            }
            (GcAction::RemoveManifest, What::Manifest { site, key }) => {
                Ok(self.backend(site).delete(&[key]).await?)
            }
            (GcAction::Expire, What::Object(object)) => self.expire(object).await,
            _ => Ok(()),
        }
    }

    fn backend(&self, site: usize) -> &dyn StorageBackend {
        &*self.sites[site].attached.backend
    }

    /// Deletes an object unless somebody works on it: then a later run does.
    async fn expire(&self, object: ObjectId) -> Result<(), Error> {
        let newest = self.store.find_to_follow(object).await?;
        let grace_ago = self
            .store
            .clock
            .now_unix_s()
            .saturating_sub(self.grace.as_secs());
        match newest {
            // It may have been put again since the look.
            Some(newest) if newest.body().refuse_expired(grace_ago).is_err() => {
                match self.store.delete(&newest).await {
                    Err(
                        Error::Locked(_)
                        | Error::Conflict(_)
                        | Error::Siblings { .. }
                        | Error::ObjectNotFound(_),
                    ) => Ok(()),
                    deleted => deleted.map(|_| ()),
                }
            }
            _ => Ok(()),
        }
    }
}

async fn remove_tombs(
    backend: &dyn StorageBackend,
    tag: StoreTag,
    prefix: Prefix,
) -> Result<(), BackendError> {
    let mut tombs = Vec::new();
    for_each_page(backend, &names::tombs(tag, prefix), |keys| {
        tombs.extend(keys);
    })
    .await?;
    delete_keys(backend, &tombs).await
}

/// Removes a dealing. Its tomb goes when nothing else is left: until then a writer has to see it.
async fn remove_dealing(
    backend: &dyn StorageBackend,
    tag: StoreTag,
    prefix: Prefix,
) -> Result<(), BackendError> {
    let tombs = names::tombs(tag, prefix);
    let is_tomb = |key: &crate::backend::ObjectKey| key.as_str().starts_with(&tombs);
    let mut shares = Vec::new();
    for_each_page(backend, &names::shares(tag, prefix), |keys| {
        shares.extend(keys.into_iter().filter(|key| !is_tomb(key)));
    })
    .await?;
    delete_keys(backend, &shares).await?;
    let mut left = 0;
    for_each_page(backend, &names::shares(tag, prefix), |keys| {
        left += keys.iter().filter(|key| !is_tomb(key)).count();
    })
    .await?;
    if left > 0 {
        // Somebody writes there, or the backend keeps what it has: the tomb says so to the next run.
        return Ok(());
    }
    remove_tombs(backend, tag, prefix).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use bytes::Bytes;
    use xorida_core::AccessStructure;

    use super::*;
    use crate::backend::ObjectKey;
    use crate::clock::FixedClock;
    use crate::keys::{OwnerKeys, RootKey};
    use crate::memory::MemoryBackend;
    use crate::placement::FailureDomain;
    use crate::store::{PutOptions, nothing_more};
    use crate::testing::{Fault, FaultyBackend, Plan};

    const BEGAN: u64 = 1_800_000_000;

    /// A store over two backends, `late` seconds after a collection of it began.
    fn store(late: u64) -> Store {
        let keys = OwnerKeys::derive(&RootKey::from_bytes([7; 32]));
        let builder = Store::builder()
            .threshold(AccessStructure::try_new(2, 2).unwrap())
            .keys(Arc::new(keys))
            .clock(Arc::new(FixedClock(BEGAN + late)));
        let builder = ["a", "b"].into_iter().fold(builder, |builder, label| {
            let backend = Arc::new(MemoryBackend::new(label));
            builder.backend(backend, FailureDomain::default())
        });
        builder.build().unwrap()
    }

    async fn collecting(store: &Store) -> Collecting<'_> {
        let tag = store.keys().unwrap().store_tag();
        Collecting {
            store,
            tag,
            sites: store.sites(tag).await.known,
            grace: LEAST_GRACE,
            began_unix_s: BEGAN,
        }
    }

    async fn put(store: &Store) -> ObjectId {
        let mut data = &b"data"[..];
        let receipt = store
            .put(&mut data, PutOptions::default(), &mut nothing_more)
            .await;
        receipt.unwrap().manifest.body().object_id
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::try_new(name).unwrap()
    }

    #[tokio::test]
    async fn no_effect_comes_later_than_half_a_grace_after_the_look() {
        let half = LEAST_GRACE.as_secs() / 2;
        for (late, in_time) in [
            (0, true),
            (half, true),
            (half + 1, false),
            (2 * half, false),
        ] {
            let store = store(late);
            put(&store).await;
            let collecting = collecting(&store).await;
            let old = key("old");
            let made = collecting.backend(0).put_new(&old, Bytes::new());
            made.await.unwrap();
            let step = GcStep {
                backend: "a".into(),
                action: GcAction::RemoveManifest,
                subject: old.to_string(),
                objects: 1,
            };
            let key = old.clone();
            let what = What::Manifest { site: 0, key };
            let applied = collecting.apply(Planned { step, what }).await;
            assert_eq!(applied.is_ok(), in_time, "{late}: {applied:?}");
            assert_eq!(collecting.backend(0).head(&old).await.is_err(), in_time);
        }
    }

    #[tokio::test]
    async fn what_was_put_again_since_the_look_does_not_expire() {
        let store = store(0);
        let object = put(&store).await;
        let collecting = collecting(&store).await;
        collecting.expire(object).await.unwrap();
        let left = store.list().await.unwrap().whole().unwrap();
        assert_eq!(left[0].manifest.body().object_id, object);
    }

    #[tokio::test]
    async fn a_tomb_goes_when_nothing_else_is_left() {
        let plan = Plan::default();
        let backend = FaultyBackend::new(MemoryBackend::new("a"), plan.clone());
        let (tag, prefix) = (StoreTag([1; 16]), Prefix([2; 16]));
        let names = [
            names::segment(tag, prefix, 0, 0),
            names::segment(tag, prefix, 1, 0),
            names::tomb(tag, prefix),
        ];
        for name in &names {
            backend.put_new(name, Bytes::new()).await.unwrap();
        }
        // The backend says that it deleted a share.
        plan.set([Fault::LoseEffects { effects: 0..1 }]);
        remove_dealing(&backend, tag, prefix).await.unwrap();
        let left = backend.inner().snapshot();
        assert_eq!(left.len(), 2);
        assert!(left.contains_key(&names[2]), "the tomb stays too");
        plan.set([]);
        remove_dealing(&backend, tag, prefix).await.unwrap();
        assert!(backend.inner().snapshot().is_empty());
    }

    #[test]
    fn every_action_has_a_name_and_a_reason_of_its_own() {
        use GcAction::{Expire, Mark, Remove, RemoveManifest, Unmark, Wait};
        let all = [Unmark, Mark, Wait, Remove, RemoveManifest, Expire];
        for of in [GcAction::name, GcAction::reason] {
            let texts: BTreeSet<&str> = all.into_iter().map(of).collect();
            assert_eq!(texts.len(), all.len());
            assert!(texts.iter().all(|text| !text.is_empty()));
        }
    }

    fn report(objects: u64, steps: &[(GcAction, u64)]) -> GcReport {
        let steps = steps.iter().map(|&(action, objects)| GcStep {
            backend: "site".into(),
            action,
            subject: "of no importance".into(),
            objects,
        });
        GcReport {
            objects,
            steps: steps.collect(),
        }
    }

    #[test]
    fn the_brake_counts_what_is_deleted_and_nothing_else() {
        use GcAction::{Expire, Mark, Remove, RemoveManifest, Unmark, Wait};
        let harmless = [(Unmark, 50), (Mark, 50), (Wait, 50)];
        assert!(report(100, &harmless).brake().is_ok());
        let tenth = [(Remove, 5), (RemoveManifest, 3), (Expire, 2)];
        assert!(report(100, &tenth).brake().is_ok());
        let error = report(99, &tenth).brake().unwrap_err();
        let Error::GcBrake {
            would_delete,
            objects,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((would_delete, objects), (10, 99));
    }

    #[test]
    fn a_backend_that_is_missing_is_counted_and_named() {
        assert_eq!(complete(vec![1, 2], Vec::new()).unwrap(), [1, 2]);
        let failure = BackendError::new(BackendErrorKind::Timeout, "site-2");
        let error = complete(vec![1, 2], vec![failure]).unwrap_err();
        let Error::InsufficientBackends {
            needed,
            available,
            failures,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((needed, available), (3, 2));
        assert_eq!(failures[0].backend, "site-2");
    }
}
