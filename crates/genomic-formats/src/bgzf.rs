//! A walk over BGZF blocks (SAM specification section 4.1) without inflating them.
//!
//! BGZF is gzip in which every member is a *block* of at most 64 KiB that states its own length in
//! an extra field, and whose last block is a fixed, empty one: the end-of-file marker. Readers
//! commonly take the end of the bytes for the end of the file; this walk does not, so that a file
//! cut between two blocks is told from a whole one.

use std::io::{self, Read};

use crate::read::read_pieces;

/// The end-of-file marker: a block of no content, byte for byte (SAM specification 4.1.2).
pub const EOF_MARKER: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 0x06, 0, b'B', b'C', 0x02, 0, 0x1b, 0, 0x03, 0, 0,
    0, 0, 0, 0, 0, 0, 0,
];

/// Largest block and largest content of a block, in bytes.
pub const BLOCK_LEN_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a gzip header up to and with XLEN (RFC 1952 section 2.3, FLG.FEXTRA set).
const FIXED_HEADER_LEN_BYTES: usize = 12;
/// CRC-32 and ISIZE at the end of a member.
const TRAILER_LEN_BYTES: usize = 8;
/// The shortest DEFLATE stream: one empty block of fixed codes.
const DEFLATE_LEN_BYTES_MIN: usize = 2;

/// What a walk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Whole blocks, the end-of-file marker included.
    pub blocks: u64,
    /// Blocks without content that are not the last, as in concatenated files: legal.
    pub empty_blocks_inside: u64,
    /// Bytes of the whole blocks.
    pub compressed_bytes: u64,
    /// Content of the whole blocks in bytes, as they state it themselves.
    pub content_bytes: u64,
    /// Whether the last whole block is [`EOF_MARKER`].
    pub eof_marker: bool,
    /// Why the walk stopped before the end of the bytes, if it did.
    pub damage: Option<Damage>,
}

/// Where and how a sequence of blocks breaks off. Offsets are in bytes from the start of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The file ends inside a block.
    Cut {
        /// Start of the block.
        offset: u64,
        /// Bytes the block needs; at least this many where the cut hides its length.
        needed: usize,
        /// Bytes of it that are there, 1 or more and fewer than `needed`.
        available: usize,
    },
    /// The bytes at `offset` are not a block.
    NotABlock {
        /// End of the last whole block.
        offset: u64,
        /// Bytes from there to the end of the file.
        trailing_bytes: u64,
    },
}

/// One whole block.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Start of the block, in bytes from the start of the file.
    pub offset: u64,
    /// Length of the content in bytes as the block states it (ISIZE), at most 65,536.
    pub content_len_bytes: u32,
    /// Checksum of the content as the block states it (CRC-32).
    pub crc32: u32,
    /// The DEFLATE stream between header and trailer.
    pub deflate: &'a [u8],
}

/// Walks the blocks of a file that is pushed in pieces; holds one block at a time.
#[derive(Debug)]
pub struct BgzfWalk {
    /// The first bytes of the present block; all of it when `complete`.
    block: Vec<u8>,
    complete: bool,
    last_is_empty: bool,
    summary: Summary,
}

impl Default for BgzfWalk {
    fn default() -> Self {
        Self::new()
    }
}

impl BgzfWalk {
    /// A walk before the first byte of a file.
    #[must_use]
    pub fn new() -> Self {
        Self {
            block: Vec::with_capacity(BLOCK_LEN_BYTES_MAX),
            complete: false,
            last_is_empty: false,
            summary: Summary {
                blocks: 0,
                empty_blocks_inside: 0,
                compressed_bytes: 0,
                content_bytes: 0,
                eof_marker: false,
                damage: None,
            },
        }
    }

    /// Walks everything `reader` gives.
    ///
    /// # Errors
    /// The reader's own; damage of the file is in the summary.
    pub fn read(reader: impl Read) -> io::Result<Summary> {
        let mut walk = Self::new();
        read_pieces(
            reader,
            |mut piece| while walk.next_block(&mut piece).is_some() {},
        )?;
        Ok(walk.finish())
    }

    /// Takes bytes off `input` until a block is whole; `None` when the input is used up.
    pub fn next_block(&mut self, input: &mut &[u8]) -> Option<Block<'_>> {
        if self.complete {
            self.block.clear();
            self.complete = false;
        }
        loop {
            if let Some(Damage::NotABlock { trailing_bytes, .. }) = &mut self.summary.damage {
                *trailing_bytes += input.len() as u64;
                *input = &[];
                return None;
            }
            match needed(&self.block) {
                Ok(needed) if self.block.len() < needed => {
                    if input.is_empty() {
                        return None;
                    }
                    let missing = needed - self.block.len();
                    let (head, rest) = input.split_at(missing.min(input.len()));
                    self.block.extend_from_slice(head);
                    *input = rest;
                }
                Ok(_) if self.accept() => return self.present(),
                Ok(_) | Err(NotABlock) => self.stop(),
            }
        }
    }

    /// What the walk found, when no more input comes.
    #[must_use]
    pub fn finish(mut self) -> Summary {
        let available = if self.complete { 0 } else { self.block.len() };
        if self.summary.damage.is_none() && available > 0 {
            self.summary.damage = Some(Damage::Cut {
                offset: self.summary.compressed_bytes,
                needed: needed(&self.block).unwrap_or(available),
                available,
            });
        }
        self.summary
    }

    /// Counts the gathered block, unless its trailer denies that it is one.
    fn accept(&mut self) -> bool {
        let Some(len @ 0..=BLOCK_LEN_BYTES_MAX) = content_len(&self.block) else {
            return false;
        };
        let summary = &mut self.summary;
        summary.empty_blocks_inside += u64::from(self.last_is_empty);
        summary.blocks += 1;
        summary.compressed_bytes += self.block.len() as u64;
        summary.content_bytes += len as u64;
        summary.eof_marker = self.block == EOF_MARKER;
        self.last_is_empty = len == 0;
        self.complete = true;
        true
    }

    /// The block just accepted.
    fn present(&self) -> Option<Block<'_>> {
        let header_len = FIXED_HEADER_LEN_BYTES + usize::from(u16_at(&self.block, 10)?);
        let trailer = self.block.len().checked_sub(TRAILER_LEN_BYTES)?;
        Some(Block {
            offset: self.summary.compressed_bytes - self.block.len() as u64,
            content_len_bytes: u32_at(&self.block, trailer + 4)?,
            crc32: u32_at(&self.block, trailer)?,
            deflate: self.block.get(header_len..trailer)?,
        })
    }

    /// Notes that the gathered bytes are not a block.
    fn stop(&mut self) {
        self.summary.damage = Some(Damage::NotABlock {
            offset: self.summary.compressed_bytes,
            trailing_bytes: self.block.len() as u64,
        });
        self.block = Vec::new();
    }
}

/// The bytes at hand do not begin a BGZF block.
#[derive(Debug, PartialEq, Eq)]
struct NotABlock;

/// How many bytes the block beginning with `head` has, as far as `head` tells: a value above
/// `head.len()` may grow once that many bytes are there. At most [`BLOCK_LEN_BYTES_MAX`] in the
/// end, and at most 12 + 65,535 before the length is read.
fn needed(head: &[u8]) -> Result<usize, NotABlock> {
    /// ID1, ID2, CM and FLG of every block.
    const START: [u8; 4] = [0x1f, 0x8b, 8, 4];
    if head.iter().zip(&START).any(|(have, want)| have != want) {
        return Err(NotABlock);
    }
    let Some(extra_len) = u16_at(head, FIXED_HEADER_LEN_BYTES - 2) else {
        return Ok(FIXED_HEADER_LEN_BYTES);
    };
    let header_len = FIXED_HEADER_LEN_BYTES + usize::from(extra_len);
    let Some(extra) = head.get(FIXED_HEADER_LEN_BYTES..header_len) else {
        return Ok(header_len);
    };
    let block_len = usize::from(block_len_minus_1(extra).ok_or(NotABlock)?) + 1;
    if block_len < header_len + DEFLATE_LEN_BYTES_MIN + TRAILER_LEN_BYTES {
        return Err(NotABlock);
    }
    Ok(block_len)
}

/// BSIZE: the value of subfield `BC` among the subfields of a gzip extra field (RFC 1952 2.3.1.1).
fn block_len_minus_1(mut extra: &[u8]) -> Option<u16> {
    while let [id_1, id_2, len_1, len_2, rest @ ..] = extra {
        let len = usize::from(u16::from_le_bytes([*len_1, *len_2]));
        let value = rest.get(..len)?;
        if let ([b'B', b'C'], &[low, high]) = ([*id_1, *id_2], value) {
            return Some(u16::from_le_bytes([low, high]));
        }
        extra = rest.get(len..)?;
    }
    None
}

/// Whether `prefix` begins with a BGZF block, or is cut inside the header of one.
pub(crate) fn begins_block(prefix: &[u8]) -> bool {
    prefix.len() > 3 && needed(prefix).is_ok()
}

/// ISIZE of a whole block.
fn content_len(block: &[u8]) -> Option<usize> {
    let isize = u32_at(block, block.len().checked_sub(4)?)?;
    usize::try_from(isize).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}
