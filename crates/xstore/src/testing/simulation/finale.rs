//! The end of a run: the faults are over, and what can be mended must be mended.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::backend::ObjectKey;
use crate::ids::{ManifestHash, Prefix};
use crate::manifest::{Manifest, STATE_LIVE};
use crate::names;
use crate::store::{Brake, Happy, Subset};
use crate::testing::simulation::backend::Weather;
use crate::testing::simulation::fault::is_share;
use crate::testing::simulation::model::{Object, Want};
use crate::testing::simulation::operation::{GRACE_S, NAME_COUNT, Operation};
use crate::testing::simulation::run::{Kind, Run, Sky};

/// Longer than any delivery is late, in milliseconds.
const ALL_DELIVERED_MS: u64 = 2_000;

const A_DAY_S: u64 = 24 * 3600;

impl Run {
    /// Everything is honest from here on; what must be the case in the end.
    pub(super) async fn end(&mut self) -> Result<(), String> {
        self.history.push("the faults are over".to_owned());
        for backend in &self.setting.backends {
            backend.set_weather(Weather::CLEAR);
        }
        self.setting.network.pause(ALL_DELIVERED_MS).await;
        for _twice in 0..2 {
            for client in 0..self.clients.len() {
                self.alone(client, Operation::Recover).await?;
            }
        }
        self.nothing_is_left_over()?;
        self.repair_everything().await?;
        self.everything_is_there().await?;
        let object = self.random.index(NAME_COUNT);
        self.put_again(object).await?;
        for client in 0..self.clients.len() {
            self.alone(client, Operation::List).await?;
        }
        self.nothing_is_left_over()?;
        self.collect_everything().await
    }

    async fn repair_everything(&mut self) -> Result<(), String> {
        for object in 0..self.model.objects.len() {
            if self.can_be_found(object) {
                let client = self.random.index(self.clients.len());
                let repair = Operation::Repair(object, Some(Subset::All));
                self.alone(client, repair).await?;
            }
        }
        Ok(())
    }

    /// Two collections a grace apart leave nothing that no manifest names, whatever happened before,
    /// and everything else.
    async fn collect_everything(&mut self) -> Result<(), String> {
        // What a refresh kept for its readers, and what a put that stopped could have gone on with.
        self.setting.network.jump(A_DAY_S + 1);
        for client in 0..self.clients.len() {
            self.alone(client, Operation::Recover).await?;
        }
        for _mark_and_remove in 0..2 {
            self.setting.network.jump(GRACE_S + 1);
            self.alone(0, Operation::Collect(Brake::Lifted)).await?;
        }
        let unclear =
            |object: Object| self.is_contested(object) || self.saw_what_is_lost(0, object);
        if self.calm() == Sky::Calm && !(0..self.model.objects.len()).any(unclear) {
            self.everything_is_collected()?;
        }
        for object in 0..self.model.objects.len() {
            if self.can_be_found(object) {
                self.alone(0, Operation::Read(object, None)).await?;
            }
        }
        Ok(())
    }

    fn can_be_found(&self, object: Object) -> bool {
        let known = &self.model.objects[object];
        !known.ruined && (known.name.is_some() || known.decided.is_some())
    }

    /// Each client reads each object; objects that two clients contest are read by the manifest
    /// that was acknowledged.
    async fn everything_is_there(&mut self) -> Result<(), String> {
        for client in 0..self.clients.len() {
            for object in 0..self.model.objects.len() {
                if !self.can_be_found(object) {
                    continue;
                }
                self.alone(client, Operation::Read(object, None)).await?;
                if self.kind != Kind::Safety && self.is_contested(object) {
                    self.read_acknowledged(client, object).await?;
                }
            }
        }
        Ok(())
    }

    async fn read_acknowledged(&self, client: usize, object: Object) -> Result<(), String> {
        let decided = self.model.objects[object].decided.as_ref();
        let Some((attempt, manifest)) = self.model.decided_attempt(object).zip(decided) else {
            return Ok(());
        };
        match self.get(client, manifest, None).await {
            Ok(bytes) => self.compare(attempt, None, &bytes),
            Err(error) if error.code() == "MANIFEST_EXPIRED" => Ok(()),
            Err(error) => Err(format!("contested object {object} is lost: {error}")),
        }
    }

    /// A name takes a new payload, and gives it back.
    async fn put_again(&mut self, object: Object) -> Result<(), String> {
        let client = object % self.clients.len();
        let want = Want::Put {
            len: 100,
            ttl_s: None,
            happy: Happy::All,
        };
        let attempt = self.model.begin(client, object, want);
        self.alone(client, Operation::Put(attempt)).await?;
        for client in 0..self.clients.len() {
            self.alone(client, Operation::Read(object, None)).await?;
        }
        Ok(())
    }

    /// No share is stored that no manifest refers to, unless something explains it: a journal that
    /// waits, an identity or a manifest that is damaged, or a backend whose word that all was erased
    /// was not true.
    fn nothing_is_left_over(&self) -> Result<(), String> {
        let clients = 0..self.clients.len();
        let objects = 0..self.model.objects.len();
        let waits = clients.flat_map(|client| objects.clone().map(move |object| (client, object)));
        let scarred = |at: usize| self.setting.backends[at].stored().scarred;
        if waits
            .into_iter()
            .any(|(c, o)| self.model.is_unfinished(c, o))
            || (0..self.setting.backends.len()).any(scarred)
        {
            return Ok(());
        }
        let live = self.referenced(0);
        for backend in &self.setting.backends {
            let stored = backend.stored();
            let mut shares = stored.objects.keys().filter(|key| is_share(key));
            let orphan =
                shares.find(|key| !live.iter().any(|start| key.as_str().starts_with(start)));
            if let (Some(orphan), false) = (orphan, stored.hides_orphans || self.strays) {
                return Err(format!("nobody refers to {orphan}"));
            }
        }
        Ok(())
    }

    /// After collections: of shares only those are stored that the newest version refers to, or the
    /// one before it, to which a writer may go back; and nothing that a collector writes.
    fn everything_is_collected(&self) -> Result<(), String> {
        let live = self.referenced(1);
        for backend in &self.setting.backends {
            let stored = backend.stored();
            let is_live =
                |key: &ObjectKey| live.iter().any(|start| key.as_str().starts_with(start));
            let is_left = |key: &&ObjectKey| {
                let of_collector =
                    key.as_str().contains("/tomb/") || key.as_str().ends_with("/clock");
                of_collector || (is_share(key) && !is_live(key))
            };
            if let Some(left) = stored.objects.keys().find(is_left) {
                return Err(format!("two collections leave {left} at {}", backend.id()));
            }
        }
        Ok(())
    }

    /// Starts of the names of all shares that the newest manifests refer to, and those up to `back`
    /// versions before one that is not a deletion.
    fn referenced(&self, back: u64) -> BTreeSet<String> {
        let (tag, now) = (self.setting.keys.store_tag(), self.now_unix_s());
        let mut objects: BTreeMap<Prefix, BTreeMap<(u64, ManifestHash), Bytes>> = BTreeMap::new();
        for backend in &self.setting.backends {
            for (key, bytes) in &backend.stored().objects {
                if let Some((prefix, version, hash)) = names::parse_manifest(tag, key) {
                    let copies = objects.entry(prefix).or_default();
                    copies.insert((version, hash), bytes.clone());
                }
            }
        }
        let store = &self.clients[0].store;
        let verifier = store.verifier();
        let mut starts = BTreeSet::new();
        for copies in objects.values() {
            let opened = copies.values();
            let opened = opened.filter_map(|bytes| Manifest::open(bytes, &verifier).ok());
            let mut opened: Vec<Manifest> = opened.collect();
            opened.sort_by_key(|manifest| Reverse(store.rank(manifest.body())));
            let mut from = u64::MAX;
            for manifest in opened {
                let body = manifest.body();
                let is_live = body.state == STATE_LIVE;
                if from == u64::MAX {
                    from = body.version.saturating_sub(if is_live { back } else { 0 });
                }
                if body.version >= from && is_live {
                    let stored = body.stored();
                    starts.extend(stored.map(|(_, at)| names::shares(tag, at.share_prefix)));
                    let kept = body
                        .superseded()
                        .filter(|old| old.kept_until_unix_s > Some(now));
                    let kept = kept.flat_map(|dealing| &dealing.locations);
                    starts.extend(kept.map(|at| names::shares(tag, at.share_prefix)));
                }
            }
        }
        starts
    }

    /// Whether a backend was out of reach of lies and damage in this run.
    pub(super) fn is_honest(&self, at: usize) -> bool {
        self.kind == Kind::Outage || !self.may_fail(at)
    }
}
