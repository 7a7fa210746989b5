//! `xgene get`: any k shares become the file again, under the consent in its signed manifest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use genomicshare::{Request, SharedFile, Sites, Use, authorize, retrieve, salvage};
use serde_json::json;
use tokio::io::AsyncWrite;
use xstore::part_file::PartFile;
use xstore::{Found, Freshness, ShareFault, UnknownMakers};

use crate::args::Get;
use crate::commands::restored::{Restored, offer_partial};
use crate::commands::source;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::{Session, read_sites};

pub(crate) async fn run(args: &Get, session: &Session) -> Result<u8, Failure> {
    let envelope = read_manifest(&args.manifest)?;
    let sites = read_sites(&sites_path(args), None)?;
    check_from(&args.from, &sites)?;
    let output = Output::new(args)?;
    output.refuse_same(&[&args.manifest, &sites_path(args)])?;
    output.refuse_existing(args.force)?;
    let unknown = if args.accept_unsigned {
        UnknownMakers::Accept
    } else {
        UnknownMakers::Refuse
    };
    let asked = |code: &str| args.from.is_empty() || args.from.iter().any(|from| from == code);
    let store = session.reader(&sites, asked, unknown)?;
    let found = store.find_file(&envelope).await?;
    tell_provenance(session, &found);

    let shared = SharedFile::from_manifest(&found.manifest)?;
    let from = shared
        .jurisdictions()
        .into_iter()
        .filter(|code| asked(code.as_str()))
        .collect();
    let usage = Use::Retrieve { from };
    let object_id = Some(found.manifest.body().object_id.0);
    let request = Request {
        object_id,
        usage: &usage,
        purpose: args.purpose.as_deref(),
    };
    let authorization = authorize(&shared.consent, request, session.now())?;
    let progress = Progress::new(session.terminal);
    let read = async |out: &mut (dyn AsyncWrite + Unpin + Send)| {
        let now = Arc::new(jiff::Timestamp::now);
        let (manifest, observer) = (&found.manifest, Some(progress as _));
        if args.partial {
            let report = salvage(&store, authorization, manifest, out, now, observer).await?;
            return Ok(Restored::from(report));
        }
        let report = retrieve(&store, authorization, manifest, out, now, observer).await;
        let report = report.map_err(|error| offer_partial(error.into()))?;
        Ok::<_, Failure>(report.into())
    };
    let mut restored = match &output {
        Output::Stdout => read(&mut tokio::io::stdout()).await?,
        Output::File(path) => {
            let mut part = PartFile::create(path).await?;
            let restored = read(&mut part).await?;
            part.commit().await?;
            restored
        }
    };
    restored.also(&found.faults);
    // A jurisdiction that nobody asked has no fault.
    restored.faults.retain(|fault| asked(&fault.backend));
    let mut line = json!({});
    restored.facts(&mut line, &output);
    session.terminal.message("summary", line);
    Ok(restored.tell(&output, session))
}

/// Where restored bytes go.
pub(crate) enum Output {
    Stdout,
    File(PathBuf),
}

impl Output {
    fn new(args: &Get) -> Result<Self, Failure> {
        match &args.output {
            Some(path) => Ok(Self::named(path)),
            None if args
                .manifest
                .extension()
                .is_some_and(|extension| extension == "xgm") =>
            {
                Ok(Self::File(args.manifest.with_extension("")))
            }
            None => Err(Failure::usage(
                "the manifest's name does not end in .xgm: give -o FILE",
            )),
        }
    }

    pub(crate) fn named(path: &Path) -> Self {
        if path == Path::new("-") {
            Self::Stdout
        } else {
            Self::File(path.to_owned())
        }
    }

    pub(crate) fn refuse_existing(&self, force: bool) -> Result<(), Failure> {
        match self {
            Self::File(path) if !force && path.symlink_metadata().is_ok() => {
                let message = format!("{} exists", path.display());
                Err(Failure::new(
                    "CONFLICT",
                    message,
                    "choose another name with -o, or add --force",
                ))
            }
            _ => Ok(()),
        }
    }

    /// What is read must not be written over, whatever is forced.
    fn refuse_same(&self, inputs: &[&Path]) -> Result<(), Failure> {
        let Self::File(path) = self else {
            return Ok(());
        };
        let there = std::fs::canonicalize(path).ok();
        let same = |input: &&&Path| there.is_some() && std::fs::canonicalize(input).ok() == there;
        match inputs.iter().find(same) {
            Some(_) => Err(Failure::usage(
                "the output is one of the inputs: choose another -o",
            )),
            None => Ok(()),
        }
    }

    pub(crate) fn label(&self) -> String {
        match self {
            Self::Stdout => "standard output".into(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Reads a manifest file; nothing longer than a manifest can be.
pub(crate) fn read_manifest(path: &Path) -> Result<Vec<u8>, Failure> {
    source::read_bounded(path, xstore::manifest::MAX_LEN as u64 + 1)
}

fn sites_path(args: &Get) -> PathBuf {
    args.sites
        .clone()
        .unwrap_or_else(|| args.manifest.with_file_name("sites.toml"))
}

fn check_from(from: &[String], sites: &Sites) -> Result<(), Failure> {
    let codes = sites.codes();
    match from
        .iter()
        .find(|from| !codes.iter().any(|code| code.as_str() == from.as_str()))
    {
        Some(unknown) => Err(Failure::usage(format!(
            "the sites file has no jurisdiction {unknown}"
        ))),
        None => Ok(()),
    }
}

/// Says what is not proven about a manifest.
pub(crate) fn tell_provenance(session: &Session, found: &Found) {
    if *found.manifest.provenance() == xstore::manifest::Provenance::Unproven {
        session.terminal.warn(
            "nobody vouches for the maker of this manifest: who stored this file, under which \
             consent, and that it is the newest version are not proven",
        );
    }
    if let Freshness::Unproven { answered, needed } = found.freshness {
        session.terminal.warn(&format!(
            "{answered} backends answered, {needed} are needed to know that there is no newer version"
        ));
    }
}

/// Names every share that could not be used; others did.
pub(crate) fn tell_faults(session: &Session, faults: &[ShareFault]) {
    for fault in faults {
        session
            .terminal
            .warn(&format!("share not usable, others were: {fault}"));
    }
}
