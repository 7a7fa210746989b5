//! Output that appears under its final name wholly or not at all.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use crate::error::Error;
use crate::keys::file::sync_folder;

/// A file that is written as `NAME.part` and renamed to `NAME` by [`PartFile::commit`].
///
/// Dropping it without a commit removes what was written. A `.part` left by a killed process is
/// replaced by the next one.
#[derive(Debug)]
pub struct PartFile {
    file: Option<tokio::fs::File>,
    part: PathBuf,
    path: PathBuf,
}

impl PartFile {
    /// Creates `path.part`, for the owner only.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be created.
    pub async fn create(path: &Path) -> Result<Self, Error> {
        let part = part_name(path);
        if path.is_dir() {
            return Err(Error::output(path, ErrorKind::IsADirectory.into()));
        }
        let file = new_file(&part).map_err(|error| Error::output(&part, error))?;
        Ok(Self {
            file: Some(file.into()),
            part,
            path: path.to_owned(),
        })
    }

    /// Makes the bytes durable and gives them their name.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails; then there is no file under the final name.
    pub async fn commit(mut self) -> Result<(), Error> {
        let (part, path) = (self.part.clone(), self.path.clone());
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let named = async {
            file.sync_all().await?;
            tokio::fs::rename(&part, &path).await?;
            sync_folder(&path)
        };
        named.await.map_err(|error| {
            let _ = std::fs::remove_file(&part);
            Error::output(&path, error)
        })
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

impl PartFile {
    fn poll_file<T>(
        mut self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut tokio::fs::File>) -> Poll<std::io::Result<T>>,
    ) -> Poll<std::io::Result<T>> {
        match &mut self.file {
            Some(file) => poll(Pin::new(file)),
            None => Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncWrite for PartFile {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.poll_file(|file| file.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.poll_file(|file| file.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.poll_file(|file| file.poll_shutdown(cx))
    }
}

/// Writes `bytes` as the whole file `path`, durably, or leaves no file.
///
/// # Errors
/// [`Error::Output`] when it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let part = part_name(path);
    let written = new_file(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&part, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&part);
        Error::output(path, error)
    })
}

/// A file of our own making at `path`, for the owner only: what an earlier run left there is
/// removed, and neither a link nor a file of somebody else is ever written to.
fn new_file(path: &Path) -> std::io::Result<std::fs::File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn part_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn nothing_has_the_name_before_the_commit_and_nothing_is_left_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.vcf.gz");
        let mut dropped = PartFile::create(&path).await.unwrap();
        dropped.write_all(b"half").await.unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut whole = PartFile::create(&path).await.unwrap();
        whole.write_all(b"whole").await.unwrap();
        whole.flush().await.unwrap();
        assert!(!path.exists());
        whole.commit().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
