//! A backend of a simulation: honest, or in the mood that the run gave it; and what passed through.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use crate::backend::{
    BackendError, BackendErrorKind, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put,
    StorageBackend,
};
use crate::clock::Clock as _;
use crate::ids::BackendUid;
use crate::memory::slice;
use crate::testing::simulation::fault::{Damage, Mood, is_share};
use crate::testing::simulation::network::Network;
use crate::testing::simulation::secrecy::Needles;

/// Few, so that cursors are used.
const PAGE_KEY_COUNT: usize = 5;

/// Objects that a backend remembers of those it had.
const PAST_COUNT_MAX: usize = 32;

/// How late a delivery is that was thought to be over, in milliseconds.
const LATE_MS: u64 = 400;

/// How often a machine that sleeps looks whether it is awake again, in milliseconds.
const NAP_MS: u64 = 100;

#[derive(Debug)]
pub(super) struct SimulatedBackend {
    index: usize,
    id: String,
    network: Arc<Network>,
    stored: Mutex<Stored>,
}

/// A mood, and which calls it concerns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    pub(super) mood: Mood,
    /// One call in so many meets it.
    pub(super) odds: u64,
    /// Calls that go well before: it may begin in the middle of an operation.
    pub(super) spared: u64,
}

impl Weather {
    pub(super) const CLEAR: Self = Self {
        mood: Mood::Honest,
        odds: 1,
        spared: 0,
    };
}

/// What a backend holds, and what is known of it from outside.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) objects: BTreeMap<ObjectKey, Bytes>,
    /// When what has this name was stored, in seconds since 1970.
    changed_unix_s: BTreeMap<ObjectKey, u64>,
    /// Share objects that were here once.
    pub(super) past: Vec<Bytes>,
    /// An older state, shown while the mood is a stale one.
    before: BTreeMap<ObjectKey, Bytes>,
    weather: Weather,
    /// What `put_new` was asked to store since the last [`SimulatedBackend::forget_sent`].
    pub(super) sent: BTreeMap<ObjectKey, Bytes>,
    /// Shares as they were first sent here: a name never stands for anything else.
    pub(super) dealt: BTreeMap<ObjectKey, Bytes>,
    /// A writer with a bug is at work, which replaces what was dealt.
    pub(super) forged: bool,
    /// Every identity that was ever stored here.
    pub(super) identities: Vec<BackendUid>,
    /// Something else than shares is damaged, which nothing but a repair can mend.
    pub(super) scarred: bool,
    /// A fault explains shares that nobody refers to.
    pub(super) hides_orphans: bool,
    needles: Needles,
    /// Starts of all segments, which are salts and so never the same twice.
    salts: HashMap<[u8; 16], ObjectKey>,
    /// What a backend must not be able to see, and saw.
    pub(super) leak: Option<String>,
}

impl SimulatedBackend {
    pub(super) fn new(index: usize, network: Arc<Network>) -> Self {
        Self {
            index,
            id: format!("site-{index}"),
            network,
            stored: Mutex::new(Stored {
                objects: BTreeMap::new(),
                changed_unix_s: BTreeMap::new(),
                past: Vec::new(),
                before: BTreeMap::new(),
                weather: Weather::CLEAR,
                sent: BTreeMap::new(),
                dealt: BTreeMap::new(),
                forged: false,
                identities: Vec::new(),
                scarred: false,
                hides_orphans: false,
                needles: Needles::default(),
                salts: HashMap::new(),
                leak: None,
            }),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        let mut stored = self.stored();
        stored.weather = weather;
        stored.before = match weather.mood {
            Mood::ReadsStale | Mood::ListsStale => stored.objects.clone(),
            _ => BTreeMap::new(),
        };
    }

    /// Damages something at rest; what.
    pub(super) fn damage(&self, damage: Damage) -> Option<String> {
        let done = self
            .network
            .draw(|random| damage.apply(&mut self.stored(), random));
        if done.is_some() {
            self.network.count_fault();
        }
        done
    }

    pub(super) fn forget_sent(&self) {
        self.stored().sent.clear();
    }

    /// Parts of a payload that no object may show.
    pub(super) fn watch(&self, payload: &[u8]) {
        self.stored().needles.watch(payload);
    }

    /// The mood, when it is one of those that matter to a call and this call meets it.
    fn met(&self, matters: impl Fn(Mood) -> bool) -> Mood {
        let Weather { mood, odds, .. } = {
            let mut stored = self.stored();
            let weather = stored.weather;
            if !matters(weather.mood) {
                return Mood::Honest;
            }
            stored.weather.spared = weather.spared.saturating_sub(1);
            if weather.spared > 0 {
                return Mood::Honest;
            }
            weather
        };
        if !self.network.draw(|random| random.once_in(odds)) {
            return Mood::Honest;
        }
        self.network.count_fault();
        if mood.hides_orphans() {
            self.stored().hides_orphans = true;
        }
        mood
    }

    fn put(self: &Arc<Self>, key: &ObjectKey, bytes: &Bytes) -> Result<Put, BackendErrorKind> {
        let mood = self.met(|mood| {
            !matches!(
                mood,
                Mood::Honest | Mood::KeepsDeleted | Mood::ReadsStale | Mood::ListsStale
            )
        });
        let now = self.network.now_unix_s();
        let mut stored = self.stored();
        stored.inspect(key, bytes);
        stored.sent.insert(key.clone(), bytes.clone());
        match mood {
            Mood::Unavailable(kind) | Mood::FailsEffects(kind) => Err(kind),
            Mood::LosesPuts => Ok(Put::Created),
            Mood::TearsPuts => {
                stored.scarred |= !is_share(key);
                Ok(stored.create(key, bytes.slice(..bytes.len() / 2), now))
            }
            Mood::LosesAnswers(kind) => {
                stored.create(key, bytes.clone(), now);
                Err(kind)
            }
            Mood::DeliversTwice => {
                self.deliver_late(key, bytes);
                Ok(stored.create(key, bytes.clone(), now))
            }
            Mood::DeliversLate => {
                self.deliver_late(key, bytes);
                Err(BackendErrorKind::Timeout)
            }
            _ => Ok(stored.create(key, bytes.clone(), now)),
        }
    }

    fn deliver_late(self: &Arc<Self>, key: &ObjectKey, bytes: &Bytes) {
        let (backend, key, bytes) = (Arc::clone(self), key.clone(), bytes.clone());
        tokio::spawn(async move {
            backend.network.pause(LATE_MS).await;
            let now = backend.network.now_unix_s();
            // It meets whatever is under way by now.
            backend.network.count_fault();
            backend.stored().create(&key, bytes, now);
        });
    }

    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendErrorKind> {
        let mood = self.met(|mood| matches!(mood, Mood::Unavailable(_) | Mood::ReadsStale));
        let stored = self.stored();
        let object = stored.view(mood)?.get(key);
        object
            .map(|bytes| slice(bytes, range))
            .ok_or(BackendErrorKind::NotFound)
    }

    fn page(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendErrorKind> {
        let mood = self.met(|mood| matches!(mood, Mood::Unavailable(_) | Mood::ListsStale));
        let stored = self.stored();
        let mut keys = stored
            .view(mood)?
            .keys()
            .filter(|key| key.as_str().starts_with(prefix))
            .filter(|key| cursor.is_none_or(|last| key.as_str() > last));
        let page: Vec<ObjectKey> = keys.by_ref().take(PAGE_KEY_COUNT).cloned().collect();
        let next = keys.next().and(page.last()).map(ToString::to_string);
        Ok(ListPage { keys: page, next })
    }

    fn remove(&self, keys: &[ObjectKey]) -> Result<(), BackendErrorKind> {
        for key in keys {
            let mood = self.met(|mood| {
                matches!(
                    mood,
                    Mood::Unavailable(_)
                        | Mood::FailsEffects(_)
                        | Mood::LosesAnswers(_)
                        | Mood::KeepsDeleted
                )
            });
            let mut stored = self.stored();
            match mood {
                Mood::Unavailable(kind) | Mood::FailsEffects(kind) => return Err(kind),
                Mood::KeepsDeleted => {}
                Mood::LosesAnswers(kind) => {
                    stored.forget(key);
                    return Err(kind);
                }
                _ => stored.forget(key),
            }
        }
        Ok(())
    }
}

impl Stored {
    fn view(&self, mood: Mood) -> Result<&BTreeMap<ObjectKey, Bytes>, BackendErrorKind> {
        match mood {
            Mood::Unavailable(kind) => Err(kind),
            Mood::ReadsStale | Mood::ListsStale => Ok(&self.before),
            _ => Ok(&self.objects),
        }
    }

    fn create(&mut self, key: &ObjectKey, bytes: Bytes, now_unix_s: u64) -> Put {
        if self.objects.contains_key(key) {
            return Put::AlreadyExists;
        }
        self.changed_unix_s.insert(key.clone(), now_unix_s);
        if key.as_str().ends_with("/id")
            && let Some((uid, again)) = bytes.split_first_chunk()
            && again == uid
        {
            self.identities.push(BackendUid(*uid));
        }
        self.objects.insert(key.clone(), bytes);
        Put::Created
    }

    fn forget(&mut self, key: &ObjectKey) {
        let Some(bytes) = self.objects.remove(key) else {
            return;
        };
        if self.past.len() == PAST_COUNT_MAX {
            self.past.remove(0);
        }
        self.past.push(bytes);
    }

    /// Looks at what is about to be stored as a curious backend would.
    fn inspect(&mut self, key: &ObjectKey, bytes: &Bytes) {
        if self.needles.found_in(bytes) {
            self.leak = Some(format!("{key} shows a part of a payload"));
        }
        let is_segment = is_share(key) && !key.as_str().ends_with("/index");
        let Some(salt) = bytes.first_chunk::<16>().filter(|_| is_segment) else {
            return;
        };
        let dealt = self
            .dealt
            .entry(key.clone())
            .or_insert_with(|| bytes.clone());
        if self.forged {
            *dealt = bytes.clone();
        } else if dealt != bytes {
            self.leak = Some(format!("{key} was sent with other bytes than before"));
        }
        let first = self.salts.entry(*salt).or_insert_with(|| key.clone());
        // A repair writes the very object under the next attempt too.
        if first != key && self.dealt.get(first) != Some(bytes) {
            self.leak = Some(format!("{key} was dealt from the randomness of {first}"));
        }
    }
}

/// A backend as one run of a client reaches it: whatever the client had under way when it stopped
/// is never heard of again.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) backend: Arc<SimulatedBackend>,
    pub(super) alive: Arc<AtomicBool>,
    /// While the client sleeps, nothing comes through.
    pub(super) asleep: Arc<AtomicBool>,
}

impl Wire {
    async fn call<T>(
        &self,
        call: &str,
        key: &str,
        act: impl FnOnce(&Arc<SimulatedBackend>) -> Result<T, BackendErrorKind>,
    ) -> Result<T, BackendError> {
        self.travel().await;
        let backend = &self.backend;
        let result = act(backend).map_err(|kind| BackendError::new(kind, &backend.id));
        let answer = result.as_ref().map_or_else(|e| e.kind.code(), |_| "ok");
        backend.network.record(backend.index, call, key, answer);
        self.travel().await;
        result
    }

    async fn travel(&self) {
        self.backend.network.pause(0).await;
        while self.asleep.load(Ordering::Relaxed) {
            self.backend.network.pause(NAP_MS).await;
        }
        if !self.alive.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageBackend for Wire {
    fn id(&self) -> &str {
        &self.backend.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, true)
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        self.call("put", key.as_str(), |at| at.put(key, &bytes))
            .await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.call("get", key.as_str(), |at| at.get(key, range))
            .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.call("head", key.as_str(), |at| {
            let len_bytes = at.get(key, 0..u64::MAX)?.len() as u64;
            let stored = at.stored();
            let changed = stored.changed_unix_s.get(key).copied().unwrap_or_default();
            let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(changed));
            Ok(ObjectMeta {
                len_bytes,
                modified,
            })
        })
        .await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.call("list", prefix, |at| at.page(prefix, cursor))
            .await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        let first = keys.first().map_or("", ObjectKey::as_str);
        self.call("delete", first, |at| at.remove(keys)).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        Ok(Erasure::Erases)
    }
}
