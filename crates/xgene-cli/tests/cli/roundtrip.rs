//! Split and get: every length, every choice of jurisdictions, files and pipes.

use crate::world::{World, payload, subsets};

const CHUNK: usize = 64 << 10;

#[test]
fn every_length_comes_back_from_every_choice_of_jurisdictions() {
    for (threshold, count) in [(2, 3), (3, 5)] {
        let world = World::new(threshold, count);
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1] {
            let name = format!("file-{len}");
            let data = payload(len);
            world.write(&name, &data);
            world.split(&name).expect_ok();
            for choice in subsets(&world.codes, usize::from(threshold)) {
                let manifest = format!("{name}.xgm");
                let from = choice.join(",");
                world
                    .run(&["get", &manifest, "--from", &from, "-f", "-o", "out"])
                    .expect_ok();
                assert!(
                    std::fs::read(world.path("out")).unwrap() == data,
                    "{len} from {from}"
                );
            }
        }
    }
}

#[test]
fn a_file_is_split_in_short_mode_on_request_and_says_so() {
    let world = World::new(2, 3);
    let data = payload(3 * CHUNK + 5);
    world.write("file", &data);
    let split = [
        "split",
        "file",
        "--sites",
        "sites.toml",
        "--consent",
        "consent.json",
        "--mode",
        "short",
        "--json",
    ];
    let plan = world.run(&[split.as_slice(), &["--dry-run"]].concat());
    let plan = plan.expect_ok();
    assert_eq!(plan.lines("summary")[0]["mode"], "short (computational)");
    let len = data.len() as u64;
    assert_eq!(plan.lines("plan")[0]["stored_len_bytes"], 3 * len);
    let short = plan.lines("plan")[0]["short_stored_len_bytes"].as_u64();
    assert_eq!(short, Some(3 * len.div_ceil(2)));
    let made = world.run(&split).expect_ok();
    assert_eq!(made.lines("summary")[0]["mode"], "short (computational)");
    let shown = world.run(&["inspect", "file.xgm"]).expect_ok().text();
    assert!(shown.contains("short (computational)"), "{shown}");
    for choice in subsets(&world.codes, 2) {
        let from = choice.join(",");
        world
            .run(&["get", "file.xgm", "--from", &from, "-f", "-o", "out"])
            .expect_ok();
        assert!(std::fs::read(world.path("out")).unwrap() == data, "{from}");
    }
}

#[test]
fn pipes_work_on_both_sides() {
    let world = World::new(2, 3);
    let data = payload(3 * CHUNK + 5);
    let input = world.write("input", &data);
    let split = [
        "split",
        "-",
        "--sites",
        "sites.toml",
        "--consent",
        "consent.json",
        "-o",
        "a.xgm",
    ];
    world.run_with(&split, &input).expect_ok();
    let run = world.run(&["get", "a.xgm", "-o", "-"]).expect_ok();
    assert!(
        run.stdout == data,
        "standard output is the payload and nothing else"
    );
    let run = world
        .run(&["reconstruct", "a.xgm", "-o", "-", "--json"])
        .expect_ok();
    assert!(run.stdout == data, "JSON lines go to standard error then");
    assert!(run.stderr.contains("\"message_type\":\"summary\""));
    world
        .run_with(&split[..6], &input)
        .expect_code("INVALID_CONFIG", 2);
}

#[test]
fn a_sites_file_elsewhere_is_named_in_the_next_step() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    let beside = world.split("file").expect_ok();
    assert!(beside.text().contains("next: xgene get file.xgm\n"));

    std::fs::create_dir(world.path("sub")).unwrap();
    let sites = "sub/../sites.toml";
    let mut split = vec!["split", "file", "--sites", sites];
    split.extend(["--consent", "consent.json", "-o", "sub/file.xgm"]);
    let elsewhere = world.run(&split).expect_ok();
    let step = "get sub/file.xgm --sites sub/../sites.toml";
    assert!(elsewhere.text().contains(step));
    let mut get: Vec<_> = step.split(' ').collect();
    get.extend(["-o", "out"]);
    world.run(&get).expect_ok();
    assert_eq!(std::fs::read(world.path("out")).unwrap(), payload(10));
}

#[test]
fn json_tells_stages_progress_and_summary() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    let split = world.run(&[
        "split",
        "file",
        "--sites",
        "sites.toml",
        "--consent",
        "consent.json",
        "--json",
    ]);
    let split = split.expect_ok();
    let stages: Vec<_> = split
        .lines("stage")
        .iter()
        .map(|line| line["stage"].clone())
        .collect();
    assert_eq!(
        stages,
        ["journal", "segments", "manifest", "committed", "written"]
    );
    let ends = split.lines("progress");
    let complete = ends
        .iter()
        .filter(|line| line["status"] == "complete")
        .count();
    assert_eq!(complete, 3, "one end for each share");
    let summary = &split.lines("summary")[0];
    assert_eq!(summary["len_bytes"], 10);
    assert_eq!(summary["trial"], true);
    assert!(summary["random_bytes_drawn"].as_u64().unwrap() > 0);
    let get = world
        .run(&["get", "file.xgm", "-o", "out", "--json"])
        .expect_ok();
    assert_eq!(get.lines("summary")[0]["len_bytes"], 10);
}

#[test]
fn a_removed_jurisdiction_is_named_and_not_needed() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    world.split("file").expect_ok();
    std::fs::rename(world.path("DE"), world.path("gone")).unwrap();
    let run = world.run(&["get", "file.xgm", "-o", "out"]).expect_ok();
    assert!(run.stderr.contains("DE"), "{}", run.stderr);
    std::fs::rename(world.path("CA"), world.path("gone-too")).unwrap();
    let run = world
        .run(&["get", "file.xgm", "-o", "out2"])
        .expect_code("INSUFFICIENT_SHARES", 9);
    assert!(
        run.stderr.contains("DE") && run.stderr.contains("CA"),
        "{}",
        run.stderr
    );
    assert!(!world.path("out2").exists() && !world.path("out2.xgene-part").exists());
}

#[test]
fn a_damaged_share_is_named_and_replaced() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    world.split("file").expect_ok();
    let share = world
        .shares()
        .into_iter()
        .find(|path| path.starts_with(world.path("DE")))
        .unwrap();
    let mut bytes = std::fs::read(&share).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&share, bytes).unwrap();
    let run = world.run(&["get", "file.xgm", "-o", "out"]).expect_ok();
    assert!(
        run.stderr
            .contains("DE, segment 0, chunk 0: SHARE_INTEGRITY_FAILED"),
        "{}",
        run.stderr
    );
    assert_eq!(std::fs::read(world.path("out")).unwrap(), payload(1000));
}

#[test]
fn folders_may_be_moved_and_sites_relabelled_by_path() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    world.split("file").expect_ok();
    std::fs::rename(world.path("DE"), world.path("berlin")).unwrap();
    let sites = std::fs::read_to_string(world.path("sites.toml")).unwrap();
    world.write("sites.toml", sites.replace("./DE", "./berlin"));
    let run = world
        .run(&["get", "file.xgm", "--from", "DE,CA", "-o", "out"])
        .expect_ok();
    assert_eq!(
        std::fs::read(world.path("out")).unwrap(),
        payload(1000),
        "{}",
        run.stderr
    );
}
