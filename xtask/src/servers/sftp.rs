//! SFTP, of OpenSSH: the user of this program, a key made for this server, and no shell.

use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;

use super::access::{Access, PREFIX};
use super::install::{self, Packaged};
use super::probe;
use super::site::Site;

const PACKAGES: [Packaged; 2] = [
    Packaged {
        file: "sshd",
        package: "openssh-server",
    },
    Packaged {
        file: "ssh-keygen",
        package: "openssh-client",
    },
];

pub(super) fn install(_: &Workspace) -> Result<()> {
    install::packages(&PACKAGES)
}

pub(super) fn start(site: &mut Site<'_>) -> Result<Access> {
    let port = probe::free_port()?;
    let shares = site.make_folder(PREFIX)?;
    let host_key = new_key(site, "host_key")?;
    let user_key = new_key(site, "user_key")?;
    let known_host = format!("[127.0.0.1]:{port} {host_key}");
    let known_hosts = site.write("known_hosts", &known_host)?;
    let keys = site.write("authorized_keys", &user_key)?;
    // StrictModes looks at all folders up to the root, which are not ours.
    let configuration = format!(
        "ListenAddress 127.0.0.1:{port}
HostKey \"{host_key}\"
AuthorizedKeysFile \"{keys}\"
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
ForceCommand internal-sftp
DisableForwarding yes
",
        host_key = site.path("host_key").display(),
        keys = keys.display(),
    );
    let configuration = site.write("sshd_config", &configuration)?;
    if rustix::process::geteuid().is_root() {
        // Root's sshd drops its rights in this folder, whose name is built in.
        site.run(Command::new("mkdir").args(["-p", "-m", "755", "/run/sshd"]))?;
    }
    let mut command = Command::new(install::find("sshd")?);
    site.spawn("sshd", command.args(["-D", "-e", "-f"]).arg(configuration))?;
    site.wait_for(port, "", "SSH-2.0-")?;
    let user = site.stdout(Command::new("id").arg("-un"))?;
    let url = format!(
        "sftp://{}@127.0.0.1:{port}{}",
        user.trim_end(),
        shares.display()
    );
    let env = [
        ("SFTP_KEY", site.path("user_key").display().to_string()),
        ("SFTP_KNOWN_HOSTS", known_hosts.display().to_string()),
    ];
    Ok(Access::new(url, env))
}

/// Makes the key pair `name` and returns its public half, one line.
fn new_key(site: &Site<'_>, name: &str) -> Result<String> {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(site.path(name));
    site.run(&mut command)?;
    let mut show = Command::new("ssh-keygen");
    site.stdout(show.arg("-y").arg("-f").arg(site.path(name)))
}
