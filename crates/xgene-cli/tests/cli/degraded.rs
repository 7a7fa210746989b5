//! Backends that are gone: what is stored, moved and read all the same, and what is said about it.

use crate::store::store;
use crate::world::{World, payload};

#[test]
fn a_backend_that_is_gone_keeps_its_place() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    store(&world, &["put", "a", "file"]).expect_ok();
    std::fs::rename(world.path("DE"), world.path("gone")).unwrap();
    let stat = store(&world, &["check", "a", "--json"]);
    assert_eq!(stat.exit, 3, "{}", stat.stderr);
    let summary = &stat.lines("summary")[0];
    assert_eq!(summary["out_of_reach"], serde_json::json!(["backend1"]));
    assert_eq!(summary["shares"][1]["backend"], "backend2");
    let warning = stat.lines("warning")[0]["message"].to_string();
    assert!(warning.contains("backend1"), "{warning}");
}
