//! The state file: which servers run, where, and with which credentials.
//!
//! It holds secrets, if short-lived ones, and is therefore readable by its owner only.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::access::Access;
use super::daemon::Process;

/// All servers that were started and not taken down.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) servers: BTreeMap<String, Running>,
}

/// One server. Its address stays empty until it answers.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) url: String,
    pub(super) env: BTreeMap<String, String>,
    pub(super) pids: Vec<i32>,
    /// When each process of `pids` started, so that a number used again is not taken for it.
    start_ticks: Vec<u64>,
}

impl Running {
    pub(super) fn add(&mut self, process: Process) {
        self.pids.push(process.pid);
        self.start_ticks.push(process.start_ticks);
    }

    pub(super) fn processes(&self) -> Vec<Process> {
        let both = self.pids.iter().zip(&self.start_ticks);
        both.map(|(&pid, &start_ticks)| Process { pid, start_ticks })
            .collect()
    }

    pub(super) fn announce(&mut self, access: Access) {
        self.url = access.url;
        self.env = access.env;
    }
}

impl State {
    /// Without a file, nothing runs.
    pub(super) fn read(file: &Path) -> Result<Self> {
        match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("not a state file"),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
        .with_context(|| format!("{}", file.display()))
    }

    /// Replaces the file in one step.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            make_private_folder(folder)?;
        }
        let staged = file.with_extension("new");
        write_private(&staged, &serde_json::to_vec_pretty(self)?)?;
        fs::rename(&staged, file).with_context(|| format!("{}", file.display()))
    }
}

/// Makes a folder that only its owner may enter, with those above it.
pub(super) fn make_private_folder(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("{}", folder.display()))
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("{}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_state_comes_back_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("servers/state.json");
        assert_eq!(State::read(&file).unwrap(), State::default());
        let mut running = Running::default();
        running.add(Process {
            pid: 7,
            start_ticks: 8,
        });
        running.announce(Access::new("redis://x".to_owned(), [("A", "b".to_owned())]));
        let mut state = State::default();
        state.servers.insert("redis".to_owned(), running);
        state.write(&file).unwrap();
        assert_eq!(State::read(&file).unwrap(), state);
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn readers_find_what_they_were_promised() {
        let text = r#"{"servers": {"redis": {"url": "u", "env": {"A": "b"},
            "pids": [7], "start_ticks": [8]}}}"#;
        let state: State = serde_json::from_str(text).unwrap();
        let redis = &state.servers["redis"];
        assert_eq!((redis.url.as_str(), redis.env["A"].as_str()), ("u", "b"));
        let expected = Process {
            pid: 7,
            start_ticks: 8,
        };
        assert_eq!(redis.processes(), [expected]);
    }
}
