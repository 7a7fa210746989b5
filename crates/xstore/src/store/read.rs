//! Reading chunks: fetch k shares, verify every record, replace the bad ones, reconstruct.
//!
//! Nothing is combined before its own tag verified, and a share that fails is named and replaced by
//! another at once. Only when a chunk cannot reach k good records is it short; then reading goes on
//! without releasing anything, so that everything missing can be told at once.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use futures_util::future::join_all;
use xorida_core::ShareIndex;

use crate::backend::BackendError;
use crate::buffers::SecretPool;
use crate::chunk::{Dealing, OpenedChunk, Recomputed};
use crate::error::{Error, FaultReason, ReasonKind, ShareFault, Shortage};
use crate::geometry::Geometry;
use crate::manifest::{Body, Location, ShareEntry};
use crate::store::Attached;
use crate::store::sites::{Site, Sites};

mod open;
mod rebuild;
mod share;

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
}

/// What became of a run of chunks of one segment.
pub(crate) struct Chunks {
    /// The chunks in order, or nothing when one of them is short.
    pub(crate) opened: Vec<OpenedChunk>,
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
    pub(crate) fn new(body: &Body, sites: &Sites) -> Result<Self, Error> {
        let geometry = body.geometry()?;
        let access = geometry.layout().access;
        let mut shares = Vec::new();
        let mut missing = Vec::new();
        for entry in &body.shares {
            let index = ShareIndex::try_new(entry.index, access)?;
            let Some(location) = &entry.location else {
                missing.push((entry.index, nowhere(entry)));
                continue;
            };
            let mut claimants: Vec<&Site> = sites
                .known
                .iter()
                .filter(|site| site.uid == location.backend)
                .collect();
            // Identities can be copied: the one with the right label is asked first.
            claimants.sort_by_key(|site| site.label() != location.label);
            let reader = |site: &Attached| {
                ShareReader::new(
                    index,
                    site,
                    entry.root,
                    body.store_tag,
                    location.share_prefix,
                )
            };
            let mut readers: Vec<ShareReader> = claimants
                .into_iter()
                .map(|site| reader(&site.attached))
                .collect();
            if readers.is_empty() {
                // A backend that has lost its identity may still have its share; tags tell.
                let label = &location.label;
                readers.extend(sites.stranger(label).map(reader));
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
    /// `lost`. Shares listed in `distrusted` are asked last.
    pub(crate) async fn read(
        &self,
        chunks: Range<u64>,
        lost: &[ShareIndex],
        distrusted: &BTreeSet<ShareFault>,
    ) -> Result<Chunks, Error> {
        let mut order: Vec<usize> = (0..self.shares.len()).collect();
        order.sort_by_key(|&at| {
            distrusted
                .iter()
                .filter(|fault| fault.backend == self.shares[at].label)
                .count()
        });
        let mut order = order.into_iter();
        let mut faults = BTreeSet::new();
        let mut parts: Vec<Arc<Part>> = Vec::new();
        let mut opened: Vec<Option<(OpenedChunk, Vec<Recomputed>)>> =
            chunks.clone().map(|_| None).collect();
        let mut short: Vec<(u64, u8)> = chunks.clone().map(|chunk| (chunk, 0)).collect();
        loop {
            let wanted = self.threshold.saturating_sub(parts.len()).max(1);
            let asked: Vec<usize> = order.by_ref().take(wanted).collect();
            if asked.is_empty() {
                break;
            }
            let fetches = asked.iter().map(|&at| self.fetch(at, chunks.clone()));
            for fetched in join_all(fetches).await {
                match fetched {
                    Ok(part) => parts.push(Arc::new(part)),
                    Err(fault) => _ = faults.insert(fault),
                }
            }
            let have = distinct(parts.iter().map(|part| part.index));
            if have < self.threshold {
                short.iter_mut().for_each(|(_, good)| *good = count(have));
                continue;
            }
            let again: Vec<u64> = short.iter().map(|(chunk, _)| *chunk).collect();
            for (chunk, outcome) in self.open(again, lost, &parts).await? {
                faults.extend(outcome.bad);
                match outcome.opened {
                    Ok(secret) => {
                        // The chunk lies in `chunks`, whose length fits in memory.
                        let at = usize::try_from(chunk - chunks.start).unwrap_or(usize::MAX);
                        opened[at] = Some(secret);
                        short.retain(|(short, _)| *short != chunk);
                    }
                    Err(good) => {
                        short
                            .iter_mut()
                            .filter(|s| s.0 == chunk)
                            .for_each(|s| s.1 = good);
                    }
                }
            }
            if short.is_empty() {
                break;
            }
        }
        let opened = opened.into_iter().collect::<Option<Vec<_>>>();
        let (opened, recomputed) = opened.unwrap_or_default().into_iter().unzip();
        Ok(Chunks {
            opened,
            recomputed,
            short,
            faults,
        })
    }

    async fn fetch(&self, at: usize, chunks: Range<u64>) -> Result<Part, ShareFault> {
        let share = &self.shares[at];
        let segment = self.geometry.segment_of(chunks.start);
        share
            .fetch(&self.geometry, segment, chunks)
            .await
            .map_err(|reason| share.fault(Some(segment), None, reason))
    }
}

/// A number of shares, of which there are at most 251.
fn count(shares: usize) -> u8 {
    u8::try_from(shares).unwrap_or(u8::MAX)
}

fn distinct(indices: impl Iterator<Item = ShareIndex>) -> usize {
    indices.collect::<BTreeSet<_>>().len()
}

/// A share that no backend took.
fn nowhere(entry: &ShareEntry) -> ShareFault {
    ShareFault {
        backend: format!("share {}", entry.index),
        segment: None,
        chunk: None,
        reason: FaultReason::NotStored,
    }
}

fn whole_share(location: &Location, sites: &Sites) -> ShareFault {
    let label = location.label.clone();
    let failure = sites
        .failures
        .iter()
        .find(|failure| failure.backend == label);
    let reason = failure.map_or(FaultReason::NotConfigured, backend_reason);
    ShareFault {
        backend: label,
        segment: None,
        chunk: None,
        reason,
    }
}

pub(crate) fn backend_reason(failure: &BackendError) -> FaultReason {
    FaultReason::Backend(ReasonKind(failure.kind))
}
