//! refresh: the same payload, dealt anew, so that an old share is worth nothing beside new ones.
//!
//! Order of effects: that of a put whose source is a read of the object itself. The source ends only
//! once the read has verified the whole, so nothing but the payload is ever committed. The new version
//! says that its payload is that of the dealing before: a reader who loses the old shares goes on with
//! the new ones. Old shares stay for a day, so that slow readers end as they began; after a leak they
//! go at once.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::future::join;
use tokio::io::{AsyncRead, DuplexStream, ReadBuf};

use crate::backend::BackendError;
use crate::error::Error;
use crate::ids::BackendUid;
use crate::manifest::{Body, Manifest};
use crate::placement::FailureDomain;
use crate::progress::Observer;
use crate::store::get::{GetOptions, Guard};
use crate::store::put::{Happy, PutOptions, Receipt, Subject, nothing_more, refreshed};
use crate::store::sites::Site;
use crate::store::{Effects, Store, check_places};

/// How long old shares stay for those who read them.
const READ_GRACE_S: u64 = 24 * 3600;

/// Bytes between the read and the put.
const STREAM_LEN: usize = 1 << 20;

/// What becomes of the old shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OldShares {
    /// They stay for a day, for those who read them now.
    #[default]
    KeepADay,
    /// They go at once, because some of them leaked; whoever reads them goes on with the new ones.
    RemoveNow,
}

/// How an object is dealt anew.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RefreshOptions {
    /// What becomes of the old shares.
    pub old_shares: OldShares,
    /// How many shares must be stored.
    pub happy: Happy,
    /// Whether anything is changed.
    pub effects: Effects,
    /// Asked before every release of bytes to the dealer.
    pub guard: Option<Arc<Guard>>,
    /// Listens to progress.
    pub observer: Option<Arc<dyn Observer>>,
}

impl fmt::Debug for RefreshOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshOptions")
            .field("old_shares", &self.old_shares)
            .field("happy", &self.happy)
            .field("effects", &self.effects)
            .finish_non_exhaustive()
    }
}

/// A share of the dealing before, which may still be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldShare {
    /// Share index.
    pub index: u8,
    /// Label of the backend that was sent it.
    pub backend: String,
}

/// What a refresh has done, or would do.
#[derive(Debug)]
pub struct RefreshReport {
    /// The put of the new dealing; `None` when nothing was changed.
    pub receipt: Option<Receipt>,
    /// Old shares that no backend has said to be deleted.
    pub remaining: Vec<OldShare>,
    /// Until when they stay for readers, in seconds since 1970.
    pub kept_until_unix_s: Option<u64>,
    /// Old shares that together are the payload.
    pub threshold: u8,
}

impl RefreshReport {
    /// Whether the old shares that leaked, with those that remain, are fewer than the threshold: from
    /// then on they say nothing. A backend that kept a copy of what it deleted counts as a leak.
    #[must_use]
    pub fn is_effective(&self, leaked: &[u8]) -> bool {
        let remaining = self.remaining.iter().map(|old| old.index);
        let known: BTreeSet<u8> = remaining.chain(leaked.iter().copied()).collect();
        known.len() < usize::from(self.threshold)
    }
}

impl Store {
    /// Deals the payload of `manifest` again, under a new dealing that never combines with the old.
    ///
    /// The backends that hold the shares keep them, one each; others of the store step in for those
    /// that fail, unless the manifest carries a document of the layer above, which may say where shares
    /// may be. Name, expiry and that document stay as they are.
    ///
    /// # Errors
    /// [`Error::KeyMissing`], [`Error::KeyMismatch`] when the object is somebody else's;
    /// [`Error::ManifestExpired`], [`Error::ObjectNotFound`] for a deleted object, [`Error::Refused`],
    /// [`Error::Locked`], [`Error::Conflict`] when `manifest` is not the newest; otherwise as
    /// [`Store::get`] and [`Store::put`]: what is read must be whole, or nothing is changed.
    pub async fn refresh(
        &self,
        manifest: &Manifest,
        options: &RefreshOptions,
    ) -> Result<RefreshReport, Error> {
        let body = manifest.body();
        let now = self.clock.now_unix_s();
        body.refuse_expired(now)?;
        let allowed = options.guard.as_ref().map_or(Ok(()), |guard| guard());
        allowed.map_err(Error::Refused)?;
        let _lock = self.lock_newest(manifest).await?;
        let kept_until_unix_s = match options.old_shares {
            OldShares::KeepADay => Some(now.saturating_add(READ_GRACE_S)),
            OldShares::RemoveNow => None,
        };
        let mut report = RefreshReport {
            receipt: None,
            remaining: old_shares(body).collect(),
            kept_until_unix_s,
            threshold: body.k,
        };
        let domains: Vec<&FailureDomain> = self.backends.iter().map(|site| &site.domain).collect();
        if options.effects == Effects::Preview {
            check_places(body.access()?, &domains)?;
            return Ok(report);
        }
        let sites = self.sites_for_writing(body.store_tag).await?;
        let subject = Subject {
            object_id: Some(body.object_id),
            layout: body.geometry()?.layout(),
            sites: holders_first(body, sites),
            replaced: Some(manifest.clone()),
            superseded: Some(refreshed(manifest, self.keys()?, kept_until_unix_s)),
            expires_unix_s: body.expires_unix_s,
        };
        let taking = subject.sites.iter().flatten();
        let domains: Vec<&FailureDomain> = taking.map(|site| &site.attached.domain).collect();
        check_places(body.access()?, &domains)?;
        let receipt = self.deal_again(manifest, subject, options).await?;
        if kept_until_unix_s.is_none() {
            report
                .remaining
                .retain(|old| receipt.pending.contains(&old.backend));
        }
        report.receipt = Some(receipt);
        Ok(report)
    }

    /// A put of what a read gives, while it gives it.
    async fn deal_again(
        &self,
        manifest: &Manifest,
        subject: Subject,
        options: &RefreshOptions,
    ) -> Result<Receipt, Error> {
        let (reader, mut writer) = tokio::io::duplex(STREAM_LEN);
        let is_whole = AtomicBool::new(false);
        let read_options = GetOptions {
            guard: options.guard.clone(),
            observer: None,
        };
        let put_options = PutOptions {
            extension: manifest
                .body()
                .extension
                .as_ref()
                .map(|blob| blob.0.clone()),
            happy: options.happy,
            len_hint: Some(manifest.body().padded_len),
            observer: options.observer.clone(),
            ..PutOptions::default()
        };
        let is_read = &is_whole;
        let read = async move {
            let read = self.get(manifest, &mut writer, &read_options).await;
            is_read.store(read.is_ok(), Ordering::Release);
            drop(writer);
            read
        };
        let mut source = Verified {
            stream: reader,
            is_whole: &is_whole,
        };
        let put = async move {
            self.put_version(subject, &mut source, put_options, &mut nothing_more)
                .await
        };
        match join(read, put).await {
            (_, Ok(receipt)) => Ok(receipt),
            // The source ended too early because the read failed; or the put ended and with it the read.
            (Err(read), Err(Error::Input { .. })) => Err(read),
            (_, Err(put)) => Err(put),
        }
    }
}

/// The output of a read, as a stream that ends well only if the read did.
struct Verified<'a> {
    stream: DuplexStream,
    is_whole: &'a AtomicBool,
}

impl AsyncRead for Verified<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let ended = matches!(polled, Poll::Ready(Ok(()))) && buffer.filled().len() == before;
        if ended && room > 0 && !self.is_whole.load(Ordering::Acquire) {
            return Poll::Ready(Err(std::io::Error::other("the object was not read whole")));
        }
        polled
    }
}

/// Every share that was ever sent, with the label that its removal is told under.
fn old_shares(body: &Body) -> impl Iterator<Item = OldShare> {
    let label = |backend: BackendUid| {
        let stored = body.stored().find(|(_, at)| at.backend == backend);
        stored.map_or_else(|| backend.to_string(), |(_, at)| at.label.clone())
    };
    body.held.iter().map(move |held| OldShare {
        index: held.index,
        backend: label(held.backend),
    })
}

/// Backends that hold a share now, by its index, and behind them those that may step in.
fn holders_first(
    body: &Body,
    sites: Vec<Result<Site, BackendError>>,
) -> Vec<Result<Site, BackendError>> {
    let index = |site: &Result<Site, BackendError>| {
        let mut stored = body.stored();
        let at = stored.find(|(_, at)| match site {
            Ok(site) => at.backend == site.uid,
            Err(failure) => at.label == failure.backend,
        });
        at.map(|(share, _)| share.index)
    };
    let mut sites: Vec<(Option<u8>, Result<Site, BackendError>)> =
        sites.into_iter().map(|site| (index(&site), site)).collect();
    if body.extension.is_some() {
        sites.retain(|(index, _)| index.is_some());
    }
    sites.sort_by_key(|(index, _)| (index.is_none(), *index));
    sites.into_iter().map(|(_, site)| site).collect()
}
