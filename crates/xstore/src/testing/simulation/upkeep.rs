//! What keeps objects as they are, applied: check, repair, migrate, salvage, and collections.

use std::time::Duration;

use futures_util::future::join;

use crate::error::Error;
use crate::ids::ObjectId;
use crate::store::{
    Brake, CheckOptions, CheckReport, Effects, Found, GcOptions, GetOptions, MigrateOptions,
    MigrateReport, OldShares, RefreshOptions, RefreshReport, RekeyReport, RenewReport,
    RepairOptions, RepairReport, ResolveReport, SalvageReport, ShareSource, Subset,
};
use crate::testing::simulation::model::{Attempt, Object, Want};
use crate::testing::simulation::operation::{GRACE_S, Night, Operation};
use crate::testing::simulation::run::{Outcome, Run, Sky};

/// An operation on a manifest that had to be found first; `None` when it was not, or when there was
/// nothing to do.
pub(super) struct Upkeep<T> {
    pub(super) found: Result<Found, Error>,
    pub(super) done: Option<Result<T, Error>>,
}

/// What came of each object that was not under the present key.
pub(super) type Rekeying = Vec<(ObjectId, Result<RekeyReport, Error>)>;

/// What a salvage wrote, and what it said.
pub(super) struct Salvaged {
    pub(super) bytes: Vec<u8>,
    pub(super) report: SalvageReport,
}

impl Run {
    pub(super) async fn check(
        &self,
        client: usize,
        object: Object,
        data: Option<Subset>,
    ) -> Upkeep<CheckReport> {
        let found = self.find(client, object).await;
        let mut done = None;
        if let Ok(found) = &found {
            let options = CheckOptions {
                data,
                ..CheckOptions::default()
            };
            let store = &self.clients[client].store;
            done = Some(store.check(&found.manifest, &options).await);
        }
        Upkeep { found, done }
    }

    pub(super) async fn repair(
        &self,
        client: usize,
        object: Object,
        data: Option<Subset>,
    ) -> Upkeep<RepairReport> {
        let found = self.find(client, object).await;
        let mut done = None;
        if let Ok(found) = &found {
            let options = RepairOptions {
                data,
                ..RepairOptions::default()
            };
            let store = &self.clients[client].store;
            done = Some(store.repair(&found.manifest, &options).await);
        }
        Upkeep { found, done }
    }

    /// Moves one of the shares, and to one of the backends that have none, chosen by `number`.
    pub(super) async fn migrate(
        &self,
        client: usize,
        object: Object,
        source: ShareSource,
        number: usize,
    ) -> Upkeep<MigrateReport> {
        let (found, mut done) = (self.find(client, object).await, None);
        if let Ok(found) = &found {
            let stored = found.manifest.body().stored();
            let holders: Vec<&str> = stored.map(|(_, at)| at.label.as_str()).collect();
            let store = &self.clients[client].store;
            let mut free: Vec<&str> = store.labels().collect();
            free.retain(|label| !holders.contains(label));
            if !free.is_empty() {
                let from = holders[number % holders.len()];
                let to = free[number / holders.len() % free.len()];
                let options = MigrateOptions {
                    source,
                    ..MigrateOptions::default()
                };
                done = Some(store.migrate(&found.manifest, from, to, &options).await);
            }
        }
        Upkeep { found, done }
    }

    pub(super) async fn refresh(
        &self,
        client: usize,
        object: Object,
        old_shares: OldShares,
    ) -> Upkeep<RefreshReport> {
        let (found, mut done) = (self.find(client, object).await, None);
        if let Ok(found) = &found {
            let options = RefreshOptions {
                old_shares,
                ..RefreshOptions::default()
            };
            let store = &self.clients[client].store;
            done = Some(store.refresh(&found.manifest, &options).await);
        }
        Upkeep { found, done }
    }

    pub(super) async fn renew(&self, client: usize, attempt: Attempt) -> Upkeep<RenewReport> {
        let wish = &self.model.wishes[attempt];
        let (found, mut done) = (self.find(client, wish.object).await, None);
        if let (Ok(found), Want::Renew { ttl_s }) = (&found, wish.want) {
            let store = &self.clients[client].store;
            done = Some(store.renew(&found.manifest, ttl_s, Effects::Apply).await);
        }
        Upkeep { found, done }
    }

    /// Puts each object under the present root key, as far as it is not.
    pub(super) async fn rekey(&self, client: usize) -> Result<Rekeying, Error> {
        let (store, mut done) = (&self.clients[client].store, Vec::new());
        for id in store.objects().await?.ids {
            match store.find_object(id).await {
                Ok(found) if store.is_current(&found.manifest)? => {}
                Ok(found) => done.push((id, store.rekey(&found.manifest).await)),
                Err(error) => done.push((id, Err(error))),
            }
        }
        Ok(done)
    }

    /// Keeps one of the newest manifests, chosen by `number`, where there are several.
    pub(super) async fn resolve(
        &self,
        client: usize,
        object: Object,
        number: usize,
    ) -> Result<Option<ResolveReport>, Error> {
        let store = &self.clients[client].store;
        let Some(id) = self.model.objects[object].id else {
            return Ok(None);
        };
        let siblings = store.siblings(id).await?;
        if siblings.len() < 2 {
            return Ok(None);
        }
        let keep = siblings[number % siblings.len()].hash();
        store.resolve(id, keep, Effects::Apply).await.map(Some)
    }

    pub(super) async fn salvage(&self, client: usize, object: Object) -> Upkeep<Salvaged> {
        let (found, mut done) = (self.find(client, object).await, None);
        if let Ok(found) = &found {
            let (store, mut bytes) = (&self.clients[client].store, Vec::new());
            let options = GetOptions::default();
            let report = store.salvage(&found.manifest, &mut bytes, &options).await;
            done = Some(report.map(|report| Salvaged { bytes, report }));
        }
        Upkeep { found, done }
    }

    pub(super) async fn collect(&self, client: usize, brake: Brake) -> Outcome {
        let options = GcOptions {
            grace: Duration::from_secs(GRACE_S),
            brake,
            ..GcOptions::default()
        };
        Outcome::Collected(self.clients[client].store.gc(&options).await)
    }

    /// One client sleeps in the middle of its operation for so long that the other takes what it
    /// wrote for abandoned, and wakes while that one is at work.
    pub(super) async fn sleep(
        &mut self,
        (client, operation): (usize, Operation),
        (collector, collection): (usize, Operation),
        night: Night,
    ) -> Result<(), String> {
        self.watch(&operation);
        let asleep = &self.clients[client].asleep;
        let network = &self.setting.network;
        let nap = async {
            let mut collected = Vec::new();
            network.pause(night.after_ms).await;
            asleep.store(true, std::sync::atomic::Ordering::Relaxed);
            for _ in 0..night.collections {
                network.jump(GRACE_S + 1);
                collected.push(self.perform(collector, &collection).await);
            }
            network.jump(GRACE_S + 1);
            let wake = async {
                network.pause(night.wakes_ms).await;
                asleep.store(false, std::sync::atomic::Ordering::Relaxed);
            };
            let (last, ()) = join(self.perform(collector, &collection), wake).await;
            collected.push(last);
            collected
        };
        let (outcome, collected) = join(self.perform(client, &operation), nap).await;
        self.strays = true;
        for outcome in collected {
            self.ended(collector, &collection, outcome, Sky::Crowded)?;
        }
        self.ended(client, &operation, outcome, Sky::Crowded)
    }
}
