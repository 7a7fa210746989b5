//! `faulty_dealer`: shares that are authentic and nonsense.
//!
//! A reader must survive a writer with a bug, or with bad will: every tag and root fits, and yet
//! what reconstructs is nothing that a put writes. This is the only way to reach the errors for it.

use sha2::{Digest as _, Sha256};
use xorida_core::Kind;

use crate::buffers::{Pool, SecretPool};
use crate::chunk::{ChunkSecret, Dealing};
use crate::entropy::{OsEntropy, SegmentRandomness};
use crate::error::Error;
use crate::keys::OwnerKeys;
use crate::manifest::{Body, Manifest};
use crate::names;
use crate::store::Store;
use crate::store::deal::SegmentDealer;
use crate::store::source::Batch;

/// What the dealer does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonsense {
    /// The trailer has the digest of another payload.
    OtherPayload,
    /// The trailer has another length.
    OtherLength,
    /// The bytes after the payload are not zero.
    Padding,
    /// A chunk says that more bytes are valid than it has.
    ValidLen,
}

/// Deals the object of `manifest`, which has one data chunk of `payload`, again with `nonsense`,
/// over the shares that are stored, and gives a manifest that vouches for it.
///
/// # Errors
/// As [`Store::put`].
pub async fn deal_nonsense(
    store: &Store,
    keys: &OwnerKeys,
    manifest: &Manifest,
    payload: &[u8],
    nonsense: Nonsense,
) -> Result<Manifest, Error> {
    let body = manifest.body();
    let geometry = body.geometry()?;
    let layout = geometry.layout();
    let dealing = Dealing {
        layout,
        object_id: body.object_id,
        put_id: body.put_id,
    };
    let secrets = SecretPool::default();
    let mut secret = ChunkSecret::new(layout, Kind::Data, geometry.data_len(0), &secrets);
    secret.data_mut()[..payload.len()].copy_from_slice(payload);
    secret.valid_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let (mut digest, mut len_bytes) = (Sha256::new(), payload.len() as u64);
    match nonsense {
        Nonsense::OtherPayload => digest.update(b"something before"),
        Nonsense::OtherLength => len_bytes += 1,
        Nonsense::Padding => secret.data_mut()[payload.len()] = 1,
        Nonsense::ValidLen => {
            secret.valid_len = u32::try_from(geometry.data_len(0) + 1).unwrap_or(u32::MAX);
        }
    }
    let batch = Batch {
        first_chunk: 0,
        data: vec![secret],
        ends: true,
    };
    let randomness = SegmentRandomness::draw(&OsEntropy)?;
    let objects = Pool::default();
    let payload = digest;
    let mut dealer = SegmentDealer {
        dealing,
        segment: 0,
        len_bytes,
        randomness,
        objects,
        secrets,
        payload,
        witness: None,
    };
    let dealt = dealer.deal(batch)?;

    let mut forged: Body = Body {
        version: body.version + 1,
        previous: Some(manifest.hash()),
        ..body.clone()
    };
    let sites = store.sites(body.store_tag).await.known;
    for ((entry, object), root) in forged.shares.iter_mut().zip(dealt.objects).zip(dealt.roots) {
        let not_in_store = Error::ManifestInvalid("a site is not in the store");
        let Some(location) = &entry.location else {
            return Err(not_in_store);
        };
        let key = names::segment(body.store_tag, location.share_prefix, 0, 0);
        let site = sites.iter().find(|site| site.uid == location.backend);
        let site = site.ok_or(not_in_store)?;
        site.attached
            .backend
            .delete(std::slice::from_ref(&key))
            .await?;
        site.attached.backend.put_new(&key, object).await?;
        entry.root = root;
    }
    Manifest::seal(forged, keys)
}
