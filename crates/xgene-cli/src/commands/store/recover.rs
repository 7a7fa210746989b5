//! `xgene store recover`: what earlier runs left is ended, and every object is found again.
//!
//! Opening the store does the first. The scan asks the backends alone: nothing of this client but its
//! root key is needed, and one object after the other is told, so that their number costs no memory.

use std::path::Path;

use serde_json::json;
use xstore::ids::ObjectId;
use xstore::manifest::{Body, STATE_DELETED};
use xstore::{Effects, Freshness, Objects, Remedy, Store, Unfinished};

use crate::args::{Pad, Recover};
use crate::codes::OK;
use crate::commands::get::tell_provenance;
use crate::commands::human_bytes;
use crate::failure::Failure;
use crate::session::{Session, write_manifest};

pub(super) async fn run(args: &Recover, session: &Session) -> Result<u8, Failure> {
    let keys = session.keys()?;
    let preview = args.effects() == Effects::Preview;
    let store = if preview {
        session.unrecovered(keys, &args.backends, Pad::None)?
    } else {
        session.store(keys, &args.backends, Pad::None).await?
    };
    if !args.scan {
        let unfinished = store.unfinished()?;
        tell_unfinished(&unfinished, session);
        return Ok(OK);
    }
    let out = args.out.as_deref().filter(|_| !preview);
    if let Some(folder) = out {
        std::fs::create_dir_all(folder).map_err(|error| Failure::output(folder, &error))?;
    }
    let objects = store.objects().await?;
    tell_completeness(&objects, session);
    let (total, mut failed, mut exit) = (objects.ids.len(), 0, OK);
    for object in objects.ids {
        if let Err(failure) = one(&store, object, out, session).await {
            let failure = failure.of(&object.to_string());
            session
                .terminal
                .fail(&failure, session.entropy.drawn_bytes());
            (failed, exit) = (failed + 1, failure.exit_code());
        }
    }
    session.terminal.message(
        "summary",
        json!({
            "objects": total,
            "failed": failed,
            "complete": objects.freshness == Freshness::Proven,
        }),
    );
    session.terminal.say(&format!(
        "{total} objects found, {failed} of them with an error"
    ));
    Ok(exit)
}

/// Says what is left of earlier runs: after they were ended, only what has to wait.
fn tell_unfinished(unfinished: &[Unfinished], session: &Session) {
    let each = unfinished.iter();
    let rows =
        each.map(|one| json!({ "object_id": one.object.to_string(), "next": words(one.remedy).0 }));
    let rows: Vec<_> = rows.collect();
    session
        .terminal
        .message("summary", json!({ "unfinished": rows }));
    for one in unfinished {
        let (_, sentence) = words(one.remedy);
        session.terminal.say(&format!("{}  {sentence}", one.object));
    }
    if unfinished.is_empty() {
        session.terminal.say("nothing is left of earlier runs");
    }
}

/// A remedy for programs and for people.
const fn words(remedy: Remedy) -> (&'static str, &'static str) {
    match remedy {
        Remedy::Undo => ("undo", "nobody has seen it: what it stored is removed"),
        Remedy::Finish => (
            "finish",
            "somebody may have seen it: it is brought to its end",
        ),
        Remedy::Wait => (
            "wait",
            "it can go on with --resume, up to a day after it stopped",
        ),
        Remedy::Keep => ("keep", "done; its earlier shares stay a while for readers"),
        _ => ("unknown", "of a kind that this program does not know"),
    }
}

/// Says when there may be other objects.
pub(super) fn tell_completeness(objects: &Objects, session: &Session) {
    if let Freshness::Unproven { answered, needed } = objects.freshness {
        session.terminal.warn(&format!(
            "{answered} backends answered, {needed} are needed to know that there is no other object"
        ));
    }
}

/// Tells one object, and writes its manifest unless it was deleted.
async fn one(
    store: &Store,
    object: ObjectId,
    folder: Option<&Path>,
    session: &Session,
) -> Result<(), Failure> {
    let found = store.find_object(object).await?;
    tell_provenance(session, &found);
    let body = found.manifest.body();
    let state = state(body, session);
    let file = folder.filter(|_| body.state != STATE_DELETED);
    let file = file.map(|folder| folder.join(format!("{object}.xgm")));
    if let Some(path) = &file {
        write_manifest(path, found.manifest.envelope())?;
    }
    session.terminal.message(
        "summary",
        json!({
            "object_id": object.to_string(),
            "version": body.version,
            "state": state,
            "created_unix_s": body.created_unix_s,
            "padded_len_bytes": body.padded_len,
            "fresh": found.freshness == Freshness::Proven,
            "file": file.map(|path| path.display().to_string()),
        }),
    );
    session.terminal.say(&format!(
        "{object}  version {}  {state}  {}  {}",
        body.version,
        human_bytes(body.padded_len),
        super::time(body.created_unix_s)
    ));
    Ok(())
}

fn state(body: &Body, session: &Session) -> &'static str {
    let now = u64::try_from(session.now().as_second()).unwrap_or(0);
    match body.expires_unix_s {
        _ if body.state == STATE_DELETED => "deleted",
        Some(expires) if now >= expires => "expired",
        _ => "live",
    }
}
