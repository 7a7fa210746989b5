//! recover: finish or undo what earlier runs left in the journal.
//!
//! Without a manifest in the journal nobody can have seen the object: its shares are removed, unless
//! the put can be resumed; that waits a day, and stands in nobody's way meanwhile. With
//! one, recovery only goes forward, because a reader may have seen a copy; unless another manifest
//! took its version meanwhile, and either all backends say that they never had this one, or the object
//! went on from the other. A backend that does not answer postpones recovery; it never decides it.
//!
//! A manifest whose shares a collector took is not shown to anybody on the way: whoever followed it
//! would give up what stood before it.
//!
//! What a replaced key made is sealed anew before anybody is told that it is finished: else it would lose
//! against whatever another installation puts beside it under the present key.

use std::collections::BTreeSet;

use crate::backend::{BackendError, BackendErrorKind};
use crate::error::Error;
use crate::ids::ObjectId;
use crate::journal::{Entry, Former, Phase, Place};
use crate::manifest::{Manifest, STATE_LIVE};
use crate::names;
use crate::planted::{self, Bug};
use crate::store::Store;
use crate::store::commit::Confirmed;
use crate::store::sequel::Sequel;
use crate::store::sites::{Sites, claimant};

/// One operation that recovery ended.
#[derive(Debug)]
pub enum Recovered {
    /// It had not reached its manifest; its traces are gone.
    Undone,
    /// It is committed now.
    Finished {
        /// The manifest that stands.
        manifest: Box<Manifest>,
        /// What the caller of the stopped operation left to do, if it was not done.
        note: Option<String>,
    },
}

/// What recovery did.
#[derive(Debug, Default)]
pub struct RecoveryReport {
    /// Operations that are ended.
    pub recovered: Vec<Recovered>,
    /// Operations that wait for a backend or a key, and why.
    pub postponed: Vec<Error>,
    /// Puts that stopped less than a day ago and can be resumed; afterwards they are undone.
    pub resumable: Vec<ObjectId>,
}

/// An operation that stopped, and what recovery is to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Its object.
    pub object: ObjectId,
    /// What comes next.
    pub remedy: Remedy,
}

/// What recovery does with an operation that stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Nobody can have seen it: its traces go.
    Undo,
    /// Somebody may have seen it: it is brought to its end, unless the object went on from another.
    Finish,
    /// It waits a day for the put to go on.
    Wait,
    /// It is done but for shares that are kept for readers a while.
    Keep,
}

impl Store {
    /// What [`Store::recover`] would find; nothing is changed, and no backend is asked.
    ///
    /// # Errors
    /// When the journal or one of its entries cannot be read.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>, Error> {
        let Some(journal) = &self.journal else {
            return Ok(Vec::new());
        };
        let unfinished = |entry: Result<Entry, Error>| {
            let entry = entry?;
            let remedy = if self.is_kept(&entry) {
                Remedy::Keep
            } else if self.is_resumable(&entry)? {
                Remedy::Wait
            } else if entry.phase.manifest().is_some() {
                Remedy::Finish
            } else {
                Remedy::Undo
            };
            let object = entry.intent.object_id;
            Ok(Unfinished { object, remedy })
        };
        journal.abandoned()?.into_iter().map(unfinished).collect()
    }

    /// Ends what earlier runs left unfinished; safe to call at any time, by several processes.
    ///
    /// `on_finished` is called with a manifest, and with its note when the caller's last step was not
    /// done, before the journal forgets them.
    ///
    /// # Errors
    /// When the journal itself cannot be read. An operation that cannot be ended now is listed in
    /// the report instead.
    pub async fn recover(
        &self,
        mut on_finished: impl FnMut(&Manifest, Option<&str>) -> Result<(), Error>,
    ) -> Result<RecoveryReport, Error> {
        let mut report = RecoveryReport::default();
        let Some(journal) = &self.journal else {
            return Ok(report);
        };
        journal.sweep()?;
        for entry in journal.abandoned()? {
            if entry.as_ref().is_ok_and(|entry| self.is_kept(entry)) {
                continue;
            }
            let ended = match entry.and_then(|entry| Ok((self.is_resumable(&entry)?, entry))) {
                Ok((true, entry)) => {
                    report.resumable.push(entry.intent.object_id);
                    continue;
                }
                Ok((false, entry)) => self.recover_one(entry, &mut on_finished).await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(recovered) => report.recovered.push(recovered),
                Err(error) => report.postponed.push(error),
            }
        }
        Ok(report)
    }

    /// Whether nothing is left to do but to remove shares that are kept for readers until later.
    fn is_kept(&self, entry: &Entry) -> bool {
        let Phase::Committed(envelope) = &entry.phase else {
            return false;
        };
        let manifest = self.open_manifest(envelope);
        manifest.is_ok_and(|manifest| manifest.body().keeps_earlier(self.clock.now_unix_s()))
    }

    async fn recover_one(
        &self,
        mut entry: Entry,
        on_finished: &mut impl FnMut(&Manifest, Option<&str>) -> Result<(), Error>,
    ) -> Result<Recovered, Error> {
        let sites = self.sites(entry.intent.store_tag).await;
        let forward = |_: &&[u8]| !planted::is(Bug::RecoverBackwards);
        let Some(envelope) = entry.phase.manifest().filter(forward) else {
            return self.undo(entry, &sites).await;
        };
        let mut manifest = self.open_manifest(envelope)?;
        let committed = matches!(entry.phase, Phase::Committed(_));
        // What was taken back has nothing to be told about, and what is committed was told.
        let live = manifest.body().state == STATE_LIVE;
        let note = entry.intent.note.clone().filter(|_| live && !committed);
        if committed {
            on_finished(&manifest, None)?;
        } else {
            match self.standing(&entry, &manifest, &sites).await? {
                Standing::Free => {
                    let known = &sites.known;
                    let former = entry.intent.former.clone();
                    let places = &entry.intent.places;
                    // Nobody is shown what cannot be read: a version that follows would give up what
                    // stood before.
                    if live && self.is_collected(&manifest, places, known).await? {
                        let now = self.confirm(&manifest, former.as_ref(), known).await?;
                        if now == Confirmed::Newest {
                            self.take_back(&manifest, Some(entry), known).await?;
                            return Ok(Recovered::Undone);
                        }
                    }
                    self.commit(&manifest, former.as_ref(), known).await?;
                    if self.age_of(manifest.body().maker) > 0 {
                        manifest = self.seal_anew(&manifest)?;
                        entry.reach_manifest(manifest.envelope())?;
                        self.commit(&manifest, former.as_ref(), known).await?;
                    }
                    let places = &entry.intent.places;
                    if live && self.is_collected(&manifest, places, known).await? {
                        self.take_back(&manifest, Some(entry), known).await?;
                        return Ok(Recovered::Undone);
                    }
                    self.remember(&manifest, None)?;
                }
                Standing::Followed => {}
                Standing::Declined => return self.decline(entry, &manifest, &sites).await,
                Standing::Overtaken => return self.undo(entry, &sites).await,
            }
            on_finished(&manifest, note.as_deref())?;
            entry.reach_commit()?;
        }
        let stored = manifest.body().stored().count();
        let waiting = self.finish(&manifest, Some(entry)).await?;
        if !waiting.is_empty() {
            return Err(waits_for(
                &waiting,
                stored.max(waiting.len()),
                sites.failures,
            ));
        }
        Ok(Recovered::Finished {
            manifest: Box::new(manifest),
            note,
        })
    }

    /// Removes the shares that an operation dealt and nobody saw.
    pub(crate) async fn undo(&self, entry: Entry, sites: &Sites) -> Result<Recovered, Error> {
        let places = match entry.intent.deals {
            true => self.unnamed_places(&entry.intent, &sites.known).await?,
            false => Vec::new(),
        };
        self.remove(entry, &places, sites).await
    }

    /// Removes what an operation dealt whose manifest does not count although it may have been seen,
    /// where the version that counts does not name it.
    async fn decline(
        &self,
        entry: Entry,
        manifest: &Manifest,
        sites: &Sites,
    ) -> Result<Recovered, Error> {
        if self.age_of(manifest.body().maker) > 0 {
            self.withdraw(manifest, &entry, sites).await?;
        }
        let mut places = Vec::new();
        if entry.intent.deals {
            let named = self.named_now(manifest).await?;
            let dealt = entry.intent.places.iter().cloned();
            places.extend(dealt.filter(|at| !named.contains(&(at.backend, at.share_prefix))));
        }
        self.remove(entry, &places, sites).await
    }

    /// Removes the copies of a manifest of a replaced key that counts for nothing: a collector could not
    /// tell it from a thief's.
    async fn withdraw(
        &self,
        manifest: &Manifest,
        entry: &Entry,
        sites: &Sites,
    ) -> Result<(), Error> {
        let body = manifest.body();
        let own = Former::of(manifest);
        let former = entry.intent.former.iter().chain([&own]);
        let mut waiting = Vec::new();
        for place in former.flat_map(|former| &former.places) {
            if self.is_retired(place.backend) {
                continue;
            }
            let prefix = place.manifest_prefix;
            let key = names::manifest(body.store_tag, prefix, body.version, manifest.hash());
            let removed = match claimant(&sites.known, place.backend, &place.label) {
                Some(site) => site.attached.backend.delete(&[key]).await.is_ok(),
                None => false,
            };
            if !removed {
                waiting.push(place.label.clone());
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let needed = body.shares.len();
        Err(waits_for(&waiting, needed.max(waiting.len()), Vec::new()))
    }

    async fn remove(
        &self,
        entry: Entry,
        places: &[Place],
        sites: &Sites,
    ) -> Result<Recovered, Error> {
        let intent = &entry.intent;
        let waiting = self.erase_places(intent.store_tag, places, &sites.known);
        let waiting = waiting.await;
        if !waiting.is_empty() {
            return Err(waits_for(&waiting, intent.places.len(), Vec::new()));
        }
        entry.close()?;
        Ok(Recovered::Undone)
    }

    /// Where a manifest of the journal stands among those at the backends.
    ///
    /// # Errors
    /// [`Error::InsufficientBackends`] when a backend that may have it does not answer, and another
    /// manifest has its version: then nobody can say whether it was ever seen.
    async fn standing(
        &self,
        entry: &Entry,
        manifest: &Manifest,
        sites: &Sites,
    ) -> Result<Standing, Error> {
        let body = manifest.body();
        let places = self.places_of(body, &sites.known);
        let (sequel, _) = self.sequel(manifest, &places).await;
        if sequel == Sequel::Newest {
            return Ok(Standing::Free);
        }
        let (mut stands, mut answered) = (false, 0);
        for (site, prefix) in &places {
            let key = names::manifest(body.store_tag, *prefix, body.version, manifest.hash());
            match site.attached.backend.head(&key).await {
                Ok(_) => (stands, answered) = (true, answered + 1),
                Err(error) if error.kind == BackendErrorKind::NotFound => answered += 1,
                Err(_) => {}
            }
        }
        if stands || sequel == Sequel::Followed {
            // Of one version there are two: that is for the owner to resolve.
            return Ok(match sequel {
                Sequel::Newest | Sequel::Rival(_) => Standing::Free,
                Sequel::Passed => Standing::Declined,
                // What was followed was committed, and only what it gives up is left to remove.
                Sequel::Followed | Sequel::Unknown => Standing::Followed,
            });
        }
        let awaited = body.stored().filter(|(_, at)| !self.is_retired(at.backend));
        if answered < awaited.count() {
            let missing = sites.failures.iter().map(|failure| failure.backend.clone());
            let missing: Vec<String> = missing.collect();
            return Err(waits_for(&missing, body.shares.len(), Vec::new()));
        }
        // It may have stood, and have gone when later versions made it old: then they have its shares.
        let named = self.named_beside(manifest).await?;
        let mut dealt = entry.intent.places.iter();
        Ok(
            if dealt.any(|at| named.contains(&(at.backend, at.share_prefix))) {
                Standing::Followed
            } else {
                Standing::Overtaken
            },
        )
    }
}

/// What became of an object since its manifest was journalled.
enum Standing {
    /// Nothing that speaks against committing it.
    Free,
    /// It was committed, and a later version followed, or has its shares.
    Followed,
    /// Another manifest has its version, and the object went on from that one.
    Declined,
    /// It stands nowhere, another manifest has its version or a later one, and none has its shares.
    Overtaken,
}

/// Backends that are waited for: what they said, and of the others that they were not there.
fn waits_for(labels: &[String], needed: usize, mut said: Vec<BackendError>) -> Error {
    said.retain(|failure| labels.contains(&failure.backend));
    let mut silent: BTreeSet<&String> = labels.iter().collect();
    silent.retain(|label| !said.iter().any(|failure| failure.backend == **label));
    let failure = |label: &String| BackendError::new(BackendErrorKind::Unavailable, label);
    let silent: Vec<BackendError> = silent.into_iter().map(failure).collect();
    Error::InsufficientBackends {
        needed,
        available: needed.saturating_sub(labels.len()),
        failures: said.into_iter().chain(silent).collect(),
    }
}
