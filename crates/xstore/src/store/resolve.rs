//! resolve: of several manifests that claim one version, the owner says which one counts.
//!
//! The next version follows the one that is kept, on W of its backends and on W of those of each
//! other, so that whoever holds another learns of it; and it gives up the dealing of the others,
//! unless that is the dealing that is kept. A writer of one of them may have been acknowledged and
//! have removed what another one needs: so what is kept must be readable before anything is given up.

use std::collections::BTreeSet;

use crate::catalogue::Mark;
use crate::error::Error;
use crate::ids::{ManifestHash, ObjectId};
use crate::journal::Former;
use crate::manifest::{Body, Manifest, STATE_LIVE};
use crate::store::copies::{Copies, Patience};
use crate::store::put::superseded;
use crate::store::read::Reader;
use crate::store::{CheckOptions, Effects, Store};

/// What a resolution has done, or would do.
#[derive(Debug)]
pub struct ResolveReport {
    /// The manifest that counts; the one to keep when nothing was changed.
    pub manifest: Manifest,
    /// Manifests that count no more, by id.
    pub given_up: Vec<Manifest>,
    /// Backends at which their shares remain until the next run.
    pub pending: Vec<String>,
}

impl Store {
    /// The newest manifests of an object of this owner, by id, which is their hash: more than one
    /// where installations wrote one version at the same time. Each can be read while all stand.
    ///
    /// # Errors
    /// [`Error::KeyMissing`], [`Error::ObjectNotFound`], and [`Error::Rollback`] when a later version
    /// has been seen.
    pub async fn siblings(&self, object: ObjectId) -> Result<Vec<Manifest>, Error> {
        Ok(self.newest_copies(object).await?.0)
    }

    /// Follows the manifest `keep` of the newest, and gives up the others.
    ///
    /// # Errors
    /// [`Error::Config`] when `keep` is none of the newest; [`Error::Conflict`] when it cannot be read
    /// and another might; [`Error::InsufficientBackends`] when too few answer to know all of them, or
    /// when the next manifest cannot be committed: the next run completes it. Else as
    /// [`Store::siblings`], and [`Error::Locked`].
    pub async fn resolve(
        &self,
        object: ObjectId,
        keep: ManifestHash,
        effects: Effects,
    ) -> Result<ResolveReport, Error> {
        let journal = self.journal.as_ref();
        let _lock = journal
            .map(|journal| journal.lock_contested(object))
            .transpose()?;
        let (siblings, copies) = self.newest_copies(object).await?;
        for body in siblings.iter().map(Manifest::body) {
            copies.expect_fresh(body)?;
        }
        let (kept, given_up): (Vec<_>, Vec<_>) = siblings
            .into_iter()
            .partition(|sibling| sibling.hash() == keep);
        let Some(kept) = kept.into_iter().next() else {
            // One that does not answer may have it.
            copies.expect_all()?;
            let cause = format!("{keep} is none of the newest manifests of this object");
            return Err(Error::Config(cause));
        };
        let mut report = ResolveReport {
            manifest: kept,
            given_up,
            pending: Vec::new(),
        };
        if report.given_up.is_empty() {
            return Ok(report);
        }
        self.refuse_unreadable(&report.manifest).await?;
        if effects == Effects::Apply {
            // One version for each: a commit knows two sets of backends.
            for rival in &report.given_up {
                let content = self.without(&report.manifest, rival)?;
                let former = Some(Former::of(rival));
                let (next, pending) = self.follow_with(&report.manifest, content, former).await?;
                (report.manifest, report.pending) = (next, pending);
            }
        }
        Ok(report)
    }

    /// Distinct manifests of the highest version, and what all backends answered.
    async fn newest_copies(&self, object: ObjectId) -> Result<(Vec<Manifest>, Copies), Error> {
        let wanted = self.wanted(object)?;
        let (copies, _) = self.ask(wanted, Patience::All).await?;
        let mut newest = self.newest(copies.manifests.iter().cloned());
        let found = newest.first().map_or(0, |newest| newest.body().version);
        match self.mark(wanted.maker, object)? {
            None if newest.is_empty() => return Err(Error::ObjectNotFound(object.to_string())),
            Some(Mark { version: seen, .. }) if seen > found => {
                return Err(Error::Rollback { seen, found });
            }
            _ => {}
        }
        newest.sort_by_key(Manifest::hash);
        Ok((newest, copies))
    }

    /// Refuses to give anything up for a manifest whose shares do not give the object back now.
    async fn refuse_unreadable(&self, manifest: &Manifest) -> Result<(), Error> {
        let body = manifest.body();
        if body.state != STATE_LIVE {
            return Ok(());
        }
        let sites = self.sites(body.store_tag).await;
        let reader = Reader::new(body, &sites, &self.experience)?;
        let options = CheckOptions::default();
        let found = self.check_with(&reader, &sites, manifest, &options).await?;
        if found.least_good >= body.k {
            return Ok(());
        }
        Err(Error::Conflict(format!(
            "{} good shares are left of {}, and reading it takes {}",
            found.least_good,
            manifest.hash(),
            body.k
        )))
    }

    /// What `kept` says, and that the dealing of `rival` is to be removed. Of one and the same
    /// dealing only what was sent where is taken over.
    fn without(&self, kept: &Manifest, rival: &Manifest) -> Result<Body, Error> {
        let mut body = kept.body().clone();
        if rival.body().put_id == body.put_id {
            let known: BTreeSet<_> = body.held.iter().map(|h| (h.index, h.backend)).collect();
            let more = rival.body().held.iter();
            let more = more.filter(|held| !known.contains(&(held.index, held.backend)));
            body.held.extend(more.cloned());
        }
        let mut given_up = body.superseded.take().unwrap_or_default();
        for dealing in superseded(rival, self.keys()?) {
            let known = given_up.iter().any(|known| known.put_id == dealing.put_id);
            if dealing.put_id != body.put_id && !known {
                given_up.push(dealing);
            }
        }
        body.superseded = (!given_up.is_empty()).then_some(given_up);
        Ok(body)
    }
}
