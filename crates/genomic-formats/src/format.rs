//! The words for what a file is: its content and the compression around it.
//!
//! The two are kept apart because they vary freely: a FASTQ file is found plain, in gzip and in
//! BGZF, and only the last can be read from the middle.

use std::fmt;

/// What a file holds, and how it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    /// The format of the bytes inside the compression.
    pub content: Content,
    /// The compression around them.
    pub compression: Compression,
}

/// The format of a file's bytes after decompression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Content {
    /// Variant Call Format, text.
    Vcf,
    /// Binary VCF, version 2.
    Bcf,
    /// Sequence Alignment/Map, text.
    Sam,
    /// Binary SAM.
    Bam,
    /// CRAM of the version in its file definition.
    Cram {
        /// Major version, 1 to 4 in practice.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// Reads with qualities.
    Fastq,
    /// Sequences without qualities.
    Fasta,
    /// PLINK 1 genotype table (`.bed`).
    PlinkBed,
    /// PLINK 2 genotype table (`.pgen`).
    PlinkPgen,
    /// GA4GH Crypt4GH envelope; what it encrypts is not visible.
    Crypt4gh,
    /// Tabix index.
    Tbi,
    /// Coordinate-sorted index.
    Csi,
    /// BAM index.
    Bai,
    /// CRAM index.
    Crai,
    /// Table of BGZF block offsets.
    Gzi,
    /// None of the above, or nothing at all.
    Unknown,
}

/// The compression around a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// No compression outside the format itself (CRAM compresses inside).
    Plain,
    /// gzip members of any size (RFC 1952): readable from the start only.
    Gzip,
    /// Blocked gzip, SAM specification section 4.1: readable from every block start.
    Bgzf,
}

impl Format {
    /// A format of `content` in `compression`.
    #[must_use]
    pub const fn new(content: Content, compression: Compression) -> Self {
        Self {
            content,
            compression,
        }
    }

    /// Stable kebab-case identifier, for example `vcf-bgzf`; never renamed, never reused.
    ///
    /// The usual compression of a format is not spelled out: `bam` is BAM in BGZF.
    #[must_use]
    pub const fn name(self) -> &'static str {
        let [plain, gzip, bgzf] = self.content.names();
        match self.compression {
            Compression::Plain => plain,
            Compression::Gzip => gzip,
            Compression::Bgzf => bgzf,
        }
    }

    /// Description for people, for example `VCF in BGZF` or `CRAM 3.0`.
    #[must_use]
    pub fn label(self) -> String {
        let Self {
            content,
            compression,
        } = self;
        match compression {
            Compression::Plain => content.to_string(),
            Compression::Gzip => format!("{content} in plain gzip"),
            Compression::Bgzf => format!("{content} in BGZF"),
        }
    }

    /// Whether the file is a sequence of BGZF blocks.
    #[must_use]
    pub const fn is_bgzf(self) -> bool {
        matches!(self.compression, Compression::Bgzf)
    }
}

impl Content {
    /// The identifiers of this content when plain, in gzip and in BGZF.
    const fn names(self) -> [&'static str; 3] {
        match self {
            Self::Vcf => ["vcf", "vcf-gzip", "vcf-bgzf"],
            Self::Bcf => ["bcf-plain", "bcf-gzip", "bcf"],
            Self::Sam => ["sam", "sam-gzip", "sam-bgzf"],
            Self::Bam => ["bam-plain", "bam-gzip", "bam"],
            Self::Cram { .. } => ["cram", "cram-gzip", "cram-bgzf"],
            Self::Fastq => ["fastq", "fastq-gzip", "fastq-bgzf"],
            Self::Fasta => ["fasta", "fasta-gzip", "fasta-bgzf"],
            Self::PlinkBed => ["plink-bed", "plink-bed-gzip", "plink-bed-bgzf"],
            Self::PlinkPgen => ["plink-pgen", "plink-pgen-gzip", "plink-pgen-bgzf"],
            Self::Crypt4gh => ["crypt4gh", "crypt4gh-gzip", "crypt4gh-bgzf"],
            Self::Tbi => ["tbi-plain", "tbi-gzip", "tbi"],
            Self::Csi => ["csi-plain", "csi-gzip", "csi"],
            Self::Bai => ["bai", "bai-gzip", "bai-bgzf"],
            Self::Crai => ["crai-plain", "crai", "crai-bgzf"],
            Self::Gzi => ["gzi", "gzi-gzip", "gzi-bgzf"],
            Self::Unknown => ["unknown", "gzip", "bgzf"],
        }
    }

    /// Whether the content is lines of text, each with a line end.
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Vcf | Self::Sam | Self::Fastq | Self::Fasta)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vcf => "VCF",
            Self::Bcf => "BCF",
            Self::Sam => "SAM",
            Self::Bam => "BAM",
            Self::Cram { major, minor } => return write!(f, "CRAM {major}.{minor}"),
            Self::Fastq => "FASTQ",
            Self::Fasta => "FASTA",
            Self::PlinkBed => "PLINK 1 genotypes",
            Self::PlinkPgen => "PLINK 2 genotypes",
            Self::Crypt4gh => "Crypt4GH",
            Self::Tbi => "tabix index",
            Self::Csi => "CSI index",
            Self::Bai => "BAM index",
            Self::Crai => "CRAM index",
            Self::Gzi => "BGZF block index",
            Self::Unknown => "unknown content",
        })
    }
}
