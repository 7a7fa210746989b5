//! A folder with everything that one trial of `xgene` needs: three places for shares, their
//! configuration, a consent, and a home of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// Jurisdictions of three legal zones; two of the three shares are enough.
const CODES: [&str; 3] = ["DE", "CA", "JP"];

const CONSENT: &str = r#"{"subjectId":"TRIAL-1","purpose":"trial","grantedBy":"xtask","grantedAt":"2020-01-01T00:00:00Z","authorizedJurisdictions":["DE","CA","JP"]}
"#;

/// One trial; its folder stays where it is until the next trial of the same name.
#[derive(Debug)]
pub(crate) struct Trial {
    binary: PathBuf,
    folder: PathBuf,
}

impl Trial {
    /// Makes `folder` anew, with nothing stored in it.
    pub(crate) fn create(binary: &Path, folder: &Path) -> Result<Self> {
        let trial = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
        };
        trial
            .lay_out()
            .with_context(|| format!("{}", folder.display()))?;
        Ok(trial)
    }

    fn lay_out(&self) -> io::Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        for code in CODES {
            fs::create_dir_all(self.share_folder(code))?;
        }
        let mut sites = String::from("threshold = 2\n");
        for code in CODES {
            let folder = self.share_folder(code);
            let endpoint = format!("file://{}", folder.display());
            sites += &format!("\n[[jurisdiction]]\ncode = \"{code}\"\nendpoint = \"{endpoint}\"\n");
        }
        fs::write(self.path("sites.toml"), sites)?;
        fs::write(self.path("consent.json"), CONSENT)
    }

    fn share_folder(&self, code: &str) -> PathBuf {
        self.folder.join("shares").join(code)
    }

    /// A path within the trial's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// `xgene split`; `input` is a file or `-`. The payload is no genomic file and need not be one.
    pub(crate) fn split(&self, input: &Path, manifest: &Path) -> Command {
        let mut command = self.xgene("split");
        command
            .arg(input)
            .arg("--consent")
            .arg(self.path("consent.json"))
            .arg("--allow-invalid")
            .arg("--output")
            .arg(manifest);
        command
    }

    /// `xgene get`; `output` is a file or `-`.
    pub(crate) fn get(&self, manifest: &Path, output: &Path) -> Command {
        let mut command = self.xgene("get");
        command.arg(manifest).arg("--output").arg(output);
        command
    }

    fn xgene(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg(verb)
            .arg("--sites")
            .arg(self.path("sites.toml"))
            .env("XGENE_HOME", self.path("home"))
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// Number of files below the folders of all shares, temporary and hidden ones included.
    pub(crate) fn share_files(&self) -> Result<usize> {
        let folder = self.path("shares");
        count_files(&folder).with_context(|| format!("{}", folder.display()))
    }

    /// Removes the trial's folder; after a failure it is better kept and looked at.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("{}", self.folder.display()))
    }
}

/// Number of files below `folder`, at any depth.
pub(crate) fn count_files(folder: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() {
            count_files(&entry.path())?
        } else {
            1
        };
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_trial_is_configured_and_empty() {
        let name = format!("xtask-trial-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let trial = Trial::create(Path::new("xgene"), &folder).unwrap();
        assert_eq!(trial.share_files().unwrap(), 0);
        fs::write(trial.share_folder("JP").join(".left"), "x").unwrap();
        assert_eq!(trial.share_files().unwrap(), 1);
        let sites = fs::read_to_string(trial.path("sites.toml")).unwrap();
        assert_eq!(sites.matches("[[jurisdiction]]").count(), CODES.len());
        let trial = Trial::create(Path::new("xgene"), &folder).unwrap();
        assert_eq!(trial.share_files().unwrap(), 0);
        trial.remove().unwrap();
        assert!(!folder.exists());
    }
}
