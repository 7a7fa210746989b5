//! A few seeds of the simulation; `cargo xtask simulate` runs many.

use xstore::testing::simulation::simulate;

const SEEDS: u64 = 50;

#[test]
fn nothing_that_must_not_be_is_seen() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut operations, mut faults) = (0, 0);
    for seed in 0..SEEDS {
        let report = match simulate(seed, scratch.path()) {
            Ok(report) => report,
            Err(violation) => panic!("{violation}\n{}", violation.history.join("\n")),
        };
        operations += report.operations;
        faults += report.faults;
    }
    assert!(
        operations > 40 * SEEDS && faults > 10 * SEEDS,
        "{operations}, {faults}"
    );
    let left = std::fs::read_dir(scratch.path()).unwrap().count();
    assert_eq!(left, 0, "every run removes its journals");
}

/// Whatever a seed shows, it shows again: otherwise nobody could look for the cause.
#[test]
fn one_seed_is_one_run() {
    let scratch = tempfile::tempdir().unwrap();
    let run = |seed| simulate(seed, scratch.path()).unwrap();
    for seed in 0..8 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(0).trace, run(1).trace);
}
