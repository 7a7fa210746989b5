//! Short mode written a second time, from docs/formats/chunk.md alone and as slowly as it reads.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Key of the data of the chunk with this seed.
pub(crate) fn key(seed: &[u8; 32]) -> [u8; 32] {
    let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(seed).unwrap();
    mac.chain_update(b"xgene/seal/1")
        .finalize()
        .into_bytes()
        .into()
}

/// Sealed data, which k shards of equal length make up.
pub(crate) fn seal(seed: &[u8; 32], context: &[u8], data: &[u8], k: usize) -> Vec<u8> {
    let mut msg = data.to_vec();
    msg.resize(shard_len(data.len(), k) * k - 16, 0);
    let aead = ChaCha20Poly1305::new(&key(seed).into());
    let payload = Payload {
        msg: &msg,
        aad: context,
    };
    aead.encrypt(&[0; 12].into(), payload).unwrap()
}

/// Data that was sealed, and the zeros after it.
pub(crate) fn open(seed: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload {
        msg: sealed,
        aad: context,
    };
    let aead = ChaCha20Poly1305::new(&key(seed).into());
    aead.decrypt(&[0; 12].into(), payload).ok()
}

pub(crate) fn shard_len(data_len: usize, k: usize) -> usize {
    (data_len + 16).div_ceil(k)
}

/// Shard `x` of k shards with their numbers: the value at x of the polynomial through them.
pub(crate) fn shard(shards: &[(u8, &[u8])], x: u8) -> Vec<u8> {
    let byte = |at: usize| {
        shards.iter().fold(0, |sum, (i, shard)| {
            let others = shards.iter().filter(|(j, _)| j != i);
            let weight = others.fold(1, |w, (j, _)| times(w, divided(x ^ j, i ^ j)));
            sum ^ times(weight, shard[at])
        })
    };
    (0..shards[0].1.len()).map(byte).collect()
}

/// Product of polynomials over GF(2), less multiples of x^8 + x^4 + x^3 + x^2 + 1.
fn times(a: u8, b: u8) -> u8 {
    let mut product = (0..8)
        .filter(|bit| b >> bit & 1 == 1)
        .fold(0, |sum, bit| sum ^ u16::from(a) << bit);
    for bit in (8..15).rev() {
        if product >> bit & 1 == 1 {
            product ^= 0x11d << (bit - 8);
        }
    }
    u8::try_from(product).unwrap()
}

fn divided(a: u8, b: u8) -> u8 {
    (0..=255).find(|c| times(*c, b) == a).unwrap()
}
