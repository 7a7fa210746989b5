//! The next version of an object: journalled, committed, and followed by what it gives up.
//!
//! Order of effects: the intent; the manifest in the journal, from where recovery only goes forward;
//! its copies on W; the shares that it gives up. Every operation that writes a manifest without
//! dealing is these effects and a content of its own; those that deal end with them.

use crate::error::Error;
use crate::journal::{Entry, Former, Intent};
use crate::manifest::{Body, Manifest};
use crate::store::Store;
use crate::store::put::next_version;
use crate::store::sites::Site;

impl Store {
    /// Follows `manifest` with a version of this content, which names no share that was not named
    /// before; that version, and backends at which shares remain for the next run. It is committed at
    /// the backends of `former` too. The caller holds the lock of the object.
    pub(crate) async fn follow_with(
        &self,
        manifest: &Manifest,
        content: Body,
        former: Option<Former>,
    ) -> Result<(Manifest, Vec<String>), Error> {
        let next = self.next_of(manifest, content)?;
        let body = next.body();
        let sites = self.sites(body.store_tag).await.known;
        let entry = self.begin(intent(body, former.clone()))?;
        let pending = self.publish(&next, former.as_ref(), entry, &sites).await?;
        Ok((next, pending))
    }

    /// As [`Store::follow_with`], but what the version gives up is left alone: a share may be on its way
    /// to a holder that is named only later.
    pub(crate) async fn announce_with(
        &self,
        manifest: &Manifest,
        content: Body,
        sites: &[Site],
    ) -> Result<Manifest, Error> {
        let next = self.next_of(manifest, content)?;
        let former = Former::of(manifest);
        let mut entry = self.begin(intent(next.body(), Some(former.clone())))?;
        self.make_count(&next, Some(&former), &mut entry, sites)
            .await?;
        entry.map_or(Ok(()), Entry::close)?;
        Ok(next)
    }

    /// `content` as the version after `manifest`, written by this installation now.
    pub(crate) fn next_of(&self, manifest: &Manifest, content: Body) -> Result<Manifest, Error> {
        let keys = self.keys()?;
        let body = Body {
            version: next_version(manifest)?,
            previous: Some(manifest.hash()),
            maker: keys.maker(),
            device: self.device,
            created_unix_s: self.clock.now_unix_s(),
            ..content
        };
        Manifest::seal(body, keys)
    }

    /// Makes `next` count, then removes what it gives up; backends at which that waits for the next
    /// run.
    pub(crate) async fn publish(
        &self,
        next: &Manifest,
        former: Option<&Former>,
        mut entry: Option<Entry>,
        sites: &[Site],
    ) -> Result<Vec<String>, Error> {
        self.make_count(next, former, &mut entry, sites).await?;
        self.finish(next, entry).await
    }

    async fn make_count(
        &self,
        next: &Manifest,
        former: Option<&Former>,
        entry: &mut Option<Entry>,
        sites: &[Site],
    ) -> Result<(), Error> {
        if let Some(entry) = entry {
            entry.reach_manifest(next.envelope())?;
        }
        self.commit(next, former, sites).await?;
        self.remember(next, None)?;
        if let Some(entry) = entry {
            entry.reach_commit()?;
        }
        Ok(())
    }
}

/// The intent of a version that deals nothing: it names no places, so recovery looks for no shares.
fn intent(next: &Body, former: Option<Former>) -> Intent {
    Intent {
        object_id: next.object_id,
        put_id: next.put_id,
        store_tag: next.store_tag,
        k: next.k,
        places: Vec::new(),
        deals: false,
        note: None,
        former,
    }
}
