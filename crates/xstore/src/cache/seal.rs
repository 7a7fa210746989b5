//! `Seal`: the one key of a cache, and bytes that only it opens.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _, Nonce};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyFailed};

/// ChaCha20-Poly1305 (RFC 8439) under a key that lives as long as this value and is wiped with it.
pub(super) struct Seal {
    cipher: ChaCha20Poly1305,
    /// Counted up for every sealing, so that no nonce is used twice under the key.
    sealed_count: AtomicU64,
}

/// Sealed bytes; wiped when dropped, although they say nothing without the key.
pub(super) struct Sealed {
    nonce: Nonce,
    bytes: Zeroizing<Vec<u8>>,
}

impl Seal {
    pub(super) fn draw(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(key.as_mut())?;
        Ok(Self {
            cipher: ChaCha20Poly1305::new((&*key).into()),
            sealed_count: AtomicU64::new(0),
        })
    }

    /// `None` only for lengths beyond what the cipher takes, 256 GiB.
    pub(super) fn seal(&self, plain: &[u8], label: &[u8]) -> Option<Sealed> {
        let nonce = self.next_nonce();
        let mut bytes = Zeroizing::new(Vec::with_capacity(plain.len() + Sealed::TAG_LEN));
        bytes.extend_from_slice(plain);
        let sealed = self.cipher.encrypt_in_place(&nonce, label, &mut *bytes);
        sealed.ok().map(|()| Sealed { nonce, bytes })
    }

    /// `None` when it was not sealed by this key under this label.
    pub(super) fn open(&self, sealed: &Sealed, label: &[u8]) -> Option<Bytes> {
        let mut bytes = sealed.bytes.to_vec();
        let opened = self
            .cipher
            .decrypt_in_place(&sealed.nonce, label, &mut bytes);
        opened.ok().map(|()| bytes.into())
    }

    fn next_nonce(&self) -> Nonce {
        let mut nonce = Nonce::default();
        let count = self.sealed_count.fetch_add(1, Ordering::Relaxed);
        nonce[..8].copy_from_slice(&count.to_le_bytes());
        nonce
    }
}

impl Sealed {
    pub(super) const TAG_LEN: usize = 16;

    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    #[test]
    fn only_the_same_key_and_label_open() {
        let seal = Seal::draw(&OsEntropy).unwrap();
        let sealed = seal.seal(b"a share", b"label").unwrap();
        assert_eq!(sealed.len_bytes(), 7 + Sealed::TAG_LEN);
        assert_eq!(seal.open(&sealed, b"label").unwrap(), "a share");
        assert!(seal.open(&sealed, b"other").is_none());
        let other = Seal::draw(&OsEntropy).unwrap();
        assert!(other.open(&sealed, b"label").is_none());
    }

    #[test]
    fn nothing_is_sealed_alike_twice() {
        let seal = Seal::draw(&OsEntropy).unwrap();
        let sealed = |_| seal.seal(&[0; 64], b"").unwrap().bytes.to_vec();
        let distinct: std::collections::BTreeSet<_> = (0..100).map(sealed).collect();
        assert_eq!(distinct.len(), 100);
        let shown = distinct.iter().flatten().filter(|byte| **byte == 0).count();
        assert!(shown < 200, "the zeros do not show");
    }
}
