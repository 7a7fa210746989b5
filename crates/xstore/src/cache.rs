//! `Cache`: answers of some backends, kept in memory, sealed, and never enough to read with.
//!
//! Objects are written once, so an answer stays true until its object is deleted. What must not
//! happen is that the cache becomes the one place where k shares lie together: [`Cache::over`] is
//! the only way to make one, and it stands before k - 1 of a store's backends, each of which holds
//! one share of a generation. What it holds is sealed under a key of its own that is wiped when the
//! cache ends, so that neither swap nor a dump of freed memory gives a share away.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use xorida_core::AccessStructure;

use crate::backend::{
    BackendError, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put, StorageBackend,
};
use crate::entropy::{Entropy, EntropyFailed};

mod seal;
mod shelf;
#[cfg(test)]
mod tests;

use seal::Seal;
use shelf::Shelf;

/// Answers of k - 1 backends of one store, up to a number of bytes.
///
/// A clone is the same cache.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    seal: Seal,
    shelf: Mutex<Shelf>,
}

/// What an answer answers: position of the backend, object, and start and end of the half-open range.
type Question = (usize, ObjectKey, u64, u64);

impl Cache {
    /// A cache of `capacity_bytes` before the first k - 1 of `backends`, and all of them in their
    /// order, with those k - 1 now answered for by the cache.
    ///
    /// `access` is that of the store. Where the backends hold objects of several thresholds, it must
    /// be the least of them: the bound holds for thresholds not below it.
    ///
    /// # Errors
    /// When no key can be drawn.
    pub fn over(
        backends: Vec<Arc<dyn StorageBackend>>,
        access: AccessStructure,
        capacity_bytes: usize,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Vec<Arc<dyn StorageBackend>>), EntropyFailed> {
        let cache = Self(Arc::new(Inner {
            seal: Seal::draw(entropy)?,
            shelf: Mutex::new(Shelf::new(capacity_bytes)),
        }));
        let cached_count = usize::from(access.threshold()) - 1;
        let place = |(position, inner)| -> Arc<dyn StorageBackend> {
            if position >= cached_count {
                return inner;
            }
            let cache = cache.clone();
            Arc::new(Cached {
                inner,
                position,
                cache,
            })
        };
        let backends = backends.into_iter().enumerate().map(place).collect();
        Ok((cache, backends))
    }

    /// Forgets everything, and what is under way as well: after a consent was revoked, say.
    pub fn purge(&self) {
        self.shelf().purge();
    }

    /// Sealed bytes held now.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.shelf().len_bytes()
    }

    /// The answer that is held, else that of `ask`, which is then kept.
    async fn answer(
        &self,
        question: Question,
        ask: impl Future<Output = Result<Bytes, BackendError>>,
    ) -> Result<Bytes, BackendError> {
        if let Some(answer) = self.held(&question).await {
            return Ok(answer);
        }
        let epoch = self.shelf().epoch();
        let answer = ask.await?;
        self.keep(question, answer.clone(), epoch).await;
        Ok(answer)
    }

    /// `None` when there is none.
    async fn held(&self, question: &Question) -> Option<Bytes> {
        let sealed = self.shelf().take_down(question)?;
        let (inner, question) = (Arc::clone(&self.0), question.clone());
        // Megabytes are opened where that holds up nobody.
        let open = move || inner.seal.open(&sealed, &label(&question));
        tokio::task::spawn_blocking(open).await.ok().flatten()
    }

    /// Keeps an answer, unless it is too long or something was deleted since `epoch`.
    async fn keep(&self, question: Question, answer: Bytes, epoch: u64) {
        if !self.shelf().has_room_for(answer.len()) {
            return;
        }
        let inner = Arc::clone(&self.0);
        let seal = move || {
            let sealed = inner.seal.seal(&answer, &label(&question))?;
            lock(&inner.shelf).put(question, sealed, epoch);
            Some(())
        };
        // An answer that could not be kept is an answer all the same.
        let _ = tokio::task::spawn_blocking(seal).await;
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        lock(&self.0.shelf)
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a sealed answer is bound to, so that it cannot stand for another.
fn label((position, key, start, end): &Question) -> Vec<u8> {
    format!("{position} {key} {start} {end}").into_bytes()
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("len_bytes", &self.len_bytes())
            .finish()
    }
}

/// One of the k - 1 backends.
#[derive(Debug)]
struct Cached {
    inner: Arc<dyn StorageBackend>,
    position: usize,
    cache: Cache,
}

/// Forgets objects when it is dropped: whatever became of their deletion, some may be gone.
struct Forget<'a> {
    cached: &'a Cached,
    keys: &'a [ObjectKey],
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut shelf = self.cached.cache.shelf();
        for key in self.keys {
            shelf.forget(self.cached.position, key);
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageBackend for Cached {
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
        let question = (self.position, key.clone(), range.start, range.end);
        let ask = self.inner.get_range(key, range);
        self.cache.answer(question, ask).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        self.inner.list(prefix, cursor).await
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        let _forget = Forget { cached: self, keys };
        self.inner.delete(keys).await
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        self.inner.erasure().await
    }
}
