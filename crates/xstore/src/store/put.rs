//! put: deal a stream over n backends.
//!
//! Order of effects, and what a crash after each leaves:
//! 1. the intent, on disk: nothing else yet;
//! 2. segments, each created once, read back and compared: the next run removes them, or keeps what is
//!    finished for a put that resumes this one ([`Resumption`]). A backend that fails is replaced by a
//!    spare, which is given what it lacks at the end, recomputed from others;
//! 3. index objects, likewise;
//! 4. the manifest, in the journal: from here on the next run finishes the put;
//! 5. copies of the manifest at the backends; with W of them the put is committed, unless a collector
//!    took its shares for abandoned: then one more version takes it back;
//! 6. the caller's own last step (`on_commit`); the journal notes that it is done;
//! 7. the shares of what this put replaces are removed and the journal entry is closed.

use std::sync::Arc;

use tokio::io::AsyncRead;
use xorida_core::Mode;

use crate::backend::BackendError;
use crate::chunk::Dealing;
use crate::entropy::draw;
use crate::error::Error;
use crate::geometry::{Geometry, Layout};
use crate::ids::{ObjectId, PutId, StoreTag};
use crate::journal::{Checkpoint, Entry, Former, Intent, ObjectLock, Place};
use crate::manifest::{Manifest, Superseded};
use crate::progress::{Observer, Stage};
use crate::segment::Index;
use crate::store::Store;
use crate::store::sites::Site;
use crate::store::tomb::collected;

mod body;
mod progress;
mod resume;
mod slots;
mod transfer;

pub(crate) use body::{refreshed, superseded};
pub use resume::Resumption;
pub use slots::Happy;

use progress::PutProgress;
use slots::{Holder, Slots};

/// The caller's last step before a put is acknowledged; see [`Store::put`].
pub type OnCommit<'a> = &'a mut (dyn FnMut(&Manifest) -> Result<(), Error> + Send);

/// An [`OnCommit`] that does nothing.
///
/// # Errors
/// Never.
pub const fn nothing_more(_: &Manifest) -> Result<(), Error> {
    Ok(())
}

/// How one object is put.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct PutOptions {
    /// Name under which the owner finds the object again; an existing one is replaced.
    pub name: Option<String>,
    /// A document of the layer above, carried and signed in the manifest.
    pub extension: Option<Vec<u8>>,
    /// Seconds after which the object is no longer read.
    pub ttl_s: Option<u64>,
    /// How many shares must be stored.
    pub happy: Happy,
    /// How the payload is protected; perfect by default.
    pub mode: Mode,
    /// Length of the source in bytes where it is known, for progress only.
    pub len_hint: Option<u64>,
    /// What becomes of this put when it stops, and of one that stopped before.
    pub resumption: Resumption,
    /// What recovery tells the next run if this one stops between commit and acknowledgement.
    pub note: Option<String>,
    /// Listens to progress.
    pub observer: Option<Arc<dyn Observer>>,
}

/// A put that is committed and acknowledged.
#[derive(Debug)]
pub struct Receipt {
    /// The manifest that names the object.
    pub manifest: Manifest,
    /// Payload length in bytes.
    pub len_bytes: u64,
    /// Bytes stored at all backends together.
    pub stored_bytes: u64,
    /// Backends that failed, and what they said; a spare has stepped in, or a share is missing.
    pub failures: Vec<BackendError>,
    /// Backends at which replaced shares are still to be removed, by the next run.
    pub pending: Vec<String>,
}

impl Receipt {
    /// Shares that no backend took: the object is stored, and a repair is needed.
    #[must_use]
    pub fn missing_shares(&self) -> u8 {
        let body = self.manifest.body();
        let stored = u8::try_from(body.stored().count()).unwrap_or(u8::MAX);
        body.n.saturating_sub(stored)
    }

    /// Backends whose loss the object survives as it is stored now.
    #[must_use]
    pub fn losses_survived(&self) -> u8 {
        let body = self.manifest.body();
        (body.n - body.k).saturating_sub(self.missing_shares())
    }
}

/// What is put: an object, or the next version of one.
pub(crate) struct Subject {
    /// The object; a new one where there is none.
    pub(crate) object_id: Option<ObjectId>,
    pub(crate) layout: Layout,
    /// Backends that may take a share, in order of preference, and why others may not.
    pub(crate) sites: Vec<Result<Site, BackendError>>,
    /// The version that it follows.
    pub(crate) replaced: Option<Manifest>,
    /// Dealings that it gives up.
    pub(crate) superseded: Option<Vec<Superseded>>,
    /// When it is no longer read, where that is not counted from now on.
    pub(crate) expires_unix_s: Option<u64>,
}

/// One put under way.
struct Putting<'a> {
    store: &'a Store,
    tag: StoreTag,
    dealing: Dealing,
    slots: Slots,
    replaced: Option<Manifest>,
    superseded: Option<Vec<Superseded>>,
    expires_unix_s: Option<u64>,
    progress: Arc<PutProgress>,
    began_unix_s: u64,
    /// Hours after that at which the last lease was written.
    leased_hours: u64,
    /// What is finished, where the put can be resumed.
    checkpoint: Option<Checkpoint>,
    /// Segments that were finished when it stopped.
    kept: u64,
}

/// What the segments left behind for the manifest.
struct Dealt {
    indices: Vec<Index>,
    geometry: Geometry,
    len_bytes: u64,
}

impl Store {
    /// Deals `source` over n backends and acknowledges when the manifest is committed.
    ///
    /// `on_commit` runs once the manifest is committed and before the put is acknowledged, for
    /// example to write the manifest to a file; [`nothing_more`] does nothing.
    ///
    /// # Errors
    /// Before anything is written: [`Error::KeyMissing`], [`Error::Config`], [`Error::ZoneQuorum`],
    /// [`Error::Locked`], [`Error::Rollback`], [`Error::InsufficientBackends`].
    /// [`Error::InsufficientBackends`] when fewer backends take their share than [`Happy`] asks for,
    /// [`Error::Backend`] or [`Error::ShareUpload`] when that is due to one that refuses, is full or
    /// stores something else, [`Error::Input`] when the source fails, [`Error::Random`] when the
    /// random source does, [`Error::Conflict`] when another client was faster. After any of these the
    /// put is invisible and its traces are removed, now or by the next run, unless it may be resumed.
    /// One that resumes ends with [`Error::SourceChanged`] when the source gives other bytes, and with
    /// [`Error::Config`] or [`Error::Conflict`] when it cannot go on: what had stopped stays then.
    ///
    /// Once the manifest phase is reached, an error (of `on_commit`, of too few backends, of a rival)
    /// means that the put is not acknowledged, and that the next run completes it; but one whose shares
    /// a collector took for abandoned ends with [`Error::Conflict`] and the object as it was before.
    pub async fn put(
        &self,
        source: &mut (dyn AsyncRead + Unpin + Send),
        options: PutOptions,
        on_commit: OnCommit<'_>,
    ) -> Result<Receipt, Error> {
        let keys = self.keys()?;
        let layout = self.layout()?.in_mode(options.mode);
        self.check_placement()?;
        let sites = self.sites_for_writing(keys.store_tag()).await?;
        let named = options.name.as_ref().map(|name| keys.named_object(name));
        // Held until the end: two operations of one client never race for a version.
        let _lock = named.map(|object_id| self.lock(object_id)).transpose()?;
        let replaced = match named {
            Some(object_id) => self.find_to_follow(object_id).await?,
            None => None,
        };
        let given_up = replaced.as_ref();
        let given_up = given_up.map(|replaced| superseded(replaced, keys));
        let subject = Subject {
            object_id: named,
            layout,
            sites,
            replaced,
            superseded: given_up,
            expires_unix_s: None,
        };
        self.put_version(subject, source, options, on_commit).await
    }

    /// Deals `source` as what `subject` says; the caller holds the lock of the object.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub(crate) async fn put_version(
        &self,
        subject: Subject,
        source: &mut (dyn AsyncRead + Unpin + Send),
        options: PutOptions,
        on_commit: OnCommit<'_>,
    ) -> Result<Receipt, Error> {
        let is_contested = subject.object_id.is_some();
        let (mut putting, mut entry) = self.open_put(subject, &options).await?;
        let object_id = putting.dealing.object_id;
        putting.progress.stage(Stage::Journal);
        let sealed = async {
            let sealed = putting.deal(source, &options).await?;
            putting.refuse_collected(&sealed.0).await?;
            if is_contested {
                self.refuse_overtaken(object_id, putting.replaced.as_ref())
                    .await?;
            }
            Ok(sealed)
        };
        let (manifest, len_bytes) = match sealed.await {
            Ok(sealed) => sealed,
            Err(error) => {
                putting.stop(entry, &error).await;
                return Err(error);
            }
        };
        if let Some(entry) = &mut entry {
            entry.reach_manifest(manifest.envelope())?;
        }
        // From here on nothing is taken back: a reader may see the first copy.
        putting.progress.stage(Stage::Manifest);
        let sites = self.sites(putting.tag).await.known;
        let former = putting.replaced.as_ref().map(Former::of);
        if let Err(error) = self.commit(&manifest, former.as_ref(), &sites).await {
            putting.progress.fail(&putting.slots);
            return Err(error);
        }
        let places = putting.slots.places();
        match self.is_collected(&manifest, &places, &sites).await {
            Ok(false) => {}
            Ok(true) => {
                putting.progress.fail(&putting.slots);
                self.take_back(&manifest, entry, &sites).await?;
                return Err(collected());
            }
            Err(error) => {
                putting.progress.fail(&putting.slots);
                return Err(error);
            }
        }
        putting.progress.stage(Stage::Committed);
        let finished = async {
            on_commit(&manifest)?;
            self.remember(&manifest, options.name.as_deref())?;
            if let Some(entry) = &mut entry {
                entry.reach_commit()?;
            }
            self.finish(&manifest, entry).await
        };
        let finished = finished.await;
        if finished.is_err() {
            putting.progress.fail(&putting.slots);
        }
        let pending = finished?;
        let stored_bytes = putting.progress.done(&putting.slots);
        let failures = putting.slots.failures.into_iter();
        Ok(Receipt {
            manifest,
            len_bytes,
            stored_bytes,
            failures: failures.filter_map(Error::into_backend).collect(),
            pending,
        })
    }

    /// A put that goes on, or a new one; and its intent on disk.
    async fn open_put(
        &self,
        subject: Subject,
        options: &PutOptions,
    ) -> Result<(Putting<'_>, Option<Entry>), Error> {
        let Subject {
            object_id,
            layout,
            sites,
            replaced,
            superseded,
            expires_unix_s,
        } = subject;
        let taken_up = match self.stopped(object_id, options.note.as_deref())? {
            Some(stopped) if options.resumption == Resumption::Resume => {
                let follows = replaced.as_ref().map(Manifest::hash);
                let as_now = (layout, options.happy);
                self.take_up(stopped, as_now, follows, &sites).await?
            }
            Some(stopped) => {
                self.discard(stopped).await?;
                None
            }
            None => None,
        };
        let putting = |dealing, slots, began_unix_s| -> Result<Putting<'_>, Error> {
            Ok(Putting {
                store: self,
                tag: self.keys()?.store_tag(),
                dealing,
                slots,
                replaced,
                superseded,
                expires_unix_s,
                progress: Arc::new(PutProgress::new(options, layout)),
                began_unix_s,
                leased_hours: 0,
                checkpoint: None,
                kept: 0,
            })
        };
        if let Some(taken_up) = taken_up {
            let checkpoint = taken_up.checkpoint;
            let began = checkpoint.plan.began_unix_s;
            let mut putting = putting(taken_up.dealing, taken_up.slots, began)?;
            putting.kept = checkpoint.finished.len() as u64;
            putting.checkpoint = Some(checkpoint);
            return Ok((putting, Some(taken_up.entry)));
        }
        let dealing = Dealing {
            layout,
            object_id: match object_id {
                Some(object_id) => object_id,
                None => ObjectId(draw(&*self.entropy)?),
            },
            put_id: PutId(draw(&*self.entropy)?),
        };
        let slots = Slots::choose(layout.access, options.happy, self.holders(sites, &dealing)?)?;
        let mut putting = putting(dealing, slots, self.clock.now_unix_s())?;
        let entry = self.begin(putting.intent(options.note.clone()))?;
        if let (Some(entry), Resumption::Allow | Resumption::Resume) = (&entry, options.resumption)
        {
            putting.checkpoint = Some(entry.begin_checkpoint(&putting)?);
        }
        Ok((putting, entry))
    }

    /// Backends with the names that a dealing has there.
    fn holders(
        &self,
        sites: Vec<Result<Site, BackendError>>,
        dealing: &Dealing,
    ) -> Result<Vec<Result<Holder, BackendError>>, Error> {
        let keys = self.keys()?;
        let holder = |site: Site| Holder {
            place: Place {
                backend: site.uid,
                label: site.label().to_owned(),
                manifest_prefix: keys.manifest_prefix(dealing.object_id, site.uid),
                share_prefix: keys.share_prefix(dealing.object_id, dealing.put_id, site.uid),
            },
            site,
        };
        Ok(sites.into_iter().map(|site| site.map(holder)).collect())
    }

    /// Another client may have followed the same version while this one dealt; nothing of this put is
    /// visible yet, so it can still be taken back.
    async fn refuse_overtaken(
        &self,
        object_id: ObjectId,
        replaced: Option<&Manifest>,
    ) -> Result<(), Error> {
        let now = self.find_to_follow(object_id).await?;
        if now.map(|manifest| manifest.hash()) == replaced.map(Manifest::hash) {
            return Ok(());
        }
        Err(Error::Conflict(
            "another client put this object meanwhile".into(),
        ))
    }

    /// The right to work on an object, where the store has a journal to keep it in.
    pub(crate) fn lock(&self, object: ObjectId) -> Result<Option<ObjectLock>, Error> {
        self.journal
            .as_ref()
            .map(|journal| journal.lock(object))
            .transpose()
    }

    /// Opens a journal entry where the store has a journal.
    pub(crate) fn begin(&self, intent: Intent) -> Result<Option<Entry>, Error> {
        self.journal
            .as_ref()
            .map(|journal| journal.begin(intent))
            .transpose()
    }
}

impl Putting<'_> {
    fn intent(&self, note: Option<String>) -> Intent {
        Intent {
            object_id: self.dealing.object_id,
            put_id: self.dealing.put_id,
            store_tag: self.tag,
            k: self.dealing.layout.access.threshold(),
            places: self.slots.places(),
            deals: true,
            note,
            former: self.replaced.as_ref().map(Former::of),
        }
    }

    /// Everything up to the manifest, which nobody can have seen yet.
    async fn deal(
        &mut self,
        source: &mut (dyn AsyncRead + Unpin + Send),
        options: &PutOptions,
    ) -> Result<(Manifest, u64), Error> {
        let dealt = self.put_segments(source).await?;
        self.complete(options, &dealt).await?;
        self.progress.stage(Stage::Segments);
        let manifest = Manifest::seal(self.body(options, &dealt)?, self.store.keys()?)?;
        Ok((manifest, dealt.len_bytes))
    }

    /// A put that slept while a collector worked is taken back before anybody sees it, where the
    /// backends say so already.
    async fn refuse_collected(&self, manifest: &Manifest) -> Result<(), Error> {
        let sites: Vec<Site> = self
            .slots
            .held()
            .map(|(_, holder)| holder.site.clone())
            .collect();
        let places = self.slots.places();
        match self.store.is_collected(manifest, &places, &sites).await {
            Ok(true) => Err(collected()),
            // Whoever does not answer is asked again once the manifest stands.
            Ok(false) | Err(_) => Ok(()),
        }
    }

    /// Ends a put that nobody can have seen: what another run can go on with stays, and otherwise
    /// what was written is removed; what cannot be removed now is left to the next run.
    async fn stop(&self, entry: Option<Entry>, error: &Error) {
        self.progress.fail(&self.slots);
        if self.can_go_on(error) {
            return;
        }
        let _ = entry.as_ref().map(Entry::forget_checkpoint);
        let sites = self.store.sites(self.tag).await.known;
        let places = self.slots.sent_places();
        let left = self.store.erase_places(self.tag, &places, &sites).await;
        if let (Some(entry), true) = (entry, left.is_empty()) {
            let _ = entry.close();
        }
    }
}

/// The version that follows `manifest`.
pub(crate) fn next_version(manifest: &Manifest) -> Result<u64, Error> {
    let next = manifest.body().version.checked_add(1);
    next.ok_or(Error::ManifestInvalid("its version is the last there is"))
}

/// A task that panicked has a bug; the panic goes on where somebody sees it.
pub(crate) fn panicked(error: tokio::task::JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Error::Config("the runtime is shutting down".into()),
    }
}
