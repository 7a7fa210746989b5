//! One share at one backend: its records, its footers, and the index that vouches for them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;
use xorida_core::{ShareIndex, TAG_LEN, Tag};

use crate::backend::ObjectKey;
use crate::error::{FaultReason, ShareFault};
use crate::geometry::Geometry;
use crate::ids::{Prefix, ShareRoot, StoreTag};
use crate::names;
use crate::planted::{self, Bug};
use crate::segment::{FOOTER_HEADER_LEN, Footer, Index, Malformed, segment_root};
use crate::store::Attached;
use crate::store::experience::Standing;
use crate::store::listing::for_each_page;
use crate::store::read::{Rebuilt, backend_reason};

/// One share of a dealing, at the backend that holds it.
pub(crate) struct ShareReader {
    pub(crate) index: ShareIndex,
    pub(crate) label: String,
    pub(crate) site: Attached,
    pub(crate) standing: Arc<Standing>,
    /// Whether its backend was not waited for: then it is asked after all others.
    pub(crate) is_late: bool,
    root: ShareRoot,
    tag: StoreTag,
    prefix: Prefix,
    segments: OnceCell<Result<Index, FaultReason>>,
}

/// Records of some chunks of one share, with tags that the manifest's root vouches for.
pub(crate) struct Part {
    pub(super) index: ShareIndex,
    pub(super) label: String,
    first: u64,
    records: Bytes,
    tags: Vec<Tag>,
}

impl Part {
    /// One chunk's record and tag. The chunk is one of those fetched.
    pub(crate) fn record(&self, geometry: &Geometry, chunk: u64) -> (&[u8], Tag) {
        let start = geometry.records(&(self.first..self.first + 1)).start;
        let record = geometry.records(&(chunk..chunk + 1));
        let at = |offset: u64| usize::try_from(offset - start).unwrap_or(usize::MAX);
        let tag = usize::try_from(chunk - self.first).unwrap_or(usize::MAX);
        (
            &self.records[at(record.start)..at(record.end)],
            self.tags[tag],
        )
    }
}

impl Part {
    /// The segment's object, of a part that has all its chunks.
    pub(super) fn into_object(self, index: ShareIndex, segment: u64) -> Rebuilt {
        let footer_len = FOOTER_HEADER_LEN + self.tags.len() * TAG_LEN;
        let mut object = Vec::with_capacity(self.records.len() + footer_len);
        object.extend_from_slice(&self.records);
        Footer::encode(segment, &self.tags, &mut object);
        Rebuilt {
            index,
            object: object.into(),
            footer_len,
            root: segment_root(self.tags.into_iter()),
        }
    }

    /// What is said of a record that does not match its tag.
    pub(super) fn bad_record(&self, geometry: &Geometry, chunk: u64) -> ShareFault {
        ShareFault {
            backend: self.label.clone(),
            segment: Some(geometry.segment_of(chunk)),
            chunk: Some(chunk),
            reason: FaultReason::Integrity,
        }
    }
}

impl ShareReader {
    pub(super) fn new(
        index: ShareIndex,
        site: &Attached,
        standing: Arc<Standing>,
        root: ShareRoot,
        (tag, prefix): (StoreTag, Prefix),
    ) -> Self {
        Self {
            index,
            label: site.backend.id().to_owned(),
            site: site.clone(),
            standing,
            is_late: false,
            root,
            tag,
            prefix,
            segments: OnceCell::new(),
        }
    }

    pub(super) fn late(self) -> Self {
        Self {
            is_late: true,
            ..self
        }
    }

    /// A fault of this share.
    pub(crate) fn fault(
        &self,
        segment: Option<u64>,
        chunk: Option<u64>,
        reason: FaultReason,
    ) -> ShareFault {
        ShareFault {
            backend: self.label.clone(),
            segment,
            chunk,
            reason,
        }
    }

    /// Name of one attempt of a segment.
    pub(crate) fn segment_key(&self, segment: u64, attempt: u32) -> ObjectKey {
        names::segment(self.tag, self.prefix, segment, attempt)
    }

    /// Name of the index.
    pub(crate) fn index_key(&self) -> ObjectKey {
        names::index(self.tag, self.prefix)
    }

    /// Start of all names of this share.
    pub(crate) fn names(&self) -> String {
        names::shares(self.tag, self.prefix)
    }

    /// Fetches the records of `chunks`, which are of one segment, with their tags.
    pub(crate) async fn fetch(
        &self,
        geometry: &Geometry,
        segment: u64,
        chunks: Range<u64>,
    ) -> Result<Part, FaultReason> {
        let (attempt, root) = self.segment(geometry, segment).await?;
        let named = self.records(geometry, (segment, attempt), root, chunks.clone());
        let reason = match named.await {
            Err(reason) if is_lost(reason) => reason,
            read => return read,
        };
        // A repair writes a good copy beside a bad one before it removes the bad one.
        for other in self.attempts(segment).await?.into_iter().rev() {
            let copy = self.records(geometry, (segment, other), root, chunks.clone());
            if other != attempt
                && let Ok(part) = copy.await
            {
                return Ok(part);
            }
        }
        Err(reason)
    }

    /// Records and footer of one attempt; one request when both are one range.
    async fn records(
        &self,
        geometry: &Geometry,
        (segment, attempt): (u64, u32),
        root: ShareRoot,
        chunks: Range<u64>,
    ) -> Result<Part, FaultReason> {
        let key = self.segment_key(segment, attempt);
        let (range, end) = (geometry.records(&chunks), geometry.footer(segment));
        let (records, footer) = if range.end == end.start {
            let both = self.exactly(&key, range.start..end.end).await?;
            let split = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            (both.slice(..split), both.slice(split..))
        } else {
            let footer = self.exactly(&key, end).await?;
            let records = self.get(&key, range.clone()).await?;
            if records.len() as u64 != range.end - range.start {
                return Err(FaultReason::Integrity);
            }
            (records, footer)
        };
        let all = geometry.chunks_of(segment);
        let tags = tags(&footer, segment, &all, root)?;
        let skip = usize::try_from(chunks.start - all.start).unwrap_or(usize::MAX);
        let take = usize::try_from(chunks.end - chunks.start).unwrap_or(usize::MAX);
        Ok(Part {
            index: self.index,
            label: self.label.clone(),
            first: chunks.start,
            records,
            tags: tags.into_iter().skip(skip).take(take).collect(),
        })
    }

    /// Checks length and footer of the object that should hold a segment, without its records.
    pub(crate) async fn look_at(
        &self,
        geometry: &Geometry,
        segment: u64,
    ) -> Result<(), FaultReason> {
        let (attempt, root) = self.segment(geometry, segment).await?;
        let key = self.segment_key(segment, attempt);
        let footer = self.exactly(&key, geometry.footer(segment)).await?;
        tags(&footer, segment, &geometry.chunks_of(segment), root).map(|_| ())
    }

    /// Attempt and root of a segment. Objects of one segment have no index: the share's root is the
    /// segment's.
    pub(crate) async fn segment(
        &self,
        geometry: &Geometry,
        segment: u64,
    ) -> Result<(u32, ShareRoot), FaultReason> {
        match self.known_index(geometry).await? {
            Some(index) => index.get(segment).ok_or(FaultReason::Integrity),
            None => Ok((0, self.root)),
        }
    }

    /// The index, read once; `None` for an object of one segment.
    async fn known_index(&self, geometry: &Geometry) -> Result<Option<&Index>, FaultReason> {
        if geometry.segments() == 1 {
            return Ok(None);
        }
        let index = self.segments.get_or_init(|| self.index(geometry)).await;
        index.as_ref().map(Some).map_err(|reason| *reason)
    }

    /// The index object, or one rebuilt from the footers; either way the root decides.
    async fn index(&self, geometry: &Geometry) -> Result<Index, FaultReason> {
        match self.stored_index(geometry).await {
            Err(reason) if is_lost(reason) || reason == FaultReason::Version => {
                self.rebuild_index(geometry).await
            }
            stored => stored,
        }
    }

    async fn stored_index(&self, geometry: &Geometry) -> Result<Index, FaultReason> {
        let key = self.index_key();
        let range = 0..Index::encoded_len(geometry.segments());
        let index = Index::parse(&self.exactly(&key, range).await?).map_err(malformed)?;
        if index.root() == self.root {
            Ok(index)
        } else {
            Err(FaultReason::Integrity)
        }
    }

    /// Why the stored index does not count. Objects of one segment have none.
    pub(crate) async fn bad_index(&self, geometry: &Geometry) -> Option<FaultReason> {
        if geometry.segments() == 1 {
            return None;
        }
        self.stored_index(geometry).await.err()
    }

    pub(crate) async fn rebuild_index(&self, geometry: &Geometry) -> Result<Index, FaultReason> {
        let mut index = Index::default();
        for segment in 0..geometry.segments() {
            let highest = self.attempts(segment).await?.pop();
            let attempt = highest.ok_or(FaultReason::NOT_FOUND)?;
            let key = self.segment_key(segment, attempt);
            let footer = self.exactly(&key, geometry.footer(segment)).await?;
            index.push(attempt, Footer::parse(&footer).map_err(malformed)?.root());
        }
        if index.root() == self.root {
            Ok(index)
        } else {
            Err(FaultReason::Integrity)
        }
    }

    /// The highest attempts of a segment that are there, in ascending order.
    pub(crate) async fn attempts(&self, segment: u64) -> Result<Vec<u32>, FaultReason> {
        let prefix = format!("{}{segment}/", self.names());
        let mut attempts: Vec<u32> = Vec::new();
        let listed = for_each_page(&*self.site.backend, &prefix, |keys| {
            let found = keys
                .iter()
                .filter_map(|key| key.as_str().strip_prefix(&prefix));
            attempts.extend(found.filter_map(|attempt| attempt.parse::<u32>().ok()));
            attempts.sort_unstable();
            // A backend may show any number of names; the list stays short.
            attempts.drain(..attempts.len().saturating_sub(MAX_ATTEMPTS));
        });
        listed.await.map_err(|failure| backend_reason(&failure))?;
        Ok(attempts)
    }

    /// Objects of this share that are not the ones its index names, and their segments; no more than a
    /// page of them.
    pub(crate) async fn leftovers(
        &self,
        geometry: &Geometry,
    ) -> Result<Vec<(u64, ObjectKey)>, FaultReason> {
        let index = self.known_index(geometry).await?;
        let named = |segment: u64| match index {
            Some(index) => index.get(segment).map(|(attempt, _)| attempt),
            None => (segment == 0).then_some(0),
        };
        let prefix = self.names();
        let mut left = Vec::new();
        let listed = for_each_page(&*self.site.backend, &prefix, |keys| {
            let leftover = |key: ObjectKey| {
                let rest = key.as_str().strip_prefix(&prefix)?;
                let (segment, attempt) = names::parse_attempt(rest)?;
                (named(segment) != Some(attempt)).then_some((segment, key))
            };
            let room = MAX_LEFTOVERS - left.len();
            left.extend(keys.into_iter().filter_map(leftover).take(room));
        });
        listed.await.map_err(|failure| backend_reason(&failure))?;
        Ok(left)
    }

    /// A range that must end where the object ends: one byte more is asked for, and must not come.
    async fn exactly(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, FaultReason> {
        let bytes = self.get(key, range.start..range.end + 1).await?;
        if bytes.len() as u64 == range.end - range.start {
            Ok(bytes)
        } else {
            Err(FaultReason::Integrity)
        }
    }

    async fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, FaultReason> {
        let read = self.site.backend.get_range(key, range).await;
        read.map_err(|failure| backend_reason(&failure))
    }
}

/// Attempts of one segment that are looked at; there are rarely two.
const MAX_ATTEMPTS: usize = 8;

/// Leftovers that are looked at in one go; the next check finds more.
const MAX_LEFTOVERS: usize = 1000;

/// Whether the object is missing or bad, as opposed to out of reach.
fn is_lost(reason: FaultReason) -> bool {
    matches!(reason, FaultReason::Integrity) || reason == FaultReason::NOT_FOUND
}

/// The tags of a whole segment, if its footer is the one that `root` vouches for.
fn tags(
    footer: &[u8],
    segment: u64,
    chunks: &Range<u64>,
    root: ShareRoot,
) -> Result<Vec<Tag>, FaultReason> {
    let footer = Footer::parse(footer).map_err(malformed)?;
    let vouched = planted::is(Bug::TrustFooter)
        || (footer.segment() == segment
            && (footer.root() == root || planted::is(Bug::CombineGenerations)));
    let whole = vouched && footer.tags().len() as u64 == chunks.end - chunks.start;
    if !whole {
        return Err(FaultReason::Integrity);
    }
    Ok(footer.tags().collect())
}

const fn malformed(malformed: Malformed) -> FaultReason {
    match malformed {
        Malformed::Structure => FaultReason::Integrity,
        Malformed::Version(_) => FaultReason::Version,
    }
}
