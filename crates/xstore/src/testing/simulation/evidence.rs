//! What lies at the backends, looked at from outside: evidence that no client has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{ManifestHash, ObjectId};
use crate::manifest::{Manifest, STATE_LIVE};
use crate::names;
use crate::placement::write_quorum;
use crate::testing::simulation::backend::SimulatedBackend;
use crate::testing::simulation::model::Object;
use crate::testing::simulation::operation::Operation;
use crate::testing::simulation::run::{Kind, Run};

/// Shares by index and segment.
pub(super) type Parts = BTreeSet<(u8, u64)>;

impl Run {
    /// At least W backends hold a copy of what was acknowledged, and the object did not go on without
    /// it.
    pub(super) fn stands(&self, manifest: &Manifest) -> Result<(), String> {
        if self.kind == Kind::Outage && self.is_passed(manifest) {
            return Err("acknowledged, and the next version follows another one".to_owned());
        }
        let body = manifest.body();
        let copies = body.stored().filter(|(_, at)| {
            let prefix = at.manifest_prefix;
            let key = names::manifest(body.store_tag, prefix, body.version, manifest.hash());
            let holds = |backend: &Arc<SimulatedBackend>| {
                let stored = backend.stored();
                stored
                    .objects
                    .get(&key)
                    .is_some_and(|bytes| bytes == manifest.envelope())
            };
            self.setting.backends.iter().any(holds)
        });
        let (copies, needed) = (copies.count(), write_quorum(body.k, body.n));
        if copies >= needed {
            return Ok(());
        }
        Err(format!(
            "acknowledged with {copies} copies of its manifest, {needed} are needed"
        ))
    }

    /// Whether the object has a next version, and none that follows this one.
    fn is_passed(&self, manifest: &Manifest) -> bool {
        let (body, store) = (manifest.body(), &self.clients[0].store);
        let (verifier, age) = (store.verifier(), store.age_of(body.maker));
        let mut previous = BTreeSet::new();
        for backend in &self.setting.backends {
            for (key, bytes) in &backend.stored().objects {
                let named = names::parse_manifest(body.store_tag, key);
                if named.is_none_or(|(_, version, _)| version != body.version + 1) {
                    continue;
                }
                let next = Manifest::open(bytes, &verifier).ok();
                let next = next.filter(|next| next.body().object_id == body.object_id);
                let next = next.filter(|next| store.age_of(next.body().maker) <= age);
                previous.extend(next.and_then(|next| next.body().previous));
            }
        }
        !previous.is_empty() && !previous.contains(&manifest.hash())
    }

    /// Every share of what was acknowledged is stored as it was sent.
    pub(super) fn stored_as_sent(&self, manifest: &Manifest) -> Result<(), String> {
        let body = manifest.body();
        let geometry = body.geometry().map_err(|error| error.to_string())?;
        let index = u64::from(geometry.segments() > 1);
        for (share, at) in body.stored() {
            let prefix = names::shares(body.store_tag, at.share_prefix);
            let mut whole = 0;
            for backend in &self.setting.backends {
                let stored = backend.stored();
                let sent = stored
                    .sent
                    .iter()
                    .filter(|(key, _)| key.as_str().starts_with(&prefix));
                whole += sent
                    .filter(|(key, bytes)| stored.objects.get(*key) == Some(*bytes))
                    .count() as u64;
            }
            if whole != geometry.segments() + index {
                return Err(format!(
                    "acknowledged, and share {} is not stored",
                    share.index
                ));
            }
        }
        Ok(())
    }

    /// Shares by index and segment that are stored as they were dealt, where `manifest` says.
    pub(super) fn parts_of(&self, manifest: &Manifest) -> Parts {
        let (body, mut whole) = (manifest.body(), BTreeSet::new());
        let segments = body.geometry().map_or(0, |geometry| geometry.segments());
        for (share, at) in body.stored() {
            for segment in 0..segments {
                let key = names::segment(body.store_tag, at.share_prefix, segment, 0);
                let prefix = format!(
                    "{}{segment}/",
                    names::shares(body.store_tag, at.share_prefix)
                );
                let is_whole = |backend: &Arc<SimulatedBackend>| {
                    let stored = backend.stored();
                    let dealt = stored.dealt.get(&key);
                    let attempts = stored.objects.iter();
                    let mut attempts =
                        attempts.filter(|(key, _)| key.as_str().starts_with(&prefix));
                    dealt.is_some() && attempts.any(|(_, bytes)| Some(bytes) == dealt)
                };
                if self.setting.backends.iter().any(is_whole) {
                    whole.insert((share.index, segment));
                }
            }
        }
        whole
    }

    /// Before an operation that mends or collects: what is stored of each acknowledged object that
    /// nobody is at work at.
    pub(super) fn whole_parts(&self, operation: &Operation) -> Vec<(Object, Manifest, Parts)> {
        if !matches!(operation, Operation::Repair(..) | Operation::Collect(_)) {
            return Vec::new();
        }
        let settled =
            |object: &Object| self.model.is_settled(*object) && !self.model.objects[*object].ruined;
        let objects = (0..self.model.objects.len()).filter(settled);
        let parts = objects.filter_map(|object| {
            let decided = self.model.objects[object].decided.clone();
            // What a deletion could not remove is to go.
            let decided = decided.filter(|decided| decided.body().state == STATE_LIVE)?;
            let parts = self.parts_of(&decided);
            Some((object, decided, parts))
        });
        parts.collect()
    }

    /// A mending or collecting operation never leaves less than it found.
    pub(super) fn still_whole(&self, before: &[(Object, Manifest, Parts)]) -> Result<(), String> {
        for (object, manifest, parts) in before {
            let now = self.parts_of(manifest);
            if let Some((index, segment)) = parts.difference(&now).next()
                && !self.model.may_have_expired(*object, self.now_unix_s())
            {
                return Err(format!(
                    "segment {segment} of share {index} of version {} of object {object} is gone",
                    manifest.body().version
                ));
            }
        }
        Ok(())
    }

    /// Whether k of the shares that a manifest names are at backends that nothing happens to.
    pub(super) fn is_held_honestly(&self, manifest: &Manifest) -> bool {
        let body = manifest.body();
        let honest = body.stored().filter(|(_, at)| {
            let mut backends = self.setting.backends.iter();
            let backend = backends.position(|backend| backend.id() == at.label);
            backend.is_some_and(|backend| self.is_honest(backend))
        });
        honest.count() >= usize::from(body.k)
    }

    /// Manifests of an object at some of the backends, by version.
    fn manifests_at(
        &self,
        id: ObjectId,
        at: impl Fn(usize) -> bool,
    ) -> BTreeMap<u64, BTreeSet<ManifestHash>> {
        let (keys, mut versions) = (&self.setting.keys, BTreeMap::<u64, BTreeSet<_>>::new());
        let tag = keys.store_tag();
        for (number, backend) in self.setting.backends.iter().enumerate() {
            let stored = backend.stored();
            for uid in stored.identities.iter().filter(|_| at(number)) {
                let start = names::manifest_versions(tag, keys.manifest_prefix(id, *uid));
                let names = stored
                    .objects
                    .keys()
                    .filter(|key| key.as_str().starts_with(&start));
                for (_, version, hash) in names.filter_map(|key| names::parse_manifest(tag, key)) {
                    versions.entry(version).or_default().insert(hash);
                }
            }
        }
        versions
    }

    /// Whether two manifests claim the newest version: then every read says so, until the owner
    /// has chosen.
    pub(super) fn is_contested(&self, object: Object) -> bool {
        let versions = self.versions(object);
        versions
            .last_key_value()
            .is_some_and(|(_, hashes)| hashes.len() > 1)
    }

    /// The highest version that two manifests claim.
    pub(super) fn contested_version(&self, object: Object) -> Option<u64> {
        let versions = self.versions(object);
        let contested = versions.iter().rev().find(|(_, hashes)| hashes.len() > 1);
        contested.map(|(version, _)| *version)
    }

    /// Whether two manifests claim `version`.
    pub(super) fn has_rivals(&self, object: Object, version: u64) -> bool {
        let versions = self.versions(object);
        versions
            .get(&version)
            .is_some_and(|hashes| hashes.len() > 1)
    }

    fn versions(&self, object: Object) -> BTreeMap<u64, BTreeSet<ManifestHash>> {
        let id = self.model.objects[object].id;
        id.map(|id| self.manifests_at(id, |_| true))
            .unwrap_or_default()
    }

    /// Whether a client has seen a version that only a faulty backend had, and refuses what the
    /// others show.
    pub(super) fn saw_what_is_lost(&self, client: usize, object: Object) -> bool {
        let Some(id) = self.model.objects[object].id else {
            return false;
        };
        let Some((_, version, hash)) = self.clients[client].mark(&self.setting, id) else {
            return false;
        };
        let honest = self.manifests_at(id, |at| self.is_honest(at));
        !honest
            .get(&version)
            .is_some_and(|hashes| hashes.contains(&hash))
    }
}
