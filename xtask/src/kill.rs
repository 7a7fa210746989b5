//! `cargo xtask kill`: stops `xgene` with SIGKILL at random moments and looks at what is left.
//!
//! Its operations are killed in turn. After each kill the same work is done again, undisturbed, and
//! five things must hold: no byte is wrong, no object or file is there by half, nothing acknowledged
//! is lost, nothing is stuck, and nothing is left behind. The schedule repeats from its seed, up to
//! the timing of the machine.
//!
//! The binary is that of a debug build, because its overflow checks and assertions are on.

mod change;
mod get;
mod journal;
mod progress;
mod report;
mod schedule;
mod split;
mod store;
mod watch;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

use crate::args::Args;
use crate::pattern::{Pattern, Verdict};
use crate::random::Random;
use crate::size::Size;
use crate::workspace::Workspace;

use self::change::{Change, Changes};
use self::get::Gets;
use self::report::Report;
use self::split::Splits;

/// Kills of a full run.
pub(crate) const FULL_COUNT: u32 = 200;

/// Kills of a CI run.
pub(crate) const CI_COUNT: u32 = 60;

const DEFAULT_SIZE: Size = Size(8 << 20);
const DEFAULT_SEED: u64 = 1;

/// One operation of `xgene`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// The first one of a new home, so that keys are made under fire too.
    Split,
    Get,
    Change(Change),
}

/// An operation, and when to kill it.
enum Rounds {
    Split(Splits),
    Get(Gets),
    Change(Changes),
}

/// What all rounds of one run have in common.
#[derive(Debug)]
struct Setup {
    binary: PathBuf,
    folder: PathBuf,
    payload: Payload,
    /// Another one of the same length.
    other: Payload,
}

/// A file that is stored, which can be made again from its seed.
#[derive(Debug)]
struct Payload {
    file: PathBuf,
    seed: u64,
    size: Size,
}

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let count = args.value("--count")?.unwrap_or(FULL_COUNT);
    let size = args.value("--size")?.unwrap_or(DEFAULT_SIZE);
    let seed = args.value("--seed")?.unwrap_or(DEFAULT_SEED);
    let only = args.value("--operation")?;
    args.finish()?;
    let operations = only.map_or_else(|| Operation::all().collect(), |only| vec![only]);
    kill_all(workspace, &operations, (count, size, seed))
}

/// So many kills of all operations.
pub(crate) fn run_in_ci(workspace: &Workspace, count: u32) -> Result<()> {
    let operations: Vec<_> = Operation::all().collect();
    kill_all(workspace, &operations, (count, DEFAULT_SIZE, DEFAULT_SEED))
}

fn kill_all(
    workspace: &Workspace,
    operations: &[Operation],
    (count, size, seed): (u32, Size, u64),
) -> Result<()> {
    println!("{count} kills with a payload of {size}, seed {seed}");
    let folder = workspace.scratch("trial/kill");
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let setup = Setup {
        binary: workspace.debug_binary()?,
        payload: Payload::create(folder.join("payload"), seed, size)?,
        other: Payload::create(folder.join("other"), seed.wrapping_add(1), size)?,
        folder,
    };
    let report = kill_in_turn(&setup, operations, (count, seed))?;
    print!("{report}");
    report.verdict()
}

fn kill_in_turn(
    setup: &Setup,
    operations: &[Operation],
    (count, seed): (u32, u64),
) -> Result<Report> {
    let mut random = Random::new(seed);
    let mut report = Report::default();
    let calibrated = operations
        .iter()
        .map(|operation| operation.calibrate(setup));
    let mut rounds = calibrated.collect::<Result<Vec<_>>>()?;
    let turns = (0..rounds.len()).cycle();
    for (number, turn) in (0..count).zip(turns) {
        let killed = match &mut rounds[turn] {
            Rounds::Split(splits) => splits.kill_one(setup, &mut random, &mut report),
            Rounds::Get(gets) => gets.kill_one(setup, &mut random, &mut report),
            Rounds::Change(changes) => changes.kill_one(setup, &mut random, &mut report),
        };
        // The trial of a kill that did damage is not made anew by the next.
        if killed.is_err() || report.has_damage() {
            println!("kill {number}, trial kept in {}", setup.folder.display());
            killed?;
            break;
        }
    }
    Ok(report)
}

impl Operation {
    fn all() -> impl Iterator<Item = Self> {
        let changes = Change::ALL.into_iter().map(Self::Change);
        [Self::Split, Self::Get].into_iter().chain(changes)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Get => "get",
            Self::Change(change) => change.name(),
        }
    }

    fn calibrate(self, setup: &Setup) -> Result<Rounds> {
        Ok(match self {
            Self::Split => Rounds::Split(Splits::calibrate(setup)?),
            Self::Get => Rounds::Get(Gets::calibrate(setup)?),
            Self::Change(change) => Rounds::Change(Changes::calibrate(change, setup)?),
        })
    }
}

impl FromStr for Operation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some(operation) = Self::all().find(|operation| operation.name() == text) else {
            let names: Vec<_> = Self::all().map(Self::name).collect();
            bail!("operations are {}", names.join(", "));
        };
        Ok(operation)
    }
}

impl Payload {
    fn create(file: PathBuf, seed: u64, size: Size) -> Result<Self> {
        let mut out = File::create(&file).with_context(|| format!("{}", file.display()))?;
        Pattern::new(seed, size.0).write_to(&mut out)?;
        out.flush()?;
        Ok(Self { file, seed, size })
    }

    fn compare(&self, file: &Path) -> Result<Verdict> {
        let mut input = File::open(file).with_context(|| format!("{}", file.display()))?;
        Ok(Pattern::new(self.seed, self.size.0).compare(&mut input)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_by_their_names() {
        for operation in Operation::all() {
            assert_eq!(operation.name().parse::<Operation>().unwrap(), operation);
        }
        let error = "put ".parse::<Operation>().unwrap_err().to_string();
        assert!(
            error.contains("split, get, put, delete, repair, gc, migrate"),
            "{error}"
        );
    }
}
