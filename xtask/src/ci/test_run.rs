//! Runs the tests and counts what passed and what was skipped.
//!
//! A test that lacks what it needs prints `SKIP name: what` and returns, which libtest counts as
//! passed; here such tests are counted as what they are. Only what is not there may be a reason: see
//! [`Absent`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Result, bail};

use crate::process;
use crate::servers::{self, Servers};
use crate::workspace::Workspace;

/// Tests of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// As libtest counts them: skipped ones are among them.
    reported_ok: usize,
    ignored: usize,
    /// Name and reasons of each test that skipped itself, or a part of itself.
    skipped: BTreeMap<String, BTreeSet<String>>,
}

/// What a run has to do without.
#[derive(Debug)]
struct Absent {
    /// The folder of test data: any test may skip itself, except for want of a server.
    data: bool,
    /// A test that needs one of these skips itself, and gives the reason `no server NAME; ...`.
    servers: Vec<&'static str>,
}

impl Absent {
    fn excuses(&self, reason: &str) -> bool {
        server_of(reason).map_or(self.data, |name| self.servers.contains(&name))
    }
}

/// The server for want of which a test skipped itself.
fn server_of(reason: &str) -> Option<&str> {
    reason.strip_prefix("no server ")?.split(';').next()
}

pub(super) fn run(workspace: &Workspace, servers: &Servers<'_>) -> Result<Counts> {
    // The output of passed tests is wanted for its SKIP lines. Colour would hide the results.
    let args = ["test", "--workspace", "--", "--show-output"];
    let mut command = process::cargo(workspace, args);
    command
        .env("CARGO_TERM_COLOR", "never")
        .env(servers::VARIABLE, servers.state_file());
    let name = process::line(&command);
    let mut counts = Counts::default();
    let status = process::lines(command, |line| {
        println!("{line}");
        counts.read(line);
    })?;
    if !status.success() {
        bail!("{status}: {name}");
    }
    counts.require_excused(&Absent {
        data: !workspace.shared().is_dir(),
        servers: servers.absent().collect(),
    })?;
    Ok(counts)
}

impl Counts {
    fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ok. ") {
            self.reported_ok += number_before(result, " passed");
            self.ignored += number_before(result, " ignored");
        } else if let Some((name, reason)) = line
            .strip_prefix("SKIP ")
            .and_then(|skip| skip.split_once(": "))
        {
            let reasons = self.skipped.entry(name.to_owned()).or_default();
            reasons.insert(reason.to_owned());
        }
    }

    /// Nothing is skipped for want of what is there.
    fn require_excused(&self, absent: &Absent) -> Result<()> {
        let mut list = Vec::new();
        for (name, reasons) in &self.skipped {
            let unexcused = reasons.iter().filter(|why| !absent.excuses(why));
            list.extend(unexcused.map(|why| format!("{name}: {why}")));
        }
        if !list.is_empty() {
            bail!("skipped without need:\n  {}", list.join("\n  "));
        }
        Ok(())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.skipped.len();
        let passed = self.reported_ok.saturating_sub(skipped);
        write!(f, "{passed} passed, {} skipped", skipped + self.ignored)
    }
}

/// The number in front of `word` in a line such as `3 passed; 0 failed; 1 ignored`; 0 without one.
fn number_before(text: &str, word: &str) -> usize {
    text.split(';')
        .find_map(|part| part.trim().strip_suffix(word))
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
running 3 tests
test real ... ok

successes:

---- real stdout ----
SKIP real: no folder of test data

test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
   Doc-tests x
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn counts(log: &str) -> Counts {
        let mut counts = Counts::default();
        log.lines().for_each(|line| counts.read(line));
        counts
    }

    #[test]
    fn skipped_tests_are_not_counted_as_passed() {
        assert_eq!(counts(LOG).to_string(), "4 passed, 2 skipped");
    }

    #[test]
    fn a_skip_is_an_error_only_where_the_data_is() {
        let absent = |data| Absent {
            data,
            servers: vec!["redis"],
        };
        assert!(counts(LOG).require_excused(&absent(true)).is_ok());
        let error = counts(LOG).require_excused(&absent(false)).unwrap_err();
        assert!(error.to_string().contains("real: no folder"), "{error}");
        assert!(counts("").require_excused(&absent(false)).is_ok());
    }

    #[test]
    fn a_server_excuses_the_tests_that_need_it_and_no_others() {
        let absent = Absent {
            data: true,
            servers: vec!["redis", "s3s-fs"],
        };
        assert!(absent.excuses("no server redis; cargo xtask servers up redis"));
        assert!(absent.excuses("no server s3s-fs; and more; of it"));
        // One that runs, one with a name cut short, two, and one without the rest of the form.
        assert!(!absent.excuses("no server moto; cargo xtask servers up moto"));
        assert!(!absent.excuses("no server s3; it"));
        assert!(!absent.excuses("no server moto"));
        assert!(!absent.excuses("no server redis and moto; them"));
    }

    #[test]
    fn one_excuse_of_a_test_does_not_cover_another() {
        let absent = Absent {
            data: false,
            servers: vec!["redis"],
        };
        let twice = counts("SKIP a: no server moto; x\nSKIP a: no server redis; x\n");
        let error = twice.require_excused(&absent).unwrap_err().to_string();
        assert!(
            error.contains("moto") && !error.contains("redis"),
            "{error}"
        );
    }

    #[test]
    fn a_test_that_skips_twice_is_one_test() {
        let twice = format!("SKIP real: again\n{LOG}");
        assert_eq!(counts(&twice).to_string(), "4 passed, 2 skipped");
    }
}
