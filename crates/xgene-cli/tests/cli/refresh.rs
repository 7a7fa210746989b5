//! `xgene refresh` and `xgene store refresh`: old shares end, the payload stays.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::world::{World, payload};

fn shares(world: &World) -> BTreeSet<PathBuf> {
    world.shares().into_iter().collect()
}

#[test]
fn a_file_is_dealt_anew_under_its_consent_and_the_old_manifest_finds_it() {
    let world = World::new(2, 3);
    let data = payload(300_000);
    world.write("file", &data);
    world.split("file").expect_ok();
    let old = shares(&world);
    world.run(&["refresh", "file.xgm", "--dry-run"]).expect_ok();
    assert_eq!(shares(&world), old);

    let kept = world.run(&["refresh", "file.xgm", "--json"]).expect_ok();
    let summary = &kept.lines("summary")[0];
    assert_eq!(summary["version"], 2);
    assert_eq!(summary["effective"], false);
    assert_eq!(summary["old_shares"].as_array().unwrap().len(), 3);
    let both = shares(&world);
    assert!(both.is_superset(&old) && both.len() == 2 * old.len());

    let args = ["refresh", "file.xgm", "--now", "--leaked", "CA", "--json"];
    let gone = world.run(&args).expect_ok();
    let summary = &gone.lines("summary")[0];
    assert_eq!(summary["effective"], true);
    assert_eq!(summary["leaked"], serde_json::json!([1]));
    let new = shares(&world);
    assert!(new.is_disjoint(&both), "what a day was promised goes too");
    world.run(&["get", "file.xgm", "-o", "back"]).expect_ok();
    assert_eq!(std::fs::read(world.path("back")).unwrap(), data);

    let unknown = world.run(&["refresh", "file.xgm", "--leaked", "XX"]);
    unknown.expect_code("INVALID_CONFIG", 2);
}

#[test]
fn two_leaked_shares_of_two_are_not_undone() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    world.split("file").expect_ok();
    let args = ["refresh", "file.xgm", "--now", "--leaked=CA", "--leaked=JP"];
    let run = world.run(&args);
    assert_eq!(run.exit, 3, "{}", run.stderr);
    let told = format!("{}{}", run.text(), run.stderr);
    assert!(told.contains("not protected"), "{told}");
}

/// A run that was killed leaves its intent; whoever writes next ends it, and is not locked out.
#[test]
fn what_a_killed_run_left_is_ended_by_the_next_that_writes() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    world.split("file").expect_ok();
    for verb in ["refresh", "repair"] {
        let file = std::fs::read(world.path("file.xgm")).unwrap();
        let verifier = xstore::manifest::Verifier {
            owner: None,
            trusted: &xstore::keys::trust::TrustedMakers::default(),
            accept_unsigned: true,
        };
        let manifest = xstore::Manifest::open(&file, &verifier).unwrap();
        let body = manifest.body();
        let journal = xstore::journal::Journal::new(&world.path("home/journal"));
        let stopped = journal.begin(xstore::journal::Intent {
            object_id: body.object_id,
            put_id: xstore::ids::PutId([1; 32]),
            store_tag: body.store_tag,
            k: body.k,
            places: Vec::new(),
            deals: true,
            note: None,
            former: None,
        });
        drop(stopped.unwrap());
        world.run(&[verb, "file.xgm"]).expect_ok();
        let left = std::fs::read_dir(world.path("home/journal")).unwrap();
        let left: Vec<_> = left
            .filter_map(|entry| Some(entry.ok()?.file_name()))
            .filter(|name| name.to_string_lossy().starts_with(&"01".repeat(32)))
            .collect();
        assert!(left.is_empty(), "{verb}: {left:?}");
    }
}
