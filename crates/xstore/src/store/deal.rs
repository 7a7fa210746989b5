//! One segment, dealt: all processor work of a put, away from the async threads.

use std::sync::Arc;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use xorida_core::{Kind, SALT_LEN, TAG_LEN, Tag};
use zeroize::Zeroizing;

use crate::buffers::{Pool, SecretPool};
use crate::chunk::{ChunkSecret, Dealing, SealedSecret};
use crate::entropy::SegmentRandomness;
use crate::error::Error;
use crate::ids::{PutId, SegmentMac, ShareRoot};
use crate::keys::OwnerKeys;
use crate::segment::{FOOTER_HEADER_LEN, Footer, segment_root};
use crate::store::source::Batch;
use crate::trailer::Trailer;

/// One segment as it goes to the backends: n objects, and the root of each.
pub(crate) struct DealtSegment {
    pub(crate) objects: Vec<Bytes>,
    pub(crate) roots: Vec<ShareRoot>,
    pub(crate) footer_len: usize,
    /// HMAC of the plaintext, where it was asked for.
    pub(crate) plaintext: Option<SegmentMac>,
}

/// A sealed chunk with the randomness that goes on to deal it.
struct Ready {
    chunk: u64,
    secret: SealedSecret,
    rng: ChaCha20Rng,
}

/// Deals one segment, off the async threads.
pub(crate) struct SegmentDealer {
    pub(crate) dealing: Dealing,
    pub(crate) segment: u64,
    /// Payload bytes up to the end of this segment.
    pub(crate) len_bytes: u64,
    pub(crate) randomness: SegmentRandomness,
    pub(crate) objects: Pool,
    pub(crate) secrets: SecretPool,
    /// Digest of the payload before this segment, and after it once it is dealt.
    pub(crate) payload: Sha256,
    /// Keys for the HMAC of the plaintext, where a resumed put must know the segment again. One with
    /// the trailer is always dealt again.
    pub(crate) witness: Option<Arc<OwnerKeys>>,
}

impl SegmentDealer {
    /// Deals all chunks in parallel while the payload digest runs beside them; the trailer, which
    /// holds that digest, comes last.
    pub(crate) fn deal(&mut self, batch: Batch) -> Result<DealtSegment, Error> {
        let layout = self.dealing.layout;
        let (first_chunk, ends) = (batch.first_chunk, batch.ends);
        let data = (first_chunk..)
            .zip(batch.data)
            .map(|(chunk, secret)| self.ready(chunk, secret))
            .collect::<Result<Vec<Ready>, Error>>()?;
        let mut record_lens: Vec<usize> = data
            .iter()
            .map(|ready| SALT_LEN + ready.secret.share_len())
            .collect();
        if ends {
            record_lens.push(SALT_LEN + layout.share_len(Kind::Trailer, Trailer::LEN));
        }
        let footer_len = FOOTER_HEADER_LEN + record_lens.len() * TAG_LEN;
        let mut objects = self.objects(&record_lens, footer_len);
        let mut records = by_chunk(&mut objects, &record_lens);
        let trailer_records = if ends { records.pop() } else { None };

        let dealing = self.dealing;
        let deal = |(ready, mut records): (&Ready, Vec<&mut [u8]>)| {
            let Ready { chunk, secret, rng } = ready;
            dealing.deal(*chunk, secret, rng.clone(), &mut records)
        };
        let payload = &mut self.payload;
        let digest = || {
            data.iter()
                .for_each(|ready| payload.update(ready.secret.valid()))
        };
        let deal_all = || {
            data.par_iter()
                .zip(records)
                .map(deal)
                .collect::<Result<Vec<_>, Error>>()
        };
        let witness = self.witness.as_ref().filter(|_| !ends);
        let plaintext = || {
            let valid = data.iter().map(|ready| ready.secret.valid());
            witness.map(|keys| segment_mac(keys, dealing.put_id, self.segment, valid))
        };
        let (((), plaintext), tags) = rayon::join(|| rayon::join(digest, plaintext), deal_all);
        let mut tags = tags?;
        if let Some(records) = trailer_records {
            let trailer = self.trailer(first_chunk + data.len() as u64)?;
            tags.push(deal((&trailer, records))?);
        }
        let roots = objects.iter_mut().enumerate().map(|(share, object)| {
            let tags: Vec<Tag> = tags.iter().map(|chunk| chunk[share]).collect();
            Footer::encode(self.segment, &tags, object);
            segment_root(tags.into_iter())
        });
        let roots = roots.collect();
        let objects = objects.into_iter().map(Bytes::from).collect();
        Ok(DealtSegment {
            objects,
            roots,
            footer_len,
            plaintext,
        })
    }

    fn ready(&self, chunk: u64, secret: ChunkSecret) -> Result<Ready, Error> {
        let mut rng = self.randomness.chunk(chunk);
        let secret = secret.seal(&mut rng)?;
        Ok(Ready { chunk, secret, rng })
    }

    /// Seals the trailer over the whole payload. Its key is the first that its stream gives, so the
    /// stream goes on behind it.
    fn trailer(&self, chunk: u64) -> Result<Ready, Error> {
        let Dealing {
            layout,
            object_id,
            put_id,
        } = self.dealing;
        let mut rng = self.randomness.chunk(chunk);
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(key.as_mut());
        let trailer = Trailer::seal(
            object_id,
            put_id,
            self.len_bytes,
            self.payload.clone(),
            *key,
        );
        let mut secret = ChunkSecret::new(layout, Kind::Trailer, Trailer::LEN, &self.secrets);
        let mut data = Zeroizing::new([0; Trailer::LEN]);
        trailer.encode(&mut data);
        secret.data_mut().copy_from_slice(data.as_ref());
        secret.valid_len = Trailer::LEN_U32;
        let secret = secret.seal(&mut rng)?;
        Ok(Ready { chunk, secret, rng })
    }

    /// n objects with room for records, all of which are overwritten, and for the footer.
    fn objects(&self, record_lens: &[usize], footer_len: usize) -> Vec<Vec<u8>> {
        let records_len: usize = record_lens.iter().sum();
        let object = |_| {
            let mut object = self.objects.take(records_len + footer_len);
            object.truncate(records_len);
            object
        };
        (0..self.dealing.layout.access.share_count())
            .map(object)
            .collect()
    }
}

/// HMAC over the bytes of a segment that belong to the payload, and how many they are.
pub(crate) fn segment_mac<'a>(
    keys: &OwnerKeys,
    put_id: PutId,
    segment: u64,
    valid: impl Iterator<Item = &'a [u8]> + Clone,
) -> SegmentMac {
    let len: usize = valid.clone().map(<[u8]>::len).sum();
    let (segment, len) = (segment.to_be_bytes(), (len as u64).to_be_bytes());
    let label: &[u8] = b"xgene/segment/1";
    let mut parts: Vec<&[u8]> = vec![label, &put_id.0, &segment, &len];
    for bytes in valid {
        parts.push(bytes);
    }
    SegmentMac(keys.state_mac(&parts))
}

/// Cuts the n objects of a segment into records, and gives the n records of each chunk.
fn by_chunk<'a>(objects: &'a mut [Vec<u8>], record_lens: &[usize]) -> Vec<Vec<&'a mut [u8]>> {
    let mut chunks: Vec<Vec<&mut [u8]>> = record_lens.iter().map(|_| Vec::new()).collect();
    for object in objects {
        let mut rest = object.as_mut_slice();
        for (chunk, len) in chunks.iter_mut().zip(record_lens) {
            let (record, after) = rest.split_at_mut(*len);
            chunk.push(record);
            rest = after;
        }
    }
    chunks
}
