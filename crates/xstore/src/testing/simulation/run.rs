//! One run: weather, steps, and what came of them, until the first thing that must not be.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, join, select};
use xorida_core::{AccessStructure, Padding};

use crate::clock::Clock as _;
use crate::error::Error;
use crate::keys::{OwnerKeys, RootKey};
use crate::manifest::Manifest;
use crate::placement::write_quorum;
use crate::store::{
    CheckReport, DeleteReport, Found, GcReport, GetOptions, Happy, Listed, Listing, MigrateReport,
    PutOptions, Receipt, RecoveryReport, RefreshReport, RenewReport, RepairReport, ResolveReport,
    Resumption, nothing_more,
};
use crate::testing::faulty_dealer::{Nonsense, deal_nonsense};
use crate::testing::simulation::backend::{SimulatedBackend, Weather};
use crate::testing::simulation::client::{Client, Setting};
use crate::testing::simulation::fault::{Damage, Mood};
use crate::testing::simulation::model::{Attempt, Model, Object, Want};
use crate::testing::simulation::network::Network;
use crate::testing::simulation::operation::{
    LONG_S, NAME_COUNT, Operation, Scope, Step, draw, mode, payload,
};
use crate::testing::simulation::random::{Random, SeededEntropy};
use crate::testing::simulation::upkeep::{Rekeying, Salvaged, Upkeep};

/// What a run may do to its backends, and so what may be asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any number of backends lies and loses: nothing wrong is ever returned.
    Safety,
    /// At most n - k backends lie and lose: what was acknowledged stays readable.
    Liveness,
    /// Any number of backends is out now and then, none lies: what is read is the newest.
    Outage,
}

pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) kind: Kind,
    pub(super) random: Random,
    pub(super) setting: Setting,
    root: RootKey,
    /// Manifests of earlier root keys may be there, which count for nothing.
    pub(super) rekeyed: bool,
    pub(super) clients: Vec<Client>,
    pub(super) model: Model,
    /// Backends that faults may happen to, with the steps for which a mood still lasts.
    weather: Vec<(usize, u64)>,
    /// The weather changes once in so many steps.
    rarity: u64,
    damages: bool,
    pub(super) scope: Scope,
    /// A put of a client that stopped, and may have finished a segment.
    stopped: Option<(usize, Attempt)>,
    /// A writer may have left shares that neither a manifest nor a journal knows of.
    pub(super) strays: bool,
    pub(super) operations: usize,
    pub(super) history: Vec<String>,
}

/// What came of an operation.
pub(super) enum Outcome {
    Put(Result<Receipt, Error>),
    Read(Reading),
    Deleted {
        found: Result<Found, Error>,
        deleted: Option<Result<DeleteReport, Error>>,
    },
    Listed(Result<Vec<Listed>, Error>),
    Recovered(Result<RecoveryReport, Error>),
    Checked(Upkeep<CheckReport>),
    Repaired(Upkeep<RepairReport>),
    Migrated(Upkeep<MigrateReport>),
    Refreshed(Upkeep<RefreshReport>),
    Renewed(Upkeep<RenewReport>),
    /// Each object that was not under the present key yet.
    Rekeyed(Result<Rekeying, Error>),
    /// Nothing when one manifest counts anyway.
    Resolved(Result<Option<ResolveReport>, Error>),
    Salvaged(Upkeep<Salvaged>),
    Collected(Result<GcReport, Error>),
    /// What a read of authentic nonsense gave.
    Nonsense(Result<Receipt, Error>, Option<Result<Vec<u8>, Error>>),
    Crashed,
    /// It did not end within an hour.
    Hung,
}

pub(super) struct Reading {
    pub(super) found: Result<Found, Error>,
    pub(super) read: Option<Result<Vec<u8>, Error>>,
    /// Seconds since 1970 before and after.
    pub(super) at_unix_s: (u64, u64),
}

/// Under which conditions something happened, and so what may be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sky {
    /// Two clients were at work: only what must never be is judged.
    Crowded,
    /// Faults happened.
    Rough,
    /// No fault happened, and what earlier ones left can be mended: everything must succeed.
    Calm,
}

impl Run {
    pub(super) fn new(seed: u64, folder: &Path) -> Result<Self, Error> {
        let mut random = Random::new(seed);
        let n = 2 + random.below(4);
        let k = 2 + random.below(n - 1);
        let narrow = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        let access = AccessStructure::try_new(narrow(k), narrow(n))?;
        let network = Arc::new(Network::new(random.fork()));
        let backend = |index| Arc::new(SimulatedBackend::new(index, Arc::clone(&network)));
        let spares = random.choose(&[0, 0, 1, 2]);
        let backends: Vec<Arc<SimulatedBackend>> = (0..usize::from(access.share_count()) + spares)
            .map(backend)
            .collect();
        let mut root = [0; RootKey::LEN];
        random.fill(&mut root);
        let root = RootKey::from_bytes(root);
        let setting = Setting {
            network,
            backends,
            keys: Arc::new(OwnerKeys::derive(&root)),
            access,
            padding: random.choose(&[Padding::None, Padding::Padme]),
        };
        let kind = random.choose(&[
            Kind::Safety,
            Kind::Safety,
            Kind::Liveness,
            Kind::Liveness,
            Kind::Liveness,
            Kind::Outage,
            Kind::Outage,
            Kind::Outage,
        ]);
        let mut at: Vec<usize> = (0..setting.backends.len()).collect();
        if kind == Kind::Liveness {
            let faulty = usize::from(access.share_count() - access.threshold());
            while at.len() > faulty {
                at.swap_remove(random.index(at.len()));
            }
        }
        let clients = 1..=narrow(1 + random.below(2));
        let clients: Vec<Client> = clients
            .map(|number| Client::start(number, &setting, folder, random.fork()))
            .collect::<Result<_, Error>>()?;
        let mut model = Model::default();
        for name in 0..NAME_COUNT {
            let object = model.add_object(Some(format!("name-{name}")));
            let name = model.objects[object].name.as_deref().unwrap_or_default();
            model.objects[object].id = Some(setting.keys.named_object(name));
        }
        let damages = kind != Kind::Outage && random.once_in(2);
        let scope = Scope {
            clients: clients.len(),
            spares,
            least_happy: u8::try_from(least_happy(access)).unwrap_or(u8::MAX),
            large: random.once_in(256),
        };
        let rarity = random.choose(&[1, 2, 4, 8]);
        let about = format!(
            "{kind:?}, k = {k}, n = {n}, {spares} spares, {} clients",
            clients.len()
        );
        Ok(Self {
            seed,
            kind,
            random,
            setting,
            root,
            rekeyed: false,
            clients,
            model,
            weather: at.into_iter().map(|at| (at, 0)).collect(),
            rarity,
            damages,
            scope,
            stopped: None,
            strays: false,
            operations: 0,
            history: vec![about],
        })
    }

    /// All steps but the last ones, which `finale` takes.
    pub(super) async fn go(&mut self) -> Result<(), String> {
        let steps = 40 + self.random.index(60);
        for _ in 0..steps {
            self.change_weather();
            self.take_step().await?;
        }
        Ok(())
    }

    fn change_weather(&mut self) {
        for (at, left) in &mut self.weather {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.setting.backends[*at].set_weather(Weather::CLEAR);
            }
        }
        if self.weather.is_empty() || !self.random.once_in(self.rarity) {
            return;
        }
        if self.damages && self.random.once_in(2) {
            return self.damage();
        }
        let mood = match self.kind {
            Kind::Outage => Mood::draw_failing(&mut self.random),
            _ => Mood::draw(&mut self.random),
        };
        let odds = self.random.choose(&[1, 1, 1, 2, 5]);
        let at_most = self.random.choose(&[1, mood.calls()]);
        let spared = self.random.below(at_most);
        let weather = Weather { mood, odds, spared };
        let lasts = self.random.choose(&[1, 1, 2, 4, 8]);
        // A cloud has one backend below it, or as many as it happens to cover.
        let chosen = self.random.index(self.weather.len());
        let wide = self.random.once_in(2);
        for at in 0..self.weather.len() {
            if at == chosen || (wide && self.random.once_in(2)) {
                self.cloud(at, weather, lasts);
            }
        }
    }

    fn damage(&mut self) {
        let at = self.weather[self.random.index(self.weather.len())].0;
        let damage = Damage::draw(&mut self.random);
        if let Some(what) = self.setting.backends[at].damage(damage) {
            self.history.push(format!("site-{at}: {damage:?} {what}"));
        }
    }

    fn cloud(&mut self, chosen: usize, weather: Weather, lasts: u64) {
        let (at, left) = &mut self.weather[chosen];
        *left = lasts;
        self.setting.backends[*at].set_weather(weather);
        let told = format!("site-{at}: {weather:?}, {lasts} steps");
        self.history.push(told);
    }

    async fn take_step(&mut self) -> Result<(), String> {
        let step = self.draw_step();
        match step {
            Step::Wait(seconds) => {
                self.setting.network.jump(seconds);
                self.history.push(format!("{seconds} s go by"));
                Ok(())
            }
            Step::ReplaceKey(client) => {
                self.replace_key()?;
                self.alone(client, Operation::Rekey).await
            }
            Step::Alone(client, operation) => self.alone(client, operation).await,
            Step::Crash(client, operation, after_ms) => {
                self.crash(client, operation, after_ms).await
            }
            Step::Race([one, other]) => self.race(one, other).await,
            Step::Sleep([sleeper, collector], night) => self.sleep(sleeper, collector, night).await,
        }
    }

    /// What follows from what happened before, or anything.
    fn draw_step(&mut self) -> Step {
        if let Some((client, stopped)) = self.stopped.take() {
            let operation = Operation::Resume(self.model.begin_again(stopped));
            return if self.random.once_in(2) {
                Step::Crash(client, operation, self.random.below(600))
            } else {
                Step::Alone(client, operation)
            };
        }
        if self.random.once_in(4)
            && let Some(object) = (0..NAME_COUNT).find(|object| self.is_contested(*object))
        {
            let client = self.random.index(self.clients.len());
            let chosen = self.random.index(1 << 16);
            return Step::Alone(client, Operation::Resolve(object, chosen));
        }
        draw(&mut self.random, self.scope, &mut self.model)
    }

    /// All machines are shut down, and started again with the new root key.
    fn replace_key(&mut self) -> Result<(), String> {
        let entropy = SeededEntropy::new(self.random.fork());
        let root = self.root.replace(&entropy);
        self.root = root.map_err(|error| error.to_string())?;
        self.rekeyed = true;
        self.setting.keys = Arc::new(OwnerKeys::derive(&self.root));
        for client in &mut self.clients {
            let restarted = client.restart(&self.setting);
            restarted.map_err(|error| error.to_string())?;
        }
        self.history.push("the root key is replaced".to_owned());
        Ok(())
    }

    /// One operation with nothing beside it but the weather.
    pub(super) async fn alone(
        &mut self,
        client: usize,
        operation: Operation,
    ) -> Result<(), String> {
        self.watch(&operation);
        let before = self.whole_parts(&operation);
        let faults = self.setting.network.faults();
        let outcome = self.perform(client, &operation).await;
        let quiet = faults == self.setting.network.faults();
        let sky = if quiet { self.calm() } else { Sky::Rough };
        self.ended(client, &operation, outcome, sky)?;
        self.still_whole(&before)
    }

    async fn crash(
        &mut self,
        client: usize,
        operation: Operation,
        after_ms: u64,
    ) -> Result<(), String> {
        self.watch(&operation);
        let before = self.whole_parts(&operation);
        let outcome = {
            let work = std::pin::pin!(self.perform(client, &operation));
            let stop = std::pin::pin!(self.setting.network.pause(after_ms));
            match select(work, stop).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(_) => Outcome::Crashed,
            }
        };
        if let (Operation::Put(attempt) | Operation::Resume(attempt), Outcome::Crashed, true) =
            (&operation, &outcome, self.scope.large)
            && let object = self.model.wishes[*attempt].object
            && self.model.objects[object].name.is_some()
        {
            self.stopped = Some((client, *attempt));
            // What of it is finished waits for a day.
            self.strays = true;
        }
        let setting = &self.setting;
        let restarted = self.clients[client].restart(setting);
        restarted.map_err(|error| error.to_string())?;
        self.ended(client, &operation, outcome, Sky::Rough)?;
        self.still_whole(&before)
    }

    async fn race(
        &mut self,
        (one, first): (usize, Operation),
        (other, second): (usize, Operation),
    ) -> Result<(), String> {
        self.watch(&first);
        self.watch(&second);
        let both = join(self.perform(one, &first), self.perform(other, &second));
        let (of_first, of_second) = both.await;
        self.ended(one, &first, of_first, Sky::Crowded)?;
        self.ended(other, &second, of_second, Sky::Crowded)
    }

    /// Whether the run may do anything to a backend.
    pub(super) fn may_fail(&self, at: usize) -> bool {
        self.weather.iter().any(|(of, _)| *of == at)
    }

    /// Calm unless something is wrong that no operation of today mends.
    pub(super) fn calm(&self) -> Sky {
        let mut backends = self.setting.backends.iter();
        if self.kind == Kind::Safety || backends.any(|backend| backend.stored().scarred) {
            Sky::Rough
        } else {
            Sky::Calm
        }
    }

    /// Before a put: no backend may come to see its payload.
    pub(super) fn watch(&mut self, operation: &Operation) {
        self.operations += 1;
        for backend in &self.setting.backends {
            backend.forget_sent();
            backend.stored().forged = matches!(operation, Operation::PutNonsense(_));
            if let Operation::Put(attempt)
            | Operation::Resume(attempt)
            | Operation::PutNonsense(attempt) = operation
            {
                backend.watch(&self.payload(*attempt));
            }
        }
    }

    pub(super) fn payload(&self, attempt: Attempt) -> Vec<u8> {
        payload(self.seed, &self.model.wishes[attempt])
    }

    pub(super) async fn perform(&self, client: usize, operation: &Operation) -> Outcome {
        let work = async {
            match operation {
                Operation::Put(attempt) => {
                    let resumption = match self.scope.large {
                        true => Resumption::Allow,
                        false => Resumption::Never,
                    };
                    Outcome::Put(self.put(client, *attempt, resumption).await)
                }
                Operation::Resume(attempt) => match self.clients[client].recover().await {
                    Ok(_) => Outcome::Put(self.put(client, *attempt, Resumption::Resume).await),
                    Err(error) => Outcome::Put(Err(error)),
                },
                Operation::Read(object, range) => {
                    Outcome::Read(self.read(client, *object, range.as_ref()).await)
                }
                Operation::Delete(attempt) => self.delete(client, *attempt).await,
                Operation::List => {
                    let listing = self.clients[client].store.list().await;
                    Outcome::Listed(listing.and_then(Listing::whole))
                }
                Operation::Recover => Outcome::Recovered(self.clients[client].recover().await),
                Operation::Check(object, data) => {
                    Outcome::Checked(self.check(client, *object, *data).await)
                }
                Operation::Repair(object, data) => {
                    Outcome::Repaired(self.repair(client, *object, *data).await)
                }
                Operation::Migrate(object, source, number) => {
                    Outcome::Migrated(self.migrate(client, *object, *source, *number).await)
                }
                Operation::Refresh(object, old) => {
                    Outcome::Refreshed(self.refresh(client, *object, *old).await)
                }
                Operation::Renew(attempt) => Outcome::Renewed(self.renew(client, *attempt).await),
                Operation::Rekey => Outcome::Rekeyed(self.rekey(client).await),
                Operation::Resolve(object, number) => {
                    Outcome::Resolved(self.resolve(client, *object, *number).await)
                }
                Operation::Salvage(object) => {
                    Outcome::Salvaged(self.salvage(client, *object).await)
                }
                Operation::Collect(brake) => self.collect(client, *brake).await,
                Operation::PutNonsense(attempt) => self.put_nonsense(client, *attempt).await,
            }
        };
        // Boxed: the future of a put is long, and a run has many.
        let limit = Duration::from_secs(LONG_S);
        tokio::time::timeout(limit, work.boxed_local())
            .await
            .unwrap_or(Outcome::Hung)
    }

    async fn put(
        &self,
        client: usize,
        attempt: Attempt,
        resumption: Resumption,
    ) -> Result<Receipt, Error> {
        let wish = &self.model.wishes[attempt];
        let (ttl_s, happy) = match wish.want {
            Want::Put { ttl_s, happy, .. } => (ttl_s, happy),
            Want::Delete | Want::Renew { .. } => (None, Happy::All),
        };
        let options = PutOptions {
            name: self.model.objects[wish.object].name.clone(),
            extension: Some((attempt as u64).to_be_bytes().to_vec()),
            ttl_s,
            happy,
            mode: mode(wish),
            resumption,
            ..PutOptions::default()
        };
        let bytes = self.payload(attempt);
        let store = &self.clients[client].store;
        store
            .put(&mut bytes.as_slice(), options, &mut nothing_more)
            .await
    }

    pub(super) async fn find(&self, client: usize, object: Object) -> Result<Found, Error> {
        let (store, known) = (&self.clients[client].store, &self.model.objects[object]);
        match (&known.name, &known.decided) {
            (Some(name), _) => store.find_name(name).await,
            (None, Some(manifest)) => store.find_file(manifest.envelope()).await,
            (None, None) => Err(Error::ObjectNotFound("no manifest names it".to_owned())),
        }
    }

    async fn read(&self, client: usize, object: Object, range: Option<&Range<u64>>) -> Reading {
        let before = self.setting.network.now_unix_s();
        let found = self.find(client, object).await;
        let read = match &found {
            Ok(found) => Some(self.get(client, &found.manifest, range).await),
            Err(_) => None,
        };
        Reading {
            found,
            read,
            at_unix_s: (before, self.setting.network.now_unix_s()),
        }
    }

    pub(super) async fn get(
        &self,
        client: usize,
        manifest: &Manifest,
        range: Option<&Range<u64>>,
    ) -> Result<Vec<u8>, Error> {
        let (store, mut out) = (&self.clients[client].store, Vec::new());
        let options = GetOptions::default();
        match range {
            None => store.get(manifest, &mut out, &options).await?,
            Some(range) => {
                let range = range.clone();
                store.get_range(manifest, range, &mut out, &options).await?
            }
        };
        Ok(out)
    }

    async fn delete(&self, client: usize, attempt: Attempt) -> Outcome {
        let found = self.find(client, self.model.wishes[attempt].object).await;
        let deleted = match &found {
            Ok(found) => Some(self.clients[client].store.delete(&found.manifest).await),
            Err(_) => None,
        };
        Outcome::Deleted { found, deleted }
    }

    /// A writer with a bug: its shares are authentic and its trailer is not that of its payload.
    async fn put_nonsense(&self, client: usize, attempt: Attempt) -> Outcome {
        const NONSENSE: [Nonsense; 3] = [
            Nonsense::OtherPayload,
            Nonsense::OtherLength,
            Nonsense::ValidLen,
        ];
        let put = self.put(client, attempt, Resumption::Never).await;
        let Ok(receipt) = &put else {
            return Outcome::Nonsense(put, None);
        };
        let store = &self.clients[client].store;
        let (keys, payload) = (&self.setting.keys, self.payload(attempt));
        let nonsense = NONSENSE[attempt % NONSENSE.len()];
        let dealt = deal_nonsense(store, keys, &receipt.manifest, &payload, nonsense).await;
        let read = match dealt {
            Ok(manifest) => Some(self.get(client, &manifest, None).await),
            Err(_) => None,
        };
        Outcome::Nonsense(put, read)
    }
}

/// The fewest shares with which a put can be content that is not degraded.
fn least_happy(access: AccessStructure) -> usize {
    let (k, n) = (access.threshold(), access.share_count());
    write_quorum(k, n).max(n.min(k + 1).into())
}
