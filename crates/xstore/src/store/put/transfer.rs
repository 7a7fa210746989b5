//! The transfer of a put: segment by segment to every holder, then what holders lack that stepped in.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncRead;
use tokio::task::JoinHandle;
use xorida_core::ShareIndex;

use crate::buffers::{Pool, SecretPool};
use crate::entropy::SegmentRandomness;
use crate::error::{Error, FaultReason, ShareFault};
use crate::names;
use crate::planted::{self, Bug};
use crate::progress::Status;
use crate::segment::Index;
use crate::store::deal::{DealtSegment, SegmentDealer};
use crate::store::put::{Dealt, PutOptions, Putting, panicked};
use crate::store::read::Reader;
use crate::store::sites::Sites;
use crate::store::source::ChunkSource;
use crate::store::upload::put_confirmed;

/// One segment on its way: what became of it for every share that has a holder.
type Upload = JoinHandle<Vec<Outcome>>;

/// The slot concerned, and whether its holder has the object.
type Outcome = (usize, Result<(), Error>);

/// How often a put says that it is at work.
const LEASE_EVERY_S: u64 = 3600;

impl Putting<'_> {
    /// Reads, deals and uploads; one segment travels while the next is read and dealt.
    pub(super) async fn put_segments(
        &mut self,
        source: &mut (dyn AsyncRead + Unpin + Send),
    ) -> Result<Dealt, Error> {
        let secrets = SecretPool::default();
        let mut source = ChunkSource::new(source, self.dealing.layout, secrets.clone());
        let mut travelling = None;
        let indices = self.deal_all(&mut source, secrets, &mut travelling).await;
        // Whatever happened, nothing travels any more when this returns: what failed is erased next.
        let arrived = arrived(travelling).await;
        let indices = indices?;
        let geometry = source
            .geometry()
            .ok_or(Error::ManifestInvalid("the source did not end"))?;
        self.take_losses(geometry.segments(), arrived)?;
        Ok(Dealt {
            indices,
            geometry,
            len_bytes: source.len_bytes(),
        })
    }

    async fn deal_all(
        &mut self,
        source: &mut ChunkSource<'_>,
        secrets: SecretPool,
        travelling: &mut Option<Upload>,
    ) -> Result<Vec<Index>, Error> {
        let objects = Pool::default();
        let mut payload = Sha256::new();
        let mut indices = vec![Index::default(); self.slots.slots.len()];
        let mut segment = 0;
        let mut plaintext = None;
        while let Some(batch) = source.next().await? {
            self.renew_lease().await;
            if let Some(finished) = self.kept(segment) {
                payload = self.keep(&finished, batch, payload).await?;
                for (index, root) in indices.iter_mut().zip(finished.roots) {
                    index.push(finished.attempt, root);
                }
                segment += 1;
                continue;
            }
            let mut dealer = SegmentDealer {
                dealing: self.dealing,
                segment,
                len_bytes: source.len_bytes(),
                randomness: if planted::is(Bug::ReplayOnResume) {
                    SegmentRandomness::replayed(self.dealing.put_id, segment)
                } else {
                    SegmentRandomness::draw(&*self.store.entropy)?
                },
                objects: objects.clone(),
                secrets: secrets.clone(),
                payload,
                witness: self.checkpoint.as_ref().and(self.store.keys.clone()),
            };
            let deal = move || dealer.deal(batch).map(|dealt| (dealt, dealer.payload));
            let dealt;
            (dealt, payload) = tokio::task::spawn_blocking(deal)
                .await
                .map_err(panicked)??;
            for (index, root) in indices.iter_mut().zip(&dealt.roots) {
                index.push(self.attempt(), *root);
            }
            let arrived = arrived(travelling.take()).await;
            self.take_losses(segment, arrived)?;
            if let Some(plaintext) = plaintext.take() {
                let finished = self.finished(segment - 1, plaintext, &indices);
                self.note_finished(finished).await?;
            }
            plaintext = dealt.plaintext;
            *travelling = Some(self.upload(segment, dealt, objects.clone()));
            segment += 1;
        }
        Ok(indices)
    }

    /// Says once an hour, to every holder, that this put is at work, so that no collector takes it
    /// for abandoned. A holder that is not told may lose its share, and the last look finds that.
    async fn renew_lease(&mut self) {
        let now = self.store.clock.now_unix_s();
        let hours = now.saturating_sub(self.began_unix_s) / LEASE_EVERY_S;
        if hours <= self.leased_hours {
            return;
        }
        self.leased_hours = hours;
        let tag = self.tag;
        let leases = self.slots.held().map(|(_, holder)| async move {
            let key = names::lease(tag, holder.place.share_prefix, hours);
            let backend = &holder.site.attached.backend;
            backend.put_new(&key, Bytes::from_static(b"lease")).await
        });
        join_all(leases).await;
    }

    /// Starts the upload of one segment to all holders; its buffers go back to `pool`.
    fn upload(&self, segment: u64, dealt: DealtSegment, pool: Pool) -> Upload {
        let holders = self.slots.slots.iter().map(|slot| slot.holder.clone());
        let holders: Vec<_> = holders.collect();
        let (progress, tag, attempt) = (self.progress.clone(), self.tag, self.attempt());
        tokio::spawn(async move {
            let parts = holders.iter().zip(&dealt.objects).enumerate();
            let uploads = parts.filter_map(|(share, (holder, object))| {
                let holder = holder.as_ref()?;
                let key = names::segment(tag, holder.place.share_prefix, segment, attempt);
                let (progress, footer_len) = (&progress, dealt.footer_len);
                Some(async move {
                    let label = holder.site.label();
                    progress.report(share, label, Status::Uploading, 0);
                    let backend = &*holder.site.attached.backend;
                    let stored = put_confirmed(backend, &key, object.clone(), footer_len).await;
                    if stored.is_ok() {
                        progress.report(share, label, Status::Uploading, object.len() as u64);
                    }
                    (share, stored)
                })
            });
            let outcomes = join_all(uploads).await;
            dealt
                .objects
                .into_iter()
                .for_each(|object| pool.give(object.into()));
            outcomes
        })
    }

    /// Replaces holders that failed; those that step in lack every segment before `next`.
    fn take_losses(
        &mut self,
        next: u64,
        arrived: Result<Vec<Outcome>, Error>,
    ) -> Result<(), Error> {
        for (share, outcome) in arrived? {
            if let Err(error) = outcome {
                if !error.is_of_one_backend() {
                    return Err(error);
                }
                self.slots.lose(share, next, error)?;
            }
        }
        Ok(())
    }

    /// Writes indexes, and to holders that stepped in what they lack, until all have everything.
    pub(super) async fn complete(
        &mut self,
        options: &PutOptions,
        dealt: &Dealt,
    ) -> Result<(), Error> {
        let segments = dealt.geometry.segments();
        loop {
            let outcomes = self.put_indices(dealt).await;
            self.take_losses(segments, Ok(outcomes))?;
            self.note_holders().await?;
            let behind = self.slots.held().map(|(slot, _)| slot.lacks_before).max();
            match behind.unwrap_or(0) {
                0 if self.slots.held().all(|(slot, _)| slot.has_index) => return Ok(()),
                0 => {}
                lacking => self.catch_up(options, dealt, lacking).await?,
            }
        }
    }

    /// Index objects of holders that have every segment. Objects of one segment need none: their
    /// footer gives the root.
    async fn put_indices(&mut self, dealt: &Dealt) -> Vec<Outcome> {
        let one_segment = dealt.geometry.segments() == 1;
        let tag = self.tag;
        let ready = self.slots.slots.iter_mut().enumerate();
        let ready = ready.filter(|(_, slot)| slot.lacks_before == 0 && !slot.has_index);
        let uploads = ready.filter_map(|(share, slot)| {
            let holder = slot.holder.clone()?;
            slot.has_index = true;
            let key = names::index(tag, holder.place.share_prefix);
            let bytes = Bytes::from(dealt.indices[share].encode());
            (!one_segment).then_some(async move {
                let len = bytes.len();
                let backend = &*holder.site.attached.backend;
                (share, put_confirmed(backend, &key, bytes, len).await)
            })
        });
        let uploads: Vec<_> = uploads.collect();
        join_all(uploads).await
    }

    /// Recomputes, from k shares that are stored, the segments before `lacking` for every holder
    /// that lacks them.
    async fn catch_up(
        &mut self,
        options: &PutOptions,
        dealt: &Dealt,
        lacking: u64,
    ) -> Result<(), Error> {
        let body = self.body(options, dealt)?;
        let known = self.slots.held().map(|(_, holder)| holder.site.clone());
        let sites = Sites {
            known: known.collect(),
            ..Sites::default()
        };
        let reader = Reader::new(&body, &sites, &self.store.experience)?;
        let access = self.dealing.layout.access;
        for segment in 0..lacking {
            self.renew_lease().await;
            let late: BTreeMap<u8, usize> = (0..)
                .zip(&self.slots.slots)
                .filter(|(_, slot)| slot.holder.is_some() && slot.lacks_before > segment)
                .map(|(share, slot)| (slot.index, share))
                .collect();
            let lost = late.keys().map(|index| ShareIndex::try_new(*index, access));
            let lost = lost.collect::<Result<Vec<ShareIndex>, _>>()?;
            let distrusted: BTreeSet<ShareFault> = late
                .keys()
                .filter_map(|index| reader.of(*index).next())
                .map(|share| share.fault(None, None, FaultReason::NOT_FOUND))
                .collect();
            for rebuilt in reader.rebuild(segment, &lost, &distrusted).await? {
                let share = late[&rebuilt.index.get()];
                let chunk = dealt.geometry.chunks_of(segment).start;
                let attempt = match dealt.indices[share].get(segment) {
                    Some((attempt, root)) if root == rebuilt.root => attempt,
                    _ => return Err(Error::Reconstruction { chunk }),
                };
                let Some(holder) = &self.slots.slots[share].holder else {
                    continue;
                };
                let key = names::segment(self.tag, holder.place.share_prefix, segment, attempt);
                let len = rebuilt.object.len() as u64;
                let backend = &*holder.site.attached.backend;
                let stored = put_confirmed(backend, &key, rebuilt.object, rebuilt.footer_len);
                match stored.await {
                    Ok(()) => {
                        let label = holder.site.label();
                        self.progress.report(share, label, Status::Uploading, len);
                    }
                    Err(error) => {
                        let outcomes = vec![(share, Err(error))];
                        // The one that steps in now lacks everything: the caller comes back.
                        return self.take_losses(dealt.geometry.segments(), Ok(outcomes));
                    }
                }
            }
        }
        for slot in &mut self.slots.slots {
            slot.lacks_before = 0;
        }
        Ok(())
    }
}

async fn arrived(upload: Option<Upload>) -> Result<Vec<Outcome>, Error> {
    match upload {
        Some(upload) => upload.await.map_err(panicked),
        None => Ok(Vec::new()),
    }
}
