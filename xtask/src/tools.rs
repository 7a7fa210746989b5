//! Programs of the registry that a check needs: built once into the target folder, at a fixed version.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// One tool of the registry.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    features: &'static str,
}

/// Licences, bans and sources of the dependencies. Its default features fetch advisories from the
/// network and are left out.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    features: "",
};

/// Drives libFuzzer; with `-s none` it needs no nightly compiler.
pub(crate) const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    features: "",
};

/// Plants one small defect at a time and runs the tests.
pub(crate) const CARGO_MUTANTS: Tool = Tool {
    name: "cargo-mutants",
    version: "27.1.0",
    features: "",
};

/// An S3 server on a folder. Later versions want a newer compiler.
pub(crate) const S3S_FS: Tool = Tool {
    name: "s3s-fs",
    version: "0.14.1",
    features: "binary",
};

impl Tool {
    /// Path of the tool, which is built first unless this version is there already.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = workspace.scratch("tools");
        let binary = folder
            .join("bin")
            .join(self.name)
            .with_extension(std::env::consts::EXE_EXTENSION);
        if !self.is_installed(&binary) {
            self.install(workspace)?;
        }
        Ok(binary)
    }

    /// What cargo passes first, and `cargo-mutants` insists on.
    pub(crate) fn subcommand(&self) -> &'static str {
        self.name.trim_start_matches("cargo-")
    }

    fn is_installed(&self, binary: &PathBuf) -> bool {
        let mut command = Command::new(binary);
        if self.name != self.subcommand() {
            command.arg(self.subcommand());
        }
        let output = command.arg("--version").stdin(Stdio::null()).output();
        let expected = format!("{} {}", self.name, self.version);
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == expected)
    }

    /// A debug build: it takes half as long as a release build and is fast enough for its job.
    fn install(&self, workspace: &Workspace) -> Result<()> {
        let folder = workspace.scratch("tools");
        let build = folder.join("build");
        println!("installing {} {}", self.name, self.version);
        let mut command = process::cargo(workspace, ["install", "--quiet", "--locked", "--debug"]);
        command
            .args([
                "--no-default-features",
                "--features",
                self.features,
                self.name,
                "--version",
                self.version,
            ])
            .arg("--root")
            .arg(&folder)
            .arg("--target-dir")
            .arg(&build);
        process::run(&mut command)?;
        std::fs::remove_dir_all(&build).with_context(|| format!("{}", build.display()))
    }
}
