//! The last chunk of every object: what the whole payload must be, inside the split secret.
//!
//! It is the only place where a digest of the payload exists at rest, and only k holders together
//! can see it. Sharing is linear: whoever knows the payload could shift shares to shift both payload
//! and digest. The MAC under a random key, itself inside the secret, is what stops that.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use crate::ids::{ObjectId, PutId};
use crate::keys::hmac_sha256;

/// Exact length, digest, and a key with the MAC that binds both to this dealing.
pub(crate) struct Trailer {
    /// Exact payload length in bytes, without padding.
    pub(crate) len_bytes: u64,
    digest: [u8; 32],
    key: [u8; 32],
    mac: [u8; 32],
}

impl Trailer {
    /// Encoded length: `u64 length || SHA-256 || key || HMAC-SHA256`.
    pub(crate) const LEN: usize = 8 + 32 + 32 + 32;
    pub(crate) const LEN_U32: u32 = 104;

    /// Seals a payload's length and digest under a fresh random `key`.
    #[must_use]
    pub(crate) fn seal(
        object: ObjectId,
        put: PutId,
        len_bytes: u64,
        payload: Sha256,
        key: [u8; 32],
    ) -> Self {
        let digest = payload.finalize().into();
        let mac = Self::mac(&key, object, put, len_bytes, &digest);
        Self {
            len_bytes,
            digest,
            key,
            mac,
        }
    }

    fn mac(key: &[u8; 32], object: ObjectId, put: PutId, len: u64, digest: &[u8; 32]) -> [u8; 32] {
        hmac_sha256(key, &[&object.0, &put.0, &len.to_be_bytes(), digest])
    }

    /// Writes the trailer's data.
    pub(crate) fn encode(&self, out: &mut [u8; Self::LEN]) {
        out[..8].copy_from_slice(&self.len_bytes.to_be_bytes());
        out[8..40].copy_from_slice(&self.digest);
        out[40..72].copy_from_slice(&self.key);
        out[72..].copy_from_slice(&self.mac);
    }

    /// Reads the trailer's data.
    #[must_use]
    pub(crate) fn decode(data: &[u8; Self::LEN]) -> Self {
        let mut trailer = Self {
            len_bytes: 0,
            digest: [0; 32],
            key: [0; 32],
            mac: [0; 32],
        };
        let mut len = [0; 8];
        len.copy_from_slice(&data[..8]);
        trailer.len_bytes = u64::from_be_bytes(len);
        trailer.digest.copy_from_slice(&data[8..40]);
        trailer.key.copy_from_slice(&data[40..72]);
        trailer.mac.copy_from_slice(&data[72..]);
        trailer
    }

    /// Whether this trailer was sealed for this dealing and the payload that was read is its own;
    /// in constant time.
    #[must_use]
    pub(crate) fn verifies(
        &self,
        object: ObjectId,
        put: PutId,
        len_bytes: u64,
        payload: Sha256,
    ) -> bool {
        let digest: [u8; 32] = payload.finalize().into();
        let mac = Self::mac(&self.key, object, put, self.len_bytes, &self.digest);
        let same =
            mac.ct_eq(&self.mac) & digest.ct_eq(&self.digest) & len_bytes.ct_eq(&self.len_bytes);
        same.into()
    }
}

impl std::fmt::Debug for Trailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trailer(..)")
    }
}

impl Drop for Trailer {
    fn drop(&mut self) {
        self.digest.zeroize();
        self.key.zeroize();
        self.mac.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_payload_of_the_same_dealing_verifies() {
        let (object, put) = (ObjectId([1; 32]), PutId([2; 32]));
        let payload = |text: &[u8]| Sha256::new_with_prefix(text);
        let sealed = Trailer::seal(object, put, 4, payload(b"GATC"), [3; 32]);
        let mut bytes = [0; Trailer::LEN];
        sealed.encode(&mut bytes);
        let read = Trailer::decode(&bytes);
        assert!(read.verifies(object, put, 4, payload(b"GATC")));
        assert!(!read.verifies(object, put, 4, payload(b"GATT")));
        assert!(!read.verifies(object, put, 5, payload(b"GATC")));
        assert!(!read.verifies(object, PutId([9; 32]), 4, payload(b"GATC")));
        assert!(!read.verifies(ObjectId([9; 32]), put, 4, payload(b"GATC")));
        for byte in 0..bytes.len() {
            let mut flipped = bytes;
            flipped[byte] ^= 1;
            let read = Trailer::decode(&flipped);
            assert!(
                !read.verifies(object, put, 4, payload(b"GATC")),
                "byte {byte}"
            );
        }
    }
}
