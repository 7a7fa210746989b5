//! The input of a verb: a regular file, or standard input.

use std::path::Path;

use tokio::io::AsyncRead;
use xstore::Store;

use crate::failure::Failure;

/// An open input, and its length where it has one.
pub(crate) struct Source {
    pub(crate) reader: Box<dyn AsyncRead + Unpin + Send>,
    pub(crate) len_bytes: Option<u64>,
}

/// Opens `path`; `-` is standard input.
pub(crate) async fn open(path: &Path) -> Result<Source, Failure> {
    if path == Path::new("-") {
        return Ok(Source {
            reader: Box::new(tokio::io::stdin()),
            len_bytes: None,
        });
    }
    let failed = |error: std::io::Error| Failure::input(path, &error);
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let meta = file.metadata().await.map_err(failed)?;
    if meta.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    let len_bytes = meta.is_file().then_some(meta.len());
    Ok(Source {
        reader: Box::new(file),
        len_bytes,
    })
}

/// Says of a failed put that the same command can go on, where that is so.
pub(crate) fn offer_resume(
    failure: Failure,
    store: &Store,
    name: Option<&str>,
    note: Option<&str>,
) -> Failure {
    // These say themselves what is in the way of going on.
    let is_in_the_way = ["SOURCE_CHANGED", "CONFLICT", "INVALID_CONFIG"].contains(&failure.code);
    if is_in_the_way || !store.can_resume(name, note).unwrap_or(false) {
        return failure;
    }
    let recovery = format!(
        "{}; with --resume it goes on where it stopped",
        failure.recovery
    );
    Failure {
        recovery,
        ..failure
    }
}

/// The bytes of a small file, of which no more than `max` are read.
pub(crate) fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(max)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error: std::io::Error| Failure::input(path, &error))
}
