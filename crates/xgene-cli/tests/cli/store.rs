//! `xgene store`: names, versions, ranges, listings, deletion.

use std::path::Path;
use std::process::Command;

use crate::world::{Run, World, payload};

pub(crate) fn store(world: &World, args: &[&str]) -> Run {
    let urls: Vec<String> = world
        .codes
        .iter()
        .map(|code| format!("file://{}", world.path(code).display()))
        .collect();
    let mut all = vec!["store"];
    all.extend(args);
    for url in &urls {
        all.extend(["--backend", url]);
    }
    world.run(&all)
}

#[test]
fn put_get_cat_ls_stat_rm() {
    let world = World::new(2, 3);
    let data = payload(100_000);
    world.write("file", &data);
    store(
        &world,
        &["put", "cohort/7", "file", "--chunk-size", "64KiB"],
    )
    .expect_ok();
    store(&world, &["get", "cohort/7", "-o", "out"]).expect_ok();
    assert!(std::fs::read(world.path("out")).unwrap() == data);
    let all = store(&world, &["cat", "cohort/7"]).expect_ok();
    assert!(all.stdout == data);
    let part = store(
        &world,
        &["cat", "cohort/7", "--offset", "65530", "--count", "10"],
    )
    .expect_ok();
    assert_eq!(part.stdout, data[65_530..65_540]);
    let ls = store(&world, &["ls"]).expect_ok().text();
    assert!(ls.contains("cohort/7"), "{ls}");
    let stat = store(&world, &["stat", "cohort/7", "--json"]).expect_ok();
    assert_eq!(stat.lines("summary")[0]["version"], 1);
    store(&world, &["put", "cohort/7", "out"]).expect_ok();
    let stat = store(&world, &["stat", "cohort/7", "--json"]).expect_ok();
    assert_eq!(stat.lines("summary")[0]["version"], 2);
    assert_eq!(
        world.shares().len(),
        3,
        "the first version's shares are gone"
    );
    store(&world, &["rm", "cohort/7", "--dry-run"]).expect_ok();
    store(&world, &["rm", "cohort/7"]).expect_ok();
    assert!(world.shares().is_empty());
    store(&world, &["get", "cohort/7", "-f", "-o", "out"]).expect_code("OBJECT_NOT_FOUND", 4);
    store(&world, &["rm", "cohort/7"]).expect_code("OBJECT_NOT_FOUND", 4);
    assert!(!store(&world, &["ls"]).expect_ok().text().contains("cohort"));
}

#[test]
fn short_mode_is_named_wherever_it_is_shown() {
    let world = World::new(2, 3);
    let data = payload(1_000_000);
    world.write("file", &data);
    let short = "short (computational)";
    for (name, mode, words) in [("s", "short", short), ("p", "perfect", "perfect")] {
        let put = store(&world, &["put", name, "file", "--mode", mode, "--json"]).expect_ok();
        let line = &put.lines("summary")[0];
        assert_eq!(line["mode"], words);
        let stored = line["stored_bytes"].as_f64().unwrap() / 1e6;
        let factor = if mode == "short" { 1.5 } else { 3.0 };
        assert!(
            stored > factor && stored < factor * 1.01,
            "{mode}: {stored}"
        );
        let stat = store(&world, &["stat", name, "--json"]).expect_ok();
        assert_eq!(stat.lines("summary")[0]["mode"], words);
        let out = store(&world, &["cat", name]).expect_ok();
        assert!(out.stdout == data);
    }
    let ls = store(&world, &["ls"]).expect_ok().text();
    assert!(ls.contains(short) && ls.contains("perfect"), "{ls}");
    let again = store(&world, &["put", "t", "file", "--mode", "short"]).expect_ok();
    assert!(again.text().contains(short));
}

#[test]
fn one_backend_down_still_reads_and_refuses_to_write() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    store(&world, &["put", "a", "file"]).expect_ok();
    std::fs::rename(world.path("CA"), world.path("gone")).unwrap();
    let run = store(&world, &["cat", "a"]).expect_ok();
    assert_eq!(run.stdout, payload(10));
    let put = store(&world, &["put", "b", "file"]);
    assert_ne!(put.exit, 0);
    std::fs::rename(world.path("gone"), world.path("CA")).unwrap();
    store(&world, &["get", "b", "-o", "out"]).expect_code("OBJECT_NOT_FOUND", 4);
}

#[test]
fn reading_makes_no_key_and_a_name_is_no_path() {
    let world = World::new(2, 3);
    store(&world, &["get", "a", "-o", "out"]).expect_code("KEY_MISSING", 4);
    assert!(!world.path("home/root.key").exists());
    world.write("file", payload(10));
    store(&world, &["put", "../a", "file"]).expect_ok();
    store(&world, &["get", "../a"]).expect_code("INVALID_CONFIG", 2);
    store(&world, &["get", "../a", "-o", "out"]).expect_ok();
    let memory = [
        "store",
        "put",
        "a",
        "file",
        "--backend",
        "memory:",
        "--backend",
        "memory:",
    ];
    world.run(&memory).expect_code("INVALID_CONFIG", 2);
}

#[test]
fn renew_moves_the_expiry_also_of_what_has_expired() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    store(&world, &["put", "a", "file", "--ttl", "0m"]).expect_ok();
    store(&world, &["cat", "a"]).expect_code("MANIFEST_EXPIRED", 13);
    let expiry = |world: &World| {
        let stat = store(world, &["stat", "a", "--json"]).expect_ok();
        stat.lines("summary")[0]["expires_unix_s"].as_u64()
    };
    let expired = expiry(&world).unwrap();
    let dry = ["renew", "a", "--ttl", "30d", "--dry-run", "--json"];
    let would = store(&world, &dry).expect_ok().lines("summary")[0].clone();
    assert_eq!(
        (&would["version"], &would["dry_run"]),
        (&1.into(), &true.into())
    );
    assert_eq!(expiry(&world), Some(expired));
    let text = store(&world, &["renew", "a", "--ttl", "30d"]).expect_ok();
    assert!(text.text().contains("is read until 2"), "{}", text.text());
    assert!(expiry(&world).unwrap() >= expired + 30 * 86_400);
    assert_eq!(store(&world, &["cat", "a"]).expect_ok().stdout, payload(10));
    store(&world, &["renew", "a", "--never"]).expect_ok();
    assert_eq!(expiry(&world), None);
    store(&world, &["renew", "a"]).expect_code("INVALID_CONFIG", 2);
    store(&world, &["renew", "a", "--ttl", "soon"]).expect_code("INVALID_CONFIG", 2);
    store(&world, &["rm", "a"]).expect_ok();
    store(&world, &["renew", "a", "--never"]).expect_code("OBJECT_NOT_FOUND", 4);
}

/// Copies a folder over another, which goes first.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// Two installations wrote version 2 of `a`: one to DE, which has its only share, the other to CA and
/// JP. Theirs is the home of the command line.
fn contested() -> World {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    store(&world, &["put", "a", "file"]).expect_ok();
    store(&world, &["put", "fine", "file"]).expect_ok();
    std::fs::create_dir(world.path("ours")).unwrap();
    copy(&world.path("home/root.key"), &world.path("ours/root.key"));
    for code in ["CA", "JP"] {
        copy(&world.path(code), &world.path(&format!("{code}-before")));
    }
    world.write("file", payload(20));
    store(&world, &["put", "a", "file", "--home", "ours"]).expect_ok();
    for code in ["CA", "JP"] {
        copy(&world.path(&format!("{code}-before")), &world.path(code));
    }
    std::fs::rename(world.path("DE"), world.path("away")).unwrap();
    world.write("file", payload(30));
    assert_eq!(
        store(&world, &["put", "a", "file", "--allow-degraded"]).exit,
        3
    );
    std::fs::rename(world.path("away"), world.path("DE")).unwrap();
    world
}

#[test]
fn of_two_newest_versions_one_is_kept() {
    let world = contested();
    let error = store(&world, &["get", "a", "-o", "out"]).expect_code("CONFLICT", 14);
    let ls = store(&world, &["ls", "--json"]);
    assert_eq!(ls.exit, 14);
    let ls = ls.lines("summary")[0].clone();
    assert_eq!(ls["objects"][0]["name"], "fine");
    assert_eq!(
        ls["failed"][0],
        serde_json::json!({
            "name": "a", "object_id": ls["failed"][0]["object_id"], "code": "CONFLICT",
        })
    );
    let list = store(&world, &["resolve", "a", "--json"]).expect_ok();
    let siblings = list.lines("summary")[0]["siblings"].clone();
    let siblings = siblings.as_array().unwrap();
    assert_eq!(siblings.len(), 2);
    let id = |len: usize| {
        let mut siblings = siblings.iter();
        let sibling = siblings.find(|sibling| sibling["padded_len_bytes"] == len);
        sibling.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (ours, theirs) = (id(20), id(30));
    assert!(
        error.stderr.contains(&ours) && error.stderr.contains(&theirs),
        "{}",
        error.stderr
    );

    store(&world, &["get", "a", "-o", "out", "--id", &theirs[..12]]).expect_ok();
    assert!(std::fs::read(world.path("out")).unwrap() == payload(30));
    store(&world, &["get", "a", "-o", "no", "--id", "none"]).expect_code("INVALID_CONFIG", 2);
    let before = world.stored();
    store(&world, &["resolve", "a", "--keep", &ours]).expect_code("CONFLICT", 14);
    let dry = ["resolve", "a", "--keep", &theirs, "--dry-run", "--json"];
    let dry = store(&world, &dry).expect_ok().lines("summary")[0].clone();
    assert_eq!(
        (&dry["given_up"][0], &dry["version"]),
        (&ours.into(), &2.into())
    );
    assert_eq!(world.stored(), before);
    store(&world, &["resolve", "a", "--keep", &theirs]).expect_ok();
    assert_eq!(store(&world, &["cat", "a"]).expect_ok().stdout, payload(30));
    assert_eq!(
        world.shares().len(),
        2 + 3,
        "of `a` in CA and JP, of `fine` everywhere"
    );
    let text = store(&world, &["resolve", "a"]).expect_ok().text();
    assert!(text.contains("nothing to resolve"), "{text}");
}

#[test]
fn everything_is_found_again_by_the_root_key_alone() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    world.split("file").expect_ok();
    for name in ["a", "gone", "a"] {
        store(&world, &["put", name, "file"]).expect_ok();
    }
    store(&world, &["rm", "gone"]).expect_ok();
    std::fs::remove_file(world.path("file.xgm")).unwrap();
    for lost in ["catalogue", "journal"] {
        std::fs::remove_dir_all(world.path("home").join(lost)).unwrap();
    }
    std::fs::remove_file(world.path("home/device")).unwrap();
    std::fs::rename(world.path("CA"), world.path("away")).unwrap();

    let scan = ["recover", "--scan", "--out", "found", "--json"];
    let run = store(&world, &scan).expect_ok();
    let mut lines = run.lines("summary");
    let last = lines.pop().unwrap();
    assert_eq!(
        (&last["objects"], &last["complete"]),
        (&3.into(), &true.into())
    );
    let of = |version: u64, state: &str| {
        let mut of = lines
            .iter()
            .filter(|l| l["version"] == version && l["state"] == state);
        of.next().unwrap()["file"].as_str().map(str::to_owned)
    };
    assert_eq!(of(2, "deleted"), None);
    let (named, shared) = (of(2, "live").unwrap(), of(1, "live").unwrap());
    assert!(world.path(&named).exists());
    let get = ["get", &shared, "--sites", "sites.toml", "-o", "out"];
    world.run(&get).expect_ok();
    assert!(std::fs::read(world.path("out")).unwrap() == payload(1000));
    assert_eq!(
        store(&world, &["cat", "a"]).expect_ok().stdout,
        payload(1000)
    );

    store(&world, &scan).expect_ok();
    world.write(&named, "something else");
    let text = store(&world, &["recover", "--scan", "--out", "found"]);
    let text = text.expect_code("CONFLICT", 14).text();
    assert!(text.contains("3 objects found, 1 of them"), "{text}");
    assert_eq!(
        std::fs::read(world.path(&named)).unwrap(),
        b"something else"
    );
    std::fs::rename(world.path("JP"), world.path("away too")).unwrap();
    let run = store(&world, &["recover", "--scan"]).expect_ok();
    assert!(run.stderr.contains("no other object"), "{}", run.stderr);
    store(&world, &["recover"]).expect_ok();
    store(&world, &["recover", "--out", "found"]).expect_code("INVALID_CONFIG", 2);
}
