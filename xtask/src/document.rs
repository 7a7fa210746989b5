//! Documents that a command writes: CI compares them with what it would write now.

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::workspace::Workspace;

/// A generated document.
#[derive(Debug)]
pub(crate) struct Document {
    /// Below the root of the workspace.
    pub(crate) path: &'static str,
    /// The words behind `cargo xtask` that write it.
    pub(crate) command: &'static str,
    pub(crate) generate: fn(&Workspace) -> Result<String>,
}

impl Document {
    /// Writes it, or with `--check` only compares.
    pub(crate) fn run(&self, workspace: &Workspace, mut args: Args) -> Result<()> {
        let only_check = args.switch("--check");
        args.finish()?;
        if only_check {
            return self.check(workspace);
        }
        let text = (self.generate)(workspace)?;
        let path = workspace.root().join(self.path);
        std::fs::write(&path, text).with_context(|| format!("{}", path.display()))
    }

    /// Refuses a document that differs from what the command writes.
    pub(crate) fn check(&self, workspace: &Workspace) -> Result<()> {
        let Self { path, command, .. } = self;
        let expected = (self.generate)(workspace)?;
        let actual = std::fs::read_to_string(workspace.root().join(path))
            .with_context(|| format!("{path}: run `cargo xtask {command}`"))?;
        if let Some(line) = first_difference(&expected, &actual) {
            bail!("{path}:{line} is not what is written now: run `cargo xtask {command}`");
        }
        Ok(())
    }
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
