//! Check and repair: what is lost is named, and the command that check prints brings it back.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::store::store;
use crate::world::{Run, World, payload};

const LEN: usize = 200_000;

/// A world with an object whose name no shell takes as it is.
fn stored(threshold: u8, count: usize) -> World {
    let world = World::new(threshold, count);
    world.write("file", payload(LEN));
    let put = ["put", NAME, "file", "--chunk-size", "64KiB"];
    store_k(&world, threshold, &put).expect_ok();
    world
}

const NAME: &str = "it's a cohort";

fn store_k(world: &World, threshold: u8, args: &[&str]) -> Run {
    let threshold = threshold.to_string();
    store(world, &[args, &["-k", &threshold]].concat())
}

fn tree(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let bytes = |path: PathBuf| (path.clone(), std::fs::read(path).unwrap());
    world.stored().into_iter().map(bytes).collect()
}

fn shares_of(world: &World, code: &str) -> Vec<PathBuf> {
    let mut shares = world.shares();
    shares.retain(|path| path.starts_with(world.path(code)));
    assert!(!shares.is_empty());
    shares
}

fn change(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// The command after `next: `.
pub(crate) fn mend(run: &Run) -> String {
    let text = run.text();
    let mut commands = text.lines().filter_map(|line| line.strip_prefix("next: "));
    let command = commands.next().unwrap_or_else(|| panic!("{text}"));
    assert_eq!(commands.next(), None);
    command.to_owned()
}

/// Runs it as a person would who copies it; nothing but the command says where home is.
pub(crate) fn shell(world: &World, command: &str) -> Run {
    let program = Path::new(env!("CARGO_BIN_EXE_xgene"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut sh = Command::new("sh");
    sh.args(["-c", command]).current_dir(world.folder.path());
    Run::of(sh.env_clear().env("PATH", path).output().unwrap())
}

/// What a check says, and what somebody did to the German site.
type Damage = (&'static str, fn(&World));

const DAMAGES: [Damage; 5] = [
    ("share, segment 0 ", |world| {
        for share in shares_of(world, "DE") {
            std::fs::remove_file(share).unwrap();
        }
    }),
    ("share, segment 0, chunk 0 ", |world| {
        change(&shares_of(world, "DE")[0], |bytes| bytes[100] ^= 1);
    }),
    ("share, segment 0 ", |world| {
        change(&shares_of(world, "DE")[0], |bytes| bytes.truncate(1000));
    }),
    ("manifest", |world| {
        for path in world.stored() {
            if path.starts_with(world.path("DE")) && path.to_string_lossy().contains("/o/") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }),
    ("identity", |world| {
        std::fs::remove_dir_all(world.path("DE")).unwrap();
        std::fs::create_dir(world.path("DE")).unwrap();
    }),
];

fn expect_mended(world: &World, check: impl Fn() -> Run) {
    let before = tree(world);
    for (what, damage) in DAMAGES {
        assert_eq!(check().exit, 0, "{what}");
        damage(world);
        let found = check();
        assert_eq!(found.exit, 3, "{what}{}{}", found.text(), found.stderr);
        assert!(found.text().contains(what), "{what}: {}", found.text());
        let repaired = shell(world, &mend(&found)).expect_ok();
        assert!(repaired.text().contains("nothing remains"), "{what}");
        let whole = check().expect_ok();
        assert!(
            whole
                .text()
                .contains("whole; 3 of 3 shares are good, and 1 more")
        );
        assert!(!whole.text().contains("next: "));
        assert!(tree(world) == before, "{what}: the same bytes again");
    }
}

#[test]
fn what_check_prints_mends_a_named_object() {
    let world = stored(2, 3);
    expect_mended(&world, || store(&world, &["check", NAME, "--read-data"]));
    expect_mended(&world, || store(&world, &["check", "--read-data"]));
}

#[test]
fn what_check_prints_mends_a_shared_file() {
    let world = World::new(2, 3);
    world.write("-my file", payload(LEN));
    let split = [
        "split",
        "--sites",
        "sites.toml",
        "--consent",
        "consent.json",
    ];
    world
        .run(&[&split[..], &["--", "-my file"]].concat())
        .expect_ok();
    let check = ["check", "--read-data", "--", "-my file.xgm"];
    expect_mended(&world, || world.run(&check));

    std::fs::create_dir(world.path("else where")).unwrap();
    std::fs::copy(world.path("-my file.xgm"), world.path("else where/a.xgm")).unwrap();
    let check = [
        "check",
        "else where/a.xgm",
        "--sites",
        "sites.toml",
        "--read-data",
    ];
    expect_mended(&world, || world.run(&check));
}

/// Without the data a flipped byte is not seen; a random part may miss it the next time.
#[test]
fn the_command_reads_what_shows_the_fault_again() {
    let world = stored(2, 3);
    change(&shares_of(&world, "DE")[0], |bytes| bytes[100] ^= 1);
    store(&world, &["check"]).expect_ok();
    for (read, again) in [
        ("100%", " --read-data "),
        ("1G", " --read-data "),
        ("1/1", " --read-data-subset=1/1 "),
    ] {
        let check = store(&world, &["check", "--read-data-subset", read]);
        assert_eq!(check.exit, 3);
        assert!(mend(&check).contains(again), "{}", mend(&check));
    }
    for wrong in ["0%", "31/30", "much"] {
        store(&world, &["check", "--read-data-subset", wrong]).expect_code("INVALID_CONFIG", 2);
    }
    store(
        &world,
        &["check", "--read-data", "--read-data-subset", "5%"],
    )
    .expect_code("INVALID_CONFIG", 2);
}

#[test]
fn a_missing_backend_is_out_of_reach_until_an_empty_one_stands_there() {
    let world = stored(2, 3);
    let before = tree(&world);
    std::fs::remove_dir_all(world.path("CA")).unwrap();
    let check = store(&world, &["check"]);
    assert_eq!(check.exit, 3);
    assert!(
        check.text().contains("out of reach: backend2"),
        "{}",
        check.text()
    );
    let command = mend(&check);
    let repair = shell(&world, &command);
    assert_eq!(repair.exit, 3, "{}", repair.stderr);
    assert!(
        repair.text().contains("BACKEND_UNAVAILABLE"),
        "{}",
        repair.text()
    );
    assert!(repair.text().contains("this remains"), "{}", repair.text());
    assert_eq!(mend(&repair), command);
    std::fs::create_dir(world.path("CA")).unwrap();
    shell(&world, &command).expect_ok();
    assert!(tree(&world) == before);
}

#[test]
fn a_read_only_folder_is_checked_and_says_that_it_cannot_be_repaired() {
    let world = stored(2, 3);
    let share = shares_of(&world, "DE").remove(0);
    let folders = |mode: u32| {
        for folder in share.ancestors().skip(1) {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder, permissions).unwrap();
            if folder == world.path("DE") {
                break;
            }
        }
    };
    std::fs::remove_file(&share).unwrap();
    folders(0o500);
    let check = store(&world, &["check"]);
    assert_eq!(check.exit, 3);
    // The superuser may write everywhere, so what runs as one gives that up.
    let superuser = std::fs::write(&share, "").is_ok();
    if superuser {
        folders(0o700);
        std::fs::remove_file(&share).unwrap();
        folders(0o500);
    }
    let without = "setpriv --bounding-set=-dac_override ";
    let command = if superuser { without } else { "" }.to_owned() + &mend(&check);
    shell(&world, &command).expect_code("BACKEND_AUTH_FAILED", 6);
    folders(0o700);
    shell(&world, &mend(&check)).expect_ok();
    assert!(share.exists());
}

#[test]
fn an_object_in_trouble_does_not_hide_the_others() {
    let world = stored(2, 3);
    world.write("other", payload(10));
    store(&world, &["put", "other", "other"]).expect_ok();
    let old = tree(&world);
    store(&world, &["put", "other", "file"]).expect_ok();
    let new: Vec<PathBuf> = world.stored();
    for path in new.iter().filter(|path| !old.contains_key(*path)) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in old {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::remove_file(&shares_of(&world, "DE")[0]).unwrap();
    std::fs::remove_file(&shares_of(&world, "DE")[0]).unwrap();
    for args in [vec!["check"], vec!["check", "none", "other", NAME]] {
        let check = store(&world, &args);
        assert!(
            check.text().contains(&format!("{NAME}: degraded")),
            "{}",
            check.text()
        );
        assert!(
            check.stderr.contains("error[ROLLBACK_DETECTED]: "),
            "{}",
            check.stderr
        );
        assert!(
            mend(&check).ends_with(r"'it'\''s a cohort'"),
            "{}",
            mend(&check)
        );
        let code = if args.len() == 1 { 8 } else { 4 };
        assert_eq!(check.exit, code, "{}", check.stderr);
    }
    let repair = store(&world, &["repair"]);
    assert!(repair.text().contains(&format!("{NAME}: nothing remains")));
    repair.expect_code("ROLLBACK_DETECTED", 8);
    store(&world, &["check", NAME]).expect_ok();
}

#[test]
fn of_several_objects_the_worst_decides() {
    let world = stored(2, 3);
    world.write("other", payload(10));
    store(&world, &["put", "other", "other"]).expect_ok();
    let others: Vec<_> = world.shares();
    store(&world, &["put", "third", "other"]).expect_ok();
    let thirds = world
        .shares()
        .into_iter()
        .filter(|path| !others.contains(path));
    for share in thirds.skip(1) {
        std::fs::remove_file(share).unwrap();
    }
    std::fs::remove_file(&others[0]).unwrap();
    let check = store(&world, &["check", "third", "none", NAME, "other"]);
    assert!(
        check
            .text()
            .contains("third: unreadable; 1 of 3 shares are good, and 0 more")
    );
    assert!(!mend(&check).contains("third"), "no repair mends it");
    let dry = store(&world, &["repair", "third", "--dry-run"]);
    dry.expect_code("INSUFFICIENT_SHARES", 9);
    store(&world, &["repair", "third", NAME]).expect_code("INSUFFICIENT_SHARES", 9);
    check.expect_code("INSUFFICIENT_SHARES", 9);
}

#[test]
fn without_redundancy_everybody_is_told() {
    let says = "k = n: every share is needed, nothing can be repaired";
    let world = World::new(3, 3);
    world.write("file", payload(10));
    let put = store_k(&world, 3, &["put", NAME, "file"]).expect_ok();
    assert!(put.stderr.contains(says), "{}", put.stderr);
    let plan = world.run(&["plan", "--sites", "sites.toml"]).expect_ok();
    assert!(plan.text().contains(says), "{}", plan.text());
    let check = store_k(&world, 3, &["check"]).expect_ok();
    assert!(check.stderr.contains(says), "{}", check.stderr);
    std::fs::remove_file(&world.shares()[0]).unwrap();
    let check = store_k(&world, 3, &["check"]).expect_code("INSUFFICIENT_SHARES", 9);
    assert!(!check.text().contains("next: "), "{}", check.text());
    store_k(&world, 3, &["repair"]).expect_code("INSUFFICIENT_SHARES", 9);
}

#[test]
fn a_repair_needs_the_consent_to_hold_and_a_check_does_not() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3)).to_string();
    world.consent(&["DE", "CA", "JP"], &soon);
    world.split("file").expect_ok();
    std::thread::sleep(std::time::Duration::from_secs(4));
    // With one share left a repair that read would say that too few are good.
    for share in &world.shares()[1..] {
        std::fs::remove_file(share).unwrap();
    }
    let before = tree(&world);
    world
        .run(&["check", "file.xgm"])
        .expect_code("INSUFFICIENT_SHARES", 9);
    world
        .run(&["repair", "file.xgm"])
        .expect_code("CONSENT_EXPIRED", 15);
    world
        .run(&["refresh", "file.xgm"])
        .expect_code("CONSENT_EXPIRED", 15);
    world
        .run(&["repair", "file.xgm", "--dry-run"])
        .expect_code("CONSENT_EXPIRED", 15);
    store(&world, &["repair"]).expect_code("CONSENT_EXPIRED", 15);
    assert!(tree(&world) == before);
}

#[test]
fn a_dry_run_writes_nothing_and_ends_with_the_command() {
    let world = stored(2, 3);
    let before = tree(&world);
    std::fs::remove_file(&shares_of(&world, "DE")[0]).unwrap();
    let damaged = tree(&world);
    let dry = store(&world, &["repair", "--dry-run"]).expect_ok();
    assert!(
        dry.text().contains("nothing would remain"),
        "{}",
        dry.text()
    );
    assert!(tree(&world) == damaged);
    shell(&world, &mend(&dry)).expect_ok();
    assert!(tree(&world) == before);
}

#[test]
fn json_has_one_summary_for_each_object() {
    let world = stored(2, 3);
    store(&world, &["put", "other", "file"]).expect_ok();
    let damaged = shares_of(&world, "DE").remove(0);
    change(&damaged, |bytes| bytes.truncate(7));
    let check = store(&world, &["check", "--json"]);
    assert_eq!(check.exit, 3);
    let lines = check.lines("summary");
    assert_eq!(lines.len(), 2);
    let line = lines
        .iter()
        .find(|line| line["health"] == "degraded")
        .unwrap();
    let keys = |line: &serde_json::Value| -> Vec<String> {
        line.as_object().unwrap().keys().cloned().collect()
    };
    let found = [
        "good_shares",
        "health",
        "losses_survived",
        "mend",
        "message_type",
        "metadata",
        "name",
        "object_id",
        "out_of_reach",
        "share_count",
        "shares",
        "threshold",
        "version",
    ];
    assert_eq!(keys(line), found);
    assert_eq!(
        (
            &line["good_shares"],
            &line["share_count"],
            &line["losses_survived"]
        ),
        (&json!(2), &json!(3), &json!(0))
    );
    let fault = json!({
        "backend": "backend1", "segment": 0, "chunk": null, "code": "SHARE_INTEGRITY_FAILED",
    });
    assert_eq!(line["shares"][0]["faults"], json!([fault]));
    let mend = line["mend"].as_str().unwrap();
    let ends = |run: &Run| {
        let lines = run.lines("progress");
        let end = |status: &str| lines.iter().filter(|line| line["status"] == status).count();
        (end("complete"), end("failed"))
    };
    assert_eq!(ends(&check), (5, 1), "one end for each share");

    let repair = shell(&world, &format!("{mend} --json")).expect_ok();
    let line = &repair.lines("summary")[0];
    assert_eq!(ends(&repair), (1, 0));
    let mut more = found.to_vec();
    more.extend([
        "dry_run",
        "remaining",
        "remaining_metadata",
        "repaired",
        "repaired_metadata",
    ]);
    more.sort_unstable();
    assert_eq!(keys(line), more);
    let repaired = json!([{ "index": 0, "backend": "backend1", "segments": [0] }]);
    assert_eq!(
        (&line["repaired"], &line["remaining"]),
        (&repaired, &json!([]))
    );
    assert_eq!(
        (&line["dry_run"], &line["mend"]),
        (&json!(false), &json!(null))
    );
    let whole = store(&world, &["check", "--json", "--read-data"]).expect_ok();
    for line in whole.lines("summary") {
        assert_eq!(
            (&line["health"], &line["mend"]),
            (&json!("whole"), &json!(null))
        );
        assert!(line["shares"][2]["records_read"].as_u64().unwrap() > 1);
    }
}
