//! `Medium`: a small file system in memory, where the test may mount one (Linux, as root).

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system, unmounted when dropped.
pub(crate) struct Medium {
    folder: TempDir,
}

impl Medium {
    /// `None`, with a line that says so, where nothing can be mounted.
    pub(crate) fn mount(test: &str, options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["-t", "tmpfs", "-o", options, "tmpfs"];
        if mount(&arguments, folder.path()) {
            return Some(Self { folder });
        }
        println!("SKIP {test}: mounting a tmpfs");
        None
    }

    pub(crate) fn remount(&self, options: &str) {
        let arguments = ["-o", &format!("remount,{options}")];
        assert!(mount(&arguments, self.folder.path()), "{options}");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        // Lazily: a handle of a failed test may still be open.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

fn mount(arguments: &[&str], folder: &Path) -> bool {
    let output = Command::new("mount").args(arguments).arg(folder).output();
    output.is_ok_and(|output| output.status.success())
}
