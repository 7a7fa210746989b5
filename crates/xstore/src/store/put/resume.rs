//! Resuming: what a put that stopped has finished stays, and everything else is dealt again.
//!
//! Order of effects: what holders have beside finished segments is removed, an index object among it;
//! the next attempt number is noted on disk; from there it is a put like any other. The source is read
//! again from its first byte, because the trailer holds a digest of all of it, and every finished
//! segment must have the HMAC that was noted: shares of two sources never stand in one object. What
//! one holder lacks is recomputed from the others, as for a spare; what fewer than k have is lost, and
//! the put starts from nothing. The segment with the trailer never counts as finished: so an object of
//! one segment, which has no index to name an attempt, only ever has the first.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use xorida_core::{SALT_LEN, TAG_LEN};

use crate::backend::{BackendError, BackendErrorKind, StorageBackend};
use crate::chunk::{ChunkSecret, Dealing};
use crate::error::Error;
use crate::geometry::Layout;
use crate::ids::{BackendUid, ManifestHash, ObjectId, Prefix, SegmentMac, StoreTag};
use crate::journal::{Checkpoint, Entry, Finished, Intent, Place, Plan};
use crate::names;
use crate::placement::{self, FailureDomain};
use crate::progress::Status;
use crate::segment::{FOOTER_HEADER_LEN, Index};
use crate::store::Store;
use crate::store::deal::segment_mac;
use crate::store::gc::GRACE;
use crate::store::listing::{delete_keys, for_each_page};
use crate::store::put::slots::{Happy, Holder, Slots};
use crate::store::put::{Putting, panicked};
use crate::store::sites::Site;
use crate::store::source::Batch;

/// What becomes of a put that stops, and of one of the same object that stopped before.
///
/// The same object is one of the same name, or without a name of the same note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Resumption {
    /// Both are removed.
    #[default]
    Never,
    /// What is finished is kept for a day when the put stops because of its backends, or with its
    /// process; what stopped before is removed.
    Allow,
    /// As [`Resumption::Allow`], and a put that stopped goes on, if there is one. The source must
    /// give the same bytes again, and the layout and the backends must be the same.
    Resume,
}

/// A put that stopped before its manifest.
pub(super) struct Stopped {
    entry: Entry,
    checkpoint: Checkpoint,
}

/// A stopped put that goes on.
pub(super) struct TakenUp {
    pub(super) entry: Entry,
    pub(super) checkpoint: Checkpoint,
    pub(super) dealing: Dealing,
    pub(super) slots: Slots,
}

/// Answers of all backends of a store, in its order.
type Answers = [Result<Site, BackendError>];

impl Store {
    /// Whether a put of `name`, or of an object without a name under `note`, stopped and can go on.
    ///
    /// # Errors
    /// [`Error::Input`] when the journal cannot be read, [`Error::KeyMissing`] without keys.
    pub fn can_resume(&self, name: Option<&str>, note: Option<&str>) -> Result<bool, Error> {
        let keys = self.keys()?;
        let named = name.map(|name| keys.named_object(name));
        Ok(self.stopped(named, note)?.is_some())
    }

    /// Whether recovery leaves a put alone: something of it is finished, and no collector can have
    /// taken it for abandoned.
    pub(crate) fn is_resumable(&self, entry: &Entry) -> Result<bool, Error> {
        let checkpoint = entry.checkpoint(self.keys.as_ref())?;
        let last = checkpoint.and_then(|checkpoint| Some(checkpoint.finished.last()?.at_unix_s));
        let now = self.clock.now_unix_s();
        Ok(last.is_some_and(|last| now.saturating_sub(last) < GRACE.as_secs()))
    }

    /// The put of the same object that stopped.
    pub(super) fn stopped(
        &self,
        named: Option<ObjectId>,
        note: Option<&str>,
    ) -> Result<Option<Stopped>, Error> {
        let Some(journal) = &self.journal else {
            return Ok(None);
        };
        let is_same = |intent: &Intent| match named {
            Some(object_id) => intent.object_id == object_id,
            None => note.is_some() && intent.note.as_deref() == note,
        };
        let mut entries = journal.abandoned()?.into_iter().flatten();
        while let Some(entry) = entries.find(|entry| is_same(&entry.intent)) {
            if let Some(checkpoint) = entry.checkpoint(self.keys.as_ref())? {
                return Ok(Some(Stopped { entry, checkpoint }));
            }
        }
        Ok(None)
    }

    /// Removes a put that stopped; what cannot be removed now is left to the next recovery.
    pub(super) async fn discard(&self, stopped: Stopped) -> Result<(), Error> {
        stopped.entry.forget_checkpoint()?;
        let sites = self.sites(stopped.entry.intent.store_tag).await;
        let _ = self.undo(stopped.entry, &sites).await;
        Ok(())
    }

    /// Goes on with a put that stopped; `None` when too little of it is left, and it is discarded.
    ///
    /// # Errors
    /// [`Error::Config`] when layout or backends are others, [`Error::Conflict`] when another version
    /// of the object was stored meanwhile, [`Error::ZoneQuorum`], [`Error::InsufficientBackends`]:
    /// what stopped stays as it is.
    pub(super) async fn take_up(
        &self,
        mut stopped: Stopped,
        (layout, happy): (Layout, Happy),
        follows: Option<ManifestHash>,
        answers: &Answers,
    ) -> Result<Option<TakenUp>, Error> {
        let (intent, plan) = (&stopped.entry.intent, &stopped.checkpoint.plan);
        refuse_other_layout(intent, plan, layout)?;
        if plan.follows != follows {
            return Err(Error::Conflict(
                "another version was stored since the put stopped: put without resuming".into(),
            ));
        }
        let dealing = Dealing {
            layout,
            object_id: intent.object_id,
            put_id: intent.put_id,
        };
        let (mut slots, absent) = self.slots_of(intent, plan, (layout, happy), answers)?;
        let finished = &stopped.checkpoint.finished;
        let whole = clear(&mut slots, intent.store_tag, finished, &absent).await?;
        if whole < usize::from(intent.k) {
            self.discard(stopped).await?;
            return Ok(None);
        }
        stopped.checkpoint.begin_run(slots.noted())?;
        Ok(Some(TakenUp {
            entry: stopped.entry,
            checkpoint: stopped.checkpoint,
            dealing,
            slots,
        }))
    }

    /// The slots as they were: whoever was sent an index is sent no other. Those that do not answer
    /// now come with the kind of their failure.
    fn slots_of(
        &self,
        intent: &Intent,
        plan: &Plan,
        (layout, happy): (Layout, Happy),
        answers: &Answers,
    ) -> Result<(Slots, BTreeMap<BackendUid, BackendErrorKind>), Error> {
        let mut absent = BTreeMap::new();
        let mut holder_at = |place: &Place| {
            let answered = answers.iter().flatten();
            let mut answered = answered.filter(|site| site.uid == place.backend);
            let site = match answered.next() {
                Some(site) => site.clone(),
                None => {
                    // One that does not answer is taken to be the one that had its label.
                    let mut configured = self.backends.iter().zip(answers);
                    let silent = configured.find(|(site, _)| site.backend.id() == place.label);
                    let (attached, failure) =
                        silent.and_then(|(site, answer)| Some((site, answer.as_ref().err()?)))?;
                    absent.insert(place.backend, failure.kind);
                    Site {
                        uid: place.backend,
                        attached: attached.clone(),
                    }
                }
            };
            let label = site.label().to_owned();
            let place = Place {
                label,
                ..place.clone()
            };
            Some(Holder { site, place })
        };
        let place_of = |uid| intent.places.iter().find(|place| place.backend == uid);
        let mut sent = Vec::new();
        for to in &plan.sent {
            let holder = place_of(to.backend).and_then(&mut holder_at);
            sent.push((to.index, holder.ok_or_else(other_backends)?));
        }
        let was_sent = |place: &&Place| plan.sent.iter().any(|to| to.backend == place.backend);
        let unused = intent.places.iter().filter(|place| !was_sent(place));
        let spares: Vec<Holder> = unused.filter_map(&mut holder_at).collect();
        let spares = spares.into_iter();
        let spares = spares.filter(|spare| !absent.contains_key(&spare.place.backend));

        let domains = sent.iter().map(|(index, holder)| (*index, holder.domain()));
        let held: Vec<(u8, &FailureDomain)> = domains.collect();
        let quorum = placement::check(intent.k, &held);
        if !quorum.is_empty() {
            return Err(Error::ZoneQuorum(quorum));
        }
        let slots = Slots::taken_up(layout.access, happy, sent, spares.collect())?;
        Ok((slots, absent))
    }
}

fn refuse_other_layout(intent: &Intent, plan: &Plan, layout: Layout) -> Result<(), Error> {
    let now = (
        layout.access.threshold(),
        layout.access.share_count(),
        layout.chunk_len(),
        layout.padding.id(),
        layout.mode.id(),
    );
    let then = (intent.k, plan.n, plan.chunk_len, plan.padding, plan.mode);
    if then == now {
        return Ok(());
    }
    Err(Error::Config(
        "the put that stopped has another threshold, share count, chunk size, padding or mode: give the \
         same, or put without resuming to discard it"
            .into(),
    ))
}

fn other_backends() -> Error {
    Error::Config(
        "the put that stopped has other backends: give the same, or put without resuming to \
         discard it"
            .into(),
    )
}

/// How much of the finished segments a holder has.
enum Left {
    Everything,
    Part,
    /// A collector has marked it, and may remove it at any time.
    Marked,
}

/// Makes the holders ready to go on; how many of them have all finished segments, none once a
/// collector is at work.
async fn clear(
    slots: &mut Slots,
    tag: StoreTag,
    finished: &[Finished],
    absent: &BTreeMap<BackendUid, BackendErrorKind>,
) -> Result<usize, Error> {
    let looks = slots.held().map(|(slot, holder)| {
        let (index, place) = (slot.index, &holder.place);
        async move {
            let left = match absent.get(&place.backend) {
                Some(kind) => Err(BackendError::new(*kind, holder.site.label())),
                None => {
                    let backend = &*holder.site.attached.backend;
                    clear_one(backend, (tag, place.share_prefix), finished).await
                }
            };
            (usize::from(index), left)
        }
    });
    let (mut whole, mut marked) = (0, false);
    let next = finished.len() as u64;
    for (share, left) in join_all(looks).await {
        match left {
            Ok(Left::Everything) => whole += 1,
            Ok(Left::Part) => slots.slots[share].lacks_before = next,
            Ok(Left::Marked) => marked = true,
            Err(failure) => slots.lose(share, next, failure.into())?,
        }
    }
    Ok(if marked { 0 } else { whole })
}

/// Removes from one holder what is not of a finished segment: attempts that lost, and an index.
async fn clear_one(
    backend: &dyn StorageBackend,
    (tag, prefix): (StoreTag, Prefix),
    finished: &[Finished],
) -> Result<Left, BackendError> {
    let (names, tombs) = (names::shares(tag, prefix), names::tombs(tag, prefix));
    let index = names::index(tag, prefix);
    let counts = |segment: u64, attempt: u32| {
        let segment = usize::try_from(segment).ok();
        let finished = segment.and_then(|segment| finished.get(segment));
        finished.is_some_and(|finished| finished.attempt == attempt)
    };
    let (mut there, mut rest, mut marked) = (BTreeSet::new(), Vec::new(), false);
    for_each_page(backend, &names, |keys| {
        for key in keys {
            let name = key.as_str().strip_prefix(&names);
            match name.and_then(names::parse_attempt) {
                Some((segment, attempt)) if counts(segment, attempt) => _ = there.insert(segment),
                Some(_) => rest.push(key),
                None if key == index => rest.push(key),
                None => marked |= key.as_str().starts_with(&tombs),
            }
        }
    })
    .await?;
    if marked {
        return Ok(Left::Marked);
    }
    delete_keys(backend, &rest).await?;
    if there.len() == finished.len() {
        Ok(Left::Everything)
    } else {
        Ok(Left::Part)
    }
}

impl Putting<'_> {
    /// The segment that was finished when the put stopped.
    pub(super) fn kept(&self, segment: u64) -> Option<Finished> {
        let checkpoint = self.checkpoint.as_ref().filter(|_| segment < self.kept)?;
        let segment = usize::try_from(segment).ok()?;
        checkpoint.finished.get(segment).cloned()
    }

    /// Compares a finished segment with what the source gives; `payload` is the digest after it.
    pub(super) async fn keep(
        &self,
        finished: &Finished,
        batch: Batch,
        mut payload: Sha256,
    ) -> Result<Sha256, Error> {
        let segment = finished.segment;
        let records = batch.data.iter().map(|data| SALT_LEN + data.share_len());
        let footer_len = FOOTER_HEADER_LEN + batch.data.len() * TAG_LEN;
        let stored_len = records.sum::<usize>() + footer_len;
        let keys = self.store.keys.clone().ok_or(Error::KeyMissing)?;
        let (put_id, ends) = (self.dealing.put_id, batch.ends);
        let compare = move || {
            let valid = || batch.data.iter().map(ChunkSecret::valid);
            let digest = || valid().for_each(|bytes| payload.update(bytes));
            let mac = || segment_mac(&keys, put_id, segment, valid());
            let (mac, ()) = rayon::join(mac, digest);
            (mac, payload)
        };
        let compared = tokio::task::spawn_blocking(compare).await;
        let (mac, payload) = compared.map_err(panicked)?;
        // A segment with the trailer is never among the finished ones.
        if ends || !bool::from(mac.0.ct_eq(&finished.plaintext.0)) {
            return Err(Error::SourceChanged { segment });
        }
        let here = self.slots.held();
        for (slot, holder) in here.filter(|(slot, _)| slot.lacks_before <= segment) {
            let share = usize::from(slot.index);
            let (label, len) = (holder.site.label(), stored_len as u64);
            self.progress.report(share, label, Status::Verifying, len);
        }
        Ok(payload)
    }

    /// Notes that a segment is at all holders.
    pub(super) async fn note_finished(&mut self, finished: Finished) -> Result<(), Error> {
        let sent = self.slots.noted();
        self.note(move |checkpoint| {
            checkpoint.send(sent)?;
            checkpoint.finish(finished)
        })
        .await
    }

    /// Notes who stepped in, before anything is sent there.
    pub(super) async fn note_holders(&mut self) -> Result<(), Error> {
        let sent = self.slots.noted();
        self.note(move |checkpoint| checkpoint.send(sent)).await
    }

    async fn note(
        &mut self,
        note: impl FnOnce(&mut Checkpoint) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let Some(mut checkpoint) = self.checkpoint.take() else {
            return Ok(());
        };
        let noting = move || {
            let noted = note(&mut checkpoint);
            (checkpoint, noted)
        };
        let noted = tokio::task::spawn_blocking(noting).await;
        let (checkpoint, noted) = noted.map_err(panicked)?;
        self.checkpoint = Some(checkpoint);
        noted
    }

    /// What a finished segment is noted as; segments are known by what `indices` say of them.
    pub(super) fn finished(
        &self,
        segment: u64,
        plaintext: SegmentMac,
        indices: &[Index],
    ) -> Finished {
        let roots = indices.iter().filter_map(|index| index.get(segment));
        Finished {
            segment,
            attempt: self.attempt(),
            at_unix_s: self.store.clock.now_unix_s(),
            plaintext,
            roots: roots.map(|(_, root)| root).collect(),
        }
    }

    /// Attempt number of the segments of this run.
    pub(super) fn attempt(&self) -> u32 {
        let checkpoint = self.checkpoint.as_ref();
        checkpoint.map_or(0, |checkpoint| checkpoint.plan.attempt)
    }

    /// Whether what is finished helps another run: it does when backends failed, or when the source
    /// was the wrong one.
    pub(super) fn can_go_on(&self, error: &Error) -> bool {
        let finished = self.checkpoint.as_ref();
        finished.is_some_and(|checkpoint| !checkpoint.finished.is_empty())
            && matches!(
                error,
                Error::Backend(_)
                    | Error::ShareUpload { .. }
                    | Error::InsufficientBackends { .. }
                    | Error::InsufficientShares(_)
                    | Error::SourceChanged { .. }
            )
    }
}

impl Entry {
    /// What of a put that begins now is finished: nothing yet.
    pub(super) fn begin_checkpoint(&self, putting: &Putting<'_>) -> Result<Checkpoint, Error> {
        let layout = putting.dealing.layout;
        let keys = putting.store.keys.clone().ok_or(Error::KeyMissing)?;
        let plan = Plan {
            attempt: 0,
            began_unix_s: putting.began_unix_s,
            n: layout.access.share_count(),
            chunk_len: layout.chunk_len(),
            padding: layout.padding.id(),
            follows: putting.replaced.as_ref().map(|manifest| manifest.hash()),
            sent: putting.slots.noted(),
            mode: layout.mode.id(),
        };
        Ok(self.new_checkpoint(keys, plan))
    }
}
