//! What a run left in the journal of its home.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::store::files;

/// The files of a journal: none once recovery is through.
#[derive(Debug)]
pub(super) struct Journal(Vec<PathBuf>);

impl Journal {
    pub(super) fn read(home: &Path) -> Result<Self> {
        Ok(Self(files(&home.join("journal"))?))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How far the one operation came; `None` before and after it.
    pub(super) fn phase(&self) -> Option<&'static str> {
        let phases = ["committed", "manifest", "intent"].into_iter();
        phases
            .filter(|_| self.has("intent"))
            .find(|phase| self.has(phase))
    }

    /// Whether a put that stopped is kept for a day, to go on: before its manifest, and with notes of
    /// what is finished. Recovery removes one that has nothing finished.
    pub(super) fn is_kept(&self) -> bool {
        self.phase() == Some("intent") && self.has("checkpoint")
    }

    fn has(&self, extension: &str) -> bool {
        let mut extensions = self.0.iter().filter_map(|file| file.extension());
        extensions.any(|there| there == extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(names: &[&str]) -> Journal {
        Journal(names.iter().map(PathBuf::from).collect())
    }

    #[test]
    fn only_a_put_before_its_manifest_is_kept() {
        let cases: [(&[&str], Option<&str>, bool); 6] = [
            (&[], None, false),
            (&["1.lock", "1.manifest"], None, false),
            (&["1.intent"], Some("intent"), false),
            (&["1.intent", "1.checkpoint"], Some("intent"), true),
            (
                &["1.intent", "1.checkpoint", "1.manifest"],
                Some("manifest"),
                false,
            ),
            (&["1.intent", "1.committed"], Some("committed"), false),
        ];
        for (names, phase, kept) in cases {
            let journal = journal(names);
            assert_eq!(
                (journal.phase(), journal.is_kept()),
                (phase, kept),
                "{names:?}"
            );
        }
    }
}
