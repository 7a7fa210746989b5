//! Bodies of manifests: coherent ones, and ones that contradict themselves in one field.

use arbitrary::Arbitrary;
use xgene_fuzz::Damage;
use xstore::cbor::Blob;
use xstore::geometry::{Geometry, Layout};
use xstore::ids::{BackendUid, DeviceId, ManifestHash, ObjectId, Prefix, PutId, ShareRoot};
use xstore::keys::OwnerKeys;
use xstore::manifest::{
    Body, Held, Location, STATE_DELETED, STATE_LIVE, ShareEntry, Superseded, SupersededLocation,
};
use xstore::{AccessStructure, Padding};

/// What a body says, one field that is then changed, and what happens to the sealed envelope.
#[derive(Debug, Arbitrary)]
pub(crate) struct Plan {
    threshold: u8,
    spare: u8,
    chunk_len_log2: u8,
    padme: bool,
    deleted: bool,
    payload_len: u32,
    /// Identities are this byte, repeated.
    fill: u8,
    version: u8,
    created_unix_s: u64,
    expires_unix_s: Option<u64>,
    trial: bool,
    edit: Edit,
    pub(crate) damage: Damage,
    /// Length and repeated byte of the extension.
    extension: Option<(u8, Fill)>,
    held: Vec<(u8, u8, u64)>,
    superseded: Vec<(u8, u8)>,
    zone: Option<String>,
    label: String,
}

/// A byte, the extreme ones more often than others.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Fill {
    Zeros,
    Ones,
    Byte(u8),
}

/// A field that does not follow from the others any more, or that may happen to fit all the same.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Edit {
    None,
    Version(u64),
    State(u8),
    First(bool),
    Scheme(u8),
    Mode(u8),
    Padding(u8),
    Suffix(u8),
    Threshold(u8),
    ShareCount(u8),
    ChunkLen(u32),
    ChunksPerSegment(u32),
    PaddedLen(u64),
    Chunks(u64),
    ShareIndex { at: u8, index: u8 },
    Backend { at: u8, fill: u8 },
    NotStored { at: u8 },
    FewerShares(u8),
    Revocation(u8),
    NoTrial,
    NothingSuperseded,
    NotRefreshed,
    Held(u8),
}

impl Plan {
    /// Whether [`Plan::body`] may contradict itself.
    pub(crate) const fn edited(&self) -> bool {
        !matches!(self.edit, Edit::None)
    }

    pub(crate) fn body(&self, owner: &OwnerKeys) -> Body {
        let geometry = self.geometry();
        let layout = geometry.layout();
        let version = u64::from(self.version) + 1;
        let mut body = Body {
            object_id: ObjectId([self.fill; 32]),
            put_id: PutId([!self.fill; 32]),
            version,
            state: if self.deleted {
                STATE_DELETED
            } else {
                STATE_LIVE
            },
            device: DeviceId([self.fill; 16]),
            previous: (version > 1).then_some(ManifestHash([self.fill; 32])),
            maker: owner.maker(),
            store_tag: owner.store_tag(),
            scheme: layout.access.scheme().id(),
            mode: 0,
            padding: layout.padding.id(),
            suffix: 0,
            k: layout.access.threshold(),
            n: layout.access.share_count(),
            chunk_len: layout.chunk_len(),
            chunks_per_segment: layout.chunks_per_segment(),
            padded_len: geometry.padded_len(),
            chunks: geometry.chunks(),
            shares: (0..layout.access.share_count())
                .map(|index| self.share(index))
                .collect(),
            held: self.held(layout.access),
            revocation: 0,
            created_unix_s: self.created_unix_s,
            expires_unix_s: self.expires_unix_s,
            superseded: self.superseded(),
            extension: self
                .extension
                .map(|(len, fill)| Blob(vec![fill.byte(); usize::from(len)])),
            trial: self.trial.then_some(true),
        };
        self.edit.apply(&mut body);
        body
    }

    fn geometry(&self) -> Geometry {
        let threshold = 2 + self.threshold % 4;
        let padding = if self.padme {
            Padding::Padme
        } else {
            Padding::None
        };
        let geometry = AccessStructure::try_new(threshold, threshold + self.spare % 4)
            .ok()
            .and_then(|access| {
                Layout::try_new(access, padding, 1 << (16 + self.chunk_len_log2 % 9)).ok()
            })
            .and_then(|layout| {
                let padded_len = layout.padded_len(u64::from(self.payload_len)).ok()?;
                Geometry::try_new(layout, padded_len).ok()
            });
        let Some(geometry) = geometry else {
            panic!("{self:?} is within every limit")
        };
        geometry
    }

    fn held(&self, access: AccessStructure) -> Vec<Held> {
        let held = |&(index, backend, since_unix_s): &(u8, u8, u64)| Held {
            index: index % access.share_count(),
            backend: BackendUid([backend; 16]),
            since_unix_s,
        };
        self.held.iter().map(held).collect()
    }

    /// Earlier dealings, one location each; a body that has none leaves the field out.
    fn superseded(&self) -> Option<Vec<Superseded>> {
        let superseded = |&(put, backend): &(u8, u8)| Superseded {
            put_id: PutId([put; 32]),
            locations: vec![SupersededLocation {
                backend: BackendUid([backend; 16]),
                share_prefix: Prefix([put; 16]),
            }],
            refreshed: (put % 2 == 1).then_some(true),
            kept_until_unix_s: (backend % 2 == 1).then(|| u64::from(backend)),
        };
        let all: Vec<Superseded> = self.superseded.iter().map(superseded).collect();
        (!all.is_empty()).then_some(all)
    }

    fn share(&self, index: u8) -> ShareEntry {
        ShareEntry {
            index,
            root: ShareRoot([self.fill ^ index; 32]),
            location: Some(Location {
                backend: BackendUid([index; 16]),
                label: self.label.clone(),
                manifest_prefix: Prefix([self.fill; 16]),
                share_prefix: Prefix([!self.fill; 16]),
                zone: self.zone.clone(),
                operator: None,
                credential: None,
                host: self.zone.clone(),
            }),
        }
    }
}

impl Fill {
    const fn byte(self) -> u8 {
        match self {
            Self::Zeros => 0,
            Self::Ones => 0xff,
            Self::Byte(byte) => byte,
        }
    }
}

impl Edit {
    fn apply(self, body: &mut Body) {
        match self {
            Self::None => {}
            Self::Version(version) => body.version = version,
            Self::State(state) => body.state = state,
            Self::First(first) => body.previous = (!first).then_some(ManifestHash([0; 32])),
            Self::Scheme(id) => body.scheme = id,
            Self::Mode(id) => body.mode = id,
            Self::Padding(id) => body.padding = id,
            Self::Suffix(id) => body.suffix = id,
            Self::Threshold(k) => body.k = k,
            Self::ShareCount(n) => body.n = n,
            Self::ChunkLen(len) => body.chunk_len = len,
            Self::ChunksPerSegment(count) => body.chunks_per_segment = count,
            Self::PaddedLen(len) => body.padded_len = len,
            Self::Chunks(count) => body.chunks = count,
            Self::ShareIndex { at, index } => share(body, at).index = index,
            Self::Backend { at, fill } => {
                if let Some(location) = &mut share(body, at).location {
                    location.backend = BackendUid([fill; 16]);
                }
            }
            Self::NotStored { at } => share(body, at).location = None,
            Self::FewerShares(count) => body.shares.truncate(usize::from(count)),
            Self::Revocation(source) => body.revocation = source,
            Self::NoTrial => body.trial = Some(false),
            Self::NothingSuperseded => body.superseded = Some(Vec::new()),
            Self::NotRefreshed => {
                let superseded = body.superseded.iter_mut().flatten();
                superseded.for_each(|dealing| dealing.refreshed = Some(false));
            }
            Self::Held(index) => {
                let backend = BackendUid([0; 16]);
                body.held.push(Held {
                    index,
                    backend,
                    since_unix_s: 0,
                });
            }
        }
    }
}

/// One of the shares, of which a planned body has at least two.
fn share(body: &mut Body, at: u8) -> &mut ShareEntry {
    let at = usize::from(at) % body.shares.len();
    &mut body.shares[at]
}
