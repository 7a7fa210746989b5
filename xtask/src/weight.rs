//! `cargo xtask weight`: how many crates each backend brings along, and which must never come.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::document::Document;
use crate::process;
use crate::workspace::Workspace;

pub(crate) const DOCUMENT: Document = Document {
    path: "docs/weight.md",
    command: "weight",
    generate,
};

const PACKAGE: &str = "xstore-backends";

/// What a user may choose: nothing, one provider, what the command line has, everything.
const SETS: [(&str, &str); 10] = [
    ("none (`memory:` only)", ""),
    ("`fs`", "fs"),
    ("`s3`", "s3"),
    ("`azure`", "azure"),
    ("`gcs`", "gcs"),
    ("`redis`", "redis"),
    ("`sqlite`", "sqlite"),
    ("`webdav`", "webdav"),
    ("`sftp`", "sftp"),
    (
        "all but `sftp`, as in `xgene`",
        "fs,s3,azure,gcs,redis,sqlite,webdav",
    ),
];

/// A library of the system, or a tool, that a user would have to install first.
const REFUSED: [&str; 6] = [
    "openssl-sys",
    "native-tls",
    "aws-lc-sys",
    "aws-lc-rs",
    "cmake",
    "bindgen",
];

const HEAD: &str = "\
# Weight of the backends

Written by `cargo xtask weight`, and compared by `cargo xtask ci`: crates that `cargo tree --edges normal,build` counts for
`xstore-backends` with these features on Linux, our own included. None of them is openssl-sys, native-tls, aws-lc, cmake or
bindgen, so that gcc is all that a build needs.

| features | crates |
|---|---|
";

fn generate(workspace: &Workspace) -> Result<String> {
    let mut text = HEAD.to_owned();
    for (label, features) in SETS {
        let crates = tree(workspace, features)?;
        if let Some(refused) = REFUSED
            .iter()
            .find(|name| crates.iter().any(|one| one == *name))
        {
            bail!("{PACKAGE} with {label} needs {refused}");
        }
        writeln!(text, "| {label} | {} |", crates.len())?;
    }
    Ok(text)
}

/// Names of all crates that are built for the feature set, without those that only tests need.
fn tree(workspace: &Workspace, features: &str) -> Result<BTreeSet<String>> {
    let args = [
        "tree",
        "--locked",
        "--package",
        PACKAGE,
        "--no-default-features",
        "--features",
        features,
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--target",
        "x86_64-unknown-linux-gnu",
        "--format",
        "{p}",
    ];
    let tree = process::stdout(&mut process::cargo(workspace, args))?;
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}
