//! repair: what is lost or bad is recomputed from k good shares, bit for bit, in its own place.
//!
//! Order of effects: identities that backends have lost; then, segment by segment, each object that
//! is missing is written, and one that is bad is replaced so that at no moment less can be read than
//! before: a good copy under the next attempt, the bad one removed, the good one under its own name,
//! the copy removed; then indexes and copies of the manifest. A crash leaves the rest for the next
//! run. At the end the manifest is looked for again: if the dealing was replaced or deleted
//! meanwhile, its shares are removed where this repair wrote any.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use xorida_core::ShareIndex;

use crate::backend::{BackendError, ObjectKey, StorageBackend};
use crate::error::{Error, FaultReason, ShareFault, Shortage};
use crate::manifest::{Manifest, STATE_LIVE};
use crate::names;
use crate::progress::{Observer, ProgressEvent, Status};
use crate::store::check::{
    CheckOptions, CheckReport, CheckedShare, Metadata, MetadataFault, Subset,
};
use crate::store::copies::Wanted;
use crate::store::get::Guard;
use crate::store::listing::delete_all;
use crate::store::read::{Reader, Rebuilt, ShareReader};
use crate::store::sites::{Sites, claimant, identity};
use crate::store::upload::put_confirmed;
use crate::store::{Effects, Store};

/// How an object is repaired.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RepairOptions {
    /// Which records are verified first; by default none, only lengths and footers.
    pub data: Option<Subset>,
    /// Whether anything is changed.
    pub effects: Effects,
    /// Asked before the first share is read, and before shares of a segment are combined.
    pub guard: Option<Arc<Guard>>,
    /// Listens to progress.
    pub observer: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for RepairOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RepairOptions")
            .field("data", &self.data)
            .field("effects", &self.effects)
            .finish_non_exhaustive()
    }
}

/// What a repair found, and what it did about it or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairReport {
    /// The state before.
    pub found: CheckReport,
    /// Shares of which segments were written again.
    pub shares: Vec<RepairedShare>,
    /// Small objects that were written again.
    pub metadata: Vec<MetadataFault>,
    /// Shares that no backend had taken, and the backend each has now.
    pub placed: Vec<(u8, String)>,
    /// The next version of the manifest, when a share was placed.
    pub manifest: Option<Manifest>,
    /// Faults that remain, because their backend cannot be reached or there is none.
    pub remaining: Vec<ShareFault>,
}

/// What was written again of one share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairedShare {
    /// Share index.
    pub index: u8,
    /// Label of the backend.
    pub backend: String,
    /// Its segments.
    pub segments: BTreeSet<u64>,
}

impl Store {
    /// Recomputes what is lost or bad at backends that can be reached. The manifest does not change,
    /// and neither does any byte that a put had stored; but a share that no backend had taken is
    /// given one that may have it, if there is any, and the next version of the manifest says so.
    ///
    /// # Errors
    /// [`Error::ManifestExpired`], [`Error::ObjectNotFound`] for a deleted object,
    /// [`Error::Refused`] when the guard objects, [`Error::Locked`] while another operation works on
    /// the object; [`Error::InsufficientShares`] listing every chunk that cannot be recomputed, after
    /// all others were; [`Error::Backend`] or [`Error::ShareUpload`] when a backend does not take
    /// what is written; [`Error::Conflict`] when the object was changed meanwhile.
    pub async fn repair(
        &self,
        manifest: &Manifest,
        options: &RepairOptions,
    ) -> Result<RepairReport, Error> {
        let body = manifest.body();
        body.refuse_expired(self.clock.now_unix_s())?;
        if body.state != STATE_LIVE {
            let object = body.object_id;
            return Err(Error::ObjectNotFound(format!("{object} (it was deleted)")));
        }
        options.ask_guard()?;
        let _lock = match options.effects {
            Effects::Apply => self.lock(body.object_id)?,
            Effects::Preview => None,
        };
        let repairing = Repairing {
            store: self,
            manifest,
            options,
            started: Instant::now(),
        };
        let sites = self.sites(body.store_tag).await;
        if self.is_replaced(manifest, &sites).await {
            return Err(replaced());
        }
        let reader = Reader::new(body, &sites, &self.experience)?;
        let found = self
            .check_with(&reader, &sites, manifest, &options.check())
            .await?;
        let shares = damaged(&reader, &found);
        let metadata = found.metadata.iter();
        let within_reach = metadata.filter(|fault| !fault.reason.is_out_of_reach());
        // A leftover may be the good copy of a record that nobody has verified.
        let verified = options.data == Some(Subset::All);
        let certain = |fault: &&MetadataFault| verified || fault.what != Metadata::Leftover;
        let metadata = within_reach.filter(certain).cloned().collect();
        let moves = self.vacancies(manifest, &sites, options.effects).await?;
        let placed: Vec<(u8, String)> = moves
            .iter()
            .map(|to| (to.index, to.to.label().to_owned()))
            .collect();
        let mut report = RepairReport {
            shares,
            metadata,
            remaining: remaining(&found, &placed),
            placed,
            manifest: None,
            found,
        };
        if options.effects == Effects::Preview {
            return Ok(report);
        }
        repairing.apply(&report, &reader, sites).await?;
        if !moves.is_empty() {
            self.refuse_not_newest(manifest).await?;
            let sites = self.sites(body.store_tag).await;
            let observer = options.observer.as_deref();
            let (next, _) = self.relocate(manifest, &moves, &sites, observer).await?;
            report.manifest = Some(next);
        }
        Ok(report)
    }
}

impl Store {
    /// Whether a later version has given up the dealing of `manifest`.
    async fn is_replaced(&self, manifest: &Manifest, sites: &Sites) -> bool {
        let body = manifest.body();
        let places = self.places_of(body, &sites.known);
        let copies = self.copies(&places, Wanted::of(body)).await;
        let later = copies.manifests.iter().map(Manifest::body);
        let newest = later.max_by_key(|later| self.rank(later));
        newest.is_some_and(|newest| {
            let given_up = newest.put_id != body.put_id || newest.state != STATE_LIVE;
            self.rank(newest) > self.rank(body) && given_up
        })
    }
}

fn replaced() -> Error {
    Error::Conflict("the object was replaced or deleted meanwhile".into())
}

impl RepairOptions {
    fn ask_guard(&self) -> Result<(), Error> {
        let guard = self.guard.as_ref();
        guard
            .map_or(Ok(()), |guard| guard())
            .map_err(Error::Refused)
    }

    fn check(&self) -> CheckOptions {
        CheckOptions {
            data: self.data,
            guard: None,
            observer: None,
        }
    }
}

/// Segments to write again, of every share whose backend answers.
fn damaged(reader: &Reader, found: &CheckReport) -> Vec<RepairedShare> {
    let repaired = found.shares.iter().filter_map(|share| {
        let out_of_reach = |fault: &ShareFault| fault.segment.is_none();
        if share.faults.is_empty() || share.faults.iter().any(out_of_reach) {
            return None;
        }
        Some(RepairedShare {
            index: share.index,
            backend: reader.of(share.index).next()?.label.clone(),
            segments: share.faults.iter().filter_map(|f| f.segment).collect(),
        })
    });
    repaired.collect()
}

fn remaining(found: &CheckReport, placed: &[(u8, String)]) -> Vec<ShareFault> {
    let placed = |share: &&CheckedShare| !placed.iter().any(|(index, _)| *index == share.index);
    let faults = found
        .shares
        .iter()
        .filter(placed)
        .flat_map(|share| &share.faults);
    let whole = faults.filter(|fault| fault.segment.is_none());
    whole.cloned().collect()
}

/// Segments and bytes that were written of each share.
type Written = BTreeMap<u8, (usize, u64)>;

struct Repairing<'a> {
    store: &'a Store,
    manifest: &'a Manifest,
    options: &'a RepairOptions,
    started: Instant,
}

impl Repairing<'_> {
    async fn apply(
        &self,
        report: &RepairReport,
        reader: &Reader,
        sites: Sites,
    ) -> Result<(), Error> {
        let rebuilt = self.rebuild_all(report, reader).await;
        let sites = self.restore_identities(report, sites).await?;
        self.restore_indexes(&sites).await?;
        self.remove_leftovers(report, &sites).await?;
        self.restore_copies(report, &sites).await?;
        self.yield_to_a_later_version(report, reader, &sites)
            .await?;
        rebuilt
    }

    /// Writes every damaged segment that can be recomputed, and tells which shares are whole again.
    async fn rebuild_all(&self, report: &RepairReport, reader: &Reader) -> Result<(), Error> {
        let mut written = Written::new();
        let rebuilt = self.rebuild_into(&mut written, report, reader).await;
        for share in &report.shares {
            let (segments, bytes) = written.get(&share.index).copied().unwrap_or_default();
            let end = if segments == share.segments.len() {
                Status::Complete
            } else {
                Status::Failed
            };
            self.report(share.index, &share.backend, end, bytes);
        }
        rebuilt
    }

    /// Counts what is written in `written`; at the end names the chunks that cannot be recomputed.
    async fn rebuild_into(
        &self,
        written: &mut Written,
        report: &RepairReport,
        reader: &Reader,
    ) -> Result<(), Error> {
        let mut lost: BTreeMap<u64, Vec<ShareIndex>> = BTreeMap::new();
        for share in &report.shares {
            let index = ShareIndex::try_new(share.index, reader.dealing.layout.access)?;
            for segment in &share.segments {
                lost.entry(*segment).or_default().push(index);
            }
        }
        let distrusted: BTreeSet<ShareFault> = report.found.faults().cloned().collect();
        let (mut chunks, mut faults) = (Vec::new(), BTreeSet::new());
        for (segment, indices) in lost {
            self.options.ask_guard()?;
            match reader.rebuild(segment, &indices, &distrusted).await {
                Ok(rebuilt) => {
                    for part in rebuilt {
                        let (segments, bytes) = written.entry(part.index.get()).or_default();
                        *bytes += part.object.len() as u64;
                        self.replace(reader, segment, part, *bytes).await?;
                        *segments += 1;
                    }
                }
                Err(Error::InsufficientShares(shortage)) => {
                    chunks.extend(shortage.chunks);
                    faults.extend(shortage.faults);
                }
                Err(error) => return Err(error),
            }
        }
        if chunks.is_empty() {
            return Ok(());
        }
        Err(Error::InsufficientShares(Shortage {
            needed: self.manifest.body().k,
            chunks,
            faults: faults.into_iter().collect(),
        }))
    }

    /// Writes one object, beside a bad one before the bad one goes.
    async fn replace(
        &self,
        reader: &Reader,
        segment: u64,
        rebuilt: Rebuilt,
        written: u64,
    ) -> Result<(), Error> {
        let Some(share) = reader.of(rebuilt.index.get()).next() else {
            return Ok(());
        };
        self.report(share.index.get(), &share.label, Status::Uploading, written);
        let first_chunk = reader.geometry.chunks_of(segment).start;
        let (named, root) = match share.segment(&reader.geometry, segment).await {
            Ok((attempt, root)) => (attempt, Some(root)),
            // The index is lost with the object; the share's root decides once all is written.
            Err(_) => (0, None),
        };
        if root.is_some_and(|root| root != rebuilt.root) {
            return Err(Error::Reconstruction { chunk: first_chunk });
        }
        let backend = &*share.site.backend;
        let key = share.segment_key(segment, named);
        let (object, footer_len) = (rebuilt.object, rebuilt.footer_len);
        let attempts = share.attempts(segment).await;
        let mut others = attempts.map_err(|reason| refused(share, reason))?;
        if others.contains(&named) {
            let beside = others.last().and_then(|highest| highest.checked_add(1));
            let beside = beside.ok_or_else(|| Error::Conflict("no attempt is left".into()))?;
            let copy = share.segment_key(segment, beside);
            put_confirmed(backend, &copy, object.clone(), footer_len).await?;
            backend.delete(std::slice::from_ref(&key)).await?;
            others.push(beside);
        }
        put_confirmed(backend, &key, object, footer_len).await?;
        others.retain(|attempt| *attempt != named);
        let others: Vec<ObjectKey> = others
            .into_iter()
            .map(|attempt| share.segment_key(segment, attempt))
            .collect();
        Ok(backend.delete(&others).await?)
    }

    /// Gives backends that have lost their identity the one that the manifest names.
    async fn restore_identities(
        &self,
        report: &RepairReport,
        sites: Sites,
    ) -> Result<Sites, Error> {
        let body = self.manifest.body();
        let lost = |label: &str| {
            let mut metadata = report.metadata.iter();
            metadata.any(|fault| fault.what == Metadata::Identity && fault.backend == label)
        };
        let lost: Vec<_> = body.stored().filter(|(_, at)| lost(&at.label)).collect();
        if lost.is_empty() {
            return Ok(sites);
        }
        for (_, at) in lost {
            if let Some(stranger) = sites.stranger(&at.label) {
                let key = names::backend_uid(body.store_tag);
                let uid = identity(at.backend);
                let len = uid.len();
                put_confirmed(&*stranger.backend, &key, uid, len).await?;
            }
        }
        Ok(self.store.sites(body.store_tag).await)
    }

    async fn restore_indexes(&self, sites: &Sites) -> Result<(), Error> {
        let body = self.manifest.body();
        // A new reader: what the old one knows of indexes is from before the repair.
        let reader = Reader::new(body, sites, &self.store.experience)?;
        for (entry, _) in body.stored() {
            let Some(share) = reader.of(entry.index).next() else {
                continue;
            };
            let bad = share.bad_index(&reader.geometry).await;
            if bad.is_none_or(FaultReason::is_out_of_reach) {
                continue;
            }
            // It cannot be made while segments are missing; those are told already.
            let Ok(index) = share.rebuild_index(&reader.geometry).await else {
                continue;
            };
            let (key, bytes) = (share.index_key(), Bytes::from(index.encode()));
            rewrite(&*share.site.backend, &key, bytes).await?;
        }
        Ok(())
    }

    /// Where the object named by the index was found good, no other attempt is needed. What replaced a
    /// bad one saw to its own; and where none could be made, another attempt may be all that is left.
    async fn remove_leftovers(&self, report: &RepairReport, sites: &Sites) -> Result<(), Error> {
        let reader = Reader::new(self.manifest.body(), sites, &self.store.experience)?;
        let leftovers = report.metadata.iter();
        for fault in leftovers.filter(|fault| fault.what == Metadata::Leftover) {
            let of = report.found.shares.iter();
            let mut of = of.filter(|share| share.backend.as_ref() == Some(&fault.backend));
            let Some(found) = of.next() else { continue };
            let Some(share) = reader.of(found.index).next() else {
                continue;
            };
            let left = share.leftovers(&reader.geometry).await;
            let mut left = left.map_err(|reason| refused(share, reason))?;
            left.retain(|(segment, _)| found.is_good(*segment));
            let left: Vec<ObjectKey> = left.into_iter().map(|(_, key)| key).collect();
            share.site.backend.delete(&left).await?;
        }
        Ok(())
    }

    async fn restore_copies(&self, report: &RepairReport, sites: &Sites) -> Result<(), Error> {
        let body = self.manifest.body();
        let copies = report.metadata.iter();
        for fault in copies.filter(|fault| fault.what == Metadata::Manifest) {
            let at = body.stored().find(|(_, at)| at.label == fault.backend);
            let Some((_, at)) = at else { continue };
            let Some(site) = claimant(&sites.known, at.backend, &at.label) else {
                continue;
            };
            let hash = self.manifest.hash();
            let key = names::manifest(body.store_tag, at.manifest_prefix, body.version, hash);
            let bytes = Bytes::copy_from_slice(self.manifest.envelope());
            rewrite(&*site.attached.backend, &key, bytes).await?;
        }
        Ok(())
    }

    /// Whoever replaced or deleted the object while it was repaired removed its shares: what was
    /// written after that is removed here.
    async fn yield_to_a_later_version(
        &self,
        report: &RepairReport,
        reader: &Reader,
        sites: &Sites,
    ) -> Result<(), Error> {
        if !self.store.is_replaced(self.manifest, sites).await {
            return Ok(());
        }
        for repaired in &report.shares {
            for share in reader.of(repaired.index).take(1) {
                delete_all(&*share.site.backend, &share.names()).await?;
            }
        }
        Err(replaced())
    }

    fn report(&self, share_index: u8, backend: &str, status: Status, bytes_transferred: u64) {
        if let Some(observer) = &self.options.observer {
            observer.progress(&ProgressEvent {
                backend_id: backend.to_owned(),
                share_index,
                total_shares: self.manifest.body().n,
                status,
                bytes_transferred,
                total_bytes: None,
                duration: self.started.elapsed(),
            });
        }
    }
}

/// Replaces a small object that can be made again at any time, so that nothing is lost in between.
async fn rewrite(backend: &dyn StorageBackend, key: &ObjectKey, bytes: Bytes) -> Result<(), Error> {
    let len = bytes.len();
    backend.delete(std::slice::from_ref(key)).await?;
    put_confirmed(backend, key, bytes, len).await
}

/// A backend that does not answer while it is written to.
fn refused(share: &ShareReader, reason: FaultReason) -> Error {
    match reason {
        FaultReason::Backend(kind) => BackendError::new(kind.0, &share.label).into(),
        _ => Error::ShareUpload {
            backend: share.label.clone(),
        },
    }
}
