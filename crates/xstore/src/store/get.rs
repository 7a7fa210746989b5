//! get: any k shares back into the stream that was put, verified before and after.
//!
//! Bytes are released chunk by chunk, each after its shares verified; the trailer decides at the
//! end whether the whole is what was stored. So a caller who needs all or nothing writes to a
//! [`crate::part_file::PartFile`] and gives it its name only after `get` returned.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use crate::error::{Error, ShareFault};
use crate::manifest::{Manifest, STATE_LIVE};
use crate::planted::{self, Bug};
use crate::progress::{Observer, ProgressEvent, Status};
use crate::store::Store;
use crate::store::put::panicked;
use crate::store::read::{Chunks, Reader};
use crate::trailer::Trailer;

/// Asked before every release of bytes and once more at the end; an error stops the read.
pub type Guard = dyn Fn() -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send + Sync;

/// A [`Guard`] that never objects.
#[must_use]
pub fn always() -> Arc<Guard> {
    Arc::new(|| Ok(()))
}

/// How an object is read.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct GetOptions {
    /// Asked before every release; none objects by default.
    pub guard: Option<Arc<Guard>>,
    /// Listens to progress.
    pub observer: Option<Arc<dyn Observer>>,
}

impl fmt::Debug for GetOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetOptions").finish_non_exhaustive()
    }
}

/// What a read found on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetReport {
    /// Payload bytes written.
    pub len_bytes: u64,
    /// Shares that could not be used and were replaced by others.
    pub faults: Vec<ShareFault>,
}

/// Short chunks that an error lists; after so many nothing more is read.
const MAX_SHORT: usize = u16::MAX as usize;

/// A read under way.
pub(crate) struct Getting<'a> {
    store: &'a Store,
    manifest: Manifest,
    pub(crate) reader: Reader,
    output: &'a mut (dyn AsyncWrite + Unpin + Send),
    options: &'a GetOptions,
    started: Instant,
    pub(crate) written: u64,
    pub(crate) faults: BTreeSet<ShareFault>,
    short: Vec<(u64, u8)>,
    ended: bool,
}

impl Store {
    /// Writes the whole object to `output`.
    ///
    /// # Errors
    /// [`Error::ManifestExpired`]; [`Error::InsufficientShares`] listing every short chunk;
    /// [`Error::Replaced`] when the object was put again or deleted meanwhile;
    /// [`Error::PayloadHmac`], [`Error::Padding`] or [`Error::Reconstruction`] when the shares are
    /// authentic but not what a put writes; [`Error::Refused`] when the guard objects;
    /// [`Error::Output`] when the output fails.
    pub async fn get(
        &self,
        manifest: &Manifest,
        output: &mut (dyn AsyncWrite + Unpin + Send),
        options: &GetOptions,
    ) -> Result<GetReport, Error> {
        let mut getting = self.getting(manifest, output, options).await?;
        let geometry = getting.reader.geometry;
        let mut payload = Sha256::new();
        let (mut padded, mut padding_is_zero) = (false, true);
        let mut trailer = None;
        let mut next = getting.fetch(geometry.chunks_of(0));
        for segment in 0..geometry.segments() {
            let chunks = getting.settle(geometry.chunks_of(segment), next).await?;
            let following = (segment + 1).min(geometry.segments() - 1);
            // The next segment travels while this one is written; after the last there is none.
            next = if following == segment {
                tokio::spawn(async { Ok(Chunks::none()) })
            } else {
                getting.fetch(geometry.chunks_of(following))
            };
            let opened = getting.take(chunks);
            if getting.short.len() >= MAX_SHORT {
                break;
            }
            for (chunk, secret) in geometry.chunks_of(segment).zip(&opened) {
                if chunk == geometry.data_chunks() {
                    trailer = <&[u8; Trailer::LEN]>::try_from(secret.valid())
                        .ok()
                        .map(Trailer::decode);
                    continue;
                }
                // After the first byte of padding no byte of payload can follow.
                let resumed = padded && !secret.valid().is_empty();
                padding_is_zero &= secret.padding_is_zero() && !resumed;
                padded |= secret.valid().len() < secret.data_len();
                payload.update(secret.valid());
                getting.release(secret.valid()).await?;
            }
        }
        getting.all_read()?;
        let body = getting.manifest.body();
        let len_bytes = getting.written;
        let trailer = trailer.ok_or(Error::PayloadHmac)?;
        if !trailer.verifies(body.object_id, body.put_id, len_bytes, payload)
            && !planted::is(Bug::SkipTrailer)
        {
            return Err(Error::PayloadHmac);
        }
        let expected_len = geometry.layout().padded_len(len_bytes)?;
        if !padding_is_zero || expected_len != geometry.padded_len() {
            return Err(Error::Padding);
        }
        getting.end().await
    }

    /// Writes the bytes of the half-open range `range` to `output`; fewer when the object ends
    /// earlier. Only the chunks of the range are fetched, and never the trailer: it would confirm
    /// guesses about all the rest.
    ///
    /// # Errors
    /// As [`Store::get`], but for what only the trailer can tell.
    pub async fn get_range(
        &self,
        manifest: &Manifest,
        range: Range<u64>,
        output: &mut (dyn AsyncWrite + Unpin + Send),
        options: &GetOptions,
    ) -> Result<GetReport, Error> {
        let mut getting = self.getting(manifest, output, options).await?;
        let geometry = getting.reader.geometry;
        let chunk_len = u64::from(geometry.layout().chunk_len());
        let range = range.start..range.end.min(geometry.padded_len());
        if range.start >= range.end {
            return getting.end().await;
        }
        let wanted = range.start / chunk_len..range.end.div_ceil(chunk_len);
        let first = geometry.segment_of(wanted.start);
        for segment in first..=geometry.segment_of(wanted.end - 1) {
            let all = geometry.chunks_of(segment);
            let chunks = all.start.max(wanted.start)..all.end.min(wanted.end);
            let read = getting.fetch(chunks.clone());
            let read = getting.settle(chunks.clone(), read).await?;
            for (chunk, secret) in chunks.zip(&getting.take(read)) {
                let start = chunk * chunk_len;
                let valid = secret.valid();
                let within = |at: u64| {
                    usize::try_from(at.saturating_sub(start))
                        .unwrap_or(usize::MAX)
                        .min(valid.len())
                };
                getting
                    .release(&valid[within(range.start)..within(range.end)])
                    .await?;
            }
        }
        getting.all_read()?;
        getting.end().await
    }

    pub(crate) async fn getting<'a>(
        &'a self,
        manifest: &Manifest,
        output: &'a mut (dyn AsyncWrite + Unpin + Send),
        options: &'a GetOptions,
    ) -> Result<Getting<'a>, Error> {
        let body = manifest.body();
        body.refuse_expired(self.clock.now_unix_s())?;
        let sites = self.sites_for_reading(body.store_tag, body.k.into()).await;
        let mut reader = Reader::new(body, &sites, &self.experience)?;
        if reader.missing().next().is_some() && !sites.late.is_empty() {
            // One that was not waited for may be it, under another label.
            reader = Reader::new(body, &self.sites(body.store_tag).await, &self.experience)?;
        }
        let needed = reader.dealing.layout.access.threshold();
        if reader.reachable() < usize::from(needed) {
            // Nothing can be read: say so at once instead of for every chunk.
            let good = u8::try_from(reader.reachable()).unwrap_or(u8::MAX);
            let chunks = (0..reader.geometry.chunks().min(MAX_SHORT as u64)).map(|c| (c, good));
            return Err(reader.shortage(chunks.collect(), BTreeSet::new()));
        }
        let faults = reader.missing().cloned().collect();
        let started = Instant::now();
        Ok(Getting {
            store: self,
            manifest: manifest.clone(),
            reader,
            output,
            options,
            started,
            written: 0,
            faults,
            short: Vec::new(),
            ended: false,
        })
    }
}

impl Getting<'_> {
    /// Starts to read chunks of one segment.
    pub(crate) fn fetch(&self, chunks: Range<u64>) -> JoinHandle<Result<Chunks, Error>> {
        let (reader, faults) = (self.reader.clone(), self.faults.clone());
        tokio::spawn(async move { reader.read(chunks, &[], &faults).await })
    }

    /// What `read` gave of `chunks`; where that is too little, what a later version of the same payload
    /// gives: a refresh or a migration may have taken the old shares away.
    pub(crate) async fn settle(
        &mut self,
        chunks: Range<u64>,
        read: JoinHandle<Result<Chunks, Error>>,
    ) -> Result<Chunks, Error> {
        let mut read = read.await.map_err(panicked)??;
        while !read.short.is_empty() && self.follow().await? {
            read = self.fetch(chunks.clone()).await.map_err(panicked)??;
        }
        Ok(read)
    }

    /// Goes on with the newest version where that is a later one; whether it is.
    ///
    /// # Errors
    /// [`Error::Replaced`] when it has another payload, or none.
    async fn follow(&mut self) -> Result<bool, Error> {
        // Where nobody can say which is the newest, what is missing is told.
        let Ok(Some(newest)) = self.store.latest(&self.manifest).await else {
            return Ok(false);
        };
        let (old, new) = (self.manifest.body(), newest.body());
        if self.store.rank(new) <= self.store.rank(old) {
            return Ok(false);
        }
        let is_same = new.state == STATE_LIVE
            && new.has_payload_of(old.put_id)
            && new.extension == old.extension
            && new.geometry()? == self.reader.geometry;
        if !is_same {
            let version = new.version;
            return Err(Error::Replaced { version });
        }
        new.refuse_expired(self.store.clock.now_unix_s())?;
        if new.put_id != old.put_id {
            // What was wrong with the old shares is no longer of interest.
            self.faults.clear();
        }
        let sites = self.store.sites(new.store_tag).await;
        self.reader = Reader::new(new, &sites, &self.store.experience)?;
        self.manifest = newest;
        Ok(true)
    }

    /// Notes what was wrong; gives the chunks only while all before them were whole.
    fn take(&mut self, chunks: Chunks) -> Vec<crate::chunk::OpenedChunk> {
        self.faults.extend(chunks.faults);
        let room = MAX_SHORT.saturating_sub(self.short.len());
        self.short.extend(chunks.short.into_iter().take(room));
        if self.short.is_empty() {
            chunks.opened.into_iter().flatten().collect()
        } else {
            Vec::new()
        }
    }

    pub(crate) async fn release(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.ask_guard()?;
        self.output.write_all(bytes).await.map_err(output_failed)?;
        self.written += bytes.len() as u64;
        self.report(Status::Downloading);
        Ok(())
    }

    fn ask_guard(&self) -> Result<(), Error> {
        self.options
            .guard
            .as_ref()
            .map_or(Ok(()), |guard| guard())
            .map_err(Error::Refused)
    }

    fn all_read(&mut self) -> Result<(), Error> {
        if self.short.is_empty() {
            return Ok(());
        }
        let (short, faults) = (
            std::mem::take(&mut self.short),
            std::mem::take(&mut self.faults),
        );
        Err(self.reader.shortage(short, faults))
    }

    pub(crate) async fn end(mut self) -> Result<GetReport, Error> {
        self.ask_guard()?;
        self.output.flush().await.map_err(output_failed)?;
        self.report(Status::Complete);
        self.ended = true;
        let faults = std::mem::take(&mut self.faults).into_iter().collect();
        Ok(GetReport {
            len_bytes: self.written,
            faults,
        })
    }

    /// Reading has one stream of bytes, told under the name of the output.
    fn report(&self, status: Status) {
        if let Some(observer) = &self.options.observer {
            observer.progress(&ProgressEvent {
                backend_id: "output".into(),
                share_index: 0,
                total_shares: 1,
                status,
                bytes_transferred: self.written,
                total_bytes: Some(self.reader.geometry.padded_len()),
                duration: self.started.elapsed(),
            });
        }
    }
}

/// Whatever ends a read before its end, also that nobody waits for it any more, is told.
impl Drop for Getting<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.report(Status::Failed);
        }
    }
}

fn output_failed(source: std::io::Error) -> Error {
    Error::Output {
        what: "the output".into(),
        source,
    }
}
