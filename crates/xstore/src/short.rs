//! Short mode: a chunk's data is encrypted and erasure-coded, and only its key is split.
//!
//! This is Krawczyk's scheme ("Secret Sharing Made Short", CRYPTO 1993), chunk by chunk: sealed data
//! cut into k shards and extended to n takes n/k of its length, where perfect shares take n times it.
//! Whoever holds fewer than k shares learns nothing of the key, and of the data what the cipher lets
//! them learn: the secrecy is computational. The key derives from the seed that is split with every
//! chunk, so a chunk that is released gives away no other chunk's key.

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use xorida_core::{AccessStructure, Seed};

use crate::buffers::{SecretBuffer, SecretPool};
use crate::erasure::Interpolation;

/// Bytes of the authentication tag of ChaCha20-Poly1305 (RFC 8439).
const SEAL_LEN: usize = 16;

/// A shard with the index of its share.
pub(crate) type Shard<'a> = (u8, &'a [u8]);

/// Bytes of a shard of `data_len` bytes of data; none of no data.
pub(crate) fn shard_len(access: AccessStructure, data_len: usize) -> usize {
    match data_len {
        0 => 0,
        _ => (data_len + SEAL_LEN).div_ceil(usize::from(access.threshold())),
    }
}

/// Seals `data`, which is not empty, under the key of `seed` and codes it into n shards of
/// [`shard_len`] bytes. `context` says what it is.
///
/// `None` for lengths beyond what the cipher takes, 256 GiB.
pub(crate) fn deal(
    access: AccessStructure,
    seed: &Seed,
    context: &[u8],
    data: &[u8],
    pool: &SecretPool,
    shards: &mut [&mut [u8]],
) -> Option<()> {
    let shard_len = shard_len(access, data.len());
    // What is sealed is the data and as many zeros as make the k shards equal.
    let mut sealed = pool.take(usize::from(access.threshold()) * shard_len);
    sealed[..data.len()].copy_from_slice(data);
    let (plain, tag) = sealed.split_last_chunk_mut::<SEAL_LEN>()?;
    let made = cipher(seed).encrypt_inout_detached(&only_nonce(), context, plain.into());
    *tag = made.ok()?.into();
    let sources: Vec<Shard<'_>> = (0..).zip(sealed.chunks_exact(shard_len)).collect();
    for (index, shard) in (0..).zip(shards) {
        restore(&sources, index, shard);
    }
    Some(())
}

/// The data of k shards, and the zeros that follow it; `None` when it was not sealed under this seed
/// and context.
pub(crate) fn open(
    seed: &Seed,
    context: &[u8],
    shards: &[Shard<'_>],
    pool: &SecretPool,
) -> Option<SecretBuffer> {
    let (_, first) = shards.first()?;
    let mut bytes = pool.take(shards.len() * first.len());
    for (index, shard) in (0..).zip(bytes.chunks_exact_mut(first.len())) {
        restore(shards, index, shard);
    }
    let (sealed, tag) = bytes.split_last_chunk_mut::<SEAL_LEN>()?;
    let tag = Tag::from(*tag);
    let opened = cipher(seed).decrypt_inout_detached(&only_nonce(), context, sealed.into(), &tag);
    opened.ok().map(|()| bytes)
}

/// Computes the shard of share `index` from k shards.
pub(crate) fn restore(shards: &[Shard<'_>], index: u8, output: &mut [u8]) {
    if let Some((_, same)) = shards.iter().find(|(own, _)| *own == index) {
        return output.copy_from_slice(same);
    }
    let (indices, shards): (Vec<u8>, Vec<&[u8]>) = shards.iter().copied().unzip();
    Interpolation::new(&indices, index).run(&shards, output);
}

/// Each key seals one chunk of one dealing, so no nonce is used twice under it.
fn only_nonce() -> Nonce {
    Nonce::default()
}

fn cipher(seed: &Seed) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new((&*seed.sealing_key()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(access: AccessStructure, seed: &Seed, data: &[u8]) -> Vec<Vec<u8>> {
        let len = shard_len(access, data.len());
        let mut shards = vec![vec![0; len]; access.share_count().into()];
        let mut slices: Vec<&mut [u8]> = shards.iter_mut().map(Vec::as_mut_slice).collect();
        deal(
            access,
            seed,
            b"context",
            data,
            &SecretPool::default(),
            &mut slices,
        )
        .unwrap();
        shards
    }

    #[test]
    fn only_the_same_seed_and_context_open() {
        let access = AccessStructure::try_new(3, 5).unwrap();
        let pool = SecretPool::default();
        for len in 1..40 {
            let (seed, data) = (Seed::from_bytes([7; 32]), vec![b'G'; len]);
            let shards = shards(access, &seed, &data);
            let last: Vec<Shard<'_>> = (2..).zip(shards[2..].iter().map(Vec::as_slice)).collect();
            let opened = open(&seed, b"context", &last, &pool).unwrap();
            let (read, rest) = opened.split_at(len);
            assert_eq!(read, data);
            // The zeros and the tag.
            assert!((16..19).contains(&rest.len()), "{len}: {}", rest.len());
            assert!(open(&seed, b"another", &last, &pool).is_none());
            let other = Seed::from_bytes([8; 32]);
            assert!(open(&other, b"context", &last, &pool).is_none());
            let mut changed = shards[3].clone();
            changed[0] ^= 1;
            let changed = [last[0], (3, &*changed), last[2]];
            assert!(open(&seed, b"context", &changed, &pool).is_none());
        }
    }

    #[test]
    fn no_data_needs_no_shard() {
        let access = AccessStructure::try_new(2, 3).unwrap();
        assert_eq!(
            [0, 1, 16, 17].map(|len| shard_len(access, len)),
            [0, 9, 16, 17]
        );
    }
}
