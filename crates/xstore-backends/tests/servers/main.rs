//! Backends against servers: real ones where `cargo xtask servers up` has started them, and for Google
//! Cloud Storage our own strict stand-in, since no honest server of it is to be had.
#![cfg(all(
    feature = "s3",
    feature = "azure",
    feature = "gcs",
    feature = "webdav",
    feature = "sftp"
))]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

mod conformance;
mod erasure;
mod proxy;
mod renewal;
mod ring;
mod sftp;
mod silence;
mod world;
