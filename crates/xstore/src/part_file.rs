//! Output that appears under its final name wholly or not at all.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::OFlags;
use tokio::io::AsyncWrite;

use crate::error::Error;
use crate::keys::file::sync_folder;

/// A file that is written as `NAME.xgene-part` and renamed to `NAME` by [`PartFile::commit`].
///
/// Dropping it without a commit removes what was written. One left by a killed process is
/// replaced by the next; one that another process writes is refused.
#[derive(Debug)]
pub struct PartFile {
    file: Option<tokio::fs::File>,
    part: PathBuf,
    path: PathBuf,
}

impl PartFile {
    /// Creates the part file, for the owner only.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be created, [`Error::Locked`] while another process writes it.
    pub async fn create(path: &Path) -> Result<Self, Error> {
        let part = part_name(path);
        if path.is_dir() {
            return Err(Error::output(path, ErrorKind::IsADirectory.into()));
        }
        let file = new_file(&part)?;
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
    let mut file = new_file(&part)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&part, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&part);
        Error::output(path, error)
    })
}

/// A new file at `path`, for the owner only and locked for as long as it is open. What a killed
/// process left there is removed; neither a link nor a file that somebody writes is touched.
fn new_file(path: &Path) -> Result<File, Error> {
    let output = |error| Error::output(path, error);
    let locked = |file: File| match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(format!(
            "{} is being written",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(output(error)),
    };
    loop {
        match options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
        {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            file => return locked(file.map_err(output)?),
        }
        // Only whoever holds its lock may remove what is there.
        let left = match options().read(true).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            left => locked(left.map_err(output)?)?,
        };
        std::fs::remove_file(path).map_err(output)?;
        drop(left);
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn part_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".xgene-part");
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
        std::fs::write(part_name(&path), "left by a killed process").unwrap();
        let mut whole = PartFile::create(&path).await.unwrap();
        whole.write_all(b"whole").await.unwrap();
        whole.flush().await.unwrap();
        assert!(!path.exists());
        let second = PartFile::create(&path).await.unwrap_err();
        assert_eq!(second.code(), "LOCKED", "one writer at a time");
        whole.commit().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
