//! Backends that are gone: what is stored, moved and read all the same, and what is said about it.

use crate::repair::{mend, shell};
use crate::store::store;
use crate::world::{Run, World, payload};

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

fn lose(world: &World, code: &str) {
    std::fs::rename(world.path(code), world.path(&format!("gone-{code}"))).unwrap();
}

fn bring_back(world: &World, code: &str) {
    std::fs::rename(world.path(&format!("gone-{code}")), world.path(code)).unwrap();
}

#[test]
fn a_put_without_a_backend_is_refused_degraded_and_repaired() {
    let world = World::new(2, 3);
    world.write("file", payload(100_000));
    lose(&world, "CA");
    let put = ["put", "it's", "file"];
    let refused = store(&world, &put).expect_code("INSUFFICIENT_BACKENDS", 9);
    let reason = "3 backends must answer, 2 did; backend2: backend unavailable";
    assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    assert!(world.shares().is_empty());

    let degraded = store(
        &world,
        &[&put[..], &["--allow-degraded", "--json"]].concat(),
    );
    assert_eq!(degraded.exit, 3, "{}", degraded.stderr);
    let summary = &degraded.lines("summary")[0];
    assert_eq!(summary["missing_shares"], 1);
    assert_eq!(summary["losses_survived"], 0);
    assert_eq!(summary["failures"][0]["backend"], "backend2");
    assert_eq!(summary["failures"][0]["code"], "BACKEND_UNAVAILABLE");
    let degraded = store(&world, &[&put[..], &["--allow-degraded"]].concat());
    assert_eq!(degraded.exit, 3, "{}", degraded.stderr);
    let lost = "1 of 3 shares could not be stored; the others are at backend1, backend3, and 0 of";
    assert!(degraded.stderr.contains(lost), "{}", degraded.stderr);
    let command = mend(&degraded);

    bring_back(&world, "CA");
    let checked = store(&world, &["check", "it's"]);
    assert_eq!((checked.exit, mend(&checked)), (3, command.clone()));
    shell(&world, &command).expect_ok();
    store(&world, &["check", "it's", "--read-data"]).expect_ok();
    lose(&world, "DE");
    assert!(store(&world, &["cat", "it's"]).expect_ok().stdout == payload(100_000));
}

#[test]
fn a_spare_steps_in_and_is_named() {
    let world = World::new(2, 4);
    world.write("file", payload(1000));
    let put = |name, more: &[&str]| {
        let put = ["put", name, "file", "--shares", "3"];
        store(&world, &[&put[..], more].concat()).expect_ok()
    };
    let whole = put("a", &[]);
    assert!(!whole.stderr.contains("backend"), "{}", whole.stderr);
    lose(&world, "CA");
    let run = put("b", &[]);
    let named = "every share is stored all the same: at backend1, backend3, backend4";
    assert!(run.stderr.contains(named), "{}", run.stderr);
    assert!(run.stderr.contains("backend2: backend unavailable"));
    let json = put("c", &["--json"]);
    assert_eq!(json.lines("summary")[0]["missing_shares"], 0);
    assert_eq!(json.lines("summary")[0]["losses_survived"], 1);
}

#[test]
fn happy_is_a_number_that_has_its_limits() {
    let world = World::new(2, 5);
    world.write("file", payload(1000));
    lose(&world, "CA");
    let put = ["put", "a", "file", "--happy"];
    store(&world, &[&put[..], &["5"]].concat()).expect_code("INSUFFICIENT_BACKENDS", 9);
    let enough = store(&world, &[&put[..], &["4"]].concat());
    assert_eq!(enough.exit, 3, "{}", enough.stderr);
    store(&world, &[&put[..], &["3"]].concat()).expect_code("INVALID_CONFIG", 2);
    store(&world, &[&put[..], &["4", "--allow-degraded"]].concat())
        .expect_code("INVALID_CONFIG", 2);
}

#[test]
fn a_split_without_a_jurisdiction_is_degraded_only_when_that_is_allowed() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    lose(&world, "CA");
    world.split("file").expect_code("BACKEND_UNAVAILABLE", 5);
    let mut split = vec!["split", "file", "--sites", "sites.toml"];
    split.extend(["--consent", "consent.json", "--allow-degraded"]);
    let run = world.run(&split);
    assert_eq!(run.exit, 3, "{}", run.stderr);
    let lost = "1 of 3 shares could not be stored; the others are at DE, JP";
    assert!(run.stderr.contains(lost), "{}", run.stderr);
    bring_back(&world, "CA");
    shell(&world, &mend(&run)).expect_ok();
    lose(&world, "DE");
    world.run(&["get", "file.xgm", "-o", "out"]).expect_ok();
    assert!(std::fs::read(world.path("out")).unwrap() == payload(1000));
}

#[test]
fn a_share_moves_to_another_backend_also_when_its_holder_is_lost() {
    let world = World::new(2, 5);
    let data = payload(100_000);
    world.write("file", &data);
    store(&world, &["put", "a", "file", "--shares", "3"]).expect_ok();
    let migrate = |args: &[&str]| store(&world, &[&["migrate", "a"], args].concat());
    let dry = [
        "--from",
        "backend1",
        "--to",
        "backend4",
        "--dry-run",
        "--json",
    ];
    let before = world.stored();
    let planned = migrate(&dry).expect_ok();
    assert_eq!(planned.lines("summary")[0]["dry_run"], true);
    let shares = |world: &World| {
        let paths = world.shares().into_iter();
        let at =
            |path: std::path::PathBuf| path.strip_prefix(world.folder.path()).unwrap().to_owned();
        let codes = paths.map(|path| at(path).iter().next().unwrap().to_owned());
        codes.collect::<std::collections::BTreeSet<_>>()
    };
    assert!(before.iter().all(|path| path.exists()));
    assert!(!shares(&world).contains("BR".as_ref() as &std::ffi::OsStr));

    let moved = migrate(&["--from", "backend1", "--to", "backend4", "--json"]).expect_ok();
    let summary = &moved.lines("summary")[0];
    assert_eq!(
        (&summary["share"], &summary["version"]),
        (&0.into(), &3.into()),
        "one version counts the new holder, one says where the share is"
    );
    assert_eq!(shares(&world), ["BR", "CA", "JP"].map(Into::into).into());

    lose(&world, "CA");
    migrate(&["--from", "backend2", "--to", "backend5"]).expect_code("INSUFFICIENT_SHARES", 9);
    let lost = migrate(&["--from", "backend2", "--to", "backend5", "--lost"]);
    assert_eq!(lost.exit, 3, "{}{}", lost.text(), lost.stderr);
    assert!(lost.stderr.contains("still at backend2"), "{}", lost.stderr);
    lose(&world, "JP");
    assert!(store(&world, &["cat", "a"]).expect_ok().stdout == data);
}

#[test]
fn a_move_that_cannot_be_keeps_its_code() {
    let world = World::new(2, 4);
    world.write("file", payload(1000));
    store(&world, &["put", "a", "file", "--shares", "3"]).expect_ok();
    let migrate = |name: &str, from: &str, to: &str| {
        store(&world, &["migrate", name, "--from", from, "--to", to])
    };
    migrate("a", "backend4", "backend1").expect_code("INVALID_CONFIG", 2);
    migrate("a", "backend1", "backend9").expect_code("INVALID_CONFIG", 2);
    migrate("a", "backend1", "backend2").expect_code("INVALID_CONFIG", 2);
    migrate("b", "backend1", "backend4").expect_code("OBJECT_NOT_FOUND", 4);
}

/// Changes one byte in the second record of every share at `codes`.
fn damage_second_record(world: &World, codes: &[&str]) {
    for code in codes {
        let shares = world.shares().into_iter();
        for share in shares.filter(|path| path.starts_with(world.path(code))) {
            let mut bytes = std::fs::read(&share).unwrap();
            let second = bytes.len() / 2;
            bytes[second] ^= 1;
            std::fs::write(&share, bytes).unwrap();
        }
    }
}

/// The lost range is one chunk, and everything else is as it was.
fn expect_one_chunk_lost(run: &Run, restored: &[u8], data: &[u8]) {
    assert_eq!(run.exit, 3, "{}{}", run.text(), run.stderr);
    let summary = &run.lines("summary")[0];
    assert_eq!(summary["len_known"], true);
    let lost = summary["lost"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{summary}");
    let at = |end: &str| usize::try_from(lost[0][end].as_u64().unwrap()).unwrap();
    let (start, end) = (at("start"), at("end"));
    assert_eq!((start % CHUNK, end - start), (0, CHUNK));
    assert_eq!(restored.len(), data.len());
    assert!(restored[..start] == data[..start] && restored[end..] == data[end..]);
    assert!(restored[start..end].iter().all(|byte| *byte == 0));
}

const CHUNK: usize = 64 << 10;

#[test]
fn a_partial_read_of_a_store_lists_what_is_lost() {
    let world = World::new(2, 3);
    let data = payload(3 * CHUNK);
    world.write("file", &data);
    store(&world, &["put", "a", "file", "--chunk-size", "64KiB"]).expect_ok();
    let get = ["get", "a", "-o", "out", "-f"];
    let partial = [&get[..], &["--partial"]].concat();
    let whole = store(&world, &[&partial[..], &["--json"]].concat()).expect_ok();
    assert_eq!(whole.lines("summary")[0]["lost"], serde_json::json!([]));

    damage_second_record(&world, &["DE", "CA"]);
    std::fs::remove_file(world.path("out")).unwrap();
    let refused = store(&world, &get).expect_code("INSUFFICIENT_SHARES", 9);
    assert!(refused.stderr.contains("--partial"), "{}", refused.stderr);
    assert!(!world.path("out").exists());
    let some = store(&world, &[&partial[..], &["--json"]].concat());
    expect_one_chunk_lost(&some, &std::fs::read(world.path("out")).unwrap(), &data);
    let some = store(&world, &partial);
    assert!(some.stderr.contains("lost: 65536 bytes from offset "));
}

#[test]
fn a_partial_read_of_a_shared_file_needs_the_consent() {
    let world = World::new(2, 3);
    let data = payload(3 * CHUNK);
    world.write("file", &data);
    world.split("file").expect_ok();
    damage_second_record(&world, &["DE", "CA"]);
    let get = ["get", "file.xgm", "-o", "out"];
    let refused = world.run(&get).expect_code("INSUFFICIENT_SHARES", 9);
    assert!(refused.stderr.contains("--partial"), "{}", refused.stderr);
    let other = ["--partial", "--purpose", "advertising"];
    let other = world.run(&[&get[..], &other].concat());
    other.expect_code("PURPOSE_NOT_PERMITTED", 15);
    assert!(!world.path("out").exists());
    let some = world.run(&[&get[..], &["--partial", "--json"]].concat());
    expect_one_chunk_lost(&some, &std::fs::read(world.path("out")).unwrap(), &data);
}
