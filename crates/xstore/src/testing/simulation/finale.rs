//! The end of a run: the faults are over, and what can be mended must be mended.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::ids::{ManifestHash, Prefix};
use crate::manifest::{Manifest, STATE_LIVE};
use crate::names;
use crate::testing::simulation::backend::Weather;
use crate::testing::simulation::fault::is_share;
use crate::testing::simulation::model::{Object, Want};
use crate::testing::simulation::operation::{NAME_COUNT, Operation};
use crate::testing::simulation::run::{Kind, Run};

/// Longer than any delivery is late, in milliseconds.
const ALL_DELIVERED_MS: u64 = 2_000;

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
        self.everything_is_there().await?;
        let object = self.random.index(NAME_COUNT);
        self.put_again(object).await?;
        for client in 0..self.clients.len() {
            self.alone(client, Operation::List).await?;
        }
        self.nothing_is_left_over()
    }

    /// Each client reads each object; objects that two clients contest are read by the manifest
    /// that was acknowledged.
    async fn everything_is_there(&mut self) -> Result<(), String> {
        for client in 0..self.clients.len() {
            for object in 0..self.model.objects.len() {
                let known = &self.model.objects[object];
                if known.ruined || (known.name.is_none() && known.decided.is_none()) {
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
        let live = self.referenced();
        for backend in &self.setting.backends {
            let stored = backend.stored();
            let mut shares = stored.objects.keys().filter(|key| is_share(key));
            let orphan =
                shares.find(|key| !live.iter().any(|start| key.as_str().starts_with(start)));
            if let (Some(orphan), false) = (orphan, stored.hides_orphans) {
                return Err(format!("nobody refers to {orphan}"));
            }
        }
        Ok(())
    }

    /// Starts of the names of all shares that the newest manifests refer to.
    fn referenced(&self) -> BTreeSet<String> {
        let tag = self.setting.keys.store_tag();
        let mut newest: BTreeMap<Prefix, (u64, BTreeMap<ManifestHash, Bytes>)> = BTreeMap::new();
        for backend in &self.setting.backends {
            for (key, bytes) in &backend.stored().objects {
                let Some((prefix, version, hash)) = names::parse_manifest(tag, key) else {
                    continue;
                };
                let (highest, copies) = newest.entry(prefix).or_default();
                if version > *highest {
                    (*highest, *copies) = (version, BTreeMap::new());
                }
                if version == *highest {
                    copies.insert(hash, bytes.clone());
                }
            }
        }
        let copies: BTreeMap<ManifestHash, Bytes> = newest
            .into_values()
            .flat_map(|(_, copies)| copies)
            .collect();
        let verifier = self.clients[0].store.verifier();
        let open = |bytes: &Bytes| Manifest::open(bytes, &verifier).ok();
        let live = copies
            .values()
            .filter_map(open)
            .filter(|manifest| manifest.body().state == STATE_LIVE);
        let starts = |manifest: Manifest| {
            let stored = manifest.body().stored();
            let starts = stored.map(|(_, at)| names::shares(tag, at.share_prefix));
            starts.collect::<Vec<_>>()
        };
        live.flat_map(starts).collect()
    }

    /// Whether a backend was out of reach of lies and damage in this run.
    pub(super) fn is_honest(&self, at: usize) -> bool {
        self.kind == Kind::Outage || !self.may_fail(at)
    }
}
