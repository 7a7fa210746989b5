//! Test payloads of any length that need no storage: written from a seed, compared from the same seed.
//!
//! One random block is repeated with its number stamped into every page, so the stream costs little
//! more than a copy even in a debug build, and a page that is lost, repeated or moved is seen.

use std::io::{self, Read, Write};

use crate::random::Random;

const BLOCK_LEN: usize = 1 << 20;
const PAGE_LEN: usize = 4096;

/// The bytes of one payload, not yet produced.
#[derive(Debug)]
pub(crate) struct Pattern {
    block: Vec<u8>,
    number: u64,
    remaining: u64,
}

/// How a stream compares with its pattern; offsets in bytes, exact to one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Equal,
    /// It ends before the pattern does, and is equal up to there.
    Short,
    /// It is equal to the whole pattern and goes on.
    Long,
    /// It differs in the block that starts here.
    Different {
        block_start: u64,
    },
}

impl Pattern {
    pub(crate) fn new(seed: u64, len_bytes: u64) -> Self {
        let mut random = Random::new(seed);
        let block = (0..BLOCK_LEN / 8)
            .flat_map(|_| random.next_u64().to_le_bytes())
            .collect();
        Self {
            block,
            number: 0,
            remaining: len_bytes,
        }
    }

    /// Writes the whole payload.
    pub(crate) fn write_to(mut self, out: &mut impl Write) -> io::Result<()> {
        while let Some(block) = self.next_block() {
            out.write_all(block)?;
        }
        out.flush()
    }

    /// Reads `input` up to its end or the first difference.
    pub(crate) fn compare(mut self, input: &mut impl Read) -> io::Result<Verdict> {
        let mut actual = vec![0; BLOCK_LEN];
        let mut block_start = 0;
        while let Some(expected) = self.next_block() {
            let count = read_up_to(input, &mut actual[..expected.len()])?;
            if actual[..count] != expected[..count] {
                return Ok(Verdict::Different { block_start });
            }
            if count < expected.len() {
                return Ok(Verdict::Short);
            }
            block_start += count as u64;
        }
        let past_end = read_up_to(input, &mut actual[..1])?;
        Ok(if past_end == 0 {
            Verdict::Equal
        } else {
            Verdict::Long
        })
    }

    fn next_block(&mut self) -> Option<&[u8]> {
        let len = usize::try_from(self.remaining).map_or(BLOCK_LEN, |left| left.min(BLOCK_LEN));
        if len == 0 {
            return None;
        }
        for page in self.block.chunks_exact_mut(PAGE_LEN) {
            page[..8].copy_from_slice(&self.number.to_le_bytes());
        }
        self.number += 1;
        self.remaining -= len as u64;
        Some(&self.block[..len])
    }
}

/// Fills `buffer` as far as the input goes.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: u64 = 2 * BLOCK_LEN as u64 + 5000;

    fn payload() -> Vec<u8> {
        let mut bytes = Vec::new();
        Pattern::new(3, LEN).write_to(&mut bytes).unwrap();
        bytes
    }

    fn verdict(bytes: &[u8]) -> Verdict {
        Pattern::new(3, LEN).compare(&mut &*bytes).unwrap()
    }

    #[test]
    fn a_payload_equals_its_pattern() {
        let bytes = payload();
        assert_eq!(bytes.len() as u64, LEN);
        assert_eq!(verdict(&bytes), Verdict::Equal);
    }

    #[test]
    fn every_kind_of_damage_is_told_apart() {
        let bytes = payload();
        assert_eq!(verdict(&bytes[..bytes.len() - 1]), Verdict::Short);
        assert_eq!(verdict(&[]), Verdict::Short);
        assert_eq!(verdict(&[bytes.as_slice(), b"x"].concat()), Verdict::Long);
        let mut flipped = bytes;
        flipped[BLOCK_LEN + 77] ^= 1;
        let block_start = BLOCK_LEN as u64;
        assert_eq!(verdict(&flipped), Verdict::Different { block_start });
    }

    #[test]
    fn moved_pages_and_blocks_are_seen() {
        let mut bytes = payload();
        let (first, second) = bytes.split_at_mut(BLOCK_LEN);
        first[..PAGE_LEN].swap_with_slice(&mut second[..PAGE_LEN]);
        assert_eq!(verdict(&bytes), Verdict::Different { block_start: 0 });
    }

    #[test]
    fn the_empty_payload_is_a_payload() {
        let compared = Pattern::new(3, 0).compare(&mut io::empty()).unwrap();
        assert_eq!(compared, Verdict::Equal);
    }
}
