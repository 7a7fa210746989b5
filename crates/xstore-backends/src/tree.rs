//! `Objects`: a server that keeps files in folders as a backend, whatever it is asked with.
//!
//! Keys become paths as on a local disk. An object is staged under a name that no key has and then
//! published under its own, in one step of the server that fails when the name is taken: nobody sees
//! half of it, and of two that create one name one wins. What a protocol has for these steps is its
//! [`Tree`].

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use xstore::{
    BackendError, BackendErrorKind, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put,
    StorageBackend,
};

use crate::layout::{ObjectPath, STAGING_FOLDER};
pub(crate) use crate::objects::OBJECT_LEN_BYTES_MAX;

mod list;
mod staging;
#[cfg(test)]
mod tests;

use staging::Staged;

/// How often folders are made again that a concurrent delete removed because they were empty.
const ATTEMPT_COUNT_MAX: usize = 100;

/// Deletions under way at once.
const DELETIONS: usize = 8;

/// What stands under one name of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) kind: ItemKind,
    pub(crate) len_bytes: u64,
    /// By the server's clock.
    pub(crate) modified: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemKind {
    File,
    Folder,
    /// A link, a pipe and so on.
    Other,
}

/// Files and folders below one root, as a protocol reaches them.
///
/// Paths are names joined by single slashes, and the empty path is the root. `NotFound` is the answer
/// where a name on the path is missing.
#[async_trait]
pub(crate) trait Tree: fmt::Debug + Send + Sync + 'static {
    /// Label of the backend.
    fn id(&self) -> &str;

    /// What follows from the steps of this protocol.
    fn capabilities(&self) -> Capabilities;

    /// All items of a folder, in any order.
    async fn items(&self, folder: &str) -> Result<Vec<Item>, BackendError>;

    /// What stands at `path`.
    async fn item(&self, path: &str) -> Result<Item, BackendError>;

    /// Reads the half-open range of a file; fewer bytes when it ends earlier, none when it ends
    /// before the range starts. The range is not empty.
    async fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, BackendError>;

    /// Writes a new file, and syncs it if that can be asked for. What fails leaves nothing, as far as
    /// the server still answers.
    async fn write(&self, path: &str, bytes: Bytes) -> Result<(), BackendError>;

    /// Gives the file at `from` the free name `to`. It may keep the old one.
    async fn publish(&self, from: &str, to: &str) -> Result<Put, BackendError>;

    /// Makes a folder; that it is there already is well.
    async fn make_folder(&self, path: &str) -> Result<(), BackendError>;

    /// Removes a file.
    async fn remove(&self, path: &str) -> Result<(), BackendError>;

    /// Removes a folder if it is empty, in one step; says whether it did.
    async fn remove_if_empty(&self, path: &str) -> Result<bool, BackendError>;
}

/// Objects in a tree.
#[derive(Debug)]
pub(crate) struct Objects<T> {
    tree: Arc<T>,
    /// Whether what earlier writers left behind was looked for.
    is_swept: AtomicBool,
}

impl<T: Tree> Objects<T> {
    pub(crate) fn new(tree: T) -> Self {
        Self {
            tree: Arc::new(tree),
            is_swept: AtomicBool::new(false),
        }
    }

    /// The same call, but a missing root is no missing object.
    async fn within_root<R>(
        &self,
        call: impl Future<Output = Result<R, BackendError>>,
    ) -> Result<R, BackendError> {
        match call.await {
            Err(error) if is_missing(&error) => self.check_present().await.and(Err(error)),
            outcome => outcome,
        }
    }

    /// The root is never made: a disk that is not mounted must not be mistaken for an empty one.
    async fn check_present(&self) -> Result<(), BackendError> {
        match self.tree.item("").await {
            Ok(root) if root.kind == ItemKind::Folder => Ok(()),
            Ok(_) => Err(self.trouble("the root is not a folder")),
            Err(error) if is_missing(&error) => {
                let why = "the root folder does not exist; it is never created, make it first";
                Err(self.trouble(why))
            }
            Err(error) => Err(error),
        }
    }

    async fn publish(&self, staged: &Staged<T>, path: &ObjectPath) -> Result<Put, BackendError> {
        let to = joined(&path.folders, &path.file);
        for _ in 0..ATTEMPT_COUNT_MAX {
            match staged.publish(&to).await {
                Err(error) if is_missing(&error) => self.make_folders(&path.folders).await?,
                outcome => return outcome,
            }
        }
        Err(self.trouble("the folders of the object vanish as often as they are made"))
    }

    /// Makes what is missing of the folders, outermost first.
    async fn make_folders(&self, folders: &[String]) -> Result<(), BackendError> {
        let mut path = String::new();
        for folder in folders {
            path = child(&path, folder);
            match self.tree.make_folder(&path).await {
                // Another deleted the one above, or the root is gone.
                Err(error) if is_missing(&error) => return self.check_present().await,
                outcome => outcome?,
            }
        }
        Ok(())
    }

    async fn stage(&self, bytes: Bytes) -> Result<Staged<T>, BackendError> {
        match Staged::write(&self.tree, bytes.clone()).await {
            Err(error) if is_missing(&error) => {
                self.make_folders(&[STAGING_FOLDER.to_owned()]).await?;
                Staged::write(&self.tree, bytes).await
            }
            outcome => outcome,
        }
    }

    async fn delete_one(&self, path: &ObjectPath) -> Result<(), BackendError> {
        let removed = self.tree.remove(&joined(&path.folders, &path.file)).await;
        match removed {
            // What is missing counts as deleted only while the root is there.
            Err(error) if is_missing(&error) => self.check_present().await,
            Err(error) => Err(error),
            Ok(()) => self.remove_empty(&path.folders).await,
        }
    }

    /// Removes the folders that held an object from the inside out, until one is in use.
    async fn remove_empty(&self, folders: &[String]) -> Result<(), BackendError> {
        for depth in (1..=folders.len()).rev() {
            match self.tree.remove_if_empty(&folders[..depth].join("/")).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if is_missing(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn trouble(&self, why: &'static str) -> BackendError {
        BackendError::with_source(BackendErrorKind::Unavailable, self.tree.id(), why)
    }
}

fn is_missing(error: &BackendError) -> bool {
    error.kind == BackendErrorKind::NotFound
}

fn child(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        return name.to_owned();
    }
    [folder, "/", name].concat()
}

fn joined(folders: &[String], file: &str) -> String {
    child(&folders.join("/"), file)
}

#[async_trait]
impl<T: Tree> StorageBackend for Objects<T> {
    fn id(&self) -> &str {
        self.tree.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.tree.capabilities()
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        let staged = self.stage(bytes).await?;
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            staged.sweep_older().await;
        }
        let put = self.publish(&staged, &ObjectPath::new(key)).await;
        staged.remove().await;
        put
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        if range.is_empty() {
            return self.head(key).await.map(|_| Bytes::new());
        }
        let path = ObjectPath::new(key);
        let path = joined(&path.folders, &path.file);
        self.within_root(self.tree.read(&path, range)).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        let path = ObjectPath::new(key);
        let path = joined(&path.folders, &path.file);
        let item = self.within_root(self.tree.item(&path)).await?;
        if item.kind != ItemKind::File {
            return Err(self.trouble("something that is no file has the name of an object"));
        }
        Ok(ObjectMeta {
            len_bytes: item.len_bytes,
            modified: item.modified,
        })
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        let page = list::page(&*self.tree, prefix, cursor).await?;
        if page.keys.is_empty() {
            self.check_present().await?;
        }
        Ok(page)
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        let paths: Vec<_> = keys.iter().map(ObjectPath::new).collect();
        let deleted = stream::iter(paths)
            .map(|path| async move { self.delete_one(&path).await })
            .buffer_unordered(DELETIONS);
        deleted.try_collect().await
    }

    /// A snapshot below, and a trash folder of the server's own, are out of sight.
    async fn erasure(&self) -> Result<Erasure, BackendError> {
        Ok(Erasure::Erases)
    }
}
