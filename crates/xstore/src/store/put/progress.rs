//! Progress of a put: bytes of each share, and exactly one end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::geometry::{Geometry, Layout};
use crate::progress::{Observer, ProgressEvent, Silent, Stage, Status};
use crate::store::put::PutOptions;
use crate::store::put::slots::Slots;

/// Counts bytes for each share and tells the observer.
pub(super) struct PutProgress {
    observer: Arc<dyn Observer>,
    bytes: Vec<AtomicU64>,
    total_bytes: Option<u64>,
    started: Instant,
}

impl PutProgress {
    pub(super) fn new(options: &PutOptions, layout: Layout) -> Self {
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
            bytes: (0..layout.access.share_count()).map(|_| 0.into()).collect(),
            total_bytes: options.len_hint.and_then(total),
            started: Instant::now(),
        }
    }

    pub(super) fn stage(&self, stage: Stage) {
        self.observer.stage(stage);
    }

    /// Tells that `moved` more bytes of a share are at the backend `label`.
    pub(super) fn report(&self, share: usize, label: &str, status: Status, moved: u64) {
        let bytes_transferred = self.bytes[share].fetch_add(moved, Ordering::Relaxed) + moved;
        self.observer.progress(&ProgressEvent {
            backend_id: label.to_owned(),
            share_index: u8::try_from(share).unwrap_or(u8::MAX),
            total_shares: u8::try_from(self.bytes.len()).unwrap_or(u8::MAX),
            status,
            bytes_transferred,
            // Another backend that steps in is sent again what the first one had.
            total_bytes: self.total_bytes.map(|total| total.max(bytes_transferred)),
            duration: self.started.elapsed(),
        });
    }

    /// Ends every share, well where it is stored; bytes sent in all.
    pub(super) fn done(&self, slots: &Slots) -> u64 {
        for (share, slot) in slots.slots.iter().enumerate() {
            let status = match slot.holder {
                Some(_) => Status::Complete,
                None => Status::Failed,
            };
            self.report(share, slots.label(share), status, 0);
        }
        self.bytes
            .iter()
            .map(|bytes| bytes.load(Ordering::Relaxed))
            .sum()
    }

    pub(super) fn fail(&self, slots: &Slots) {
        (0..self.bytes.len())
            .for_each(|share| self.report(share, slots.label(share), Status::Failed, 0));
    }
}
