//! Kills of `xgene split`.
//!
//! Every round begins with empty shares and a new home, so that keys are made under fire too. All
//! objects are alike, so the number of files tells how many whole objects there are, and any
//! remainder belongs to none.

use std::fs;

use anyhow::{Result, bail};

use crate::pattern::Verdict;
use crate::process;
use crate::random::Random;
use crate::trial::Trial;

use super::Setup;
use super::journal::Journal;
use super::progress::Progress;
use super::report::{Damage, Report};
use super::schedule::Schedule;
use super::watch::{kill, timed};

const FIRST: &str = "first.xgm";
const AGAIN: &str = "again.xgm";

/// What an undisturbed run leaves, and when to kill the others.
#[derive(Debug)]
pub(super) struct Splits {
    schedule: Schedule,
    files: Files,
}

/// Files in the folders of the shares, all folders together.
#[derive(Debug, Clone, Copy)]
struct Files {
    /// Those that belong to the store and not to an object.
    of_store: usize,
    of_object: usize,
}

impl Splits {
    /// Splits twice without a kill: the second object shows what one object adds.
    pub(super) fn calibrate(setup: &Setup) -> Result<Self> {
        let trial = setup.split_trial()?;
        let undisturbed = timed(trial.split(&setup.payload.file, &trial.path(FIRST)))?;
        let one = trial.share_files()?;
        timed(trial.split(&setup.payload.file, &trial.path(AGAIN)))?;
        let two = trial.share_files()?;
        Ok(Self {
            schedule: Schedule::new(undisturbed),
            files: Files::from_counts(one, two)?,
        })
    }

    pub(super) fn kill_one(
        &mut self,
        setup: &Setup,
        random: &mut Random,
        report: &mut Report,
    ) -> Result<()> {
        let trial = setup.split_trial()?;
        let command = trial.split(&setup.payload.file, &trial.path(FIRST));
        let progress = kill(command, &self.schedule.draw(random))?;
        self.schedule.observe(progress.acknowledged);
        report.killed("split", &progress);

        judge_first(setup, &trial, &progress, report)?;
        if !split_again(setup, &trial, random.below(2) == 0, report)? {
            return Ok(());
        }
        let strays = self
            .files
            .strays(trial.share_files()?, progress.acknowledged);
        report.damaged(Damage::Orphan, strays);
        Ok(())
    }
}

/// The manifest of the killed run: absent unless acknowledged, or good for the whole payload.
fn judge_first(
    setup: &Setup,
    trial: &Trial,
    progress: &Progress,
    report: &mut Report,
) -> Result<()> {
    if trial.path(FIRST).exists() {
        let otherwise = if progress.acknowledged {
            Damage::Lost
        } else {
            Damage::Half
        };
        read_back(setup, trial, FIRST, otherwise, report)?;
    } else if progress.acknowledged {
        report.damaged(Damage::Lost, 1);
    }
    Ok(())
}

/// The run after the kill, which also clears up behind it; false when it failed. One that can go on
/// does so, or begins anew; any other is of another object.
fn split_again(setup: &Setup, trial: &Trial, goes_on: bool, report: &mut Report) -> Result<bool> {
    let kept = Journal::read(&trial.path("home"))?.is_kept();
    let manifest = if kept { FIRST } else { AGAIN };
    let mut command = trial.split(&setup.payload.file, &trial.path(manifest));
    if kept && goes_on {
        command.arg("--resume");
        report.went_on();
    }
    if let Err(error) = process::run_quietly(&mut command) {
        println!("{error:#}");
        report.damaged(Damage::Stuck, 1);
        return Ok(false);
    }
    report.damaged(Damage::Orphan, Journal::read(&trial.path("home"))?.len());
    read_back(setup, trial, manifest, Damage::Lost, report)?;
    Ok(true)
}

/// Reads an object; a failure to read it counts as `otherwise`.
fn read_back(
    setup: &Setup,
    trial: &Trial,
    manifest: &str,
    otherwise: Damage,
    report: &mut Report,
) -> Result<()> {
    let output = trial.path("restored");
    let mut command = trial.get(&trial.path(manifest), &output);
    if let Err(error) = process::run_quietly(&mut command) {
        println!("{error:#}");
        report.damaged(otherwise, 1);
        return Ok(());
    }
    if setup.payload.compare(&output)? != Verdict::Equal {
        report.damaged(Damage::WrongBytes, 1);
    }
    fs::remove_file(output)?;
    Ok(())
}

impl Setup {
    fn split_trial(&self) -> Result<Trial> {
        Trial::create(&self.binary, &self.folder.join("split"))
    }
}

impl Files {
    /// From the files there are with one object and with two.
    fn from_counts(one: usize, two: usize) -> Result<Self> {
        match two.checked_sub(one) {
            Some(of_object) if of_object > 0 && of_object <= one => Ok(Self {
                of_store: one - of_object,
                of_object,
            }),
            _ => bail!("{one} files with one object and {two} with two: nothing can be told apart"),
        }
    }

    /// Files too many or missing after a killed and an undisturbed run.
    ///
    /// An acknowledged object stands beside the second one. One that was not acknowledged is either
    /// wholly there or wholly gone.
    fn strays(self, files: usize, acknowledged: bool) -> usize {
        let with = |objects| files.abs_diff(self.of_store + objects * self.of_object);
        if acknowledged {
            with(2)
        } else {
            with(1).min(with(2))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_in_whole_objects() {
        let files = Files::from_counts(12, 21).unwrap();
        assert_eq!((files.of_store, files.of_object), (3, 9));
        assert_eq!(files.strays(12, false), 0);
        assert_eq!(files.strays(21, false), 0);
        assert_eq!(files.strays(21, true), 0);
    }

    #[test]
    fn remainders_and_losses_are_seen() {
        let files = Files::from_counts(12, 21).unwrap();
        assert_eq!(files.strays(13, false), 1);
        assert_eq!(files.strays(20, false), 1);
        assert_eq!(files.strays(12, true), 9);
        assert_eq!(files.strays(24, true), 3);
        assert_eq!(files.strays(11, false), 1);
    }

    #[test]
    fn counts_that_make_no_sense_are_refused() {
        assert!(Files::from_counts(9, 9).is_err());
        assert!(Files::from_counts(9, 8).is_err());
        assert!(Files::from_counts(3, 30).is_err());
    }
}
