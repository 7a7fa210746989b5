//! Split storage: every write is split over n backends, every read is verified, any k are enough.

pub mod backend;
pub mod memory;
pub mod placement;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use backend::{
    BackendError, BackendErrorKind, Capabilities, ListPage, ObjectKey, ObjectMeta, Put,
    StorageBackend,
};
