//! Where things are, and what `cargo metadata` says of our crates.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::process;

/// The workspace that this program was built in.
#[derive(Debug)]
pub(crate) struct Workspace(Metadata);

impl Workspace {
    /// Asks cargo for our own packages; needs neither the network nor the registry.
    pub(crate) fn load() -> Result<Self> {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .no_deps()
            .exec()
            .context("cargo metadata")?;
        Ok(Self(metadata))
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.workspace_root.as_std_path()
    }

    /// A folder or file of this program below the target folder.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.0.target_directory.as_std_path().join(name)
    }

    /// Test data that is too large for the repository; it may be absent.
    pub(crate) fn shared(&self) -> PathBuf {
        std::env::var_os("XGENE_SHARED")
            .map_or_else(|| self.root().join("../shared"), PathBuf::from)
    }

    /// The crates of the workspace but this one.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &Package> {
        let ours = |package: &&Package| package.name.as_str() != env!("CARGO_PKG_NAME");
        self.0.packages.iter().filter(ours)
    }

    /// Builds `xgene` as it is released and returns its path.
    pub(crate) fn release_binary(&self) -> Result<PathBuf> {
        self.binary("release")
    }

    /// Builds `xgene` with all checks of a debug build and returns its path.
    pub(crate) fn debug_binary(&self) -> Result<PathBuf> {
        self.binary("dev")
    }

    fn binary(&self, profile: &str) -> Result<PathBuf> {
        let args = [
            "build",
            "--package",
            "xgene-cli",
            "--bin",
            "xgene",
            "--profile",
            profile,
        ];
        process::run(&mut process::cargo(self, args))?;
        let folder = if profile == "dev" { "debug" } else { profile };
        let name = format!("{folder}/xgene{}", std::env::consts::EXE_SUFFIX);
        Ok(self.scratch(&name))
    }
}
