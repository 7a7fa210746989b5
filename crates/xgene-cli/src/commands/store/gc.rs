//! `xgene store gc`: what no manifest names is marked, and removed a grace later by another run.

use std::time::Duration;

use serde_json::json;
use xstore::{Brake, Effects, GcAction, GcOptions, GcReport, GcStep};

use crate::args::{Backends, Collection, Pad};
use crate::codes::OK;
use crate::commands::table;
use crate::failure::Failure;
use crate::session::Session;

const SECONDS_PER_HOUR: u64 = 3600;

pub(super) async fn run(
    backends: &Backends,
    gc: &Collection,
    session: &Session,
) -> Result<u8, Failure> {
    let store = session.store(session.keys()?, backends, Pad::None).await?;
    // Reading gets by without some; what a missing one knows may be what others need.
    let (answered, needed) = (store.labels().count(), session.meant_by(backends)?.len());
    if answered < needed {
        return Err(Failure::new(
            "INSUFFICIENT_BACKENDS",
            format!("{needed} backends must answer, {answered} did: nothing is collected"),
            "bring the named backends back, then run the command again",
        ));
    }
    let report = store.gc(&options(gc)).await?;
    let mut labels: Vec<&str> = report.steps.iter().map(|step| &*step.backend).collect();
    labels.sort_unstable();
    labels.dedup();
    let doubts = match gc.dry_run {
        true => Vec::new(),
        false => store.erasure_doubts(&labels).await,
    };
    session.terminal.message(
        "summary",
        json!({
            "dry_run": gc.dry_run,
            "objects": report.objects,
            "steps": report.steps.iter().map(step).collect::<Vec<_>>(),
            "erasure_unproven": super::unproven(&doubts),
        }),
    );
    session.terminal.say(&text(&report, gc));
    super::warn_unproven(&doubts, session);
    Ok(OK)
}

fn options(gc: &Collection) -> GcOptions {
    let mut options = GcOptions::default();
    options.grace = Duration::from_secs(gc.grace.saturating_mul(SECONDS_PER_HOUR));
    if gc.dry_run {
        options.effects = Effects::Preview;
    }
    if gc.no_brake {
        options.brake = Brake::Lifted;
    }
    options
}

fn step(step: &GcStep) -> serde_json::Value {
    json!({
        "backend": step.backend,
        "action": step.action.name(),
        "reason": step.action.reason(),
        "subject": step.subject,
        "objects": step.objects,
    })
}

fn text(report: &GcReport, gc: &Collection) -> String {
    let total = report.objects;
    if report.steps.is_empty() {
        return format!("{total} stored objects, and each is needed");
    }
    let mut rows = table(&["action", "backend", "objects", "what", "why"]);
    for step in &report.steps {
        rows.add_row([
            step.action.name(),
            &step.backend,
            &step.objects.to_string(),
            &step.subject,
            step.action.reason(),
        ]);
    }
    let steps = |action| {
        report
            .steps
            .iter()
            .filter(move |step| step.action == action)
    };
    let removed = [GcAction::Remove, GcAction::RemoveManifest, GcAction::Expire]
        .into_iter()
        .flat_map(steps);
    let removed: u64 = removed.map(|step| step.objects).sum();
    let marked = steps(GcAction::Mark).count();
    let would = if gc.dry_run { "would be " } else { "" };
    format!(
        "{rows}\nof {total} stored objects {removed} {would}removed; dealings {would}marked for a run \
         in {} hours: {marked}",
        gc.grace
    )
}
