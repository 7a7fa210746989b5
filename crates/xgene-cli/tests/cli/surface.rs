//! Help, completions, manual pages, the error table, the demo.

use crate::world::{World, payload};

#[test]
fn every_verb_has_help_a_manual_page_and_completions() {
    let world = World::new(2, 3);
    world.run(&["man", "-o", "man"]).expect_ok();
    let pages = std::fs::read_dir(world.path("man")).unwrap().count();
    assert!(pages > 20, "{pages} pages");
    for shell in ["bash", "zsh", "fish"] {
        let script = world.run(&["completions", shell]).expect_ok().text();
        assert!(script.contains("jurisdictions"), "{shell}");
    }
    for verb in [
        "split",
        "get",
        "check",
        "repair",
        "refresh",
        "inspect",
        "plan",
        "keys",
        "jurisdictions",
        "store",
        "errors",
    ] {
        let help = world.run(&[verb, "--help"]).expect_ok().text();
        assert!(help.contains("Usage: xgene"), "{verb}");
    }
    world
        .run(&["no-such-verb"])
        .expect_code("INVALID_CONFIG", 2);
    world.run(&["split"]).expect_code("INVALID_CONFIG", 2);
}

#[test]
fn the_error_table_is_the_documented_one() {
    let world = World::new(2, 3);
    let table = world.run(&["errors", "--markdown"]).expect_ok().text();
    let documented = include_str!("../../../../docs/errors.md");
    assert_eq!(table, documented, "write it anew with `cargo xtask codes`");
    let json = world.run(&["errors", "--json"]).expect_ok();
    let rows = json.lines("summary")[0]["errors"].as_array().unwrap().len();
    assert_eq!(
        rows,
        documented
            .lines()
            .filter(|line| line.starts_with("| `"))
            .count()
    );
}

#[test]
fn jurisdictions_are_listed_and_shown() {
    let world = World::new(2, 3);
    let list = world.run(&["jurisdictions", "list", "--json"]).expect_ok();
    assert_eq!(
        list.lines("summary")[0]["jurisdictions"]
            .as_array()
            .unwrap()
            .len(),
        249
    );
    let known = world
        .run(&["jurisdictions", "list", "--known", "--json"])
        .expect_ok();
    assert_eq!(
        known.lines("summary")[0]["jurisdictions"]
            .as_array()
            .unwrap()
            .len(),
        110
    );
    let show = world
        .run(&["jurisdictions", "show", "DE"])
        .expect_ok()
        .text();
    assert!(show.contains("EEA") && show.contains("GDPR"), "{show}");
    let typo = world
        .run(&["jurisdictions", "show", "XX"])
        .expect_code("INVALID_CONFIG", 2);
    assert!(typo.stderr.contains("XX"));
}

#[test]
fn inspect_tells_what_a_file_and_a_manifest_are() {
    let world = World::new(2, 3);
    world.write(
        "a.vcf",
        "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
    );
    let run = world.run(&["inspect", "a.vcf", "--json"]).expect_ok();
    assert_eq!(run.lines("summary")[0]["format"], "vcf");
    world.write("file", payload(10));
    world.split("file").expect_ok();
    let run = world.run(&["inspect", "file.xgm", "--json"]).expect_ok();
    assert_eq!(run.lines("summary")[0]["consent"]["subjectId"], "SUBJ-001");
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    let run = world.run(&[
        "split",
        "file",
        "--sites",
        "sites.toml",
        "--consent",
        "consent.json",
        "--dry-run",
    ]);
    assert!(run.expect_ok().text().contains("Germany"));
    assert!(world.stored().is_empty() && !world.path("home").exists());
}

#[test]
fn the_demo_holds() {
    let world = World::new(2, 3);
    let run = world.run(&["demo"]).expect_ok();
    assert!(run.text().contains("All claims hold"), "{}", run.text());
    assert!(
        !world.path("home").exists(),
        "the user's own keys are left alone"
    );
}
