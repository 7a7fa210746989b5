//! Storage backends for `xstore`: one module and one feature per provider.
//!
//! A backend keeps the contract of [`xstore::StorageBackend`], which `tests/conformance.rs` runs
//! against each of them. [`url::connect`] makes one from the URL that configuration names.
//!
//! | feature | module | URL | create-if-absent | durable |
//! |---|---|---|---|---|
//! | `fs` (default) | `fs` | `file:///absolute/path` | yes | yes |
//! | none | [`xstore::memory`] | `memory:` | yes | no |

#[cfg(feature = "fs")]
pub mod fs;
pub mod url;

pub use url::{ConnectError, connect};
