//! Removing what no manifest needs any more.

use futures_util::future::join_all;

use crate::error::Error;
use crate::ids::{BackendUid, Prefix, StoreTag};
use crate::journal::{Entry, Place};
use crate::manifest::{Manifest, STATE_DELETED};
use crate::names;
use crate::store::Store;
use crate::store::listing::delete_all;
use crate::store::sites::Site;

/// Shares of one dealing at one backend.
struct Remains {
    backend: BackendUid,
    label: String,
    share_prefix: Prefix,
}

impl Store {
    /// Removes all shares of a dealing; labels of the backends where that is not certain.
    pub(crate) async fn erase_places(
        &self,
        tag: StoreTag,
        places: &[Place],
        sites: &[Site],
    ) -> Vec<String> {
        let remains = places.iter().map(|place| Remains {
            backend: place.backend,
            label: place.label.clone(),
            share_prefix: place.share_prefix,
        });
        erase(tag, remains.collect(), sites).await
    }

    /// What follows a commit: removes the shares that the manifest gives up, and closes the journal
    /// entry once nothing is left. Labels of the backends where shares remain for the next run.
    pub(crate) async fn finish(
        &self,
        manifest: &Manifest,
        entry: Option<Entry>,
    ) -> Result<Vec<String>, Error> {
        let given_up = given_up(manifest);
        let pending = if given_up.is_empty() {
            Vec::new()
        } else {
            let tag = manifest.body().store_tag;
            erase(tag, given_up, &self.sites(tag).await.known).await
        };
        match entry {
            Some(entry) if pending.is_empty() => entry.close()?,
            _ => {}
        }
        Ok(pending)
    }
}

fn given_up(manifest: &Manifest) -> Vec<Remains> {
    let body = manifest.body();
    let label = |backend: BackendUid| {
        let stored = body.stored().find(|(_, at)| at.backend == backend);
        stored.map_or_else(|| backend.to_string(), |(_, at)| at.label.clone())
    };
    let own = body.stored().filter(|_| body.state == STATE_DELETED);
    let own = own.map(|(_, at)| (at.backend, at.share_prefix));
    let superseded = body
        .superseded
        .iter()
        .flatten()
        .flat_map(|dealing| &dealing.locations);
    let superseded = superseded.map(|location| (location.backend, location.share_prefix));
    own.chain(superseded)
        .map(|(backend, share_prefix)| Remains {
            backend,
            label: label(backend),
            share_prefix,
        })
        .collect()
}

async fn erase(tag: StoreTag, remains: Vec<Remains>, sites: &[Site]) -> Vec<String> {
    let erasures = remains.into_iter().map(|remains| async move {
        // All that carry the identity: one of them has the share.
        let mut claimants = sites
            .iter()
            .filter(|site| site.uid == remains.backend)
            .peekable();
        let mut erased = claimants.peek().is_some();
        for site in claimants {
            let names = names::shares(tag, remains.share_prefix);
            erased &= delete_all(&*site.attached.backend, &names).await.is_ok();
        }
        (!erased).then_some(remains.label)
    });
    join_all(erasures).await.into_iter().flatten().collect()
}
