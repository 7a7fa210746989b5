//! Every fault in every operation, over every backend that works without a server: what the operation
//! answers stands in docs/fault-matrix.md, and a row stands there only if nothing was lost, wrong or
//! told to the wrong one.
#![cfg(feature = "fs")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

mod case;
mod fault;
mod judge;
mod operation;
mod table;
mod world;

use std::panic::catch_unwind;

use case::Case;
use fault::Fault;
use operation::Operation;
use world::Ground;

/// Threshold, shares and faulty backends: one, as many as may be lost, and one more.
const SETTINGS: [(u8, u8, usize); 5] = [(2, 3, 1), (2, 3, 2), (3, 5, 1), (3, 5, 2), (3, 5, 3)];

/// What every operation answers under every fault, row by row in the order of the table.
fn run(ground: Ground, settings: &[(u8, u8, usize)]) -> Vec<table::Row> {
    let (mut rows, mut violations) = (Vec::new(), Vec::new());
    for fault in Fault::ALL {
        for operation in Operation::ALL {
            let case = |setting| Case {
                ground,
                fault,
                operation,
                setting,
            };
            let mut answers = Vec::new();
            for case in settings.iter().map(|setting| case(*setting)) {
                // One violation does not hide the others.
                match catch_unwind(|| in_virtual_time(case)) {
                    Ok(answer) => answers.push(answer),
                    Err(_) => violations.push(case),
                }
            }
            rows.push(table::Row {
                fault,
                operation,
                answers,
            });
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
    assert_eq!(rows.len(), 29 * 9);
    rows
}

fn in_virtual_time(case: Case) -> &'static str {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(case.run())
}

#[test]
fn memory_answers_as_documented() {
    let rows = run(Ground::Memory, &SETTINGS);
    table::write(&rows);
    table::compare(&rows);
}

/// The first settings only: folders take three times as long, and must not answer otherwise.
#[test]
fn folders_answer_as_documented() {
    table::compare(&run(Ground::Folders, &SETTINGS[..2]));
}
