//! What the kills left behind, counted.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail};

use super::progress::Progress;

/// Share of kills, in percent, that must come before the acknowledgement for the run to say anything.
const EARLY_PERCENT_MIN: u32 = 50;

/// The kinds of damage; all of them must stay at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Damage {
    /// A read succeeded with other bytes than were stored.
    WrongBytes,
    /// A manifest or an output file was there although its content was not.
    Half,
    /// An acknowledged object could not be read.
    Lost,
    /// The undisturbed run after the kill failed, or recovery did not end what it found.
    Stuck,
    /// Files that belong to no object or output, or are missing from one.
    Orphan,
}

/// Totals of one run.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Kills by verb and stage.
    kills: BTreeMap<(&'static str, String), u32>,
    early: u32,
    late: u32,
    /// Runs that went on where the one before was killed.
    went_on: u32,
    damage: BTreeMap<Damage, usize>,
}

impl Report {
    pub(super) fn killed(&mut self, verb: &'static str, progress: &Progress) {
        let key = (verb, progress.label().to_owned());
        *self.kills.entry(key).or_default() += 1;
        if progress.acknowledged {
            self.late += 1;
        } else {
            self.early += 1;
        }
    }

    pub(super) fn damaged(&mut self, damage: Damage, count: usize) {
        *self.damage.entry(damage).or_default() += count;
    }

    pub(super) fn went_on(&mut self) {
        self.went_on += 1;
    }

    pub(super) fn has_damage(&self) -> bool {
        self.damage.values().any(|count| *count > 0)
    }

    /// Refuses any damage, and a run whose kills came too late to say anything.
    pub(super) fn verdict(&self) -> Result<()> {
        if self.has_damage() {
            bail!("kills did damage");
        }
        if self.early * 100 < self.kill_count() * EARLY_PERCENT_MIN {
            bail!("fewer than {EARLY_PERCENT_MIN} % of the kills came before the acknowledgement");
        }
        Ok(())
    }

    fn kill_count(&self) -> u32 {
        self.early + self.late
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((verb, stage), count) in &self.kills {
            writeln!(f, "{verb:<8} {stage:<14} {count:>6}")?;
        }
        let percent = self.early * 100 / self.kill_count().max(1);
        writeln!(
            f,
            "{} kills, {percent} % before the acknowledgement; {} went on with --resume",
            self.kill_count(),
            self.went_on
        )?;
        let of = |damage| self.damage.get(&damage).copied().unwrap_or(0);
        writeln!(
            f,
            "{} wrong, {} half, {} lost, {} stuck, {} orphans",
            of(Damage::WrongBytes),
            of(Damage::Half),
            of(Damage::Lost),
            of(Damage::Stuck),
            of(Damage::Orphan),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(early: u32, late: u32) -> Report {
        let mut report = Report::default();
        for number in 0..early + late {
            let mut progress = Progress::default();
            progress.acknowledged = number >= early;
            report.killed("split", &progress);
        }
        report
    }

    #[test]
    fn enough_early_kills_without_damage_pass() {
        assert!(report(5, 5).verdict().is_ok());
        assert!(report(4, 6).verdict().is_err());
        let text = report(7, 3).to_string();
        assert!(text.contains("10 kills, 70 % before"), "{text}");
    }

    #[test]
    fn any_damage_fails() {
        for damage in [
            Damage::WrongBytes,
            Damage::Half,
            Damage::Lost,
            Damage::Stuck,
            Damage::Orphan,
        ] {
            let mut report = report(10, 0);
            report.damaged(damage, 0);
            assert!(report.verdict().is_ok());
            report.damaged(damage, 1);
            assert!(report.verdict().is_err(), "{damage:?}");
        }
    }
}
