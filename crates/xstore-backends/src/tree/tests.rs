//! The same over a tree in memory, for what no server shows at will.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use xstore::testing::conformance;

use super::*;
use crate::layout::fresh_staging_name;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What the clock of this server shows, always.
fn now() -> SystemTime {
    UNIX_EPOCH + 1000 * DAY
}

#[derive(Debug, Clone)]
enum Node {
    Folder,
    File(Bytes, SystemTime),
    Link,
}

/// Paths, in order; the root is the empty one, and may be missing.
#[derive(Debug, Default)]
struct Memory {
    nodes: Mutex<BTreeMap<String, Node>>,
    /// Whether writes come to no end.
    hangs: AtomicBool,
}

impl Memory {
    fn new() -> Self {
        let memory = Self::default();
        memory.set("", Node::Folder);
        memory
    }

    fn set(&self, path: &str, node: Node) {
        self.nodes.lock().unwrap().insert(path.to_owned(), node);
    }

    fn has(&self, path: &str) -> bool {
        self.nodes.lock().unwrap().contains_key(path)
    }

    fn node(&self, path: &str) -> Result<Node, BackendError> {
        let nodes = self.nodes.lock().unwrap();
        nodes.get(path).cloned().ok_or_else(missing)
    }

    /// The folder that holds `path` is there.
    fn check_folder(&self, path: &str) -> Result<(), BackendError> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.node(folder).map(drop)
    }
}

fn missing() -> BackendError {
    BackendError::new(BackendErrorKind::NotFound, "m")
}

fn item(name: &str, node: &Node) -> Item {
    let (kind, len_bytes, modified) = match node {
        Node::Folder => (ItemKind::Folder, 0, None),
        Node::File(bytes, at) => (ItemKind::File, bytes.len() as u64, Some(*at)),
        Node::Link => (ItemKind::Other, 0, None),
    };
    Item {
        name: name.to_owned(),
        kind,
        len_bytes,
        modified,
    }
}

#[async_trait]
impl Tree for Memory {
    fn id(&self) -> &str {
        "m"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, false)
    }

    async fn items(&self, folder: &str) -> Result<Vec<Item>, BackendError> {
        self.node(folder)?;
        let nodes = self.nodes.lock().unwrap();
        let named = nodes.iter().filter(|(path, _)| !path.is_empty());
        let below = named.filter_map(|(path, node)| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            (parent == folder).then(|| item(name, node))
        });
        Ok(below.collect())
    }

    async fn item(&self, path: &str) -> Result<Item, BackendError> {
        Ok(item(path, &self.node(path)?))
    }

    async fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, BackendError> {
        let Node::File(bytes, _) = self.node(path)? else {
            return Err(missing());
        };
        let at =
            |offset: u64| usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
        Ok(bytes.slice(at(range.start)..at(range.end)))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<(), BackendError> {
        self.check_folder(path)?;
        self.set(path, Node::File(bytes, now()));
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Put, BackendError> {
        tokio::task::yield_now().await;
        self.check_folder(to)?;
        let file = self.node(from)?;
        let mut nodes = self.nodes.lock().unwrap();
        if nodes.contains_key(to) {
            return Ok(Put::AlreadyExists);
        }
        nodes.insert(to.to_owned(), file);
        Ok(Put::Created)
    }

    async fn make_folder(&self, path: &str) -> Result<(), BackendError> {
        self.check_folder(path)?;
        self.set(path, Node::Folder);
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<(), BackendError> {
        let removed = self.nodes.lock().unwrap().remove(path);
        removed.map(drop).ok_or_else(missing)
    }

    async fn remove_if_empty(&self, path: &str) -> Result<bool, BackendError> {
        let mut nodes = self.nodes.lock().unwrap();
        let below = format!("{path}/");
        let is_empty = !nodes.keys().any(|name| name.starts_with(&below));
        if is_empty {
            nodes.remove(path).ok_or_else(missing)?;
        }
        Ok(is_empty)
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::try_new(name).unwrap()
}

/// On one thread, so that a check and what follows from it are one step in this tree.
#[tokio::test]
async fn it_conforms_and_leaves_nothing() {
    let objects = Arc::new(Objects::new(Memory::new()));
    let backend: Arc<dyn StorageBackend> = Arc::clone(&objects) as _;
    conformance::run_all(&backend).await.unwrap();
    let left: Vec<String> = objects.tree.nodes.lock().unwrap().keys().cloned().collect();
    assert_eq!(left, ["", STAGING_FOLDER]);
}

#[tokio::test]
async fn a_missing_root_is_no_missing_object() {
    let objects = Objects::new(Memory::default());
    let one = key("a/b");
    for error in [
        objects.head(&one).await.unwrap_err(),
        objects.get_range(&one, 0..1).await.unwrap_err(),
        objects.put_new(&one, Bytes::new()).await.unwrap_err(),
        objects.list("", None).await.unwrap_err(),
        objects.list("a/", None).await.unwrap_err(),
        objects
            .delete(std::slice::from_ref(&one))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind, BackendErrorKind::Unavailable);
        let told = error.source.unwrap().to_string();
        assert!(told.contains("root"), "{told}");
    }
    assert!(objects.tree.nodes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_first_put_sweeps_what_is_a_day_older() {
    let memory = Memory::new();
    memory.set(STAGING_FOLDER, Node::Folder);
    let at = |name: &str| child(STAGING_FOLDER, name);
    let (old, young) = (at(&fresh_staging_name()), at(&fresh_staging_name()));
    let long_ago = now() - DAY - Duration::from_secs(1);
    memory.set(&old, Node::File(Bytes::new(), long_ago));
    memory.set(&at("notes"), Node::File(Bytes::new(), long_ago));
    memory.set(&young, Node::File(Bytes::new(), now() - DAY));
    let objects = Objects::new(memory);
    objects.put_new(&key("a"), Bytes::new()).await.unwrap();
    assert!(!objects.tree.has(&old));
    assert!(objects.tree.has(&young) && objects.tree.has(&at("notes")));
    objects.tree.set(&old, Node::File(Bytes::new(), long_ago));
    objects.put_new(&key("b"), Bytes::new()).await.unwrap();
    assert!(objects.tree.has(&old), "it looks once");
}

#[tokio::test]
async fn a_put_that_is_given_up_is_removed() {
    let memory = Memory::new();
    memory.set(STAGING_FOLDER, Node::Folder);
    memory.hangs.store(true, Ordering::Relaxed);
    let objects = Objects::new(memory);
    let name = key("a");
    let mut put = Box::pin(objects.put_new(&name, Bytes::new()));
    assert!(futures_util::poll!(&mut put).is_pending());
    assert_eq!(objects.tree.nodes.lock().unwrap().len(), 3);
    drop(put);
    tokio::task::yield_now().await;
    assert_eq!(objects.tree.nodes.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_stands_in_the_way_of_keys_is_not_passed_over() {
    let objects = Objects::new(Memory::new());
    for name in ["a.txt", "README", "note", ".tmp", "x.obj.part"] {
        objects.tree.set(name, Node::File(Bytes::new(), now()));
    }
    assert!(objects.list("", None).await.unwrap().keys.is_empty());
    for (name, node) in [
        ("a", Node::Link),
        ("a.obj", Node::Link),
        ("a.obj", Node::Folder),
    ] {
        objects.tree.set(name, node);
        let error = objects.list("", None).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable, "{name}");
        objects.tree.remove(name).await.unwrap();
    }
    objects.tree.set("a.obj", Node::Folder);
    let error = objects.head(&key("a")).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
}
