//! What was dealt where, and who says so (docs/formats/manifest.md).
//!
//! An envelope `magic | version | body length | body | authenticators` that is verified **before**
//! its body is parsed: whatever a stranger wrote never reaches the decoder. The body is deterministic
//! CBOR, so one manifest has one encoding and one hash. It holds nothing that a holder of fewer than
//! k shares could check a guess against.

use sha2::{Digest as _, Sha256};
use xorida_core::{AccessStructure, Mode, Padding, Scheme, Suffix};

use crate::cbor::{self, Blob};
use crate::cbor_map;
use crate::error::Error;
use crate::geometry::{Geometry, Layout};
use crate::ids::{
    BackendUid, DeviceId, MakerKey, ManifestHash, ObjectId, Prefix, PutId, ShareRoot, StoreTag,
};
use crate::journal::Place;
use crate::keys::trust::TrustedMakers;
use crate::keys::{OwnerKeys, verify_signature};
use crate::placement::{FailureDomain, write_quorum};

const MAGIC: [u8; 4] = *b"XGMF";
const VERSION: u8 = 1;
/// Magic, version and body length.
const HEADER_LEN: usize = 9;
/// Longest body; a longer one is refused before anything is allocated for it.
const MAX_BODY_LEN: usize = 1 << 20;
/// Maker's key, HMAC, signature.
const AUTHENTICATORS_LEN: usize = 32 + 32 + 64;

/// Longest envelope in bytes.
pub const MAX_LEN: usize = HEADER_LEN + MAX_BODY_LEN + AUTHENTICATORS_LEN;

/// What is signed, so that a signature of ours never means anything else.
const SIGNATURE_DOMAIN: &[u8] = b"xgene/manifest/1\0";

/// [`Body::state`]: the object can be read.
pub const STATE_LIVE: u8 = 0;
/// [`Body::state`]: the object was deleted; its shares may be gone.
pub const STATE_DELETED: u8 = 1;

cbor_map! {
    /// The signed content of a manifest. Key numbers are part of the format.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Body {
        /// The object, for ever.
        1 => pub object_id: ObjectId,
        /// The dealing that this version describes.
        2 => pub put_id: PutId,
        /// Counts up by one with every manifest of the object, from 1.
        3 => pub version: u64,
        /// [`STATE_LIVE`] or [`STATE_DELETED`].
        4 => pub state: u8,
        /// Installation that wrote this version.
        5 => pub device: DeviceId,
        /// Hash of the version before; absent in the first.
        6 => pub previous: Option<ManifestHash>,
        /// Key that must have signed the envelope.
        7 => pub maker: MakerKey,
        /// First part of all names at all backends.
        8 => pub store_tag: StoreTag,
        /// Scheme id: 1 XorIDA, 2 n-of-n.
        9 => pub scheme: u8,
        /// 0 perfect, 1 short.
        10 => pub mode: u8,
        /// 0 none, 1 Padmé.
        11 => pub padding: u8,
        /// 0 seed; 1 seed and masks, reserved.
        12 => pub suffix: u8,
        /// Shares needed.
        13 => pub k: u8,
        /// Shares dealt.
        14 => pub n: u8,
        /// Plaintext bytes of a chunk.
        15 => pub chunk_len: u32,
        /// Chunks of a segment.
        16 => pub chunks_per_segment: u32,
        /// Payload and padding, in bytes.
        17 => pub padded_len: u64,
        /// Chunks, the trailer included.
        18 => pub chunks: u64,
        /// The n shares, by ascending index.
        19 => pub shares: Vec<ShareEntry>,
        /// Every index that was ever sent to a backend in this generation.
        20 => pub held: Vec<Held>,
        /// Where revocations are published: 0 in manifests.
        21 => pub revocation: u8,
        /// Seconds since 1970.
        22 => pub created_unix_s: u64,
        /// Seconds since 1970; absent: never.
        23 => pub expires_unix_s: Option<u64>,
        /// Earlier dealings whose shares are to be deleted.
        24 => pub superseded: Option<Vec<Superseded>>,
        /// A document of the layer above, under the same rules of encoding.
        25 => pub extension: Option<Blob>,
        /// Present and true when k or more shares lie on one computer that nobody is named for.
        26 => pub trial: Option<bool>,
    }
}

cbor_map! {
    /// One share: its root, and where it is stored.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ShareEntry {
        /// Share index.
        1 => pub index: u8,
        /// Merkle root over the tags of all its chunks.
        2 => pub root: ShareRoot,
        /// Where it is stored; absent when no backend took it, until a repair finds it a place.
        3 => pub location: Option<Location>,
    }
}

cbor_map! {
    /// A backend, by its identity and labels; never its address or credential.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Location {
        /// The identity the backend carries.
        1 => pub backend: BackendUid,
        /// What people call it.
        2 => pub label: String,
        /// Name part of manifests there.
        3 => pub manifest_prefix: Prefix,
        /// Name part of this dealing's shares there.
        4 => pub share_prefix: Prefix,
        /// Legal zone.
        5 => pub zone: Option<String>,
        /// Operator.
        6 => pub operator: Option<String>,
        /// Credential source.
        7 => pub credential: Option<String>,
        /// Host.
        8 => pub host: Option<String>,
    }
}

cbor_map! {
    /// An index was sent to a backend, which may have kept it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Held {
        /// Share index.
        1 => pub index: u8,
        /// The backend.
        2 => pub backend: BackendUid,
        /// Since when, in seconds since 1970.
        3 => pub since_unix_s: u64,
    }
}

cbor_map! {
    /// An earlier dealing that any client may finish deleting.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Superseded {
        /// The dealing.
        1 => pub put_id: PutId,
        /// Where its shares lie.
        2 => pub locations: Vec<SupersededLocation>,
        /// Present and true when a refresh replaced it: the dealings after it have the same payload.
        3 => pub refreshed: Option<bool>,
        /// Until when its shares stay for those who read them, in seconds since 1970; absent: they
        /// go at once.
        4 => pub kept_until_unix_s: Option<u64>,
    }
}

cbor_map! {
    /// Where one share of a superseded dealing lies.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SupersededLocation {
        /// The backend.
        1 => pub backend: BackendUid,
        /// Name part of its shares there.
        2 => pub share_prefix: Prefix,
    }
}

impl Location {
    /// A place with the labels of who can reach it.
    pub(crate) fn new(place: &Place, domain: FailureDomain) -> Self {
        Self {
            backend: place.backend,
            label: place.label.clone(),
            manifest_prefix: place.manifest_prefix,
            share_prefix: place.share_prefix,
            zone: domain.zone,
            operator: domain.operator,
            credential: domain.credential,
            host: domain.host,
        }
    }

    /// The four labels of placement.
    #[must_use]
    pub fn failure_domain(&self) -> FailureDomain {
        FailureDomain {
            zone: self.zone.clone(),
            operator: self.operator.clone(),
            credential: self.credential.clone(),
            host: self.host.clone(),
        }
    }
}

impl Body {
    /// Threshold and share count.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] when they are none.
    pub fn access(&self) -> Result<AccessStructure, Error> {
        AccessStructure::try_new(self.k, self.n)
            .map_err(|_| Error::ManifestInvalid("threshold and share count are impossible"))
    }

    /// How the payload is protected.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] for a mode that this program does not know.
    pub fn mode(&self) -> Result<Mode, Error> {
        Mode::from_id(self.mode).ok_or(Error::ManifestInvalid("its mode is unknown"))
    }

    /// Chunks, segments and lengths.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] when the fields contradict each other.
    pub fn geometry(&self) -> Result<Geometry, Error> {
        let invalid = |_| Error::ManifestInvalid("its lengths are impossible");
        let padding = Padding::from_id(self.padding)
            .ok_or(Error::ManifestInvalid("its padding mode is unknown"))?;
        let layout = Layout::try_new(self.access()?, padding, self.chunk_len).map_err(invalid)?;
        Geometry::try_new(layout.in_mode(self.mode()?), self.padded_len).map_err(invalid)
    }

    /// Refuses what is no longer read at `now_unix_s`.
    pub(crate) fn refuse_expired(&self, now_unix_s: u64) -> Result<(), Error> {
        match self.expires_unix_s {
            Some(expired_unix_s) if now_unix_s >= expired_unix_s => {
                Err(Error::ManifestExpired { expired_unix_s })
            }
            _ => Ok(()),
        }
    }

    /// Checks everything that the types do not say.
    fn check(&self) -> Result<(), Error> {
        let access = self.access()?;
        let geometry = self.geometry()?;
        let indices = self.shares.iter().map(|share| share.index);
        let rules = [
            (self.version > 0, "its version is zero"),
            (self.state <= STATE_DELETED, "its state is unknown"),
            (self.revocation == 0, "its revocation source is unknown"),
            (
                Scheme::from_id(self.scheme) == Some(access.scheme()),
                "its scheme is not that of k, n",
            ),
            (
                Suffix::from_id(self.suffix) == Some(Suffix::Seed),
                "its suffix is unknown",
            ),
            (
                self.chunks == geometry.chunks(),
                "its chunk count does not follow from its length",
            ),
            (
                self.chunks_per_segment == geometry.layout().chunks_per_segment(),
                "its segment size does not follow from its chunk size",
            ),
            (
                indices.eq(0..self.n),
                "its shares are not one of each index",
            ),
            (
                self.stored().count() >= usize::from(self.k).max(self.write_quorum()),
                "too few of its shares are stored",
            ),
            (
                self.distinct_backends(),
                "two of its shares are at one backend",
            ),
            (
                self.previous.is_some() == (self.version > 1),
                "its history is contradictory",
            ),
            (self.version < u64::MAX, "its version is the last there is"),
            (
                self.trial != Some(false),
                "it says that it is no trial instead of nothing",
            ),
            (
                self.superseded.as_ref().is_none_or(|s| !s.is_empty()),
                "it supersedes nothing",
            ),
            (
                self.superseded()
                    .all(|dealing| dealing.refreshed != Some(false)),
                "it says that a dealing was not refreshed instead of nothing",
            ),
            (
                self.held.iter().all(|held| held.index < self.n),
                "it holds a share of no index",
            ),
            (
                geometry.layout().padded_len(self.padded_len).ok() == Some(self.padded_len),
                "its length is none that padding gives",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(Error::ManifestInvalid(reason)),
            None => Ok(()),
        }
    }

    /// Backends that must answer before the newest manifest among them is known to be the newest: of
    /// those that hold a copy, all but W - 1.
    #[must_use]
    pub fn read_quorum(&self) -> usize {
        (self.stored().count() + 1).saturating_sub(self.write_quorum())
    }

    /// Copies that make a version count: W.
    #[must_use]
    pub fn write_quorum(&self) -> usize {
        write_quorum(self.k, self.n)
    }

    /// The shares that are stored somewhere, by ascending index, and where.
    pub fn stored(&self) -> impl Iterator<Item = (&ShareEntry, &Location)> {
        self.shares
            .iter()
            .filter_map(|share| Some((share, share.location.as_ref()?)))
    }

    /// Earlier dealings whose shares are to be deleted, the latest first.
    pub fn superseded(&self) -> impl Iterator<Item = &Superseded> {
        self.superseded.iter().flatten()
    }

    /// Earlier dealings whose shares may go at `now_unix_s`; of a deleted object, all of them.
    pub(crate) fn given_up(&self, now_unix_s: u64) -> impl Iterator<Item = &Superseded> {
        let kept = move |dealing: &&Superseded| {
            let until = dealing.kept_until_unix_s;
            self.state == STATE_LIVE && until.is_some_and(|until| now_unix_s < until)
        };
        self.superseded().filter(move |dealing| !kept(dealing))
    }

    /// Whether shares of earlier dealings stay at `now_unix_s` for those who read them.
    pub(crate) fn keeps_earlier(&self, now_unix_s: u64) -> bool {
        self.given_up(now_unix_s).count() < self.superseded().count()
    }

    /// Whether this version has the payload of the dealing `put_id`.
    pub(crate) fn has_payload_of(&self, put_id: PutId) -> bool {
        let mut refreshed = self
            .superseded()
            .filter(|dealing| dealing.refreshed == Some(true));
        self.put_id == put_id || refreshed.any(|dealing| dealing.put_id == put_id)
    }

    fn distinct_backends(&self) -> bool {
        let backends: std::collections::BTreeSet<BackendUid> =
            self.stored().map(|(_, at)| at.backend).collect();
        backends.len() == self.stored().count()
    }
}

/// How much is proven about who made a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// HMAC and signature are this owner's, under the present key or a replaced one.
    Owner,
    /// The signature is that of a pinned maker, by this name.
    Pinned(String),
    /// The signature holds, but nobody says whose it is: read on explicit request.
    Unproven,
}

/// Whom to believe.
#[derive(Debug, Clone, Copy)]
pub struct Verifier<'a> {
    /// The owner's keys, where this client has them.
    pub owner: Option<&'a OwnerKeys>,
    /// Other makers.
    pub trusted: &'a TrustedMakers,
    /// Read manifests of unknown makers whose signature holds.
    pub accept_unsigned: bool,
}

/// A manifest whose authenticators were checked, with the bytes that carry them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    body: Body,
    envelope: Vec<u8>,
    provenance: Provenance,
}

impl Manifest {
    /// Encodes and authenticates `body` as its owner.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] when the fields of `body` contradict each other or it is too long.
    pub fn seal(body: Body, keys: &OwnerKeys) -> Result<Self, Error> {
        body.check()?;
        let encoded = cbor::to_vec(&body);
        let len = u32::try_from(encoded.len())
            .ok()
            .filter(|len| *len as usize <= MAX_BODY_LEN);
        let len = len.ok_or(Error::ManifestInvalid("it is longer than 1 MiB"))?;
        let mut envelope = Vec::with_capacity(HEADER_LEN + encoded.len() + AUTHENTICATORS_LEN);
        envelope.extend(MAGIC);
        envelope.push(VERSION);
        envelope.extend(len.to_be_bytes());
        envelope.extend(encoded);
        let (mac, signature) = keys.authenticate(&message(&envelope));
        envelope.extend(keys.maker().0);
        envelope.extend(mac);
        envelope.extend(signature);
        Ok(Self {
            body,
            envelope,
            provenance: Provenance::Owner,
        })
    }

    /// Verifies, then parses an envelope: exactly `bytes`, nothing after.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] for a malformed or changed envelope, [`Error::Version`] for a newer
    /// one, [`Error::KeyUntrusted`] when it is whole but its maker is not known here.
    pub fn open(bytes: &[u8], verifier: &Verifier<'_>) -> Result<Self, Error> {
        let envelope = Envelope::parse(bytes)?;
        let provenance = envelope.provenance(verifier)?;
        let body: Body = cbor::from_slice(envelope.body)
            .map_err(|_| Error::ManifestInvalid("its body is not in the one form it may have"))?;
        if body.maker != envelope.maker {
            return Err(Error::ManifestInvalid("its signer is not its maker"));
        }
        body.check()?;
        planted(&body);
        Ok(Self {
            body,
            envelope: bytes.to_vec(),
            provenance,
        })
    }

    /// The content.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The bytes of the envelope, as stored.
    #[must_use]
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    /// Who made it, as far as that is proven.
    #[must_use]
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// SHA-256 of the envelope without its authenticators, so that stripping or re-signing one
    /// cannot fake a fork.
    #[must_use]
    pub fn hash(&self) -> ManifestHash {
        let signed = &self.envelope[..self.envelope.len() - AUTHENTICATORS_LEN];
        ManifestHash(Sha256::digest(signed).into())
    }
}

/// The parts of an envelope, not yet believed.
struct Envelope<'a> {
    signed: &'a [u8],
    body: &'a [u8],
    maker: MakerKey,
    mac: [u8; 32],
    signature: [u8; 64],
}

impl<'a> Envelope<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, rest) = bytes
            .split_at_checked(HEADER_LEN)
            .ok_or(Error::ManifestInvalid("it is cut short"))?;
        if header[..4] != MAGIC {
            return Err(Error::ManifestInvalid("it is not a manifest"));
        }
        if header[4] != VERSION {
            return Err(Error::Version {
                what: "the manifest",
                version: header[4],
            });
        }
        let len = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize;
        if len > MAX_BODY_LEN || rest.len() != len + AUTHENTICATORS_LEN {
            return Err(Error::ManifestInvalid(
                "its length is not the one it states",
            ));
        }
        let (body, authenticators) = rest.split_at(len);
        let mut envelope = Self {
            signed: &bytes[..HEADER_LEN + len],
            body,
            maker: MakerKey([0; 32]),
            mac: [0; 32],
            signature: [0; 64],
        };
        envelope.maker.0.copy_from_slice(&authenticators[..32]);
        envelope.mac.copy_from_slice(&authenticators[32..64]);
        envelope.signature.copy_from_slice(&authenticators[64..]);
        Ok(envelope)
    }

    /// The owner requires both authenticators: the HMAC stands even if Ed25519 falls. Others have
    /// the signature, under a key that somebody pinned.
    fn provenance(&self, verifier: &Verifier<'_>) -> Result<Provenance, Error> {
        let message = message(self.signed);
        let signed = verify_signature(self.maker, &message, &self.signature);
        let ours = |owner: &&OwnerKeys| owner.age_of(self.maker).is_some();
        if let Some(owner) = verifier.owner.filter(ours) {
            return if signed && owner.verify_mac(self.maker, &message, &self.mac) {
                Ok(Provenance::Owner)
            } else {
                Err(Error::ManifestInvalid("it was changed after it was signed"))
            };
        }
        match (signed, verifier.trusted.name_of(self.maker)) {
            (true, Some(name)) => Ok(Provenance::Pinned(name.to_owned())),
            (true, None) if verifier.accept_unsigned => Ok(Provenance::Unproven),
            (true, None) => Err(Error::KeyUntrusted(self.maker)),
            (false, _) => Err(Error::ManifestInvalid("it was changed after it was signed")),
        }
    }
}

/// A deliberate defect, compiled only to prove that the fuzz target finds it.
#[cfg(feature = "planted")]
fn planted(body: &Body) {
    if crate::planted::is(crate::planted::Bug::Parsers)
        && let Some(Blob(extension)) = &body.extension
        && extension.len() == 77
        && extension[0] == 0xff
    {
        let beyond = extension.len();
        std::hint::black_box(extension[beyond]);
    }
}

#[cfg(not(feature = "planted"))]
const fn planted(_body: &Body) {}

fn message(signed: &[u8]) -> Vec<u8> {
    [SIGNATURE_DOMAIN, signed].concat()
}

#[cfg(test)]
pub(crate) mod tests;
