//! One pass over a file that tells its format, its facts and its faults.
//!
//! Bytes are pushed, not pulled, so that a program which reads the file for another purpose can
//! inspect it on the way, also from a pipe. Memory is bounded: 64 KiB to detect the format, one
//! block, one piece of content, and a header of at most 64 MiB.

mod body;

use std::io::{self, Read};

use self::body::Body;
use crate::detect::{PREFIX_LEN_BYTES, detect};
use crate::read::read_pieces;
use crate::report::{Facts, Finding, Report};
use crate::{Compression, Content};

/// How much of a BGZF file is inflated. Other files are always read whole: a cut in plain gzip
/// shows in no other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// The header only; of all other blocks the frame is checked. As fast as the bytes come.
    Structure,
    /// Every block, with its checksum: also finds damage inside blocks, and counts FASTQ records.
    Contents,
}

/// Inspects a file that is pushed in pieces.
#[derive(Debug)]
pub struct Inspector {
    depth: Depth,
    bytes: u64,
    last_byte: Option<u8>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The first bytes, as long as they are too few to detect the format.
    Detecting(Vec<u8>),
    Checking(Box<Body>),
}

impl Inspector {
    /// An inspector before the first byte of a file.
    #[must_use]
    pub fn new(depth: Depth) -> Self {
        Self {
            depth,
            bytes: 0,
            last_byte: None,
            stage: Stage::Detecting(Vec::new()),
        }
    }

    /// Takes the next bytes of the file, any number of them.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.last_byte = bytes.last().copied().or(self.last_byte);
        // In pieces, so that what is held does not depend on the caller's.
        bytes
            .chunks(PREFIX_LEN_BYTES)
            .for_each(|piece| self.push_piece(piece));
    }

    /// What was found, when no more bytes come.
    #[must_use]
    pub fn finish(self) -> Report {
        let body = match self.stage {
            Stage::Detecting(prefix) => begin(&prefix, self.depth),
            Stage::Checking(body) => body,
        };
        let mut report = Report {
            format: body.format(),
            bytes: self.bytes,
            bgzf: None,
            findings: Vec::new(),
            facts: Facts::default(),
        };
        report.findings.extend(overall(&report, self.last_byte));
        body.finish(&mut report);
        report
    }

    fn push_piece(&mut self, piece: &[u8]) {
        match &mut self.stage {
            Stage::Checking(body) => body.push(piece),
            Stage::Detecting(prefix) => {
                let missing = PREFIX_LEN_BYTES - prefix.len();
                let (head, rest) = piece.split_at(missing.min(piece.len()));
                prefix.extend_from_slice(head);
                if prefix.len() == PREFIX_LEN_BYTES {
                    let mut body = begin(prefix, self.depth);
                    body.push(rest);
                    self.stage = Stage::Checking(body);
                }
            }
        }
    }
}

/// Inspects everything `reader` gives.
///
/// # Errors
/// The reader's own; faults of the file are in the report.
pub fn inspect(reader: impl Read, depth: Depth) -> io::Result<Report> {
    let mut inspector = Inspector::new(depth);
    read_pieces(reader, |piece| inspector.push(piece))?;
    Ok(inspector.finish())
}

/// The body of a file that begins with `prefix`, which it has been given.
fn begin(prefix: &[u8], depth: Depth) -> Box<Body> {
    let mut body = Box::new(Body::new(detect(prefix), depth));
    body.push(prefix);
    body
}

/// What shows without a look inside.
fn overall(report: &Report, last_byte: Option<u8>) -> Option<Finding> {
    let format = report.format;
    match (format.content, format.compression) {
        _ if report.bytes == 0 => Some(Finding::info("file-empty", "the file has no bytes")),
        (Content::Unknown, _) => Some(Finding::info(
            "format-unknown",
            "the format is not known: nothing to check in it",
        )),
        (content, Compression::Plain) if content.is_text() && last_byte != Some(b'\n') => {
            let message = "the last line has no line end: the file may be cut";
            Some(Finding::warning("text-line-open", message))
        }
        (content, Compression::Gzip) if content != Content::Crai => {
            let message = "plain gzip, not BGZF: readable from the start only";
            Some(Finding::info("gzip-not-seekable", message))
        }
        _ => None,
    }
}
