//! `Staged`: an object under a temporary name, before it is published under its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use xstore::{BackendError, Put};

use super::{Tree, child};
use crate::layout::{STAGING_FOLDER, fresh_staging_name, is_staging_name};

/// What is older was left by a writer that is no more. No put takes so long.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a put that nobody waits for any more goes on to remove its file.
const REMOVAL_TIME: Duration = Duration::from_secs(10);

/// A temporary file with all its bytes; removed when the put is over, or given up.
pub(super) struct Staged<T: Tree> {
    tree: Arc<T>,
    name: String,
    is_there: bool,
}

impl<T: Tree> Staged<T> {
    pub(super) async fn write(tree: &Arc<T>, bytes: Bytes) -> Result<Self, BackendError> {
        // Before the first byte is sent: a put may be given up at any point.
        let mut staged = Self {
            tree: Arc::clone(tree),
            name: fresh_staging_name(),
            is_there: true,
        };
        let written = tree.write(&staged.path(), bytes).await;
        staged.is_there = written.is_ok();
        written.map(|()| staged)
    }

    pub(super) async fn publish(&self, to: &str) -> Result<Put, BackendError> {
        self.tree.publish(&self.path(), to).await
    }

    /// Removes what publishing left, which does not matter to the object.
    pub(super) async fn remove(mut self) {
        let _ = self.tree.remove(&self.path()).await;
        self.is_there = false;
    }

    /// Removes what writers left behind that were interrupted for good. The file just written tells
    /// the time by the server's clock. What cannot be removed costs space and does no harm, so there
    /// is no error.
    pub(super) async fn sweep_older(&self) {
        let Ok(items) = self.tree.items(STAGING_FOLDER).await else {
            return;
        };
        let own = items.iter().find(|item| item.name == self.name);
        let Some(now) = own.and_then(|item| item.modified) else {
            return;
        };
        for item in &items {
            let age = item.modified.and_then(|then| now.duration_since(then).ok());
            if is_staging_name(&item.name) && age.is_some_and(|age| age > LEFT_BEHIND) {
                let _ = self.tree.remove(&child(STAGING_FOLDER, &item.name)).await;
            }
        }
    }

    fn path(&self) -> String {
        child(STAGING_FOLDER, &self.name)
    }
}

impl<T: Tree> Drop for Staged<T> {
    fn drop(&mut self) {
        if !self.is_there {
            return;
        }
        // Without a runtime nothing can be asked, and the file is left to a sweep.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (tree, path) = (Arc::clone(&self.tree), self.path());
            runtime.spawn(async move {
                let _ = tokio::time::timeout(REMOVAL_TIME, tree.remove(&path)).await;
            });
        }
    }
}
