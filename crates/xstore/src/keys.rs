//! The owner's root key and everything derived from it.
//!
//! No key protects the payload: the split does. The root key authenticates manifests and makes names
//! unlinkable; losing it loses no data, because manifest and shares suffice to read.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use crate::entropy::{Entropy, EntropyFailed};
use crate::ids::{BackendUid, MakerKey, ObjectId, Prefix, PutId, StoreTag};
use crate::planted::{self, Bug};

pub mod file;
pub mod trust;

/// 32 random bytes from which every key of an owner is derived, and those that they replaced; wiped
/// on drop.
///
/// Manifests are made under the newest. The older ones verify what they made, and the oldest goes on
/// naming everything at the backends: names cannot change while what they name stays.
#[derive(Clone, ZeroizeOnDrop)]
pub struct RootKey(Vec<[u8; 32]>);

impl RootKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Draws a new root key.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        let mut key = Self(vec![[0; Self::LEN]]);
        entropy.fill(&mut key.0[0])?;
        Ok(key)
    }

    /// A new root key in the place of this one, which is kept behind it.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn replace(&self, entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        let mut key = Self::generate(entropy)?;
        key.0.extend(&self.0);
        Ok(key)
    }

    /// Takes over key bytes that replaced no others.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(vec![bytes])
    }

    /// Takes over what [`RootKey::expose`] gave, for example from a backup; `None` for anything that
    /// is not one or more keys.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let (keys, rest) = bytes.as_chunks();
        (!keys.is_empty() && rest.is_empty()).then(|| Self(keys.to_vec()))
    }

    /// The keys themselves, the newest first, to be written to a key file or a backup and nowhere
    /// else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// The newest key and the one that it replaced last, and so on to the oldest.
    pub(crate) fn each(&self) -> impl Iterator<Item = &[u8; Self::LEN]> {
        self.0.iter()
    }
}

/// Expands one sub-key: HKDF-SHA256 (RFC 5869) without salt, `label` as info.
fn expand(root: &[u8; RootKey::LEN], label: &str) -> Zeroizing<[u8; 32]> {
    let mut okm = Zeroizing::new([0; 32]);
    // 32 bytes are within HKDF's limit of 255 hash lengths, the only error there is.
    let expanded = Hkdf::<Sha256>::new(None, root).expand(label.as_bytes(), okm.as_mut());
    debug_assert!(expanded.is_ok());
    okm
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

/// What manifests are made with under one root key.
struct Authenticator {
    signing: SigningKey,
    mac: Zeroizing<[u8; 32]>,
}

impl Authenticator {
    fn derive(root: &[u8; RootKey::LEN]) -> Self {
        let [(mac, _), (signing, _), ..] = INVENTORY;
        Self {
            signing: SigningKey::from_bytes(&expand(root, signing)),
            mac: expand(root, mac),
        }
    }

    fn maker(&self) -> MakerKey {
        MakerKey(self.signing.verifying_key().to_bytes())
    }
}

/// The keys that a store uses, each derived from the root key under its own label.
pub struct OwnerKeys {
    current: Authenticator,
    /// Of the root keys that were replaced, the newest first.
    former: Vec<Authenticator>,
    names: Zeroizing<[u8; 32]>,
    state_mac: Zeroizing<[u8; 32]>,
    store_tag: StoreTag,
    backup: RootKey,
}

/// What each derived key is for; `xgene keys` prints this list.
pub const INVENTORY: [(&str, &str); 5] = [
    (
        "xgene/manifest-mac/1",
        "HMAC-SHA256 of manifests, checked by the owner",
    ),
    (
        "xgene/signing-seed/1",
        "Ed25519 signature of manifests, checked by everybody else",
    ),
    ("xgene/name-prf/1", "unlinkable names at the backends"),
    (
        "xgene/store-tag/1",
        "first part of every name of this owner",
    ),
    (
        "xgene/state-mac/1",
        "HMAC-SHA256 of what this client notes of a put, so that it can be resumed",
    ),
];

impl OwnerKeys {
    /// Derives all keys.
    #[must_use]
    pub fn derive(root: &RootKey) -> Self {
        let [_, _, (names, _), (tag, _), (state, _)] = INVENTORY;
        let (newest, former) = (&root.0[0], &root.0[1..]);
        let oldest = former.last().unwrap_or(newest);
        let mut store_tag = [0; 16];
        store_tag.copy_from_slice(&expand(oldest, tag)[..16]);
        Self {
            current: Authenticator::derive(newest),
            former: former.iter().map(Authenticator::derive).collect(),
            names: expand(oldest, names),
            state_mac: expand(newest, state),
            store_tag: StoreTag(store_tag),
            backup: root.clone(),
        }
    }

    /// The root key, for key files and backups.
    #[must_use]
    pub const fn root(&self) -> &RootKey {
        &self.backup
    }

    /// Public key under which others recognise this owner's manifests.
    #[must_use]
    pub fn maker(&self) -> MakerKey {
        self.current.maker()
    }

    /// Under how many later keys than this maker's the owner makes manifests by now: none for
    /// [`OwnerKeys::maker`]; `None` for a maker that is not this owner.
    #[must_use]
    pub fn age_of(&self, maker: MakerKey) -> Option<usize> {
        self.makers().position(|ours| ours == maker)
    }

    /// Every public key that this owner has had, the newest first.
    pub fn makers(&self) -> impl Iterator<Item = MakerKey> {
        self.authenticators().map(Authenticator::maker)
    }

    fn authenticators(&self) -> impl Iterator<Item = &Authenticator> {
        std::iter::once(&self.current).chain(&self.former)
    }

    /// First part of every name of this owner.
    #[must_use]
    pub const fn store_tag(&self) -> StoreTag {
        self.store_tag
    }

    /// The id of a named object: a pseudo-random function of its name.
    #[must_use]
    pub fn named_object(&self, name: &str) -> ObjectId {
        ObjectId(self.prf(&[b"o", name.as_bytes()]))
    }

    /// Where manifests of `object` lie at one backend, the same for all generations.
    #[must_use]
    pub fn manifest_prefix(&self, object: ObjectId, backend: BackendUid) -> Prefix {
        Prefix(first_half(self.prf(&[b"m", &object.0, &backend.0])))
    }

    /// Where the shares of one dealing lie at one backend.
    #[must_use]
    pub fn share_prefix(&self, object: ObjectId, put: PutId, backend: BackendUid) -> Prefix {
        let put = if planted::is(Bug::IgnorePutId) {
            &[0; 32]
        } else {
            &put.0
        };
        Prefix(first_half(self.prf(&[b"s", &object.0, put, &backend.0])))
    }

    /// HMAC and signature over `message`, as a manifest carries them.
    #[must_use]
    pub fn authenticate(&self, message: &[u8]) -> ([u8; 32], [u8; 64]) {
        let Authenticator { signing, mac } = &self.current;
        let mac = hmac_sha256(mac, &[message]);
        (mac, signing.sign(message).to_bytes())
    }

    /// Whether `mac` is that of `maker`, one of this owner's keys, over `message`; in constant time.
    #[must_use]
    pub fn verify_mac(&self, maker: MakerKey, message: &[u8], mac: &[u8; 32]) -> bool {
        use subtle::ConstantTimeEq as _;
        let by = self.authenticators().find(|key| key.maker() == maker);
        by.is_some_and(|key| hmac_sha256(&key.mac, &[message]).ct_eq(mac).into())
    }

    /// HMAC of what this client keeps for itself. The parts say what it is of, and begin with a label
    /// that no other use has.
    pub(crate) fn state_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(&self.state_mac, parts)
    }

    /// Every part is prefixed with its length, so no two lists of parts give one input.
    fn prf(&self, parts: &[&[u8]]) -> [u8; 32] {
        let lengths: Vec<[u8; 8]> = parts
            .iter()
            .map(|p| (p.len() as u64).to_be_bytes())
            .collect();
        let input: Vec<&[u8]> = lengths
            .iter()
            .zip(parts)
            .flat_map(|(len, part)| [len.as_slice(), part])
            .collect();
        hmac_sha256(&self.names, &input)
    }
}

impl fmt::Debug for OwnerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerKeys({})", self.maker())
    }
}

fn first_half(bytes: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&bytes[..16]);
    half
}

/// HMAC-SHA256 (RFC 2104) over the concatenation of `parts`.
pub(crate) fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    block.zeroize();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether `signature` is `maker`'s over `message`, by the strict rules that leave no second form
/// of a signature.
#[must_use]
pub fn verify_signature(maker: MakerKey, message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(&maker.0)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> OwnerKeys {
        OwnerKeys::derive(&RootKey::from_bytes([7; 32]))
    }

    #[test]
    fn names_differ_by_object_generation_and_backend() {
        let keys = keys();
        let (object, put) = (ObjectId([1; 32]), PutId([2; 32]));
        let at = |o, p, b| keys.share_prefix(o, p, BackendUid([b; 16]));
        let names = [
            at(object, put, 0),
            at(object, put, 1),
            at(object, PutId([3; 32]), 0),
            at(ObjectId([9; 32]), put, 0),
            keys.manifest_prefix(object, BackendUid([0; 16])),
        ];
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn a_signature_holds_for_its_message_and_maker_only() {
        let keys = keys();
        let (mac, signature) = keys.authenticate(b"message");
        assert!(keys.verify_mac(keys.maker(), b"message", &mac));
        assert!(!keys.verify_mac(keys.maker(), b"massage", &mac));
        assert!(verify_signature(keys.maker(), b"message", &signature));
        assert!(!verify_signature(keys.maker(), b"massage", &signature));
        let other = OwnerKeys::derive(&RootKey::from_bytes([8; 32]));
        assert!(!verify_signature(other.maker(), b"message", &signature));
    }

    #[test]
    fn a_replaced_key_verifies_what_it_made_and_goes_on_naming() {
        let old = RootKey::from_bytes([7; 32]);
        let new = old.replace(&crate::entropy::OsEntropy).unwrap();
        let (former, keys) = (OwnerKeys::derive(&old), OwnerKeys::derive(&new));
        assert_eq!(new.expose()[32..], [7; 32]);
        assert_eq!(keys.store_tag(), former.store_tag());
        assert_eq!(keys.named_object("a"), former.named_object("a"));
        let ages = [keys.maker(), former.maker(), MakerKey([1; 32])];
        assert_eq!(
            ages.map(|maker| keys.age_of(maker)),
            [Some(0), Some(1), None]
        );
        let (mac, signature) = former.authenticate(b"message");
        assert!(keys.verify_mac(former.maker(), b"message", &mac));
        assert!(!keys.verify_mac(keys.maker(), b"message", &mac));
        assert!(
            !former.verify_mac(keys.maker(), b"message", &mac),
            "not its key"
        );
        let (mac, new_signature) = keys.authenticate(b"message");
        assert!(!keys.verify_mac(former.maker(), b"message", &mac));
        assert_ne!(new_signature, signature);
    }

    #[test]
    fn key_bytes_are_one_or_more_whole_keys() {
        let twice = RootKey::from_bytes([1; 32])
            .replace(&crate::entropy::OsEntropy)
            .unwrap();
        let again = RootKey::from_slice(twice.expose()).unwrap();
        assert_eq!(again.expose(), twice.expose());
        for len in [0, 1, 31, 33, 63, 65] {
            assert!(RootKey::from_slice(&vec![0; len]).is_none(), "{len}");
        }
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        // Test case 2 has a shorter key; RFC 2104 pads keys with zeros to the block, as we do.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let mac = hmac_sha256(&key, &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            crate::ids::hex(&mac),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
