//! Kills of `xgene get`: the output is there whole, or it is not there.

use std::fs;

use anyhow::Result;

use crate::pattern::Verdict;
use crate::process;
use crate::random::Random;
use crate::trial::{Trial, count_files};

use super::Setup;
use super::report::{Damage, Report};
use super::schedule::Schedule;
use super::watch::{kill, timed};

const MANIFEST: &str = "object.xgm";
const OUTPUT_FOLDER: &str = "out";
const OUTPUT: &str = "out/restored";

/// One stored object, read again and again.
#[derive(Debug)]
pub(super) struct Gets {
    trial: Trial,
    schedule: Schedule,
}

impl Gets {
    /// Stores the object and reads it once without a kill.
    pub(super) fn calibrate(setup: &Setup) -> Result<Self> {
        let trial = Trial::create(&setup.binary, &setup.folder.join("get"))?;
        timed(trial.split(&setup.payload.file, &trial.path(MANIFEST)))?;
        fs::create_dir(trial.path(OUTPUT_FOLDER))?;
        let undisturbed = timed(trial.get(&trial.path(MANIFEST), &trial.path(OUTPUT)))?;
        fs::remove_file(trial.path(OUTPUT))?;
        Ok(Self {
            trial,
            schedule: Schedule::new(undisturbed),
        })
    }

    /// Begins and ends with an empty output folder.
    pub(super) fn kill_one(
        &mut self,
        setup: &Setup,
        random: &mut Random,
        report: &mut Report,
    ) -> Result<()> {
        let output = self.trial.path(OUTPUT);
        let command = self.trial.get(&self.trial.path(MANIFEST), &output);
        let progress = kill(command, &self.schedule.draw(random))?;
        self.schedule.observe(progress.acknowledged);
        report.killed("get", &progress);

        if output.exists() {
            self.judge(setup, report)?;
            fs::remove_file(&output)?;
        } else if progress.acknowledged {
            report.damaged(Damage::Lost, 1);
        }
        self.get_again(setup, report)?;
        let folder = self.trial.path(OUTPUT_FOLDER);
        fs::remove_dir_all(&folder)?;
        fs::create_dir(&folder)?;
        Ok(())
    }

    /// The output of whichever run made it.
    fn judge(&self, setup: &Setup, report: &mut Report) -> Result<()> {
        match setup.payload.compare(&self.trial.path(OUTPUT))? {
            Verdict::Equal => {}
            Verdict::Short => report.damaged(Damage::Half, 1),
            Verdict::Long | Verdict::Different { .. } => report.damaged(Damage::WrongBytes, 1),
        }
        Ok(())
    }

    /// The run after the kill leaves its output and nothing beside it.
    fn get_again(&self, setup: &Setup, report: &mut Report) -> Result<()> {
        let output = self.trial.path(OUTPUT);
        let mut command = self.trial.get(&self.trial.path(MANIFEST), &output);
        if let Err(error) = process::run_quietly(&mut command) {
            println!("{error:#}");
            report.damaged(Damage::Stuck, 1);
            return Ok(());
        }
        self.judge(setup, report)?;
        let beside = count_files(&self.trial.path(OUTPUT_FOLDER))?.saturating_sub(1);
        report.damaged(Damage::Orphan, beside);
        Ok(())
    }
}
