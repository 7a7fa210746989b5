//! Making a manifest count: copies on W backends, then one more look for a rival.
//!
//! A version on other backends than the one before is committed on W of both sets, so that whoever
//! still asks the old ones learns of it.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use crate::backend::{BackendError, BackendErrorKind};
use crate::error::Error;
use crate::ids::{BackendUid, Prefix};
use crate::journal::{Former, Place};
use crate::manifest::Manifest;
use crate::names;
use crate::placement::write_quorum;
use crate::planted::{self, Bug};
use crate::store::Store;
use crate::store::sequel::Sequel;
use crate::store::sites::{Site, claimant};
use crate::store::upload::put_in_its_name;

/// Backends of which so many must have a copy that it is found among the rest of them.
struct Electorate {
    backends: BTreeSet<BackendUid>,
    write: usize,
}

impl Electorate {
    fn new(former: &Former) -> Self {
        Self {
            backends: former.places.iter().map(|place| place.backend).collect(),
            write: if planted::is(Bug::AcknowledgeAtThreshold) {
                former.k.into()
            } else {
                write_quorum(former.k, former.n)
            },
        }
    }

    /// Answers without which a committed copy might be overlooked.
    fn read(&self) -> usize {
        (self.backends.len() + 1).saturating_sub(self.write)
    }

    fn count(&self, of: &BTreeSet<BackendUid>) -> usize {
        self.backends.intersection(of).count()
    }
}

impl Store {
    /// Writes copies of `manifest` to all its backends and to those of the version it follows;
    /// committed when W of each stand.
    ///
    /// # Errors
    /// [`Error::InsufficientBackends`] when fewer stand: nothing is taken back, the next run goes
    /// on. [`Error::Siblings`] or [`Error::Fork`] when another manifest of this version stands too, and
    /// [`Error::Conflict`] when that one was followed already: nothing is removed, and this one is not
    /// acknowledged.
    pub(crate) async fn commit(
        &self,
        manifest: &Manifest,
        former: Option<&Former>,
        sites: &[Site],
    ) -> Result<(), Error> {
        if planted::is(Bug::EraseTooEarly) {
            self.finish(manifest, None).await?;
        }
        let body = manifest.body();
        let voters = Voters::of(manifest, former, sites);
        let bytes = bytes::Bytes::copy_from_slice(manifest.envelope());
        let copies = voters.sites.iter().map(|(site, prefix)| {
            let key = names::manifest(body.store_tag, *prefix, body.version, manifest.hash());
            let bytes = bytes.clone();
            async move {
                let backend = &*site.attached.backend;
                (site.uid, put_in_its_name(backend, &key, bytes).await)
            }
        });
        let (mut stands, mut failures) = (BTreeSet::new(), voters.absent());
        for (uid, copy) in join_all(copies).await {
            match copy {
                Ok(()) => _ = stands.insert(uid),
                Err(error) => failures.extend(error.into_backend()),
            }
        }
        voters.expect(|electorate| electorate.write, &stands, failures)?;
        if !planted::is(Bug::SkipRivals) {
            self.confirm_among(manifest, &voters).await?;
        }
        Ok(())
    }

    /// What became of `manifest`, by so many answers that nothing that was committed is overlooked.
    ///
    /// # Errors
    /// As [`Store::commit`], unless it is the newest or was followed.
    pub(crate) async fn confirm(
        &self,
        manifest: &Manifest,
        former: Option<&Former>,
        sites: &[Site],
    ) -> Result<Confirmed, Error> {
        let voters = Voters::of(manifest, former, sites);
        self.confirm_among(manifest, &voters).await
    }

    async fn confirm_among(
        &self,
        manifest: &Manifest,
        voters: &Voters,
    ) -> Result<Confirmed, Error> {
        let (sequel, line) = self.sequel(manifest, &voters.sites).await;
        voters.expect(Electorate::read, &line.answered, line.failures)?;
        // W is more than half: of two writers of one version at least one sees the other here, or what
        // followed the other while this one slept.
        match sequel {
            Sequel::Newest => Ok(Confirmed::Newest),
            Sequel::Followed => Ok(Confirmed::Followed),
            Sequel::Rival(rival) => Err(rivalry(manifest, &rival)),
            Sequel::Passed | Sequel::Unknown => Err(Error::Conflict(
                "another client put later versions of this object meanwhile".into(),
            )),
        }
    }
}

/// What may have become of a manifest that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// Nothing.
    Newest,
    /// A later version goes on from it.
    Followed,
}

/// The backends that decide whether a manifest counts: its own, and those of the version it follows.
struct Voters {
    electorates: Vec<Electorate>,
    sites: Vec<(Site, Prefix)>,
    /// Labels of those that are not there.
    absent: Vec<String>,
}

impl Voters {
    fn of(manifest: &Manifest, former: Option<&Former>, sites: &[Site]) -> Self {
        let own = Former::of(manifest);
        let both = [Some(&own), former];
        let electorates: Vec<Electorate> =
            both.into_iter().flatten().map(Electorate::new).collect();
        let mut places: Vec<&Place> = own.places.iter().collect();
        let former = former.into_iter().flat_map(|former| &former.places);
        places.extend(former.filter(|place| !electorates[0].backends.contains(&place.backend)));
        let (mut sited, mut absent) = (Vec::new(), Vec::new());
        for place in places {
            match claimant(sites, place.backend, &place.label) {
                Some(site) => sited.push((site.clone(), place.manifest_prefix)),
                None => absent.push(place.label.clone()),
            }
        }
        Self {
            electorates,
            sites: sited,
            absent,
        }
    }

    fn absent(&self) -> Vec<BackendError> {
        self.absent.iter().map(|label| unknown(label)).collect()
    }

    /// Refuses unless `there` has the quorum of every electorate.
    fn expect(
        &self,
        quorum: impl Fn(&Electorate) -> usize,
        there: &BTreeSet<BackendUid>,
        failures: Vec<BackendError>,
    ) -> Result<(), Error> {
        let short = self
            .electorates
            .iter()
            .map(|electorate| (quorum(electorate), electorate.count(there)))
            .find(|(needed, available)| available < needed);
        match short {
            None => Ok(()),
            Some((needed, available)) => Err(Error::InsufficientBackends {
                needed,
                available,
                failures,
            }),
        }
    }
}

/// A backend that does not answer with the identity under which it is looked for.
fn unknown(label: &str) -> BackendError {
    let cause = "nothing answers there with the identity that the manifest names";
    BackendError::with_source(BackendErrorKind::Unavailable, label, cause)
}

/// Two manifests of one version.
pub(crate) fn rivalry(manifest: &Manifest, rival: &Manifest) -> Error {
    let of = |manifest: &Manifest| (manifest.body().device, manifest.hash());
    Error::rivalry(manifest.body().version, [of(manifest), of(rival)])
}
