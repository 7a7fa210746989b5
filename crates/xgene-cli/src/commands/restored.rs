//! What a read has restored: all, or with `--partial` what was good.

use std::ops::Range;

use serde_json::{Value, json};
use xstore::{GetReport, SalvageReport, ShareFault};

use crate::codes::{DEGRADED, OK};
use crate::commands::get::{Output, tell_faults};
use crate::commands::human_bytes;
use crate::commands::inspect::fault;
use crate::failure::Failure;
use crate::session::Session;

/// What was written, whole or in part.
pub(crate) struct Restored {
    pub(crate) faults: Vec<ShareFault>,
    len_bytes: u64,
    /// Whether that is the length of what was stored.
    len_known: bool,
    lost: Vec<Range<u64>>,
}

impl From<GetReport> for Restored {
    fn from(report: GetReport) -> Self {
        Self {
            faults: report.faults,
            len_bytes: report.len_bytes,
            len_known: true,
            lost: Vec::new(),
        }
    }
}

impl From<SalvageReport> for Restored {
    fn from(report: SalvageReport) -> Self {
        Self {
            faults: report.faults,
            len_bytes: report.len_bytes,
            len_known: report.len_known,
            lost: report.lost,
        }
    }
}

impl Restored {
    /// Adds what failed before the read, of backends that the read has nothing to say of.
    pub(crate) fn also(&mut self, before: &[ShareFault]) {
        let told = |fault: &&ShareFault| {
            let mut faults = self.faults.iter();
            !faults.any(|known| known.backend == fault.backend)
        };
        let untold: Vec<ShareFault> = before.iter().filter(told).cloned().collect();
        self.faults.extend(untold);
    }

    /// Adds to the summary of a read; ranges are half-open.
    pub(crate) fn facts(&self, line: &mut Value, output: &Output) {
        let range = |range: &Range<u64>| json!({ "start": range.start, "end": range.end });
        line["output"] = output.label().into();
        line["len_bytes"] = self.len_bytes.into();
        line["len_known"] = self.len_known.into();
        line["lost"] = self.lost.iter().map(range).collect();
        line["faults"] = self.faults.iter().map(fault).collect();
    }

    /// Tells people the same; the exit code that it comes to.
    pub(crate) fn tell(&self, output: &Output, session: &Session) -> u8 {
        let terminal = session.terminal;
        let len = human_bytes(self.len_bytes);
        tell_faults(session, &self.faults);
        if let Output::File(path) = output {
            terminal.say(&format!("{len} restored to {}", path.display()));
        }
        for Range { start, end } in &self.lost {
            terminal.warn(&format!(
                "lost: {} bytes from offset {start}, where zeros were written",
                end - start
            ));
        }
        if !self.len_known {
            terminal.warn("the length is lost too: zeros may follow the end");
        }
        if self.lost.is_empty() && self.len_known {
            OK
        } else {
            DEGRADED
        }
    }
}

/// A read that lacks shares could still restore a part.
pub(crate) fn offer_partial(failure: Failure) -> Failure {
    if failure.code != "INSUFFICIENT_SHARES" {
        return failure;
    }
    let recovery = format!(
        "{}; or add --partial to write what is good",
        failure.recovery
    );
    Failure {
        recovery,
        ..failure
    }
}
