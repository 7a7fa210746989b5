//! The command line as people type it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use xstore::rate::Rate;

use crate::size;

mod check;
mod mode;
mod refresh;
mod store;

pub(crate) use check::{Check, Objects, Repair, Repairing, SharedFiles, StoreCheck, StoreRepair};
pub(crate) use mode::Mode;
pub(crate) use refresh::{Refresh, Refreshing, StoreRefresh};
pub(crate) use store::{
    AddBackend, BackendVerb, Migrate, Recover, Rekey, RemoveBackend, Renew, Resolve, Resume,
    Storing,
};

/// Split genomes over legal jurisdictions; read them only with consent.
#[derive(Debug, Parser)]
#[command(
    name = "xgene",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Exit codes and error codes: `xgene errors`. First steps: `xgene demo`.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Print JSON lines: `message_type` is stage, progress, warning, summary or error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Folder of keys, pins, catalogue and journal
    #[arg(
        long,
        global = true,
        env = "XGENE_HOME",
        value_name = "DIR",
        hide_env_values = true
    )]
    pub(crate) home: Option<PathBuf>,
    /// Print nothing but results, warnings and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
}

/// How every backend is asked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Requests to each backend")]
pub(crate) struct Transfer {
    /// Time of one request; its bytes are given theirs beside it
    #[arg(
        long,
        global = true,
        env = "XGENE_TIMEOUT",
        hide_env_values = true,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub(crate) timeout: u64,
    /// How often a request is made again that got no answer
    #[arg(
        long,
        global = true,
        env = "XGENE_RETRIES",
        hide_env_values = true,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(..=100)
    )]
    pub(crate) retries: u32,
    /// Requests under way at once
    #[arg(
        long,
        global = true,
        env = "XGENE_TRANSFERS",
        hide_env_values = true,
        value_name = "N",
        default_value = "8"
    )]
    pub(crate) transfers: NonZeroUsize,
    /// Bytes stored each second, such as 10MiB
    #[arg(
        long,
        global = true,
        env = "XGENE_LIMIT_UPLOAD",
        hide_env_values = true,
        value_name = "RATE",
        value_parser = size::rate
    )]
    pub(crate) limit_upload: Option<Rate>,
    /// Bytes read each second
    #[arg(
        long,
        global = true,
        env = "XGENE_LIMIT_DOWNLOAD",
        hide_env_values = true,
        value_name = "RATE",
        value_parser = size::rate
    )]
    pub(crate) limit_download: Option<Rate>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Split a file over the jurisdictions of a sites file, under a consent
    Split(Split),
    /// Restore a file from any k of its shares
    #[command(alias = "reconstruct")]
    Get(Get),
    /// Show what is lost or bad of shared files, and the command that mends it
    Check(Check),
    /// Write what is lost or bad of shared files again, from any k of their shares
    Repair(Repair),
    /// Deal shared files anew, so that old shares are worth nothing beside new ones
    Refresh(Refresh),
    /// Show format, samples, contigs and integrity of a file, or the content of a manifest
    Inspect(Inspect),
    /// Show who would hold what, and who could read, before anything is written
    Plan(Plan),
    /// Show, back up and restore keys; pin the keys of other makers
    #[command(subcommand)]
    Keys(Keys),
    /// Jurisdictions, their law and their zones
    #[command(subcommand)]
    Jurisdictions(Jurisdictions),
    /// Split storage without consent or genomics
    #[command(subcommand)]
    Store(StoreVerb),
    /// Split, refuse, restore, lose and tamper, on made-up data in a temporary folder
    Demo(Demo),
    /// List every error code, its exit code and what to do
    Errors(Errors),
    /// Print a completion script
    Completions(Completions),
    /// Write manual pages
    Man(Man),
}

/// `xgene split`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xgene split cohort.vcf.gz --sites sites.toml --consent consent.json
  bcftools view -Oz in.bcf | xgene split - --sites sites.toml --consent consent.json -o out.xgm")]
pub(crate) struct Split {
    /// File to split; `-` for standard input
    pub(crate) file: PathBuf,
    /// Jurisdictions, endpoints and threshold
    #[arg(long, env = "XGENE_SITES", hide_env_values = true, value_name = "FILE")]
    pub(crate) sites: PathBuf,
    /// Consent record (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) consent: PathBuf,
    /// Shares needed to read, instead of the sites file's
    #[arg(long, value_name = "K")]
    pub(crate) threshold: Option<u8>,
    /// Where the manifest goes; default FILE.xgm
    #[arg(short, long, value_name = "FILE.xgm")]
    pub(crate) output: Option<PathBuf>,
    /// How lengths are hidden
    #[arg(long, value_enum, default_value_t = Pad::Padme)]
    pub(crate) pad: Pad,
    /// How the payload is protected
    #[arg(long, value_enum, default_value_t = Mode::Perfect)]
    pub(crate) mode: Mode,
    /// Split a file even though it is damaged
    #[arg(long)]
    pub(crate) allow_invalid: bool,
    /// Store as many shares as reading needs when jurisdictions fail; exit code 3
    #[arg(long)]
    pub(crate) allow_degraded: bool,
    #[command(flatten)]
    pub(crate) resume: Resume,
    /// Show the plan and stop before anything is written
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Length padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Pad {
    /// Grow the length by under 12 %, under 1 % for large files, so that it says little
    Padme,
    /// Keep the length as it is
    None,
}

/// `xgene get`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xgene get cohort.vcf.gz.xgm
  xgene get cohort.vcf.gz.xgm --from DE,CA -o - | bcftools view -H | head")]
pub(crate) struct Get {
    /// Manifest of the object
    pub(crate) manifest: PathBuf,
    /// Endpoints; default: sites.toml beside the manifest
    #[arg(long, env = "XGENE_SITES", hide_env_values = true, value_name = "FILE")]
    pub(crate) sites: Option<PathBuf>,
    /// Ask these jurisdictions only
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub(crate) from: Vec<String>,
    /// Purpose of this use; default: the one consented to
    #[arg(long, value_name = "TEXT")]
    pub(crate) purpose: Option<String>,
    /// Where the file goes; `-` for standard output; default: the manifest's name without .xgm
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing output file
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Write what is good when shares are missing, zeros elsewhere; exit code 3 when something is lost
    #[arg(long)]
    pub(crate) partial: bool,
    /// Read although nobody vouches for the manifest's maker, and so for the consent in it
    #[arg(long)]
    pub(crate) accept_unsigned: bool,
}

/// `xgene inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// File to look at; `-` for standard input
    pub(crate) file: PathBuf,
    /// Inflate everything and verify every checksum, not only the structure
    #[arg(long)]
    pub(crate) full: bool,
}

/// `xgene plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Jurisdictions, endpoints and threshold
    #[arg(long, env = "XGENE_SITES", hide_env_values = true, value_name = "FILE")]
    pub(crate) sites: PathBuf,
    /// Consent record to check against
    #[arg(long, value_name = "FILE")]
    pub(crate) consent: Option<PathBuf>,
    /// Shares needed to read, instead of the sites file's
    #[arg(long, value_name = "K")]
    pub(crate) threshold: Option<u8>,
    /// File whose size is planned for
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// `xgene keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Show which keys there are and what each is for; never the keys
    Show,
    /// Make the root key now instead of at the first split
    Init,
    /// Make a new root key; the old one is kept behind it, for what it made and for names
    #[command(after_help = REKEY_HELP)]
    Rekey {
        /// Show what would happen
        #[arg(long)]
        dry_run: bool,
    },
    /// Deal the root key into share files, any K of which restore it
    Backup {
        /// Share files needed to restore
        #[arg(short = 'k', long, default_value_t = 2)]
        threshold: u8,
        /// Share files made
        #[arg(short = 'n', long, default_value_t = 3)]
        shares: u8,
        /// Folder for the share files
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Restore the root key from K share files
    Restore {
        /// The share files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Makers whose manifests are accepted
    #[command(subcommand)]
    Trust(Trust),
}

const REKEY_HELP: &str = "\
Afterwards, run `xgene store rekey` for every store, back up the new key, bring it to your other
installations, and give its maker key to those who pinned the old one.

What the old key makes counts until an object is rekeyed, and never after that. This hides nothing: no
key protects a payload, and names at the backends stay those of the oldest key. Whoever may write to
the backends can still delete; a client that never saw an object believes the old key again if every
newer manifest is gone.";

/// `xgene keys trust`.
#[derive(Debug, Subcommand)]
pub(crate) enum Trust {
    /// Pin a maker's key under a name, after comparing it with the maker
    Add {
        /// Name for the maker
        name: String,
        /// The maker's key, as its `xgene keys show` prints it
        did: String,
    },
    /// List pinned makers
    List,
    /// Remove a pin
    Remove {
        /// Name of the maker
        name: String,
    },
}

/// `xgene jurisdictions`.
#[derive(Debug, Subcommand)]
pub(crate) enum Jurisdictions {
    /// List all jurisdictions with zone and regulation
    List {
        /// Only those with an entry in the law table
        #[arg(long)]
        known: bool,
    },
    /// Show law, zone and transfer rules of one jurisdiction
    Show {
        /// ISO 3166 code
        code: String,
    },
}

/// `xgene store`.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Store a file under a name
    Put {
        /// Name of the object
        name: String,
        /// File to store; `-` for standard input
        file: PathBuf,
        #[command(flatten)]
        backends: Backends,
        /// Time after which the object is no longer read, as 30d or 12h; a number alone counts days
        #[arg(long, value_name = "TIME", value_parser = size::seconds)]
        ttl: Option<u64>,
        #[command(flatten)]
        storing: Storing,
        #[command(flatten)]
        resume: Resume,
        /// How lengths are hidden
        #[arg(long, value_enum, default_value_t = Pad::None)]
        pad: Pad,
        /// How the payload is protected
        #[arg(long, value_enum, default_value_t = Mode::Perfect)]
        mode: Mode,
    },
    /// Restore an object into a file
    Get {
        /// Name of the object
        name: String,
        #[command(flatten)]
        backends: Backends,
        /// One of two newest versions, as `store resolve` lists them; the start of the id is enough
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// Where the file goes; `-` for standard output; default: the name
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace an existing output file
        #[arg(short, long)]
        force: bool,
        /// Write what is good when shares are missing, zeros elsewhere; exit code 3 when something is lost
        #[arg(long)]
        partial: bool,
    },
    /// Write an object, or a range of it, to standard output
    Cat {
        /// Name of the object
        name: String,
        #[command(flatten)]
        backends: Backends,
        /// First byte
        #[arg(long, default_value_t = 0)]
        offset: u64,
        /// Number of bytes; default: to the end
        #[arg(long)]
        count: Option<u64>,
    },
    /// List objects
    Ls {
        #[command(flatten)]
        backends: Backends,
    },
    /// Show the manifest of an object
    Stat {
        /// Name of the object
        name: String,
        #[command(flatten)]
        backends: Backends,
    },
    /// Show what is lost or bad of objects, and the command that mends it
    Check(StoreCheck),
    /// Write what is lost or bad of objects again, from any k of their shares
    Repair(StoreRepair),
    /// Deal objects anew, so that old shares are worth nothing beside new ones
    Refresh(StoreRefresh),
    /// Move the share at one backend to another
    Migrate(Migrate),
    /// Let an object be read for longer, also one that has expired
    Renew(Renew),
    /// Authenticate every object anew after `xgene keys rekey`; run again until none is left
    Rekey(Rekey),
    /// Show the newest versions of an object of which there are two, and keep one
    Resolve(Resolve),
    /// Delete an object
    Rm {
        /// Name of the object
        name: String,
        #[command(flatten)]
        backends: Backends,
        /// Show what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// End what earlier runs left; find every object again by the root key alone
    Recover(Recover),
    /// List backends; end the claim of one that is gone
    #[command(subcommand)]
    Backend(BackendVerb),
    /// Compute how likely a year costs an object, from assumptions about its backends
    Durability(Durability),
    /// Mark what no manifest names, and remove what an earlier run marked
    #[command(after_help = GC_HELP)]
    Gc {
        #[command(flatten)]
        backends: Backends,
        #[command(flatten)]
        gc: Collection,
    },
}

/// `xgene store durability`.
#[derive(Debug, Args)]
pub(crate) struct Durability {
    /// Shares needed to read
    #[arg(short = 'k', long, value_name = "K")]
    pub(crate) threshold: u8,
    /// Shares stored, one at each backend
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) shares: u8,
    /// Probability that a backend loses its share within a year: one for all, or N of them
    #[arg(long, value_name = "P", value_delimiter = ',', required = true)]
    pub(crate) loss: Vec<f64>,
    /// Mean time to restore one share; assumed to be 7 days unless given
    #[arg(long, value_name = "DAYS")]
    pub(crate) repair: Option<f64>,
    /// Time between checks; a loss is assumed to be noticed at once unless given
    #[arg(long, value_name = "DAYS")]
    pub(crate) check: Option<f64>,
    /// Probability that one administrator, credential or operator destroys too many shares within a
    /// year; left out unless given
    #[arg(long, value_name = "P")]
    pub(crate) common_cause: Option<f64>,
}

const GC_HELP: &str = "\
A run marks; another one, a grace later, removes. All backends must answer, and their clocks agree
with this one within 5 minutes. Old versions of manifests are removed, and expired objects deleted.

Example, once a day:
  xgene store gc --backend file:///srv/a --backend file:///srv/b --backend file:///srv/c";

/// How a store is collected.
#[derive(Debug, Clone, Args)]
pub(crate) struct Collection {
    /// Show what would happen, and why
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Hours for which something unnamed is left alone, and again once it is marked; at least 2
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub(crate) grace: u64,
    /// Remove more than a tenth of the stored objects in this run
    #[arg(long)]
    pub(crate) no_brake: bool,
}

/// Where a store keeps its shares.
#[derive(Debug, Clone, Args)]
pub(crate) struct Backends {
    /// A backend, as file:///srv/a or the label of one that was added; give one for each share, and
    /// more as spares; default: all that were added
    #[arg(
        long = "backend",
        value_name = "URL",
        env = "XGENE_BACKENDS",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub(crate) urls: Vec<String>,
    /// Shares needed to read
    #[arg(short = 'k', long, default_value_t = 2)]
    pub(crate) threshold: u8,
    /// Shares stored; default: as many as backends
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) shares: Option<u8>,
    /// Plaintext bytes of a chunk, as 64KiB to 16MiB
    #[arg(long, default_value = "2MiB")]
    pub(crate) chunk_size: String,
}

/// `xgene demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep everything in this folder, which must be empty or absent
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

/// `xgene errors`.
#[derive(Debug, Args)]
pub(crate) struct Errors {
    /// Print the table as Markdown, as in docs/errors.md
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// `xgene completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell
    pub(crate) shell: clap_complete::Shell,
}

/// `xgene man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder for the pages; default: the main page on standard output
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
