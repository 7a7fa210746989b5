//! The owner's backends by name: the file `backends.toml` in the home.
//!
//! A backend that was added once is given by its label from then on, and a store without any
//! `--backend` is over all of them, in the order of the file, which is that of the share indices.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xstore::Home;
use xstore::part_file::write_whole;

use crate::args::Backends;
use crate::commands::source::read_bounded;
use crate::failure::Failure;

/// No file of ours is longer: 251 backends of four kilobytes.
const LEN_BYTES_MAX: u64 = 1 << 20;

const LABEL_LEN_BYTES_MAX: usize = 32;

/// One backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) label: String,
    pub(crate) url: String,
    /// When it was last tried out; RFC 3339.
    pub(crate) tested_at: Option<String>,
    /// What it did otherwise than the contract says, and what else to know.
    #[serde(default)]
    pub(crate) findings: Vec<String>,
}

/// All of them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Book {
    #[serde(default)]
    backend: Vec<Entry>,
    #[serde(skip)]
    path: PathBuf,
}

impl Book {
    /// Reads the file; none is an empty one.
    pub(crate) fn open(home: &Home) -> Result<Self, Failure> {
        let path = home.folder().join("backends.toml");
        if !path.exists() {
            return Ok(Self {
                path,
                ..Self::default()
            });
        }
        let text = read_bounded(&path, LEN_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&text);
        let book: Self = toml::from_str(&text).map_err(|error| {
            let why = error.message().replace(char::is_control, " ");
            Failure::usage(format!("{}: {why}", path.display()))
        })?;
        Ok(Self { path, ..book })
    }

    /// In the order of the file.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.backend
    }

    /// Adds a backend, or replaces what is known of the one with its label and URL.
    pub(crate) fn insert(&mut self, entry: Entry) -> Result<(), Failure> {
        check_label(&entry.label)?;
        match self
            .backend
            .iter_mut()
            .find(|known| known.label == entry.label)
        {
            Some(known) if known.url != entry.url => Err(Failure::new(
                "CONFLICT",
                format!("{} is another backend already", entry.label),
                "choose another label, or remove the old one first",
            )),
            Some(known) => {
                *known = entry;
                Ok(())
            }
            None => {
                self.backend.push(entry);
                Ok(())
            }
        }
    }

    /// Forgets a label; whether it was known.
    pub(crate) fn remove(&mut self, label: &str) -> bool {
        let before = self.backend.len();
        self.backend.retain(|known| known.label != label);
        self.backend.len() < before
    }

    /// Writes the file, wholly or not at all.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let text = toml::to_string(self).map_err(|error| Failure::usage(error.to_string()))?;
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Failure::output(folder, &error))?;
        }
        Ok(write_whole(&self.path, text.as_bytes())?)
    }

    /// Label and URL of each backend that the command line means.
    pub(crate) fn meant_by(&self, given: &Backends) -> Result<Vec<(String, String)>, Failure> {
        let pair = |entry: &Entry| (entry.label.clone(), entry.url.clone());
        if given.urls.is_empty() {
            return Ok(self.backend.iter().map(pair).collect());
        }
        let meant = given.urls.iter().enumerate().map(|(i, text)| {
            if text.contains(':') {
                return Ok((format!("backend{}", i + 1), text.clone()));
            }
            let known = self.backend.iter().find(|known| known.label == *text);
            known.map(pair).ok_or_else(|| {
                let path = self.path.display();
                Failure::usage(format!("`{text}` is neither a URL nor a label in {path}"))
            })
        });
        meant.collect()
    }
}

/// Labels stand in manifests, errors and file names; `backend1` is what a URL of the command line is
/// called.
fn check_label(label: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let numbered = label.strip_prefix("backend");
    let taken = numbered.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    if label.is_empty() || label.len() > LABEL_LEN_BYTES_MAX || !label.bytes().all(plain) || taken {
        return Err(Failure::usage(
            "a label has lower-case letters, digits and `-`, at most 32, and is not backend1 or the like",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, url: &str) -> Entry {
        Entry {
            label: label.into(),
            url: url.into(),
            tested_at: None,
            findings: vec!["its clock is 7 s ahead".into()],
        }
    }

    fn given(urls: &[&str]) -> Backends {
        Backends {
            urls: urls.iter().map(|&url| url.to_owned()).collect(),
            threshold: 2,
            shares: None,
            chunk_size: "2MiB".into(),
        }
    }

    #[test]
    fn what_was_added_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(&folder.path().join("home"));
        let mut book = Book::open(&home).unwrap();
        book.insert(entry("berlin", "s3://b?region=eu-central-1"))
            .unwrap();
        book.insert(entry("ottawa", "az://a/c")).unwrap();
        book.save().unwrap();

        let mut book = Book::open(&home).unwrap();
        let pair = |label: &str, url: &str| (label.to_owned(), url.to_owned());
        let (berlin, ottawa) = (
            pair("berlin", "s3://b?region=eu-central-1"),
            pair("ottawa", "az://a/c"),
        );
        assert_eq!(
            book.meant_by(&given(&[])).unwrap(),
            [berlin.clone(), ottawa.clone()]
        );
        let mixed = book
            .meant_by(&given(&["ottawa", "file:///a", "berlin"]))
            .unwrap();
        assert_eq!(mixed, [ottawa, pair("backend2", "file:///a"), berlin]);
        assert_eq!(
            book.meant_by(&given(&["tokyo"])).unwrap_err().code,
            "INVALID_CONFIG"
        );
        assert_eq!(book.entries()[0].findings, ["its clock is 7 s ahead"]);

        assert!(book.remove("berlin") && !book.remove("berlin"));
        book.save().unwrap();
        assert_eq!(Book::open(&home).unwrap().entries().len(), 1);
    }

    #[test]
    fn one_label_is_one_backend() {
        let mut book = Book::default();
        book.insert(entry("berlin", "s3://b")).unwrap();
        book.insert(entry("berlin", "s3://b")).unwrap();
        assert_eq!(
            book.insert(entry("berlin", "s3://c")).unwrap_err().code,
            "CONFLICT"
        );
        for label in ["", "Berlin", "a:b", "backend1", "a b", &"a".repeat(33)] {
            assert!(book.insert(entry(label, "s3://b")).is_err(), "{label}");
        }
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        std::fs::write(
            folder.path().join("backends.toml"),
            "[[backend]]\nurl = 7\n",
        )
        .unwrap();
        assert_eq!(Book::open(&home).unwrap_err().code, "INVALID_CONFIG");
    }
}
