//! Manifests that were verified a moment ago: all backends of an object hold the same bytes, so one
//! check of a signature is enough for all of them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::manifest::Manifest;
use crate::store::Store;

/// Manifests that are remembered: of the objects that a listing reads at the same time.
const COUNT_MAX: usize = 64;

/// What this store has verified, the latest last. Whom it trusts never changes, so what held once
/// holds for the same bytes.
#[derive(Debug, Default)]
pub(crate) struct Opened(Mutex<VecDeque<Manifest>>);

impl Opened {
    fn manifests(&self) -> MutexGuard<'_, VecDeque<Manifest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, envelope: &[u8]) -> Option<Manifest> {
        let manifests = self.manifests();
        let mut latest = manifests.iter().rev();
        latest.find(|known| known.envelope() == envelope).cloned()
    }

    fn add(&self, manifest: Manifest) {
        let mut manifests = self.manifests();
        if manifests.len() == COUNT_MAX {
            manifests.pop_front();
        }
        manifests.push_back(manifest);
    }
}

impl Store {
    /// As [`Manifest::open`], by whom this store trusts.
    pub(crate) fn open_manifest(&self, envelope: &[u8]) -> Result<Manifest, Error> {
        if let Some(manifest) = self.opened.find(envelope) {
            return Ok(manifest);
        }
        let manifest = Manifest::open(envelope, &self.verifier())?;
        self.opened.add(manifest.clone());
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::keys::{OwnerKeys, RootKey};
    use crate::manifest::tests::body;
    use crate::memory::MemoryBackend;
    use crate::placement::FailureDomain;

    #[test]
    fn what_is_remembered_is_what_was_verified() {
        let keys = |byte| Arc::new(OwnerKeys::derive(&RootKey::from_bytes([byte; 32])));
        let (ours, theirs) = (keys(1), keys(2));
        let store = Store::builder().keys(Arc::clone(&ours)).backend(
            Arc::new(MemoryBackend::new("site")),
            FailureDomain::default(),
        );
        let store = store.build().unwrap();
        let sealed = |keys: &OwnerKeys, version| {
            let mut body = body(keys);
            body.version = version;
            body.previous = (version > 1).then_some(crate::ids::ManifestHash([9; 32]));
            Manifest::seal(body, keys).unwrap()
        };
        for version in 1..=2 * COUNT_MAX as u64 {
            let manifest = sealed(&ours, version);
            for _ in 0..2 {
                let opened = store.open_manifest(manifest.envelope()).unwrap();
                assert_eq!(opened, manifest);
            }
        }
        assert_eq!(store.opened.manifests().len(), COUNT_MAX);
        // Neither somebody else's nor a changed one comes in.
        let stranger = sealed(&theirs, 1);
        let mut changed = sealed(&ours, 200).envelope().to_vec();
        *changed.last_mut().unwrap() ^= 1;
        for _ in 0..2 {
            assert!(store.open_manifest(stranger.envelope()).is_err());
            assert!(store.open_manifest(&changed).is_err());
        }
    }
}
