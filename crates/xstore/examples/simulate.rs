//! `simulate`: runs many seeds of `xstore::testing::simulation`; `cargo xtask simulate` calls it.
//!
//! Arguments: the first seed and how many; or one seed whose history is to be shown; or `planted`
//! and how many seeds there are to find each deliberate bug in, or the one named (feature `planted`).

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use xstore::testing::simulation::{Report, Violation, simulate};

const USAGE: &str = "usage: simulate FROM COUNT | simulate SEED | simulate planted COUNT [BUG]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scratch = scratch();
    let passed = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        #[cfg(feature = "planted")]
        ["planted", count, ref only @ ..] => count
            .parse()
            .is_ok_and(|count| find_planted(count, only, &scratch)),
        [seed] => seed.parse().is_ok_and(|seed| show(seed, &scratch)),
        [from, count] => match (from.parse(), count.parse()) {
            (Ok(from), Ok(count)) => run_all(from, count, &scratch),
            _ => usage(),
        },
        _ => usage(),
    };
    // Each run has removed what it wrote.
    let _ = std::fs::remove_dir(&scratch);
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn usage() -> bool {
    eprintln!("{USAGE}");
    false
}

/// A folder of this process, in memory where the machine has one there.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    parent.join(format!("xstore-simulate-{}", std::process::id()))
}

/// Shows one seed with all that happened.
fn show(seed: u64, scratch: &Path) -> bool {
    match simulate(seed, scratch) {
        Ok(report) => {
            println!("{}", report.history.join("\n"));
            println!(
                "seed {seed}: {} operations, {} calls, {} faults, trace {:016x}",
                report.operations, report.calls, report.faults, report.trace
            );
            true
        }
        Err(violation) => {
            println!("{}\n{violation}", violation.history.join("\n"));
            false
        }
    }
}

/// Runs seeds on all cores, one seed to a thread, while `each` wants more.
fn run_each(
    seeds: Range<u64>,
    scratch: &Path,
    each: impl Fn(Result<Report, Box<Violation>>) -> ControlFlow<()> + Sync,
) {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            if each(simulate(seed, scratch)).is_break() {
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

fn run_all(from: u64, count: u64, scratch: &Path) -> bool {
    let (operations, faults, violations) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let start = Instant::now();
    run_each(from..from.saturating_add(count), scratch, |result| {
        match result {
            Ok(report) => {
                operations.fetch_add(report.operations, Ordering::Relaxed);
                faults.fetch_add(report.faults, Ordering::Relaxed);
            }
            Err(violation) => {
                violations.fetch_add(1, Ordering::Relaxed);
                let seed = violation.seed;
                println!("{violation}: cargo xtask simulate --seed {seed} --trace");
            }
        }
        ControlFlow::Continue(())
    });
    let violations = violations.into_inner();
    println!(
        "{count} seeds, {} operations, {} faults, {violations} violations, {:.0} seeds/s",
        operations.into_inner(),
        faults.into_inner(),
        count as f64 / start.elapsed().as_secs_f64()
    );
    violations == 0
}

/// Switches on each deliberate bug in turn, or those in `only`; whether every one was found within
/// `count` seeds.
#[cfg(feature = "planted")]
fn find_planted(count: u64, only: &[&str], scratch: &Path) -> bool {
    use std::sync::Mutex;

    use xstore::planted::{Bug, switch_on};

    let mut all_found = true;
    let is_wanted = |bug: &Bug| only.is_empty() || only.contains(&&*format!("{bug:?}"));
    for bug in Bug::SIMULATED.into_iter().filter(is_wanted) {
        switch_on(bug);
        let (seeds, first) = (AtomicU64::new(0), Mutex::new(None));
        run_each(0..count, scratch, |result| {
            seeds.fetch_add(1, Ordering::Relaxed);
            match (result, first.lock()) {
                (Err(violation), Ok(mut first)) => {
                    first.get_or_insert(violation);
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        });
        let seeds = seeds.into_inner();
        match first.into_inner() {
            Ok(Some(violation)) => println!("{bug:?}: FOUND after {seeds} seeds: {violation}"),
            _ => {
                println!("{bug:?}: MISSED in {seeds} seeds");
                all_found = false;
            }
        }
    }
    all_found
}
