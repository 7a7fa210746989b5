//! What one small object costs in a store of many, in memory and on a disk.
//!
//! In memory a sync costs nothing, so what grows with the number of objects shows there; on a disk
//! the syncs are most of it. What is measured is an example of `xstore-backends`, so that this program
//! stays small and quick to build.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// A file system in memory, where the machine has one.
const MEMORY: &str = "/dev/shm";

const COUNT_IN_MEMORY: usize = 100_000;
const COUNT_ON_DISK: usize = 10_000;

/// The first measure, which the others are compared with.
const FIRST: usize = 1_000;

pub(super) fn run(workspace: &Workspace, count: Option<usize>) -> Result<()> {
    let name = format!("xgene-small-{}", std::process::id());
    let memory = Path::new(MEMORY);
    if memory.is_dir() {
        println!("in memory");
        measure(
            workspace,
            memory.join(&name),
            count.unwrap_or(COUNT_IN_MEMORY),
        )?;
    }
    println!("on a disk");
    let disk = workspace.scratch("trial").join(&name);
    measure(workspace, disk, count.unwrap_or(COUNT_ON_DISK))
}

fn measure(workspace: &Workspace, folder: PathBuf, count: usize) -> Result<()> {
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let args = [
        "run",
        "--release",
        "--package",
        "xstore-backends",
        "--example",
        "small",
        "--",
    ];
    let mut command = process::cargo(workspace, args);
    command.arg(&folder);
    let measured = process::run(command.args(counts(count).map(|count| count.to_string())));
    fs::remove_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    measured
}

/// Powers of ten up to `count`.
fn counts(count: usize) -> impl Iterator<Item = usize> {
    let tens = std::iter::successors(Some(FIRST), |count| count.checked_mul(10));
    tens.take_while(move |ten| *ten < count).chain([count])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_end_with_the_one_wanted() {
        let of = |count| counts(count).collect::<Vec<_>>();
        assert_eq!(of(100_000), [1_000, 10_000, 100_000]);
        assert_eq!(of(2_500), [1_000, 2_500]);
        assert_eq!(of(10), [10]);
    }
}
