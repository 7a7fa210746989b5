//! Child processes: run one, and on failure say which command line it was.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// The `cargo` that runs this program, in the workspace root and without standard input.
pub(crate) fn cargo<S: AsRef<OsStr>>(
    workspace: &Workspace,
    args: impl IntoIterator<Item = S>,
) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(workspace.root())
        .stdin(Stdio::null());
    command
}

/// Runs `command` with its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start: {}", line(command)))?;
    require_success(command, status)
}

/// Runs `command` and keeps what it says to itself, unless it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start: {}", line(command)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    require_success(command, output.status).with_context(|| said.trim_end().to_owned())
}

/// Runs `command` and returns its standard output; standard error goes where ours goes.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start: {}", line(command)))?;
    require_success(command, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("not text: {}", line(command)))
}

/// Runs `command` and hands on each line of its output and errors, in the order written.
pub(crate) fn lines(mut command: Command, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
    let name = line(&command);
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start: {name}"))?;
    // The command holds our writing ends; the reader ends only when they are closed.
    drop(command);
    for bytes in BufReader::new(reader).split(b'\n') {
        each(&String::from_utf8_lossy(&bytes?));
    }
    Ok(child.wait()?)
}

/// The error of a command that did not end well.
pub(crate) fn require_success(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{status}: {}", line(command));
    }
    Ok(())
}

/// `command` as one would type it, with the environment that it was given.
pub(crate) fn line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        Some(format!("{}={}", name.to_string_lossy(), quoted(&value)))
    });
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        let mut command = Command::new("cargo");
        command
            .args(["doc", "a b"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(line(&command), "RUSTDOCFLAGS='-D warnings' cargo doc 'a b'");
    }

    #[test]
    fn lines_of_both_streams_arrive_and_the_status_is_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let mut seen = Vec::new();
        let status = lines(command, |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["one", "two"]);
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_failure_says_what_the_command_said() {
        let error = run_quietly(Command::new("sh").args(["-c", "echo why >&2; exit 3"]));
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("why") && error.contains("exit 3"), "{error}");
        assert!(run_quietly(&mut Command::new("true")).is_ok());
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(error.to_string().contains("sh -c 'exit 3'"), "{error}");
    }
}
