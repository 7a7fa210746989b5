//! `xgene split`: a file becomes shares, one for each jurisdiction of its consent.
//!
//! Everything that can refuse does so before a key is made, a random byte is drawn or a backend is
//! touched: the sites file, the consent, the plan, the input and the name of the output.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use genomicshare::{
    Authorization, ConsentRecord, Damaged, DepositOptions, Deposited, Destination, Request, Sites,
    Use, authorize, deposit, plan,
};
use serde_json::json;
use xstore::Happy;

use crate::args::Split;
use crate::codes::OK;
use crate::commands::targets::file_words;
use crate::commands::{human_bytes, mend, modes, source, stored};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::{Session, law, read_sites, write_manifest};

pub(crate) async fn run(args: &Split, session: &Session) -> Result<u8, Failure> {
    let sites = read_sites(&args.sites, args.threshold)?;
    let consent = read_consent(&args.consent)?;
    let input = source::open(&args.file).await?;
    let plan = plan(
        &sites,
        Some(&consent),
        law(),
        input.len_bytes,
        session.now(),
    );
    plan.verdict()?;
    let authorization = permit(&consent, &sites, session)?;
    args.resume.of(&input)?;
    let output = output(args)?;
    refuse_existing(&output)?;
    for warning in &plan.warnings {
        session.terminal.warn(&warning.to_string());
    }
    if args.dry_run {
        super::plan::show(&plan, session);
        let mode = xstore::Mode::from(args.mode);
        session.terminal.say(&format!("mode of this split: {mode}"));
        session
            .terminal
            .message("summary", json!({ "mode": mode.to_string() }));
        return Ok(OK);
    }
    let deposited = split(args, session, &sites, authorization, input, &output).await?;
    // What is stored is stored, even where a path of the command is not UTF-8.
    let words = file_words(Some(&args.sites), session).ok();
    let mend = words.map(|words| mend::line(words, vec![output.display().to_string()]));
    summary(session, &sites, &deposited, &output, mend.as_deref());
    if deposited.receipt.missing_shares() == 0 {
        session.terminal.say(&next_step(args, &output));
    }
    Ok(stored::tell(&deposited.receipt, mend.as_deref(), session))
}

fn permit(
    consent: &ConsentRecord,
    sites: &Sites,
    session: &Session,
) -> Result<Authorization, Failure> {
    let usage = Use::Deposit {
        jurisdictions: sites.codes(),
    };
    let request = Request {
        object_id: None,
        usage: &usage,
        purpose: None,
    };
    Ok(authorize(consent, request, session.now())?)
}

async fn split(
    args: &Split,
    session: &Session,
    sites: &Sites,
    authorization: Authorization,
    mut input: source::Source,
    output: &Path,
) -> Result<Deposited, Failure> {
    let happy = if args.allow_degraded {
        Happy::Degraded
    } else {
        Happy::All
    };
    let store = session.writer(sites, args.pad, happy).await?;
    // Recovery of an earlier run may have written this very file.
    refuse_existing(output)?;
    modes::tell(&store, input.len_bytes, session)?;
    let destination = Destination { sites, law: law() };
    let mut options = DepositOptions::default();
    options.damaged = if args.allow_invalid {
        Damaged::Accept
    } else {
        Damaged::Refuse
    };
    options.happy = happy;
    options.mode = args.mode.into();
    options.len_hint = input.len_bytes;
    options.resumption = args.resume.of(&input)?;
    let note = std::path::absolute(output).ok();
    let note = note.map(|path| path.display().to_string());
    options.note.clone_from(&note);
    options.observer = Some(Progress::new(session.terminal));
    let mut on_commit = |manifest: &xstore::Manifest| {
        write_manifest(output, manifest.envelope())?;
        session
            .terminal
            .message("stage", json!({ "stage": "written" }));
        Ok(())
    };
    let source = &mut *input.reader;
    let now = Arc::new(jiff::Timestamp::now);
    let deposited = deposit(
        &store,
        authorization,
        destination,
        source,
        now,
        options,
        &mut on_commit,
    )
    .await;
    deposited.map_err(|error| source::offer_resume(error.into(), &store, None, note.as_deref()))
}

/// No consent record is longer; one byte more is read, so that a longer one is refused as such.
const MAX_CONSENT_LEN: u64 = genomicshare::consent::RECORD_LEN_BYTES_MAX as u64 + 1;

/// Reads a consent record.
pub(crate) fn read_consent(path: &Path) -> Result<ConsentRecord, Failure> {
    Ok(ConsentRecord::from_json(&source::read_bounded(
        path,
        MAX_CONSENT_LEN,
    )?)?)
}

fn output(args: &Split) -> Result<PathBuf, Failure> {
    match (&args.output, args.file == Path::new("-")) {
        (Some(output), _) if output.to_str().is_none() => {
            // Recovery of a stopped run has to name it in the journal.
            Err(Failure::usage(
                "the manifest's name must be UTF-8: choose another with -o",
            ))
        }
        (Some(output), _) => Ok(output.clone()),
        (None, true) => Err(Failure::usage(
            "standard input has no name: give -o FILE.xgm",
        )),
        (None, false) => {
            let mut name = args.file.clone().into_os_string();
            name.push(".xgm");
            match name.to_str() {
                Some(_) => Ok(name.into()),
                None => Err(Failure::usage(
                    "the file's name is not UTF-8: give -o FILE.xgm",
                )),
            }
        }
    }
}

/// A manifest file names an object; writing over it would lose the way to that object.
fn refuse_existing(output: &Path) -> Result<(), Failure> {
    if output.symlink_metadata().is_ok() {
        let message = format!("{} exists", output.display());
        return Err(Failure::new(
            "CONFLICT",
            message,
            "choose another name with -o",
        ));
    }
    Ok(())
}

fn summary(
    session: &Session,
    sites: &Sites,
    deposited: &Deposited,
    output: &Path,
    mend: Option<&str>,
) {
    let receipt = &deposited.receipt;
    let body = receipt.manifest.body();
    let codes = sites
        .codes()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    let mut line = json!({
        "object_id": body.object_id.to_string(),
        "manifest": output.display().to_string(),
        "format": deposited.report.format.name(),
        "threshold": body.k,
        "shares": codes,
        "len_bytes": receipt.len_bytes,
        "stored_bytes": receipt.stored_bytes,
        "trial": body.trial.unwrap_or(false),
        "random_bytes_drawn": session.entropy.drawn_bytes(),
    });
    stored::facts(&mut line, receipt, mend);
    session.terminal.message("summary", line);
    let terminal = session.terminal;
    terminal.say(&format!(
        "{} of {} split over {}, {}; any {} of them restore it",
        human_bytes(receipt.len_bytes),
        deposited.report.format.label(),
        codes.join(", "),
        modes::of(body),
        body.k
    ));
    terminal.say(&format!("manifest: {}", output.display()));
}

/// What reads the file back; `get` looks for the sites file beside the manifest.
fn next_step(args: &Split, output: &Path) -> String {
    let beside = output.with_file_name("sites.toml");
    match (beside.canonicalize(), args.sites.canonicalize()) {
        (Ok(beside), Ok(sites)) if beside == sites => {
            format!("next: xgene get {}", output.display())
        }
        _ => format!(
            "next: xgene get {} --sites {}",
            output.display(),
            args.sites.display()
        ),
    }
}
