//! Split storage: every write is split over n backends, every read is verified, any k are enough.
//!
//! A put deals a stream chunk by chunk into n shares, one for each backend, and commits a signed
//! manifest on so many of them that any k backends hold a copy. A get takes any k shares, verifies
//! every record before it combines, names and replaces what is bad, and checks the whole against a
//! digest that lies inside the secret. A crash at any point leaves the object wholly visible or
//! wholly invisible, and a journal entry from which the next run goes on.
//!
//! What it is not: it does not know genomics, consent or any provider. Providers are in
//! `xstore-backends`, behind the [`StorageBackend`] trait.
//!
//! # Security
//! Fewer than k backends together, with the manifest, learn nothing about the payload but its padded
//! length. The scheme is perfect; that the tags hide rests on HMAC-SHA256, and the randomness comes
//! from ChaCha20 seeded by the operating system, so in whole it is 256-bit computational. k backends
//! together read everything. In short mode ([`Mode::Short`]) the scheme itself is computational: an
//! object is as secret as ChaCha20 keeps it, and takes n/k times its length instead of n times.

pub mod absent;
pub mod backend;
pub mod breaker;
mod budget;
mod buffers;
pub mod cache;
pub mod catalogue;
pub mod cbor;
mod chunk;
pub mod clock;
pub mod durability;
pub mod entropy;
mod erasure;
mod error;
pub mod geometry;
pub mod hedge;
pub mod home;
pub mod ids;
pub mod journal;
pub mod keys;
pub mod latency;
pub mod limit;
pub mod manifest;
pub mod memory;
pub mod metrics;
pub mod names;
pub mod part_file;
pub mod placement;
#[doc(hidden)]
pub mod planted;
pub mod probe;
pub mod progress;
pub mod rate;
pub mod retry;
pub mod segment;
mod short;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timeout;
mod trailer;

pub use backend::{
    BackendError, BackendErrorKind, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put,
    StorageBackend,
};
pub use error::{Error, FaultReason, ReasonKind, ShareFault, Shortage};
pub use home::Home;
pub use manifest::Manifest;
pub use store::{
    Brake, CheckOptions, CheckReport, CheckedShare, DeleteReport, Effects, Found, Freshness,
    GcAction, GcOptions, GcReport, GcStep, GetOptions, GetReport, Guard, Happy, Health,
    IfItAnswers, Listed, Listing, Member, MemberState, Metadata, MetadataFault, MigrateOptions,
    MigrateReport, Objects, OldShare, OldShares, OnCommit, PutOptions, Receipt, Recovered,
    RecoveryReport, RefreshOptions, RefreshReport, RekeyReport, Remedy, RenewReport, RepairOptions,
    RepairReport, RepairedShare, ResolveReport, Resumption, SalvageReport, ShareSource, Store,
    StoreBuilder, Subset, Unfinished, UnknownMakers, Unlisted, nothing_more,
};
pub use xorida_core::{AccessStructure, Mode, Padding};
