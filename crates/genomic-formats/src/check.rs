//! What a checker of one content format has to do.

use std::fmt;

use crate::report::{Facts, Finding};
use crate::{Content, bam, bcf, cram, fastq, sam, vcf};

/// Longest header that is gathered, in bytes of content.
pub(crate) const HEADER_LEN_BYTES_MAX: u64 = 64 << 20;

/// How much of a file's content a checker still wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// More of the header, which it may hold in memory.
    Header,
    /// All content to the end; it holds a constant amount of it.
    Everything,
    /// Nothing more.
    Nothing,
}

/// Checks the decompressed content of a file as it streams by.
pub(crate) trait Check: fmt::Debug + Send {
    /// Takes the next bytes of content. They may be split anywhere.
    fn push(&mut self, content: &[u8]);

    /// What it wants next; ignores a push once this is [`Wants::Nothing`].
    fn wants(&self) -> Wants;

    /// Says what it found. Content that ended while a header was wanted is a cut header.
    fn finish(self: Box<Self>) -> (Vec<Finding>, Facts);
}

/// The checker of `content`; `None` where the bytes are taken as they are.
pub(crate) fn checker(content: Content) -> Option<Box<dyn Check>> {
    match content {
        Content::Vcf => Some(Box::new(vcf::HeaderCheck::default())),
        Content::Bcf => Some(Box::new(bcf::HeaderCheck::default())),
        Content::Sam => Some(Box::new(sam::HeaderCheck::default())),
        Content::Bam => Some(Box::new(bam::HeaderCheck::default())),
        Content::Fastq => Some(Box::new(fastq::RecordCheck::default())),
        Content::Cram { major, minor } => Some(Box::new(cram::EndCheck::new(major, minor))),
        Content::Fasta
        | Content::PlinkBed
        | Content::PlinkPgen
        | Content::Crypt4gh
        | Content::Tbi
        | Content::Csi
        | Content::Bai
        | Content::Crai
        | Content::Gzi
        | Content::Unknown => None,
    }
}

/// Feeds a checker, within the bound on headers.
#[derive(Debug)]
pub(crate) struct Feed {
    /// `None` where there is nothing to check, or no longer.
    check: Option<Box<dyn Check>>,
    fed_bytes: u64,
    fault: Option<Finding>,
}

impl Feed {
    pub(crate) fn new(check: Option<Box<dyn Check>>) -> Self {
        Self {
            check,
            fed_bytes: 0,
            fault: None,
        }
    }

    pub(crate) fn push(&mut self, content: &[u8]) {
        let Some(check) = &mut self.check else {
            return;
        };
        check.push(content);
        self.fed_bytes += content.len() as u64;
        if check.wants() == Wants::Header && self.fed_bytes > HEADER_LEN_BYTES_MAX {
            let message = format!("the header is longer than {HEADER_LEN_BYTES_MAX} bytes");
            self.fault = Some(Finding::warning(
                "header-too-long",
                message + ": not checked",
            ));
            self.check = None;
        }
    }

    pub(crate) fn wants(&self) -> Wants {
        self.check
            .as_ref()
            .map_or(Wants::Nothing, |check| check.wants())
    }

    /// What was found; `whole` says that the content was fed to its end.
    ///
    /// Where it was not, what the rest would have brought cannot be missed, nor counted.
    pub(crate) fn finish(self, whole: bool) -> (Vec<Finding>, Facts) {
        let Some(check) = self.check else {
            return (self.fault.into_iter().collect(), Facts::default());
        };
        let conclusive = whole || check.wants() == Wants::Nothing;
        let (findings, facts) = check.finish();
        if conclusive {
            (findings, facts)
        } else {
            (
                Vec::new(),
                Facts {
                    records: None,
                    ..facts
                },
            )
        }
    }
}
