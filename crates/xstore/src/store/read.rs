//! Reading chunks: fetch k shares, verify every record, replace the bad ones, reconstruct.
//!
//! Nothing is combined before its own tag verified, and a share that fails is named and replaced by
//! another at once. Only when a chunk cannot reach k good records is it short; then reading goes on
//! without releasing anything, so that everything missing can be told at once.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;
use xorida_core::ShareIndex;

use crate::backend::BackendError;
use crate::buffers::SecretPool;
use crate::chunk::{Dealing, OpenedChunk, Recomputed};
use crate::error::{Error, FaultReason, ReasonKind, ShareFault, Shortage};
use crate::geometry::Geometry;
use crate::manifest::{Body, Location};
use crate::store::Attached;
use crate::store::experience::Experience;
use crate::store::sites::{Site, Sites};

mod open;
mod rebuild;
mod share;

use open::Outcome;
pub(crate) use rebuild::Rebuilt;
use share::Part;
pub(crate) use share::ShareReader;

/// One dealing, ready to be read from the backends that answered.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) geometry: Geometry,
    pub(crate) dealing: Dealing,
    threshold: usize,
    secrets: SecretPool,
    shares: Arc<[ShareReader]>,
    missing: Vec<(u8, ShareFault)>,
    experience: Arc<Experience>,
}

/// What became of a run of chunks of one segment.
pub(crate) struct Chunks {
    /// The chunks in order; `None` for those that are short.
    pub(crate) opened: Vec<Option<OpenedChunk>>,
    /// Records of the shares that were to be recomputed, for each of these chunks.
    pub(crate) recomputed: Vec<Vec<Recomputed>>,
    /// Chunks with fewer than k good records, and how many they have.
    pub(crate) short: Vec<(u64, u8)>,
    /// Shares that could not be used.
    pub(crate) faults: BTreeSet<ShareFault>,
}

impl Chunks {
    /// No chunks, none missing.
    pub(crate) const fn none() -> Self {
        Self {
            opened: Vec::new(),
            recomputed: Vec::new(),
            short: Vec::new(),
            faults: BTreeSet::new(),
        }
    }
}

impl Reader {
    /// Matches the shares of a manifest to the backends that carry their identity.
    pub(crate) fn new(
        body: &Body,
        sites: &Sites,
        experience: &Arc<Experience>,
    ) -> Result<Self, Error> {
        let geometry = body.geometry()?;
        let access = geometry.layout().access;
        let mut shares = Vec::new();
        let mut missing = Vec::new();
        for entry in &body.shares {
            let index = ShareIndex::try_new(entry.index, access)?;
            let Some(location) = &entry.location else {
                missing.push((entry.index, nowhere(format!("share {}", entry.index))));
                continue;
            };
            if sites.retired.contains(&location.backend) {
                missing.push((entry.index, nowhere(location.label.clone())));
                continue;
            }
            let mut claimants: Vec<&Site> = sites
                .known
                .iter()
                .filter(|site| site.uid == location.backend)
                .collect();
            // Identities can be copied: the one with the right label is asked first.
            claimants.sort_by_key(|site| site.label() != location.label);
            let reader = |site: &Attached| {
                let standing = experience.of(site.backend.id());
                let names = (body.store_tag, location.share_prefix);
                ShareReader::new(index, site, standing, entry.root, names)
            };
            let mut readers: Vec<ShareReader> = claimants
                .into_iter()
                .map(|site| reader(&site.attached))
                .collect();
            if readers.is_empty() {
                // A backend that has lost its identity may still have its share; tags tell.
                let label = &location.label;
                readers.extend(sites.stranger(label).map(reader));
                readers.extend(sites.late(label).map(|site| reader(site).late()));
            }
            if readers.is_empty() {
                missing.push((entry.index, whole_share(location, sites)));
            }
            shares.extend(readers);
        }
        Ok(Self {
            geometry,
            dealing: Dealing {
                layout: geometry.layout(),
                object_id: body.object_id,
                put_id: body.put_id,
            },
            threshold: usize::from(access.threshold()),
            secrets: SecretPool::default(),
            shares: shares.into(),
            missing,
            experience: Arc::clone(experience),
        })
    }

    /// Shares whose backend is not there at all.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &ShareFault> {
        self.missing.iter().map(|(_, fault)| fault)
    }

    /// Why share `index` cannot be asked for, if it cannot.
    pub(crate) fn missing_of(&self, index: u8) -> impl Iterator<Item = &ShareFault> {
        let missing = self.missing.iter().filter(move |(at, _)| *at == index);
        missing.map(|(_, fault)| fault)
    }

    /// How many shares can be asked for.
    pub(crate) fn reachable(&self) -> usize {
        distinct(self.shares.iter().map(|share| share.index))
    }

    /// An error that lists short chunks and every fault seen.
    pub(crate) fn shortage(&self, chunks: Vec<(u64, u8)>, faults: BTreeSet<ShareFault>) -> Error {
        let mut faults = faults;
        faults.extend(self.missing().cloned());
        let faults = faults.into_iter().collect();
        let needed = self.dealing.layout.access.threshold();
        Error::InsufficientShares(Shortage {
            needed,
            chunks,
            faults,
        })
    }

    /// Where share `index` can be asked for: several places where backends claim one identity.
    pub(crate) fn of(&self, index: u8) -> impl Iterator<Item = &ShareReader> {
        self.shares
            .iter()
            .filter(move |share| share.index.get() == index)
    }

    /// Reads `chunks`, which are of one segment, of one share and verifies every record.
    pub(crate) async fn verify(
        &self,
        share: &ShareReader,
        chunks: Range<u64>,
    ) -> Result<Vec<ShareFault>, Error> {
        let segment = self.geometry.segment_of(chunks.start);
        match share.fetch(&self.geometry, segment, chunks.clone()).await {
            Ok(part) => Ok(self.verified(part, chunks).await?.err().unwrap_or_default()),
            Err(reason) => Ok(vec![share.fault(Some(segment), None, reason)]),
        }
    }

    /// Reads `chunks`, which are of one segment, and recomputes their records of the shares in
    /// `lost`.
    ///
    /// k shares are asked for, the quickest backends first and those listed in `distrusted` last. One
    /// more is asked for when a share fails, when a record of it is bad, and when its backend takes
    /// longer than it usually does; whoever is still on the way when all chunks are there is left.
    pub(crate) async fn read(
        &self,
        chunks: Range<u64>,
        lost: &[ShareIndex],
        distrusted: &BTreeSet<ShareFault>,
    ) -> Result<Chunks, Error> {
        self.experience.earn_hedge();
        let mut order = self.order(distrusted);
        let mut running: FuturesUnordered<_> = FuturesUnordered::new();
        let mut asked: Vec<Asked> = Vec::new();
        let mut parts: Vec<Arc<Part>> = Vec::new();
        let mut reading = Reading::new(chunks.clone());
        loop {
            let have = distinct(parts.iter().map(|part| part.index));
            let lacking = self.threshold.saturating_sub(have).max(1);
            let waiting = asked.iter().filter(|asked| !asked.is_late()).count();
            let more = lacking.saturating_sub(waiting);
            for at in order.by_ref().take(more) {
                asked.push(Asked::now(at, self.shares[at].standing.patience()));
                running.push(self.fetch(at, chunks.clone()));
            }
            let next = match asked.iter().filter_map(Asked::late_at).min() {
                Some(late) if !order.as_slice().is_empty() => {
                    tokio::time::timeout_at(late, running.next()).await
                }
                _ => Ok(running.next().await),
            };
            let (at, fetched) = match next {
                Ok(Some(fetched)) => fetched,
                Ok(None) => break,
                Err(_late) => {
                    let spare = self.experience.may_hedge();
                    asked.iter_mut().for_each(|asked| asked.look(spare));
                    continue;
                }
            };
            if let Some(done) = asked.iter().position(|asked| asked.at == at) {
                let took = asked.swap_remove(done).begun.elapsed();
                self.shares[at].standing.answered(took);
            }
            match fetched {
                Ok(part) => parts.push(Arc::new(part)),
                Err(fault) => reading.faulty(fault, &self.shares[at]),
            }
            let have = distinct(parts.iter().map(|part| part.index));
            if have < self.threshold {
                reading.good_at_most(have);
                continue;
            }
            let outcomes = self.open(reading.short_chunks(), lost, &parts).await?;
            reading.take(outcomes, &self.shares);
            if reading.short.is_empty() {
                break;
            }
        }
        for late in asked {
            let standing = &self.shares[late.at].standing;
            standing.answered(late.begun.elapsed());
        }
        Ok(reading.end())
    }

    /// Shares in the order in which they are asked for.
    fn order(&self, distrusted: &BTreeSet<ShareFault>) -> std::vec::IntoIter<usize> {
        let mut order: Vec<usize> = (0..self.shares.len()).collect();
        order.sort_by_cached_key(|&at| {
            let share = &self.shares[at];
            let faults = distrusted
                .iter()
                .filter(|fault| fault.backend == share.label);
            (share.is_late, faults.count(), share.standing.rank())
        });
        order.into_iter()
    }

    async fn fetch(&self, at: usize, chunks: Range<u64>) -> (usize, Result<Part, ShareFault>) {
        let share = &self.shares[at];
        let segment = self.geometry.segment_of(chunks.start);
        let fetched = share.fetch(&self.geometry, segment, chunks).await;
        (
            at,
            fetched.map_err(|reason| share.fault(Some(segment), None, reason)),
        )
    }
}

/// A share that was asked for and has not come.
struct Asked {
    at: usize,
    begun: Instant,
    patience: Option<Duration>,
}

impl Asked {
    fn now(at: usize, patience: Duration) -> Self {
        Self {
            at,
            begun: Instant::now(),
            patience: Some(patience),
        }
    }

    /// When another share is asked for in its place; `None` once one was.
    fn late_at(&self) -> Option<Instant> {
        self.patience.map(|patience| self.begun + patience)
    }

    const fn is_late(&self) -> bool {
        self.patience.is_none()
    }

    /// Gives up waiting for it alone if it is late and there is a `spare` request, else gives it as
    /// long again.
    fn look(&mut self, spare: bool) {
        if self.late_at().is_some_and(|late| late <= Instant::now()) {
            let again = self.begun.elapsed() + self.patience.unwrap_or_default();
            self.patience = (!spare).then_some(again);
        }
    }
}

/// What is known so far of the chunks that are read.
struct Reading {
    chunks: Range<u64>,
    opened: Vec<Option<(OpenedChunk, Vec<Recomputed>)>>,
    short: Vec<(u64, u8)>,
    faults: BTreeSet<ShareFault>,
}

impl Reading {
    fn new(chunks: Range<u64>) -> Self {
        Self {
            opened: chunks.clone().map(|_| None).collect(),
            short: chunks.clone().map(|chunk| (chunk, 0)).collect(),
            faults: BTreeSet::new(),
            chunks,
        }
    }

    fn short_chunks(&self) -> Vec<u64> {
        self.short.iter().map(|(chunk, _)| *chunk).collect()
    }

    fn faulty(&mut self, fault: ShareFault, share: &ShareReader) {
        if fault.reason == FaultReason::Integrity {
            share.standing.gave_bad_bytes();
        }
        self.faults.insert(fault);
    }

    fn good_at_most(&mut self, shares: usize) {
        self.short
            .iter_mut()
            .for_each(|(_, good)| *good = count(shares));
    }

    fn take(&mut self, outcomes: Vec<(u64, Outcome)>, shares: &[ShareReader]) {
        for (chunk, outcome) in outcomes {
            for fault in outcome.bad {
                let share = shares.iter().find(|share| share.label == fault.backend);
                if let Some(share) = share.filter(|_| !self.faults.contains(&fault)) {
                    self.faulty(fault, share);
                }
            }
            match outcome.opened {
                Ok(opened) => {
                    // The chunk lies in `chunks`, whose length fits in memory.
                    let at = usize::try_from(chunk - self.chunks.start).unwrap_or(usize::MAX);
                    self.opened[at] = Some(opened);
                    self.short.retain(|(short, _)| *short != chunk);
                }
                Err(good) => {
                    let mut short = self.short.iter_mut();
                    if let Some(short) = short.find(|short| short.0 == chunk) {
                        short.1 = good;
                    }
                }
            }
        }
    }

    fn end(self) -> Chunks {
        let (opened, recomputed) = self
            .opened
            .into_iter()
            .map(|opened| match opened {
                Some((opened, recomputed)) => (Some(opened), recomputed),
                None => (None, Vec::new()),
            })
            .unzip();
        Chunks {
            opened,
            recomputed,
            short: self.short,
            faults: self.faults,
        }
    }
}

/// A number of shares, of which there are at most 251.
fn count(shares: usize) -> u8 {
    u8::try_from(shares).unwrap_or(u8::MAX)
}

fn distinct(indices: impl Iterator<Item = ShareIndex>) -> usize {
    indices.collect::<BTreeSet<_>>().len()
}

/// A share that no backend took, or that is gone with its backend.
fn nowhere(backend: String) -> ShareFault {
    ShareFault {
        backend,
        segment: None,
        chunk: None,
        reason: FaultReason::NotStored,
    }
}

fn whole_share(location: &Location, sites: &Sites) -> ShareFault {
    let label = &location.label;
    let mut failures = sites.failures.iter();
    let failure = failures.find(|failure| failure.backend == *label);
    failure.map_or_else(
        || ShareFault {
            backend: label.clone(),
            segment: None,
            chunk: None,
            reason: FaultReason::NotConfigured,
        },
        ShareFault::from,
    )
}

/// A backend that failed gives none of its share.
impl From<&BackendError> for ShareFault {
    fn from(failure: &BackendError) -> Self {
        Self {
            backend: failure.backend.clone(),
            segment: None,
            chunk: None,
            reason: backend_reason(failure),
        }
    }
}

pub(crate) fn backend_reason(failure: &BackendError) -> FaultReason {
    FaultReason::Backend(ReasonKind(failure.kind))
}
