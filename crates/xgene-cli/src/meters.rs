//! How often each backend is asked: what a provider charges for, beside the bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use xstore::StorageBackend;
use xstore::metrics::Metrics;

/// Counts for every backend of a run.
///
/// They stand next to the backend, so that what is asked again is counted again.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<Vec<Meter>>);

type Meter = Arc<Metrics<Arc<dyn StorageBackend>>>;

impl Meters {
    /// The same backend, counted from now on.
    pub(crate) fn before(&self, backend: Arc<dyn StorageBackend>) -> Arc<dyn StorageBackend> {
        let meter = Arc::new(Metrics::new(backend));
        self.meters().push(Arc::clone(&meter));
        meter
    }

    /// Calls and bytes so far, for programs. A call is one request, but that of a deletion is one for
    /// each name.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let counts = |meter: &Meter| {
            let counted = meter.snapshot();
            json!({
                "backend": counted.backend,
                "put_new": counted.put_new.calls,
                "get_range": counted.get_range.calls,
                "head": counted.head.calls,
                "list": counted.list.calls,
                "delete": counted.delete.calls,
                "written_bytes": counted.written_bytes,
                "read_bytes": counted.read_bytes,
            })
        };
        self.meters().iter().map(counts).collect()
    }

    fn meters(&self) -> MutexGuard<'_, Vec<Meter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
