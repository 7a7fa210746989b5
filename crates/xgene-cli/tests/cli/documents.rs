//! The README's commands and the examples do what they say.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::world::World;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The first block of a language in a Markdown text.
fn block(text: &str, language: &str) -> String {
    let start = format!("```{language}\n");
    let (_, rest) = text.split_once(&start).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_readme_s_commands_run_as_written() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let world = World::new(2, 3);
    world.write("sites.toml", block(&readme, "toml"));
    world.write("consent.json", block(&readme, "json"));
    let columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";
    world.write("cohort.vcf", format!("##fileformat=VCFv4.3\n{columns}"));
    std::fs::create_dir(world.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_xgene"), world.path("bin/xgene")).unwrap();
    let output = std::process::Command::new("sh")
        .args(["-euc", &block(&readme, "sh")])
        .current_dir(world.folder.path())
        .env_clear()
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", world.path("bin").display()),
        )
        .env("XGENE_HOME", world.path("home"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(world.path("restored.vcf").exists());
}

#[test]
fn the_examples_split_and_restore() {
    for name in ["biobank", "trial", "analysis"] {
        let (world, example) = (World::new(2, 3), root().join("examples").join(name));
        for file in ["sites.toml", "consent.json"] {
            std::fs::copy(example.join(file), world.path(file)).unwrap();
        }
        let sites = std::fs::read_to_string(world.path("sites.toml")).unwrap();
        for line in sites.lines().filter(|line| line.starts_with("endpoint")) {
            let endpoint = Path::new(line.split('"').nth(1).unwrap());
            std::fs::create_dir_all(world.folder.path().join(endpoint)).unwrap();
        }
        world.write("file", name);
        world
            .run(&["plan", "--sites", "sites.toml", "--consent", "consent.json"])
            .expect_ok();
        world.split("file").expect_ok();
        world.run(&["get", "file.xgm", "-o", "out"]).expect_ok();
        assert_eq!(std::fs::read_to_string(world.path("out")).unwrap(), name);
    }
}
