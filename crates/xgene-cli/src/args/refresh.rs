//! `refresh`: of shared files, and of objects of a store.

use clap::Args;
use xstore::{Effects, OldShares};

use crate::args::{Objects, SharedFiles, Storing};

/// `xgene refresh`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is read whole and dealt anew among the same sites, so the consent in the manifest must hold now.
Old manifest files still find it.
Exit codes: 0 done, 3 something is left to do; else that of the error.

Examples:
  xgene refresh cohort.vcf.gz.xgm
  xgene refresh cohort.vcf.gz.xgm --now --leaked CA")]
pub(crate) struct Refresh {
    #[command(flatten)]
    pub(crate) files: SharedFiles,
    #[command(flatten)]
    pub(crate) refreshing: Refreshing,
}

/// `xgene store refresh`.
#[derive(Debug, Args)]
#[command(after_help = "\
An object that carries a consent is refreshed only while this consent holds, and among the same backends.
Exit codes: 0 done, 3 something is left to do; else that of the error.")]
pub(crate) struct StoreRefresh {
    #[command(flatten)]
    pub(crate) objects: Objects,
    #[command(flatten)]
    pub(crate) refreshing: Refreshing,
}

/// What becomes of the old shares.
#[derive(Debug, Args)]
pub(crate) struct Refreshing {
    /// Remove the old shares at once; default: a day later, for those who read them
    #[arg(long)]
    now: bool,
    /// Backend whose old share is known to others; may be given several times
    #[arg(long, value_name = "LABEL")]
    pub(crate) leaked: Vec<String>,
    #[command(flatten)]
    pub(crate) storing: Storing,
    /// Show what would be dealt again
    #[arg(long)]
    dry_run: bool,
}

impl Refreshing {
    /// What becomes of the old shares.
    pub(crate) const fn old_shares(&self) -> OldShares {
        if self.now {
            OldShares::RemoveNow
        } else {
            OldShares::KeepADay
        }
    }

    /// Whether anything is changed.
    pub(crate) const fn effects(&self) -> Effects {
        if self.dry_run {
            Effects::Preview
        } else {
            Effects::Apply
        }
    }
}
