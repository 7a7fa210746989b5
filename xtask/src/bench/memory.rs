//! Peak memory of `xgene split` and `xgene get` on a stream that is never stored whole.
//!
//! The payload is made and compared here; only its shares reach the disk, three times its size.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::pattern::{Pattern, Verdict};
use crate::process;
use crate::size::Size;
use crate::trial::Trial;
use crate::workspace::Workspace;

/// Most that either may take, whatever the length of the stream.
const LIMIT: Size = Size(256 << 20);

const SEED: u64 = 1;
const STREAM: &str = "-";

/// Between two looks at the peak. The kernel keeps the peak, so only what grows in the last
/// interval before the end can be missed.
const INTERVAL: Duration = Duration::from_millis(5);

/// What one run took.
#[derive(Debug)]
struct Usage {
    peak: Size,
    duration: Duration,
}

pub(super) fn run(workspace: &Workspace, size: Size) -> Result<()> {
    let binary = workspace.release_binary()?;
    let trial = Trial::create(&binary, &workspace.scratch("trial/memory"))?;
    let manifest = trial.path("stream.xgm");
    let split = split(trial.split(Path::new(STREAM), &manifest), size)?;
    report("split", size, &split);
    let get = get(trial.get(&manifest, Path::new(STREAM)), size)?;
    report("get", size, &get);
    trial.remove()?;
    if split.peak.max(get.peak) > LIMIT {
        bail!("more than {LIMIT} of memory");
    }
    Ok(())
}

fn report(verb: &str, size: Size, usage: &Usage) {
    let rate = size.0 as f64 / 1e6 / usage.duration.as_secs_f64();
    println!(
        "{verb:<6} {size}: peak {} of {LIMIT}, {rate:.0} MB/s",
        usage.peak
    );
}

fn split(mut command: Command, size: Size) -> Result<Usage> {
    let start = Instant::now();
    let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::null()))?;
    let mut input = child.stdin.take().context("no standard input")?;
    let writer = thread::spawn(move || Pattern::new(SEED, size.0).write_to(&mut input));
    let (peak, status) = watch(&mut child)?;
    // A child that failed has closed its input; its own status says more than our broken pipe.
    process::require_success(&command, status)?;
    joined(writer)?;
    let duration = start.elapsed();
    Ok(Usage { peak, duration })
}

fn get(mut command: Command, size: Size) -> Result<Usage> {
    let start = Instant::now();
    let mut child = spawn(command.stdout(Stdio::piped()))?;
    let mut output = child.stdout.take().context("no standard output")?;
    let reader = thread::spawn(move || Pattern::new(SEED, size.0).compare(&mut output));
    let (peak, status) = watch(&mut child)?;
    let verdict = joined(reader)?;
    process::require_success(&command, status)?;
    let duration = start.elapsed();
    if verdict != Verdict::Equal {
        bail!("{}: {verdict:?}", process::line(&command));
    }
    Ok(Usage { peak, duration })
}

fn spawn(command: &mut Command) -> Result<Child> {
    command
        .spawn()
        .with_context(|| format!("cannot start: {}", process::line(command)))
}

fn joined<T>(thread: thread::JoinHandle<io::Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(result) => Ok(result?),
        Err(_) => bail!("the thread at the other end of the pipe panicked"),
    }
}

/// Waits for the end of `child` and returns its peak of resident memory.
fn watch(child: &mut Child) -> Result<(Size, ExitStatus)> {
    let path = format!("/proc/{}/status", child.id());
    let mut peak = Size(0);
    loop {
        // A child that has ended shows no memory any more.
        if let Ok(status) = std::fs::read_to_string(&path) {
            peak = peak.max(peak_of(&status).unwrap_or(Size(0)));
        }
        if let Some(status) = child.try_wait()? {
            return measured(peak, status);
        }
        thread::sleep(INTERVAL);
    }
}

fn measured(peak: Size, status: ExitStatus) -> Result<(Size, ExitStatus)> {
    if peak == Size(0) && status.success() {
        bail!("no peak of memory was seen: this bench needs /proc of Linux");
    }
    Ok((peak, status))
}

/// `VmHWM` of a status file of proc(5), which counts in KiB.
fn peak_of(status: &str) -> Option<Size> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(Size(kibibytes.checked_mul(1024)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_bytes() {
        let status = "Name:\txgene\nVmPeak:\t  9000 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 10 kB\n";
        assert_eq!(peak_of(status), Some(Size(2 << 20)));
        assert_eq!(peak_of("Name:\txgene\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn the_peak_of_a_running_child_is_seen() {
        let mut child = spawn(Command::new("sleep").arg("0.1")).unwrap();
        let (peak, status) = watch(&mut child).unwrap();
        assert!(status.success());
        assert!(peak > Size(0), "{peak}");
    }
}
