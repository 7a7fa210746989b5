//! recover: finish or undo what earlier runs left in the journal.
//!
//! Without a manifest in the journal nobody can have seen the object: its shares are removed. With
//! one, recovery only goes forward, because a reader may have seen a copy. A backend that does not
//! answer postpones recovery; it never decides it.

use crate::error::Error;
use crate::journal::Entry;
use crate::manifest::Manifest;
use crate::store::Store;

/// One operation that recovery ended.
#[derive(Debug)]
pub enum Recovered {
    /// It had not reached its manifest; its traces are gone.
    Undone,
    /// It is committed now.
    Finished {
        /// The manifest that stands.
        manifest: Box<Manifest>,
        /// What the caller of the stopped operation left to say.
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
}

impl Store {
    /// Ends what earlier runs left unfinished; safe to call at any time, by several processes.
    ///
    /// `on_finished` is called with a manifest and its note before the journal forgets them.
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
        for entry in journal.abandoned()? {
            match self.recover_one(entry, &mut on_finished).await {
                Ok(recovered) => report.recovered.push(recovered),
                Err(error) => report.postponed.push(error),
            }
        }
        Ok(report)
    }

    async fn recover_one(
        &self,
        entry: Entry,
        on_finished: &mut impl FnMut(&Manifest, Option<&str>) -> Result<(), Error>,
    ) -> Result<Recovered, Error> {
        let sites = self.sites(entry.intent.store_tag).await;
        let Some(envelope) = &entry.manifest else {
            let waiting = if entry.intent.deals {
                self.erase_places(entry.intent.store_tag, &entry.intent.places, &sites.known)
                    .await
            } else {
                Vec::new()
            };
            if !waiting.is_empty() {
                return Err(waits_for(waiting, &entry));
            }
            entry.close()?;
            return Ok(Recovered::Undone);
        };
        let manifest = Manifest::open(envelope, &self.verifier())?;
        // A later version stands already: this one was committed, and only its erasures are left.
        let newer = self.catalogue.mark(manifest.body().object_id)?;
        if newer.is_none_or(|mark| mark.version <= manifest.body().version) {
            self.commit(&manifest, &sites.known).await?;
            self.remember(&manifest, None)?;
        }
        let note = entry.intent.note.clone();
        on_finished(&manifest, note.as_deref())?;
        let places = entry.intent.places.len();
        let waiting = self.finish(&manifest, Some(entry)).await?;
        if !waiting.is_empty() {
            let available = places.saturating_sub(waiting.len());
            return Err(Error::InsufficientBackends {
                needed: places,
                available,
                failures: sites.failures,
            });
        }
        Ok(Recovered::Finished {
            manifest: Box::new(manifest),
            note,
        })
    }
}

fn waits_for(labels: Vec<String>, entry: &Entry) -> Error {
    let needed = entry.intent.places.len();
    Error::InsufficientBackends {
        needed,
        available: needed.saturating_sub(labels.len()),
        failures: labels
            .iter()
            .map(|label| {
                crate::backend::BackendError::new(
                    crate::backend::BackendErrorKind::Unavailable,
                    label,
                )
            })
            .collect(),
    }
}
