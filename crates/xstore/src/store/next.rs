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
        let entry = self.begin(Intent {
            object_id: body.object_id,
            put_id: body.put_id,
            store_tag: body.store_tag,
            k: body.k,
            places: Vec::new(),
            deals: false,
            note: None,
            former: former.clone(),
        })?;
        let pending = self.publish(&next, former.as_ref(), entry, &sites).await?;
        Ok((next, pending))
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
        if let Some(entry) = &mut entry {
            entry.reach_manifest(next.envelope())?;
        }
        self.commit(next, former, sites).await?;
        self.remember(next, None)?;
        if let Some(entry) = &mut entry {
            entry.reach_commit()?;
        }
        self.finish(next, entry).await
    }
}
