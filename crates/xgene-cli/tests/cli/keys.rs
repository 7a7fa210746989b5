//! The root key: made once, shown never, restored from any k share files.

use crate::world::{World, payload};

#[test]
fn a_root_key_comes_back_from_its_backup() {
    let world = World::new(2, 3);
    world.write("file", payload(100));
    world.split("file").expect_ok();
    let shown = world.run(&["keys", "show"]).expect_ok().text();
    let key = std::fs::read_to_string(world.path("home/root.key")).unwrap();
    let secret = key.split_whitespace().rev().nth(1).unwrap();
    assert!(!shown.contains(secret), "the key itself is never shown");
    world
        .run(&["keys", "backup", "-k", "2", "-n", "3", "-o", "backup"])
        .expect_ok();

    world
        .run(&["keys", "backup", "-o", "backup"])
        .expect_code("CONFLICT", 14);
    let mode = std::os::unix::fs::MetadataExt::mode(
        &std::fs::metadata(world.path("backup/root-key.1-of-3.xida")).unwrap(),
    );
    assert_eq!(mode & 0o777, 0o600);

    std::fs::remove_dir_all(world.path("home")).unwrap();
    world
        .run(&["get", "file.xgm", "-o", "out"])
        .expect_code("KEY_UNTRUSTED", 12);
    world
        .run(&["get", "file.xgm", "-o", "out", "--accept-unsigned"])
        .expect_ok();

    let share = |i: u8| format!("backup/root-key.{i}-of-3.xida");
    world
        .run(&["keys", "restore", &share(1)])
        .expect_code("INSUFFICIENT_SHARES", 9);
    world
        .run(&["keys", "restore", &share(3), &share(1)])
        .expect_ok();
    assert_eq!(
        std::fs::read_to_string(world.path("home/root.key")).unwrap(),
        key
    );
    world
        .run(&["get", "file.xgm", "-f", "-o", "out"])
        .expect_ok();
    world
        .run(&["keys", "restore", &share(2), &share(1)])
        .expect_code("CONFLICT", 14);
}

#[test]
fn a_damaged_share_file_is_refused() {
    let world = World::new(2, 3);
    world.run(&["keys", "init"]).expect_ok();
    world.run(&["keys", "backup", "-o", "backup"]).expect_ok();
    std::fs::remove_file(world.path("home/root.key")).unwrap();
    let path = world.path("backup/root-key.1-of-3.xida");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let files = [
        "keys",
        "restore",
        "backup/root-key.1-of-3.xida",
        "backup/root-key.2-of-3.xida",
    ];
    world.run(&files).expect_code("SHARE_INTEGRITY_FAILED", 8);
    assert!(!world.path("home/root.key").exists());
}

#[test]
fn pins_are_added_listed_and_removed() {
    let world = World::new(2, 3);
    let other = World::new(2, 3);
    let shown = other.run(&["keys", "init"]).expect_ok().text();
    let did = shown
        .split_whitespace()
        .find(|word| word.starts_with("did:key:"))
        .unwrap();
    world
        .run(&["keys", "trust", "add", "berlin", did])
        .expect_ok();
    assert_eq!(
        world.run(&["keys", "trust", "list"]).expect_ok().text(),
        format!("berlin {did}\n")
    );
    world
        .run(&["keys", "trust", "remove", "berlin"])
        .expect_ok();
    world
        .run(&["keys", "trust", "remove", "berlin"])
        .expect_code("INVALID_CONFIG", 2);
    world
        .run(&["keys", "trust", "add", "x", "did:web:x"])
        .expect_code("INVALID_CONFIG", 2);
}

#[test]
fn a_new_root_key_takes_over_every_object() {
    use crate::store::store;
    let world = World::new(2, 3);
    world.run(&["keys", "rekey"]).expect_code("KEY_MISSING", 4);
    world.write("file", payload(1000));
    world.split("file").expect_ok();
    for name in ["a", "gone"] {
        store(&world, &["put", name, "file"]).expect_ok();
    }
    store(&world, &["rm", "gone"]).expect_ok();
    let maker = |world: &World| {
        let show = world.run(&["keys", "show", "--json"]).expect_ok();
        let line = show.lines("summary")[0].clone();
        let former = line["former_makers"].as_array().unwrap().len();
        (line["maker"].as_str().unwrap().to_owned(), former)
    };
    let before = std::fs::read(world.path("home/root.key")).unwrap();
    let old = maker(&world);
    world.run(&["keys", "rekey", "--dry-run"]).expect_ok();
    assert_eq!(std::fs::read(world.path("home/root.key")).unwrap(), before);
    let text = world.run(&["keys", "rekey"]).expect_ok().text();
    assert!(text.contains("xgene store rekey"), "{text}");
    let new = maker(&world);
    assert!(
        new.0 != old.0 && (old.1, new.1) == (0, 1),
        "{old:?} {new:?}"
    );
    assert!(text.contains(&old.0) && text.contains(&new.0), "{text}");

    let counts = |run: &crate::world::Run| {
        let line = run.lines("summary")[0].clone();
        ["objects", "rekeyed", "failed"].map(|field| line[field].as_u64().unwrap())
    };
    let shares = world.shares();
    let dry = store(&world, &["rekey", "--dry-run", "--json"]).expect_ok();
    assert_eq!(counts(&dry), [3, 3, 0]);
    // One backend down is no reason to wait: two of three can commit.
    std::fs::rename(world.path("CA"), world.path("away")).unwrap();
    assert_eq!(
        counts(&store(&world, &["rekey", "--json"]).expect_ok()),
        [3, 3, 0]
    );
    std::fs::rename(world.path("away"), world.path("CA")).unwrap();
    assert_eq!(
        counts(&store(&world, &["rekey", "--json"]).expect_ok()),
        [3, 0, 0]
    );
    assert_eq!(world.shares(), shares);
    assert_eq!(
        store(&world, &["cat", "a"]).expect_ok().stdout,
        payload(1000)
    );
    store(&world, &["cat", "gone"]).expect_code("OBJECT_NOT_FOUND", 4);
    world.run(&["get", "file.xgm", "-o", "out"]).expect_ok();

    // The backup has both keys.
    world.run(&["keys", "backup", "-o", "backup"]).expect_ok();
    std::fs::remove_dir_all(world.path("home")).unwrap();
    let share = |i: u8| format!("backup/root-key.{i}-of-3.xida");
    world
        .run(&["keys", "restore", &share(1), &share(3)])
        .expect_ok();
    assert_eq!(maker(&world), new);
    assert_eq!(
        store(&world, &["cat", "a"]).expect_ok().stdout,
        payload(1000)
    );
}
