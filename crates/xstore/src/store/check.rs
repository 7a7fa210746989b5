//! check: what is wrong with an object, share by share, without changing anything.
//!
//! Structure costs one small read for each segment of each share: its length and the footer that the
//! manifest's root vouches for. Data is verified share by share, each record against its own tag, so
//! no k shares are ever together and no plaintext is formed.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use crate::error::{Error, FaultReason, ShareFault};
use crate::manifest::{Location, Manifest, ShareEntry};
use crate::names;
use crate::progress::{Observer, ProgressEvent, Status};
use crate::store::Store;
use crate::store::get::Guard;
use crate::store::read::{Reader, ShareReader, backend_reason};
use crate::store::sites::{Sites, claimant};

mod report;
mod subset;

pub use report::{CheckReport, CheckedShare, Health, Metadata, MetadataFault};
pub use subset::Subset;

/// How an object is checked.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Which records are read and verified; by default none, only lengths and footers.
    pub data: Option<Subset>,
    /// Asked before the first share is read.
    pub guard: Option<Arc<Guard>>,
    /// Listens to progress.
    pub observer: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for CheckOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckOptions")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Looks at every share and at every copy of the manifest; changes nothing.
    ///
    /// What is out of reach is reported like what is damaged: as a fault.
    ///
    /// # Errors
    /// [`Error::ManifestExpired`]; [`Error::Refused`] when the guard objects; [`Error::Random`] when a
    /// random subset cannot be drawn.
    pub async fn check(
        &self,
        manifest: &Manifest,
        options: &CheckOptions,
    ) -> Result<CheckReport, Error> {
        let body = manifest.body();
        body.refuse_expired(self.clock.now_unix_s())?;
        if let Some(guard) = &options.guard {
            guard().map_err(Error::Refused)?;
        }
        let sites = self.sites(body.store_tag).await;
        let reader = Reader::new(body, &sites, &self.experience)?;
        self.check_with(&reader, &sites, manifest, options).await
    }

    /// [`Store::check`] for one who has asked the backends already.
    pub(crate) async fn check_with(
        &self,
        reader: &Reader,
        sites: &Sites,
        manifest: &Manifest,
        options: &CheckOptions,
    ) -> Result<CheckReport, Error> {
        let body = manifest.body();
        let chunks = match &options.data {
            Some(subset) => subset.draw(&reader.geometry, &*self.entropy)?,
            None => BTreeSet::new(),
        };
        let checking = Checking {
            reader,
            chunks: &chunks,
            observer: options.observer.as_deref(),
            started: Instant::now(),
            total_shares: body.n,
        };
        let shares = join_all(body.shares.iter().map(|entry| checking.entry(entry)))
            .await
            .into_iter()
            .collect::<Result<Vec<CheckedShare>, Error>>()?;
        let metadata = self.bad_metadata(reader, sites, manifest).await;
        Ok(CheckReport::new(body.k, shares, metadata, &reader.geometry))
    }

    /// Copies of the manifest, indexes and identities that are missing or not what they should be.
    async fn bad_metadata(
        &self,
        reader: &Reader,
        sites: &Sites,
        manifest: &Manifest,
    ) -> Vec<MetadataFault> {
        let body = manifest.body();
        let there = body.stored();
        let there = there.filter(|(_, at)| !sites.retired.contains(&at.backend));
        let looks = there.map(|(share, at)| async move {
            let fault = |what, reason| MetadataFault {
                backend: at.label.clone(),
                what,
                reason,
            };
            let stranger = sites.stranger(&at.label);
            let identity = stranger.map(|_| fault(Metadata::Identity, FaultReason::NOT_FOUND));
            let copy = self.bad_copy(manifest, at, sites).await;
            let (mut index, mut leftover) = (None, None);
            if let Some(share) = reader.of(share.index).next() {
                index = share.bad_index(&reader.geometry).await;
                let left = share.leftovers(&reader.geometry).await;
                leftover = left
                    .is_ok_and(|left| !left.is_empty())
                    .then_some(FaultReason::Integrity);
            }
            [
                identity,
                copy.map(|reason| fault(Metadata::Manifest, reason)),
                index.map(|reason| fault(Metadata::Index, reason)),
                leftover.map(|reason| fault(Metadata::Leftover, reason)),
            ]
        });
        join_all(looks)
            .await
            .into_iter()
            .flatten()
            .flatten()
            .collect()
    }

    /// Why the copy of a manifest at one of its backends does not count.
    async fn bad_copy(
        &self,
        manifest: &Manifest,
        at: &Location,
        sites: &Sites,
    ) -> Option<FaultReason> {
        let (body, envelope) = (manifest.body(), manifest.envelope());
        let Some(site) = claimant(&sites.known, at.backend, &at.label) else {
            let failure = sites
                .failures
                .iter()
                .find(|failure| failure.backend == at.label);
            return match (failure, sites.stranger(&at.label)) {
                (Some(failure), _) => Some(backend_reason(failure)),
                (None, Some(_)) => Some(FaultReason::NOT_FOUND),
                (None, None) => Some(FaultReason::NotConfigured),
            };
        };
        let hash = manifest.hash();
        let key = names::manifest(body.store_tag, at.manifest_prefix, body.version, hash);
        let range = 0..envelope.len() as u64 + 1;
        match site.attached.backend.get_range(&key, range).await {
            Ok(bytes) if bytes == envelope => None,
            Ok(_) => Some(FaultReason::Integrity),
            Err(failure) => Some(backend_reason(&failure)),
        }
    }
}

struct Checking<'a> {
    reader: &'a Reader,
    /// Chunks whose records are read.
    chunks: &'a BTreeSet<u64>,
    observer: Option<&'a dyn Observer>,
    started: Instant,
    total_shares: u8,
}

impl Checking<'_> {
    async fn entry(&self, entry: &ShareEntry) -> Result<CheckedShare, Error> {
        let mut checked = CheckedShare {
            index: entry.index,
            backend: entry.location.as_ref().map(|at| at.label.clone()),
            faults: self.reader.missing_of(entry.index).cloned().collect(),
            records_read: 0,
        };
        for (claimant, share) in self.reader.of(entry.index).enumerate() {
            let (faults, records_read) = self.share(share).await?;
            // Of several backends that claim one identity, one that is whole is enough.
            if claimant == 0 || faults.len() < checked.faults.len() {
                (checked.faults, checked.records_read) = (faults, records_read);
            }
        }
        Ok(checked)
    }

    /// What is wrong at one backend, and how many records were read there.
    async fn share(&self, share: &ShareReader) -> Result<(Vec<ShareFault>, u64), Error> {
        let geometry = &self.reader.geometry;
        let (mut faults, mut records_read, mut bytes) = (Vec::new(), 0, 0);
        'segments: for segment in 0..geometry.segments() {
            self.report(share, Status::Verifying, bytes);
            if let Err(reason) = share.look_at(geometry, segment).await {
                if reason.is_out_of_reach() {
                    // So is the rest; asking for every segment would only take as long.
                    faults.push(share.fault(None, None, reason));
                    break;
                }
                faults.push(share.fault(Some(segment), None, reason));
                continue;
            }
            for run in runs(self.chunks.range(geometry.chunks_of(segment)).copied()) {
                records_read += run.end - run.start;
                bytes += run
                    .clone()
                    .map(|c| geometry.record_len(c) as u64)
                    .sum::<u64>();
                let found = self.reader.verify(share, run).await?;
                // Whoever comes late or asks who we are has said nothing against the share.
                let mut reasons = found.iter().map(|fault| fault.reason);
                let is_silence =
                    |reason: &FaultReason| reason.is_out_of_reach() && !reason.may_be_the_medium();
                if let Some(silence) = reasons.find(is_silence) {
                    faults.push(share.fault(None, None, silence));
                    break 'segments;
                }
                faults.extend(found);
            }
        }
        let end = if faults.is_empty() {
            Status::Complete
        } else {
            Status::Failed
        };
        self.report(share, end, bytes);
        Ok((faults, records_read))
    }

    fn report(&self, share: &ShareReader, status: Status, bytes_transferred: u64) {
        if let Some(observer) = self.observer {
            observer.progress(&ProgressEvent {
                backend_id: share.label.clone(),
                share_index: share.index.get(),
                total_shares: self.total_shares,
                status,
                bytes_transferred,
                total_bytes: None,
                duration: self.started.elapsed(),
            });
        }
    }
}

/// Consecutive numbers as half-open ranges.
fn runs(numbers: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_one_run() {
        assert_eq!(runs([].into_iter()), []);
        assert_eq!(
            runs([3, 4, 5, 9, 11, 12].into_iter()),
            [3..6, 9..10, 11..13]
        );
    }
}
