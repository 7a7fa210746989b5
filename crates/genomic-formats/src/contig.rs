//! Contigs, and the assembly that their lengths give away.

use std::fmt;

/// A reference sequence as a file's header names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contig {
    /// Name, for example `chr19`.
    pub name: String,
    /// Length in bases, where the header states it.
    pub length: Option<u64>,
    /// MD5 of the sequence as lower-case hex digits, where the header states it (`M5`, `md5`).
    pub md5: Option<String>,
}

/// A human reference assembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Assembly {
    /// GRCh37, also called b37 and hg19.
    Grch37,
    /// GRCh38, also called hg38.
    Grch38,
    /// T2T-CHM13, version 1.1 and later.
    T2tChm13,
}

impl Assembly {
    /// The assembly whose chromosome 1 is among `contigs`, found by its length: names differ
    /// between providers (`1`, `chr1`, `NC_000001.11`), lengths do not.
    #[must_use]
    pub fn guess(contigs: &[Contig]) -> Option<Self> {
        contigs.iter().find_map(|contig| match contig.length? {
            249_250_621 => Some(Self::Grch37),
            248_956_422 => Some(Self::Grch38),
            248_387_328 => Some(Self::T2tChm13),
            _ => None,
        })
    }
}

impl fmt::Display for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grch37 => "GRCh37",
            Self::Grch38 => "GRCh38",
            Self::T2tChm13 => "T2T-CHM13",
        })
    }
}
