//! `xgene store`: split storage by name, without consent or genomics.

mod durability;
mod gc;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use genomicshare::plan::Warning;
use serde_json::json;
use tokio::io::AsyncWrite;
use xstore::part_file::PartFile;
use xstore::{GetOptions, PutOptions, Store, nothing_more};

use crate::args::{Backends, Pad, StoreVerb};
use crate::codes::{DEGRADED, OK};
use crate::commands::get::{Output, tell_faults, tell_provenance};
use crate::commands::inspect::{fault, show_manifest};
use crate::commands::targets::store_words;
use crate::commands::{check, human_bytes, mend, migrate, repair, source, stored, table};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;

const SECONDS_PER_DAY: u64 = 86_400;

pub(crate) async fn run(verb: StoreVerb, session: &Session) -> Result<u8, Failure> {
    match verb {
        StoreVerb::Put {
            name,
            file,
            backends,
            ttl,
            storing,
            pad,
        } => {
            let mut options = PutOptions::default();
            options.name = Some(name);
            options.ttl_s = ttl.map(|days| days.saturating_mul(SECONDS_PER_DAY));
            options.happy = storing.happy();
            put(&file, &backends, options, pad, session).await
        }
        StoreVerb::Get {
            name,
            backends,
            output,
            force,
        } => {
            let output = output_of(&name, output)?;
            get(&name, &backends, &Output::named(&output), force, session).await
        }
        StoreVerb::Cat {
            name,
            backends,
            offset,
            count,
        } => cat(&name, &backends, offset, count, session).await,
        StoreVerb::Ls { backends } => ls(&backends, session).await,
        StoreVerb::Stat { name, backends } => {
            let store = session.store(session.keys()?, &backends, Pad::None).await?;
            let found = store.find_name(&name).await?;
            tell_provenance(session, &found);
            show_manifest(&found.manifest, session);
            Ok(OK)
        }
        StoreVerb::Check(args) => check::store(&args, session).await,
        StoreVerb::Repair(args) => repair::store(&args, session).await,
        StoreVerb::Migrate(args) => migrate::run(&args, session).await,
        StoreVerb::Rm {
            name,
            backends,
            dry_run,
        } => rm(&name, &backends, dry_run, session).await,
        StoreVerb::Durability(args) => durability::run(&args, session),
        StoreVerb::Gc { backends, gc } => gc::run(&backends, &gc, session).await,
    }
}

/// The output given, or a file of the object's name where that is the name of a file.
fn output_of(name: &str, output: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match output {
        Some(output) => Ok(output),
        None if name == "-" || Path::new(name).file_name() != Some(name.as_ref()) => Err(
            Failure::usage("the name is not that of a file: give -o FILE"),
        ),
        None => Ok(name.into()),
    }
}

async fn put(
    file: &Path,
    backends: &Backends,
    mut options: PutOptions,
    pad: Pad,
    session: &Session,
) -> Result<u8, Failure> {
    let mut input = source::open(file).await?;
    let store = session.store(session.keys_or_new()?, backends, pad).await?;
    let access = store.layout()?.access;
    if access.threshold() == access.share_count() {
        session.terminal.warn(&Warning::NothingToSpare.to_string());
    }
    let name = options.name.clone().unwrap_or_default();
    let words = store_words(backends, session).ok();
    let mend = words.map(|words| mend::line(words, vec![name.clone()]));
    options.len_hint = input.len_bytes;
    options.observer = Some(Progress::new(session.terminal));
    let receipt = store
        .put(&mut *input.reader, options, &mut nothing_more)
        .await?;
    let body = receipt.manifest.body();
    let mut line = json!({
        "name": name,
        "object_id": body.object_id.to_string(),
        "version": body.version,
        "len_bytes": receipt.len_bytes,
        "stored_bytes": receipt.stored_bytes,
    });
    stored::facts(&mut line, &receipt, mend.as_deref());
    session.terminal.message("summary", line);
    session.terminal.say(&format!(
        "{} stored as {name}, version {}; any {} of {} backends restore it",
        human_bytes(receipt.len_bytes),
        body.version,
        body.k,
        body.n
    ));
    Ok(stored::tell(&receipt, mend.as_deref(), session))
}

async fn get(
    name: &str,
    backends: &Backends,
    output: &Output,
    force: bool,
    session: &Session,
) -> Result<u8, Failure> {
    output.refuse_existing(force)?;
    let store = session.store(session.keys()?, backends, Pad::None).await?;
    match output {
        Output::Stdout => {
            read(
                &store,
                name,
                None,
                &mut tokio::io::stdout(),
                output,
                session,
            )
            .await
        }
        Output::File(path) => {
            let mut part = PartFile::create(path).await?;
            let exit = read(&store, name, None, &mut part, output, session).await?;
            part.commit().await?;
            Ok(exit)
        }
    }
}

async fn cat(
    name: &str,
    backends: &Backends,
    offset: u64,
    count: Option<u64>,
    session: &Session,
) -> Result<u8, Failure> {
    let store = session.store(session.keys()?, backends, Pad::None).await?;
    let part = offset > 0 || count.is_some();
    let range = offset..count.map_or(u64::MAX, |count| offset.saturating_add(count));
    let range = part.then_some(range);
    read(
        &store,
        name,
        range,
        &mut tokio::io::stdout(),
        &Output::Stdout,
        session,
    )
    .await
}

async fn read(
    store: &Store,
    name: &str,
    range: Option<std::ops::Range<u64>>,
    out: &mut (dyn AsyncWrite + Unpin + Send),
    output: &Output,
    session: &Session,
) -> Result<u8, Failure> {
    let found = store.find_name(name).await?;
    tell_provenance(session, &found);
    let mut options = GetOptions::default();
    options.observer = Some(Progress::new(session.terminal) as Arc<_>);
    let report = match range {
        Some(range) => {
            store
                .get_range(&found.manifest, range, out, &options)
                .await?
        }
        None => store.get(&found.manifest, out, &options).await?,
    };
    tell_faults(session, &report);
    session.terminal.message(
        "summary",
        json!({
            "name": name,
            "output": output.label(),
            "len_bytes": report.len_bytes,
            "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
        }),
    );
    if let Output::File(path) = output {
        let restored = human_bytes(report.len_bytes);
        session
            .terminal
            .say(&format!("{restored} restored to {}", path.display()));
    }
    Ok(OK)
}

async fn ls(backends: &Backends, session: &Session) -> Result<u8, Failure> {
    let store = session.store(session.keys()?, backends, Pad::None).await?;
    let mut rows = table(&["name", "version", "size", "shares", "object"]);
    let mut listed = Vec::new();
    for object in store.list().await? {
        let body = object.manifest.body();
        listed.push(json!({
            "name": object.name,
            "object_id": body.object_id.to_string(),
            "version": body.version,
            "padded_len_bytes": body.padded_len,
            "threshold": body.k,
            "share_count": body.n,
        }));
        rows.add_row([
            object.name.clone().unwrap_or_else(|| "-".into()),
            body.version.to_string(),
            human_bytes(body.padded_len),
            format!("{}-of-{}", body.k, body.n),
            body.object_id.to_string(),
        ]);
    }
    session
        .terminal
        .message("summary", json!({ "objects": listed }));
    session.terminal.say(&rows.to_string());
    Ok(OK)
}

async fn rm(
    name: &str,
    backends: &Backends,
    dry_run: bool,
    session: &Session,
) -> Result<u8, Failure> {
    let store = session.store(session.keys()?, backends, Pad::None).await?;
    let found = store.find_name(name).await?;
    let stored = found.manifest.body().stored();
    let labels: Vec<&str> = stored.map(|(_, at)| at.label.as_str()).collect();
    if dry_run {
        session.terminal.message(
            "summary",
            json!({ "name": name, "would_delete_at": labels }),
        );
        session
            .terminal
            .say(&format!("would delete {name} at {}", labels.join(", ")));
        return Ok(OK);
    }
    let report = store.delete(&found.manifest).await?;
    session.terminal.message(
        "summary",
        json!({ "name": name, "pending": report.pending }),
    );
    session.terminal.say(&format!(
        "{name} deleted; a backend that keeps versions or backups may still have its share"
    ));
    if report.pending.is_empty() {
        return Ok(OK);
    }
    let pending = report.pending.join(", ");
    session.terminal.warn(&format!(
        "shares are still at {pending}; the next run removes them"
    ));
    Ok(DEGRADED)
}
