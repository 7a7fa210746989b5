//! `cargo xtask codes`: docs/errors.md is what the program itself prints.

use anyhow::{Result, bail};

use crate::document::Document;
use crate::process;
use crate::workspace::Workspace;

pub(crate) const DOCUMENT: Document = Document {
    path: "docs/errors.md",
    command: "codes",
    generate,
};

fn generate(workspace: &Workspace) -> Result<String> {
    let args = [
        "run",
        "--quiet",
        "--package",
        "xgene-cli",
        "--bin",
        "xgene",
        "--",
        "errors",
        "--markdown",
    ];
    let table = process::stdout(&mut process::cargo(workspace, args))?;
    if table.trim().is_empty() {
        bail!("`xgene errors --markdown` printed nothing");
    }
    Ok(table)
}
