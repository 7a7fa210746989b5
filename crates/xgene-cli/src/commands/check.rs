//! `xgene check` and `xgene store check`: what is lost or bad, and the command that mends it.
//!
//! Shares are verified one by one and never combined, so a check needs no consent.

use std::collections::{BTreeMap, BTreeSet};

use genomicshare::plan::Warning;
use serde_json::{Value, json};
use xstore::{CheckOptions, CheckReport, CheckedShare, Health, MetadataFault, ShareFault, Subset};

use crate::args::{Check, StoreCheck};
use crate::codes::{DEGRADED, OK};
use crate::commands::inspect::fault;
use crate::commands::mend::{self, Checked};
use crate::commands::table;
use crate::commands::targets::{Target, Targets, Work};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;

pub(crate) async fn files(args: &Check, session: &Session) -> Result<u8, Failure> {
    let targets = Targets::of_files(&args.files, Work::Read, session).await?;
    Ok(check(&targets, args.reading.data(), session).await)
}

pub(crate) async fn store(args: &StoreCheck, session: &Session) -> Result<u8, Failure> {
    let targets = Targets::of_store(&args.objects, session).await?;
    Ok(check(&targets, args.reading.data(), session).await)
}

async fn check(targets: &Targets, data: Option<Subset>, session: &Session) -> u8 {
    let mut all = Vec::new();
    let work = async |target: &Target| {
        let mut options = CheckOptions::default();
        options.data = data;
        options.observer = Some(Progress::new(session.terminal));
        let report = target.store.check(&target.manifest, &options).await?;
        let word = target.word.clone();
        let checked = Checked { word, report };
        let mend = mend::command(&targets.words, data, std::slice::from_ref(&checked));
        let mut line = facts(target, &checked.report);
        line["mend"] = mend.into();
        session.terminal.message("summary", line);
        show(target, &checked.report, session);
        let verdict = verdict(&checked.report);
        all.push(checked);
        verdict
    };
    let exit = targets.each(session, work).await;
    if let Some(mend) = mend::command(&targets.words, data, &all) {
        session.terminal.say(&format!("next: {mend}"));
    }
    exit
}

/// Exit code of what was found; too few good shares fail as they do for a read.
pub(crate) fn verdict(report: &CheckReport) -> Result<u8, Failure> {
    match report.health() {
        Health::Whole => Ok(OK),
        Health::Degraded => Ok(DEGRADED),
        Health::Unreadable => Err(unreadable(report)),
    }
}

fn unreadable(report: &CheckReport) -> Failure {
    let message = format!(
        "a chunk has {} good shares, and {} are needed",
        report.least_good, report.threshold
    );
    let recovery = away(report).map_or_else(
        || "store the data again if its source is available".into(),
        |away| format!("bring back {away}, then check again"),
    );
    Failure::new("INSUFFICIENT_SHARES", message, &recovery)
}

/// What was found, as JSON shows it.
pub(crate) fn facts(target: &Target, report: &CheckReport) -> Value {
    let body = target.manifest.body();
    let share = |share: &CheckedShare| {
        json!({
            "index": share.index,
            "backend": share.backend,
            "records_read": share.records_read,
            "faults": share.faults.iter().map(fault).collect::<Vec<_>>(),
        })
    };
    json!({
        "name": target.word,
        "object_id": body.object_id.to_string(),
        "version": body.version,
        "health": report.health().as_str(),
        "threshold": body.k,
        "share_count": body.n,
        "good_shares": report.least_good,
        "losses_survived": report.losses_survived(),
        "shares": report.shares.iter().map(share).collect::<Vec<_>>(),
        "metadata": report.metadata.iter().map(metadata).collect::<Vec<_>>(),
        "out_of_reach": out_of_reach(report),
    })
}

/// A fault beside the shares, as JSON shows it.
pub(crate) fn metadata(fault: &MetadataFault) -> Value {
    json!({
        "backend": fault.backend,
        "what": fault.what.as_str(),
        "code": fault.reason.code(),
    })
}

fn show(target: &Target, report: &CheckReport, session: &Session) {
    let (terminal, body) = (session.terminal, target.manifest.body());
    let label = target.label();
    terminal.say(&format!(
        "{label}: {}; {} of {} shares are good, and {} more may be lost",
        report.health().as_str(),
        report.least_good,
        body.n,
        report.losses_survived(),
    ));
    show_faults(report.faults(), &report.metadata, session);
    if let Some(away) = away(report) {
        terminal.say(&format!(
            "out of reach: {away}; bring it back, or put an empty one in its place, before a repair"
        ));
    }
    if body.k == body.n {
        terminal.warn(&format!("{label}: {}", Warning::NothingToSpare));
    }
}

/// A line for each share that has faults, and for each fault beside the shares.
pub(crate) fn show_faults<'a>(
    faults: impl IntoIterator<Item = &'a ShareFault>,
    metadata: impl IntoIterator<Item = &'a MetadataFault>,
    session: &Session,
) {
    let mut by_backend: BTreeMap<&str, Vec<&ShareFault>> = BTreeMap::new();
    for fault in faults {
        by_backend.entry(&fault.backend).or_default().push(fault);
    }
    let mut rows = table(&["backend", "what", "code"]);
    for (backend, faults) in by_backend {
        let codes: BTreeSet<&str> = faults.iter().map(|fault| fault.reason.code()).collect();
        let codes: Vec<&str> = codes.into_iter().collect();
        rows.add_row([backend, &places(&faults), &codes.join(", ")]);
    }
    for fault in metadata {
        rows.add_row([&fault.backend, fault.what.as_str(), fault.reason.code()]);
    }
    if !rows.is_empty() {
        session.terminal.say(&rows.to_string());
    }
}

/// The first place of a share that has a fault, and how many more there are.
fn places(faults: &[&ShareFault]) -> String {
    let first = faults
        .first()
        .map(|fault| match (fault.segment, fault.chunk) {
            (None, _) => "share".to_owned(),
            (Some(segment), None) => format!("share, segment {segment}"),
            (Some(segment), Some(chunk)) => format!("share, segment {segment}, chunk {chunk}"),
        });
    let first = first.unwrap_or_default();
    match faults.len() {
        0 | 1 => first,
        more => format!("{first} and {} more", more - 1),
    }
}

/// Backends of which nothing is known, because they did not answer.
fn out_of_reach(report: &CheckReport) -> BTreeSet<&str> {
    let of_shares = report.faults().map(|fault| (&fault.backend, fault.reason));
    let beside = report.metadata.iter();
    let beside = beside.map(|fault| (&fault.backend, fault.reason));
    of_shares
        .chain(beside)
        .filter(|(_, reason)| reason.is_out_of_reach())
        .map(|(backend, _)| backend.as_str())
        .collect()
}

/// The backends out of reach as a list for people; `None` when all answered.
fn away(report: &CheckReport) -> Option<String> {
    let away: Vec<&str> = out_of_reach(report).into_iter().collect();
    (!away.is_empty()).then(|| away.join(", "))
}
