//! `xgene store rekey`: every object is authenticated under the present root key.
//!
//! One after the other, each by a manifest of its own: a run that is stopped, or that an object or a
//! backend stands in the way of, has done what it has done, and the next one does the rest.

use serde_json::json;
use xstore::ids::ObjectId;
use xstore::{Effects, Freshness, Store};

use crate::args::{Pad, Rekey};
use crate::codes::{DEGRADED, OK};
use crate::commands::store::recover::tell_completeness;
use crate::failure::Failure;
use crate::session::Session;

pub(super) async fn run(args: &Rekey, session: &Session) -> Result<u8, Failure> {
    let keys = session.keys()?;
    let store = session.store(keys, &args.backends, Pad::None).await?;
    let objects = store.objects().await?;
    tell_completeness(&objects, session);
    let complete = objects.freshness == Freshness::Proven;
    let (total, mut rekeyed, mut failed) = (objects.ids.len(), 0, 0);
    let mut exit = if complete { OK } else { DEGRADED };
    for object in objects.ids {
        match one(&store, object, args.effects()).await {
            Ok(changed) => rekeyed += usize::from(changed),
            Err(failure) => {
                let failure = failure.of(&object.to_string());
                let drawn = session.entropy.drawn_bytes();
                session.terminal.fail(&failure, drawn);
                (failed, exit) = (failed + 1, failure.exit_code());
            }
        }
    }
    let dry_run = args.effects() == Effects::Preview;
    session.terminal.message(
        "summary",
        json!({
            "objects": total,
            "rekeyed": rekeyed,
            "failed": failed,
            "complete": complete,
            "dry_run": dry_run,
        }),
    );
    let verb = if dry_run { "would be" } else { "are" };
    session.terminal.say(&format!(
        "of {total} objects {rekeyed} {verb} rekeyed, {failed} are left with an error"
    ));
    Ok(exit)
}

/// Whether it was not under the present key yet.
async fn one(store: &Store, object: ObjectId, effects: Effects) -> Result<bool, Failure> {
    let newest = store.find_object(object).await?.manifest;
    if store.is_current(&newest)? {
        return Ok(false);
    }
    if effects == Effects::Apply {
        store.rekey(&newest).await?;
    }
    Ok(true)
}
