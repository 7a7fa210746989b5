//! `cargo xtask simulate`: many seeds of the store's simulation, on all cores, as it is released.
//!
//! The simulation itself is in `xstore::testing`; what runs here is its example, so that this
//! program stays small and quick to build.

use std::process::Command;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::process;
use crate::workspace::Workspace;

/// Seeds of a run that is waited for.
const DEFAULT_SEEDS: u64 = 100_000;

/// Seeds of a CI run.
const CI_SEEDS: u64 = 2_000;

/// Within so many seeds every deliberate bug must be found.
const PLANTED_SEEDS: u64 = 10_000;

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let seeds = args.value("--seeds")?;
    let from = args.value("--from")?;
    let seed: Option<u64> = args.value("--seed")?;
    let trace = args.switch("--trace");
    args.finish()?;
    match (seed, seeds, from) {
        (Some(seed), None, None) if trace => {
            process::run(example(workspace, &[]).arg(seed.to_string()))
        }
        (Some(seed), None, None) => run_all(workspace, seed, 1),
        (None, seeds, from) if !trace => {
            run_all(workspace, from.unwrap_or(0), seeds.unwrap_or(DEFAULT_SEEDS))
        }
        _ => bail!("--trace is of one --seed, which --seeds and --from are not for"),
    }
}

pub(crate) fn run_in_ci(workspace: &Workspace) -> Result<()> {
    run_all(workspace, 0, CI_SEEDS)
}

/// Switches on each deliberate bug of the store in turn; the simulation must find all of them.
pub(crate) fn find_planted(workspace: &Workspace) -> Result<()> {
    let mut command = example(workspace, &["--features", "planted"]);
    process::run(command.args(["planted", &PLANTED_SEEDS.to_string()]))
}

fn run_all(workspace: &Workspace, from: u64, seeds: u64) -> Result<()> {
    process::run(example(workspace, &[]).args([from.to_string(), seeds.to_string()]))
}

/// The example with `options` of cargo; its own arguments are still to follow.
fn example(workspace: &Workspace, options: &[&str]) -> Command {
    let args = ["run", "--quiet", "--release", "--package", "xstore"];
    let mut command = process::cargo(workspace, args);
    command.args(options).args(["--example", "simulate", "--"]);
    command
}
