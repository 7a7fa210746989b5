//! `xgene store`: split storage by name, without consent or genomics.

mod backend;
mod durability;
mod gc;
mod recover;
mod rekey;
mod renew;
mod resolve;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use genomicshare::plan::Warning;
use jiff::Timestamp;
use serde_json::json;
use tokio::io::AsyncWrite;
use xstore::part_file::PartFile;
use xstore::{GetOptions, PutOptions, Store, nothing_more};

use crate::args::{Backends, Pad, StoreVerb};
use crate::codes::{DEGRADED, OK};
use crate::commands::get::{Output, tell_provenance};
use crate::commands::inspect::show_manifest;
use crate::commands::restored::{Restored, offer_partial};
use crate::commands::source::offer_resume;
use crate::commands::targets::store_words;
use crate::commands::{
    check, human_bytes, mend, migrate, modes, refresh, repair, source, stored, table,
};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;

pub(crate) async fn run(verb: StoreVerb, session: &Session) -> Result<u8, Failure> {
    match verb {
        StoreVerb::Put {
            name,
            file,
            backends,
            ttl,
            storing,
            resume,
            pad,
            mode,
        } => {
            let mut options = PutOptions::default();
            options.name = Some(name);
            options.ttl_s = ttl;
            options.happy = storing.happy();
            options.mode = mode.into();
            let input = source::open(&file).await?;
            options.resumption = resume.of(&input)?;
            put(input, &backends, options, pad, session).await
        }
        StoreVerb::Get {
            name,
            backends,
            id,
            output,
            force,
            partial,
        } => {
            let output = Output::named(&output_of(&name, output)?);
            output.refuse_existing(force)?;
            let which = Which { name, id };
            if partial {
                return get(&which, &backends, Part::Good, &output, session).await;
            }
            let exit = get(&which, &backends, Part::Whole, &output, session).await;
            exit.map_err(offer_partial)
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
        StoreVerb::Refresh(args) => refresh::store(&args, session).await,
        StoreVerb::Migrate(args) => migrate::run(&args, session).await,
        StoreVerb::Renew(args) => renew::run(&args, session).await,
        StoreVerb::Rekey(args) => rekey::run(&args, session).await,
        StoreVerb::Resolve(args) => resolve::run(&args, session).await,
        StoreVerb::Rm {
            name,
            backends,
            dry_run,
        } => rm(&name, &backends, dry_run, session).await,
        StoreVerb::Recover(args) => recover::run(&args, session).await,
        StoreVerb::Backend(verb) => backend::run(&verb, session).await,
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
    mut input: source::Source,
    backends: &Backends,
    mut options: PutOptions,
    pad: Pad,
    session: &Session,
) -> Result<u8, Failure> {
    let store = session.store(session.keys_or_new()?, backends, pad).await?;
    let access = store.layout()?.access;
    if access.threshold() == access.share_count() {
        session.terminal.warn(&Warning::NothingToSpare.to_string());
    }
    modes::tell(&store, input.len_bytes, session)?;
    let name = options.name.clone().unwrap_or_default();
    let words = store_words(backends, session).ok();
    let mend = words.map(|words| mend::line(words, vec![name.clone()]));
    options.len_hint = input.len_bytes;
    options.observer = Some(Progress::new(session.terminal));
    let receipt = store
        .put(&mut *input.reader, options, &mut nothing_more)
        .await
        .map_err(|error| offer_resume(error.into(), &store, Some(&name), None))?;
    let body = receipt.manifest.body();
    let mut line = json!({
        "name": name,
        "object_id": body.object_id.to_string(),
        "version": body.version,
        "len_bytes": receipt.len_bytes,
        "stored_bytes": receipt.stored_bytes,
        "requests": session.meters.requests(),
    });
    stored::facts(&mut line, &receipt, mend.as_deref());
    session.terminal.message("summary", line);
    session.terminal.say(&format!(
        "{} stored as {name}, version {}, {}; any {} of {} backends restore it",
        human_bytes(receipt.len_bytes),
        body.version,
        modes::of(body),
        body.k,
        body.n
    ));
    Ok(stored::tell(&receipt, mend.as_deref(), session))
}

/// Which version of an object is read.
struct Which {
    name: String,
    /// Of two newest ones; `None`: the newest.
    id: Option<String>,
}

/// What of an object is read.
enum Part {
    /// All of it, or nothing.
    Whole,
    /// A half-open range of bytes.
    Range(Range<u64>),
    /// What can be read, at its place.
    Good,
}

async fn get(
    which: &Which,
    backends: &Backends,
    part: Part,
    output: &Output,
    session: &Session,
) -> Result<u8, Failure> {
    let store = session.store(session.keys()?, backends, Pad::None).await?;
    match output {
        Output::Stdout => {
            read(
                &store,
                which,
                part,
                &mut tokio::io::stdout(),
                output,
                session,
            )
            .await
        }
        Output::File(path) => {
            let mut file = PartFile::create(path).await?;
            let exit = read(&store, which, part, &mut file, output, session).await?;
            file.commit().await?;
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
    let range = offset..count.map_or(u64::MAX, |count| offset.saturating_add(count));
    let part = match (offset, count) {
        (0, None) => Part::Whole,
        _ => Part::Range(range),
    };
    let (name, id) = (name.to_owned(), None);
    read(
        &store,
        &Which { name, id },
        part,
        &mut tokio::io::stdout(),
        &Output::Stdout,
        session,
    )
    .await
}

async fn read(
    store: &Store,
    Which { name, id }: &Which,
    part: Part,
    out: &mut (dyn AsyncWrite + Unpin + Send),
    output: &Output,
    session: &Session,
) -> Result<u8, Failure> {
    let (manifest, faults) = match id {
        Some(id) => (resolve::sibling(store, name, id).await?, Vec::new()),
        None => {
            let found = store.find_name(name).await?;
            tell_provenance(session, &found);
            (found.manifest, found.faults)
        }
    };
    let mut options = GetOptions::default();
    options.observer = Some(Progress::new(session.terminal) as Arc<_>);
    let mut restored: Restored = match part {
        Part::Whole => store.get(&manifest, out, &options).await?.into(),
        Part::Range(range) => store
            .get_range(&manifest, range, out, &options)
            .await?
            .into(),
        Part::Good => store.salvage(&manifest, out, &options).await?.into(),
    };
    restored.also(&faults);
    let mut line = json!({ "name": name, "requests": session.meters.requests() });
    restored.facts(&mut line, output);
    session.terminal.message("summary", line);
    Ok(restored.tell(output, session))
}

async fn ls(backends: &Backends, session: &Session) -> Result<u8, Failure> {
    let store = session.store(session.keys()?, backends, Pad::None).await?;
    let mut rows = table(&["name", "version", "size", "shares", "mode", "object"]);
    let (mut listed, mut failed, mut exit) = (Vec::new(), Vec::new(), OK);
    let listing = store.list().await?;
    for unlisted in listing.failed {
        let object_id = unlisted.object_id.to_string();
        let label = unlisted.name.as_deref().unwrap_or(&object_id);
        let failure = Failure::from(unlisted.error).of(label);
        exit = failure.exit_code();
        failed.push(json!({ "name": unlisted.name, "object_id": object_id, "code": failure.code }));
        let drawn = session.entropy.drawn_bytes();
        session.terminal.fail(&failure, drawn);
    }
    for object in listing.objects {
        let body = object.manifest.body();
        listed.push(json!({
            "name": object.name,
            "object_id": body.object_id.to_string(),
            "version": body.version,
            "padded_len_bytes": body.padded_len,
            "threshold": body.k,
            "share_count": body.n,
            "mode": modes::of(body),
        }));
        rows.add_row([
            object.name.clone().unwrap_or_else(|| "-".into()),
            body.version.to_string(),
            human_bytes(body.padded_len),
            format!("{}-of-{}", body.k, body.n),
            modes::of(body),
            body.object_id.to_string(),
        ]);
    }
    session
        .terminal
        .message("summary", json!({ "objects": listed, "failed": failed }));
    session.terminal.say(&rows.to_string());
    Ok(exit)
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
    let doubts = store.erasure_doubts(&labels).await;
    session.terminal.message(
        "summary",
        json!({
            "name": name,
            "pending": report.pending,
            "erasure_unproven": unproven(&doubts),
        }),
    );
    session.terminal.say(&format!(
        "{name} deleted; what a backend keeps without saying so nobody can know"
    ));
    warn_unproven(&doubts, session);
    if report.pending.is_empty() {
        return Ok(OK);
    }
    let pending = report.pending.join(", ");
    session.terminal.warn(&format!(
        "shares are still at {pending}; the next run removes them"
    ));
    Ok(DEGRADED)
}

/// Backends where deleted bytes may still be, for programs.
fn unproven(doubts: &[(String, &str)]) -> Vec<serde_json::Value> {
    let each = doubts.iter();
    each.map(|(backend, why)| json!({ "backend": backend, "why": why }))
        .collect()
}

/// The same for people.
fn warn_unproven(doubts: &[(String, &str)], session: &Session) {
    for (backend, why) in doubts {
        let text = format!("erasure is unproven at {backend}: {why}");
        session.terminal.warn(&text);
    }
}

/// Seconds since 1970 for people.
fn time(unix_s: u64) -> String {
    let time = i64::try_from(unix_s).ok();
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(
        || format!("second {unix_s} since 1970"),
        |time| time.to_string(),
    )
}
