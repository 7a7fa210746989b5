//! `xgene store migrate`: the share at one backend moves to another.
//!
//! A consent says where shares may be, and its holder was never asked about a new place: an object
//! that carries one stays where it is.

use serde_json::json;
use xstore::{Effects, MigrateOptions};

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
    if found.manifest.body().extension.is_some() {
        let message = "this object carries a consent, which says where its shares are".into();
        let recovery = "split the file again, under a consent that names the new place";
        return Err(Failure::new("REFUSED", message, recovery));
    }
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
