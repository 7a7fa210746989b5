//! migrate: one share moves to another backend, within the rules of placement.

use std::sync::Arc;

use crate::error::Error;
use crate::journal::ObjectLock;
use crate::manifest::{Body, Manifest, STATE_LIVE};
use crate::progress::Observer;
use crate::store::get::Guard;
use crate::store::relocate::{Move, ShareSource};
use crate::store::sites::Site;
use crate::store::{Effects, Store};

/// How a share is moved.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct MigrateOptions {
    /// Where its bytes come from.
    pub source: ShareSource,
    /// Whether anything is changed.
    pub effects: Effects,
    /// Asked before the first share is read.
    pub guard: Option<Arc<Guard>>,
    /// Listens to progress.
    pub observer: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for MigrateOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MigrateOptions")
            .field("source", &self.source)
            .field("effects", &self.effects)
            .finish_non_exhaustive()
    }
}

/// What a migration has done, or would do.
#[derive(Debug)]
pub struct MigrateReport {
    /// The share that moves.
    pub index: u8,
    /// The manifest that says where it is now; the one given when nothing was changed.
    pub manifest: Manifest,
    /// Backends at which old shares remain until the next run.
    pub pending: Vec<String>,
}

impl Store {
    /// Moves the share at the backend labelled `from` to the backend labelled `to`.
    ///
    /// A share that was moved is deleted where it was, which proves nothing about copies there: the
    /// old backend counts as its holder until the object is refreshed. So does the new one as soon as
    /// it may be sent anything: after a move that failed, look for the newest manifest again.
    ///
    /// # Errors
    /// [`Error::KeyMissing`], [`Error::KeyMismatch`] when the object is somebody else's,
    /// [`Error::Config`] when a label is none of the object or the store, or the new backend has had
    /// another share of it; [`Error::ZoneQuorum`] when a party could read alone then;
    /// [`Error::ManifestExpired`], [`Error::ObjectNotFound`] for a deleted object,
    /// [`Error::Refused`], [`Error::Locked`], [`Error::Conflict`] when `manifest` is not the newest;
    /// [`Error::InsufficientShares`] when the share cannot be read, or recomputed;
    /// [`Error::Backend`] and [`Error::ShareUpload`] from the new backend: the share stays where it
    /// was. [`Error::InsufficientBackends`] when the manifest cannot be committed: the next run
    /// completes it.
    pub async fn migrate(
        &self,
        manifest: &Manifest,
        from: &str,
        to: &str,
        options: &MigrateOptions,
    ) -> Result<MigrateReport, Error> {
        let body = manifest.body();
        body.refuse_expired(self.clock.now_unix_s())?;
        if let Some(guard) = &options.guard {
            guard().map_err(Error::Refused)?;
        }
        let share = body.stored().find(|(_, at)| at.label == from);
        let (share, _) =
            share.ok_or_else(|| Error::Config(format!("{from} holds no share of this object")))?;
        let index = share.index;
        let _lock = self.lock_newest(manifest).await?;
        let to = self.new_holder(manifest, to, options.effects).await?;
        let sites = self.sites(body.store_tag).await;
        let moves = [Move {
            index,
            to,
            source: options.source,
        }];
        self.refuse_moves(body, &moves, &sites)?;
        if options.effects == Effects::Preview {
            return Ok(MigrateReport {
                index,
                manifest: manifest.clone(),
                pending: Vec::new(),
            });
        }
        let observer = options.observer.as_deref();
        let (manifest, pending) = self.relocate(manifest, &moves, &sites, observer).await?;
        Ok(MigrateReport {
            index,
            manifest,
            pending,
        })
    }

    /// The lock of an object of which `manifest` is the newest version, and live.
    pub(crate) async fn lock_newest(
        &self,
        manifest: &Manifest,
    ) -> Result<Option<ObjectLock>, Error> {
        let body = manifest.body();
        self.refuse_foreign(body)?;
        if body.state != STATE_LIVE {
            let object = body.object_id;
            return Err(Error::ObjectNotFound(format!("{object} (it was deleted)")));
        }
        self.lock_to_follow(manifest).await
    }

    /// The lock of an object of this owner of which `manifest` is the newest version.
    pub(crate) async fn lock_to_follow(
        &self,
        manifest: &Manifest,
    ) -> Result<Option<ObjectLock>, Error> {
        self.refuse_foreign(manifest.body())?;
        let lock = self.lock(manifest.body().object_id)?;
        self.refuse_not_newest(manifest).await?;
        Ok(lock)
    }

    /// Refuses what is not this owner's.
    pub(crate) fn refuse_foreign(&self, body: &Body) -> Result<(), Error> {
        if self.keys()?.age_of(body.maker).is_some() {
            return Ok(());
        }
        let cause = "this object belongs to another owner";
        Err(Error::KeyMismatch(cause.into()))
    }

    /// Refuses to follow a manifest that another one follows already.
    pub(crate) async fn refuse_not_newest(&self, manifest: &Manifest) -> Result<(), Error> {
        let newest = self.find_to_follow(manifest.body().object_id).await?;
        if newest.map(|newest| newest.hash()) == Some(manifest.hash()) {
            return Ok(());
        }
        let cause = "another client changed this object meanwhile";
        Err(Error::Conflict(cause.into()))
    }

    /// A backend of the store that holds no share of the object, with its identity.
    async fn new_holder(
        &self,
        manifest: &Manifest,
        label: &str,
        effects: Effects,
    ) -> Result<Site, Error> {
        let body = manifest.body();
        let attached = self.backends.iter().find(|site| site.backend.id() == label);
        let attached =
            attached.ok_or_else(|| Error::Config(format!("no backend is called {label}")))?;
        let uid = self.uid_to_write(attached, body.store_tag, effects).await?;
        if body.stored().any(|(_, at)| at.backend == uid) {
            return Err(Error::Config(format!(
                "{label} holds a share of this object already"
            )));
        }
        let attached = attached.clone();
        Ok(Site { uid, attached })
    }
}
