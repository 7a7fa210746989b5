//! Ceph's object gateway in front of the smallest cluster: one monitor, and one store in memory.
//!
//! It is a real S3 server, and the strictest on signatures that there is to be had here.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace::Workspace;

use super::access::{Access, BUCKET};
use super::install::{self, Packaged};
use super::site::Site;
use super::{probe, secret};

const PACKAGES: [Packaged; 5] = [
    Packaged {
        file: "radosgw",
        package: "radosgw",
    },
    Packaged {
        file: "ceph-mon",
        package: "ceph-mon",
    },
    Packaged {
        file: "ceph-osd",
        package: "ceph-osd",
    },
    Packaged {
        file: "ceph-authtool",
        package: "ceph-common",
    },
    Packaged {
        file: "curl",
        package: "curl",
    },
];

const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The user of the cluster that every one of its parts but the store runs as.
const ADMINISTRATOR: &str = "client.admin";

pub(super) fn install(_: &Workspace) -> Result<()> {
    install::packages(&PACKAGES)
}

pub(super) fn start(site: &mut Site<'_>) -> Result<Access> {
    let port = probe::free_port()?;
    let cluster = secret::uuid()?;
    let monitor = format!("v2:127.0.0.1:{}", probe::free_port()?);
    let configuration = configuration(site, port, &cluster, &monitor)?;
    let ceph = Ceph {
        configuration: &configuration,
    };
    start_monitor(site, &ceph, &cluster, &monitor)?;
    start_store(site, &ceph)?;
    let mut gateway = ceph.command("radosgw");
    site.spawn("radosgw", gateway.args(["-n", ADMINISTRATOR, "-f"]))?;
    // It lists no buckets to a stranger, which needs no permission.
    site.wait_for(port, &probe::http_get("/"), " 200 ")?;
    let (key_id, secret) = create_user(site, &ceph)?;
    create_bucket(site, port, &key_id, &secret)?;
    site.wait_for(port, &probe::http_get(&format!("/{BUCKET}")), " 403 ")?;
    Ok(Access::s3(port, &key_id, &secret))
}

/// Programs of the cluster, which all read one configuration.
#[derive(Debug)]
struct Ceph<'a> {
    configuration: &'a Path,
}

impl Ceph<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.configuration);
        command
    }

    /// A question to the monitor, which may still be starting.
    fn ask(&self, words: &[&str]) -> Command {
        let mut command = self.command("ceph");
        command.args(["--connect-timeout", "60"]).args(words);
        command
    }
}

/// One copy of everything in few placement groups: less would not start, and more is of no use.
///
/// Without authentication inside the cluster the gateway never comes up, so it is left on.
fn configuration(
    site: &Site<'_>,
    port: u16,
    cluster: &str,
    monitor: &str,
) -> Result<std::path::PathBuf> {
    let text = format!(
        "[global]
fsid = {cluster}
mon host = [{monitor}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = {keyring}
run dir = {run}
admin socket =
log to file = false
log to stderr = true
mon cluster log to file = false
mon data = {mon}
osd data = {osd}
rgw data = {rgw}
ms bind msgr1 = false
mon data avail crit = 1
mon allow pool size one = true
mon max pg per osd = 1000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 4294967296
rgw frontends = beast endpoint=127.0.0.1:{port}
",
        keyring = site.path("keyring").display(),
        run = site.make_folder("run")?.display(),
        mon = site.make_folder("mon")?.display(),
        osd = site.make_folder("osd")?.display(),
        rgw = site.make_folder("rgw")?.display(),
    );
    site.write("ceph.conf", &text)
}

fn start_monitor(site: &mut Site<'_>, ceph: &Ceph<'_>, cluster: &str, address: &str) -> Result<()> {
    let keyring = site.path("keyring");
    let map = site.path("monmap");
    let new_key = |name: &str, rights: &[&str]| {
        let mut command = Command::new("ceph-authtool");
        command.arg(&keyring);
        if !keyring.exists() {
            command.arg("--create-keyring");
        }
        command.args(["--gen-key", "-n", name]);
        for right in rights {
            command.args(["--cap", right, "allow *"]);
        }
        site.run(&mut command)
    };
    new_key("mon.", &["mon"])?;
    new_key(ADMINISTRATOR, &["mon", "osd"])?;
    let mut make_map = Command::new("monmaptool");
    make_map
        .args(["--create", "--fsid", cluster])
        .args(["--addv", "a", &format!("[{address}]")]);
    site.run(make_map.arg(&map))?;
    let mut format = ceph.command("ceph-mon");
    format.args(["-i", "a", "--mkfs", "--monmap"]).arg(&map);
    site.run(format.arg("--keyring").arg(&keyring))?;
    let mut monitor = ceph.command("ceph-mon");
    site.spawn("ceph-mon", monitor.args(["-i", "a", "-f"]))
}

fn start_store(site: &mut Site<'_>, ceph: &Ceph<'_>) -> Result<()> {
    let id = secret::uuid()?;
    site.run(&mut ceph.ask(&["osd", "new", &id]))?;
    let host = ["root=default", "host=loopback"];
    site.run(ceph.ask(&["osd", "crush", "add", "osd.0", "1"]).args(host))?;
    let rights = ["mon", "allow profile osd", "osd", "allow *"];
    let key = site.stdout(ceph.ask(&["auth", "get-or-create", "osd.0"]).args(rights))?;
    let key = site.write("osd.keyring", &key)?;
    let mut import = Command::new("ceph-authtool");
    import.arg(site.path("keyring")).arg("--import-keyring");
    site.run(import.arg(key))?;
    let mut format = ceph.command("ceph-osd");
    site.run(format.args(["-i", "0", "--mkfs", "--osd-uuid", &id]))?;
    let mut store = ceph.command("ceph-osd");
    site.spawn("ceph-osd", store.args(["-i", "0", "-f"]))
}

/// Returns the key's name and secret, which the gateway draws.
fn create_user(site: &Site<'_>, ceph: &Ceph<'_>) -> Result<(String, String)> {
    let mut command = ceph.command("radosgw-admin");
    command.args(["user", "create", "--uid=xgene", "--display-name=xgene"]);
    let user: Value = serde_json::from_str(&site.stdout(&mut command)?)?;
    let word = |name: &str| user["keys"][0][name].as_str().map(str::to_owned);
    let key = word("access_key").zip(word("secret_key"));
    key.context("a user without a key")
}

fn create_bucket(site: &Site<'_>, port: u16, key_id: &str, secret: &str) -> Result<()> {
    // In a file, because arguments are everybody's to read.
    let user = site.write("curl.conf", &format!("user = \"{key_id}:{secret}\"\n"))?;
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--max-time",
            "20",
        ])
        .args(["--aws-sigv4", "aws:amz:us-east-1:s3", "--request", "PUT"])
        .arg(format!("http://127.0.0.1:{port}/{BUCKET}"))
        // The digest of nothing, which curl does not send by itself and the gateway asks for.
        .args([
            "--header",
            &format!("x-amz-content-sha256: {SHA256_OF_NOTHING}"),
        ])
        .arg("--config")
        .arg(user);
    site.run(&mut command)
}
