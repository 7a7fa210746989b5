//! The bytes of a file after detection, by compression.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::Depth;
use crate::bgzf::{self, BLOCK_LEN_BYTES_MAX, BgzfWalk, Block, Damage};
use crate::check::{Feed, Wants, checker};
use crate::gzip::{End, GzipStream};
use crate::report::{Finding, Report};
use crate::{Compression, Format};

/// Checks the compression of a file, and feeds its content to a checker.
#[derive(Debug)]
pub(super) struct Body {
    format: Format,
    feed: Feed,
    layer: Layer,
}

#[derive(Debug)]
enum Layer {
    Plain,
    Gzip(GzipStream),
    Bgzf(BgzfWalk, Inflater),
}

impl Body {
    /// The body of a file of `format`, before its first byte.
    pub(super) fn new(format: Format, depth: Depth) -> Self {
        let layer = match format.compression {
            Compression::Plain => Layer::Plain,
            Compression::Gzip => Layer::Gzip(GzipStream::new()),
            Compression::Bgzf => Layer::Bgzf(BgzfWalk::new(), Inflater::new(depth)),
        };
        Self {
            format,
            feed: Feed::new(checker(format.content)),
            layer,
        }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        match &mut self.layer {
            Layer::Plain => self.feed.push(bytes),
            Layer::Gzip(stream) => {
                while let Some(piece) = stream.next_piece(&mut bytes) {
                    self.feed.push(piece);
                }
            }
            Layer::Bgzf(walk, inflater) => {
                while let Some(block) = walk.next_block(&mut bytes) {
                    inflater.feed(&block, &mut self.feed);
                }
            }
        }
    }

    /// Adds what was found to `report`.
    pub(super) fn finish(self, report: &mut Report) {
        let (whole, finding) = match self.layer {
            Layer::Plain => (true, None),
            Layer::Gzip(stream) => {
                let finding = gzip_finding(stream.end());
                (
                    matches!(stream.end(), End::Clean | End::TrailingBytes),
                    finding,
                )
            }
            Layer::Bgzf(walk, inflater) => {
                let summary = walk.finish();
                report.bgzf = Some(summary);
                report.findings.extend(inflater.fault.clone());
                report.findings.extend(empty_blocks_finding(&summary));
                let whole = summary.damage.is_none() && inflater.is_whole();
                (whole, bgzf_finding(&summary))
            }
        };
        report.findings.extend(finding);
        let (findings, facts) = self.feed.finish(whole);
        report.findings.extend(findings);
        report.facts = facts;
    }
}

/// Inflates as many blocks as the depth asks for.
#[derive(Debug)]
struct Inflater {
    depth: Depth,
    inflate: Decompress,
    content: Vec<u8>,
    /// Whether a block was passed over whose content the checker lacks.
    skipped: bool,
    /// The first block whose content is damaged; nothing is inflated after it.
    fault: Option<Finding>,
}

impl Inflater {
    fn new(depth: Depth) -> Self {
        Self {
            depth,
            inflate: Decompress::new(false),
            content: Vec::with_capacity(BLOCK_LEN_BYTES_MAX),
            skipped: false,
            fault: None,
        }
    }

    /// Whether the checker got all content.
    fn is_whole(&self) -> bool {
        !self.skipped && self.fault.is_none()
    }

    fn feed(&mut self, block: &Block<'_>, feed: &mut Feed) {
        let wanted = self.depth == Depth::Contents || feed.wants() == Wants::Header;
        if self.fault.is_some() || !wanted {
            self.skipped = true;
        } else if self.inflate(block) {
            feed.push(&self.content);
        } else {
            let message = format!(
                "the content of the block at byte {} is damaged",
                block.offset
            );
            self.fault = Some(Finding::error("bgzf-block-corrupt", message));
        }
    }

    /// Inflates `block`; whether its content has the length and the checksum it states.
    fn inflate(&mut self, block: &Block<'_>) -> bool {
        self.content.clear();
        self.inflate.reset(false);
        let finish = FlushDecompress::Finish;
        let status = self
            .inflate
            .decompress_vec(block.deflate, &mut self.content, finish);
        let mut crc = Crc::new();
        crc.update(&self.content);
        status.is_ok_and(|status| status == Status::StreamEnd)
            && self.content.len() as u64 == u64::from(block.content_len_bytes)
            && crc.sum() == block.crc32
    }
}

fn gzip_finding(end: End) -> Option<Finding> {
    match end {
        End::Clean => None,
        End::Cut => Some(Finding::error(
            "gzip-truncated",
            "the file ends inside a gzip member",
        )),
        End::Corrupt => Some(Finding::error("gzip-corrupt", "a gzip member is damaged")),
        End::TrailingBytes => Some(Finding::warning(
            "gzip-trailing-bytes",
            "bytes that are not gzip follow the last member",
        )),
        End::RatioTooHigh => Some(Finding::warning(
            "gzip-ratio-too-high",
            "the file inflates to over 500 times its size: not checked to the end",
        )),
    }
}

fn bgzf_finding(summary: &bgzf::Summary) -> Option<Finding> {
    match summary.damage {
        Some(Damage::Cut {
            offset,
            needed,
            available,
        }) => Some(Finding::error(
            "bgzf-truncated",
            format!("the block at byte {offset} needs {needed} bytes and has {available}"),
        )),
        Some(Damage::NotABlock {
            offset,
            trailing_bytes,
        }) if summary.eof_marker => Some(Finding::error(
            "bgzf-trailing-bytes",
            format!("{trailing_bytes} bytes follow the end-of-file marker at byte {offset}"),
        )),
        Some(Damage::NotABlock { offset, .. }) => Some(Finding::error(
            "bgzf-block-malformed",
            format!("the bytes at {offset} are not a BGZF block"),
        )),
        None if !summary.eof_marker => Some(Finding::error(
            "bgzf-eof-missing",
            "the file does not end with the BGZF end-of-file marker: it is probably cut",
        )),
        None => None,
    }
}

fn empty_blocks_finding(summary: &bgzf::Summary) -> Option<Finding> {
    let count = summary.empty_blocks_inside;
    let message = format!("{count} empty blocks before the end, as in concatenated files");
    (count > 0).then(|| Finding::info("bgzf-empty-blocks", message))
}
