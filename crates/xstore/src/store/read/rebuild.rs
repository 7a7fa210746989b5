//! Segment objects of lost shares, recomputed from k good ones bit for bit: records, salts, tags and
//! footer.

use std::collections::BTreeSet;

use bytes::Bytes;
use xorida_core::ShareIndex;

use crate::error::{Error, ShareFault};
use crate::ids::ShareRoot;
use crate::segment::{FOOTER_HEADER_LEN, Footer, segment_root};
use crate::store::read::Reader;
use xorida_core::TAG_LEN;

/// One segment object of one share, as it was when it was dealt.
pub(crate) struct Rebuilt {
    pub(crate) index: ShareIndex,
    pub(crate) object: Bytes,
    pub(crate) footer_len: usize,
    /// Root over its tags.
    pub(crate) root: ShareRoot,
}

impl Reader {
    /// The objects of `segment` of the shares in `lost`, in that order.
    ///
    /// # Errors
    /// [`Error::InsufficientShares`] when fewer than k others are good.
    pub(crate) async fn rebuild(
        &self,
        segment: u64,
        lost: &[ShareIndex],
        distrusted: &BTreeSet<ShareFault>,
    ) -> Result<Vec<Rebuilt>, Error> {
        let chunks = self.geometry.chunks_of(segment);
        let read = self.read(chunks.clone(), lost, distrusted).await?;
        if !read.short.is_empty() {
            return Err(self.shortage(read.short, read.faults));
        }
        let count = usize::try_from(chunks.end - chunks.start).unwrap_or(usize::MAX);
        let footer_len = FOOTER_HEADER_LEN + count * TAG_LEN;
        let records_len = self.geometry.footer(segment).start;
        let object_len = usize::try_from(records_len).unwrap_or(usize::MAX) + footer_len;
        let object = |(at, index): (usize, &ShareIndex)| {
            let mut object = Vec::with_capacity(object_len);
            let mut tags = Vec::with_capacity(count);
            for chunk in &read.recomputed {
                object.extend_from_slice(&chunk[at].record);
                tags.push(chunk[at].tag);
            }
            Footer::encode(segment, &tags, &mut object);
            Rebuilt {
                index: *index,
                object: object.into(),
                footer_len,
                root: segment_root(tags.into_iter()),
            }
        };
        Ok(lost.iter().enumerate().map(object).collect())
    }

    /// The object of `segment` as its holder has it, every record verified against its tag.
    ///
    /// # Errors
    /// [`Error::InsufficientShares`] naming what is bad or out of reach.
    pub(crate) async fn copy(&self, index: ShareIndex, segment: u64) -> Result<Rebuilt, Error> {
        let chunks = self.geometry.chunks_of(segment);
        let mut faults: BTreeSet<ShareFault> = self.missing_of(index.get()).cloned().collect();
        for share in self.of(index.get()) {
            match share.fetch(&self.geometry, segment, chunks.clone()).await {
                Ok(part) => match self.verified(part, chunks.clone()).await? {
                    Ok(part) => return Ok(part.into_object(index, segment)),
                    Err(bad) => faults.extend(bad),
                },
                Err(reason) => _ = faults.insert(share.fault(Some(segment), None, reason)),
            }
        }
        Err(self.shortage(chunks.map(|chunk| (chunk, 0)).collect(), faults))
    }
}
