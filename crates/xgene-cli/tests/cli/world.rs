//! A folder with jurisdictions, a sites file and a consent; and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const CODES: [&str; 5] = ["DE", "CA", "JP", "BR", "AU"];

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) codes: Vec<&'static str>,
}

/// What a run printed and how it ended.
pub(crate) struct Run {
    pub(crate) exit: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl World {
    /// `threshold` of the first `count` jurisdictions of [`CODES`].
    pub(crate) fn new(threshold: u8, count: usize) -> Self {
        Self::of(threshold, &CODES[..count])
    }

    pub(crate) fn of(threshold: u8, codes: &[&'static str]) -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            codes: codes.to_vec(),
        };
        let mut sites = format!("threshold = {threshold}\nchunk_size = \"64KiB\"\n");
        for code in codes {
            std::fs::create_dir(world.path(code)).unwrap();
            sites += &format!("[[jurisdiction]]\ncode = \"{code}\"\nendpoint = \"./{code}\"\n");
        }
        world.write("sites.toml", sites);
        world.consent(codes, "2099-01-01T00:00:00Z");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn consent(&self, codes: &[&str], expires_at: &str) {
        let consent = serde_json::json!({
            "subjectId": "SUBJ-001", "purpose": "rare-disease-research", "grantedBy": "patient",
            "grantedAt": "2026-04-10T00:00:00Z", "authorizedJurisdictions": codes,
            "expiresAt": expires_at,
        });
        self.write("consent.json", consent.to_string());
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xgene"));
        command.args(args).current_dir(self.folder.path());
        command
            .env_clear()
            .env("XGENE_HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin");
        command.stdin(std::process::Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().unwrap())
    }

    /// Runs with bytes on standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &Path) -> Run {
        let input = std::fs::File::open(input).unwrap();
        Run::of(self.command(args).stdin(input).output().unwrap())
    }

    /// Splits `file` under the sites and consent of this world.
    pub(crate) fn split(&self, file: &str) -> Run {
        self.run(&[
            "split",
            file,
            "--sites",
            "sites.toml",
            "--consent",
            "consent.json",
        ])
    }

    /// Every file at the jurisdictions.
    pub(crate) fn stored(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self.codes.iter().map(|code| self.path(code)).collect();
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path)
                } else {
                    files.push(path)
                }
            }
        }
        files.sort();
        files
    }

    /// Files of shares, at all jurisdictions.
    pub(crate) fn shares(&self) -> Vec<PathBuf> {
        let stored = self.stored().into_iter();
        stored
            .filter(|path| path.to_string_lossy().contains("/s/"))
            .collect()
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn expect_ok(self) -> Self {
        assert_eq!(self.exit, 0, "{}{}", self.text(), self.stderr);
        self
    }

    /// The run failed with this code and exit code, said so in one sentence, and what to do next.
    pub(crate) fn expect_code(self, code: &str, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "{code}: {}{}", self.text(), self.stderr);
        assert!(
            self.stderr.contains(&format!("error[{code}]: ")),
            "{}",
            self.stderr
        );
        assert!(self.stderr.contains("\n  next: "), "{}", self.stderr);
        self
    }

    /// The JSON lines of one type.
    pub(crate) fn lines(&self, message_type: &str) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["message_type"] == message_type)
            .collect()
    }
}

/// Bytes that repeat nowhere.
pub(crate) fn payload(len: usize) -> Vec<u8> {
    let mut state = 1_u64 << 40;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect()
}

/// Every subset of `of` with `k` members.
pub(crate) fn subsets<T: Copy>(of: &[T], k: usize) -> Vec<Vec<T>> {
    (0u32..1 << of.len())
        .filter(|set| set.count_ones() as usize == k)
        .map(|set| {
            (0..of.len())
                .filter(|i| set >> i & 1 == 1)
                .map(|i| of[i])
                .collect()
        })
        .collect()
}
