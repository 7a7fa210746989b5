//! One segment, dealt: all processor work of a put, away from the async threads.

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use xorida_core::{Kind, SALT_LEN, TAG_LEN, Tag};
use zeroize::Zeroizing;

use crate::chunk::{ChunkSecret, Dealing, SealedSecret};
use crate::entropy::SegmentRandomness;
use crate::error::Error;
use crate::ids::ShareRoot;
use crate::segment::{FOOTER_HEADER_LEN, Footer, segment_root};
use crate::store::source::Batch;
use crate::trailer::Trailer;

/// One segment as it goes to the backends: n objects, and the root of each.
pub(crate) struct DealtSegment {
    pub(crate) objects: Vec<Bytes>,
    pub(crate) roots: Vec<ShareRoot>,
    pub(crate) footer_len: usize,
}

/// A sealed chunk with the randomness that goes on to deal it.
struct Ready {
    chunk: u64,
    kind: Kind,
    secret: SealedSecret,
    rng: ChaCha20Rng,
}

/// Deals all chunks of a segment in parallel while the payload digest runs beside them; the
/// trailer, which holds that digest, comes last. `payload` is brought up to this segment.
pub(crate) fn deal_segment(
    dealing: &Dealing,
    segment: u64,
    batch: Batch,
    payload: &mut Sha256,
    len_bytes: u64,
    randomness: &SegmentRandomness,
) -> Result<DealtSegment, Error> {
    let layout = dealing.layout;
    let (first_chunk, ends) = (batch.first_chunk, batch.ends);
    let data = (first_chunk..).zip(batch.data).map(|(chunk, secret)| {
        let mut rng = randomness.chunk(chunk);
        let secret = secret.seal(layout, &mut rng)?;
        Ok(Ready {
            chunk,
            kind: Kind::Data,
            secret,
            rng,
        })
    });
    let data = data.collect::<Result<Vec<Ready>, Error>>()?;
    let mut record_lens: Vec<usize> = data
        .iter()
        .map(|ready| SALT_LEN + ready.secret.share_len())
        .collect();
    if ends {
        record_lens.push(SALT_LEN + layout.share_len(Trailer::LEN));
    }
    let footer_len = FOOTER_HEADER_LEN + record_lens.len() * TAG_LEN;
    let mut objects = objects(layout.access.share_count(), &record_lens, footer_len);
    let mut records = by_chunk(&mut objects, &record_lens);
    let trailer_records = if ends { records.pop() } else { None };

    let deal = |(ready, mut records): (&Ready, Vec<&mut [u8]>)| {
        dealing.deal(
            ready.chunk,
            ready.kind,
            &ready.secret,
            ready.rng.clone(),
            &mut records,
        )
    };
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
    let ((), tags) = rayon::join(digest, deal_all);
    let mut tags = tags?;
    if let Some(records) = trailer_records {
        let chunk = first_chunk + data.len() as u64;
        let ready = trailer(
            dealing,
            chunk,
            payload.clone(),
            len_bytes,
            randomness.chunk(chunk),
        )?;
        tags.push(deal((&ready, records))?);
    }
    let roots = objects.iter_mut().enumerate().map(|(share, object)| {
        let tags: Vec<Tag> = tags.iter().map(|chunk| chunk[share]).collect();
        Footer::encode(segment, &tags, object);
        segment_root(tags.into_iter())
    });
    let roots = roots.collect();
    Ok(DealtSegment {
        objects: objects.into_iter().map(Bytes::from).collect(),
        roots,
        footer_len,
    })
}

/// Seals the trailer over the whole payload.
fn trailer(
    dealing: &Dealing,
    chunk: u64,
    payload: Sha256,
    len_bytes: u64,
    mut rng: ChaCha20Rng,
) -> Result<Ready, Error> {
    let mut key = Zeroizing::new([0; 32]);
    rng.fill_bytes(key.as_mut());
    let trailer = Trailer::seal(dealing.object_id, dealing.put_id, len_bytes, payload, *key);
    let mut secret = ChunkSecret::new(dealing.layout, Trailer::LEN);
    let mut data = Zeroizing::new([0; Trailer::LEN]);
    trailer.encode(&mut data);
    secret.data_mut().copy_from_slice(data.as_ref());
    secret.valid_len = Trailer::LEN_U32;
    let secret = secret.seal(dealing.layout, &mut rng)?;
    Ok(Ready {
        chunk,
        kind: Kind::Trailer,
        secret,
        rng,
    })
}

/// n objects of one segment, with zeros where the records go and room for the footer.
fn objects(shares: u8, record_lens: &[usize], footer_len: usize) -> Vec<Vec<u8>> {
    let records_len: usize = record_lens.iter().sum();
    let object = |_| {
        let mut object = Vec::with_capacity(records_len + footer_len);
        object.resize(records_len, 0);
        object
    };
    (0..shares).map(object).collect()
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
