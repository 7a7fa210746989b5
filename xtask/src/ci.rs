//! `cargo xtask ci`: every check, in the order in which failures are cheapest to find.
//!
//! The first failure stops the run and names its command line. The last line counts the tests.

mod features;
mod test_run;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::servers::{self, Servers};
use crate::tools::CARGO_DENY;
use crate::workspace::Workspace;
use crate::{bench, codes, fuzz, kill, layers, planted, process, simulate, weight};

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let full = args.switch("--full");
    let wanted = wanted_servers(full, &mut args)?;
    args.finish()?;
    let kills = if full {
        kill::FULL_COUNT
    } else {
        kill::CI_COUNT
    };
    step("format", || format(workspace))?;
    step("lints", || cargo(workspace, &CLIPPY))?;
    let counts = {
        let servers = step("servers", || start_servers(workspace, &wanted))?;
        step("tests", || test_run::run(workspace, &servers))?
    };
    step("documentation", || documentation(workspace))?;
    step("features", || features::run(workspace))?;
    step("layers", || layers::run(workspace, Args::new([])))?;
    step("error table", || codes::DOCUMENT.check(workspace))?;
    step("weight", || weight::DOCUMENT.check(workspace))?;
    step("dependencies", || dependencies(workspace))?;
    step("simulate", || simulate::run_in_ci(workspace))?;
    step("kill", || kill::run_in_ci(workspace, kills))?;
    step("fuzz", || fuzz::run_all(workspace, fuzz::DEFAULT_SECONDS))?;
    if full {
        step("planted", || planted::run_in_ci(workspace))?;
        step("bench", || bench::run_all(workspace))?;
    }
    println!("{counts}");
    Ok(())
}

const CLIPPY: [&str; 7] = [
    "clippy",
    "--workspace",
    "--all-targets",
    "--all-features",
    "--",
    "-D",
    "warnings",
];

/// Servers that start in seconds; the others wait for `--full`.
const QUICK_SERVERS: [&str; 3] = ["redis", "moto", "azurite"];

/// The servers of this run: the quick ones, or all, but those named by `--without`.
fn wanted_servers(full: bool, args: &mut Args) -> Result<Vec<String>> {
    let mut wanted: Vec<String> = servers::names()
        .filter(|name| full || QUICK_SERVERS.contains(name))
        .map(str::to_owned)
        .collect();
    while let Some(name) = args.value::<String>("--without")? {
        servers::require_known(&name)?;
        wanted.retain(|server| *server != name);
    }
    Ok(wanted)
}

fn start_servers<'a>(workspace: &'a Workspace, names: &[String]) -> Result<Servers<'a>> {
    Servers::up(workspace, names).context("`--without NAME` does without a server and its tests")
}

/// Runs one check between a header and its duration.
fn step<T>(name: &'static str, check: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("== {name}");
    let start = Instant::now();
    let result = check().context(name)?;
    println!("== {name}: ok, {:.1} s\n", start.elapsed().as_secs_f64());
    Ok(result)
}

fn cargo(workspace: &Workspace, args: &[&str]) -> Result<()> {
    process::run(&mut process::cargo(workspace, args))
}

/// The workspace, and the two that stand beside it.
fn format(workspace: &Workspace) -> Result<()> {
    cargo(workspace, &["fmt", "--all", "--check"])?;
    for beside in ["fuzz/Cargo.toml", "benches/Cargo.toml"] {
        cargo(workspace, &["fmt", "--manifest-path", beside, "--check"])?;
    }
    Ok(())
}

fn documentation(workspace: &Workspace) -> Result<()> {
    let mut command = process::cargo(workspace, ["doc", "--workspace", "--no-deps"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Licences, bans and sources of everything in the lock file; it wants all of it on disk.
fn dependencies(workspace: &Workspace) -> Result<()> {
    cargo(workspace, &["fetch", "--locked"])?;
    let tool = CARGO_DENY.ensure(workspace)?;
    let mut command = std::process::Command::new(tool);
    command
        .args(["--offline", "check", "bans", "licenses", "sources"])
        .current_dir(workspace.root())
        .stdin(std::process::Stdio::null());
    process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_the_quick_ones_or_all_but_those_refused() {
        let wanted = |full, line: &str| {
            let mut args = Args::new(line.split_whitespace().map(str::to_owned));
            let wanted = wanted_servers(full, &mut args);
            args.finish().map(|()| wanted)?
        };
        assert_eq!(wanted(false, "").unwrap(), QUICK_SERVERS);
        let twice = "--without moto --without redis";
        assert_eq!(wanted(false, twice).unwrap(), ["azurite"]);
        let all = wanted(true, "--without radosgw").unwrap();
        assert_eq!(all.len(), servers::names().count() - 1);
        assert!(wanted(false, "--without minio").is_err());
    }
}
