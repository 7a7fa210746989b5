//! `FsBackend`: objects as files below one folder, for local disks and mounted shares.
//!
//! The folder is opened once, and everything is reached from that handle one name at a time
//! without following a symbolic link, so neither a key nor a planted link leads out of it. An
//! object is written under a temporary name, synced, and then linked to its own: the link is what
//! creates it, in one step and only if the name is free.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use xstore::{
    BackendError, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put, StorageBackend,
};

mod buffers;
mod delete;
mod error;
mod list;
mod read;
mod root;
mod staging;
mod sync;
mod write;

use buffers::Buffers;
use error::FsError;
use root::Root;

pub use crate::layout::ObjectPath;

/// Objects below one folder.
///
/// Files have mode 0600 and folders 0700. A successful `put_new` has synced the file and every
/// folder on its path.
#[derive(Debug)]
pub struct FsBackend {
    id: String,
    root: Arc<Root>,
    buffers: Buffers,
}

impl FsBackend {
    /// Opens the folder `root` and removes what a crash left half-written there.
    ///
    /// The folder is never created: an unmounted disk must not be mistaken for an empty one.
    /// This makes a few blocking calls to the file system.
    ///
    /// # Errors
    /// `Unavailable` when there is no folder at `root`; `AuthFailed` when it may not be opened, or
    /// when everybody may delete or replace files in it (world-writable without the sticky bit). A
    /// folder that is only readable opens, and every put answers `AuthFailed`.
    pub fn open(id: &str, root: &Path) -> Result<Self, BackendError> {
        let root = Root::open(root).map_err(|error| error.of_backend(id))?;
        staging::sweep(&root);
        Ok(Self {
            id: id.to_owned(),
            root: Arc::new(root),
            buffers: Buffers::default(),
        })
    }

    /// Device and inode of the root: two backends with the same pair are one folder, and must not
    /// count as two places.
    #[must_use]
    pub fn root_identity(&self) -> (u64, u64) {
        self.root.identity()
    }

    /// Runs `operation` where it may block.
    ///
    /// A caller that stops waiting (a time-out, say) does not stop it: it ends on its thread, so
    /// an object is whole or absent then too, and no temporary file is left.
    async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Root) -> Result<T, FsError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let root = Arc::clone(&self.root);
        let task = tokio::task::spawn_blocking(move || match operation(&root) {
            // Below a root that is gone everything is missing, but nothing is known to be absent.
            Err(error) if error.is_missing() => root.check_present().and(Err(error)),
            outcome => outcome,
        });
        let outcome = task.await.unwrap_or_else(|why| Err(FsError::Stopped(why)));
        outcome.map_err(|error| error.of_backend(&self.id))
    }
}

#[async_trait]
impl StorageBackend for FsBackend {
    fn id(&self) -> &str {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, true)
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        let path = ObjectPath::new(key);
        self.run(move |root| write::put_new(root, &path, &bytes))
            .await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        let path = ObjectPath::new(key);
        let buffers = self.buffers.clone();
        self.run(move |root| read::get_range(root, &path, range, &buffers))
            .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        let path = ObjectPath::new(key);
        self.run(move |root| read::head(root, &path)).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        let (prefix, cursor) = (prefix.to_owned(), cursor.map(str::to_owned));
        self.run(move |root| list::list(root, &prefix, cursor.as_deref()))
            .await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        let paths: Vec<_> = keys.iter().map(ObjectPath::new).collect();
        self.run(move |root| delete::delete(root, &paths)).await
    }

    /// A snapshot of the file system below is out of sight.
    async fn erasure(&self) -> Result<Erasure, BackendError> {
        Ok(Erasure::Erases)
    }
}
