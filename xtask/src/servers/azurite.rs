//! Azurite, Microsoft's emulator of Azure Blob Storage, with an account key of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

use super::access::{Access, BUCKET, PREFIX};
use super::install;
use super::site::Site;
use super::{probe, secret};

const VERSION: &str = "3.37.0";

const ACCOUNT: &str = "devstoreaccount1";

/// Azurite's own language makes its container: Node has HMAC and HTTP built in.
const CREATE_CONTAINER: &str = include_str!("azurite.mjs");

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    folder(workspace).map(drop)
}

fn folder(workspace: &Workspace) -> Result<std::path::PathBuf> {
    install::once(workspace, &format!("azurite-{VERSION}"), |folder| {
        install::find("node").context("Azurite needs Node.js")?;
        process::run_quietly(&mut npm_install(folder))
    })
}

/// Scripts of packages do not run: none is needed.
fn npm_install(folder: &Path) -> Command {
    let mut command = Command::new("npm");
    command
        .args(["install", "--no-save", "--no-audit", "--no-fund"])
        .args(["--ignore-scripts", "--omit=optional", "--prefix"])
        .arg(folder)
        .arg(format!("azurite@{VERSION}"))
        .stdin(Stdio::null());
    command
}

pub(super) fn start(site: &mut Site<'_>) -> Result<Access> {
    let port = probe::free_port()?;
    let key = secret::password()?;
    let program = folder(site.workspace)?.join("node_modules/.bin/azurite-blob");
    let mut command = Command::new(program);
    command
        .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
        .args(["--silent", "--skipApiVersionCheck", "--location"])
        .arg(site.make_folder("data")?)
        .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{key}"));
    site.spawn("azurite", &mut command)?;
    let container = format!("/{ACCOUNT}/{BUCKET}");
    let stranger = probe::http_get(&format!("{container}?restype=container&comp=list"));
    site.wait_for(port, &stranger, " 403 ")?;
    let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
    let mut create = Command::new(install::find("node")?);
    create
        .args(["--input-type=module", "--eval", CREATE_CONTAINER])
        .args([&endpoint, BUCKET])
        .env("AZURE_STORAGE_ACCOUNT_KEY", &key);
    site.run(&mut create)?;
    let url = format!("az://{ACCOUNT}/{BUCKET}/{PREFIX}?endpoint={endpoint}");
    Ok(Access::new(url, [("AZURE_STORAGE_ACCOUNT_KEY", key)]))
}
