//! The manifest of a put: what was dealt where, and what it replaces.

use xorida_core::Suffix;

use crate::cbor::Blob;
use crate::error::Error;
use crate::keys::OwnerKeys;
use crate::manifest::{
    Body, Held, Location, Manifest, STATE_LIVE, ShareEntry, Superseded, SupersededLocation,
};
use crate::placement::{self, FailureDomain};
use crate::store::erase::former_holders;
use crate::store::put::{Dealt, PutOptions, Putting, next_version};

/// Replaced dealings that a manifest carries on, so that it stays small.
const MAX_SUPERSEDED: usize = 4;

impl Putting<'_> {
    pub(super) fn body(&self, options: &PutOptions, dealt: &Dealt) -> Result<Body, Error> {
        let keys = self.store.keys()?;
        let layout = self.dealing.layout;
        let now = self.store.clock.now_unix_s();
        let sent = self.slots.sent.iter();
        let domains: Vec<(u8, &FailureDomain)> = sent
            .clone()
            .map(|(index, holder)| (*index, &holder.site.attached.domain))
            .collect();
        let trial = placement::is_trial(layout.access.threshold(), &domains);
        let parts = self.slots.slots.iter().zip(&dealt.indices);
        let shares = parts.map(|(slot, share)| ShareEntry {
            index: slot.index,
            root: share.root(),
            location: slot
                .holder
                .as_ref()
                .map(|holder| Location::new(&holder.place, holder.site.attached.domain.clone())),
        });
        let replaced = self.replaced.as_ref();
        let expires_unix_s = options.ttl_s.map(|ttl| now.saturating_add(ttl));
        Ok(Body {
            object_id: self.dealing.object_id,
            put_id: self.dealing.put_id,
            version: replaced.map_or(Ok(1), next_version)?,
            state: STATE_LIVE,
            device: self.store.device,
            previous: replaced.map(Manifest::hash),
            maker: keys.maker(),
            store_tag: keys.store_tag(),
            scheme: layout.access.scheme().id(),
            mode: layout.mode.id(),
            padding: layout.padding.id(),
            suffix: Suffix::Seed.id(),
            k: layout.access.threshold(),
            n: layout.access.share_count(),
            chunk_len: layout.chunk_len(),
            chunks_per_segment: layout.chunks_per_segment(),
            padded_len: dealt.geometry.padded_len(),
            chunks: dealt.geometry.chunks(),
            shares: shares.collect(),
            held: sent
                .map(|(index, holder)| Held {
                    index: *index,
                    backend: holder.site.uid,
                    since_unix_s: now,
                })
                .collect(),
            revocation: 0,
            created_unix_s: now,
            expires_unix_s: expires_unix_s.or(self.expires_unix_s),
            superseded: self.superseded.clone(),
            extension: options.extension.clone().map(Blob),
            trial: trial.then_some(true),
        })
    }
}

/// What a replaced manifest leaves to delete: its own dealing, and those that it had replaced
/// itself, because nobody can say that all of them are gone. The oldest are dropped first.
pub(crate) fn superseded(replaced: &Manifest, keys: &OwnerKeys) -> Vec<Superseded> {
    let body = replaced.body();
    let earlier = body.superseded().map(|dealing| Superseded {
        refreshed: None,
        kept_until_unix_s: None,
        ..dealing.clone()
    });
    std::iter::once(own_dealing(body, keys))
        .chain(earlier)
        .take(MAX_SUPERSEDED)
        .collect()
}

/// As [`superseded`], for a version of the same payload: readers of the old dealings may go on with
/// the new one. All old shares stay as long as they were promised, or go now with the last of them.
pub(crate) fn refreshed(
    old: &Manifest,
    keys: &OwnerKeys,
    kept_until_unix_s: Option<u64>,
) -> Vec<Superseded> {
    let body = old.body();
    let own = Superseded {
        refreshed: Some(true),
        kept_until_unix_s,
        ..own_dealing(body, keys)
    };
    let earlier = body.superseded().map(|dealing| Superseded {
        kept_until_unix_s: kept_until_unix_s.and(dealing.kept_until_unix_s),
        ..dealing.clone()
    });
    std::iter::once(own)
        .chain(earlier)
        .take(MAX_SUPERSEDED)
        .collect()
}

/// The dealing of a manifest, at every backend that was ever sent a share of it.
fn own_dealing(body: &Body, keys: &OwnerKeys) -> Superseded {
    let stored = body.stored().map(|(_, at)| SupersededLocation {
        backend: at.backend,
        share_prefix: at.share_prefix,
    });
    let locations = stored.chain(former_holders(body, keys));
    Superseded {
        put_id: body.put_id,
        locations: locations.collect(),
        refreshed: None,
        kept_until_unix_s: None,
    }
}
