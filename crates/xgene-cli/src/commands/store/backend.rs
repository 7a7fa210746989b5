//! `xgene store backend`: which backends there are, and the end of one that is gone.

use serde_json::json;
use xstore::{Effects, Error, Member, MemberState};

use crate::args::{BackendVerb, Backends, Pad, RemoveBackend};
use crate::codes::OK;
use crate::commands::table;
use crate::failure::{Failure, chain};
use crate::session::Session;

pub(super) async fn run(verb: &BackendVerb, session: &Session) -> Result<u8, Failure> {
    match verb {
        BackendVerb::List { backends } => list(backends, session).await,
        BackendVerb::Remove(args) => remove(args, session).await,
    }
}

async fn list(backends: &Backends, session: &Session) -> Result<u8, Failure> {
    let store = session.store(session.keys()?, backends, Pad::None).await?;
    let mut rows = table(&["label", "identity", "state"]);
    let mut members = Vec::new();
    for Member {
        label,
        backend,
        state,
    } in store.members().await?
    {
        let identity = backend.map(|uid| uid.to_string());
        let (word, detail) = words(&state);
        members.push(json!({
            "label": label,
            "backend": identity,
            "state": word,
            "detail": detail,
        }));
        let state = detail.map_or_else(|| word.to_owned(), |detail| format!("{word}: {detail}"));
        rows.add_row([label, identity.unwrap_or_else(|| "-".into()), state]);
    }
    session
        .terminal
        .message("summary", json!({ "backends": members }));
    session.terminal.say(&rows.to_string());
    Ok(OK)
}

/// A state in one word, and what more there is to say.
fn words(state: &MemberState) -> (&'static str, Option<String>) {
    match state {
        MemberState::Answers => ("answers", None),
        MemberState::New => ("new", None),
        MemberState::Silent(failure) => ("silent", Some(chain(failure))),
        MemberState::Missing => ("missing", Some("a manifest names it".into())),
        MemberState::Retired(retired) => {
            let (since, reason) = (super::time(retired.at_unix_s), &retired.reason);
            ("gone", Some(format!("since {since}, {reason}")))
        }
        _ => ("unknown", None),
    }
}

async fn remove(args: &RemoveBackend, session: &Session) -> Result<u8, Failure> {
    let keys = session.keys()?;
    let store = session.store(keys, &args.backends, Pad::None).await?;
    let (label, reason) = (&args.label, &args.reason);
    let retired = store
        .retire(label, reason, args.if_it_answers(), args.effects())
        .await;
    let retired = retired.map_err(|error| match error {
        Error::Conflict(_) => Failure {
            recovery: "move its shares away with `xgene store migrate`, or add \
                       --even-if-it-answers"
                .into(),
            ..Failure::from(error)
        },
        error => error.into(),
    })?;
    let dry_run = args.effects() == Effects::Preview;
    session.terminal.message(
        "summary",
        json!({
            "label": retired.label,
            "backend": retired.backend.to_string(),
            "at_unix_s": retired.at_unix_s,
            "reason": retired.reason,
            "dry_run": dry_run,
        }),
    );
    let verb = if dry_run { "would be" } else { "is" };
    session.terminal.say(&format!(
        "{} ({}) {verb} gone for good; leave it out of --backend, then repair what it held",
        retired.label, retired.backend
    ));
    Ok(OK)
}
