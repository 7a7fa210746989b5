//! Deterministic simulation: one seed gives one run of clients against backends that fail and lie.
//!
//! A test of one fault finds what its author thought of. Here the seed draws the operations, the
//! faults, the crashes and the latencies, a model says after each step what may be seen, and a seed
//! that shows something else shows it again whenever it is asked. One thread and a virtual clock do
//! that; nothing is drawn from the machine.
//!
//! To add an operation: a variant of `operation::Operation`, a line in `operation::draw_on` that
//! draws it, one in `run::perform` that applies it, and one in `judge::ended` that says what must
//! hold after it.

use std::fmt;
use std::path::Path;

use crate::error::Error;

mod backend;
mod client;
mod evidence;
mod fault;
mod finale;
mod judge;
mod model;
mod network;
mod operation;
mod random;
mod run;
mod secrecy;
mod upkeep;

use run::Run;

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Operations of all clients.
    pub operations: u64,
    /// Faults that met a call or an object.
    pub faults: u64,
    /// Calls that reached a backend.
    pub calls: u64,
    /// Digest of all calls and answers in their order: the same for the same seed.
    pub trace: u64,
    /// What happened, one line each.
    pub history: Vec<String>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The seed that shows it.
    pub seed: u64,
    /// Number of the operation after which it was seen.
    pub step: u64,
    /// What is wrong.
    pub what: String,
    /// What happened until then, one line each.
    pub history: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}, operation {}: {}",
            self.seed, self.step, self.what
        )
    }
}

/// Runs one seed; journals are written below `scratch`, which is best a file system in memory, and
/// removed at the end.
///
/// # Errors
/// The first thing that must not be.
pub fn simulate(seed: u64, scratch: &Path) -> Result<Report, Box<Violation>> {
    let folder = scratch.join(format!("seed-{seed}"));
    let result = in_virtual_time(seed, &folder);
    // Nothing is there when the run never came to write an intent.
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn in_virtual_time(seed: u64, folder: &Path) -> Result<Report, Box<Violation>> {
    let violation = |step: usize, what: String, history: Vec<String>| {
        let step = step as u64;
        Box::new(Violation {
            seed,
            step,
            what,
            history,
        })
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .map_err(|error| violation(0, error.to_string(), Vec::new()))?;
    runtime.block_on(async {
        let run = Run::new(seed, folder);
        let mut run = run.map_err(|error: Error| violation(0, error.to_string(), Vec::new()))?;
        let ended = match run.go().await {
            Ok(()) => run.end().await,
            violated => violated,
        };
        let network = &run.setting.network;
        match ended {
            Err(what) => Err(violation(run.operations, what, run.history)),
            Ok(()) => Ok(Report {
                operations: run.operations as u64,
                faults: network.faults(),
                calls: network.calls(),
                trace: network.trace(),
                history: run.history,
            }),
        }
    })
}
