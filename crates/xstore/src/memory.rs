//! `MemoryBackend`: the reference that the contract of [`StorageBackend`] is read against.
//!
//! It is written to be obviously right, not quick: one ordered map behind one lock, so that every
//! call happens at one instant. It forgets everything when it is dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use crate::backend::{
    BackendError, BackendErrorKind, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put,
    StorageBackend,
};
use crate::clock::Clock;

/// Most keys on one page of a listing.
const PAGE_KEY_COUNT_MAX: usize = 1000;

/// A backend in the memory of this process.
pub struct MemoryBackend {
    id: String,
    objects: Mutex<BTreeMap<ObjectKey, Object>>,
    /// Where ages come from; the machine's clock when there is none.
    clock: Option<Arc<dyn Clock>>,
}

struct Object {
    bytes: Bytes,
    modified: SystemTime,
}

impl MemoryBackend {
    /// An empty backend under the label `id`.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            objects: Mutex::default(),
            clock: None,
        }
    }

    /// The map; each holder of the lock leaves it whole, so a panic elsewhere does not spoil it.
    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `bytes`, changed now.
    fn object(&self, bytes: Bytes) -> Object {
        let told = |clock: &Arc<dyn Clock>| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(clock.now_unix_s())
        };
        Object {
            bytes,
            modified: self.clock.as_ref().map_or_else(SystemTime::now, told),
        }
    }

    fn read<T>(&self, key: &ObjectKey, look: impl FnOnce(&Object) -> T) -> Result<T, BackendError> {
        match self.objects().get(key) {
            Some(object) => Ok(look(object)),
            None => Err(BackendError::new(BackendErrorKind::NotFound, &self.id)),
        }
    }
}

#[async_trait]
impl StorageBackend for MemoryBackend {
    fn id(&self) -> &str {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, false)
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Ok(Put::AlreadyExists);
        }
        objects.insert(key.clone(), self.object(bytes));
        Ok(Put::Created)
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.read(key, |object| slice(&object.bytes, range))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        self.read(key, |object| ObjectMeta {
            len_bytes: object.bytes.len() as u64,
            modified: Some(object.modified),
        })
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        let objects = self.objects();
        let mut keys = objects
            .keys()
            .filter(|key| key.as_str().starts_with(prefix))
            .filter(|key| cursor.is_none_or(|last| key.as_str() > last));
        let page: Vec<_> = keys.by_ref().take(PAGE_KEY_COUNT_MAX).cloned().collect();
        let next = match keys.next() {
            Some(_) => page.last().map(ToString::to_string),
            None => None,
        };
        Ok(ListPage { keys: page, next })
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        let mut objects = self.objects();
        for key in keys {
            objects.remove(key);
        }
        Ok(())
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        Ok(Erasure::Erases)
    }
}

/// The part of `bytes` that lies in the half-open `range`; a reversed range is empty.
pub(crate) fn slice(bytes: &Bytes, range: Range<u64>) -> Bytes {
    // An offset that does not fit into `usize` lies beyond every object in memory.
    let clamp = |offset: u64| usize::try_from(offset).map_or(bytes.len(), |o| o.min(bytes.len()));
    let (start, end) = (clamp(range.start), clamp(range.end));
    bytes.slice(start..end.max(start))
}

/// What an operator or attacker could do behind the store's back; for tests.
#[cfg(any(test, feature = "testing"))]
impl MemoryBackend {
    /// Tells ages by `clock` from now on.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// Every object as it is stored now, in order of keys.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<ObjectKey, Bytes> {
        let objects = self.objects();
        objects
            .iter()
            .map(|(key, object)| (key.clone(), object.bytes.clone()))
            .collect()
    }

    /// Puts `bytes` under `key`, whether or not the name is taken.
    pub fn replace(&self, key: &ObjectKey, bytes: impl Into<Bytes>) {
        let object = self.object(bytes.into());
        self.objects().insert(key.clone(), object);
    }

    /// Takes the object away; `None` when there was none.
    pub fn remove(&self, key: &ObjectKey) -> Option<Bytes> {
        self.objects().remove(key).map(|object| object.bytes)
    }

    /// Sets the time of last change; false when there is no such object.
    pub fn set_modified(&self, key: &ObjectKey, modified: SystemTime) -> bool {
        match self.objects().get_mut(key) {
            Some(object) => {
                object.modified = modified;
                true
            }
            None => false,
        }
    }
}

/// Shows no bytes of objects.
impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend")
            .field("id", &self.id)
            .field("object_count", &self.objects().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_to_the_object() {
        let bytes = Bytes::from_static(b"0123456789");
        let reversed = Range { start: 7, end: 3 };
        for (range, expected) in [
            (0..10, "0123456789"),
            (2..5, "234"),
            (8..u64::MAX, "89"),
            (10..11, ""),
            (u64::MAX - 1..u64::MAX, ""),
            (4..4, ""),
            (reversed, ""),
        ] {
            assert_eq!(slice(&bytes, range.clone()), expected, "{range:?}");
        }
    }

    #[tokio::test]
    async fn tests_can_damage_what_is_stored() {
        let backend = MemoryBackend::new("m");
        let key = ObjectKey::try_new("a/b").unwrap();
        assert!(!backend.set_modified(&key, SystemTime::UNIX_EPOCH));
        backend.replace(&key, "one");
        backend.replace(&key, "two");
        assert_eq!(backend.get_range(&key, 0..9).await.unwrap(), "two");
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        assert!(backend.set_modified(&key, then));
        assert_eq!(backend.head(&key).await.unwrap().modified, Some(then));
        assert_eq!(backend.snapshot().len(), 1);
        assert_eq!(backend.remove(&key).unwrap(), "two");
        assert!(backend.snapshot().is_empty());
    }

    #[test]
    fn debug_output_holds_no_bytes() {
        let backend = MemoryBackend::new("m");
        backend.replace(&ObjectKey::try_new("a").unwrap(), "secret");
        let shown = format!("{backend:?}");
        assert!(shown.contains("object_count: 1") && !shown.contains("secret"));
    }
}
