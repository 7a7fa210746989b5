//! One run of `xgene`: its lines are read while it runs, and it is killed at its moment.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;

use super::progress::{Progress, STARTED};
use super::schedule::{Moment, Timeline};

/// Runs `command` undisturbed and tells when it told what.
pub(super) fn timed(command: Command) -> Result<Timeline> {
    let mut run = Run::start(command)?;
    let mut stages: Vec<(String, Duration)> = Vec::new();
    while let Ok(line) = run.lines.recv() {
        run.progress.take(&line);
        let label = run.progress.label();
        let is_stage = label != STARTED && !run.progress.acknowledged;
        if is_stage && stages.iter().all(|(name, _)| name != label) {
            stages.push((label.to_owned(), run.elapsed()));
        }
    }
    let duration = run.elapsed();
    process::require_success(&run.command, run.child.wait()?)?;
    if !run.progress.acknowledged {
        bail!("no summary line: {}", process::line(&run.command));
    }
    Ok(Timeline { duration, stages })
}

/// Starts `command`, kills it at `moment`, and returns how far it said it had come.
///
/// A run that ends before its moment was not killed; it has to have ended well.
pub(super) fn kill(command: Command, moment: &Moment) -> Result<Progress> {
    let mut run = Run::start(command)?;
    run.wait_for(moment);
    if let Some(status) = run.child.try_wait()? {
        process::require_success(&run.command, status)?;
    } else {
        run.child.kill()?;
        run.child.wait()?;
    }
    while let Ok(line) = run.lines.recv() {
        run.progress.take(&line);
    }
    Ok(run.progress)
}

struct Run {
    command: Command,
    child: Child,
    /// Of its standard output; ends with it.
    lines: Receiver<String>,
    progress: Progress,
    start: Instant,
}

impl Run {
    fn start(mut command: Command) -> Result<Self> {
        command
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start: {}", process::line(&command)))?;
        let output = child.stdout.take().context("no standard output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                // Nobody listens any more when the round has failed.
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
                line.clear();
            }
        });
        Ok(Self {
            command,
            child,
            lines,
            progress: Progress::default(),
            start,
        })
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns at `moment`, or when the run has ended before.
    fn wait_for(&mut self, moment: &Moment) {
        let mut deadline = match moment {
            Moment::AfterStart(delay) => Some(self.start + *delay),
            Moment::AfterStage(..) => None,
        };
        loop {
            let line = match deadline {
                None => self.lines.recv().map_err(RecvTimeoutError::from),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.lines.recv_timeout(left)
                }
            };
            let Ok(line) = line else { return };
            self.progress.take(&line);
            if let Moment::AfterStage(stage, delay) = moment
                && self.progress.label() == stage
            {
                deadline = deadline.or_else(|| Some(Instant::now() + *delay));
            }
        }
    }
}
