//! `cargo xtask servers`: real servers for the tests of backends, each on a free port of loopback.
//!
//! A backend is only as good as what it was tried against, so these are programs of others, as they
//! are installed, with authentication on. They start when asked and stop by their process id; data
//! and logs lie in the target folder. A state file says where each listens, and with which credentials.

mod access;
mod azurite;
mod daemon;
mod install;
mod moto;
mod probe;
mod radosgw;
mod redis;
mod s3s_fs;
mod secret;
mod sftp;
mod site;
mod state;
mod webdav;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::workspace::Workspace;

use access::Access;
use site::Site;
use state::State;

/// The environment variable that names the state file to a test.
pub(crate) const VARIABLE: &str = "XGENE_SERVERS";

/// One kind of server.
#[derive(Debug)]
struct Server {
    name: &'static str,
    /// Gets what is missing; quick when nothing is.
    install: fn(&Workspace) -> Result<()>,
    /// Returns when the server answers and refuses strangers.
    start: fn(&mut Site<'_>) -> Result<Access>,
}

const SERVERS: [Server; 7] = [
    Server {
        name: "redis",
        install: redis::install,
        start: redis::start,
    },
    Server {
        name: "moto",
        install: moto::install,
        start: moto::start,
    },
    Server {
        name: "azurite",
        install: azurite::install,
        start: azurite::start,
    },
    Server {
        name: "radosgw",
        install: radosgw::install,
        start: radosgw::start,
    },
    Server {
        name: "webdav",
        install: webdav::install,
        start: webdav::start,
    },
    Server {
        name: "sftp",
        install: sftp::install,
        start: sftp::start,
    },
    Server {
        name: "s3s-fs",
        install: s3s_fs::install,
        start: s3s_fs::start,
    },
];

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let action = args.positional();
    let mut named = Vec::new();
    while let Some(name) = args.positional() {
        named.push(name);
    }
    args.finish()?;
    if named.is_empty() {
        named.extend(names().map(str::to_owned));
    }
    match action.as_deref() {
        Some("install") => install_all(workspace, &chosen(&named)?),
        Some("up") => {
            let file = Servers::up(workspace, &named)?.leave_running();
            println!("export {VARIABLE}='{}'", file.display());
            Ok(())
        }
        Some("down") => down(workspace, &chosen(&named)?),
        Some("status") => status(workspace, &chosen(&named)?),
        _ => bail!("servers up, down, status or install"),
    }
}

/// The names of all servers.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SERVERS.iter().map(|server| server.name)
}

/// The servers called `names`, in the order of the table.
fn chosen(names: &[String]) -> Result<Vec<&'static Server>> {
    for name in names {
        require_known(name)?;
    }
    let wanted = |server: &&Server| names.iter().any(|name| name == server.name);
    Ok(SERVERS.iter().filter(wanted).collect())
}

fn all() -> Vec<&'static Server> {
    SERVERS.iter().collect()
}

/// Refuses a name that no server has.
pub(crate) fn require_known(name: &str) -> Result<()> {
    if !names().any(|known| known == name) {
        let known: Vec<&str> = names().collect();
        bail!("no server {name:?}; there are {}", known.join(", "));
    }
    Ok(())
}

/// Servers that run as long as this value lives.
#[derive(Debug)]
pub(crate) struct Servers<'a> {
    workspace: &'a Workspace,
    names: Vec<&'static str>,
    stopped_on_drop: bool,
}

impl<'a> Servers<'a> {
    /// Starts the servers called `names`. What an older state file names is taken down first: the
    /// run that started it may have been killed.
    pub(crate) fn up(workspace: &'a Workspace, names: &[String]) -> Result<Self> {
        let servers = chosen(names)?;
        install_all(workspace, &servers)?;
        down(workspace, &all())?;
        State::default().write(&state_file(workspace))?;
        let running = Self {
            workspace,
            names: servers.iter().map(|server| server.name).collect(),
            stopped_on_drop: true,
        };
        for server in &servers {
            start(workspace, server).with_context(|| format!("server {}", server.name))?;
        }
        Ok(running)
    }

    /// The state file, for [`VARIABLE`].
    pub(crate) fn state_file(&self) -> PathBuf {
        state_file(self.workspace)
    }

    /// The servers that are not among these.
    pub(crate) fn absent(&self) -> impl Iterator<Item = &'static str> {
        names().filter(|name| !self.names.contains(name))
    }

    fn leave_running(mut self) -> PathBuf {
        self.stopped_on_drop = false;
        self.state_file()
    }
}

impl Drop for Servers<'_> {
    fn drop(&mut self) {
        if self.stopped_on_drop
            && let Err(error) = down(self.workspace, &all())
        {
            eprintln!("error: servers: {error:#}");
        }
    }
}

fn install_all(workspace: &Workspace, servers: &[&Server]) -> Result<()> {
    for server in servers {
        (server.install)(workspace).with_context(|| format!("install {}", server.name))?;
    }
    Ok(())
}

fn start(workspace: &Workspace, server: &Server) -> Result<()> {
    let mut site = Site::create(workspace, server.name, &state_file(workspace))?;
    let access = match (server.start)(&mut site) {
        Ok(access) => access,
        Err(error) => bail!("{error:#}\n{}", site.ends_of_logs()),
    };
    println!("{}: {}", server.name, access.url);
    site.announce(access)
}

/// Stops what the state file knows of `servers`, and removes their data.
fn down(workspace: &Workspace, servers: &[&Server]) -> Result<()> {
    let file = state_file(workspace);
    let mut state = State::read(&file)?;
    for server in servers {
        let Some(running) = state.servers.get(server.name) else {
            continue;
        };
        for process in running.processes().iter().rev() {
            process.stop()?;
        }
        remove_folder(&folder(workspace, server.name))?;
        state.servers.remove(server.name);
        state.write(&file)?;
    }
    Ok(())
}

fn status(workspace: &Workspace, servers: &[&Server]) -> Result<()> {
    let state = State::read(&state_file(workspace))?;
    for server in servers {
        let Some(running) = state.servers.get(server.name) else {
            println!("{}: down", server.name);
            continue;
        };
        let alive = running.processes().iter().all(daemon::Process::is_running);
        let word = if alive { "up" } else { "died" };
        println!(
            "{}: {word}, pids {:?}, {}",
            server.name, running.pids, running.url
        );
    }
    Ok(())
}

/// Data, configuration and logs of one server.
fn folder(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.scratch("servers").join(name)
}

fn state_file(workspace: &Workspace) -> PathBuf {
    workspace.scratch("servers").join("state.json")
}

fn remove_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_chosen_by_name_in_the_order_of_the_table() {
        let names_of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            chosen(&names).map(|servers| servers.iter().map(|it| it.name).collect::<Vec<_>>())
        };
        assert_eq!(names_of(&["moto", "redis"]).unwrap(), ["redis", "moto"]);
        assert!(names_of(&[]).unwrap().is_empty());
        let error = names_of(&["reddis"]).unwrap_err().to_string();
        assert!(
            error.contains("reddis") && error.contains("radosgw"),
            "{error}"
        );
    }
}
