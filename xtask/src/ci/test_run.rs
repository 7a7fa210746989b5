//! Runs the tests and counts what passed and what was skipped.
//!
//! A test that lacks what it needs prints `SKIP name: what` and returns, which libtest counts as
//! passed; here such tests are counted as what they are.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Tests of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// As libtest counts them: skipped ones are among them.
    reported_ok: usize,
    ignored: usize,
    /// Name and reason of each test that skipped itself.
    skipped: BTreeMap<String, String>,
}

pub(super) fn run(workspace: &Workspace) -> Result<Counts> {
    // The output of passed tests is wanted for its SKIP lines. Colour would hide the results.
    let args = ["test", "--workspace", "--", "--show-output"];
    let mut command = process::cargo(workspace, args);
    command.env("CARGO_TERM_COLOR", "never");
    let name = process::line(&command);
    let mut counts = Counts::default();
    let status = process::lines(command, |line| {
        println!("{line}");
        counts.read(line);
    })?;
    if !status.success() {
        bail!("{status}: {name}");
    }
    counts.require_no_skip(workspace.shared().is_dir())?;
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
            self.skipped.insert(name.to_owned(), reason.to_owned());
        }
    }

    /// Where the test data is present, nothing has a reason to skip.
    fn require_no_skip(&self, data_present: bool) -> Result<()> {
        if data_present && !self.skipped.is_empty() {
            let each = self.skipped.iter();
            let list: Vec<String> = each.map(|(name, why)| format!("{name}: {why}")).collect();
            bail!(
                "skipped although the test data is present:\n  {}",
                list.join("\n  ")
            );
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
        assert!(counts(LOG).require_no_skip(false).is_ok());
        let error = counts(LOG).require_no_skip(true).unwrap_err();
        assert!(error.to_string().contains("real: no folder"), "{error}");
        assert!(counts("").require_no_skip(true).is_ok());
    }

    #[test]
    fn a_test_that_skips_twice_is_one_test() {
        let twice = format!("SKIP real: again\n{LOG}");
        assert_eq!(counts(&twice).to_string(), "4 passed, 2 skipped");
    }
}
