//! What a writer owes the collector: it looks whether its shares were marked or taken meanwhile.
//!
//! A collector marks a dealing that no manifest names with a tomb, and removes it a grace later after
//! one more look at all manifests. A writer looks for tombs after its manifest stands. So either the
//! collector sees the manifest or the writer sees the tomb, however long one of them slept between
//! two steps. The tomb is removed last: where there is none any more, segments are missing. A repair
//! writes only what a manifest names, and has nothing to look for.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use crate::backend::{BackendError, BackendErrorKind, StorageBackend};
use crate::error::Error;
use crate::ids::{Prefix, StoreTag};
use crate::journal::{Entry, Former, Place};
use crate::manifest::{self, Body, Location, Manifest, STATE_DELETED, STATE_LIVE};
use crate::names;
use crate::placement::write_quorum;
use crate::store::Store;
use crate::store::listing::for_each_page;
use crate::store::put::superseded;
use crate::store::sites::{Site, claimant};

/// What a writer answers whose shares a collector took for abandoned.
pub(crate) fn collected() -> Error {
    Error::Conflict("a collector took the shares for abandoned: put again".into())
}

impl Store {
    /// Whether a collector has marked or removed shares of `manifest` that were stored at `places`.
    ///
    /// # Errors
    /// [`Error::InsufficientBackends`] when none is known to be marked, and with those that do not
    /// answer too few are left to read or find the object.
    pub(crate) async fn is_collected(
        &self,
        manifest: &Manifest,
        places: &[Place],
        sites: &[Site],
    ) -> Result<bool, Error> {
        let body = manifest.body();
        let segments = body.geometry()?.segments();
        let written: BTreeSet<Prefix> = places.iter().map(|place| place.share_prefix).collect();
        let written = body
            .stored()
            .filter(|(_, at)| written.contains(&at.share_prefix));
        let looks = written.map(|(_, at)| is_whole(body.store_tag, at, segments, sites));
        let mut failures = Vec::new();
        for look in join_all(looks).await {
            match look {
                Ok(true) => {}
                // Whoever followed it may have removed them.
                Ok(false) => return Ok(!self.is_followed(manifest, sites).await),
                Err(failure) => failures.push(failure),
            }
        }
        let needed = usize::from(body.k).max(write_quorum(body.k, body.n));
        let available = body.stored().count().saturating_sub(failures.len());
        if available < needed {
            return Err(Error::InsufficientBackends {
                needed,
                available,
                failures,
            });
        }
        Ok(false)
    }

    /// Follows a manifest whose shares were collected with what the object was before it: the dealing
    /// of the version before, or deleted when there was none. Nothing of it was acknowledged.
    pub(crate) async fn take_back(
        &self,
        manifest: &Manifest,
        entry: Option<Entry>,
        sites: &[Site],
    ) -> Result<(), Error> {
        let keys = self.keys()?;
        let doomed = manifest.body();
        let before = self.before(manifest, sites).await?;
        let before = before.filter(|before| before.body().state == STATE_LIVE);
        let content = match before.as_ref().map(Manifest::body) {
            None => Body {
                state: STATE_DELETED,
                extension: None,
                ..doomed.clone()
            },
            Some(before) if before.put_id == doomed.put_id => Body {
                held: doomed.held.clone(),
                ..before.clone()
            },
            Some(before) => Body {
                superseded: Some(
                    superseded(manifest, keys)
                        .into_iter()
                        .filter(|dealing| dealing.put_id != before.put_id)
                        .collect(),
                ),
                ..before.clone()
            },
        };
        let next = self.next_of(manifest, content)?;
        // Recovery must go on with this one: the other would give up what this one takes up again.
        let former = Former::of(manifest);
        self.publish(&next, Some(&former), entry, sites).await?;
        Ok(())
    }

    /// The version that `manifest` follows; collectors keep it.
    async fn before(&self, manifest: &Manifest, sites: &[Site]) -> Result<Option<Manifest>, Error> {
        let (keys, body) = (self.keys()?, manifest.body());
        let Some(previous) = body.previous else {
            return Ok(None);
        };
        let mut failures = Vec::new();
        for site in sites {
            let prefix = keys.manifest_prefix(body.object_id, site.uid);
            let key = names::manifest(body.store_tag, prefix, body.version - 1, previous);
            let backend = &site.attached.backend;
            match backend
                .get_range(&key, 0..manifest::MAX_LEN as u64 + 1)
                .await
            {
                Ok(bytes) => match self.open_manifest(&bytes) {
                    Ok(before) if before.hash() == previous => return Ok(Some(before)),
                    _ => {}
                },
                Err(failure) => failures.push(failure),
            }
        }
        Err(Error::InsufficientBackends {
            needed: 1,
            available: 0,
            failures,
        })
    }
}

/// Whether a share has no tomb and all its segments. The tomb is asked for first: a collector that
/// had removed it by then had removed segments before.
async fn is_whole(
    tag: StoreTag,
    at: &Location,
    segments: u64,
    sites: &[Site],
) -> Result<bool, BackendError> {
    let site = claimant(sites, at.backend, &at.label)
        .ok_or_else(|| BackendError::new(BackendErrorKind::Unavailable, &at.label))?;
    let backend = &*site.attached.backend;
    let tombs = backend
        .list(&names::tombs(tag, at.share_prefix), None)
        .await?;
    if !tombs.keys.is_empty() {
        return Ok(false);
    }
    Ok(count_segments(backend, tag, at.share_prefix).await? >= segments)
}

/// Segments of which there is any attempt.
async fn count_segments(
    backend: &dyn StorageBackend,
    tag: StoreTag,
    prefix: Prefix,
) -> Result<u64, BackendError> {
    let mut found: BTreeSet<u64> = BTreeSet::new();
    for_each_page(backend, &names::shares(tag, prefix), |keys| {
        let rests = keys.iter().filter_map(|key| names::parse_share(tag, key));
        let numbers = rests.filter_map(|(_, rest)| rest.split_once('/')?.0.parse::<u64>().ok());
        found.extend(numbers);
    })
    .await?;
    Ok(found.len() as u64)
}
