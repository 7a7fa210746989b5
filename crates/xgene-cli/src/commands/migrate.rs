//! `xgene store migrate`: the share at one backend moves to another.
//!
//! A consent says where shares may be, and its holder was never asked about a new place: an object
//! that carries one stays where it is.

use serde_json::json;
use xstore::{Effects, Manifest, MigrateOptions};

use crate::args::{Migrate, Pad};
use crate::codes::{DEGRADED, OK};
use crate::commands::get::tell_provenance;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;

pub(crate) async fn run(args: &Migrate, session: &Session) -> Result<u8, Failure> {
    let keys = session.keys()?;
    let store = session.store(keys, &args.backends, Pad::None).await?;
    let found = store.find_name(&args.name).await?;
    tell_provenance(session, &found);
    refuse_consented(
        &found.manifest,
        "where its shares are",
        "split the file again, under a consent that names the new place",
    )?;
    let mut options = MigrateOptions::default();
    options.source = args.source();
    options.effects = args.effects();
    options.observer = Some(Progress::new(session.terminal));
    let report = store
        .migrate(&found.manifest, &args.from, &args.to, &options)
        .await?;
    let Migrate { name, from, to, .. } = args;
    session.terminal.message(
        "summary",
        json!({
            "name": name,
            "share": report.index,
            "from": from,
            "to": to,
            "version": report.manifest.body().version,
            "dry_run": args.effects() == Effects::Preview,
            "pending": report.pending,
        }),
    );
    let done = match args.effects() {
        Effects::Apply => "moved",
        Effects::Preview => "would be moved",
    };
    session.terminal.say(&format!(
        "share {} of {name} {done} from {from} to {to}; what {from} had counts as held by it still",
        report.index
    ));
    if report.pending.is_empty() {
        return Ok(OK);
    }
    session.terminal.warn(&format!(
        "the old share is still at {}; the next run removes it",
        report.pending.join(", ")
    ));
    Ok(DEGRADED)
}

/// Refuses to change what the holder of a consent said, who was not asked.
pub(crate) fn refuse_consented(
    manifest: &Manifest,
    what: &str,
    recovery: &str,
) -> Result<(), Failure> {
    if manifest.body().extension.is_none() {
        return Ok(());
    }
    let message = format!("this object carries a consent, which says {what}");
    Err(Failure::new("REFUSED", message, recovery))
}
