//! Bad input: one documented code each, one sentence, what to do next, nothing half-written.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::world::{Run, World, payload};

fn sites(world: &World, text: &str) -> Run {
    world.write("file", payload(10));
    world.write("sites.toml", text);
    world.split("file")
}

fn jurisdictions(codes: &[&str]) -> String {
    codes
        .iter()
        .map(|code| format!("[[jurisdiction]]\ncode = \"{code}\"\nendpoint = \"./{code}\"\n"))
        .collect()
}

#[test]
fn impossible_configurations_are_refused() {
    let world = World::new(2, 3);
    let three = jurisdictions(&["DE", "CA", "JP"]);
    for (what, text) in [
        ("k = 1", format!("threshold = 1\n{three}")),
        ("k > n", format!("threshold = 4\n{three}")),
        (
            "chunk size 0",
            format!("threshold = 2\nchunk_size = \"0KiB\"\n{three}"),
        ),
        (
            "chunk size odd",
            format!("threshold = 2\nchunk_size = \"3MiB\"\n{three}"),
        ),
        (
            "unknown code",
            format!("threshold = 2\n{}", jurisdictions(&["DE", "XX", "JP"])),
        ),
        (
            "duplicate code",
            format!("threshold = 2\n{}", jurisdictions(&["DE", "DE", "JP"])),
        ),
        (
            "one jurisdiction",
            format!("threshold = 2\n{}", jurisdictions(&["DE"])),
        ),
        (
            "unknown key",
            format!("threshold = 2\nthreshhold = 2\n{three}"),
        ),
        ("not TOML", "threshold = ".into()),
    ] {
        let run = sites(&world, &text).expect_code("INVALID_CONFIG", 2);
        assert!(world.stored().is_empty(), "{what}: {}", run.stderr);
    }
}

#[test]
fn two_endpoints_in_one_folder_are_refused() {
    let world = World::new(2, 3);
    symlink(world.path("DE"), world.path("alias")).unwrap();
    let text = format!("threshold = 2\n{}", jurisdictions(&["DE", "CA", "JP"]));
    sites(&world, &text.replace("./JP", "./DE/.")).expect_code("INVALID_CONFIG", 2);
    let run = sites(&world, &text.replace("./JP", "./alias"));
    assert_ne!(run.exit, 0, "{}", run.stderr);
    assert!(world.shares().is_empty());
}

#[test]
fn unreadable_inputs_are_named() {
    let world = World::new(2, 3);
    world.split("absent").expect_code("INPUT_UNREADABLE", 4);
    world.split("DE").expect_code("INPUT_UNREADABLE", 4);
    let get = world
        .run(&["get", "absent.xgm"])
        .expect_code("INPUT_UNREADABLE", 4);
    assert!(get.stderr.contains("absent.xgm"));
    world
        .run(&["inspect", "absent"])
        .expect_code("INPUT_UNREADABLE", 4);
    assert!(world.stored().is_empty());
}

#[test]
fn a_missing_folder_is_never_created() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    std::fs::remove_dir(world.path("CA")).unwrap();
    world.split("file").expect_code("BACKEND_UNAVAILABLE", 5);
    assert!(!world.path("CA").exists() && !world.path("file.xgm").exists());
    assert!(world.shares().is_empty());
}

#[test]
fn an_existing_manifest_or_output_is_not_written_over() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    world.split("file").expect_ok();
    let shares = world.shares();
    world.split("file").expect_code("CONFLICT", 14);
    assert_eq!(world.shares(), shares);
    world.write("out", "precious");
    world
        .run(&["get", "file.xgm", "-o", "out"])
        .expect_code("CONFLICT", 14);
    assert_eq!(std::fs::read(world.path("out")).unwrap(), b"precious");
    world
        .run(&["get", "file.xgm", "-o", "DE", "-f"])
        .expect_code("OUTPUT_FAILED", 1);
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    world.run(&["keys", "init"]).expect_ok();
    let key = world.path("home/root.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    world.split("file").expect_code("KEY_UNSAFE", 12);
    assert!(world.shares().is_empty());
}

#[test]
fn a_manifest_edited_anywhere_is_invalid() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    world.split("file").expect_ok();
    let good = std::fs::read(world.path("file.xgm")).unwrap();
    for at in (0..good.len()).step_by(13) {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        world.write("bad.xgm", bad);
        let run = world.run(&["get", "bad.xgm", "-o", "out"]);
        let code = if at == 4 {
            "SHARE_VERSION_MISMATCH"
        } else {
            "MANIFEST_INVALID"
        };
        run.expect_code(code, 8);
    }
    world.write("empty.xgm", "");
    world
        .run(&["get", "empty.xgm", "-o", "out"])
        .expect_code("MANIFEST_INVALID", 8);
    assert!(!world.path("out").exists());
}

#[test]
fn the_manifest_of_another_store_finds_no_share() {
    let (world, other) = (World::new(2, 3), World::new(2, 3));
    for world in [&world, &other] {
        world.write("file", payload(10));
        world.split("file").expect_ok();
    }
    let theirs = std::fs::read(other.path("file.xgm")).unwrap();
    world.write("theirs.xgm", theirs);
    let run = world
        .run(&["get", "theirs.xgm", "-o", "out"])
        .expect_code("KEY_UNTRUSTED", 12);
    let did = run
        .stderr
        .split_whitespace()
        .find(|word| word.starts_with("did:key:"))
        .unwrap();
    world
        .run(&["keys", "trust", "add", "other", did.trim_end_matches(',')])
        .expect_ok();
    world
        .run(&["get", "theirs.xgm", "-o", "out"])
        .expect_code("INSUFFICIENT_SHARES", 9);
    let sites = other.path("sites.toml");
    let sites = sites.to_str().unwrap();
    world
        .run(&["get", "theirs.xgm", "--sites", sites, "-o", "out"])
        .expect_ok();
}

#[test]
fn a_damaged_genomic_file_is_refused_unless_asked_for() {
    let world = World::new(2, 3);
    // A BGZF block that promises more bytes than there are.
    let mut cut = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x1b\0\x03\0".to_vec();
    cut.extend([0; 4]);
    world.write("cut.vcf.gz", &cut);
    world.split("cut.vcf.gz").expect_code("FORMAT_INVALID", 8);
    assert!(world.shares().is_empty() && !world.path("cut.vcf.gz.xgm").exists());
    world
        .run(&[
            "split",
            "cut.vcf.gz",
            "--sites",
            "sites.toml",
            "--consent",
            "consent.json",
            "--allow-invalid",
        ])
        .expect_ok();
    world
        .run(&["get", "cut.vcf.gz.xgm", "-o", "out"])
        .expect_ok();
    assert_eq!(std::fs::read(world.path("out")).unwrap(), cut);
    world
        .run(&["inspect", "cut.vcf.gz"])
        .expect_code("FORMAT_INVALID", 8);
}

#[test]
fn nothing_of_the_user_s_is_written_over() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    world.split("file").expect_ok();
    let same = ["get", "file.xgm", "-f", "-o", "file.xgm"];
    world.run(&same).expect_code("INVALID_CONFIG", 2);
    std::fs::create_dir(world.path("mine")).unwrap();
    world.write("mine/cohort.vcf", "precious");
    world
        .run(&["demo", "--keep", "mine"])
        .expect_code("CONFLICT", 14);
    assert_eq!(
        std::fs::read(world.path("mine/cohort.vcf")).unwrap(),
        b"precious"
    );
    world.run(&["demo", "--keep", "new"]).expect_ok();
}

/// Endless input is cut where no honest input goes.
#[test]
fn endless_small_files_are_refused() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    let split = |sites: &str, consent: &str| {
        world.run(&["split", "file", "--sites", sites, "--consent", consent])
    };
    split("/dev/zero", "consent.json").expect_code("INVALID_CONFIG", 2);
    split("sites.toml", "/dev/zero").expect_code("CONSENT_INVALID", 15);
    world
        .run(&["get", "/dev/zero", "--sites", "sites.toml", "-o", "out"])
        .expect_code("MANIFEST_INVALID", 8);
}
