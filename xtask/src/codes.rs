//! `cargo xtask codes`: docs/errors.md is what the program itself prints.

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::process;
use crate::workspace::Workspace;

const DOCUMENT: &str = "docs/errors.md";

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let only_check = args.switch("--check");
    args.finish()?;
    if only_check {
        check(workspace)
    } else {
        write(workspace)
    }
}

/// Refuses a document that differs from what the program prints.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let expected = generate(workspace)?;
    let actual = std::fs::read_to_string(workspace.root().join(DOCUMENT))
        .with_context(|| format!("{DOCUMENT}: run `cargo xtask codes`"))?;
    if let Some(line) = first_difference(&expected, &actual) {
        bail!("{DOCUMENT}:{line} is not what the program prints: run `cargo xtask codes`");
    }
    Ok(())
}

fn write(workspace: &Workspace) -> Result<()> {
    let text = generate(workspace)?;
    let path = workspace.root().join(DOCUMENT);
    std::fs::write(&path, text).with_context(|| format!("{}", path.display()))
}

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

/// Number, from 1, of the first line that differs.
fn first_difference(expected: &str, actual: &str) -> Option<usize> {
    if expected == actual {
        return None;
    }
    let equal = expected
        .split('\n')
        .zip(actual.split('\n'))
        .take_while(|(left, right)| left == right)
        .count();
    Some(equal + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_different_line_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\nb\n", "a\nb"), Some(3));
        assert_eq!(first_difference("a\n", ""), Some(1));
    }
}
