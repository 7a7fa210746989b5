//! s3s-fs: S3 on a folder. It starts in milliseconds and checks signatures well, but lets more than
//! one of many racing creators win.

use std::process::Command;

use anyhow::Result;

use crate::tools::S3S_FS;
use crate::workspace::Workspace;

use super::access::{Access, BUCKET};
use super::site::Site;
use super::{probe, secret};

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    S3S_FS.ensure(workspace).map(drop)
}

pub(super) fn start(site: &mut Site<'_>) -> Result<Access> {
    let port = probe::free_port()?;
    let (key_id, secret) = (secret::password()?, secret::password()?);
    site.make_folder(&format!("data/{BUCKET}"))?;
    let mut command = Command::new(S3S_FS.ensure(site.workspace)?);
    command
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        // It takes them from nowhere else; they open nothing but this folder.
        .args(["--access-key", &key_id, "--secret-key", &secret])
        .arg(site.path("data"));
    site.spawn("s3s-fs", &mut command)?;
    site.wait_for(port, &probe::http_get(&format!("/{BUCKET}")), " 403 ")?;
    Ok(Access::s3(port, &key_id, &secret))
}
