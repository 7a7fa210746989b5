//! A share that travels from provider to provider and home again: the same bytes everywhere, and
//! whoever moves it never sees another one.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use xstore::entropy::OsEntropy;
use xstore::placement::FailureDomain;
use xstore::{
    AccessStructure, BackendError, Capabilities, Erasure, GetOptions, Home, ListPage, Manifest,
    MigrateOptions, ObjectKey, ObjectMeta, Put, PutOptions, ShareSource, StorageBackend, Store,
    nothing_more,
};
use xstore_backends::credential::Variables;
use xstore_backends::{Source, connect};

use crate::world::Server;

/// Where the share goes from its folder, in this order, as far as there are such servers; then home.
const STOPS: [&str; 4] = ["moto", "radosgw", "azurite", "gcs"];

/// Folders of the three shares; the first one's travels.
const FOLDERS: [&str; 3] = ["home", "second", "third"];

const CHUNK_LEN_BYTES: u32 = 64 << 10;

/// More than one segment, so that the index travels too.
const LEN_BYTES: usize = 20 << 20;

/// A backend that remembers which shares were read from it.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn StorageBackend>,
    read: Mutex<BTreeSet<ObjectKey>>,
}

impl Watched {
    fn new(inner: Arc<dyn StorageBackend>) -> Arc<Self> {
        let read = Mutex::default();
        Arc::new(Self { inner, read })
    }

    /// What was read of shares since the last time.
    fn take_read(&self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut self.read.lock().unwrap())
    }

    /// Bytes of all that is stored here of shares, in the order of their names below the prefixes.
    async fn shares(&self) -> Vec<(String, Bytes)> {
        let (mut shares, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = self.inner.list("", cursor.as_deref()).await.unwrap();
            for key in page.keys.iter().filter(|key| is_share(key)) {
                let name = key.as_str().splitn(4, '/').nth(3).unwrap().to_owned();
                let bytes = self.inner.get_range(key, 0..u64::MAX).await.unwrap();
                shares.push((name, bytes));
            }
            cursor = page.next;
            if cursor.is_none() {
                shares.sort();
                return shares;
            }
        }
    }
}

/// Names of shares are `tag/s/prefix/...`.
fn is_share(key: &ObjectKey) -> bool {
    key.as_str().split('/').nth(1) == Some("s")
}

#[async_trait]
impl StorageBackend for Watched {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        self.inner.put_new(key, bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        if is_share(key) {
            self.read.lock().unwrap().insert(key.clone());
        }
        self.inner.get_range(key, range).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.inner.list(prefix, cursor).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        self.inner.delete(keys).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        self.inner.erasure().await
    }
}

/// The folders, and behind them the stops.
struct Ring {
    folder: TempDir,
    backends: Vec<Arc<Watched>>,
    /// Some run as long as they are kept.
    _servers: Vec<Server>,
}

impl Ring {
    async fn new(test: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut backends = Vec::new();
        for name in FOLDERS {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            let url = format!("file://{}", path.display());
            let nobody = Source::Fixed(Variables::default());
            backends.push(Watched::new(connect(name, &url, &nobody).unwrap()));
        }
        let mut servers = Vec::new();
        for name in STOPS {
            if let Some(mut server) = Server::find(test, name).await {
                // What others left in the bucket is none of ours.
                let own = folder.path().file_name().unwrap().to_str().unwrap();
                server.url = server.url.replacen("/shares", &format!("/shares/{own}"), 1);
                backends.push(Watched::new(server.backend_called(name)));
                servers.push(server);
            }
        }
        Self {
            folder,
            backends,
            _servers: servers,
        }
    }

    fn store(&self, of: &[usize], access: Option<AccessStructure>) -> Store {
        let home = Home::new(&self.folder.path().join("xgene"));
        let (keys, _) = home.keys_or_new(&OsEntropy).unwrap();
        let mut builder = Store::builder()
            .chunk_len(CHUNK_LEN_BYTES)
            .keys(Arc::new(keys))
            .device(home.device(&OsEntropy).unwrap())
            .catalogue(Arc::new(home.catalogue()))
            .journal(home.journal());
        for &at in of {
            let backend = Arc::clone(&self.backends[at]) as _;
            builder = builder.backend(backend, FailureDomain::default());
        }
        match access {
            Some(access) => builder.threshold(access),
            None => builder,
        }
        .build()
        .unwrap()
    }

    /// Moves the share that is at backend `from`, and sees that no other one was looked at.
    async fn migrate(&self, manifest: &Manifest, from: usize, to: usize) -> Manifest {
        let all: Vec<usize> = (0..self.backends.len()).collect();
        let access = AccessStructure::try_new(2, 3).unwrap();
        let store = self.store(&all, Some(access));
        let mut options = MigrateOptions::default();
        options.source = ShareSource::Holder;
        self.backends.iter().for_each(|at| drop(at.take_read()));
        let (label, target) = (self.backends[from].id(), self.backends[to].id());
        let report = store.migrate(manifest, label, target, &options).await;
        let report = report.unwrap();
        assert!(report.pending.is_empty(), "{label}: {:?}", report.pending);
        for (at, backend) in self.backends.iter().enumerate() {
            let read = backend.take_read();
            if at == from {
                assert!(!read.is_empty(), "the share was read somewhere else");
            } else if at != to {
                assert!(read.is_empty(), "{}: {read:?}", backend.id());
            }
        }
        report.manifest
    }

    /// What two backends give.
    async fn get(&self, manifest: &Manifest, of: [usize; 2]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let store = self.store(&of, None);
        let options = GetOptions::default();
        store.get(manifest, &mut bytes, &options).await.unwrap();
        bytes
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_share_goes_round_all_providers_and_comes_home() {
    let ring = Ring::new("a_share_goes_round_all_providers_and_comes_home").await;
    let data: Vec<u8> = (0..LEN_BYTES)
        .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[4])
        .collect();
    let access = AccessStructure::try_new(2, 3).unwrap();
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    let store = ring.store(&[0, 1, 2], Some(access));
    let receipt = store.put(&mut &*data, options, &mut nothing_more).await;
    let mut manifest = receipt.unwrap().manifest;
    let share = ring.backends[0].shares().await;
    assert_eq!(share.len(), 3, "two segments and an index");

    let stops = FOLDERS.len()..ring.backends.len();
    let mut at = 0;
    for next in stops.chain([0]) {
        let (from, to) = (&ring.backends[at], &ring.backends[next]);
        manifest = ring.migrate(&manifest, at, next).await;
        assert!(from.shares().await.is_empty(), "left at {}", from.id());
        assert!(to.shares().await == share, "other bytes at {}", to.id());
        for other in [1, 2] {
            let restored = ring.get(&manifest, [next, other]).await;
            assert!(restored == data, "from {} and {other}", to.id());
        }
        at = next;
    }
}
