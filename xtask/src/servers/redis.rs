//! Redis, which says when it is full rather than forget, and has every write on disk before it
//! answers.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

use super::access::Access;
use super::install::{self, Packaged};
use super::site::Site;
use super::{probe, secret};

const PACKAGES: [Packaged; 1] = [Packaged {
    file: "redis-server",
    package: "redis-server",
}];

/// The users of a deployment, with placeholders for their passwords.
const USERS: &str = "deploy/redis/users.acl";

/// The user of that file with the rights of a backend and no others.
const USER: &str = "xgene";

pub(super) fn install(_: &Workspace) -> Result<()> {
    install::packages(&PACKAGES)
}

pub(super) fn start(site: &mut Site<'_>) -> Result<Access> {
    let port = probe::free_port()?;
    let password = secret::password()?;
    let administrator = secret::password()?;
    let users = fs::read_to_string(site.workspace.root().join(USERS)).context(USERS)?;
    let users = users
        .replace("ADMIN_PASSWORD", &administrator)
        .replace("XGENE_PASSWORD", &password);
    let users = site.write("users.acl", &users)?;
    let configuration = format!(
        "bind 127.0.0.1
port {port}
aclfile \"{}\"
appendonly yes
appendfsync always
maxmemory-policy noeviction
",
        users.display()
    );
    let configuration = site.write("redis.conf", &configuration)?;
    let mut command = Command::new(install::find("redis-server")?);
    site.spawn("redis", command.arg(configuration))?;
    site.wait_for(port, "PING\r\n", "-NOAUTH")?;
    let env = [
        ("REDIS_USERNAME", USER.to_owned()),
        ("REDIS_PASSWORD", password),
        // A test of a full server needs somebody who may set `maxmemory`.
        ("REDIS_ADMIN_PASSWORD", administrator),
    ];
    Ok(Access::new(format!("redis://127.0.0.1:{port}/0"), env))
}
