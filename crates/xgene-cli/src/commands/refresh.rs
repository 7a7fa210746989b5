//! `xgene refresh` and `xgene store refresh`: the same payload under shares that are worth nothing
//! beside the old ones.

use std::sync::Arc;

use serde_json::{Value, json};
use xstore::{RefreshOptions, RefreshReport};

use crate::args::{Refresh, Refreshing, StoreRefresh};
use crate::codes::{DEGRADED, OK};
use crate::commands::targets::{Target, Targets, Work};
use crate::commands::{human_bytes, mend, stored};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;

pub(crate) async fn files(args: &Refresh, session: &Session) -> Result<u8, Failure> {
    let targets = Targets::of_files(&args.files, Work::Mend, session).await?;
    Ok(refresh(&targets, &args.refreshing, session).await)
}

pub(crate) async fn store(args: &StoreRefresh, session: &Session) -> Result<u8, Failure> {
    let targets = Targets::of_store(&args.objects, session).await?;
    Ok(refresh(&targets, &args.refreshing, session).await)
}

async fn refresh(targets: &Targets, args: &Refreshing, session: &Session) -> u8 {
    let work = async |target: &Target| {
        let leaked = leaked(target, args)?;
        let mut options = RefreshOptions::default();
        options.old_shares = args.old_shares();
        options.happy = args.storing.happy();
        options.effects = args.effects();
        options.observer = Some(Progress::new(session.terminal));
        let report = permitted(target, options, session).await?;
        let named = target.word.iter().cloned().collect();
        let mend = mend::line(targets.words.clone(), named);
        summary(target, &report, &leaked, &mend, session);
        Ok(tell(target, &report, &leaked, &mend, session))
    };
    targets.each(session, work).await
}

/// Refreshes under the consent in the manifest, if there is one.
async fn permitted(
    target: &Target,
    options: RefreshOptions,
    session: &Session,
) -> Result<RefreshReport, Failure> {
    let (store, manifest) = (&target.store, &target.manifest);
    let Some(authorization) = target.authorization(session)? else {
        return Ok(store.refresh(manifest, &options).await?);
    };
    let now = Arc::new(jiff::Timestamp::now);
    Ok(genomicshare::refresh(store, authorization, manifest, now, options).await?)
}

/// Indices of the old shares that the user knows to have leaked.
fn leaked(target: &Target, args: &Refreshing) -> Result<Vec<u8>, Failure> {
    let index = |label: &String| {
        let mut stored = target.manifest.body().stored();
        let share = stored.find(|(_, at)| at.label == *label);
        let none = || Failure::usage(format!("{label} holds no share of {}", target.label()));
        share.map(|(share, _)| share.index).ok_or_else(none)
    };
    args.leaked.iter().map(index).collect()
}

fn summary(target: &Target, report: &RefreshReport, leaked: &[u8], mend: &str, session: &Session) {
    let remaining = report.remaining.iter();
    let remaining: Vec<Value> = remaining
        .map(|old| json!({ "index": old.index, "backend": old.backend }))
        .collect();
    let manifest = report.receipt.as_ref().map(|receipt| &receipt.manifest);
    let body = manifest.unwrap_or(&target.manifest).body();
    let mut line = json!({
        "name": target.word,
        "object_id": body.object_id.to_string(),
        "version": body.version,
        "dry_run": report.receipt.is_none(),
        "old_shares": remaining,
        "kept_until_unix_s": report.kept_until_unix_s,
        "leaked": leaked,
        "effective": report.is_effective(leaked),
    });
    if let Some(receipt) = &report.receipt {
        stored::facts(&mut line, receipt, Some(mend));
    }
    session.terminal.message("summary", line);
}

fn tell(
    target: &Target,
    report: &RefreshReport,
    leaked: &[u8],
    mend: &str,
    session: &Session,
) -> u8 {
    let (terminal, label) = (session.terminal, target.label());
    let Some(receipt) = &report.receipt else {
        let len = human_bytes(target.manifest.body().padded_len);
        terminal.say(&format!("{label}: {len} would be dealt again"));
        return OK;
    };
    let version = receipt.manifest.body().version;
    terminal.say(&format!("{label}: dealt again, version {version}"));
    let exit = stored::tell(receipt, Some(mend), session);
    if report.is_effective(leaked) {
        terminal.say(&format!(
            "{label}: old shares say nothing now, unless {} of them were kept by others",
            usize::from(report.threshold) - leaked.len().min(report.threshold.into())
        ));
        return exit;
    }
    if report.kept_until_unix_s.is_some() {
        terminal.say(&format!(
            "{label}: old shares stay for a day, for those who read them; --now removes them at once"
        ));
        return exit;
    }
    terminal.warn(&format!(
        "{label}: old shares that leaked or remain are as many as reading needs: what they hold is not protected by this"
    ));
    DEGRADED
}
