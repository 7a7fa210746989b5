//! Storage backends for `xstore`: one module and one feature per provider.
//!
//! A backend keeps the contract of [`xstore::StorageBackend`], which `tests/conformance.rs` runs
//! against each of them. [`url::connect`] makes one from the URL that configuration names and a
//! [`credential::Source`].
//!
//! | feature | module | URL | create-if-absent | durable |
//! |---|---|---|---|---|
//! | `fs` (default) | `fs` | `file:///absolute/path` | yes | yes |
//! | `s3` | `s3` | `s3://bucket/prefix` | yes | yes |
//! | `azure` | `azure` | `az://account/container/prefix` | yes | yes |
//! | `gcs` | `gcs` | `gs://bucket/prefix` | yes | yes |
//! | `redis` | `redis` | `redis://host:port/database`, `rediss` for TLS | yes | no |
//! | `sqlite` | `sqlite` | `sqlite:///absolute/file.db` | yes | yes |
//! | `webdav` | `webdav` | `webdav+https://host/path` | yes | no |
//! | `sftp` | `sftp` | `sftp://user@host/absolute/path` | yes | yes |
//! | none | [`xstore::memory`] | `memory:` | yes | no |

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "cloud")]
#[cfg_attr(
    not(any(feature = "s3", feature = "azure", feature = "gcs")),
    expect(
        dead_code,
        unused_imports,
        reason = "WebDAV alone takes no more than its HTTP"
    )
)]
pub mod cloud;
pub mod credential;
#[cfg(feature = "fs")]
pub mod fs;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(any(feature = "fs", feature = "webdav", feature = "sftp"))]
#[cfg_attr(
    not(feature = "fs"),
    expect(unreachable_pub, reason = "`fs` shows the path of an object")
)]
mod layout;
#[cfg(any(feature = "cloud", feature = "redis"))]
mod network;
#[cfg(any(
    feature = "cloud",
    feature = "redis",
    feature = "sftp",
    feature = "sqlite"
))]
mod objects;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "sftp")]
mod sftp;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "webdav", feature = "sftp"))]
mod tree;
pub mod url;
#[cfg(feature = "webdav")]
mod webdav;

pub use credential::Source;
pub use url::{ConnectError, Place, connect};
