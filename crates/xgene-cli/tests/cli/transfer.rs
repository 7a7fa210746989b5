//! How backends are asked: the options of every verb, their variables, and what is refused.

use crate::world::{Run, World, payload};

const VARIABLES: [(&str, &str, &str); 5] = [
    ("--timeout", "XGENE_TIMEOUT", "60"),
    ("--retries", "XGENE_RETRIES", "0"),
    ("--transfers", "XGENE_TRANSFERS", "1"),
    ("--limit-upload", "XGENE_LIMIT_UPLOAD", "1GiB"),
    ("--limit-download", "XGENE_LIMIT_DOWNLOAD", "512MiB"),
];

#[test]
fn files_travel_under_every_option() {
    let world = World::new(2, 3);
    let data = payload(300_000);
    world.write("file", &data);
    let options: Vec<&str> = VARIABLES
        .iter()
        .flat_map(|(option, _, value)| [*option, *value])
        .collect();
    let split = [
        "split",
        "file",
        "--sites",
        "sites.toml",
        "--consent",
        "consent.json",
    ];
    world.run(&[&options, &split[..]].concat()).expect_ok();
    let get = ["get", "file.xgm", "-o", "out"];
    world.run(&[&get[..], &options].concat()).expect_ok();
    assert!(std::fs::read(world.path("out")).unwrap() == data);
}

#[test]
fn every_verb_names_options_and_variables() {
    let world = World::new(2, 3);
    for verb in [&["split"][..], &["get"], &["store", "put"]] {
        let help = world.run(&[verb, &["--help"]].concat()).expect_ok().text();
        for (option, variable, _) in VARIABLES {
            assert!(help.contains(option), "{option} in {help}");
            assert!(help.contains(variable), "{variable} in {help}");
        }
    }
}

#[test]
fn nonsense_is_refused() {
    let world = World::new(2, 3);
    for (option, variable, nonsense) in [
        ("--timeout", "XGENE_TIMEOUT", ["0", "-1", "1.5", "1s"]),
        ("--retries", "XGENE_RETRIES", ["-1", "101", "many", "1.5"]),
        ("--transfers", "XGENE_TRANSFERS", ["0", "-1", "x", "1.5"]),
        (
            "--limit-upload",
            "XGENE_LIMIT_UPLOAD",
            ["0KiB", "10", "10MB", "-1MiB"],
        ),
        (
            "--limit-download",
            "XGENE_LIMIT_DOWNLOAD",
            ["0GiB", "MiB", "10MiB/s", "1.5MiB"],
        ),
    ] {
        for value in nonsense {
            let given = format!("{option}={value}");
            let run = world.run(&["keys", "show", &given]);
            let run = run.expect_code("INVALID_CONFIG", 2);
            assert!(run.stderr.contains(option), "{}", run.stderr);
            let mut command = world.command(&["keys", "show"]);
            let run = Run::of(command.env(variable, value).output().unwrap());
            run.expect_code("INVALID_CONFIG", 2);
        }
    }
}
