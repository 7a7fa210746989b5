//! Words of genomics: which format a file has, whether it is whole, and what it says of itself.
//!
//! Formats are told by content, never by name ([`detect()`]). One streaming pass ([`Inspector`], or
//! [`inspect`] over a reader) reports truncation and damage at three levels, and gathers samples,
//! contigs and the like from the header. A file with errors is still a file: whether it is
//! accepted is the caller's decision ([`Report::require_valid`]).
//!
//! This crate knows nothing of consent, storage or secrets. It is no validator of records: a
//! report without errors says that the file is whole and its header sound.
//!
//! # Example
//!
//! ```
//! use genomic_formats::{Depth, detect, inspect};
//!
//! let vcf = b"##fileformat=VCFv4.3\n\
//!     #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA001\tNA001\n";
//! assert_eq!(detect(vcf).name(), "vcf");
//!
//! let report = inspect(&vcf[..], Depth::Structure)?;
//! assert_eq!(report.facts.samples, ["NA001", "NA001"]);
//! assert_eq!(report.findings[0].code, "vcf-sample-duplicate");
//! assert!(report.require_valid().is_err());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Findings
//!
//! | code | level | meaning |
//! |---|---|---|
//! | `file-empty` | info | no bytes |
//! | `format-unknown` | info | nothing to check |
//! | `text-line-open` | warning | plain text without a line end at its end |
//! | `header-too-long` | warning | over 64 MiB, not checked |
//! | `bgzf-truncated` | error | the file ends inside a block |
//! | `bgzf-eof-missing` | error | the end-of-file marker is not the last block |
//! | `bgzf-block-malformed` | error | something else stands where a block should begin |
//! | `bgzf-block-corrupt` | error | a block's content does not match its length or checksum |
//! | `bgzf-trailing-bytes` | error | bytes after the end-of-file marker |
//! | `bgzf-empty-blocks` | info | empty blocks before the end |
//! | `gzip-truncated` | error | the file ends inside a member |
//! | `gzip-corrupt` | error | a member does not inflate to its length and checksum |
//! | `gzip-trailing-bytes` | warning | bytes after the last member, which gzip ignores |
//! | `gzip-ratio-too-high` | warning | probably a decompression bomb, not checked to the end |
//! | `gzip-not-seekable` | info | plain gzip has no place to start from but the first byte |
//! | `cram-eof-missing` | error | the end container is not last |
//! | `cram-eof-undefined` | info | a version without end container |
//! | `vcf-fileformat-missing` | error | the first line is not `##fileformat=VCF` |
//! | `vcf-column-line-missing` | error | the header has no `#CHROM` line |
//! | `vcf-columns-malformed` | error | that line lacks a fixed column or FORMAT |
//! | `vcf-sample-unnamed` | error | a sample column without name |
//! | `vcf-sample-duplicate` | error | two sample columns of one name |
//! | `bcf-header-cut`, `bam-header-cut` | error | the content ends inside the header |
//! | `bam-header-malformed` | error | a length or name in the header is impossible |
//! | `bam-contigs-missing` | warning | no contigs, as for unaligned reads |
//! | `bam-contigs-differ` | error | header text and binary list disagree |
//! | `sam-contig-malformed` | error | an `@SQ` line without name or length |
//! | `fastq-name-malformed` | error | a record does not begin with `@` |
//! | `fastq-separator-missing` | error | no `+` after one line of bases |
//! | `fastq-lengths-differ` | error | not as many qualities as bases |
//! | `fastq-record-cut` | error | the content ends inside a record |
//!
//! # Bounds
//!
//! All readers take arbitrary bytes: none panics, none allocates by a length that the bytes merely
//! state. A header is gathered up to 64 MiB, and the names in it are held as [`Facts`], which may
//! take some ten times as much if they are made to; everything else needs constant memory.

pub mod bgzf;

mod bam;
mod bcf;
mod check;
mod contig;
mod cram;
mod detect;
mod error;
mod fastq;
mod format;
mod gather;
mod gzip;
mod integrity;
mod lines;
mod read;
mod report;
mod sam;
mod vcf;

pub use self::contig::{Assembly, Contig};
pub use self::detect::{PREFIX_LEN_BYTES, detect};
pub use self::error::Error;
pub use self::format::{Compression, Content, Format};
pub use self::integrity::{Depth, Inspector, inspect};
pub use self::report::{Facts, Finding, Level, Report, SortOrder};
