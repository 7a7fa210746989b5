//! How an object is cut: chunks, segments, records, and every length and offset that follows.
//!
//! Lengths and offsets are computed from the authenticated manifest, never read from a share. So a
//! truncated, extended or misplaced share has the wrong length before anybody looks into it.

use std::ops::Range;

use xorida_core::{AccessStructure, Kind, Mode, Padding, SALT_LEN, SEED_LEN, TAG_LEN};

use crate::error::Error;
use crate::segment::FOOTER_HEADER_LEN;
use crate::short;
use crate::trailer::Trailer;

/// Least and greatest chunk length in bytes; a chunk length is a power of two between them.
pub const CHUNK_LEN: std::ops::RangeInclusive<u32> = (64 << 10)..=(16 << 20);

/// Default chunk length: 2 MiB.
pub const DEFAULT_CHUNK_LEN: u32 = 2 << 20;

/// Plaintext bytes of a segment, unless one chunk is longer.
const SEGMENT_LEN: u32 = 16 << 20;

/// Bytes that follow the data inside the split secret: how many of them are valid, and the seed.
pub const SUFFIX_LEN: usize = 4 + SEED_LEN;

/// No object is longer: lengths and counts of anything shorter cannot overflow 64 bits.
const MAX_PADDED_LEN: u64 = 1 << 56;

/// How objects are cut and dealt; fixed when an object is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Threshold and share count.
    pub access: AccessStructure,
    /// What follows the payload to hide its length.
    pub padding: Padding,
    /// How the payload is protected.
    pub mode: Mode,
    chunk_len: u32,
}

impl Layout {
    /// Checks a chunk length; the mode is perfect.
    ///
    /// # Errors
    /// [`Error::Config`] unless `chunk_len` is a power of two from 64 KiB to 16 MiB.
    pub fn try_new(
        access: AccessStructure,
        padding: Padding,
        chunk_len: u32,
    ) -> Result<Self, Error> {
        if !CHUNK_LEN.contains(&chunk_len) || !chunk_len.is_power_of_two() {
            return Err(Error::Config(format!(
                "a chunk is a power of two from 64 KiB to 16 MiB, not {chunk_len} bytes"
            )));
        }
        Ok(Self {
            access,
            padding,
            mode: Mode::Perfect,
            chunk_len,
        })
    }

    /// The same in another mode.
    #[must_use]
    pub const fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }
    /// Plaintext bytes of every data chunk but the last.
    #[must_use]
    pub const fn chunk_len(self) -> u32 {
        self.chunk_len
    }

    /// Chunks of every segment but the last: a power of two.
    #[must_use]
    pub const fn chunks_per_segment(self) -> u32 {
        if self.chunk_len >= SEGMENT_LEN {
            1
        } else {
            SEGMENT_LEN / self.chunk_len
        }
    }

    /// Length to which a payload of `len` bytes is padded.
    ///
    /// # Errors
    /// [`Error::Config`] for a payload beyond 64 PiB.
    pub fn padded_len(self, len: u64) -> Result<u64, Error> {
        let padded = match self.padding {
            Padding::Padme => padme(len),
            _ => len,
        };
        if len > MAX_PADDED_LEN || padded > MAX_PADDED_LEN {
            return Err(Error::Config(format!(
                "{len} bytes are more than an object can have"
            )));
        }
        Ok(padded)
    }

    /// Bytes of one share of a chunk with `data_len` bytes.
    #[must_use]
    pub fn share_len(self, kind: Kind, data_len: usize) -> usize {
        let sealed_len = self.sealed_len(kind, data_len);
        let split_len = self.secret_len(kind, data_len) - sealed_len;
        short::shard_len(self.access, sealed_len) + split_len
    }

    /// How many of a chunk's `data_len` bytes are sealed and coded: all data in short mode, and none
    /// of anything else. The rest is split.
    pub(crate) fn sealed_len(self, kind: Kind, data_len: usize) -> usize {
        match (self.mode, kind) {
            (Mode::Short, Kind::Data) => data_len,
            _ => 0,
        }
    }

    /// Length of a chunk's data and of the suffix and padding after it.
    pub(crate) fn secret_len(self, kind: Kind, data_len: usize) -> usize {
        let sealed_len = self.sealed_len(kind, data_len);
        sealed_len + self.access.padded_len(data_len - sealed_len + SUFFIX_LEN)
    }
}

/// Padmé: keeps only the leading bits of a length, so that it leaks O(log log length) bits at a cost
/// below 12 %, and below 1 % at the sizes of genomes.
///
/// Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs",
/// PoPETs 2019, section 4.
#[must_use]
pub fn padme(len: u64) -> u64 {
    if len < 2 {
        return len;
    }
    let exponent = len.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1u64 << (exponent - kept.min(exponent))) - 1;
    len.saturating_add(mask) & !mask
}

/// Everything that follows from a layout and a padded length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    layout: Layout,
    padded_len: u64,
}

impl Geometry {
    /// Checks the padded length.
    ///
    /// # Errors
    /// [`Error::Config`] when it is beyond 64 PiB.
    pub fn try_new(layout: Layout, padded_len: u64) -> Result<Self, Error> {
        if padded_len > MAX_PADDED_LEN {
            return Err(Error::Config(format!(
                "{padded_len} bytes are more than an object can have"
            )));
        }
        Ok(Self { layout, padded_len })
    }

    /// The layout.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Payload and padding, in bytes.
    #[must_use]
    pub const fn padded_len(&self) -> u64 {
        self.padded_len
    }

    /// Number of data chunks.
    #[must_use]
    pub fn data_chunks(&self) -> u64 {
        self.padded_len.div_ceil(u64::from(self.layout.chunk_len))
    }

    /// Number of chunks, the trailer included.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.data_chunks() + 1
    }

    /// Number of segments.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.chunks()
            .div_ceil(u64::from(self.layout.chunks_per_segment()))
    }

    /// Data chunk, or the trailer.
    #[must_use]
    pub fn kind(&self, chunk: u64) -> Kind {
        if chunk < self.data_chunks() {
            Kind::Data
        } else {
            Kind::Trailer
        }
    }

    /// Bytes that stand before the suffix in the secret of `chunk`.
    #[must_use]
    pub fn data_len(&self, chunk: u64) -> usize {
        let chunk_len = u64::from(self.layout.chunk_len);
        if chunk >= self.data_chunks() {
            return Trailer::LEN;
        }
        let rest = self.padded_len - chunk * chunk_len;
        usize::try_from(rest.min(chunk_len)).unwrap_or(usize::MAX)
    }

    /// Bytes of one share of `chunk`.
    #[must_use]
    pub fn share_len(&self, chunk: u64) -> usize {
        self.layout
            .share_len(self.kind(chunk), self.data_len(chunk))
    }

    /// Bytes of one record of `chunk`: salt and share.
    #[must_use]
    pub fn record_len(&self, chunk: u64) -> usize {
        SALT_LEN + self.share_len(chunk)
    }

    /// Segment that holds `chunk`.
    #[must_use]
    pub fn segment_of(&self, chunk: u64) -> u64 {
        chunk / u64::from(self.layout.chunks_per_segment())
    }

    /// Chunks of `segment`.
    #[must_use]
    pub fn chunks_of(&self, segment: u64) -> Range<u64> {
        let per_segment = u64::from(self.layout.chunks_per_segment());
        let first = segment * per_segment;
        first..(first + per_segment).min(self.chunks())
    }

    /// Byte range of the records of `chunks` within their segment's object; the chunks must be of
    /// one segment.
    #[must_use]
    pub fn records(&self, chunks: &Range<u64>) -> Range<u64> {
        let first = self.chunks_of(self.segment_of(chunks.start)).start;
        let len = |range: Range<u64>| {
            range
                .map(|chunk| self.record_len(chunk) as u64)
                .sum::<u64>()
        };
        let start = len(first..chunks.start);
        start..start + len(chunks.clone())
    }

    /// Bytes of all segment objects of all shares together.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        let record_len = |chunk: u64| self.record_len(chunk) as u64;
        let trailer = self.data_chunks();
        // All data chunks but the last have one length.
        let data = trailer.checked_sub(1).map_or(0, |last| {
            last.saturating_mul(record_len(0)) + record_len(last)
        });
        let footers = self.segments() * FOOTER_HEADER_LEN as u64 + self.chunks() * TAG_LEN as u64;
        let share = data.saturating_add(record_len(trailer) + footers);
        share.saturating_mul(self.layout.access.share_count().into())
    }

    /// Byte range of the footer within a segment's object; it ends where the object ends.
    #[must_use]
    pub fn footer(&self, segment: u64) -> Range<u64> {
        let chunks = self.chunks_of(segment);
        let start = self.records(&chunks).end;
        start..start + FOOTER_HEADER_LEN as u64 + (chunks.end - chunks.start) * TAG_LEN as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(padded_len: u64) -> Geometry {
        let access = AccessStructure::try_new(2, 3).unwrap();
        let layout = Layout::try_new(access, Padding::None, 64 << 10).unwrap();
        Geometry::try_new(layout, padded_len).unwrap()
    }

    #[test]
    fn the_empty_object_is_its_trailer() {
        let empty = geometry(0);
        assert_eq!((empty.chunks(), empty.segments()), (1, 1));
        assert_eq!(empty.kind(0), Kind::Trailer);
    }

    #[test]
    fn every_chunk_lies_in_exactly_one_place() {
        for (len, mode) in [
            1,
            65_535,
            65_536,
            65_537,
            16 << 20,
            (16 << 20) + 1,
            40 << 20,
        ]
        .into_iter()
        .flat_map(|len| [(len, Mode::Perfect), (len, Mode::Short)])
        {
            let g = geometry(len);
            let g = Geometry::try_new(g.layout().in_mode(mode), len).unwrap();
            let data: u64 = (0..g.data_chunks()).map(|c| g.data_len(c) as u64).sum();
            assert_eq!(data, len);
            for segment in 0..g.segments() {
                let mut end = 0;
                for chunk in g.chunks_of(segment) {
                    let record = g.records(&(chunk..chunk + 1));
                    assert_eq!(record.start, end);
                    end = record.end;
                }
                assert_eq!(g.footer(segment).start, end);
            }
            assert_eq!(g.chunks_of(g.segments() - 1).end, g.chunks());
            let share: u64 = (0..g.segments()).map(|segment| g.footer(segment).end).sum();
            assert_eq!(g.stored_len(), 3 * share);
        }
    }

    #[test]
    fn padme_costs_little_and_hides_the_low_bits() {
        assert_eq!([0, 1, 2, 9, 1000].map(padme), [0, 1, 2, 10, 1024]);
        for len in (0..2_000_000u64)
            .step_by(37)
            .chain([100_000_000_000, (1 << 40) + 1])
        {
            let padded = padme(len);
            assert!(
                padded >= len && (padded - len) * 100 <= len * 12,
                "{len} -> {padded}"
            );
            assert_eq!(padme(padded), padded, "padding again changes nothing");
        }
        assert!(padme(100_000_000_000) - 100_000_000_000 < 1_000_000_000);
    }

    #[test]
    fn chunk_lengths_are_checked() {
        let access = AccessStructure::try_new(2, 3).unwrap();
        for bad in [0, 1, 65_535, 65_537, 3 << 20, 32 << 20] {
            assert!(
                Layout::try_new(access, Padding::None, bad).is_err(),
                "{bad}"
            );
        }
        let layout = Layout::try_new(access, Padding::None, DEFAULT_CHUNK_LEN).unwrap();
        assert_eq!(layout.chunks_per_segment(), 8);
        let largest = Layout::try_new(access, Padding::None, 16 << 20).unwrap();
        assert_eq!(largest.chunks_per_segment(), 1);
    }
}
