//! What a put has left to do: shares that no backend took, and the command that stores them.

use serde_json::{Value, json};
use xstore::{BackendError, Receipt};

use crate::codes::{DEGRADED, OK};
use crate::commands::modes;
use crate::failure::chain;
use crate::session::Session;

/// Adds to the summary of a put how well it went; `mend` stores the missing shares.
pub(crate) fn facts(line: &mut Value, receipt: &Receipt, mend: Option<&str>) {
    let failure = |failure: &BackendError| {
        json!({
            "backend": failure.backend,
            "code": failure.kind.code(),
            "message": chain(failure),
        })
    };
    let missing = receipt.missing_shares();
    line["mode"] = modes::of(receipt.manifest.body()).into();
    line["missing_shares"] = missing.into();
    line["losses_survived"] = receipt.losses_survived().into();
    line["failures"] = receipt.failures.iter().map(failure).collect();
    line["pending"] = receipt.pending.as_slice().into();
    line["mend"] = mend.filter(|_| missing > 0).into();
}

/// Tells people the same; the exit code that it comes to.
pub(crate) fn tell(receipt: &Receipt, mend: Option<&str>, session: &Session) -> u8 {
    let terminal = session.terminal;
    for failure in &receipt.failures {
        terminal.warn(&format!("{} ({})", chain(failure), failure.kind.code()));
    }
    let (body, missing) = (receipt.manifest.body(), receipt.missing_shares());
    let labels: Vec<&str> = body.stored().map(|(_, at)| at.label.as_str()).collect();
    let labels = labels.join(", ");
    if missing > 0 {
        terminal.warn(&format!(
            "{missing} of {} shares could not be stored; the others are at {labels}, and {} of \
             them may be lost",
            body.n,
            receipt.losses_survived()
        ));
        if let Some(mend) = mend {
            terminal.say("once a backend is there for each missing share:");
            terminal.say(&format!("next: {mend}"));
        }
    } else if !receipt.failures.is_empty() {
        terminal.warn(&format!("every share is stored all the same: at {labels}"));
    }
    if !receipt.pending.is_empty() {
        terminal.warn(&format!(
            "replaced shares are still at {}; the next run removes them",
            receipt.pending.join(", ")
        ));
    }
    if missing == 0 && receipt.pending.is_empty() {
        OK
    } else {
        DEGRADED
    }
}
