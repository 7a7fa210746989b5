//! Progress: bars on a terminal, JSON lines for programs, nothing elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use xstore::progress::{Observer, ProgressEvent, Stage, Status};

use crate::terminal::Terminal;

/// JSON lines of one share are at least this far apart, but for its last one.
const LINE_INTERVAL: Duration = Duration::from_millis(200);

/// Shows what an operation tells.
pub(crate) struct Progress {
    terminal: Terminal,
    bars: Option<MultiProgress>,
    shares: Mutex<HashMap<String, Share>>,
}

#[derive(Default)]
struct Share {
    bar: Option<ProgressBar>,
    last_line: Option<Duration>,
    ended: bool,
}

impl Progress {
    pub(crate) fn new(terminal: Terminal) -> Arc<Self> {
        let people = !terminal.json && !terminal.quiet && std::io::stderr().is_terminal();
        let bars = people.then(MultiProgress::new);
        Arc::new(Self {
            terminal,
            bars,
            shares: Mutex::default(),
        })
    }

    fn bar(&self, event: &ProgressEvent) -> Option<ProgressBar> {
        let bar = self
            .bars
            .as_ref()?
            .add(ProgressBar::new(event.total_bytes.unwrap_or(0)));
        let template = if event.total_bytes.is_some() {
            "{prefix:>12} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {msg}"
        } else {
            "{prefix:>12} {spinner} {binary_bytes} {binary_bytes_per_sec} {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(event.backend_id.clone());
        Some(bar)
    }
}

impl Observer for Progress {
    fn progress(&self, event: &ProgressEvent) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares
            .entry(event.backend_id.clone())
            .or_insert_with(|| Share {
                bar: self.bar(event),
                ..Share::default()
            });
        if share.ended {
            return;
        }
        share.ended = matches!(event.status, Status::Complete | Status::Failed);
        if let Some(bar) = &share.bar {
            bar.set_position(event.bytes_transferred);
            bar.set_message(event.status.as_str());
            if share.ended {
                bar.finish();
            }
        }
        let due = share
            .last_line
            .is_none_or(|last| event.duration >= last + LINE_INTERVAL);
        if self.terminal.json && (due || share.ended) {
            share.last_line = Some(event.duration);
            self.terminal.message(
                "progress",
                json!({
                    "backend_id": event.backend_id,
                    "share_index": event.share_index,
                    "total_shares": event.total_shares,
                    "status": event.status.as_str(),
                    "bytes_transferred": event.bytes_transferred,
                    "total_bytes": event.total_bytes,
                    "duration_ms": u64::try_from(event.duration.as_millis()).unwrap_or(u64::MAX),
                }),
            );
        }
    }

    fn stage(&self, stage: Stage) {
        self.terminal
            .message("stage", json!({ "stage": stage.as_str() }));
    }
}
