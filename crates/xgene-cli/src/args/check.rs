//! `check` and `repair`: of shared files, and of objects of a store.

use std::path::PathBuf;

use clap::Args;
use xstore::{Effects, Subset};

use crate::args::Backends;

/// `xgene check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Shares are read one by one and never combined: no plaintext is formed, and no consent is needed.
Exit codes: 0 whole, 3 degraded, 9 unreadable; of several files the worst.

Examples:
  xgene check cohort.vcf.gz.xgm
  xgene check *.xgm --sites sites.toml --read-data-subset 1/30")]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) files: SharedFiles,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// `xgene repair`.
#[derive(Debug, Args)]
#[command(after_help = "\
Repair combines shares, as a read does, so the consent in the manifest must hold now.
Exit codes: 0 nothing remains, 3 something is out of reach; else that of the error.

Examples:
  xgene repair cohort.vcf.gz.xgm
  xgene repair *.xgm --sites sites.toml --dry-run")]
pub(crate) struct Repair {
    #[command(flatten)]
    pub(crate) files: SharedFiles,
    #[command(flatten)]
    pub(crate) repairing: Repairing,
}

/// `xgene store check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Shares are read one by one and never combined: no plaintext is formed.
Exit codes: 0 whole, 3 degraded, 9 unreadable; of several objects the worst.")]
pub(crate) struct StoreCheck {
    #[command(flatten)]
    pub(crate) objects: Objects,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// `xgene store repair`.
#[derive(Debug, Args)]
#[command(after_help = "\
An object that carries a consent is repaired only while this consent holds.
Exit codes: 0 nothing remains, 3 something is out of reach; else that of the error.")]
pub(crate) struct StoreRepair {
    #[command(flatten)]
    pub(crate) objects: Objects,
    #[command(flatten)]
    pub(crate) repairing: Repairing,
}

/// Shared files, by their manifests.
#[derive(Debug, Args)]
pub(crate) struct SharedFiles {
    /// Manifests of the files
    #[arg(required = true, value_name = "FILE.xgm")]
    pub(crate) manifests: Vec<PathBuf>,
    /// Endpoints; default: sites.toml beside each manifest
    #[arg(long, env = "XGENE_SITES", hide_env_values = true, value_name = "FILE")]
    pub(crate) sites: Option<PathBuf>,
}

/// Objects of a store, by name.
#[derive(Debug, Args)]
pub(crate) struct Objects {
    /// Names of objects; default: all of the store
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) backends: Backends,
}

/// What is read beside lengths and footers.
#[derive(Debug, Default, Args)]
pub(crate) struct Reading {
    /// Read and verify every byte, not only lengths and footers
    #[arg(long, conflicts_with = "read_data_subset")]
    read_data: bool,
    /// Read and verify a part: 5% or 2G at random, 1/30 as the first of thirty parts
    #[arg(long, value_name = "SUBSET", value_parser = Subset::parse)]
    read_data_subset: Option<Subset>,
}

impl Reading {
    /// The records that are read.
    pub(crate) fn data(&self) -> Option<Subset> {
        let all = self.read_data.then_some(Subset::All);
        all.or(self.read_data_subset)
    }
}

/// What a repair looks at, and whether it acts.
#[derive(Debug, Default, Args)]
pub(crate) struct Repairing {
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Show what would be written again
    #[arg(long)]
    dry_run: bool,
}

impl Repairing {
    /// Whether anything is changed.
    pub(crate) fn effects(&self) -> Effects {
        if self.dry_run {
            Effects::Preview
        } else {
            Effects::Apply
        }
    }
}
