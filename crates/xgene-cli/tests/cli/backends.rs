//! Backends by name: added once, tried out, listed, forgotten; and what they say of deleted bytes.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::world::{Run, World};

/// Three folders that are not backends yet.
fn world() -> World {
    World::of(2, &["DE", "CA", "JP"])
}

fn url(world: &World, code: &str) -> String {
    format!("file://{}", world.path(code).display())
}

fn added(world: &World) {
    for (label, code) in [("berlin", "DE"), ("ottawa", "CA"), ("tokyo", "JP")] {
        let run = world.run(&["store", "backend", "add", label, &url(world, code)]);
        assert_eq!(run.exit, 0, "{}", run.stderr);
    }
}

fn json(run: &Run, message_type: &str) -> Value {
    let text = String::from_utf8_lossy(&run.stdout);
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut lines = lines.filter(|line| line["message_type"] == message_type);
    lines
        .next()
        .unwrap_or_else(|| panic!("no {message_type}: {text}"))
}

#[test]
fn a_store_is_over_what_was_added() {
    let world = world();
    let none = world.run(&["store", "ls"]);
    assert_eq!(none.exit, 4, "there is no root key yet: {}", none.stderr);
    added(&world);
    let file = world.write("genome", vec![7; 100_000]);
    let put = world.run(&["store", "put", "genome", "genome"]);
    assert_eq!(put.exit, 0, "{}", put.stderr);
    std::fs::remove_file(file).unwrap();
    // Some of them, by name, in any mixture with URLs.
    let tokyo = url(&world, "JP");
    let words = [
        "store",
        "get",
        "genome",
        "--backend",
        "berlin",
        "--backend",
        &tokyo,
    ];
    let get = world.run(&words);
    assert_eq!(get.exit, 0, "{}", get.stderr);
    assert_eq!(
        std::fs::read(world.path("genome")).unwrap(),
        vec![7; 100_000]
    );

    let list = world.run(&["--json", "store", "backend", "list"]);
    let rows = json(&list, "summary")["backends"].clone();
    let labels: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["berlin", "ottawa", "tokyo"]);
    assert!(rows[0]["tested_at"].is_string());

    let unknown = world.run(&["store", "ls", "--backend", "paris", "--backend", "berlin"]);
    assert_eq!(unknown.exit, 2);
    assert!(unknown.stderr.contains("paris"), "{}", unknown.stderr);
}

#[test]
fn a_test_says_what_a_backend_does() {
    let world = world();
    let run = world.run(&[
        "--json",
        "store",
        "backend",
        "test",
        "--backend",
        &url(&world, "DE"),
    ]);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    let told = json(&run, "backend");
    assert_eq!(told["usable"], true);
    assert_eq!(told["checks"].as_array().unwrap().len(), 4);
    assert!(
        told["checks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["broken"].is_null())
    );
    assert!(told["latency_ms"].as_f64().unwrap() > 0.0);
    assert!(told["read_bytes_per_s"].as_u64().unwrap() > 0);
    assert!(told["clock_skew_s"].as_i64().unwrap().abs() <= 5);
    assert_eq!(told["erasure_unproven"], Value::Null);
    assert_eq!(
        told["strangers_refused"],
        Value::Null,
        "a folder asks nobody"
    );
    let left: Vec<_> = std::fs::read_dir(world.path("DE")).unwrap().collect();
    assert_eq!(
        left.len(),
        1,
        "only the folder for temporary files: {left:?}"
    );
}

#[test]
fn what_cannot_be_used_is_not_kept() {
    let world = world();
    let missing = format!("{}/nowhere", url(&world, "DE"));
    let run = world.run(&["store", "backend", "add", "berlin", &missing]);
    assert_eq!(run.exit, 5, "{}", run.stderr);
    assert!(!world.path("home/backends.toml").exists());
    let run = world.run(&["store", "backend", "add", "berlin", &missing, "--untested"]);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    let other = world.run(&["store", "backend", "add", "berlin", &url(&world, "CA")]);
    assert_eq!(other.exit, 14, "{}", other.stderr);
    for label in ["Berlin", "backend1", "a:b"] {
        let run = world.run(&["store", "backend", "add", label, &url(&world, "CA")]);
        assert_eq!(run.exit, 2, "{label}");
    }
    let forgotten = world.run(&["store", "backend", "remove", "berlin"]);
    assert_eq!(forgotten.exit, 0, "{}", forgotten.stderr);
    let again = world.run(&["store", "backend", "remove", "berlin"]);
    assert_eq!(again.exit, 2);
    assert!(again.stderr.contains("--gone"), "{}", again.stderr);
}

#[test]
fn a_credential_is_named_and_never_written_down() {
    let world = world();
    let home = world.path("home");
    std::fs::create_dir(&home).unwrap();
    let profiles = home.join("credentials.toml");
    std::fs::write(
        &profiles,
        "[berlin]\nAWS_ACCESS_KEY_ID = \"AK\"\nAWS_SECRET_ACCESS_KEY = \"HUSH-HUSH\"\n",
    )
    .unwrap();
    let s3 = "s3://genomes/shares?endpoint=http://127.0.0.1:1&credential=berlin";
    let test = [
        "store",
        "backend",
        "test",
        "--retries",
        "0",
        "--backend",
        s3,
    ];

    std::fs::set_permissions(&profiles, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = world.run(&test);
    assert_eq!(open.exit, 12, "{}", open.stderr);
    std::fs::set_permissions(&profiles, std::fs::Permissions::from_mode(0o600)).unwrap();
    // Nobody listens there.
    let closed = world.run(&test);
    assert_eq!(closed.exit, 5, "{}", closed.stderr);
    assert!(closed.stderr.contains("refused"), "{}", closed.stderr);
    let unknown = world.run(&[
        "store",
        "backend",
        "test",
        "--backend",
        &s3.replace("=berlin", "=paris"),
    ]);
    assert_eq!(unknown.exit, 2, "{}", unknown.stderr);
    let add = world.run(&["store", "backend", "add", "berlin", s3, "--untested"]);
    assert_eq!(add.exit, 0, "{}", add.stderr);
    for run in [open, closed, unknown, add] {
        assert!(
            !run.stderr.contains("HUSH") && !String::from_utf8_lossy(&run.stdout).contains("HUSH")
        );
    }
    let book = std::fs::read_to_string(home.join("backends.toml")).unwrap();
    assert!(
        book.contains("credential=berlin") && !book.contains("HUSH"),
        "{book}"
    );
}

/// Two buckets behind one key are one party (a key opens both), whoever their provider is.
#[test]
fn one_credential_for_as_many_as_can_read_is_refused() {
    let world = world();
    let file = world.write("genome", "bytes");
    let s3 = |bucket: &str| format!("s3://{bucket}?region=eu-central-1&credential=berlin");
    let home = world.path("home");
    std::fs::create_dir(&home).unwrap();
    let profiles = world.write(
        "home/credentials.toml",
        "[berlin]\nAWS_ACCESS_KEY_ID = \"AK\"\nAWS_SECRET_ACCESS_KEY = \"x\"\n",
    );
    std::fs::set_permissions(profiles, std::fs::Permissions::from_mode(0o600)).unwrap();
    let run = world.run(&[
        "store",
        "put",
        "genome",
        file.to_str().unwrap(),
        "--retries",
        "0",
        "--timeout",
        "1",
        "--backend",
        &s3("a"),
        "--backend",
        &s3("b"),
        "--backend",
        &url(&world, "DE"),
    ]);
    assert_eq!(run.exit, 15, "{}", run.stderr);
    assert!(run.stderr.contains("credential berlin"), "{}", run.stderr);
}
