//! How old things are, by the clock of the backend that has them.
//!
//! A backend tells when an object was changed and not what time it is, so one is made and looked at.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::join_all;

use crate::backend::{BackendError, BackendErrorKind, ObjectKey, StorageBackend};
use crate::error::Error;
use crate::ids::StoreTag;
use crate::names;
use crate::store::gc::complete;
use crate::store::sites::Site;

/// Clocks that differ by more than this say nothing about ages.
const AGREEMENT_S: u64 = 300;

/// Objects that are asked for at once.
const HEADS_AT_ONCE: usize = 16;

/// What time it is at each backend.
pub(super) struct Clocks(Vec<SystemTime>);

impl Clocks {
    /// Asks every backend.
    pub(super) async fn ask(sites: &[Site], tag: StoreTag, now_unix_s: u64) -> Result<Self, Error> {
        let asked = sites.iter().map(|site| ask(&*site.attached.backend, tag));
        let (mut clocks, mut failures) = (Vec::new(), Vec::new());
        for told in join_all(asked).await {
            match told {
                Ok(told) => clocks.push(told),
                Err(failure) => failures.push(failure),
            }
        }
        let clocks = complete(clocks, failures)?;
        for (site, told) in sites.iter().zip(&clocks) {
            let told = told.duration_since(UNIX_EPOCH).unwrap_or_default();
            let apart = told.as_secs().abs_diff(now_unix_s);
            if apart > AGREEMENT_S {
                return Err(Error::Config(format!(
                    "the clock of {} and ours are {apart} seconds apart, and ages must be certain \
                     to {AGREEMENT_S}",
                    site.label()
                )));
            }
        }
        Ok(Self(clocks))
    }

    /// Whether all of `keys` that are there were changed longer than `grace` ago.
    pub(super) async fn all_older(
        &self,
        sites: &[Site],
        (site, keys): (usize, &[ObjectKey]),
        grace: Duration,
    ) -> Result<bool, BackendError> {
        let (backend, now) = (&*sites[site].attached.backend, self.0[site]);
        for keys in keys.chunks(HEADS_AT_ONCE) {
            for told in join_all(keys.iter().map(|key| modified(backend, key))).await {
                // What was changed in the future has no age.
                let young = |then| now.duration_since(then).unwrap_or_default() < grace;
                if told?.is_some_and(young) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The time at one backend. What another collector, or one that was stopped, left there goes first.
async fn ask(backend: &dyn StorageBackend, tag: StoreTag) -> Result<SystemTime, BackendError> {
    let key = names::clock(tag);
    backend.delete(std::slice::from_ref(&key)).await?;
    backend.put_new(&key, Bytes::from_static(b"clock")).await?;
    let told = modified(backend, &key).await?;
    backend.delete(std::slice::from_ref(&key)).await?;
    told.ok_or_else(|| {
        let cause = "another collector asks it for the time";
        BackendError::with_source(BackendErrorKind::Unavailable, backend.id(), cause)
    })
}

/// When an object was changed; `None` when it is not there.
async fn modified(
    backend: &dyn StorageBackend,
    key: &ObjectKey,
) -> Result<Option<SystemTime>, BackendError> {
    match backend.head(key).await {
        Err(error) if error.kind == BackendErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(meta) => meta.modified.map(Some).ok_or_else(|| {
            let cause = "it does not tell when an object was changed";
            BackendError::with_source(BackendErrorKind::Unavailable, backend.id(), cause)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryBackend;
    use crate::testing::{Fault, FaultyBackend, Plan};

    #[tokio::test]
    async fn what_is_not_there_has_no_age_and_a_failure_is_none() {
        let plan = Plan::default();
        let backend = FaultyBackend::new(MemoryBackend::new("a"), plan.clone());
        let key = ObjectKey::try_new("a").unwrap();
        assert_eq!(modified(&backend, &key).await.unwrap(), None);
        backend.put_new(&key, Bytes::new()).await.unwrap();
        assert!(modified(&backend, &key).await.unwrap().is_some());
        plan.set([Fault::FailCalls {
            calls: 0..u64::MAX,
            kind: BackendErrorKind::Timeout,
        }]);
        let error = modified(&backend, &key).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Timeout);
    }
}
