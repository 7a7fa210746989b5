//! put: deal a stream over all backends.
//!
//! Order of effects, and what a crash after each leaves:
//! 1. the intent, on disk: nothing else yet;
//! 2. segments, each created once, read back and compared: the next run removes them;
//! 3. index objects, likewise;
//! 4. the manifest, in the journal: from here on the next run finishes the put;
//! 5. copies of the manifest at the backends; with W of them the put is committed;
//! 6. the caller's own last step (`on_commit`), then the shares of what this put replaces are
//!    removed and the journal entry is closed: the put is acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncRead;
use tokio::task::JoinHandle;

use crate::buffers::{Pool, SecretPool};
use crate::chunk::Dealing;
use crate::entropy::{SegmentRandomness, draw};
use crate::error::Error;
use crate::geometry::Geometry;
use crate::ids::{BackendUid, ObjectId, PutId, StoreTag};
use crate::journal::{Entry, Intent, Place};
use crate::manifest::Manifest;
use crate::names;
use crate::progress::{Observer, Stage, Status};
use crate::segment::Index;
use crate::store::Store;
use crate::store::deal::{DealtSegment, SegmentDealer};
use crate::store::sites::Site;
use crate::store::source::ChunkSource;
use crate::store::upload::{all_stored, put_confirmed};

mod body;
mod progress;

use progress::PutProgress;

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
    /// Length of the source in bytes where it is known, for progress only.
    pub len_hint: Option<u64>,
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
    /// Backends at which replaced shares are still to be removed, by the next run.
    pub pending: Vec<String>,
}

/// One put under way.
struct Putting<'a> {
    store: &'a Store,
    tag: StoreTag,
    sites: Arc<[Site]>,
    dealing: Dealing,
    places: Vec<Place>,
    progress: Arc<PutProgress>,
}

/// One segment on its way to all backends.
type Upload = JoinHandle<Result<(), Error>>;

/// What the segments left behind for the manifest.
struct Dealt {
    indices: Vec<Index>,
    geometry: Geometry,
    len_bytes: u64,
}

impl Store {
    /// Deals `source` over all backends and acknowledges when the manifest is committed.
    ///
    /// `on_commit` runs once the manifest is committed and before the put is acknowledged, for
    /// example to write the manifest to a file; [`nothing_more`] does nothing.
    ///
    /// # Errors
    /// Before anything is written: [`Error::KeyMissing`], [`Error::Config`], [`Error::ZoneQuorum`],
    /// [`Error::Locked`], [`Error::Rollback`], [`Error::InsufficientBackends`].
    /// [`Error::Backend`] or [`Error::InsufficientBackends`] when not all backends take their share,
    /// [`Error::ShareUpload`] when one stores something else, [`Error::Input`] when the source
    /// fails, [`Error::Random`] when the random source does, [`Error::Conflict`] when another client
    /// was faster. After any of these the put is invisible and its traces are removed, now or by
    /// the next run.
    ///
    /// Once the manifest phase is reached, an error (of `on_commit`, of too few backends, of a rival)
    /// means that the put is not acknowledged, and that the next run completes it.
    pub async fn put(
        &self,
        source: &mut (dyn AsyncRead + Unpin + Send),
        options: PutOptions,
        on_commit: OnCommit<'_>,
    ) -> Result<Receipt, Error> {
        let keys = self.keys()?;
        let layout = self.layout()?;
        self.check_placement()?;
        let sites: Arc<[Site]> = self.sites_for_writing(keys.store_tag()).await?.into();
        let named = options.name.as_ref().map(|name| keys.named_object(name));
        // Held until the end: two operations of one client never race for a version.
        let _lock = named.map(|object_id| self.lock(object_id)).transpose()?;
        let (object_id, replaced) = match named {
            Some(object_id) => (object_id, self.find_to_follow(object_id).await?),
            None => (ObjectId(draw(&*self.entropy)?), None),
        };
        if let Some(replaced) = &replaced {
            same_backends(replaced, &sites)?;
        }
        let dealing = Dealing {
            layout,
            object_id,
            put_id: PutId(draw(&*self.entropy)?),
        };
        let places = self.places(&sites, &dealing)?;
        let progress = Arc::new(PutProgress::new(&sites, &options, layout));
        let putting = Putting {
            store: self,
            tag: keys.store_tag(),
            sites,
            dealing,
            places,
            progress,
        };

        let mut entry = self.begin(putting.intent(options.note.clone()))?;
        putting.progress.stage(Stage::Journal);
        let sealed = async {
            let sealed = putting.deal(source, &options, replaced.as_ref()).await?;
            if named.is_some() {
                self.refuse_overtaken(object_id, replaced.as_ref()).await?;
            }
            Ok(sealed)
        };
        let (manifest, len_bytes) = match sealed.await {
            Ok(sealed) => sealed,
            Err(error) => {
                putting.give_up(entry).await;
                return Err(error);
            }
        };
        if let Some(entry) = &mut entry {
            entry.reach_manifest(manifest.envelope())?;
        }
        // From here on nothing is taken back: a reader may see the first copy.
        putting.progress.stage(Stage::Manifest);
        if let Err(error) = self.commit(&manifest, &putting.sites).await {
            putting.progress.fail();
            return Err(error);
        }
        putting.progress.stage(Stage::Committed);
        on_commit(&manifest)?;
        self.remember(&manifest, options.name.as_deref())?;
        let pending = self.finish(&manifest, entry).await?;
        let stored_bytes = putting.progress.done();
        Ok(Receipt {
            manifest,
            len_bytes,
            stored_bytes,
            pending,
        })
    }

    fn places(&self, sites: &[Site], dealing: &Dealing) -> Result<Vec<Place>, Error> {
        let keys = self.keys()?;
        let place = |site: &Site| Place {
            backend: site.uid,
            label: site.label().to_owned(),
            manifest_prefix: keys.manifest_prefix(dealing.object_id, site.uid),
            share_prefix: keys.share_prefix(dealing.object_id, dealing.put_id, site.uid),
        };
        Ok(sites.iter().map(place).collect())
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
    pub(crate) fn lock(&self, object: ObjectId) -> Result<Option<std::fs::File>, Error> {
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
            places: self.places.clone(),
            deals: true,
            note,
        }
    }

    /// Everything up to the manifest, which nobody can have seen yet.
    async fn deal(
        &self,
        source: &mut (dyn AsyncRead + Unpin + Send),
        options: &PutOptions,
        replaced: Option<&Manifest>,
    ) -> Result<(Manifest, u64), Error> {
        let dealt = self.put_segments(source).await?;
        self.put_indices(&dealt).await?;
        self.progress.stage(Stage::Segments);
        let manifest = Manifest::seal(self.body(options, &dealt, replaced)?, self.store.keys()?)?;
        Ok((manifest, dealt.len_bytes))
    }

    /// Removes what was written; what cannot be removed now is left to the next run.
    async fn give_up(&self, entry: Option<Entry>) {
        self.progress.fail();
        let left = self
            .store
            .erase_places(self.tag, &self.places, &self.sites)
            .await;
        if let (Some(entry), true) = (entry, left.is_empty()) {
            let _ = entry.close();
        }
    }

    /// Reads, deals and uploads; one segment travels while the next is read and dealt.
    async fn put_segments(
        &self,
        source: &mut (dyn AsyncRead + Unpin + Send),
    ) -> Result<Dealt, Error> {
        let secrets = SecretPool::default();
        let mut source = ChunkSource::new(source, self.dealing.layout, secrets.clone());
        let mut travelling = None;
        let dealt = self.deal_all(&mut source, secrets, &mut travelling).await;
        // Whatever happened, nothing travels any more when this returns: what failed is erased next.
        let arrived = arrived(travelling).await;
        let indices = dealt?;
        arrived?;
        let geometry = source
            .geometry()
            .ok_or(Error::ManifestInvalid("the source did not end"))?;
        Ok(Dealt {
            indices,
            geometry,
            len_bytes: source.len_bytes(),
        })
    }

    async fn deal_all(
        &self,
        source: &mut ChunkSource<'_>,
        secrets: SecretPool,
        travelling: &mut Option<Upload>,
    ) -> Result<Vec<Index>, Error> {
        let objects = Pool::default();
        let mut payload = Sha256::new();
        let mut indices = vec![Index::default(); self.sites.len()];
        let mut segment = 0;
        while let Some(batch) = source.next().await? {
            let mut dealer = SegmentDealer {
                dealing: self.dealing,
                segment,
                len_bytes: source.len_bytes(),
                randomness: SegmentRandomness::draw(&*self.store.entropy)?,
                objects: objects.clone(),
                secrets: secrets.clone(),
                payload,
            };
            let deal = move || dealer.deal(batch).map(|dealt| (dealt, dealer.payload));
            let dealt;
            (dealt, payload) = tokio::task::spawn_blocking(deal)
                .await
                .map_err(panicked)??;
            for (index, root) in indices.iter_mut().zip(&dealt.roots) {
                index.push(0, *root);
            }
            arrived(travelling.take()).await?;
            *travelling = Some(self.upload(segment, dealt, objects.clone()));
            segment += 1;
        }
        Ok(indices)
    }

    /// Starts the upload of one segment to all backends; its buffers go back to `pool`.
    fn upload(&self, segment: u64, dealt: DealtSegment, pool: Pool) -> Upload {
        let (sites, places) = (Arc::clone(&self.sites), self.places.clone());
        let (progress, tag) = (Arc::clone(&self.progress), self.tag);
        tokio::spawn(async move {
            let parts = sites.iter().zip(&places).zip(&dealt.objects).enumerate();
            let uploads = parts.map(|(share, ((site, place), object))| {
                let key = names::segment(tag, place.share_prefix, segment, 0);
                let progress = &progress;
                async move {
                    progress.report(share, Status::Uploading, 0);
                    put_confirmed(
                        &*site.attached.backend,
                        &key,
                        object.clone(),
                        dealt.footer_len,
                    )
                    .await?;
                    progress.report(share, Status::Uploading, object.len() as u64);
                    Ok(())
                }
            });
            let results = join_all(uploads).await;
            dealt
                .objects
                .into_iter()
                .for_each(|object| pool.give(object.into()));
            all_stored(results)
        })
    }

    /// Objects of one segment need no index: their footer gives the root.
    async fn put_indices(&self, dealt: &Dealt) -> Result<(), Error> {
        if dealt.geometry.segments() == 1 {
            return Ok(());
        }
        let uploads = self.sites.iter().zip(&self.places).zip(&dealt.indices).map(
            |((site, place), index)| {
                let key = names::index(self.tag, place.share_prefix);
                let bytes = Bytes::from(index.encode());
                async move {
                    let len = bytes.len();
                    put_confirmed(&*site.attached.backend, &key, bytes, len).await
                }
            },
        );
        all_stored(join_all(uploads).await)
    }
}

/// A version on other backends would have to be committed on the old ones too, or a reader of the old
/// ones would take the old version for the newest.
fn same_backends(replaced: &Manifest, sites: &[Site]) -> Result<(), Error> {
    let old: BTreeSet<BackendUid> = replaced.body().stored().map(|(_, at)| at.backend).collect();
    if old == sites.iter().map(|site| site.uid).collect() {
        return Ok(());
    }
    Err(Error::Config(
        "this name is in use on other backends: delete it there first".into(),
    ))
}

/// The version that follows `manifest`.
pub(crate) fn next_version(manifest: &Manifest) -> Result<u64, Error> {
    let next = manifest.body().version.checked_add(1);
    next.ok_or(Error::ManifestInvalid("its version is the last there is"))
}

async fn arrived(upload: Option<Upload>) -> Result<(), Error> {
    match upload {
        Some(upload) => upload.await.map_err(panicked)?,
        None => Ok(()),
    }
}

/// A task that panicked has a bug; the panic goes on where somebody sees it.
pub(crate) fn panicked(error: tokio::task::JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Error::Config("the runtime is shutting down".into()),
    }
}
