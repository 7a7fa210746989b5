//! Progress of a put: bytes of each share, and exactly one end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::geometry::{Geometry, Layout};
use crate::progress::{Observer, ProgressEvent, Silent, Stage, Status};
use crate::store::put::PutOptions;
use crate::store::sites::Site;

/// Counts bytes for each share and tells the observer.
pub(super) struct PutProgress {
    observer: Arc<dyn Observer>,
    labels: Vec<String>,
    bytes: Vec<AtomicU64>,
    total_bytes: Option<u64>,
    started: Instant,
}

impl PutProgress {
    pub(super) fn new(sites: &[Site], options: &PutOptions, layout: Layout) -> Self {
        let total = |len: u64| {
            let geometry = Geometry::try_new(layout, layout.padded_len(len).ok()?).ok()?;
            Some(
                (0..geometry.segments())
                    .map(|segment| geometry.footer(segment).end)
                    .sum(),
            )
        };
        Self {
            observer: options.observer.clone().unwrap_or_else(|| Arc::new(Silent)),
            labels: sites.iter().map(|site| site.label().to_owned()).collect(),
            bytes: sites.iter().map(|_| 0.into()).collect(),
            total_bytes: options.len_hint.and_then(total),
            started: Instant::now(),
        }
    }

    pub(super) fn stage(&self, stage: Stage) {
        self.observer.stage(stage);
    }

    pub(super) fn report(&self, share: usize, status: Status, moved: u64) {
        let bytes_transferred = self.bytes[share].fetch_add(moved, Ordering::Relaxed) + moved;
        self.observer.progress(&ProgressEvent {
            backend_id: self.labels[share].clone(),
            share_index: u8::try_from(share).unwrap_or(u8::MAX),
            total_shares: u8::try_from(self.labels.len()).unwrap_or(u8::MAX),
            status,
            bytes_transferred,
            total_bytes: self.total_bytes,
            duration: self.started.elapsed(),
        });
    }

    /// Ends every share well; bytes stored at all backends together.
    pub(super) fn done(&self) -> u64 {
        (0..self.labels.len()).for_each(|share| self.report(share, Status::Complete, 0));
        self.bytes
            .iter()
            .map(|bytes| bytes.load(Ordering::Relaxed))
            .sum()
    }

    pub(super) fn fail(&self) {
        (0..self.labels.len()).for_each(|share| self.report(share, Status::Failed, 0));
    }
}
