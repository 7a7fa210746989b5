//! `xgene store gc`: marks, waits, removes; its brake; what stops it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::world::{Run, World, payload};

fn gc(world: &World, args: &[&str]) -> Run {
    let all = [&["store", "gc"], args].concat();
    with_backends(world, &all)
}

fn with_backends(world: &World, args: &[&str]) -> Run {
    let url = |code: &&str| format!("file://{}", world.path(code).display());
    let urls: Vec<String> = world.codes.iter().map(url).collect();
    let mut all = args.to_vec();
    for url in &urls {
        all.extend(["--backend", url]);
    }
    world.run(&all)
}

/// A share of a dealing that no manifest names.
fn orphan(world: &World) -> PathBuf {
    let share = world.shares().remove(0);
    let dealing = share.parent().unwrap().parent().unwrap();
    let orphan = dealing.with_file_name("0123456789abcdef0123456789abcdef");
    let copy = orphan.join("0").join(share.file_name().unwrap());
    std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
    std::fs::copy(share, &copy).unwrap();
    orphan
}

/// Everything below `folder` was written a day ago.
fn a_day_older(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            a_day_older(&path);
        } else {
            let then = SystemTime::now() - Duration::from_secs(24 * 3600);
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(then).unwrap();
        }
    }
}

fn actions(run: &Run) -> Vec<String> {
    let steps = run.lines("summary")[0]["steps"].clone();
    let steps = steps.as_array().unwrap().iter();
    steps
        .map(|step| step["action"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_orphan_goes_after_two_runs_and_the_brake_holds() {
    let world = World::new(2, 3);
    world.write("file", payload(100_000));
    with_backends(&world, &["store", "put", "genome", "file"]).expect_ok();
    let none = gc(&world, &[]).expect_ok();
    assert!(none.text().contains("each is needed"), "{}", none.text());
    let orphan = orphan(&world);
    assert_eq!(actions(&gc(&world, &["--json"]).expect_ok()), ["wait"]);
    a_day_older(&orphan);

    let before = world.stored();
    let dry = gc(&world, &["--dry-run", "--json"]).expect_ok();
    assert_eq!(actions(&dry), ["mark"]);
    assert_eq!(dry.lines("summary")[0]["dry_run"], true);
    assert_eq!(world.stored(), before);
    let text = gc(&world, &[]).expect_ok().text();
    assert!(text.contains("in 24 hours: 1"), "{text}");
    assert_eq!(world.stored().len(), before.len() + 1, "the tomb");

    a_day_older(&orphan);
    let braked = gc(&world, &[]).expect_code("GC_BRAKE", 14);
    assert!(braked.stderr.contains("2 of 8"), "{}", braked.stderr);
    let removed = gc(&world, &["--no-brake", "--json"]).expect_ok();
    assert_eq!(actions(&removed), ["remove"]);
    assert_eq!(world.stored().len(), before.len() - 1);
    let genome = with_backends(&world, &["store", "cat", "genome"]).expect_ok();
    assert!(genome.stdout == payload(100_000));
}

#[test]
fn a_missing_backend_and_a_short_grace_stop_it() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    with_backends(&world, &["store", "put", "genome", "file"]).expect_ok();
    gc(&world, &["--grace", "1"]).expect_code("INVALID_CONFIG", 2);
    gc(&world, &["--grace", "2"]).expect_ok();
    std::fs::rename(world.path("CA"), world.path("gone")).unwrap();
    gc(&world, &[]).expect_code("INSUFFICIENT_BACKENDS", 9);
}

#[test]
fn a_backend_that_is_gone_stops_nothing_once_it_is_removed() {
    let mut world = World::new(2, 4);
    world.write("file", payload(10));
    with_backends(&world, &["store", "put", "a", "file", "-n", "3"]).expect_ok();
    let states = |world: &World| {
        let list = with_backends(world, &["store", "backend", "list", "--json"]).expect_ok();
        let backends = list.lines("summary")[0]["backends"].clone();
        let backends = backends.as_array().unwrap().iter();
        let state = |backend: &serde_json::Value| backend["state"].as_str().unwrap().to_owned();
        backends.map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(&world), ["answers", "answers", "answers", "answers"]);
    let remove = [
        "store", "backend", "remove", "backend2", "--reason", "it burnt",
    ];
    with_backends(&world, &remove).expect_code("INVALID_CONFIG", 2);
    let remove = [&remove[..], &["--gone"]].concat();
    with_backends(&world, &remove).expect_code("CONFLICT", 14);
    std::fs::rename(world.path("CA"), world.path("away")).unwrap();
    world.codes.retain(|code| *code != "CA");
    gc(&world, &[]).expect_code("INSUFFICIENT_BACKENDS", 9);
    let dry = [&remove[..], &["--dry-run"]].concat();
    with_backends(&world, &dry).expect_ok();
    assert_eq!(states(&world), ["answers", "answers", "answers", "missing"]);
    let text = with_backends(&world, &remove).expect_ok().text();
    assert!(text.contains("is gone for good"), "{text}");
    assert_eq!(states(&world), ["answers", "answers", "answers", "gone"]);
    gc(&world, &[]).expect_ok();
    let found = with_backends(&world, &["store", "check", "a", "-n", "3"]);
    assert_eq!(found.exit, 3, "{}", found.stderr);
    with_backends(&world, &["store", "repair", "a", "-n", "3"]).expect_ok();
    with_backends(&world, &["store", "check", "a", "-n", "3"]).expect_ok();
    gc(&world, &["--no-brake"]).expect_ok();
}
