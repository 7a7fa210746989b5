//! WebDAV, of lighttpd: with a password, and without the TLS that a deployment puts in front.

use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;

use super::access::{Access, PREFIX};
use super::install::{self, Packaged};
use super::site::Site;
use super::{probe, secret};

const PACKAGES: [Packaged; 2] = [
    Packaged {
        file: "lighttpd",
        package: "lighttpd",
    },
    Packaged {
        file: "mod_webdav.so",
        package: "lighttpd-mod-webdav",
    },
];

const USER: &str = "xgene";

pub(super) fn install(_: &Workspace) -> Result<()> {
    install::packages(&PACKAGES)
}

pub(super) fn start(site: &mut Site<'_>) -> Result<Access> {
    let port = probe::free_port()?;
    let password = secret::password()?;
    let users = site.write("users", &format!("{USER}:{password}\n"))?;
    site.make_folder(&format!("data/{PREFIX}"))?;
    let configuration = format!(
        r#"server.modules = ("mod_auth", "mod_authn_file", "mod_webdav")
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{data}"
server.upload-dirs = ("{uploads}")
auth.backend = "plain"
auth.backend.plain.userfile = "{users}"
auth.require = ("/" => ("method" => "basic", "realm" => "xgene", "require" => "valid-user"))
webdav.activate = "enable"
webdav.is-readonly = "disable"
"#,
        data = site.path("data").display(),
        uploads = site.make_folder("uploads")?.display(),
        users = users.display(),
    );
    let configuration = site.write("lighttpd.conf", &configuration)?;
    let mut command = Command::new(install::find("lighttpd")?);
    site.spawn("lighttpd", command.arg("-D").arg("-f").arg(configuration))?;
    let shares = format!("/{PREFIX}");
    site.wait_for(port, &probe::http_get(&shares), " 401 ")?;
    let env = [
        ("WEBDAV_USERNAME", USER.to_owned()),
        ("WEBDAV_PASSWORD", password),
    ];
    let url = format!("webdav+http://127.0.0.1:{port}{shares}");
    Ok(Access::new(url, env))
}
