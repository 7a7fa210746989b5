//! salvage: what can still be read of an object that cannot be read as a whole.
//!
//! Every chunk with k good shares is written at its place, and zeros where one is lost. Only on
//! explicit request: without all chunks nobody can say that the whole is what was stored.

use std::ops::Range;

use tokio::io::AsyncWrite;

use crate::error::{Error, ShareFault};
use crate::manifest::Manifest;
use crate::store::Store;
use crate::store::get::GetOptions;
use crate::store::put::panicked;
use crate::trailer::Trailer;

/// What was saved, and what is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvageReport {
    /// Bytes written, zeros included.
    pub len_bytes: u64,
    /// Whether that is the length of what was stored; otherwise the trailer is lost, and zeros may
    /// follow the end.
    pub len_known: bool,
    /// Byte ranges in which zeros stand for what is lost, in ascending order, none touching another.
    pub lost: Vec<Range<u64>>,
    /// Shares that could not be used.
    pub faults: Vec<ShareFault>,
}

/// Zeros that are written at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl Store {
    /// Writes what is good of the object to `output`, at its place, and lists what is lost.
    ///
    /// # Errors
    /// As [`Store::get`], but for missing shares; [`Error::InsufficientShares`] only when too few
    /// backends can be asked at all.
    pub async fn salvage(
        &self,
        manifest: &Manifest,
        output: &mut (dyn AsyncWrite + Unpin + Send),
        options: &GetOptions,
    ) -> Result<SalvageReport, Error> {
        let mut getting = self.getting(manifest, output, options).await?;
        let geometry = getting.reader.geometry;
        let trailer = geometry.data_chunks();
        let read = getting.fetch(trailer..trailer + 1).await;
        let read = read.map_err(panicked)??;
        getting.faults.extend(read.faults);
        let len_bytes = read.opened.into_iter().flatten().next().and_then(|opened| {
            let trailer = <&[u8; Trailer::LEN]>::try_from(opened.valid()).ok()?;
            Some(Trailer::decode(trailer).len_bytes)
        });
        let len_known = len_bytes.is_some();
        let end = len_bytes.unwrap_or(u64::MAX).min(geometry.padded_len());
        let mut lost: Vec<Range<u64>> = Vec::new();
        for segment in 0..geometry.segments() {
            let all = geometry.chunks_of(segment);
            let chunks = all.start..all.end.min(trailer);
            if chunks.is_empty() || getting.written >= end {
                break;
            }
            let read = getting.fetch(chunks.clone());
            let read = getting.settle(chunks.clone(), read).await?;
            getting.faults.extend(read.faults);
            for (chunk, opened) in chunks.zip(read.opened) {
                let at = getting.written;
                let rest = usize::try_from(end - at).unwrap_or(usize::MAX);
                let len = geometry.data_len(chunk).min(rest);
                if let Some(opened) = opened {
                    let valid = opened.valid();
                    getting.release(&valid[..valid.len().min(rest)]).await?;
                    continue;
                }
                let mut zeros = len;
                while zeros > 0 {
                    let some = zeros.min(ZEROS.len());
                    getting.release(&ZEROS[..some]).await?;
                    zeros -= some;
                }
                match lost.last_mut() {
                    Some(before) if before.end == at => before.end += len as u64,
                    _ if len > 0 => lost.push(at..at + len as u64),
                    _ => {}
                }
            }
        }
        let report = getting.end().await?;
        Ok(SalvageReport {
            len_bytes: report.len_bytes,
            len_known,
            lost,
            faults: report.faults,
        })
    }
}
