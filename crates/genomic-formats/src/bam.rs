//! The header of a BAM file (SAM specification section 4.2): text, then the contigs again.

use crate::Contig;
use crate::check::{Check, HEADER_LEN_BYTES_MAX, Wants};
use crate::gather::Gather;
use crate::report::{Facts, Finding};
use crate::sam::{self, Header};

/// First bytes of BAM.
pub(crate) const MAGIC: &[u8] = b"BAM\x01";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Magic,
    TextLen,
    Text(usize),
    /// `n_ref`.
    ContigCount,
    /// `l_name` of the first of this many contigs.
    NameLen(u32),
    /// `name` of this length, and `l_ref`.
    Contig(u32, usize),
    End,
}

/// Reads the header text and the contig list.
#[derive(Debug, Default)]
pub(crate) struct HeaderCheck {
    step: Step,
    gather: Gather,
    header: Header,
    /// Why the binary part cannot be read on.
    fault: Option<Finding>,
    /// The contigs of the binary list; it is this one that records refer to.
    contigs: Vec<Contig>,
}

impl Check for HeaderCheck {
    fn push(&mut self, mut content: &[u8]) {
        while let Some(step) = self.advance(&mut content) {
            self.step = step;
        }
    }

    fn wants(&self) -> Wants {
        if self.step == Step::End {
            Wants::Nothing
        } else {
            Wants::Header
        }
    }

    fn finish(self: Box<Self>) -> (Vec<Finding>, Facts) {
        let Self {
            step,
            header,
            fault,
            contigs,
            ..
        } = *self;
        let Header {
            fault: text_fault,
            mut facts,
            ..
        } = header;
        let fault = match fault {
            None if step == Step::End => compare(&facts.contigs, &contigs),
            None => Some(Finding::error(
                "bam-header-cut",
                "the file ends inside its header",
            )),
            fault => fault,
        };
        if !same_contigs(&facts.contigs, &contigs) {
            facts.contigs = contigs;
        }
        (
            text_fault.into_iter().chain(fault).collect(),
            sam::with_assembly(facts),
        )
    }
}

impl HeaderCheck {
    /// The step after the present one; `None` if it needs more content, or there is none.
    fn advance(&mut self, content: &mut &[u8]) -> Option<Step> {
        let next = match self.step {
            Step::Magic => {
                // The magic is known since detection.
                self.gather.next_field(MAGIC.len(), content)?;
                Step::TextLen
            }
            Step::TextLen => match length(self.gather.next_u32(content)?) {
                Some(len) => Step::Text(len),
                None => self.malformed("the length of the header text is out of range"),
            },
            Step::Text(len) => {
                let text = self.gather.next_field(len, content)?;
                let end = text.iter().position(|&byte| byte == 0).unwrap_or(len);
                self.header = Header::parse(text.get(..end)?);
                Step::ContigCount
            }
            Step::ContigCount => match self.gather.next_u32(content)? {
                count if i32::try_from(count).is_err() => {
                    self.malformed("the count of contigs is negative")
                }
                0 => Step::End,
                count => Step::NameLen(count),
            },
            Step::NameLen(left) => match length(self.gather.next_u32(content)?) {
                Some(len @ 2..) => Step::Contig(left, len),
                _ => self.malformed("the length of a contig name is out of range"),
            },
            Step::Contig(left, name_len) => {
                let field = self.gather.next_field(name_len + 4, content)?;
                self.contig(left, &field)
            }
            Step::End => return None,
        };
        Some(next)
    }

    /// Adds the contig of `field`: its name, a NUL and its length.
    fn contig(&mut self, left: u32, field: &[u8]) -> Step {
        let Some(([name @ .., 0], length)) = field.split_last_chunk() else {
            return self.malformed("a contig name does not end with NUL");
        };
        self.contigs.push(Contig {
            name: String::from_utf8_lossy(name).into_owned(),
            length: Some(u64::from(u32::from_le_bytes(*length))),
            md5: None,
        });
        if left == 1 {
            Step::End
        } else {
            Step::NameLen(left - 1)
        }
    }

    fn malformed(&mut self, message: &str) -> Step {
        self.fault = Some(Finding::error("bam-header-malformed", message));
        Step::End
    }
}

/// A stated length in bytes, if a header may hold that much.
fn length(stated: u32) -> Option<usize> {
    usize::try_from(stated)
        .ok()
        .filter(|_| u64::from(stated) <= HEADER_LEN_BYTES_MAX)
}

/// What the contigs of the text and of the binary list say about each other.
fn compare(text: &[Contig], list: &[Contig]) -> Option<Finding> {
    if list.is_empty() {
        let message = "there are no contigs: legal for unaligned reads only";
        return Some(Finding::warning("bam-contigs-missing", message));
    }
    // A text without contigs is legal, and then says nothing.
    if !text.is_empty() && !same_contigs(text, list) {
        let message = format!(
            "the {} contigs of the header text are not the {} of the binary list",
            text.len(),
            list.len()
        );
        return Some(Finding::error("bam-contigs-differ", message));
    }
    None
}

/// Whether both lists hold the same names and lengths in the same order.
fn same_contigs(text: &[Contig], list: &[Contig]) -> bool {
    let same = |(a, b): (&Contig, &Contig)| a.name == b.name && a.length == b.length;
    text.len() == list.len() && text.iter().zip(list).all(same)
}
