//! Format by content: the first bytes of a file, never its name.

use crate::gzip::{self, GzipStream};
use crate::{Compression, Content, Format, bam, bcf, bgzf, sam, vcf};

/// Bytes of a file's start that detection makes use of.
pub const PREFIX_LEN_BYTES: usize = 64 * 1024;

/// Content that is inflated to look at it, at most, in bytes.
const INFLATED_LEN_BYTES_MAX: usize = 64 * 1024;

/// The format of a file that begins with `prefix`.
///
/// Give the first [`PREFIX_LEN_BYTES`] bytes, or the whole file where it is shorter; more are not
/// looked at, fewer tell less. No bytes at all are of unknown format.
#[must_use]
pub fn detect(prefix: &[u8]) -> Format {
    let prefix = prefix.get(..PREFIX_LEN_BYTES).unwrap_or(prefix);
    if !prefix.starts_with(&gzip::MAGIC) {
        return Format::new(content(prefix), Compression::Plain);
    }
    let compression = if bgzf::begins_block(prefix) {
        Compression::Bgzf
    } else {
        Compression::Gzip
    };
    Format::new(content(&inflate(prefix)), compression)
}

/// The first bytes inside the gzip members of `prefix`, as far as they can be read.
fn inflate(mut prefix: &[u8]) -> Vec<u8> {
    let (mut stream, mut inflated) = (GzipStream::new(), Vec::new());
    while let Some(piece) = stream.next_piece(&mut prefix) {
        inflated.extend_from_slice(piece);
        if inflated.len() >= INFLATED_LEN_BYTES_MAX {
            break;
        }
    }
    inflated
}

/// The format of decompressed content that begins with `start`.
fn content(start: &[u8]) -> Content {
    by_magic(start)
        .or_else(|| by_text(start))
        .unwrap_or_else(|| by_structure(start))
}

/// Formats that begin with fixed bytes.
fn by_magic(start: &[u8]) -> Option<Content> {
    const MAGICS: [(&[u8], Content); 11] = [
        (bam::MAGIC, Content::Bam),
        (bcf::MAGIC, Content::Bcf),
        (vcf::FILEFORMAT, Content::Vcf),
        (b"crypt4gh", Content::Crypt4gh),
        (b"TBI\x01", Content::Tbi),
        (b"CSI\x01", Content::Csi),
        (b"CSI\x02", Content::Csi),
        (b"BAI\x01", Content::Bai),
        // Third byte of a PLINK 1 table: 1 is variant-major, 0 sample-major.
        (&[0x6c, 0x1b, 0x01], Content::PlinkBed),
        (&[0x6c, 0x1b, 0x00], Content::PlinkBed),
        (b">", Content::Fasta),
    ];
    if let [b'C', b'R', b'A', b'M', major, minor, ..] = *start {
        return Some(Content::Cram { major, minor });
    }
    if let [0x6c, 0x1b, mode, ..] = *start
        && is_pgen_mode(mode)
    {
        return Some(Content::PlinkPgen);
    }
    let found = MAGICS.iter().find(|(magic, _)| start.starts_with(magic));
    found.map(|(_, content)| *content)
}

/// Storage modes of the PGEN specification, PLINK 1's own excepted.
const fn is_pgen_mode(mode: u8) -> bool {
    matches!(mode, 0x02..=0x04 | 0x10 | 0x11 | 0x20 | 0x21)
}

/// Text formats that show in the shape of their lines.
fn by_text(start: &[u8]) -> Option<Content> {
    if is_fastq(start) {
        return Some(Content::Fastq);
    }
    if sam::RECORD_TYPES
        .iter()
        .any(|record_type| start.starts_with(record_type))
    {
        return Some(Content::Sam);
    }
    let mut lines = lines(start).skip_while(|line| line.starts_with(b"##"));
    let line = lines.next()?;
    if line.starts_with(vcf::COLUMNS.as_bytes()) {
        return Some(Content::Vcf);
    }
    let columns: Vec<&[u8]> = line.split(|&byte| byte == b'\t').take(12).collect();
    if is_sam_record(&columns) {
        return Some(Content::Sam);
    }
    is_crai_entry(&columns).then_some(Content::Crai)
}

/// Whole and unfinished lines of `text`, without their ends.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// `@` and a name, a line of bases, and `+`; long reads may hide the last.
fn is_fastq(start: &[u8]) -> bool {
    let mut lines = lines(start);
    let (name, bases, separator) = (lines.next(), lines.next(), lines.next());
    name.is_some_and(|name| name.starts_with(b"@"))
        && bases.is_some_and(|bases| bases.iter().all(|&base| is_base(base)))
        && match separator {
            Some(line) => line.starts_with(b"+") || line.is_empty(),
            None => bases.is_some_and(|bases| !bases.is_empty()),
        }
}

/// IUPAC codes of either case, gaps and stops.
const fn is_base(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'.' | b'*')
}

/// Eleven columns, with numbers where an alignment has its flag, position and quality.
fn is_sam_record(columns: &[&[u8]]) -> bool {
    columns.len() >= 11
        && [1, 3, 4, 7]
            .iter()
            .all(|&at| columns.get(at).is_some_and(is_number))
}

/// Six numbers (CRAMv3 specification, "Indexing").
fn is_crai_entry(columns: &[&[u8]]) -> bool {
    columns.len() == 6 && columns.iter().all(is_number)
}

fn is_number(column: &&[u8]) -> bool {
    let digits = column.strip_prefix(b"-").unwrap_or(column);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Formats without a magic: a `.gzi` is a count, then as many pairs of rising offsets.
fn by_structure(start: &[u8]) -> Content {
    let Some((count, entries)) = start.split_first_chunk() else {
        return Content::Unknown;
    };
    let stated = u64::from_le_bytes(*count).checked_mul(GZI_ENTRY_LEN_BYTES as u64);
    let has_stated_length = if start.len() < PREFIX_LEN_BYTES {
        stated == Some(entries.len() as u64)
    } else {
        stated >= Some(entries.len() as u64)
    };
    if !entries.is_empty() && has_stated_length && offsets_rise(entries) {
        Content::Gzi
    } else {
        Content::Unknown
    }
}

/// Two 64-bit offsets: of a block in the file, and of its content.
const GZI_ENTRY_LEN_BYTES: usize = 16;

/// Whether each entry lies one BGZF block or more behind the one before.
fn offsets_rise(entries: &[u8]) -> bool {
    let offset = |half: &[u8]| half.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let mut previous = (0, 0);
    entries.chunks_exact(GZI_ENTRY_LEN_BYTES).all(|entry| {
        let (block, content) = entry.split_at(GZI_ENTRY_LEN_BYTES / 2);
        let (before, present) = (previous, (offset(block), offset(content)));
        previous = present;
        present.0 > before.0
            && present.1 >= before.1
            && present.1 - before.1 <= bgzf::BLOCK_LEN_BYTES_MAX as u64
    })
}
