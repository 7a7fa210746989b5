//! `xgene store renew`: an object is read for longer, or for ever.
//!
//! A consent says until when it may be read, and its holder was never asked about a longer time: an
//! object that carries one is not renewed.

use serde_json::json;
use xstore::Effects;

use crate::args::{Pad, Renew};
use crate::codes::{DEGRADED, OK};
use crate::commands::get::tell_provenance;
use crate::commands::migrate::refuse_consented;
use crate::failure::Failure;
use crate::session::Session;

pub(super) async fn run(args: &Renew, session: &Session) -> Result<u8, Failure> {
    let keys = session.keys()?;
    let store = session.store(keys, &args.backends, Pad::None).await?;
    let found = store.find_name(&args.name).await?;
    tell_provenance(session, &found);
    refuse_consented(
        &found.manifest,
        "until when it may be read",
        "split the file again, under a consent that lasts longer",
    )?;
    let report = store
        .renew(&found.manifest, args.ttl_s(), args.effects())
        .await?;
    let (name, dry_run) = (&args.name, args.effects() == Effects::Preview);
    session.terminal.message(
        "summary",
        json!({
            "name": name,
            "version": report.manifest.body().version,
            "expires_unix_s": report.expires_unix_s,
            "dry_run": dry_run,
            "pending": report.pending,
        }),
    );
    let until = report.expires_unix_s.map_or_else(
        || "until it is deleted".into(),
        |expires| format!("until {}", super::time(expires)),
    );
    let verb = if dry_run { "would be" } else { "is" };
    session
        .terminal
        .say(&format!("{name} {verb} read {until}; no share was touched"));
    Ok(if report.pending.is_empty() {
        OK
    } else {
        DEGRADED
    })
}
