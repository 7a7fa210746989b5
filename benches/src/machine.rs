//! Which machine the figures are of.

use std::fs;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

/// Processor, cores, date.
pub(crate) fn line() -> String {
    let model = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| model_of(&text))
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = available_parallelism().map_or(0, std::num::NonZero::get);
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    format!("machine: {model}, {cores} cores available, one used; {date}")
}

/// Keeps this thread on the core where it is, so that its caches stay its own.
pub(crate) fn pin() -> Result<()> {
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    sched_setaffinity(None, &here).context("cannot stay on one core")
}

fn model_of(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
