//! A small world: backends in memory, one owner, and the bytes that they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use xstore::catalogue::{Catalogue, MemoryCatalogue};
use xstore::clock::FixedClock;
use xstore::ids::DeviceId;
use xstore::journal::Journal;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::memory::MemoryBackend;
use xstore::placement::FailureDomain;
use xstore::testing::{Fault, FaultyBackend, Plan};
use xstore::{
    AccessStructure, BackendErrorKind, Brake, Error, GcOptions, GetOptions, GetReport, Manifest,
    Mode, ObjectKey, Padding, PutOptions, Receipt, Store, nothing_more,
};

/// Least chunk there is, so that small objects have several.
pub(crate) const CHUNK: usize = 64 << 10;

/// Both ways in which a payload is protected.
pub(crate) const MODES: [Mode; 2] = [Mode::Perfect, Mode::Short];

pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) struct World {
    pub(crate) access: AccessStructure,
    pub(crate) padding: Padding,
    pub(crate) mode: Mode,
    pub(crate) plans: Vec<Plan>,
    pub(crate) backends: Vec<Arc<FaultyBackend<MemoryBackend>>>,
    /// Stands in front of all backends at once.
    pub(crate) together: Plan,
    pub(crate) keys: Arc<OwnerKeys>,
    pub(crate) catalogue: Arc<dyn Catalogue>,
    pub(crate) journal: tempfile::TempDir,
    pub(crate) now: u64,
}

impl World {
    pub(crate) fn new(k: u8, n: u8) -> Self {
        Self::with_spares(k, n, 0)
    }

    /// A world with so many backends more than shares.
    pub(crate) fn with_spares(k: u8, n: u8, spares: u8) -> Self {
        let plans: Vec<Plan> = (0..n + spares).map(|_| Plan::new([])).collect();
        let backend = |(i, plan): (usize, &Plan)| {
            let memory = MemoryBackend::new(format!("site-{i}"));
            Arc::new(FaultyBackend::new(memory, plan.clone()))
        };
        Self {
            access: AccessStructure::try_new(k, n).unwrap(),
            padding: Padding::None,
            mode: Mode::Perfect,
            backends: plans.iter().enumerate().map(backend).collect(),
            plans,
            together: Plan::default(),
            keys: Arc::new(OwnerKeys::derive(&RootKey::from_bytes([7; 32]))),
            catalogue: Arc::new(MemoryCatalogue::default()),
            journal: scratch(),
            now: NOW,
        }
    }

    /// The same world, whose puts are in another mode.
    pub(crate) fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Whoever has these keys, with a memory and a journal of their own, at the same backends.
    pub(crate) fn another_client(&self, keys: &Arc<OwnerKeys>) -> Self {
        Self {
            access: self.access,
            padding: self.padding,
            mode: self.mode,
            plans: self.plans.clone(),
            backends: self.backends.clone(),
            together: self.together.clone(),
            keys: Arc::clone(keys),
            catalogue: Arc::new(MemoryCatalogue::default()),
            journal: scratch(),
            now: self.now,
        }
    }

    /// The store over all backends.
    pub(crate) fn store(&self) -> Store {
        let all: Vec<usize> = (0..self.backends.len()).collect();
        self.store_of(&all, Some(self.access))
    }

    /// A store that reads from some of the backends.
    pub(crate) fn reader(&self, of: &[usize]) -> Store {
        self.store_of(of, None)
    }

    fn store_of(&self, of: &[usize], access: Option<AccessStructure>) -> Store {
        let mut builder = Store::builder()
            .chunk_len(u32::try_from(CHUNK).unwrap())
            .padding(self.padding)
            .keys(Arc::clone(&self.keys))
            .catalogue(Arc::clone(&self.catalogue))
            .device(DeviceId([1; 16]))
            .journal(Journal::new(self.journal.path()))
            .clock(Arc::new(FixedClock(self.now)));
        for &i in of {
            let backend = FaultyBackend::new(Arc::clone(&self.backends[i]), self.together.clone());
            builder = builder.backend(Arc::new(backend), FailureDomain::default());
        }
        match access {
            Some(access) => builder.threshold(access),
            None => builder,
        }
        .build()
        .unwrap()
    }

    pub(crate) async fn put(&self, payload: &[u8]) -> Receipt {
        self.try_put(payload, PutOptions::default()).await.unwrap()
    }

    pub(crate) async fn put_named(&self, name: &str, payload: &[u8]) -> Receipt {
        let mut options = PutOptions::default();
        options.name = Some(name.into());
        self.try_put(payload, options).await.unwrap()
    }

    pub(crate) async fn try_put(
        &self,
        mut payload: &[u8],
        mut options: PutOptions,
    ) -> Result<Receipt, Error> {
        options.mode = self.mode;
        self.store()
            .put(&mut payload, options, &mut nothing_more)
            .await
    }

    /// A collection by the clock of the backends, whatever it deletes.
    pub(crate) async fn collect(&self) -> Result<(), Error> {
        let mut builder = Store::builder()
            .threshold(self.access)
            .keys(Arc::clone(&self.keys));
        for backend in &self.backends {
            builder = builder.backend(Arc::clone(backend) as _, FailureDomain::default());
        }
        let mut options = GcOptions::default();
        options.brake = Brake::Lifted;
        builder.build()?.gc(&options).await.map(|_| ())
    }

    /// From now on a backend does not answer.
    pub(crate) fn fail(&self, at: usize) {
        self.plans[at].set([Fault::FailCalls {
            calls: 0..u64::MAX,
            kind: BackendErrorKind::Unavailable,
        }]);
    }

    /// All backends answer again.
    pub(crate) fn heal(&self) {
        self.plans.iter().for_each(|plan| plan.set([]));
        self.together.set([]);
    }

    /// Every object at one backend, as it is stored.
    pub(crate) fn objects(&self, at: usize) -> BTreeMap<ObjectKey, Bytes> {
        self.backends[at].inner().snapshot()
    }

    /// Names of share objects (segments and indexes) at all backends.
    pub(crate) fn share_names(&self) -> Vec<ObjectKey> {
        let names = (0..self.backends.len()).flat_map(|at| self.objects(at).into_keys());
        names.filter(|key| key.as_str().contains("/s/")).collect()
    }

    /// The only segment object of one share.
    pub(crate) fn segment(&self, at: usize) -> (ObjectKey, Bytes) {
        let mut segments = self
            .objects(at)
            .into_iter()
            .filter(|(key, _)| key.as_str().ends_with("/0/0"));
        let only = segments.next().unwrap();
        assert!(segments.next().is_none(), "the object has one segment");
        only
    }

    pub(crate) fn replace(&self, at: usize, key: &ObjectKey, bytes: impl Into<Bytes>) {
        self.backends[at].inner().replace(key, bytes.into());
    }

    pub(crate) fn remove(&self, at: usize, key: &ObjectKey) {
        self.backends[at].inner().remove(key);
    }
}

/// Bytes of the record of a full chunk.
pub(crate) fn record_len(manifest: &Manifest) -> usize {
    manifest.body().geometry().unwrap().record_len(0)
}

pub(crate) async fn get(store: &Store, manifest: &Manifest) -> Result<(Vec<u8>, GetReport), Error> {
    let mut out = Vec::new();
    let report = store
        .get(manifest, &mut out, &GetOptions::default())
        .await?;
    Ok((out, report))
}

/// A folder for a journal, in memory where there is a place for that: what is tested is not the disk.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Bytes that repeat nowhere, from a seed.
pub(crate) fn payload(len: usize, seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) | 1 << 40;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

/// Every subset of `0..n` with `k` members.
pub(crate) fn subsets(n: usize, k: usize) -> Vec<Vec<usize>> {
    (0u32..1 << n)
        .filter(|set| set.count_ones() as usize == k)
        .map(|set| (0..n).filter(|i| set >> i & 1 == 1).collect())
        .collect()
}
