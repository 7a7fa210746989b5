//! `xgene repair` and `xgene store repair`: what is lost or bad is written again, bit for bit.
//!
//! A repair has k shares in memory, so it needs the rights of a read: where the manifest carries a
//! consent, this consent must hold, by whatever name the object is reached.

use std::sync::Arc;

use serde_json::json;
use xstore::{Effects, Metadata, MetadataFault, RepairOptions, RepairReport, RepairedShare};

use crate::args::{Repair, Repairing, StoreRepair};
use crate::codes::{DEGRADED, OK};
use crate::commands::check::{facts, metadata, show_faults, verdict};
use crate::commands::inspect::fault;
use crate::commands::mend::{self, Checked};
use crate::commands::table;
use crate::commands::targets::{Target, Targets, Work};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;

pub(crate) async fn files(args: &Repair, session: &Session) -> Result<u8, Failure> {
    let targets = Targets::of_files(&args.files, Work::Mend, session).await?;
    Ok(repair(&targets, &args.repairing, session).await)
}

pub(crate) async fn store(args: &StoreRepair, session: &Session) -> Result<u8, Failure> {
    let targets = Targets::of_store(&args.objects, session).await?;
    Ok(repair(&targets, &args.repairing, session).await)
}

async fn repair(targets: &Targets, args: &Repairing, session: &Session) -> u8 {
    let (data, effects) = (args.reading.data(), args.effects());
    let mut left = Vec::new();
    let work = async |target: &Target| {
        let mut options = RepairOptions::default();
        options.data = data;
        options.effects = effects;
        options.observer = Some(Progress::new(session.terminal));
        let report = permitted(target, options, session).await?;
        if effects == Effects::Preview {
            // What cannot be read cannot be recomputed either.
            verdict(&report.found)?;
        }
        let exit = exit(&report);
        let word = target.word.clone();
        let checked = Checked {
            word,
            report: report.found.clone(),
        };
        let unfinished = effects == Effects::Preview || exit != OK;
        let mend = unfinished
            .then(|| mend::command(&targets.words, data, std::slice::from_ref(&checked)))
            .flatten();
        summary(target, &report, effects, mend, session);
        show(target, &report, effects, session);
        if unfinished {
            left.push(checked);
        }
        Ok(exit)
    };
    let exit = targets.each(session, work).await;
    if let Some(mend) = mend::command(&targets.words, data, &left) {
        session.terminal.say(&format!("next: {mend}"));
    }
    exit
}

/// Repairs under the consent in the manifest, if there is one.
async fn permitted(
    target: &Target,
    options: RepairOptions,
    session: &Session,
) -> Result<RepairReport, Failure> {
    let (store, manifest) = (&target.store, &target.manifest);
    let Some(authorization) = target.authorization(session)? else {
        return Ok(store.repair(manifest, &options).await?);
    };
    let now = Arc::new(jiff::Timestamp::now);
    Ok(genomicshare::repair(store, authorization, manifest, now, options).await?)
}

fn exit(report: &RepairReport) -> u8 {
    let remains = !report.remaining.is_empty() || metadata_left(report).next().is_some();
    if remains { DEGRADED } else { OK }
}

/// Metadata that is missing and was not written again. A leftover takes space and nothing else.
fn metadata_left(report: &RepairReport) -> impl Iterator<Item = &MetadataFault> {
    let found = report.found.metadata.iter();
    found.filter(|fault| fault.what != Metadata::Leftover && !report.metadata.contains(fault))
}

fn summary(
    target: &Target,
    report: &RepairReport,
    effects: Effects,
    mend: Option<String>,
    session: &Session,
) {
    let shares = report.shares.iter().map(|share| {
        json!({ "index": share.index, "backend": share.backend, "segments": share.segments })
    });
    let metadata_left = metadata_left(report).map(metadata);
    let mut line = facts(target, &report.found);
    line["dry_run"] = (effects == Effects::Preview).into();
    line["repaired"] = shares.collect();
    line["repaired_metadata"] = report.metadata.iter().map(metadata).collect();
    line["remaining"] = report.remaining.iter().map(fault).collect();
    line["remaining_metadata"] = metadata_left.collect();
    line["mend"] = mend.into();
    session.terminal.message("summary", line);
}

fn show(target: &Target, report: &RepairReport, effects: Effects, session: &Session) {
    let (terminal, label) = (session.terminal, target.label());
    terminal.say(&format!("{label}: was {}", report.found.health().as_str()));
    let (done, remains) = match effects {
        Effects::Apply => ("written again", "remains"),
        Effects::Preview => ("would be written again", "would remain"),
    };
    let mut rows = table(&["backend", done]);
    for share in &report.shares {
        rows.add_row([&share.backend, &written(share)]);
    }
    for fault in &report.metadata {
        rows.add_row([&fault.backend, fault.what.as_str()]);
    }
    if !rows.is_empty() {
        terminal.say(&rows.to_string());
    }
    if exit(report) == OK {
        terminal.say(&format!("{label}: nothing {remains}"));
    } else {
        terminal.say(&format!("{label}: this {remains}"));
        show_faults(&report.remaining, metadata_left(report), session);
    }
}

/// The first segment of a share that was written, and how many more there are.
fn written(share: &RepairedShare) -> String {
    let first = share.segments.first().map(u64::to_string);
    let first = first.unwrap_or_default();
    match share.segments.len() {
        0 | 1 => format!("share, segment {first}"),
        more => format!("share, segment {first} and {} more", more - 1),
    }
}
