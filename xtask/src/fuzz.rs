//! `cargo xtask fuzz`: every target for a short while, from its seeds, on the plain stable compiler.
//!
//! No sanitizer is asked for: our code is safe Rust, debug assertions and overflow checks are on, and
//! without one a target runs many times faster and needs no nightly compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::process;
use crate::tools::CARGO_FUZZ;
use crate::workspace::Workspace;

/// Seconds per target where nothing else is asked for, in CI too.
pub(crate) const DEFAULT_SECONDS: u64 = 20;

/// The targets of `fuzz/` and the tool that runs them.
#[derive(Debug)]
pub(crate) struct Fuzzer {
    tool: PathBuf,
    root: PathBuf,
}

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let seconds = args.value("--seconds")?.unwrap_or(DEFAULT_SECONDS);
    let chosen = args.positional();
    args.finish()?;
    let fuzzer = Fuzzer::open(workspace)?;
    let mut targets = fuzzer.targets()?;
    if let Some(chosen) = chosen {
        targets.retain(|target| *target == chosen);
        if targets.is_empty() {
            bail!("no fuzz target {chosen:?}");
        }
    }
    fuzz_each(&fuzzer, &targets, seconds)
}

/// Fuzzes all targets; the first input that breaks one ends it.
pub(crate) fn run_all(workspace: &Workspace, seconds: u64) -> Result<()> {
    let fuzzer = Fuzzer::open(workspace)?;
    fuzz_each(&fuzzer, &fuzzer.targets()?, seconds)
}

fn fuzz_each(fuzzer: &Fuzzer, targets: &[String], seconds: u64) -> Result<()> {
    for target in targets {
        println!("-- {target}, {seconds} s");
        let corpus = fuzzer.root.join("fuzz/corpus").join(target);
        fuzzer.sow(target, &corpus)?;
        process::run(&mut fuzzer.fuzz(target, &[], &corpus, seconds))?;
    }
    println!("{} targets, no crash", targets.len());
    Ok(())
}

impl Fuzzer {
    pub(crate) fn open(workspace: &Workspace) -> Result<Self> {
        let root = workspace.root().to_owned();
        let manifest = root.join("fuzz/Cargo.toml");
        if !manifest.is_file() {
            bail!("{} is missing", manifest.display());
        }
        let tool = CARGO_FUZZ.ensure(workspace)?;
        Ok(Self { tool, root })
    }

    /// Names of all targets; none at all is an error, not a success.
    pub(crate) fn targets(&self) -> Result<Vec<String>> {
        let listed = process::stdout(&mut self.tool(["list"]))?;
        let targets: Vec<String> = listed.lines().map(|line| line.trim().to_owned()).collect();
        if targets.is_empty() {
            bail!("fuzz/ has no targets");
        }
        Ok(targets)
    }

    /// Copies the seeds of `target` into `corpus`, which is made if need be.
    pub(crate) fn sow(&self, target: &str, corpus: &Path) -> Result<()> {
        fs::create_dir_all(corpus).with_context(|| format!("{}", corpus.display()))?;
        let seeds = self.root.join("fuzz/seeds").join(target);
        let entries = fs::read_dir(&seeds).with_context(|| format!("{}", seeds.display()))?;
        for entry in entries {
            let seed = entry?;
            fs::copy(seed.path(), corpus.join(seed.file_name()))
                .with_context(|| format!("{}", seed.path().display()))?;
        }
        Ok(())
    }

    /// The command that fuzzes `target`; `options` are cargo-fuzz's own.
    pub(crate) fn fuzz(
        &self,
        target: &str,
        options: &[&str],
        corpus: &Path,
        seconds: u64,
    ) -> Command {
        let mut command = self.tool(["run", "--sanitizer=none"]);
        command
            .args(options)
            .arg(target)
            .arg(corpus)
            .arg("--")
            .args([
                format!("-max_total_time={seconds}").as_str(),
                "-rss_limit_mb=2048",
                "-timeout=10",
                "-verbosity=0",
                "-print_final_stats=1",
            ]);
        command
    }

    /// A command of cargo-fuzz in the workspace root.
    pub(crate) fn tool<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = Command::new(&self.tool);
        command
            .args(args)
            .current_dir(&self.root)
            .stdin(Stdio::null());
        command
    }
}
