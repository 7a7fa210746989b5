//! The place of one server while it starts: its folder, its processes, and the wait until it answers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

use super::access::Access;
use super::daemon::{Process, TICK};
use super::probe;
use super::state::{self, Running, State};

/// Time for a server to answer.
const START_MAX: Duration = Duration::from_secs(60);

/// How much of each log is shown when it does not.
const LOG_LINES: usize = 40;

/// Where one server is being started.
#[derive(Debug)]
pub(super) struct Site<'a> {
    pub(super) workspace: &'a Workspace,
    name: &'static str,
    folder: PathBuf,
    state_file: PathBuf,
    started: Vec<(Process, PathBuf)>,
}

impl<'a> Site<'a> {
    /// Makes the folder afresh; what an earlier server left there is removed.
    pub(super) fn create(
        workspace: &'a Workspace,
        name: &'static str,
        state_file: &Path,
    ) -> Result<Self> {
        let folder = super::folder(workspace, name);
        super::remove_folder(&folder)?;
        state::make_private_folder(&folder)?;
        Ok(Self {
            workspace,
            name,
            folder,
            state_file: state_file.to_owned(),
            started: Vec::new(),
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the folder `name`, with those above it.
    pub(super) fn make_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path).with_context(|| format!("{}", path.display()))?;
        Ok(path)
    }

    /// Writes the private file `name`.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        state::write_private(&path, text.as_bytes())?;
        Ok(path)
    }

    /// Starts a server process, which writes what it says to `NAME.log`.
    ///
    /// It is in the state file before this returns, so that it is found when this program is killed.
    pub(super) fn spawn(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = self.path(&format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("{}", log.display()))?;
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let process = Process::spawn(command)
            .with_context(|| format!("cannot start: {}", command.get_program().display()))?;
        self.started.push((process, log));
        self.record(|running| running.add(process))
    }

    /// Runs a command that sets something up, and returns its standard output.
    pub(super) fn stdout(&self, command: &mut Command) -> Result<String> {
        process::stdout(command.current_dir(&self.folder).stdin(Stdio::null()))
    }

    /// Runs a command that sets something up and says nothing of interest.
    pub(super) fn run(&self, command: &mut Command) -> Result<()> {
        process::run_quietly(command.current_dir(&self.folder).stdin(Stdio::null()))
    }

    /// Waits until the first line of the answer to `request` has `expected` in it.
    pub(super) fn wait_for(&self, port: u16, request: &str, expected: &str) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            let answer = probe::first_line(port, request);
            if answer.as_ref().is_ok_and(|line| line.contains(expected)) {
                return Ok(());
            }
            let mut processes = self.started.iter().map(|(process, _)| process);
            if !processes.all(Process::is_running) {
                bail!("ended while it started");
            }
            if Instant::now() > deadline {
                bail!("wanted {expected:?}, got {answer:?}");
            }
            thread::sleep(TICK);
        }
    }

    /// What the processes said last.
    pub(super) fn ends_of_logs(&self) -> String {
        let ends: Vec<String> = self.started.iter().map(|(_, log)| end_of(log)).collect();
        ends.join("\n")
    }

    /// Tells readers of the state file where the server is.
    pub(super) fn announce(self, access: Access) -> Result<()> {
        self.record(|running| running.announce(access))
    }

    fn record(&self, change: impl FnOnce(&mut Running)) -> Result<()> {
        let mut state = State::read(&self.state_file)?;
        change(state.servers.entry(self.name.to_owned()).or_default());
        state.write(&self.state_file)
    }
}

/// The end of a log, under its name.
fn end_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    format!("-- {}\n{}", log.display(), lines[from..].join("\n"))
}
