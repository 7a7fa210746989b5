//! The header of a BCF file (VCFv4.5 section 6.2): a length, then a VCF header.

use crate::check::{Check, Wants};
use crate::gather::Gather;
use crate::report::{Facts, Finding};
use crate::vcf;

/// First bytes of BCF version 2, before the minor version.
pub(crate) const MAGIC: &[u8] = b"BCF\x02";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Magic,
    TextLen,
    /// This many bytes of the header text are still to come.
    Text(u32),
}

/// Reads the VCF header inside a BCF file.
#[derive(Debug, Default)]
pub(crate) struct HeaderCheck {
    step: Step,
    gather: Gather,
    text: Box<vcf::HeaderCheck>,
}

impl Check for HeaderCheck {
    fn push(&mut self, mut content: &[u8]) {
        while self.advance(&mut content).is_some() {}
    }

    fn wants(&self) -> Wants {
        if self.step == Step::Text(0) {
            Wants::Nothing
        } else {
            Wants::Header
        }
    }

    fn finish(self: Box<Self>) -> (Vec<Finding>, Facts) {
        let whole = self.step == Step::Text(0);
        let (mut findings, facts) = self.text.finish();
        if !whole {
            let message = "the file ends inside its header";
            findings = vec![Finding::error("bcf-header-cut", message)];
        }
        (findings, facts)
    }
}

impl HeaderCheck {
    /// Takes one step of the header; `None` if it needs more content, or none.
    fn advance(&mut self, content: &mut &[u8]) -> Option<()> {
        self.step = match self.step {
            Step::Magic => {
                // The magic and the minor version are known since detection.
                self.gather.next_field(MAGIC.len() + 1, content)?;
                Step::TextLen
            }
            Step::TextLen => Step::Text(self.gather.next_u32(content)?),
            Step::Text(missing) => {
                let taken = content
                    .len()
                    .min(usize::try_from(missing).unwrap_or(usize::MAX));
                let (text, rest) = content.split_at(taken);
                if text.is_empty() {
                    return None;
                }
                // The text ends with NUL, after its last line end.
                self.text.push(text.strip_suffix(b"\0").unwrap_or(text));
                *content = rest;
                Step::Text(missing.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX)))
            }
        };
        Some(())
    }
}
