//! `xgene store backend`: which backends there are, what they do, and the end of one that is gone.

mod test;

use serde_json::json;
use xstore::{Effects, Error, Member, MemberState};

use crate::args::{AddBackend, BackendVerb, Backends, Pad, RemoveBackend};
use crate::backends::{Book, Entry};
use crate::codes::OK;
use crate::commands::table;
use crate::failure::{Failure, chain};
use crate::session::Session;

pub(super) async fn run(verb: &BackendVerb, session: &Session) -> Result<u8, Failure> {
    match verb {
        BackendVerb::Add(args) => add(args, session).await,
        BackendVerb::Test { backends } => test::run(backends, session).await,
        BackendVerb::List { backends } => list(backends, session).await,
        BackendVerb::Remove(args) => remove(args, session).await,
    }
}

async fn add(args: &AddBackend, session: &Session) -> Result<u8, Failure> {
    let (label, url) = (&args.label, &args.url);
    let mut entry = Entry {
        label: label.clone(),
        url: url.clone(),
        tested_at: None,
        findings: Vec::new(),
    };
    let mut book = Book::open(&session.home)?;
    // A label that cannot be is refused before anything is sent.
    book.insert(entry.clone())?;
    if !args.untested {
        let tried = test::one(label, url, session).await?;
        tried.tell(session);
        tried.require_usable()?;
        entry.tested_at = Some(session.now().to_string());
        entry.findings = tried.findings();
        book.insert(entry)?;
    }
    book.save()?;
    session
        .terminal
        .message("summary", json!({ "added": label }));
    session.terminal.say(&format!(
        "{label} is kept; `--backend {label}` means it from now on"
    ));
    Ok(OK)
}

async fn list(backends: &Backends, session: &Session) -> Result<u8, Failure> {
    let store = session.store(session.keys()?, backends, Pad::None).await?;
    let book = Book::open(&session.home)?;
    let mut rows = table(&["label", "identity", "state", "tested", "findings"]);
    let mut members = Vec::new();
    for Member {
        label,
        backend,
        state,
    } in store.members().await?
    {
        let identity = backend.map(|uid| uid.to_string());
        let (word, detail) = words(&state);
        let added = book.entries().iter().find(|added| added.label == label);
        let tested_at = added.and_then(|added| added.tested_at.as_deref());
        let findings = added.map_or(&[][..], |added| &added.findings);
        members.push(json!({
            "label": label,
            "backend": identity,
            "state": word,
            "detail": detail,
            "tested_at": tested_at,
            "findings": findings,
        }));
        let state = detail.map_or_else(|| word.to_owned(), |detail| format!("{word}: {detail}"));
        rows.add_row([
            label,
            identity.unwrap_or_else(|| "-".into()),
            state,
            tested_at.unwrap_or("-").to_owned(),
            findings.join("; "),
        ]);
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
    let mut book = Book::open(&session.home)?;
    let known = book.remove(&args.label);
    if args.gone {
        retire(args, session).await?;
    } else if known {
        let label = &args.label;
        session
            .terminal
            .message("summary", json!({ "forgotten": label }));
        session
            .terminal
            .say(&format!("{label} is forgotten; nothing changed there"));
    } else {
        return Err(Failure::usage(format!(
            "{} was never added; the claim of a backend that is gone ends with --gone",
            args.label
        )));
    }
    if known && args.effects() == Effects::Apply {
        book.save()?;
    }
    Ok(OK)
}

async fn retire(args: &RemoveBackend, session: &Session) -> Result<(), Failure> {
    let keys = session.keys()?;
    let store = session.store(keys, &args.backends, Pad::None).await?;
    let (label, reason) = (&args.label, args.reason());
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
    Ok(())
}
