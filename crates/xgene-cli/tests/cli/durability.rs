//! `xgene store durability`: the documented figures, and assumptions that are named.

use crate::world::{Run, World};

fn durability(args: &[&str]) -> Run {
    let world = World::new(2, 3);
    let mut all = vec!["store", "durability"];
    all.extend(args);
    let run = world.run(&all);
    assert!(!world.path("home").exists(), "a calculation needs no keys");
    run
}

fn nines(args: &[&str]) -> String {
    let mut all = args.to_vec();
    all.push("--json");
    durability(&all).expect_ok().lines("summary")[0]["nines"].to_string()
}

#[test]
fn the_documented_figures_are_printed() {
    let document = include_str!("../../../../docs/durability.md");
    let rows: Vec<Vec<&str>> = document
        .lines()
        .filter(|line| line.contains("-of-") && line.starts_with("| "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 5, "{rows:?}");
    for row in rows {
        let (k, n) = row[0].split_once("-of-").unwrap();
        let with = |more: &[&str]| {
            let args = ["-k", k, "-n", n, "--loss", "0.01", "--check", "0"];
            nines(&[&args, more].concat())
        };
        let day = with(&["--repair", "1"]);
        let week = with(&["--repair", "7"]);
        let common = with(&["--repair", "7", "--common-cause", "0.0001"]);
        assert_eq!([day, week, common], row[1..], "{}", row[0]);
    }
}

#[test]
fn what_is_assumed_is_said_to_be() {
    let default = durability(&["-k", "2", "-n", "3", "--loss", "0.01"])
        .expect_ok()
        .text();
    assert!(default.contains("2-of-3: 4.9 nines"), "{default}");
    for option in ["--repair", "--check", "--common-cause"] {
        assert!(
            default.contains(&format!("assumed; set {option}")),
            "{default}"
        );
    }
    assert!(default.contains("can destroy 2 of the shares"), "{default}");

    let all = [
        "-k", "2", "-n", "3", "--loss", "0.01", "--repair", "7", "--check", "30",
    ];
    let given = durability(&[&all[..], &["--common-cause", "1e-4"]].concat())
        .expect_ok()
        .text();
    assert!(!given.contains("assumed; set"), "{given}");
    assert!(given.contains("by the common cause"), "{given}");

    let json = durability(&[
        "-k", "2", "-n", "3", "--loss", "0.01", "--repair", "1", "--json",
    ]);
    let summary = json.expect_ok().lines("summary").remove(0);
    assert_eq!(
        summary["assumed"],
        serde_json::json!(["check", "common-cause"])
    );
    assert_eq!(summary["object_loss"], 2e-6);
    assert!(
        summary["caveat"]
            .as_str()
            .unwrap()
            .contains("administrator")
    );
}

#[test]
fn each_backend_may_have_its_own_loss() {
    let equal = nines(&["-k", "2", "-n", "3", "--loss", "0.01,0.01,0.01"]);
    assert_eq!(equal, nines(&["-k", "2", "-n", "3", "--loss", "0.01"]));
    assert_ne!(
        equal,
        nines(&["-k", "2", "-n", "3", "--loss", "0.01,0.01,0.5"])
    );
}

#[test]
fn no_figure_is_printed_that_no_model_supports() {
    let args = ["-k", "2", "-n", "40", "--loss", "0.01"];
    let text = durability(&args).expect_ok().text();
    assert!(
        text.contains("more than 20 nines, which no model supports"),
        "{text}"
    );
    let json = durability(&[&args[..], &["--json"]].concat()).expect_ok();
    let summary = json.lines("summary").remove(0);
    assert_eq!(summary["nines"], 20.0);
    assert!(summary["object_loss"].is_null());
}

#[test]
fn assumptions_that_cannot_be_are_refused() {
    for bad in [
        &["--loss", "0"][..],
        &["--loss", "1"],
        &["--loss", "0.1,0.2"],
        &["--loss", "0.1", "--repair", "0"],
        &["--loss", "0.1", "--repair=-1"],
        &["--loss", "0.1", "--check", "NaN"],
        &["--loss", "0.1", "--common-cause", "1"],
        &[],
    ] {
        durability(&[&["-k", "2", "-n", "3"], bad].concat()).expect_code("INVALID_CONFIG", 2);
    }
    durability(&["-k", "4", "-n", "3", "--loss", "0.1"]).expect_code("INVALID_CONFIG", 2);
}
