//! `cargo xtask bench`: figures for the documents. Timing never fails anything; memory may.

mod memory;
mod small;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::process;
use crate::size::Size;
use crate::workspace::Workspace;

/// Parts of `benches/`, a workspace of its own so that its peers stay out of our builds.
const PARTS: [&str; 3] = ["floors", "ours", "peers"];

/// What runs without a name: all that needs no library of others.
const DEFAULT_PARTS: [&str; 2] = ["floors", "ours"];

/// About a tenth of a whole genome, and 40 times the memory allowed.
const MEMORY_SIZE: Size = Size(10_000_000_000);

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let size = args.value("--size")?;
    let count = args.value("--count")?;
    let which = args.positional();
    args.finish()?;
    let Some(which) = which else {
        return DEFAULT_PARTS
            .iter()
            .try_for_each(|part| run_part(workspace, part));
    };
    match (which.as_str(), size, count) {
        ("memory", size, None) => memory::run(workspace, size.unwrap_or(MEMORY_SIZE)),
        ("small", None, count) => small::run(workspace, count),
        (part, None, None) if PARTS.contains(&part) => run_part(workspace, part),
        (part, ..) if PARTS.contains(&part) || part == "memory" || part == "small" => {
            bail!("--size is for bench memory, and --count for bench small")
        }
        (other, ..) => bail!("no bench {other:?}: floors, ours, peers, memory or small"),
    }
}

/// All benches, one after the other.
pub(crate) fn run_all(workspace: &Workspace) -> Result<()> {
    for part in PARTS {
        run_part(workspace, part)?;
    }
    memory::run(workspace, MEMORY_SIZE)?;
    small::run(workspace, None)
}

fn run_part(workspace: &Workspace, part: &str) -> Result<()> {
    let mut args = vec!["run", "--release", "--manifest-path", "benches/Cargo.toml"];
    if part == "peers" {
        // Compiled only when they are asked for.
        args.extend(["--features", "peers"]);
    }
    args.extend(["--", part]);
    process::run(&mut process::cargo(workspace, args))
}
