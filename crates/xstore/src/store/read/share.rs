//! One share at one backend: its records, its footers, and the index that vouches for them.

use std::ops::Range;

use bytes::Bytes;
use tokio::sync::OnceCell;
use xorida_core::{ShareIndex, Tag};

use crate::backend::{BackendErrorKind, ObjectKey};
use crate::error::{FaultReason, ReasonKind};
use crate::geometry::Geometry;
use crate::ids::{Prefix, ShareRoot, StoreTag};
use crate::manifest::ShareEntry;
use crate::names;
use crate::segment::{Footer, Index, Malformed};
use crate::store::Attached;
use crate::store::listing::for_each_page;
use crate::store::read::backend_reason;

/// One share of a dealing, at the backend that holds it.
pub(super) struct ShareReader {
    pub(super) index: ShareIndex,
    pub(super) label: String,
    site: Attached,
    root: ShareRoot,
    tag: StoreTag,
    prefix: Prefix,
    segments: OnceCell<Result<Index, FaultReason>>,
}

/// Records of some chunks of one share, with tags that the manifest's root vouches for.
pub(super) struct Part {
    pub(super) index: ShareIndex,
    pub(super) label: String,
    first: u64,
    records: Bytes,
    tags: Vec<Tag>,
}

impl Part {
    /// One chunk's record and tag. The chunk is one of those fetched.
    pub(super) fn record(&self, geometry: &Geometry, chunk: u64) -> (&[u8], Tag) {
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

impl ShareReader {
    pub(super) fn new(
        index: ShareIndex,
        site: &Attached,
        entry: &ShareEntry,
        tag: StoreTag,
    ) -> Self {
        Self {
            index,
            label: site.backend.id().to_owned(),
            site: site.clone(),
            root: entry.root,
            tag,
            prefix: entry.location.share_prefix,
            segments: OnceCell::new(),
        }
    }

    /// Fetches the records of `chunks` and the footer of their segment; one request when both are
    /// one range.
    pub(super) async fn fetch(
        &self,
        geometry: &Geometry,
        segment: u64,
        chunks: Range<u64>,
    ) -> Result<Part, FaultReason> {
        let (attempt, root) = self.segment(geometry, segment).await?;
        let key = names::segment(self.tag, self.prefix, segment, attempt);
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
        let footer = Footer::parse(&footer).map_err(malformed)?;
        let all = geometry.chunks_of(segment);
        let whole = footer.segment() == segment
            && footer.tags().len() as u64 == all.end - all.start
            && footer.root() == root;
        if !whole {
            return Err(FaultReason::Integrity);
        }
        let skip = usize::try_from(chunks.start - all.start).unwrap_or(usize::MAX);
        let take = usize::try_from(chunks.end - chunks.start).unwrap_or(usize::MAX);
        let tags = footer.tags().skip(skip).take(take).collect();
        Ok(Part {
            index: self.index,
            label: self.label.clone(),
            first: chunks.start,
            records,
            tags,
        })
    }

    /// Attempt and root of a segment. Objects of one segment have no index: the share's root is the
    /// segment's.
    async fn segment(
        &self,
        geometry: &Geometry,
        segment: u64,
    ) -> Result<(u32, ShareRoot), FaultReason> {
        if geometry.segments() == 1 {
            return Ok((0, self.root));
        }
        let index = self.segments.get_or_init(|| self.index(geometry)).await;
        index
            .as_ref()
            .map_err(|reason| *reason)?
            .get(segment)
            .ok_or(FaultReason::Integrity)
    }

    /// The index object, or one rebuilt from the footers; either way the root decides.
    async fn index(&self, geometry: &Geometry) -> Result<Index, FaultReason> {
        let key = names::index(self.tag, self.prefix);
        let stored = match self
            .exactly(&key, 0..Index::encoded_len(geometry.segments()))
            .await
        {
            Ok(bytes) => Index::parse(&bytes).map_err(malformed),
            Err(reason) => Err(reason),
        };
        match stored {
            Ok(index) if index.root() == self.root => Ok(index),
            Err(reason @ FaultReason::Backend(ReasonKind(kind)))
                if kind != BackendErrorKind::NotFound =>
            {
                Err(reason)
            }
            _ => self.rebuild_index(geometry).await,
        }
    }

    async fn rebuild_index(&self, geometry: &Geometry) -> Result<Index, FaultReason> {
        let mut index = Index::default();
        for segment in 0..geometry.segments() {
            let attempt = self.highest_attempt(segment).await?;
            let key = names::segment(self.tag, self.prefix, segment, attempt);
            let footer = self.exactly(&key, geometry.footer(segment)).await?;
            index.push(attempt, Footer::parse(&footer).map_err(malformed)?.root());
        }
        if index.root() == self.root {
            Ok(index)
        } else {
            Err(FaultReason::Integrity)
        }
    }

    async fn highest_attempt(&self, segment: u64) -> Result<u32, FaultReason> {
        let prefix = format!("{}{segment}/", names::shares(self.tag, self.prefix));
        let mut highest = None;
        let listed = for_each_page(&*self.site.backend, &prefix, |keys| {
            let attempts = keys
                .iter()
                .filter_map(|key| key.as_str().strip_prefix(&prefix));
            highest = attempts
                .filter_map(|attempt| attempt.parse().ok())
                .chain(highest)
                .max();
        });
        listed.await.map_err(|failure| backend_reason(&failure))?;
        highest.ok_or(FaultReason::Backend(ReasonKind(BackendErrorKind::NotFound)))
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

const fn malformed(malformed: Malformed) -> FaultReason {
    match malformed {
        Malformed::Structure => FaultReason::Integrity,
        Malformed::Version(_) => FaultReason::Version,
    }
}
