//! moto's emulator of S3 and IAM: a user with the policy of a deployment, which it enforces.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

use super::access::{Access, BUCKET, PREFIX};
use super::install::{self, Packaged};
use super::probe;
use super::site::Site;

const VERSION: &str = "5.2.5";

/// Debian's Python comes without its module `venv`.
const PACKAGES: [Packaged; 1] = [Packaged {
    file: "python3",
    package: "python3-venv",
}];

/// The rights of a deployment, with placeholders for its bucket and prefix.
const POLICY: &str = "deploy/aws/policy.json";

/// A bucket that keeps every version of an object.
const VERSIONED: &str = "versioned";

/// Makes user, policies, key and buckets; then it is refused itself.
const SET_UP: &str = include_str!("moto.py");

/// Requests of [`SET_UP`]: the server asks for no valid key before it has had as many.
const FREE_REQUESTS: &str = "7";

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    folder(workspace).map(drop)
}

fn folder(workspace: &Workspace) -> Result<PathBuf> {
    install::once(workspace, &format!("moto-{VERSION}"), |folder| {
        install::packages(&PACKAGES)?;
        process::run_quietly(&mut python(Path::new("python3"), &["-m", "venv"], folder))?;
        let pip = ["-m", "pip", "install", "--quiet"];
        let package = format!("moto[server]=={VERSION}");
        process::run_quietly(&mut python(&folder.join("bin/python"), &pip, package))
    })
}

fn python(program: &Path, args: &[&str], last: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.args(args).arg(last).stdin(Stdio::null());
    command
}

pub(super) fn start(site: &mut Site<'_>) -> Result<Access> {
    let port = probe::free_port()?;
    let bin = folder(site.workspace)?.join("bin");
    let mut command = Command::new(bin.join("moto_server"));
    command
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .env("INITIAL_NO_AUTH_ACTION_COUNT", FREE_REQUESTS);
    site.spawn("moto", &mut command)?;
    // Its own interface is not counted.
    site.wait_for(port, &probe::http_get("/moto-api/data.json"), " 200 ")?;
    let mut set_up = Command::new(bin.join("python"));
    set_up
        .args(["-c", SET_UP, &format!("http://127.0.0.1:{port}")])
        .arg(site.workspace.root().join(POLICY))
        .args([PREFIX, BUCKET, VERSIONED]);
    let key = site.stdout(&mut set_up)?;
    let (key_id, secret) = key.trim_end().split_once(' ').context("no key")?;
    Ok(Access::s3(port, key_id, secret))
}
