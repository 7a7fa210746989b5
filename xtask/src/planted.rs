//! `cargo xtask planted`: a search that finds nothing proves something only if it can find.
//!
//! The simulation must find each deliberate bug of the store, which [`simulate`] sees to, or a test must
//! fail with it that passes without.
//! Each parser holds one deliberate defect behind the feature `planted`, and each target must find the
//! defect of its parser from the seeds alone. As a control the same target without the feature must
//! not crash.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::fuzz::{DEFAULT_SECONDS as CONTROL_SECONDS, Fuzzer};
use crate::process;
use crate::simulate;
use crate::workspace::Workspace;

/// The longest search per target; every planted defect is meant to be found well within it.
const DEFAULT_SECONDS: u64 = 120;

/// What a target did with one build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Quiet,
    Panicked,
}

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let seconds = args.value("--seconds")?.unwrap_or(DEFAULT_SECONDS);
    args.finish()?;
    run_all(workspace, seconds)
}

/// As in the full CI run.
pub(crate) fn run_in_ci(workspace: &Workspace) -> Result<()> {
    run_all(workspace, DEFAULT_SECONDS)
}

/// Bugs of the store and the test that must notice each.
const TESTED: [(&str, &str); 3] = [
    (
        "TrustFooter",
        "hostile::a_backend_that_vouches_for_its_own_bytes_is_not_believed",
    ),
    (
        "CollectAtFirstLook",
        "gc::what_a_deletion_left_goes_and_tombs_of_what_lives_go",
    ),
    (
        "ReplayOnResume",
        "resume::two_attempts_of_one_segment_share_no_randomness",
    ),
];

/// Each of these tests passes, and fails once its bug is switched on.
fn tests_notice(workspace: &Workspace) -> Result<()> {
    let mut missed = Vec::new();
    for (bug, test) in TESTED {
        for planted in [None, Some(bug)] {
            let mut command = process::cargo(workspace, TEST);
            command.args(["--", "--exact", test]);
            command.envs(planted.map(|bug| ("XGENE_PLANTED", bug)));
            let mut verdict = String::new();
            process::lines(command, |line| {
                if line.starts_with("test result: ") {
                    line.clone_into(&mut verdict);
                }
            })?;
            // Counted, because a test that was renamed neither passes nor fails.
            let expected = match planted {
                None => "test result: ok. 1 passed; 0 failed;",
                Some(_) => "test result: FAILED. 0 passed; 1 failed;",
            };
            if !verdict.starts_with(expected) {
                missed.push(format!("{test} with {planted:?}: {verdict}"));
            }
        }
    }
    if !missed.is_empty() {
        bail!("planted: {}", missed.join("; "));
    }
    for (bug, test) in TESTED {
        println!("{bug:<28} FOUND by {test}");
    }
    Ok(())
}

const TEST: [&str; 7] = [
    "test",
    "--package",
    "xstore",
    "--features",
    "planted",
    "--test",
    "store",
];

fn run_all(workspace: &Workspace, seconds: u64) -> Result<()> {
    simulate::find_planted(workspace)?;
    tests_notice(workspace)?;
    let search = Search::open(workspace)?;
    let mut table = format!("{:<28} {:<8} control\n", "target", "planted");
    let mut failed = Vec::new();
    for target in search.fuzzer.targets()? {
        let planted = search.fuzz(&target, true, seconds)?;
        let control = search.fuzz(&target, false, CONTROL_SECONDS)?;
        let (found, quiet) = verdict(planted, control);
        table += &format!("{target:<28} {found:<8} {quiet}\n");
        if (planted, control) != (Outcome::Panicked, Outcome::Quiet) {
            failed.push(target);
        }
    }
    print!("{table}");
    if !failed.is_empty() {
        bail!("planted: {}", failed.join(", "));
    }
    Ok(())
}

fn verdict(planted: Outcome, control: Outcome) -> (&'static str, &'static str) {
    let found = match planted {
        Outcome::Panicked => "FOUND",
        Outcome::Quiet => "MISSED",
    };
    let quiet = match control {
        Outcome::Panicked => "CRASHED",
        Outcome::Quiet => "quiet",
    };
    (found, quiet)
}

/// Build, corpora and findings of this command, apart from those of everyday fuzzing.
#[derive(Debug)]
struct Search {
    fuzzer: Fuzzer,
    folder: PathBuf,
}

impl Search {
    fn open(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            fuzzer: Fuzzer::open(workspace)?,
            folder: workspace.scratch("planted"),
        })
    }

    /// Fuzzes `target` from its seeds, with the planted defects compiled in or not.
    fn fuzz(&self, target: &str, planted: bool, seconds: u64) -> Result<Outcome> {
        // The build without defects is that of everyday fuzzing.
        let target_dir = format!("--target-dir={}", self.folder.join("target").display());
        let options: &[&str] = if planted {
            &["--features=planted", &target_dir]
        } else {
            &[]
        };
        let mut compile = self.fuzzer.tool(["build", "--sanitizer=none"]);
        process::run(compile.args(options).arg(target))?;

        let corpus = self.folder.join("corpus").join(target);
        if corpus.exists() {
            fs::remove_dir_all(&corpus).with_context(|| format!("{}", corpus.display()))?;
        }
        self.fuzzer.sow(target, &corpus)?;
        let mut command = self.fuzzer.fuzz(target, options, &corpus, seconds);
        command.arg(self.artifacts(target)?);
        let name = process::line(&command);
        let mut log = String::new();
        let status = process::lines(command, |line| {
            log.push_str(line);
            log.push('\n');
        })?;
        outcome(status.success(), &log).with_context(|| format!("{name}\n{log}"))
    }

    /// Where the fuzzer leaves the input that broke a target: not among the real findings.
    fn artifacts(&self, target: &str) -> Result<String> {
        let folder = self.folder.join("artifacts").join(target);
        fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
        Ok(format!("-artifact_prefix={}/", folder.display()))
    }
}

/// A failure without a panic (a time limit, a missing folder) is neither found nor missed.
fn outcome(success: bool, log: &str) -> Result<Outcome> {
    match (success, log.contains(" panicked at ")) {
        (true, _) => Ok(Outcome::Quiet),
        (false, true) => Ok(Outcome::Panicked),
        (false, false) => bail!("the fuzzer failed without a panic"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANIC: &str = "thread '<unnamed>' (31) panicked at src/wire.rs:3:9:\nboom\n";

    #[test]
    fn only_a_panic_counts_as_found() {
        assert_eq!(outcome(false, PANIC).unwrap(), Outcome::Panicked);
        assert_eq!(outcome(true, "Done 100 runs").unwrap(), Outcome::Quiet);
        assert!(outcome(false, "ERROR: libFuzzer: timeout").is_err());
    }
}
