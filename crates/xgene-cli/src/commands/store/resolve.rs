//! `xgene store resolve`: of two newest versions of an object, one is kept.

use serde_json::json;
use xstore::manifest::STATE_DELETED;
use xstore::{Effects, Manifest, Store};

use crate::args::{Pad, Resolve};
use crate::codes::{DEGRADED, OK};
use crate::commands::{human_bytes, table};
use crate::failure::Failure;
use crate::session::Session;

pub(super) async fn run(args: &Resolve, session: &Session) -> Result<u8, Failure> {
    let keys = session.keys()?;
    let object = keys.named_object(&args.name);
    let store = session.store(keys, &args.backends, Pad::None).await?;
    match &args.keep {
        None => {
            list(&args.name, &store.siblings(object).await?, session);
            Ok(OK)
        }
        Some(id) => {
            let keep = sibling(&store, &args.name, id).await?.hash();
            let report = store.resolve(object, keep, args.effects()).await?;
            let dry_run = args.effects() == Effects::Preview;
            let given_up: Vec<String> = report
                .given_up
                .iter()
                .map(|rival| rival.hash().to_string())
                .collect();
            session.terminal.message(
                "summary",
                json!({
                    "name": args.name,
                    "kept": keep.to_string(),
                    "given_up": given_up,
                    "version": report.manifest.body().version,
                    "dry_run": dry_run,
                    "pending": report.pending,
                }),
            );
            let verb = if dry_run { "would count" } else { "counts" };
            let rest = match &given_up[..] {
                [] => "there is no other".into(),
                ids => format!("given up: {}", ids.join(", ")),
            };
            session
                .terminal
                .say(&format!("{keep} {verb} as {}; {rest}", args.name));
            Ok(if report.pending.is_empty() {
                OK
            } else {
                DEGRADED
            })
        }
    }
}

/// The one of the newest manifests of a named object whose id starts with `id`.
pub(super) async fn sibling(store: &Store, name: &str, id: &str) -> Result<Manifest, Failure> {
    let object = store.keys()?.named_object(name);
    let mut siblings = store.siblings(object).await?;
    siblings.retain(|sibling| sibling.hash().to_string().starts_with(id));
    match (siblings.pop(), siblings.is_empty()) {
        (Some(sibling), true) => Ok(sibling),
        (Some(_), false) => Err(Failure::usage(format!("several ids start with {id}"))),
        (None, _) => Err(Failure::usage(format!(
            "none of the newest versions of {name} has an id that starts with {id}"
        ))),
    }
}

fn list(name: &str, siblings: &[Manifest], session: &Session) {
    let terminal = session.terminal;
    let mut rows = table(&["id", "version", "state", "created", "size", "written by"]);
    let mut listed = Vec::new();
    for sibling in siblings {
        let (body, id) = (sibling.body(), sibling.hash().to_string());
        let state = if body.state == STATE_DELETED {
            "deleted"
        } else {
            "live"
        };
        listed.push(json!({
            "id": id,
            "version": body.version,
            "state": state,
            "created_unix_s": body.created_unix_s,
            "padded_len_bytes": body.padded_len,
            "device": body.device.to_string(),
        }));
        rows.add_row([
            id,
            body.version.to_string(),
            state.into(),
            super::time(body.created_unix_s),
            human_bytes(body.padded_len),
            body.device.to_string(),
        ]);
    }
    terminal.message("summary", json!({ "name": name, "siblings": listed }));
    terminal.say(&rows.to_string());
    terminal.say(if siblings.len() > 1 {
        "read each with `store get --id`, then keep one with --keep"
    } else {
        "there is one newest version: nothing to resolve"
    });
}
