//! A store over backends that all have a plan of faults, and nothing drawn from the machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use xstore::catalogue::MemoryCatalogue;
use xstore::entropy::{Entropy, EntropyFailed};
use xstore::ids::{DeviceId, StoreTag};
use xstore::journal::Journal;
use xstore::keys::{OwnerKeys, RootKey};
use xstore::placement::FailureDomain;
use xstore::testing::{FaultyBackend, Plan};
use xstore::timeout::{Timeout, TimeoutOptions};
use xstore::{
    AccessStructure, Error, Manifest, ObjectKey, PutOptions, StorageBackend, Store, nothing_more,
};
use xstore_backends::{Source, connect};

/// What stores the bytes behind the faults.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ground {
    Memory,
    Folders,
}

pub(crate) type Site = FaultyBackend<Arc<dyn StorageBackend>>;

/// Everything that one backend holds.
pub(crate) type Objects = BTreeMap<ObjectKey, Bytes>;

pub(crate) const ROOT_KEY: [u8; 32] = [0xa7; 32];

pub(crate) struct World {
    pub(crate) access: AccessStructure,
    pub(crate) plans: Vec<Plan>,
    pub(crate) sites: Vec<Arc<Site>>,
    keys: Arc<OwnerKeys>,
    catalogue: Arc<MemoryCatalogue>,
    entropy: Arc<Sequence>,
    scratch: tempfile::TempDir,
}

impl World {
    /// One backend more than shares, so that a share can move.
    pub(crate) fn new(ground: Ground, k: u8, n: u8) -> Self {
        let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let scratch = scratch.unwrap();
        let plans: Vec<Plan> = (0..=n).map(|_| Plan::default()).collect();
        let site = |(at, plan): (usize, &Plan)| {
            let inner = backend(ground, &format!("site-{at}"), scratch.path());
            Arc::new(FaultyBackend::new(inner, plan.clone()))
        };
        Self {
            access: AccessStructure::try_new(k, n).unwrap(),
            sites: plans.iter().enumerate().map(site).collect(),
            plans,
            keys: Arc::new(OwnerKeys::derive(&RootKey::from_bytes(ROOT_KEY))),
            catalogue: Arc::default(),
            entropy: Arc::default(),
            scratch,
        }
    }

    pub(crate) fn store(&self) -> Store {
        let builder = Store::builder()
            .chunk_len(64 << 10)
            .threshold(self.access)
            .keys(Arc::clone(&self.keys))
            .catalogue(Arc::clone(&self.catalogue) as _)
            .entropy(Arc::clone(&self.entropy) as _)
            .device(DeviceId([1; 16]))
            .journal(Journal::new(&self.scratch.path().join("journal")));
        let builder = self.sites.iter().fold(builder, |builder, site| {
            let in_time = Timeout::new(Arc::clone(site), TimeoutOptions::default());
            builder.backend(Arc::new(in_time), FailureDomain::default())
        });
        builder.build().unwrap()
    }

    /// First part of all names.
    pub(crate) fn tag(&self) -> StoreTag {
        self.keys.store_tag()
    }

    pub(crate) async fn put(&self, mut payload: &[u8]) -> Result<Manifest, Error> {
        let mut options = PutOptions::default();
        options.name = Some("genome".into());
        let store = self.store();
        let receipt = store.put(&mut payload, options, &mut nothing_more).await?;
        Ok(receipt.manifest)
    }

    /// Everything at one backend, behind its faults.
    pub(crate) async fn objects(&self, at: usize) -> Objects {
        let inner = self.sites[at].inner();
        let mut objects = Objects::new();
        for key in inner.list("", None).await.unwrap().keys {
            let bytes = inner.get_range(&key, 0..u64::MAX).await.unwrap();
            objects.insert(key, bytes);
        }
        objects
    }

    /// Gives one backend other objects than it has.
    pub(crate) async fn replace(&self, at: usize, objects: Objects) {
        let inner = self.sites[at].inner();
        let there: Vec<ObjectKey> = self.objects(at).await.into_keys().collect();
        inner.delete(&there).await.unwrap();
        for (key, bytes) in objects {
            inner.put_new(&key, bytes).await.unwrap();
        }
    }
}

fn backend(ground: Ground, label: &str, scratch: &Path) -> Arc<dyn StorageBackend> {
    let url = match ground {
        Ground::Memory => "memory:".to_owned(),
        Ground::Folders => {
            let folder = scratch.join(label);
            std::fs::create_dir(&folder).unwrap();
            format!("file://{}", folder.display())
        }
    };
    connect(label, &url, &Source::default()).unwrap()
}

/// Bytes that repeat nowhere, and are the same in every run: so are the names made from them.
#[derive(Debug, Default)]
struct Sequence(Mutex<u64>);

impl Entropy for Sequence {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        let mut state = self.0.lock().unwrap();
        for byte in out {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
        Ok(())
    }
}
