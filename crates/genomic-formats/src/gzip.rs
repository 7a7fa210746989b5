//! Inflation of gzip members (RFC 1952) as they stream by, in constant memory.
//!
//! A gzip file says nothing of its length in advance, so that a cut is found in one way only: by
//! inflating to the end and missing the trailer.

use flate2::{Decompress, FlushDecompress, Status};

/// First two bytes of a gzip member (RFC 1952 section 2.3.1, ID1 and ID2).
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Largest piece handed out, in bytes.
const PIECE_LEN_BYTES: usize = 32 * 1024;
/// Base-2 logarithm of the largest DEFLATE window (RFC 1951 section 2).
const WINDOW_BITS: u8 = 15;

/// Inflation above this many bytes per compressed byte is not followed. DEFLATE reaches 1032,
/// genotype tables of rare variants come near 250.
const RATIO_MAX: u64 = 500;
/// Inflated bytes that are allowed whatever the ratio.
const RATIO_FREE_BYTES: u64 = 64 << 20;

/// What ended, or did not end, a gzip stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The last member is complete.
    Clean,
    /// The input ends inside a member.
    Cut,
    /// A member is not valid DEFLATE, or its checksum or length is wrong.
    Corrupt,
    /// Bytes that are no gzip member follow the last one.
    TrailingBytes,
    /// The stream inflates beyond `RATIO_MAX`; the rest was not looked at.
    RatioTooHigh,
}

/// Inflates concatenated gzip members.
#[derive(Debug)]
pub(crate) struct GzipStream {
    inflate: Decompress,
    state: State,
    compressed: u64,
    inflated: u64,
    piece: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Inside a member, or before the first.
    Member,
    /// After a whole member; this many bytes of the next magic were seen.
    Between { magic: usize },
    /// No byte is looked at any more.
    Stopped(End),
}

impl GzipStream {
    /// A stream before its first byte.
    pub(crate) fn new() -> Self {
        Self {
            inflate: Decompress::new_gzip(WINDOW_BITS),
            state: State::Member,
            compressed: 0,
            inflated: 0,
            piece: Vec::with_capacity(PIECE_LEN_BYTES),
        }
    }

    /// Takes bytes off `input` until a piece of 1 to 32 KiB is inflated; `None` when it is used up.
    pub(crate) fn next_piece(&mut self, input: &mut &[u8]) -> Option<&[u8]> {
        self.piece.clear();
        loop {
            match self.state {
                State::Stopped(_) => *input = &[],
                State::Between { magic } => self.between(magic, input),
                State::Member => self.member(input),
            }
            if !self.piece.is_empty() {
                return Some(&self.piece);
            }
            if input.is_empty() {
                return None;
            }
        }
    }

    /// How the stream ended, when no more input comes.
    pub(crate) fn end(&self) -> End {
        match self.state {
            State::Member => End::Cut,
            State::Between { magic: 0 } => End::Clean,
            State::Between { .. } => End::TrailingBytes,
            State::Stopped(end) => end,
        }
    }

    /// Inflates one step of the present member.
    fn member(&mut self, input: &mut &[u8]) {
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress_vec(input, &mut self.piece, FlushDecompress::None);
        let read = self.inflate.total_in() - read;
        *input = usize::try_from(read)
            .ok()
            .and_then(|read| input.get(read..))
            .unwrap_or(&[]);
        self.compressed += read;
        self.inflated += self.inflate.total_out() - written;
        match status {
            Err(_) => self.state = State::Stopped(End::Corrupt),
            Ok(Status::StreamEnd) => self.state = State::Between { magic: 0 },
            Ok(Status::Ok | Status::BufError) => {}
        }
        if self.inflated > RATIO_FREE_BYTES.max(self.compressed.saturating_mul(RATIO_MAX)) {
            self.state = State::Stopped(End::RatioTooHigh);
        }
    }

    /// Looks for the magic of a further member, of which `matched` bytes have gone by.
    fn between(&mut self, matched: usize, input: &mut &[u8]) {
        let Some((&byte, rest)) = input.split_first() else {
            return;
        };
        if MAGIC.get(matched) != Some(&byte) {
            self.state = State::Stopped(End::TrailingBytes);
            return;
        }
        *input = rest;
        self.state = State::Between { magic: matched + 1 };
        if matched + 1 == MAGIC.len() {
            self.inflate = Decompress::new_gzip(WINDOW_BITS);
            self.state = State::Member;
            self.member(&mut MAGIC.as_slice());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// Inflates `file` pushed in pieces of `step` bytes.
    fn inflate(file: &[u8], step: usize) -> (Vec<u8>, End) {
        let (mut stream, mut out) = (GzipStream::new(), Vec::new());
        for mut input in file.chunks(step) {
            while let Some(piece) = stream.next_piece(&mut input) {
                out.extend_from_slice(piece);
            }
        }
        (out, stream.end())
    }

    #[test]
    fn members_are_joined_whatever_the_pushes() {
        let mut file = gzip(b"first ");
        file.extend(gzip(&b"second".repeat(20_000)));
        let expected = [b"first ".to_vec(), b"second".repeat(20_000)].concat();
        for step in [1, 2, 7, 64, file.len()] {
            assert_eq!(
                inflate(&file, step),
                (expected.clone(), End::Clean),
                "step {step}"
            );
        }
    }

    #[test]
    fn every_cut_is_seen() {
        let file = gzip(b"ACGTACGTNN");
        for len in 1..file.len() {
            assert_eq!(inflate(&file[..len], 3).1, End::Cut, "{len} bytes");
        }
    }

    #[test]
    fn wrong_checksum_and_trailing_bytes_are_told_apart() {
        let mut corrupt = gzip(b"ACGT");
        let crc = corrupt.len() - 8;
        corrupt[crc] ^= 1;
        assert_eq!(inflate(&corrupt, 100).1, End::Corrupt);

        for tail in [&[0][..], &[MAGIC[0]], &[MAGIC[0], 0]] {
            let file = [&gzip(b"ACGT"), tail].concat();
            assert_eq!(inflate(&file, 100).1, End::TrailingBytes);
        }
    }

    #[test]
    fn a_bomb_is_not_followed() {
        let file = gzip(&vec![0; 80 << 20]);
        let (out, end) = inflate(&file, 4096);
        assert_eq!(end, End::RatioTooHigh);
        assert!(out.len() as u64 <= RATIO_FREE_BYTES + PIECE_LEN_BYTES as u64);
    }
}
