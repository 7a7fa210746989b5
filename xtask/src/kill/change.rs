//! Kills of the operations that change a store: put, delete, repair, gc and migrate.
//!
//! Every round begins with a new store, one object and what the operation needs. After the kill come
//! recovery (any later command does it), a read, the same operation undisturbed, two collections a day
//! apart, and a comparison of what is stored with what one object needs. A put that can go on does so,
//! or begins anew.

use std::fs;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};

use crate::pattern::Verdict;
use crate::process;
use crate::random::Random;

use super::journal::Journal;
use super::report::{Damage, Report};
use super::schedule::Schedule;
use super::store::{OBJECT, Store};
use super::watch::{kill, timed};
use super::{Payload, Setup};

/// Exit code of a read of what is not there.
const NOT_FOUND: i32 = 4;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// A put of another payload under the name of the object.
    Put,
    Delete,
    /// Of a share that is lost, or of one that is bad.
    Repair,
    /// Of dealings that no manifest names: the run that marks them, or the one that removes them.
    Gc,
    Migrate,
}

impl Change {
    pub(super) const ALL: [Self; 5] = [
        Self::Put,
        Self::Delete,
        Self::Repair,
        Self::Gc,
        Self::Migrate,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Repair => "repair",
            Self::Gc => "gc",
            Self::Migrate => "migrate",
        }
    }

    /// What a read may find after a kill.
    fn allows(self, found: Content, acknowledged: bool) -> bool {
        found == self.result() || (found == Content::First && !acknowledged)
    }

    /// What a read finds once the operation is done.
    const fn result(self) -> Content {
        match self {
            Self::Put => Content::Second,
            Self::Delete => Content::Absent,
            Self::Repair | Self::Gc | Self::Migrate => Content::First,
        }
    }
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Absent,
    First,
    Second,
}

/// One operation, killed again and again.
#[derive(Debug)]
pub(super) struct Changes {
    change: Change,
    schedule: Schedule,
}

/// One store, and what is done to it in this round.
struct Round<'a> {
    change: Change,
    setup: &'a Setup,
    store: Store,
    /// Label of the backend that a share moves from, and of the one that it moves to.
    migration: (String, String),
    /// Files of shares that one object has.
    shares: usize,
    report: &'a mut Report,
}

impl Changes {
    /// Does the work once without a kill.
    pub(super) fn calibrate(change: Change, setup: &Setup) -> Result<Self> {
        let (mut random, mut report) = (Random::new(0), Report::default());
        let round = Round::prepare(change, setup, &mut random, &mut report)?;
        let undisturbed = timed(round.command())?;
        Ok(Self {
            change,
            schedule: Schedule::new(undisturbed),
        })
    }

    pub(super) fn kill_one(
        &mut self,
        setup: &Setup,
        random: &mut Random,
        report: &mut Report,
    ) -> Result<()> {
        let round = Round::prepare(self.change, setup, random, report)?;
        let mut progress = kill(round.command(), &self.schedule.draw(random))?;
        self.schedule.observe(progress.acknowledged);
        if progress.stage.is_none() {
            progress.stage = round.visible_stage()?;
        }
        round.report.killed(self.change.name(), &progress);
        round.judge(progress.acknowledged, random.below(2) == 0)
    }
}

impl<'a> Round<'a> {
    fn prepare(
        change: Change,
        setup: &'a Setup,
        random: &mut Random,
        report: &'a mut Report,
    ) -> Result<Self> {
        let folder = setup.folder.join(change.name());
        let store = Store::create(&setup.binary, &folder)?;
        process::run_quietly(&mut put(&store, &setup.payload))?;
        let (with, without) = store.holders()?;
        let from = with
            .get(random.below(with.len()))
            .context("no share is stored")?;
        let to = without.first().context("no backend is free")?;
        let round = Self {
            change,
            setup,
            shares: store.shares()?.len(),
            migration: (from.clone(), to.clone()),
            store,
            report,
        };
        round.prepare_change(random)?;
        Ok(round)
    }

    fn prepare_change(&self, random: &mut Random) -> Result<()> {
        match self.change {
            Change::Repair => {
                let shares = self.store.shares()?;
                let share = &shares[random.below(shares.len())];
                if random.below(2) == 0 {
                    fs::remove_file(share)?;
                } else {
                    let mut bytes = fs::read(share)?;
                    let at = random.below(bytes.len());
                    bytes[at] ^= 1;
                    fs::write(share, bytes)?;
                }
            }
            Change::Gc => {
                self.store.add_orphans()?;
                self.store.age()?;
                if random.below(2) == 0 {
                    process::run_quietly(&mut self.collection())?;
                    self.store.age()?;
                }
            }
            Change::Put | Change::Delete | Change::Migrate => {}
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let (from, to) = &self.migration;
        match self.change {
            Change::Put => put(&self.store, &self.setup.other),
            Change::Delete => self.store.command(["rm", OBJECT]),
            Change::Repair => self.store.command(["repair", OBJECT, "--read-data"]),
            Change::Gc => self.collection(),
            Change::Migrate => self
                .store
                .command(["migrate", OBJECT, "--from", from, "--to", to]),
        }
    }

    fn collection(&self) -> Command {
        self.store.command(["gc", "--no-brake"])
    }

    /// How far an operation that tells no stages had come, by what it left.
    fn visible_stage(&self) -> Result<Option<String>> {
        if self.change == Change::Gc {
            let tombs = self.store.tombs()?;
            return Ok(Some(format!("{tombs} tombs")));
        }
        Ok(self.store.journal()?.phase().map(str::to_owned))
    }

    fn judge(mut self, acknowledged: bool, goes_on: bool) -> Result<()> {
        // Any command recovers.
        if !self.succeeds(self.store.command(["ls"]))? {
            return Ok(());
        }
        let journal = self.store.journal()?;
        let kept = journal.is_kept();
        if !kept {
            self.expect_ended(&journal);
        }
        let Some(found) = self.read()? else {
            return Ok(());
        };
        if !self.change.allows(found, acknowledged) {
            self.report.damaged(Damage::Lost, 1);
        }
        if self.has_to_run_again(found)? {
            let mut again = self.command();
            if kept && goes_on {
                again.arg("--resume");
                self.report.went_on();
            }
            if !self.succeeds(again)? {
                return Ok(());
            }
            let journal = self.store.journal()?;
            self.expect_ended(&journal);
        }
        if self.change != Change::Gc {
            let strays = self.store.strays(self.shares_now())?;
            self.report.damaged(Damage::Orphan, strays);
        }
        self.judge_end()
    }

    fn expect_ended(&mut self, journal: &Journal) {
        let is_stuck = journal.phase().is_some();
        self.report.damaged(Damage::Stuck, is_stuck.into());
        self.report.damaged(Damage::Orphan, journal.len());
    }

    /// After two collections nothing is there but what the object needs, and all of that is.
    fn judge_end(mut self) -> Result<()> {
        for _ in 0..2 {
            self.store.age()?;
            if !self.succeeds(self.collection())? {
                return Ok(());
            }
        }
        let found = self.read()?;
        if found.is_some_and(|found| found != self.change.result()) {
            self.report.damaged(Damage::Lost, 1);
        }
        let mut check = self.store.command(["check", OBJECT, "--read-data"]);
        if self.change.result() != Content::Absent && !status(&mut check)?.success() {
            self.report.damaged(Damage::Half, 1);
        }
        let strays = self.store.strays(self.shares_now())? + self.store.old_manifests()?;
        self.report.damaged(Damage::Orphan, strays);
        Ok(())
    }

    /// Files of shares once the operation is done.
    fn shares_now(&self) -> usize {
        match self.change.result() {
            Content::Absent => 0,
            Content::First | Content::Second => self.shares,
        }
    }

    /// What is done already is refused a second time.
    fn has_to_run_again(&self, found: Content) -> Result<bool> {
        Ok(match self.change {
            Change::Put | Change::Repair | Change::Gc => true,
            Change::Delete => found != Content::Absent,
            Change::Migrate => !self.store.holders()?.0.contains(&self.migration.1),
        })
    }

    /// Reads the object; a read that fails for any other reason than that it is gone is a loss.
    fn read(&mut self) -> Result<Option<Content>> {
        let output = self.store.path("restored");
        let mut command = self.store.command(["get", OBJECT, "--force"]);
        command.arg("--output").arg(&output);
        let status = status(&mut command)?;
        if status.code() == Some(NOT_FOUND) {
            return Ok(Some(Content::Absent));
        }
        if !status.success() {
            println!("{status}: {}", process::line(&command));
            self.report.damaged(Damage::Lost, 1);
            return Ok(None);
        }
        for (payload, content) in [
            (&self.setup.payload, Content::First),
            (&self.setup.other, Content::Second),
        ] {
            if payload.compare(&output)? == Verdict::Equal {
                return Ok(Some(content));
            }
        }
        self.report.damaged(Damage::WrongBytes, 1);
        Ok(None)
    }

    fn succeeds(&mut self, mut command: Command) -> Result<bool> {
        let Err(error) = process::run_quietly(&mut command) else {
            return Ok(true);
        };
        println!("{error:#}");
        self.report.damaged(Damage::Stuck, 1);
        Ok(false)
    }
}

fn put(store: &Store, payload: &Payload) -> Command {
    let mut command = store.command(["put", OBJECT]);
    command.arg(&payload.file);
    command
}

fn status(command: &mut Command) -> Result<ExitStatus> {
    let output = command.output();
    let output = output.with_context(|| format!("cannot start: {}", process::line(command)))?;
    Ok(output.status)
}
