//! Options of what is written to a store when some of its backends are gone, or a run was stopped.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use xstore::{Effects, Happy, IfItAnswers, Resumption, ShareSource};

use crate::args::Backends;
use crate::commands::source::Source;
use crate::failure::Failure;
use crate::size;

/// How many shares must be stored.
#[derive(Debug, Args)]
pub(crate) struct Storing {
    /// Shares that must be stored; default: all
    #[arg(long, value_name = "H", conflicts_with = "allow_degraded")]
    happy: Option<u8>,
    /// Store as many shares as reading needs when backends fail; exit code 3
    #[arg(long)]
    allow_degraded: bool,
}

impl Storing {
    /// The number of shares.
    pub(crate) fn happy(&self) -> Happy {
        match self.happy {
            Some(count) => Happy::AtLeast(count),
            None if self.allow_degraded => Happy::Degraded,
            None => Happy::All,
        }
    }
}

/// What becomes of a run that stops.
#[derive(Debug, Default, Args)]
pub(crate) struct Resume {
    /// Go on where the same command stopped, up to a day ago; without it what is stored is discarded
    #[arg(long)]
    resume: bool,
}

impl Resume {
    /// Only a regular file gives the same bytes again.
    pub(crate) fn of(&self, source: &Source) -> Result<Resumption, Failure> {
        match (self.resume, source.len_bytes) {
            (true, Some(_)) => Ok(Resumption::Resume),
            (false, Some(_)) => Ok(Resumption::Allow),
            (false, None) => Ok(Resumption::Never),
            (true, None) => Err(Failure::usage(
                "only a regular file can be read again: leave out --resume",
            )),
        }
    }
}

/// `xgene store migrate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Backends are called backend1, backend2 and so on, in the order in which they are given.
Exit codes: 0 moved, 3 moved and the old share is still to be removed; else that of the error.

Example:
  xgene store migrate cohort --from backend2 --to backend4 --lost \\
    --backend file:///a --backend file:///b --backend file:///c --backend file:///d")]
pub(crate) struct Migrate {
    /// Name of the object
    pub(crate) name: String,
    /// Backend that holds the share
    #[arg(long, value_name = "LABEL")]
    pub(crate) from: String,
    /// Backend that is to hold it
    #[arg(long, value_name = "LABEL")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// Recompute the share from the others, because its holder is lost
    #[arg(long)]
    lost: bool,
    /// Show what would be moved
    #[arg(long)]
    dry_run: bool,
}

impl Migrate {
    /// Where the bytes of the share come from.
    pub(crate) const fn source(&self) -> ShareSource {
        if self.lost {
            ShareSource::Others
        } else {
            ShareSource::Holder
        }
    }

    /// Whether anything is changed.
    pub(crate) const fn effects(&self) -> Effects {
        effects(self.dry_run)
    }
}

/// `xgene store renew`.
#[derive(Debug, Args)]
#[command(after_help = "\
No share is read or written. An object that was deleted is gone; one that only expired is not.

Example:
  xgene store renew cohort --ttl 90d --backend file:///a --backend file:///b --backend file:///c")]
pub(crate) struct Renew {
    /// Name of the object
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// Time from now after which it is no longer read, as 30d or 12h; a number alone counts days
    #[arg(
        long,
        value_name = "TIME",
        value_parser = size::seconds,
        required_unless_present = "never"
    )]
    ttl: Option<u64>,
    /// It is read until it is deleted
    #[arg(long, conflicts_with = "ttl")]
    never: bool,
    /// Show until when it would be read
    #[arg(long)]
    dry_run: bool,
}

impl Renew {
    /// Seconds from now, unless it never expires.
    pub(crate) const fn ttl_s(&self) -> Option<u64> {
        self.ttl
    }

    /// Whether anything is changed.
    pub(crate) const fn effects(&self) -> Effects {
        effects(self.dry_run)
    }
}

/// `xgene store rekey`.
#[derive(Debug, Args)]
pub(crate) struct Rekey {
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// Show how many are left
    #[arg(long)]
    dry_run: bool,
}

impl Rekey {
    /// Whether anything is changed.
    pub(crate) const fn effects(&self) -> Effects {
        effects(self.dry_run)
    }
}

/// `xgene store resolve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Two installations that write one object at the same time leave two newest versions of it. Until one
is kept, `store get NAME --id ID` reads each. The shares of the other are removed.

Example:
  xgene store resolve cohort --backend file:///a --backend file:///b --backend file:///c")]
pub(crate) struct Resolve {
    /// Name of the object
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// Id of the one that counts from now on, or the start of it; without it all are listed
    #[arg(long, value_name = "ID")]
    pub(crate) keep: Option<String>,
    /// Show what would be given up
    #[arg(long)]
    dry_run: bool,
}

impl Resolve {
    /// Whether anything is changed.
    pub(crate) const fn effects(&self) -> Effects {
        effects(self.dry_run)
    }
}

/// `xgene store recover`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every command first ends what earlier runs left unfinished; this one does nothing else. With --scan
root key and backends are enough: where manifest files, catalogue and journal are lost, it finds the
newest manifest of every object. Names are nowhere but in the catalogue: `store get NAME` still finds
an object by the name you remember.

Example:
  xgene store recover --scan --out found \\
    --backend file:///a --backend file:///b --backend file:///c")]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// Find every object that the backends have a manifest of
    #[arg(long)]
    pub(crate) scan: bool,
    /// Write each manifest to this folder, as ID.xgm; nothing is replaced
    #[arg(long, value_name = "DIR", requires = "scan")]
    pub(crate) out: Option<PathBuf>,
    /// Show what earlier runs left, and end nothing; with --scan, write nothing either
    #[arg(long)]
    dry_run: bool,
}

impl Recover {
    /// Whether anything is changed.
    pub(crate) const fn effects(&self) -> Effects {
        effects(self.dry_run)
    }
}

/// `xgene store backend`.
#[derive(Debug, Subcommand)]
pub(crate) enum BackendVerb {
    /// Try a backend out and keep it under a label
    #[command(after_help = "\
The label is given to --backend in the place of the URL from then on, and a store without --backend is
over all backends that were added, in their order. Credentials are not in the URL: they come from the
environment, or with ?credential=NAME from [NAME] in credentials.toml in the home (docs/backends.md).

Example:
  xgene store backend add berlin 's3://genomes/shares?region=eu-central-1&credential=berlin'")]
    Add(AddBackend),
    /// Try backends out: contract, clock, erasure, credentials, speed
    #[command(after_help = "\
About thirty requests and 16 MiB to each backend; what is stored for it is removed again.
Exit codes: 0 a store can use all of them; else that of the first error.

Example:
  xgene store backend test --backend 's3://genomes/shares?region=eu-central-1'")]
    Test {
        #[command(flatten)]
        backends: Backends,
    },
    /// List backends: those given, those that manifests name, and those that are gone
    List {
        #[command(flatten)]
        backends: Backends,
    },
    /// End the claim of a backend that is gone for good
    Remove(RemoveBackend),
}

/// `xgene store backend add`.
#[derive(Debug, Args)]
pub(crate) struct AddBackend {
    /// What it is called: lower-case letters, digits and `-`
    pub(crate) label: String,
    /// Where it is
    pub(crate) url: String,
    /// Without trying it out, because it is not there yet
    #[arg(long)]
    pub(crate) untested: bool,
}

/// `xgene store backend remove`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --gone only the label is forgotten; nothing changes at the backend. With --gone its claim ends:
what it held is lost: `store repair` places those shares elsewhere, and `store gc` no longer waits for
it. Nothing is ever sent to it again, also if it comes back, and it counts for ever as a holder of what
it was sent. Time and reason are kept in the catalogue. Leave it out of --backend from then on.

Example:
  xgene store backend remove backend3 --gone --reason 'the company was dissolved' \\
    --backend file:///a --backend file:///b --backend file:///c")]
pub(crate) struct RemoveBackend {
    /// Its label, or its identity, as `store backend list` shows them
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// It will not come back
    #[arg(long, requires = "reason")]
    pub(crate) gone: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", requires = "gone")]
    reason: Option<String>,
    /// Even if it answers, because it is no longer yours
    #[arg(long, requires = "gone")]
    even_if_it_answers: bool,
    /// Show which one it is
    #[arg(long)]
    dry_run: bool,
}

impl RemoveBackend {
    /// Why it is gone; empty where it is not.
    pub(crate) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    /// What happens if it answers.
    pub(crate) const fn if_it_answers(&self) -> IfItAnswers {
        if self.even_if_it_answers {
            IfItAnswers::Retire
        } else {
            IfItAnswers::Refuse
        }
    }

    /// Whether anything is changed.
    pub(crate) const fn effects(&self) -> Effects {
        effects(self.dry_run)
    }
}

const fn effects(dry_run: bool) -> Effects {
    if dry_run {
        Effects::Preview
    } else {
        Effects::Apply
    }
}
