//! `cargo xtask kill`: stops `xgene` with SIGKILL at random moments and looks at what is left.
//!
//! Splits and reads are killed in turn. After each kill the same work is done again, undisturbed, and
//! four things must hold: no byte is wrong, no object or file is there by half, nothing acknowledged
//! is lost, and nothing is left behind. The schedule repeats from its seed, up to the timing of the
//! machine.

mod get;
mod progress;
mod report;
mod schedule;
mod split;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::pattern::{Pattern, Verdict};
use crate::process;
use crate::random::Random;
use crate::size::Size;
use crate::workspace::Workspace;

use self::progress::Progress;
use self::report::Report;

const DEFAULT_COUNT: u32 = 200;
const DEFAULT_SIZE: Size = Size(8 << 20);
const DEFAULT_SEED: u64 = 1;

/// What all rounds of one run have in common.
#[derive(Debug)]
struct Setup {
    binary: PathBuf,
    folder: PathBuf,
    payload: Payload,
}

/// The file that is split, which can be made again from its seed.
#[derive(Debug)]
struct Payload {
    file: PathBuf,
    seed: u64,
    size: Size,
}

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let count = args.value("--count")?.unwrap_or(DEFAULT_COUNT);
    let size = args.value("--size")?.unwrap_or(DEFAULT_SIZE);
    let seed = args.value("--seed")?.unwrap_or(DEFAULT_SEED);
    args.finish()?;
    println!("{count} kills of a payload of {size}, seed {seed}");
    let folder = workspace.scratch("trial/kill");
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let setup = Setup {
        binary: workspace.release_binary()?,
        payload: Payload::create(folder.join("payload"), seed, size)?,
        folder,
    };
    let report = kill_in_turn(&setup, count, seed)?;
    print!("{report}");
    report.verdict()
}

fn kill_in_turn(setup: &Setup, count: u32, seed: u64) -> Result<Report> {
    let mut random = Random::new(seed);
    let mut report = Report::default();
    let mut splits = split::Splits::calibrate(setup)?;
    let mut gets = get::Gets::calibrate(setup)?;
    for number in 0..count {
        if number % 2 == 0 {
            splits.kill_one(setup, &mut random, &mut report)
        } else {
            gets.kill_one(setup, &mut random, &mut report)
        }
        .with_context(|| format!("kill {number}, trial kept in {}", setup.folder.display()))?;
    }
    Ok(report)
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

/// Runs `command` undisturbed and tells how long it took.
fn timed(mut command: Command, log: &Path) -> Result<Duration> {
    let start = Instant::now();
    process::run(command.arg("--json").stdout(File::create(log)?))?;
    let duration = start.elapsed();
    if !Progress::read(log)?.acknowledged {
        bail!("no summary line: {}", process::line(&command));
    }
    Ok(duration)
}

/// Starts `command`, kills it after a delay, and returns how far it said it had come.
///
/// A run that ends before its delay was not killed; it has to have ended well.
fn kill(mut command: Command, log: &Path, delay: Duration) -> Result<Progress> {
    command.arg("--json").stdout(File::create(log)?);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start: {}", process::line(&command)))?;
    thread::sleep(delay);
    if let Some(status) = child.try_wait()? {
        process::require_success(&command, status)?;
    } else {
        child.kill()?;
        child.wait()?;
    }
    Progress::read(log)
}
