//! rekey: an object is authenticated under the present root key; its shares are not touched.
//!
//! What a replaced key made still counts, until the object has a version under a later one: then
//! nothing that the replaced key makes counts any more, whatever version it claims. So whoever has
//! stolen that key can put nothing in the way of an object once it is rekeyed; before that they can,
//! and a client that has never seen the object believes them if they also remove every copy of its
//! newer versions. Names stay those of the oldest key: they are where the shares are.

use std::cmp::Reverse;

use crate::catalogue::{Mark, check_mark};
use crate::error::Error;
use crate::ids::{MakerKey, ObjectId};
use crate::manifest::{Body, Manifest};
use crate::store::Store;

/// What a rekeying has done.
#[derive(Debug)]
pub struct RekeyReport {
    /// The manifest under the present key.
    pub manifest: Manifest,
    /// Backends at which shares given up earlier remain until the next run.
    pub pending: Vec<String>,
}

/// Of two manifests the one that counts has the higher one: that of a later key, then that of a later
/// version.
pub(crate) type Rank = (Reverse<usize>, u64);

impl Store {
    /// Whether the present root key made `manifest`.
    ///
    /// # Errors
    /// [`Error::KeyMissing`] without the owner's keys.
    pub fn is_current(&self, manifest: &Manifest) -> Result<bool, Error> {
        Ok(manifest.body().maker == self.keys()?.maker())
    }

    /// Follows `manifest`, deleted or not, with the same under the present root key; one that is
    /// under it already is left alone.
    ///
    /// # Errors
    /// [`Error::KeyMissing`], [`Error::KeyMismatch`] when the object is somebody else's,
    /// [`Error::Locked`], [`Error::Conflict`] when `manifest` is not the newest;
    /// [`Error::InsufficientBackends`] when too few answer to say so: nothing is changed; or when the
    /// next manifest cannot be committed: the next run completes it.
    pub async fn rekey(&self, manifest: &Manifest) -> Result<RekeyReport, Error> {
        let _lock = self.lock_to_follow(manifest).await?;
        let (manifest, pending) = if self.is_current(manifest)? {
            (manifest.clone(), Vec::new())
        } else {
            let content = manifest.body().clone();
            self.follow_with(manifest, content, None).await?
        };
        Ok(RekeyReport { manifest, pending })
    }

    /// The same version under the present root key.
    pub(crate) fn seal_anew(&self, manifest: &Manifest) -> Result<Manifest, Error> {
        let keys = self.keys()?;
        let mut body = manifest.body().clone();
        body.maker = keys.maker();
        Manifest::seal(body, keys)
    }

    pub(crate) fn rank(&self, body: &Body) -> Rank {
        (Reverse(self.age_of(body.maker)), body.version)
    }

    /// Later keys of the owner than `maker`; none of anybody else is known.
    pub(crate) fn age_of(&self, maker: MakerKey) -> usize {
        let keys = self.keys.as_ref();
        keys.and_then(|keys| keys.age_of(maker)).unwrap_or(0)
    }

    /// Whether two makers are one owner, or the same.
    pub(crate) fn is_same_owner(&self, one: MakerKey, other: MakerKey) -> bool {
        let ours = |maker| {
            let keys = self.keys.as_ref();
            keys.is_some_and(|keys| keys.age_of(maker).is_some())
        };
        one == other || (ours(one) && ours(other))
    }

    /// Those of `manifests` that have the highest rank.
    pub(crate) fn newest(&self, manifests: impl IntoIterator<Item = Manifest>) -> Vec<Manifest> {
        let mut newest: Vec<Manifest> = manifests.into_iter().collect();
        let highest = newest.iter().map(|one| self.rank(one.body())).max();
        newest.retain(|one| Some(self.rank(one.body())) == highest);
        newest
    }

    /// What this client has seen of an object: of its own under the latest key that it has seen.
    pub(crate) fn seen(
        &self,
        maker: MakerKey,
        object: ObjectId,
    ) -> Result<Option<(MakerKey, Mark)>, Error> {
        let keys = self.keys.as_ref();
        let keys = keys.filter(|keys| keys.age_of(maker).is_some());
        let makers = keys.map_or_else(|| vec![maker], |keys| keys.makers().collect());
        for maker in makers {
            if let Some(mark) = self.catalogue.mark(maker, object)? {
                return Ok(Some((maker, mark)));
            }
        }
        Ok(None)
    }

    /// The mark of [`Store::seen`].
    pub(crate) fn mark(&self, maker: MakerKey, object: ObjectId) -> Result<Option<Mark>, Error> {
        Ok(self.seen(maker, object)?.map(|(_, mark)| mark))
    }

    /// Compares what is offered by `body` with what was seen, which may have been of another key.
    pub(crate) fn check_seen(
        &self,
        body: &Body,
        seen: Option<&(MakerKey, Mark)>,
        offered: &Mark,
    ) -> Result<(), Error> {
        let Some((by, mark)) = seen else {
            return Ok(());
        };
        if *by == body.maker {
            return check_mark(Some(mark), offered);
        }
        // The same version where recovery sealed it anew.
        if self.age_of(body.maker) < self.age_of(*by) && body.version >= mark.version {
            return Ok(());
        }
        Err(Error::Rollback {
            seen: mark.version,
            found: body.version,
        })
    }
}
