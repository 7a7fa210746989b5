//! What is to be done about each dealing and each manifest, and nothing done yet.
//!
//! A dealing is needed when a manifest that is kept names it, or an operation of this machine that has
//! not ended. Kept are the committed version of an object, whatever stands beside or above it, and its
//! predecessor, the one that it follows, to which a writer goes back whose own shares were collected.
//! After a deletion nobody goes back, so its predecessor keeps no shares; nor does one whose successor
//! gives them up and has all of its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::ObjectKey;
use crate::error::Error;
use crate::ids::{BackendUid, ManifestHash, ObjectId, Prefix};
use crate::names;
use crate::planted::{self, Bug};
use crate::store::gc::age::Clocks;
use crate::store::gc::inventory::{Dealing, Inventory, Version, Versions};
use crate::store::gc::{Collecting, GcAction, GcStep};
use crate::store::listing::for_each_page;

/// A step, and what it is done to.
pub(super) struct Planned {
    pub(super) step: GcStep,
    pub(super) what: What,
}

/// What a step is done to.
pub(super) enum What {
    Dealing { site: usize, prefix: Prefix },
    Manifest { site: usize, key: ObjectKey },
    Object(ObjectId),
}

/// Dealings that manifests name, each with a copy of the earliest of these manifests.
type Named = BTreeMap<(BackendUid, Prefix), (usize, ObjectKey)>;

impl Collecting<'_> {
    /// All steps, in the order in which they are taken.
    pub(super) async fn plan(
        &self,
        inventory: &Inventory,
        clocks: &Clocks,
    ) -> Result<Vec<Planned>, Error> {
        let busy = self.busy()?;
        let named = self.named(inventory);
        let mut planned = Vec::new();
        for (&(site, prefix), dealing) in &inventory.dealings {
            let of = (self.sites[site].uid, prefix);
            let looks_once = planted::is(Bug::CollectAtFirstLook) && dealing.tombs > 0;
            let action = match named.get(&of).filter(|_| !looks_once) {
                Some(copy) => self.of_named(dealing, copy, clocks).await?,
                None if busy.contains(&of) => None,
                None => Some(self.of_unnamed((site, prefix), dealing, clocks).await?),
            };
            planned.extend(action.map(|action| Planned {
                step: self.step(site, action, names::shares(self.tag, prefix), dealing.keys),
                what: What::Dealing { site, prefix },
            }));
        }
        for (object, versions) in &inventory.objects {
            let outdated = self.outdated(versions);
            planned.extend(outdated.map(|copy| self.remove_manifest(copy)));
            planned.extend(self.expired(*object, versions, inventory));
        }
        let replaced = inventory.replaced.iter().cloned();
        planned.extend(replaced.map(|copy| self.remove_manifest(copy)));
        planned.sort_by_key(|planned| planned.step.action);
        Ok(planned)
    }

    /// Dealings at which operations of this machine work, or that recovery will go on with.
    fn busy(&self) -> Result<BTreeSet<(BackendUid, Prefix)>, Error> {
        let intents = self.store.journal.as_ref().map(|journal| journal.intents());
        let places = intents.transpose()?.unwrap_or_default();
        let places = places.into_iter().flat_map(|intent| intent.places);
        Ok(places
            .map(|place| (place.backend, place.share_prefix))
            .collect())
    }

    fn named(&self, inventory: &Inventory) -> Named {
        let mut named = Named::new();
        for versions in inventory.objects.values() {
            let kept = kept(versions);
            let given_up = self.given_up(versions, inventory);
            let later = versions.range((kept.committed, LOWEST)..);
            let followed: BTreeSet<ManifestHash> = later.filter_map(|(_, v)| v.previous).collect();
            for ((number, hash), version) in versions.range(kept.shares_from()..) {
                if *number < kept.committed && !followed.contains(hash) {
                    // The object went on from the one beside it, so nobody goes back to this one.
                    continue;
                }
                let copy = version.copies.first().filter(|_| version.is_live);
                let Some((site, prefix)) = copy else { continue };
                let key = names::manifest(self.tag, *prefix, *number, *hash);
                let shares = version.shares.iter().chain(&version.kept);
                for share in shares.filter(|share| !given_up.is_some_and(|up| up.contains(share))) {
                    named.entry(*share).or_insert((*site, key.clone()));
                }
            }
        }
        named
    }

    /// Earlier shares that the newest version gives up, whoever was to remove them. Its writer goes
    /// back to them only where a collector touched its own.
    fn given_up<'a>(
        &self,
        versions: &'a Versions,
        inventory: &Inventory,
    ) -> Option<&'a BTreeSet<(BackendUid, Prefix)>> {
        let newest = only_newest(versions).filter(|newest| newest.is_live && newest.is_committed());
        let newest = newest.filter(|newest| inventory.is_untouched(&self.sites, newest));
        newest.map(|newest| &newest.given_up)
    }

    /// A tomb goes once the manifest is older than any look of a collector that did not see it and
    /// may still act on that.
    async fn of_named(
        &self,
        dealing: &Dealing,
        (site, copy): &(usize, ObjectKey),
        clocks: &Clocks,
    ) -> Result<Option<GcAction>, Error> {
        let settled = dealing.tombs > 0
            && clocks
                .all_older(&self.sites, (*site, std::slice::from_ref(copy)), self.grace)
                .await?;
        Ok(settled.then_some(GcAction::Unmark))
    }

    async fn of_unnamed(
        &self,
        (site, prefix): (usize, Prefix),
        dealing: &Dealing,
        clocks: &Clocks,
    ) -> Result<GcAction, Error> {
        let (start, action) = if dealing.tombs > 0 {
            (names::tombs(self.tag, prefix), GcAction::Remove)
        } else {
            (names::shares(self.tag, prefix), GcAction::Mark)
        };
        let mut keys = Vec::new();
        for_each_page(self.backend(site), &start, |page| keys.extend(page)).await?;
        let due = clocks
            .all_older(&self.sites, (site, &keys), self.grace)
            .await?;
        Ok(if due { action } else { GcAction::Wait })
    }

    /// Copies of manifests that nobody goes back to.
    fn outdated(&self, versions: &Versions) -> impl Iterator<Item = (usize, ObjectKey)> {
        let outdated = versions.range(..kept(versions).manifests_from());
        outdated.flat_map(|((number, hash), version)| {
            let key = |prefix: &Prefix| names::manifest(self.tag, *prefix, *number, *hash);
            version
                .copies
                .iter()
                .map(move |(site, prefix)| (*site, key(prefix)))
        })
    }

    fn remove_manifest(&self, (site, key): (usize, ObjectKey)) -> Planned {
        Planned {
            step: self.step(site, GcAction::RemoveManifest, key.to_string(), 1),
            what: What::Manifest { site, key },
        }
    }

    /// The object, when its only newest version is live and expired a grace ago.
    fn expired(
        &self,
        object: ObjectId,
        versions: &Versions,
        inventory: &Inventory,
    ) -> Option<Planned> {
        let newest = only_newest(versions)?;
        let over = newest.expires_unix_s?.saturating_add(self.grace.as_secs());
        if !newest.is_live || !newest.is_committed() || over > self.began_unix_s {
            return None;
        }
        let of = |site: usize, prefix: Prefix| (self.sites[site].uid, prefix);
        let dealings = inventory.dealings.iter();
        let dealings =
            dealings.filter(|((site, prefix), _)| newest.shares.contains(&of(*site, *prefix)));
        let objects = dealings.map(|(_, dealing)| dealing.keys).sum();
        let holders = newest.shares.iter().filter_map(|(uid, _)| {
            let site = self.sites.iter().find(|site| site.uid == *uid)?;
            Some(site.label())
        });
        let step = GcStep {
            backend: holders.collect::<Vec<_>>().join(", "),
            action: GcAction::Expire,
            subject: object.to_string(),
            objects,
        };
        let what = What::Object(object);
        Some(Planned { step, what })
    }

    fn step(&self, site: usize, action: GcAction, subject: String, objects: u64) -> GcStep {
        GcStep {
            backend: self.sites[site].label().to_owned(),
            action,
            subject,
            objects,
        }
    }
}

/// From which version on something of an object is kept.
struct Kept {
    committed: u64,
    is_deleted: bool,
}

impl Kept {
    /// Manifests from here on stay.
    const fn manifests_from(&self) -> (u64, ManifestHash) {
        (self.committed.saturating_sub(1), LOWEST)
    }

    /// Shares that live manifests from here on name stay.
    const fn shares_from(&self) -> (u64, ManifestHash) {
        if self.is_deleted {
            (self.committed, LOWEST)
        } else {
            self.manifests_from()
        }
    }
}

const LOWEST: ManifestHash = ManifestHash([0; 32]);

/// What stays of an object; without a committed version, everything.
fn kept(versions: &Versions) -> Kept {
    let committed = versions.iter().rev().find(|(_, v)| v.is_committed());
    Kept {
        committed: committed.map_or(0, |((number, _), _)| *number),
        is_deleted: committed.is_some_and(|(_, version)| !version.is_live),
    }
}

/// The newest version, unless two claim to be that.
fn only_newest(versions: &Versions) -> Option<&Version> {
    let mut newest_first = versions.iter().rev();
    let ((number, _), newest) = newest_first.next()?;
    let rival = newest_first
        .next()
        .is_some_and(|((other, _), _)| other == number);
    (!rival).then_some(newest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::memory::MemoryBackend;
    use crate::placement::FailureDomain;
    use crate::store::gc::inventory::tests::{
        TAG, dealing, hash, inventory, place, sites, version,
    };

    const GRACE_S: u64 = 7200;
    const NOW: u64 = 1_800_000_000;

    /// What a collection at [`NOW`] makes of an inventory.
    fn look<T>(inventory: &Inventory, at: impl Fn(&Collecting<'_>, &Versions) -> T) -> T {
        let backend = Arc::new(MemoryBackend::new("any"));
        let store = crate::Store::builder().backend(backend, FailureDomain::default());
        let collecting = Collecting {
            store: &store.build().unwrap(),
            tag: TAG,
            sites: sites(),
            grace: Duration::from_secs(GRACE_S),
            began_unix_s: NOW,
        };
        at(&collecting, inventory.objects.values().next().unwrap())
    }

    /// Version `number` on `copies` backends, which follows the one before it; each has its own shares.
    fn following(number: u8, copies: u8) -> ((u64, u8), Version) {
        let mut version = version(copies);
        version.previous = Some(hash(number - 1));
        version.shares = vec![place(10 + number)];
        ((number.into(), number), version)
    }

    fn named(inventory: &Inventory) -> Vec<(BackendUid, Prefix)> {
        look(inventory, |of, _| of.named(inventory).into_keys().collect())
    }

    #[test]
    fn the_committed_version_and_its_predecessor_stay() {
        // The fourth is not committed: nobody knows whether it will be.
        let four = [(1, 3), (2, 3), (3, 2), (4, 1)].map(|(number, at)| following(number, at));
        let inventory = inventory(four);
        assert_eq!(named(&inventory), [place(12), place(13), place(14)]);
        let outdated: Vec<_> = look(&inventory, |of, versions| of.outdated(versions).collect());
        let name = |at| names::manifest(TAG, place(at).1, 1, hash(1));
        assert_eq!(outdated, [(0, name(0)), (1, name(1)), (2, name(2))]);
    }

    #[test]
    fn without_a_committed_version_everything_stays() {
        let inventory = inventory([following(1, 1), following(2, 1)]);
        assert_eq!(named(&inventory), [place(11), place(12)]);
        let outdated = look(&inventory, |of, versions| of.outdated(versions).count());
        assert_eq!(outdated, 0);
    }

    #[test]
    fn what_the_object_did_not_go_on_from_keeps_nothing() {
        let mut beside = following(1, 1);
        beside.0.1 = 9;
        beside.1.shares = vec![place(20)];
        let inventory = inventory([following(1, 2), beside, following(2, 2)]);
        assert_eq!(named(&inventory), [place(11), place(12)]);
    }

    #[test]
    fn after_a_deletion_nobody_goes_back() {
        let mut deletion = following(2, 2);
        deletion.1.is_live = false;
        let inventory = inventory([following(1, 3), deletion]);
        assert_eq!(named(&inventory), []);
        let outdated = look(&inventory, |of, versions| of.outdated(versions).count());
        assert_eq!(outdated, 0, "its manifest stays");
    }

    #[test]
    fn what_is_given_up_is_named_until_the_giver_has_all_of_its_own() {
        let mut second = following(2, 2);
        second.1.shares = vec![place(0)];
        second.1.given_up.insert(place(11));
        let mut inventory = inventory([following(1, 3), second]);
        assert_eq!(
            named(&inventory),
            [place(0), place(11)],
            "its share is lost"
        );
        let whole = dealing(&["0/0", "1/0"]);
        inventory.dealings.insert((0, place(0).1), whole);
        assert_eq!(named(&inventory), [place(0)]);
        let marked = dealing(&["0/0", "1/0", "tomb/1"]);
        inventory.dealings.insert((0, place(0).1), marked);
        assert_eq!(named(&inventory), [place(0), place(11)]);
    }

    #[test]
    fn what_is_kept_for_readers_is_named() {
        let mut first = following(1, 2);
        first.1.kept.insert(place(20));
        assert_eq!(named(&inventory([first])), [place(11), place(20)]);
    }

    #[test]
    fn an_object_expires_a_grace_after_its_time_if_nobody_contests_it() {
        let expiring = |at: Option<u64>, change: fn(&mut Version)| {
            let mut first = following(1, 2);
            first.1.expires_unix_s = at;
            first.1.shares = vec![place(0), place(2)];
            change(&mut first.1);
            first
        };
        let expired = |mut inventory: Inventory| {
            inventory
                .dealings
                .insert((0, place(0).1), dealing(&["0/0", "1/0"]));
            inventory
                .dealings
                .insert((2, place(2).1), dealing(&["0/0"]));
            inventory
                .dealings
                .insert((1, place(2).1), dealing(&["0/0"]));
            look(&inventory, |of, versions| {
                of.expired(ObjectId([1; 32]), versions, &inventory)
            })
        };
        let due = NOW - GRACE_S;
        let planned = expired(inventory([expiring(Some(due), |_| {})])).unwrap();
        assert_eq!(planned.step.backend, "site-0, site-2");
        assert_eq!(planned.step.objects, 3);
        assert!(matches!(planned.what, What::Object(ObjectId(id)) if id == [1; 32]));
        for spared in [
            expiring(Some(due + 1), |_| {}),
            expiring(None, |_| {}),
            expiring(Some(due), |version| version.is_live = false),
            expiring(Some(due), |version| version.holders.clear()),
        ] {
            assert!(expired(inventory([spared])).is_none());
        }
        let mut rival = expiring(Some(due), |_| {});
        rival.0.1 = 2;
        let contested = inventory([expiring(Some(due), |_| {}), rival]);
        assert!(expired(contested).is_none());
    }
}
