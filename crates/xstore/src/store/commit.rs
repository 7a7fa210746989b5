//! Making a manifest count: copies on W backends, then one more look for a rival.

use futures_util::future::join_all;

use crate::error::Error;
use crate::ids::DeviceId;
use crate::manifest::Manifest;
use crate::names;
use crate::placement::{read_quorum, write_quorum};
use crate::store::Store;
use crate::store::find::Wanted;
use crate::store::sites::{Site, claimant};
use crate::store::upload::put_confirmed;

impl Store {
    /// Writes copies of `manifest` to all its backends; committed when W of them stand.
    ///
    /// # Errors
    /// [`Error::InsufficientBackends`] when fewer stand: nothing is taken back, the next run goes
    /// on. [`Error::Conflict`] or [`Error::Fork`] when another manifest of this version stands too:
    /// nothing is removed, and neither is acknowledged.
    pub(crate) async fn commit(&self, manifest: &Manifest, sites: &[Site]) -> Result<(), Error> {
        let body = manifest.body();
        let bytes = bytes::Bytes::copy_from_slice(manifest.envelope());
        let copies = body.stored().filter_map(|(_, location)| {
            let site = claimant(sites, location.backend, &location.label)?;
            let hash = manifest.hash();
            let key = names::manifest(body.store_tag, location.manifest_prefix, body.version, hash);
            let bytes = bytes.clone();
            Some(async move {
                put_confirmed(&*site.attached.backend, &key, bytes.clone(), bytes.len()).await
            })
        });
        let copies = join_all(copies).await;
        let available = copies.iter().filter(|copy| copy.is_ok()).count();
        let needed = write_quorum(body.k, body.n);
        if available < needed {
            let failures = copies.into_iter().filter_map(|copy| match copy {
                Err(Error::Backend(failure)) => Some(failure),
                _ => None,
            });
            let failures = failures.collect();
            return Err(Error::InsufficientBackends {
                needed,
                available,
                failures,
            });
        }
        self.refuse_rivals(manifest, sites).await
    }

    /// W is more than half: of two writers of one version at least one sees the other here.
    async fn refuse_rivals(&self, manifest: &Manifest, sites: &[Site]) -> Result<(), Error> {
        let body = manifest.body();
        let places = self.places_of(body, sites);
        let wanted = Wanted::of(body);
        let copies = self.copies(&places, wanted).await;
        let needed = read_quorum(body.k, body.n);
        if copies.answered < needed {
            let (available, failures) = (copies.answered, copies.failures);
            return Err(Error::InsufficientBackends {
                needed,
                available,
                failures,
            });
        }
        let rival = copies
            .manifests
            .iter()
            .find(|copy| copy.body().version == body.version && copy.hash() != manifest.hash());
        rival.map_or(Ok(()), |rival| {
            Err(rivalry(body.version, body.device, rival))
        })
    }
}

/// Two manifests of one version: by one installation it is a fork, by two it is a race.
pub(crate) fn rivalry(version: u64, device: DeviceId, rival: &Manifest) -> Error {
    if rival.body().device == device {
        return Error::Fork { version };
    }
    Error::Conflict(format!(
        "another installation wrote version {version} at the same time"
    ))
}
