//! Gets the programs of servers: from the distribution, or at a fixed version into the target folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// A file of a package of Debian.
#[derive(Debug)]
pub(super) struct Packaged {
    pub(super) file: &'static str,
    pub(super) package: &'static str,
}

/// Where Debian puts what is not in the `PATH` of a user.
const FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/lib/lighttpd"];

/// Installs the packages of those files that are nowhere.
///
/// A package may bring a service. It is neither needed nor relied on, and refused where a
/// `policy-rc.d` says so.
pub(super) fn packages(needed: &[Packaged]) -> Result<()> {
    let missing = needed.iter().filter(|it| find(it.file).is_err());
    let missing: Vec<&str> = missing.map(|it| it.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!("only root may install packages; run: apt-get install {names}");
    }
    println!("installing {names}");
    apt_get(&["update"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install[..], &missing[..]].concat())
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    process::run_quietly(&mut command)
}

/// The path of a program or file of a package.
pub(super) fn find(file: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(file))
        .find(|path| path.is_file())
        .with_context(|| format!("no {file} in PATH"))
}

/// Fills the folder of the tool `name` with `fill` unless that was done before; returns the folder.
///
/// `name` has the version in it. The mark is made last, so that half an installation is none.
pub(super) fn once(
    workspace: &Workspace,
    name: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let folder = workspace.scratch("tools").join(name);
    let mark = folder.join("complete");
    if !mark.is_file() {
        println!("installing {name}");
        super::remove_folder(&folder)?;
        fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
        fill(&folder)?;
        fs::write(&mark, "").with_context(|| format!("{}", mark.display()))?;
    }
    Ok(folder)
}
