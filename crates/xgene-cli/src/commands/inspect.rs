//! `xgene inspect`: what a file is and whether it is whole; or what a manifest says.

use std::io::Read;
use std::path::Path;

use genomic_formats::{Depth, Level, Report, inspect};
use serde_json::json;
use xstore::manifest::Verifier;
use xstore::{Manifest, ShareFault};

use crate::args::Inspect;
use crate::codes::OK;
use crate::commands::{get, human_bytes, modes};
use crate::failure::Failure;
use crate::session::Session;

pub(crate) fn run(args: &Inspect, session: &Session) -> Result<u8, Failure> {
    if args
        .file
        .extension()
        .is_some_and(|extension| extension == "xgm")
    {
        return manifest(&args.file, session);
    }
    let depth = if args.full {
        Depth::Contents
    } else {
        Depth::Structure
    };
    let failed = |error: std::io::Error| Failure::input(&args.file, &error);
    let reader: Box<dyn Read> = if args.file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(&args.file).map_err(failed)?)
    };
    let report = inspect(reader, depth).map_err(failed)?;
    show(&report, session);
    report.require_valid()?;
    Ok(OK)
}

fn show(report: &Report, session: &Session) {
    let facts = &report.facts;
    let level = |level: Level| match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "info",
    };
    let findings = report.findings.iter();
    session.terminal.message(
        "summary",
        json!({
            "format": report.format.name(),
            "len_bytes": report.bytes,
            "bgzf_blocks": report.bgzf.as_ref().map(|summary| summary.blocks),
            "samples": facts.samples,
            "contigs": facts.contigs.len(),
            "assembly": facts.assembly.map(|assembly| assembly.to_string()),
            "sort_order": facts.sort_order.as_ref().map(ToString::to_string),
            "records": facts.records,
            "findings": findings
                .clone()
                .map(|finding| json!({
                    "level": level(finding.level), "code": finding.code, "message": finding.message,
                }))
                .collect::<Vec<_>>(),
        }),
    );
    let say = |name: &str, value: String| session.terminal.say(&format!("{name:<11} {value}"));
    say("format", report.format.label());
    say("size", human_bytes(report.bytes));
    if let Some(bgzf) = &report.bgzf {
        say("blocks", bgzf.blocks.to_string());
    }
    if !facts.samples.is_empty() {
        let shown: Vec<&str> = facts.samples.iter().take(5).map(String::as_str).collect();
        let more = if facts.samples.len() > shown.len() {
            ", ..."
        } else {
            ""
        };
        say(
            "samples",
            format!("{} ({}{more})", facts.samples.len(), shown.join(", ")),
        );
    }
    if !facts.contigs.is_empty() {
        say("contigs", facts.contigs.len().to_string());
    }
    if let Some(assembly) = facts.assembly {
        say("assembly", format!("{assembly} (by contig lengths)"));
    }
    if let Some(order) = &facts.sort_order {
        say("sort order", order.to_string());
    }
    if let Some(records) = facts.records {
        say("records", records.to_string());
    }
    for finding in findings {
        say(
            level(finding.level),
            format!("{} [{}]", finding.message, finding.code),
        );
    }
}

/// The content of a manifest file, after its authenticators were checked.
fn manifest(path: &Path, session: &Session) -> Result<u8, Failure> {
    let envelope = get::read_manifest(path)?;
    let (owner, trusted) = (session.home.keys()?, session.home.trusted()?);
    let verifier = Verifier {
        owner: owner.as_ref(),
        trusted: &trusted,
        accept_unsigned: false,
    };
    let manifest = Manifest::open(&envelope, &verifier)?;
    show_manifest(&manifest, session);
    Ok(OK)
}

/// Prints what a manifest says, consent included.
pub(crate) fn show_manifest(manifest: &Manifest, session: &Session) {
    let body = manifest.body();
    let shared = genomicshare::SharedFile::from_manifest(manifest).ok();
    let shares: Vec<_> = body
        .shares
        .iter()
        .map(|share| {
            let location = share.location.as_ref();
            json!({
                "index": share.index,
                "stored": share.location.is_some(),
                "label": location.map(|at| at.label.as_str()),
                "backend": location.map(|at| at.backend.to_string()),
                "zone": location.and_then(|at| at.zone.as_deref()),
                "operator": location.and_then(|at| at.operator.as_deref()),
            })
        })
        .collect();
    let consent = shared.as_ref().and_then(|shared| {
        serde_json::from_str::<serde_json::Value>(&shared.consent.to_json()).ok()
    });
    session.terminal.message(
        "summary",
        json!({
            "object_id": body.object_id.to_string(),
            "version": body.version,
            "threshold": body.k,
            "share_count": body.n,
            "mode": modes::of(body),
            "chunk_len_bytes": body.chunk_len,
            "chunks": body.chunks,
            "padded_len_bytes": body.padded_len,
            "created_unix_s": body.created_unix_s,
            "expires_unix_s": body.expires_unix_s,
            "trial": body.trial.unwrap_or(false),
            "shares": shares,
            "consent": consent,
            "manifest_bytes": manifest.envelope().len(),
        }),
    );
    let say = |name: &str, value: String| session.terminal.say(&format!("{name:<11} {value}"));
    say("object", body.object_id.to_string());
    say("version", body.version.to_string());
    say("scheme", format!("{}-of-{} XOR shares", body.k, body.n));
    say("mode", modes::of(body));
    let labels: Vec<&str> = body.stored().map(|(_, at)| at.label.as_str()).collect();
    say("shares", labels.join(", "));
    say(
        "size",
        format!(
            "{} with padding, {} chunks",
            human_bytes(body.padded_len),
            body.chunks
        ),
    );
    if let Some(shared) = &shared {
        let fields = shared.consent.fields();
        say(
            "purpose",
            format!("{} ({})", fields.purpose, shared.consent.assurance()),
        );
        if let Some(end) = fields.expires_at {
            say("consent", format!("until {end}"));
        }
    }
    if body.trial == Some(true) {
        say(
            "note",
            "all shares are on this computer: a trial, not a protection".into(),
        );
    }
}

/// A fault as JSON shows it.
pub(crate) fn fault(fault: &ShareFault) -> serde_json::Value {
    json!({
        "backend": fault.backend,
        "segment": fault.segment,
        "chunk": fault.chunk,
        "code": fault.reason.code(),
    })
}
