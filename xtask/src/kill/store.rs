//! A store of `xgene store` with one object, over folders: one more than there are shares.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use super::journal::Journal;

/// In the order of their labels, `backend1` and so on.
const BACKENDS: [&str; 4] = ["a", "b", "c", "d"];

const SHARE_COUNT: usize = 3;

/// The name of the one object.
pub(super) const OBJECT: &str = "object";

/// Longer than the grace of a collector.
const DAY: Duration = Duration::from_secs(25 * 3600);

/// Of an object's manifests at one backend: the committed one and its predecessor.
const MANIFESTS_KEPT: usize = 2;

/// One store; its folder stays where it is until the next one of the same name.
#[derive(Debug)]
pub(super) struct Store {
    binary: PathBuf,
    folder: PathBuf,
}

impl Store {
    /// Makes `folder` anew, with nothing stored in it.
    pub(super) fn create(binary: &Path, folder: &Path) -> Result<Self> {
        let store = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
        };
        let lay_out = || {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            let mut backends = store.backends();
            backends.try_for_each(fs::create_dir_all)
        };
        lay_out().with_context(|| format!("{}", folder.display()))?;
        Ok(store)
    }

    /// `xgene store` with these words.
    pub(super) fn command<const N: usize>(&self, words: [&str; N]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("store").args(words);
        for backend in self.backends() {
            command.arg(format!("--backend=file://{}", backend.display()));
        }
        command
            .arg(format!("--shares={SHARE_COUNT}"))
            .env("XGENE_HOME", self.path("home"))
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn backends(&self) -> impl Iterator<Item = PathBuf> {
        BACKENDS.iter().map(|name| self.path(name))
    }

    /// Labels of the backends that hold shares, and of those that hold none.
    pub(super) fn holders(&self) -> Result<(Vec<String>, Vec<String>)> {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for (at, folder) in self.backends().enumerate() {
            let is_holder = files(&folder)?.iter().any(|file| is_share(file));
            let labels = if is_holder { &mut with } else { &mut without };
            labels.push(format!("backend{}", at + 1));
        }
        Ok((with, without))
    }

    /// Every file of a share.
    pub(super) fn shares(&self) -> Result<Vec<PathBuf>> {
        let mut files = self.files()?;
        files.retain(|file| is_share(file));
        Ok(files)
    }

    /// Marks of a collector.
    pub(super) fn tombs(&self) -> Result<usize> {
        let files = self.files()?;
        let tombs = files.iter().filter(|file| has_part(file, "tomb"));
        Ok(tombs.count())
    }

    pub(super) fn journal(&self) -> Result<Journal> {
        Journal::read(&self.path("home"))
    }

    /// Files of shares that are too many or too few, and temporary files.
    pub(super) fn strays(&self, shares: usize) -> Result<usize> {
        let files = self.files()?;
        let temporary = files.iter().filter(|file| has_part(file, ".tmp"));
        Ok(self.shares()?.len().abs_diff(shares) + temporary.count())
    }

    /// Manifests that a collection should have removed.
    pub(super) fn old_manifests(&self) -> Result<usize> {
        let mut old = 0;
        for backend in self.backends() {
            let files = files(&backend)?;
            let manifests = files.iter().filter(|file| has_part(file, "o"));
            old += manifests.count().saturating_sub(MANIFESTS_KEPT);
        }
        Ok(old)
    }

    /// Makes everything at the backends a day older, as their clock tells it.
    pub(super) fn age(&self) -> Result<()> {
        let then = SystemTime::now() - DAY;
        for file in self.files()? {
            let file = File::options().write(true).open(file)?;
            file.set_modified(then)?;
        }
        Ok(())
    }

    /// Gives every dealing a twin that no manifest names.
    pub(super) fn add_orphans(&self) -> Result<()> {
        for share in self.shares()? {
            let twin = twin(&share).context("a share below no dealing")?;
            let folder = twin.parent().context("a share below no folder")?;
            fs::create_dir_all(folder)?;
            fs::copy(share, &twin)?;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for backend in self.backends() {
            found.extend(files(&backend)?);
        }
        Ok(found)
    }
}

/// Files below `folder`, at any depth; none when it is not there.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries.with_context(|| format!("{}", folder.display()))?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Names of shares are `T/s/P/..`, of manifests `T/o/M/..`.
fn is_share(file: &Path) -> bool {
    has_part(file, "s")
}

fn has_part(file: &Path, part: &str) -> bool {
    let parts = file.components().rev().take(NAME_PARTS);
    parts
        .map(|part| part.as_os_str())
        .any(|there| there == part)
}

/// A stored name has so many parts at most, and a folder above it may have any name.
const NAME_PARTS: usize = 5;

/// The same share below another dealing of the same backend.
fn twin(share: &Path) -> Option<PathBuf> {
    let dealing = share.ancestors().find(|folder| {
        let parent = folder.parent().and_then(Path::file_name);
        parent.is_some_and(|parent| parent == "s")
    })?;
    let name = dealing.file_name()?.to_str()?;
    let other = if name.starts_with('0') { "1" } else { "0" };
    let twin = dealing.with_file_name(format!("{other}{}", name.get(1..)?));
    Some(twin.join(share.strip_prefix(dealing).ok()?))
}
