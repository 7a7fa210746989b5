//! Tags that hide, that anybody can check, and that can be recomputed.
//!
//! What is split holds 32 random bytes, the seed. For each share a salt derives from it, and the
//! tag is HMAC-SHA256 (RFC 2104) of the share under its salt, over a block that says exactly
//! which share of what this is. Salt and share travel together; the tag may be public: without
//! the salt it says nothing that could confirm a guess. Any k shares give the seed and with it
//! every salt and tag again, so a lost share is restored with both. In short mode the key that
//! seals a chunk's data derives from the same seed, under a label of its own.
//!
//! # Security
//! The hiding rests on HMAC-SHA256 as a pseudo-random function, the binding on SHA-256. Keys are
//! always exactly 32 bytes, so that no two keys have one padded form. Tags are compared in
//! constant time.

use crate::access::AccessStructure;
use crate::error::Error;
use crate::reconstruct::VerifiedShare;
use crate::share::ShareIndex;
use core::fmt;
use hmac::digest::common::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a seed.
pub const SEED_LEN: usize = 32;
/// Bytes of a salt.
pub const SALT_LEN: usize = 32;
/// Bytes of a tag.
pub const TAG_LEN: usize = 32;
/// Bytes of an encoded [`ShareContext`].
pub const CONTEXT_LEN: usize = 128;

/// First bytes of every context, so that a tag of ours never means anything else.
const DOMAIN: [u8; 16] = *b"xgene/share/tag\0";
/// Version of the layout of the context.
const VERSION: u8 = 1;
/// What a salt is derived for.
const SALT_LABEL: &[u8] = b"xgene/salt/1";
/// What the key of a chunk's data is derived for, in short mode.
const SEAL_LABEL: &[u8] = b"xgene/seal/1";

/// Random bytes inside the secret, from which all salts and the key of short mode derive; wiped on
/// drop.
pub struct Seed([u8; SEED_LEN]);

/// Key of one share's tag; travels with the share and is wiped on drop.
pub struct Salt([u8; SALT_LEN]);

/// Authenticates one share; may be public.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tag([u8; TAG_LEN]);

impl Seed {
    /// Takes over 32 uniform random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SEED_LEN]) -> Self {
        Self(bytes)
    }

    /// The salt of share `index`.
    #[must_use]
    pub fn salt(&self, index: ShareIndex) -> Salt {
        Salt(hmac_sha256(
            &self.0,
            &[SALT_LABEL, &u16::from(index.get()).to_be_bytes()],
        ))
    }

    /// The key that seals the data of this chunk, and of no other, in short mode.
    #[must_use]
    pub fn sealing_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hmac_sha256(&self.0, &[SEAL_LABEL]))
    }
}

impl Salt {
    /// Takes over the salt that was stored with a share.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SALT_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be stored with the share and nowhere else.
    #[must_use]
    pub const fn expose(&self) -> &[u8; SALT_LEN] {
        &self.0
    }

    /// The tag of share `index` in `context`.
    #[must_use]
    pub fn tag(&self, context: &ShareContext, index: ShareIndex, share: &[u8]) -> Tag {
        Tag(hmac_sha256(&self.0, &[&context.encode(index), share]))
    }
}

impl Tag {
    /// Takes over the bytes of a tag.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; TAG_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; TAG_LEN] {
        &self.0
    }
}

/// Checks `share` against its tag: the way to a [`VerifiedShare`].
///
/// # Errors
/// [`Error::ShareIntegrity`] for a share of another length, index, place or content; one error
/// for all of them.
pub fn verify<'a>(
    context: &ShareContext,
    index: ShareIndex,
    salt: &Salt,
    share: &'a [u8],
    expected: &Tag,
) -> Result<VerifiedShare<'a>, Error> {
    let right_len = u32::try_from(share.len()) == Ok(context.share_len);
    let right_tag = salt.tag(context, index, share).0.ct_eq(&expected.0);
    if right_len && bool::from(right_tag) {
        Ok(VerifiedShare::assume_authentic(index, share))
    } else {
        Err(Error::ShareIntegrity { index: index.get() })
    }
}

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $id:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The identifier in formats.
            #[must_use]
            pub const fn id(self) -> u8 {
                match self { $(Self::$variant => $id,)+ }
            }

            /// The value with this identifier, or `None` for an unknown one.
            #[must_use]
            pub const fn from_id(id: u8) -> Option<Self> {
                match id { $($id => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

wire_enum! {
    /// How a payload is protected.
    Mode {
        /// Every byte is split by the threshold scheme.
        Perfect = 0,
        /// Every chunk is encrypted and erasure-coded, and its key split by the threshold scheme.
        Short = 1,
    }
}

impl Default for Mode {
    /// Whoever wants less than perfect has to say so.
    fn default() -> Self {
        Self::Perfect
    }
}

impl fmt::Display for Mode {
    /// What kind of secrecy it gives stands beside every other name than perfect.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Perfect => "perfect",
            Self::Short => "short (computational)",
        })
    }
}

wire_enum! {
    /// What a share is a share of.
    Kind {
        /// A chunk of the payload.
        Data = 0,
        /// The last chunk, which authenticates the whole payload.
        Trailer = 1,
        /// Reserved, and used nowhere: in short mode each data chunk carries its own key.
        Key = 2,
        /// A secret of its own, in stand-alone share files.
        Secret = 3,
    }
}

wire_enum! {
    /// What follows a payload to hide its length.
    Padding {
        /// Nothing.
        None = 0,
        /// Zeros up to the Padmé length.
        Padme = 1,
    }
}

wire_enum! {
    /// What follows the data of a chunk inside the secret.
    Suffix {
        /// How many bytes are valid, and the seed.
        Seed = 0,
        /// Reserved: the same, and masks for consistency proofs.
        SeedAndMasks = 1,
    }
}

/// Which share of what: everything that a tag is bound to besides the share itself.
///
/// It holds nothing that may change while the share stays: no backend, name, owner or version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShareContext {
    /// How the payload is protected.
    pub mode: Mode,
    /// What this is a share of.
    pub kind: Kind,
    /// What follows the payload.
    pub padding: Padding,
    /// What follows the data inside the secret.
    pub suffix: Suffix,
    /// Threshold and share count.
    pub access: AccessStructure,
    /// Plaintext bytes of a full chunk.
    pub chunk_len: u32,
    /// Chunks of a full segment.
    pub chunks_per_segment: u32,
    /// The object.
    pub object_id: [u8; 32],
    /// The dealing of the object.
    pub put_id: [u8; 32],
    /// The chunk's number, from 0.
    pub chunk: u64,
    /// Bytes of the share.
    pub share_len: u32,
}

impl ShareContext {
    /// The block that is authenticated before the share; integers are big-endian. It is 128
    /// bytes long so that the share begins on a block of SHA-256.
    #[must_use]
    pub fn encode(&self, index: ShareIndex) -> [u8; CONTEXT_LEN] {
        // The trailer ends an object; a secret of its own is all there is.
        let is_last = matches!(self.kind, Kind::Trailer | Kind::Secret);
        let mut block = [0; CONTEXT_LEN];
        block[..16].copy_from_slice(&DOMAIN);
        block[16..26].copy_from_slice(&[
            VERSION,
            self.access.scheme().id(),
            self.mode.id(),
            self.kind.id(),
            self.padding.id(),
            self.suffix.id(),
            self.access.threshold(),
            self.access.share_count(),
            index.get(),
            u8::from(is_last),
        ]);
        block[28..32].copy_from_slice(&self.chunk_len.to_be_bytes());
        block[32..36].copy_from_slice(&self.chunks_per_segment.to_be_bytes());
        block[36..68].copy_from_slice(&self.object_id);
        block[68..100].copy_from_slice(&self.put_id);
        block[100..108].copy_from_slice(&self.chunk.to_be_bytes());
        block[108..112].copy_from_slice(&self.share_len.to_be_bytes());
        block
    }
}

/// HMAC-SHA256 of the parts, one after the other.
fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC pads a key with zeros to a block; this is that block, so no length can be wrong.
    let mut block = Key::<Hmac<Sha256>>::default();
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block);
    block.as_mut_slice().zeroize();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for Salt {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Seed {}
impl ZeroizeOnDrop for Salt {}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(32 bytes)")
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(32 bytes)")
    }
}
