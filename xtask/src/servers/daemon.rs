//! A process that outlives this program, and that a later run of this program stops.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

/// Time for a killed process to end, which it does once the kernel lets go of it.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Time between two looks at a process.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// A process, by a number that is used again and a time that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// Clock ticks from the start of the machine to that of the process: field 22 of proc(5) stat.
    pub(super) start_ticks: u64,
}

impl Process {
    /// Starts `command` in a process group of its own, so that a Ctrl-C typed at this program does
    /// not reach it, and so that its children are stopped with it.
    pub(super) fn spawn(command: &mut Command) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let child = command.process_group(0).spawn()?;
        let pid = i32::try_from(child.id())?;
        // The child stays in the process table until it is waited for, which nobody does.
        let stat = Stat::read(pid).context("a child that is not in /proc")?;
        Ok(Self {
            pid,
            start_ticks: stat.start_ticks,
        })
    }

    /// True while it is this process that has the number, and it has not ended.
    pub(super) fn is_running(&self) -> bool {
        Stat::read(self.pid)
            .is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.has_ended())
    }

    /// Ends the process and its group, at once: nothing that it has is kept. One that has ended is
    /// left alone, because its number may be somebody else's.
    pub(super) fn stop(&self) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        let pid = Pid::from_raw(self.pid).context("process 0")?;
        match kill_process_group(pid, Signal::KILL) {
            // It ended by itself in between.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("stop process {}", self.pid)),
        }
        let deadline = Instant::now() + STOP_MAX;
        while self.is_running() {
            if Instant::now() > deadline {
                bail!("process {} does not end", self.pid);
            }
            thread::sleep(TICK);
        }
        Ok(())
    }
}

/// What is wanted of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The program's name stands in brackets and may itself hold brackets and spaces.
    fn parse(text: &str) -> Option<Self> {
        let (_, behind_name) = text.rsplit_once(')')?;
        let mut fields = behind_name.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let start_ticks = fields.nth(18)?.parse().ok()?;
        Some(Self { state, start_ticks })
    }

    /// Dead, or a zombie that nobody has waited for.
    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 2703360 1";
        let expected = Stat {
            state: 'S',
            start_ticks: 12345,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn a_process_is_stopped_with_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & sleep 600"]);
        let process = Process::spawn(&mut command).unwrap();
        assert!(process.is_running());
        process.stop().unwrap();
        assert!(!process.is_running());
        process.stop().unwrap();
    }

    #[test]
    fn another_process_with_the_same_number_is_let_live() {
        let mut command = Command::new("sleep");
        let process = Process::spawn(command.arg("600")).unwrap();
        let namesake = Process {
            start_ticks: process.start_ticks + 1,
            ..process
        };
        assert!(!namesake.is_running());
        namesake.stop().unwrap();
        assert!(process.is_running());
        process.stop().unwrap();
    }
}
