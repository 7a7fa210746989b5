//! Several actors at one store in every order: what was acknowledged stays, what nobody names goes.
//!
//! The code under test is the real one. Each actor has a store of its own over the same backends, and
//! each of its calls passes a gate that lets one actor go on at a time; a schedule says before which
//! calls another one gets the turn. All schedules with up to so many of these are tried. Calls for the
//! identity or the time of a backend commute with all others and are no places to change turns. Where
//! many changes are needed, only effects and the look at tombs are such places.

mod gc;
mod rekey;
mod writers;

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use xstore::clock::Clock;
use xstore::ids::DeviceId;
use xstore::journal::Journal;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::manifest::Manifest;
use xstore::memory::MemoryBackend;
use xstore::placement::FailureDomain;
use xstore::{
    AccessStructure, BackendError, BackendErrorKind, Brake, Capabilities, Erasure, Error,
    GcOptions, ListPage, ObjectKey, ObjectMeta, Put, PutOptions, RecoveryReport, RepairOptions,
    StorageBackend, Store, StoreBuilder, nothing_more,
};

use crate::world::{CHUNK, NOW, get, payload};

const DAY_AND_MORE_S: u64 = 25 * 3600;

/// A clock that the test moves.
#[derive(Debug)]
pub(crate) struct Hands(AtomicU64);

impl Hands {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(NOW)))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now_unix_s(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Before which calls turns may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Places {
    #[default]
    AllCalls,
    EffectsAndTombs,
}

/// Before which calls another actor gets the turn, which one begins, and which one is stopped where.
#[derive(Debug, Clone, Default)]
struct Schedule {
    first: usize,
    switches: Vec<(usize, usize)>,
    stop: Option<(usize, usize)>,
    places: Places,
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Turns(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    schedule: Schedule,
    current: usize,
    alive: Vec<bool>,
    parked: Vec<Vec<Waker>>,
    calls: Vec<usize>,
    /// At each call that may change turns: the actors that could have had it instead.
    choices: Vec<Vec<usize>>,
}

impl Turns {
    fn new(schedule: Schedule, actors: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Table {
            current: schedule.first,
            schedule,
            alive: vec![true; actors],
            parked: vec![Vec::new(); actors],
            calls: vec![0; actors],
            choices: Vec::new(),
        })))
    }

    /// Waits for the turn of `actor`; whether it has been stopped.
    async fn next(&self, actor: usize, is_place: bool) -> bool {
        let mut decided = !is_place;
        poll_fn(|context| {
            let mut table = self.0.lock().unwrap();
            if table.current == actor && !decided {
                decided = true;
                table.decide(actor);
            }
            if table.current == actor {
                return Poll::Ready(());
            }
            table.parked[actor].push(context.waker().clone());
            Poll::Pending
        })
        .await;
        let mut table = self.0.lock().unwrap();
        table.calls[actor] += 1;
        let stop = table.schedule.stop;
        stop.is_some_and(|(stopped, call)| stopped == actor && table.calls[actor] > call)
    }

    fn places(&self) -> Places {
        self.0.lock().unwrap().schedule.places
    }

    fn end(&self, actor: usize) {
        let mut table = self.0.lock().unwrap();
        table.alive[actor] = false;
        if let Some(next) = table.alive.iter().position(|alive| *alive) {
            table.turn_to(next);
        }
    }
}

impl Table {
    fn decide(&mut self, actor: usize) {
        let others = (0..self.alive.len()).filter(|other| *other != actor && self.alive[*other]);
        let others: Vec<usize> = others.collect();
        let place = self.choices.len();
        let switch = self.schedule.switches.iter().find(|(at, _)| *at == place);
        if let Some((_, to)) = switch.copied() {
            self.turn_to(to);
        }
        self.choices.push(others);
    }

    fn turn_to(&mut self, actor: usize) {
        self.current = actor;
        self.parked[actor].drain(..).for_each(Waker::wake);
    }
}

/// A backend as one actor reaches it.
#[derive(Debug)]
struct Gate {
    inner: Arc<MemoryBackend>,
    turns: Arc<Turns>,
    actor: usize,
}

impl Gate {
    /// Passes with an effect on `name`.
    async fn pass(&self, name: &str) -> Result<(), BackendError> {
        let commutes = name.ends_with("/id") || name.ends_with("/clock");
        self.pass_at(!commutes).await
    }

    /// Passes with a look at `name`.
    async fn pass_to_look(&self, name: &str) -> Result<(), BackendError> {
        if self.turns.places() == Places::EffectsAndTombs && !name.ends_with("/tomb/") {
            return self.pass_at(false).await;
        }
        self.pass(name).await
    }

    async fn pass_at(&self, is_place: bool) -> Result<(), BackendError> {
        if self.turns.next(self.actor, is_place).await {
            let kind = BackendErrorKind::Unavailable;
            return Err(BackendError::new(kind, self.inner.id()));
        }
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageBackend for Gate {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        self.pass(key.as_str()).await?;
        self.inner.put_new(key, bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.pass_to_look(key.as_str()).await?;
        self.inner.get_range(key, range).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.pass_to_look(key.as_str()).await?;
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.pass_to_look(prefix).await?;
        self.inner.list(prefix, cursor).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        self.pass(keys.first().map_or("", ObjectKey::as_str))
            .await?;
        self.inner.delete(keys).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        self.inner.erasure().await
    }
}

/// Backends, one owner, and what is stored before the actors begin.
struct Model {
    hands: Arc<Hands>,
    backends: Vec<Arc<MemoryBackend>>,
    /// How many an object has; any two of them restore it.
    shares: u8,
    keys: Arc<OwnerKeys>,
    /// Of the first actor: another machine than the collectors'.
    journal: Option<tempfile::TempDir>,
}

/// What one actor does with its store.
type Act = fn(Store, Arc<Hands>) -> Acting;
type Acting = Pin<Box<dyn Future<Output = Outcome>>>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// A collector ended, well or not.
    Collected,
    /// A put was acknowledged, or not.
    Put(Result<(), &'static str>),
    Read(Result<Vec<u8>, String>),
    Done(Result<(), &'static str>),
}

impl Model {
    fn empty(backends: usize) -> Self {
        let hands = Hands::new();
        let backend = |at: usize| {
            let clock: Arc<dyn Clock> = Arc::clone(&hands) as _;
            Arc::new(MemoryBackend::new(format!("site-{at}")).with_clock(clock))
        };
        Self {
            backends: (0..backends).map(backend).collect(),
            shares: u8::try_from(backends).unwrap(),
            hands,
            keys: Arc::new(OwnerKeys::derive(&RootKey::from_bytes([7; 32]))),
            journal: None,
        }
    }

    /// The same content, at the same time, at backends of its own.
    fn copy(&self) -> Self {
        let mut copy = Self::empty(self.backends.len());
        copy.shares = self.shares;
        copy.hands.advance(self.hands.now_unix_s() - NOW);
        copy.keys = Arc::clone(&self.keys);
        copy.journal = self.journal.as_ref().map(|folder| {
            let copy = tempfile::tempdir().unwrap();
            for file in folder.path().read_dir().unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
            }
            copy
        });
        for (from, to) in self.backends.iter().zip(&copy.backends) {
            for (key, bytes) in from.snapshot() {
                to.replace(&key, bytes);
            }
        }
        copy
    }

    fn builder(
        &self,
        reach: impl Fn(&Arc<MemoryBackend>) -> Arc<dyn StorageBackend>,
    ) -> StoreBuilder {
        let builder = Store::builder()
            .chunk_len(u32::try_from(CHUNK).unwrap())
            .threshold(AccessStructure::try_new(2, self.shares).unwrap())
            .keys(Arc::clone(&self.keys))
            .clock(Arc::clone(&self.hands) as _);
        self.backends.iter().fold(builder, |builder, backend| {
            builder.backend(reach(backend), FailureDomain::default())
        })
    }

    /// `builder` with the journal of the first actor.
    fn journalled(&self, builder: StoreBuilder) -> StoreBuilder {
        match &self.journal {
            Some(folder) => builder.journal(Journal::new(folder.path())),
            None => builder,
        }
    }

    /// A store that nobody interrupts.
    fn direct(&self) -> Store {
        let builder = self.builder(|backend| Arc::clone(backend) as _);
        builder.build().unwrap()
    }

    /// The first actor's machine is started again, and ends everything.
    async fn recover(&self) {
        let report = self.try_recover().await;
        assert!(report.postponed.is_empty(), "{:?}", report.postponed);
    }

    async fn try_recover(&self) -> RecoveryReport {
        let builder = self.builder(|backend| Arc::clone(backend) as _);
        let store = self.journalled(builder).build().unwrap();
        store.recover(|_, _| Ok(())).await.unwrap()
    }

    async fn put(&self, name: &str, data: &[u8]) -> Manifest {
        try_put(&self.direct(), name, data).await.unwrap()
    }

    /// Runs all actors as `schedule` says; their outcomes, and the choices there were.
    async fn run(&self, schedule: &Schedule, acts: &[Act]) -> (Vec<Outcome>, Vec<Vec<usize>>) {
        let turns = Turns::new(schedule.clone(), acts.len());
        let actors = acts.iter().enumerate().map(|(actor, act)| {
            let builder = self.builder(|inner| {
                let (inner, turns) = (Arc::clone(inner), Arc::clone(&turns));
                Arc::new(Gate {
                    inner,
                    turns,
                    actor,
                })
            });
            let device = DeviceId([u8::try_from(actor + 1).unwrap(); 16]);
            let builder = builder.device(device);
            let store = match actor {
                0 => self.journalled(builder),
                _ => builder,
            };
            let store = store.build().unwrap();
            let (turns, hands, act) = (Arc::clone(&turns), Arc::clone(&self.hands), *act);
            tokio::task::spawn_local(async move {
                turns.next(actor, false).await;
                let outcome = act(store, hands).await;
                turns.end(actor);
                outcome
            })
        });
        let mut outcomes = Vec::new();
        for actor in actors.collect::<Vec<_>>() {
            outcomes.push(actor.await.unwrap());
        }
        let choices = std::mem::take(&mut turns.0.lock().unwrap().choices);
        (outcomes, choices)
    }

    /// Two more collections, each with the grace of what came before it over; then nothing is left
    /// that no manifest names.
    async fn settle(&self, what: &str) {
        self.collect().await;
        let objects = self.direct().list().await.unwrap().whole().unwrap();
        let named = objects.iter().flat_map(|object| {
            let stored = object.manifest.body().stored();
            stored.map(|(_, at)| at.share_prefix.to_string())
        });
        let named: BTreeSet<String> = named.collect();
        for name in self.names_of_shares() {
            let prefix = name.as_str().split('/').nth(2).unwrap();
            assert!(named.contains(prefix), "{what}: {name} is left");
            assert!(!name.as_str().contains("/tomb/"), "{what}: {name} is left");
        }
    }

    async fn collect(&self) {
        for _ in 0..2 {
            self.hands.advance(DAY_AND_MORE_S);
            self.direct().gc(&unbraked()).await.unwrap();
        }
    }

    fn names_of_shares(&self) -> Vec<ObjectKey> {
        let all = self.backends.iter();
        let all = all.flat_map(|backend| backend.snapshot().into_keys());
        all.filter(|key| key.as_str().contains("/s/")).collect()
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        read(&self.direct(), name).await
    }
}

fn unbraked() -> GcOptions {
    let mut options = GcOptions::default();
    options.brake = Brake::Lifted;
    options
}

async fn try_put(store: &Store, name: &str, mut data: &[u8]) -> Result<Manifest, Error> {
    let mut options = PutOptions::default();
    options.name = Some(name.into());
    let receipt = store.put(&mut data, options, &mut nothing_more).await?;
    Ok(receipt.manifest)
}

async fn read(store: &Store, name: &str) -> Result<Vec<u8>, String> {
    let text = |error: Error| format!("{}: {error}", error.code());
    let found = store.find_name(name).await.map_err(text)?;
    let (data, _) = get(store, &found.manifest).await.map_err(text)?;
    Ok(data)
}

fn new_data() -> Vec<u8> {
    payload(100, 1)
}

fn old_data() -> Vec<u8> {
    payload(100, 2)
}

/// A collector: it waits for the grace, looks, waits again, looks again.
fn collect(store: Store, hands: Arc<Hands>) -> Acting {
    Box::pin(async move {
        for _ in 0..2 {
            hands.advance(DAY_AND_MORE_S);
            if let Err(error) = store.gc(&unbraked()).await {
                let code = error.code();
                let known = ["CONFLICT", "BACKEND_UNAVAILABLE", "INSUFFICIENT_BACKENDS"];
                assert!(known.contains(&code), "{error}");
            }
        }
        Outcome::Collected
    })
}

fn write(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move {
        let put = try_put(&store, "genome", &new_data()).await;
        Outcome::Put(put.map(|_| ()).map_err(|error| error.code()))
    })
}

fn read_steady(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move { Outcome::Read(read(&store, "steady").await) })
}

fn repair_steady(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move {
        let found = store.find_name("steady").await.unwrap();
        let repaired = store
            .repair(&found.manifest, &RepairOptions::default())
            .await;
        Outcome::Done(repaired.map(|_| ()).map_err(|error| error.code()))
    })
}

fn delete_genome(store: Store, _: Arc<Hands>) -> Acting {
    Box::pin(async move {
        let found = store.find_name("genome").await.unwrap();
        let deleted = store.delete(&found.manifest).await;
        Outcome::Done(deleted.map(|_| ()).map_err(|error| error.code()))
    })
}

/// Counts one worker less when it is dropped, also by a panic.
struct Working<'a>(&'a AtomicUsize);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Tries every schedule that changes turns up to `most` times, on all processors; how many there
/// were.
fn explore(
    base: &Model,
    acts: &[Act],
    most: usize,
    (stop, places): (Option<(usize, usize)>, Places),
    check: impl Fn(&tokio::runtime::Runtime, &Model, &[Outcome], &str) + Sync,
) -> usize {
    let start = |first| Schedule {
        first,
        switches: Vec::new(),
        stop,
        places,
    };
    let open: Mutex<Vec<Schedule>> = Mutex::new((0..acts.len()).map(start).collect());
    let (working, tried) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        loop {
            let next = {
                let mut open = open.lock().unwrap();
                let next = open.pop();
                working.fetch_add(usize::from(next.is_some()), Ordering::SeqCst);
                next
            };
            let Some(schedule) = next else {
                if working.load(Ordering::SeqCst) == 0 {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
                continue;
            };
            let _working = Working(&working);
            let model = base.copy();
            let (outcomes, choices) =
                tokio::task::LocalSet::new().block_on(&runtime, model.run(&schedule, acts));
            check(
                &runtime,
                &model,
                &outcomes,
                &format!("{schedule:?}: {outcomes:?}"),
            );
            tried.fetch_add(1, Ordering::SeqCst);
            if schedule.switches.len() < most {
                let from = schedule.switches.last().map_or(0, |(at, _)| at + 1);
                let more = choices.iter().enumerate().skip(from);
                let more = more.flat_map(|(at, others)| others.iter().map(move |to| (at, *to)));
                open.lock().unwrap().extend(more.map(|switch| {
                    let mut longer = schedule.clone();
                    longer.switches.push(switch);
                    longer
                }));
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    tried.into_inner()
}

const ANYWHERE: (Option<(usize, usize)>, Places) = (None, Places::AllCalls);
const AT_EFFECTS: (Option<(usize, usize)>, Places) = (None, Places::EffectsAndTombs);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.enable_all().build().unwrap().block_on(future)
}
