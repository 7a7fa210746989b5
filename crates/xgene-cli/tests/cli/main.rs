//! The program `xgene` as people and scripts run it.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

mod backends;
mod bad_input;
mod clouds;
mod consent;
mod degraded;
mod documents;
mod durability;
mod gc;
mod keys;
mod media;
mod real_files;
mod refresh;
mod repair;
mod resume;
mod roundtrip;
mod store;
mod surface;
mod transfer;
mod world;
