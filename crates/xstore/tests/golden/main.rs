//! Stored formats against fixed bytes: values that the documents of `docs/formats` print, and
//! files, nearly all of them bad, whose name says what reading them must give.
//!
//! Each file lies in `files/FORMAT/NAME.CODE.hex`; [`corpus`] says how they are kept.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

mod cbor;
#[path = "../../../xorida-core/tests/vectors/corpus.rs"]
mod corpus;
mod keys;
mod manifest;
mod segment;
mod short_format;
mod values;

use xstore::keys::{OwnerKeys, RootKey};

/// The owner of everything here: root key 32 times `07`.
fn owner() -> OwnerKeys {
    OwnerKeys::derive(&RootKey::from_bytes([7; 32]))
}
