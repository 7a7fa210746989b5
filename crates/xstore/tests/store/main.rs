//! The store as its callers see it, over backends in memory that fail as they are told.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

mod attack;
mod check;
mod crash;
mod damage;
mod dishonest;
mod gc;
mod gc_stops;
mod hostile;
mod migrate;
mod model;
mod progress;
mod races;
mod refresh;
mod rekey;
mod renew;
mod repair;
mod resolve;
mod resume;
mod retire;
mod roundtrip;
mod scan;
mod short;
#[path = "../golden/short_format.rs"]
mod short_format;
mod slow;
mod spares;
mod stops;
mod versions;
mod world;
