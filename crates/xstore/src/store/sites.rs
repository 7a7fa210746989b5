//! Which backend is which: labels are for people, identities are what manifests name.
//!
//! On first use by an owner a backend is given a random identity under that owner's tag. Shares and
//! manifests are found by it, so a folder may be moved, renamed or relabelled without losing anything.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::join_all;

use crate::backend::{BackendError, BackendErrorKind, Put};
use crate::entropy::draw;
use crate::error::Error;
use crate::ids::{BackendUid, StoreTag};
use crate::names;
use crate::store::copies::Patience;
use crate::store::gather::gather;
use crate::store::{Attached, Effects, Store};

/// A backend with its identity.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) uid: BackendUid,
    pub(crate) attached: Attached,
}

impl Site {
    pub(crate) fn label(&self) -> &str {
        self.attached.backend.id()
    }
}

/// Backends that answered, and what the others said. One that does not know the owner has answered:
/// it is new to the owner, or has lost its identity.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    pub(crate) known: Vec<Site>,
    pub(crate) strangers: Vec<Attached>,
    /// Backends that were not waited for.
    pub(crate) late: Vec<Attached>,
    pub(crate) failures: Vec<BackendError>,
    /// Backends that were retired; none of them is among the others.
    pub(crate) retired: BTreeSet<BackendUid>,
}

/// Identities that were read once: they never change.
#[derive(Debug, Default)]
pub(crate) struct Identities(Mutex<HashMap<(StoreTag, String), BackendUid>>);

impl Identities {
    fn get(&self, tag: StoreTag, site: &Attached) -> Option<BackendUid> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(tag, site.backend.id().to_owned())).copied()
    }

    fn insert(&self, tag: StoreTag, site: &Attached, uid: BackendUid) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((tag, site.backend.id().to_owned()), uid);
    }
}

impl Sites {
    /// The backend of this label that answered and has no identity.
    pub(crate) fn stranger(&self, label: &str) -> Option<&Attached> {
        self.strangers
            .iter()
            .find(|stranger| stranger.backend.id() == label)
    }
}

impl Sites {
    /// The backend of this label, if it was not waited for.
    pub(crate) fn late(&self, label: &str) -> Option<&Attached> {
        self.late.iter().find(|late| late.backend.id() == label)
    }
}

/// The backend that carries `uid`; of several that say so, the one with the label that goes with it.
///
/// An identity is no secret, so a backend can copy that of another. Readers ask all that claim one;
/// a writer, which must choose, believes the label that the owner configured.
pub(crate) fn claimant<'a>(sites: &'a [Site], uid: BackendUid, label: &str) -> Option<&'a Site> {
    let mut claimants = sites.iter().filter(|site| site.uid == uid);
    let labelled = claimants.clone().find(|site| site.label() == label);
    labelled.or_else(|| claimants.next())
}

impl Store {
    /// Asks every backend for its identity under `tag`, and waits for all of them.
    pub(crate) async fn sites(&self, tag: StoreTag) -> Sites {
        let answers = join_all(self.backends.iter().map(|site| read_uid(site, tag))).await;
        self.sorted(tag, answers.into_iter().map(Some))
    }

    /// As [`Store::sites`], for one who reads shares and verifies them: identities that were read
    /// before are believed, and once `enough` backends are known others are not waited for.
    pub(crate) async fn sites_for_reading(&self, tag: StoreTag, enough: usize) -> Sites {
        self.sites_with(tag, Patience::Enough, enough).await
    }

    /// All backends, or `enough` of them.
    pub(crate) async fn sites_with(
        &self,
        tag: StoreTag,
        patience: Patience,
        enough: usize,
    ) -> Sites {
        if patience == Patience::All {
            return self.sites(tag).await;
        }
        let asks = self.backends.iter().map(|site| async move {
            match self.identities.get(tag, site) {
                Some(uid) => Ok(Some(uid)),
                None => read_uid(site, tag).await,
            }
        });
        let known = |answers: &[Option<Result<Option<BackendUid>, BackendError>>]| {
            let known = answers.iter().flatten().flatten().flatten();
            known.count() >= enough
        };
        let answers = gather(asks, known).await;
        self.sorted(tag, answers.into_iter())
    }

    fn sorted(
        &self,
        tag: StoreTag,
        answers: impl Iterator<Item = Option<Result<Option<BackendUid>, BackendError>>>,
    ) -> Sites {
        let retired = self.retired().into_iter();
        let mut sites = Sites {
            retired: retired.map(|retired| retired.backend).collect(),
            ..Sites::default()
        };
        for (site, answer) in self.backends.iter().zip(answers) {
            let attached = site.clone();
            match answer {
                Some(Ok(Some(uid))) if sites.retired.contains(&uid) => {}
                Some(Ok(Some(uid))) => {
                    self.identities.insert(tag, site, uid);
                    sites.known.push(Site { uid, attached });
                }
                Some(Ok(None)) => sites.strangers.push(attached),
                Some(Err(failure)) => sites.failures.push(failure),
                None => sites.late.push(attached),
            }
        }
        sites
    }

    /// All backends, in order, with their identities, drawn where there was none yet; and what those
    /// said that did not answer.
    ///
    /// # Errors
    /// [`Error::Config`] when two labels lead to one backend, [`Error::Random`] when no identity can
    /// be drawn.
    pub(crate) async fn sites_for_writing(
        &self,
        tag: StoreTag,
    ) -> Result<Vec<Result<Site, BackendError>>, Error> {
        let answers = join_all(self.backends.iter().map(|site| self.ensure_uid(site, tag))).await;
        let mut sites: Vec<Result<Site, BackendError>> = Vec::with_capacity(answers.len());
        for (attached, answer) in self.backends.iter().zip(answers) {
            let attached = attached.clone();
            let site = match answer {
                Ok(uid) => Ok(Site { uid, attached }),
                Err(Error::Backend(failure)) => Err(failure),
                Err(other) => return Err(other),
            };
            let same = |other: &&Site| site.as_ref().is_ok_and(|site| site.uid == other.uid);
            if let Some(other) = sites.iter().flatten().find(same) {
                return Err(Error::Config(format!(
                    "{} and {} are one and the same place",
                    other.label(),
                    site.as_ref().map_or("?", Site::label)
                )));
            }
            sites.push(site);
        }
        Ok(sites)
    }

    /// The identity of a backend that an operation is going to write to. A preview gives none to one
    /// that has none yet, and takes any for it: nothing was ever sent there.
    pub(crate) async fn uid_to_write(
        &self,
        site: &Attached,
        tag: StoreTag,
        effects: Effects,
    ) -> Result<BackendUid, Error> {
        if effects == Effects::Apply {
            return self.ensure_uid(site, tag).await;
        }
        match read_uid(site, tag).await? {
            Some(uid) => {
                self.refuse_retired(site.backend.id(), uid)?;
                Ok(uid)
            }
            None => Ok(BackendUid(draw(&*self.entropy)?)),
        }
    }

    async fn ensure_uid(&self, site: &Attached, tag: StoreTag) -> Result<BackendUid, Error> {
        if let Some(uid) = read_uid(site, tag).await? {
            self.refuse_retired(site.backend.id(), uid)?;
            return Ok(uid);
        }
        let uid = BackendUid(draw(&*self.entropy)?);
        let key = names::backend_uid(tag);
        // Whoever was first counts; and what was acknowledged counts once it can be read.
        let (Put::Created | Put::AlreadyExists) = site.backend.put_new(&key, identity(uid)).await?;
        let stored = read_uid(site, tag).await?;
        Ok(stored.ok_or_else(|| {
            let cause = "it acknowledged its identity and does not have it";
            BackendError::with_source(BackendErrorKind::Unavailable, site.backend.id(), cause)
        })?)
    }
}

/// The identity object: the identity twice. No tag vouches for it, and one whose bits a medium has
/// changed would be another backend, at which nobody finds what was stored under it.
pub(crate) fn identity(uid: BackendUid) -> Bytes {
    [uid.0, uid.0].concat().into()
}

/// The identity at a backend; `None` when it has none yet.
async fn read_uid(site: &Attached, tag: StoreTag) -> Result<Option<BackendUid>, BackendError> {
    let key = names::backend_uid(tag);
    let read = site.backend.get_range(&key, 0..33).await;
    let damaged = || {
        let cause = "its identity object is damaged";
        BackendError::with_source(BackendErrorKind::Unavailable, site.backend.id(), cause)
    };
    match read {
        Ok(bytes) => {
            let uid = bytes.first_chunk().copied().map(BackendUid);
            let uid = uid.filter(|uid| bytes == identity(*uid));
            uid.map(Some).ok_or_else(damaged)
        }
        Err(error) if error.kind == BackendErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
