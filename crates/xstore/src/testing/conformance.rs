//! The contract of [`StorageBackend`] as checks that any backend can be put through.
//!
//! Each check works under keys of its own, new in every run, so a backend that already holds
//! objects can be checked too; what a passing check stored it deletes again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::backend::{BackendError, BackendErrorKind, ObjectKey, StorageBackend};

mod listing;
mod objects;
mod races;

pub use listing::{list_matches_any_prefix, list_pages_every_key_once};
pub use objects::{
    delete_is_idempotent, large_object_round_trips, missing_objects_are_not_found,
    names_are_never_overwritten, objects_round_trip, ranges_are_clamped,
};
pub use races::{create_race_has_one_winner, puts_and_deletes_do_not_disturb};

/// Runs every check below; the races run as tasks of the current runtime, which should have
/// several threads.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn run_all(backend: &Arc<dyn StorageBackend>) -> Result<(), Violation> {
    let one = backend.as_ref();
    objects_round_trip(one).await?;
    large_object_round_trips(one).await?;
    names_are_never_overwritten(one).await?;
    ranges_are_clamped(one).await?;
    missing_objects_are_not_found(one).await?;
    delete_is_idempotent(one).await?;
    list_matches_any_prefix(one).await?;
    list_pages_every_key_once(one).await?;
    for racer_count in [8, 32] {
        create_race_has_one_winner(backend, racer_count).await?;
    }
    puts_and_deletes_do_not_disturb(backend).await
}

/// A sentence of the contract that a backend does not keep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A call failed that had to succeed.
    #[error("a call that must succeed failed")]
    Failed(#[from] BackendError),
    /// A call succeeded with something else than the contract says.
    #[error("{sentence}: {observed}")]
    Broken {
        /// What the contract says.
        sentence: &'static str,
        /// What the backend did.
        observed: String,
    },
}

/// Requires `observed` to be what the contract says.
fn expect_eq<T: PartialEq + fmt::Debug>(
    observed: T,
    expected: T,
    sentence: &'static str,
) -> Result<(), Violation> {
    if observed == expected {
        return Ok(());
    }
    let mut shown = format!("{observed:?} instead of {expected:?}");
    if shown.len() > 300 {
        shown = "the contents differ".to_owned();
    }
    Err(Violation::Broken {
        sentence,
        observed: shown,
    })
}

/// Requires a call to fail as `NotFound` in the name of this backend.
fn expect_not_found<T>(
    backend: &dyn StorageBackend,
    answer: Result<T, BackendError>,
    sentence: &'static str,
) -> Result<(), Violation> {
    let observed = match answer {
        Ok(_) => None,
        Err(error) => Some((error.kind, error.backend)),
    };
    let expected = (BackendErrorKind::NotFound, backend.id().to_owned());
    expect_eq(observed, Some(expected), sentence)
}

/// The keys of one check.
struct Area {
    prefix: String,
}

impl Area {
    fn new(check: &str) -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let process = std::process::id();
        Self {
            prefix: format!("conformance/{nanos:x}x{process:x}x{number:x}/{check}"),
        }
    }

    /// The key called `name` here; it must be a key.
    fn key(&self, name: &str) -> Result<ObjectKey, Violation> {
        let text = format!("{}/{name}", self.prefix);
        ObjectKey::try_new(&text).ok_or(Violation::Broken {
            sentence: "the suite uses keys only",
            observed: text,
        })
    }

    /// Deletes what is left under this prefix; nothing may be listed afterwards.
    async fn clean(&self, backend: &dyn StorageBackend) -> Result<(), Violation> {
        let keys = list_all(backend, &self.prefix).await?;
        backend.delete(&keys).await?;
        let left = list_all(backend, &self.prefix).await?;
        expect_eq(left, Vec::new(), "deleted objects are listed no more")
    }
}

/// Every page of a listing, joined.
async fn list_all(
    backend: &dyn StorageBackend,
    prefix: &str,
) -> Result<Vec<ObjectKey>, BackendError> {
    let mut page = backend.list(prefix, None).await?;
    let mut keys = page.keys;
    while let Some(cursor) = page.next {
        page = backend.list(prefix, Some(&cursor)).await?;
        keys.extend(page.keys);
    }
    Ok(keys)
}

/// The whole object.
async fn read(backend: &dyn StorageBackend, key: &ObjectKey) -> Result<Bytes, BackendError> {
    backend.get_range(key, 0..u64::MAX).await
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use async_trait::async_trait;

    use super::*;
    use crate::backend::{Capabilities, Erasure, ListPage, ObjectMeta, Put};
    use crate::memory::MemoryBackend;
    use crate::testing::{Fault, FaultyBackend, Plan};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_reference_conforms() {
        let backend: Arc<dyn StorageBackend> = Arc::new(MemoryBackend::new("m"));
        run_all(&backend).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_wrapper_without_faults_conforms() {
        let inner = MemoryBackend::new("m");
        let plan = Plan::default();
        let backend: Arc<dyn StorageBackend> = Arc::new(FaultyBackend::new(inner, plan.clone()));
        run_all(&backend).await.unwrap();
        let counts = plan.counts();
        assert!(counts.calls > 0 && counts.effects > 0);
        assert!(counts.written_bytes > 0 && counts.read_bytes > 0);
    }

    /// Looks first and writes then, as a careless backend does.
    #[derive(Debug)]
    struct CheckThenWrite(MemoryBackend);

    #[async_trait]
    impl StorageBackend for CheckThenWrite {
        fn id(&self) -> &str {
            self.0.id()
        }

        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }

        async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
            if self.0.head(key).await.is_ok() {
                return Ok(Put::AlreadyExists);
            }
            tokio::task::yield_now().await;
            self.0.replace(key, bytes);
            Ok(Put::Created)
        }

        async fn get_range(&self, key: &ObjectKey, r: Range<u64>) -> Result<Bytes, BackendError> {
            self.0.get_range(key, r).await
        }

        async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
            self.0.head(key).await
        }

        async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
            self.0.list(prefix, cursor).await
        }

        async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
            self.0.delete(keys).await
        }

        async fn erasure(&self) -> Result<Erasure, BackendError> {
            self.0.erasure().await
        }
    }

    /// One thread, so that every racer has looked before the first writes.
    #[tokio::test]
    async fn the_suite_notices_a_race_with_many_winners() {
        let careless = CheckThenWrite(MemoryBackend::new("m"));
        let backend: Arc<dyn StorageBackend> = Arc::new(careless);
        objects_round_trip(backend.as_ref()).await.unwrap();
        let violation = create_race_has_one_winner(&backend, 8).await.unwrap_err();
        assert!(violation.to_string().contains("one winner"), "{violation}");
    }

    /// Each of these breaks a sentence, and the suite must notice.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_suite_notices_every_fault() {
        let everywhere = String::new;
        for fault in [
            Fault::LoseEffects { effects: 0..1 },
            Fault::TearWrite {
                effect: 0,
                len_bytes: 3,
            },
            Fault::FlipBit {
                prefix: everywhere(),
                offset_bytes: 0,
                bit: 7,
            },
            Fault::Truncate {
                prefix: everywhere(),
                len_bytes: 1,
            },
            Fault::Extend {
                prefix: everywhere(),
                by_bytes: 1,
            },
            Fault::StopAt { effect: 5 },
            Fault::FailCalls {
                calls: 3..4,
                kind: BackendErrorKind::RateLimited,
            },
        ] {
            let inner = MemoryBackend::new("m");
            let plan = Plan::new([fault.clone()]);
            let backend: Arc<dyn StorageBackend> = Arc::new(FaultyBackend::new(inner, plan));
            assert!(run_all(&backend).await.is_err(), "{fault:?}");
        }
    }
}
