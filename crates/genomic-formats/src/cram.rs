//! The end of a CRAM file: a fixed empty container.

use crate::check::{Check, Wants};
use crate::report::{Facts, Finding};

/// End container of version 3.0 and 3.1 (CRAMv3 specification, "End of file container").
const EOF_3: [u8; 38] = [
    0x0f, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xe0, 0x45, 0x4f, 0x46, 0, 0, 0, 0, 0x01, 0, 0x05,
    0xbd, 0xd9, 0x4f, 0, 0x01, 0, 0x06, 0x06, 0x01, 0, 0x01, 0, 0x01, 0, 0xee, 0x63, 0x01, 0x4b,
];
/// End container of version 2.1, which has no checksums (CRAMv2.1 specification, the same).
const EOF_2_1: [u8; 30] = [
    0x0b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xe0, 0x45, 0x4f, 0x46, 0, 0, 0, 0, 0x01, 0, 0,
    0x01, 0, 0x06, 0x06, 0x01, 0, 0x01, 0, 0x01, 0,
];

/// Holds the last bytes of a file against the end container of its version.
#[derive(Debug)]
pub(crate) struct EndCheck {
    /// The end container, where the version defines one.
    expected: Option<&'static [u8]>,
    /// The last bytes, at most as many as the longest end container.
    tail: Vec<u8>,
}

impl EndCheck {
    pub(crate) fn new(major: u8, minor: u8) -> Self {
        let expected: Option<&'static [u8]> = match (major, minor) {
            (3, _) => Some(&EOF_3),
            (2, 1) => Some(&EOF_2_1),
            _ => None,
        };
        Self {
            expected,
            tail: Vec::with_capacity(2 * EOF_3.len()),
        }
    }

    /// Whether the file ends with `expected`.
    fn ends_with(&self, expected: &[u8]) -> bool {
        /// Fifth byte of the ITF8 number -1, of which only the low half counts.
        const ITF8_END: usize = 8;
        let same = |(at, (have, want)): (usize, (&u8, &u8))| {
            have == want || (at == ITF8_END && have & 0x0f == *want)
        };
        let start = self.tail.len().checked_sub(expected.len());
        let end = start.and_then(|start| self.tail.get(start..));
        end.is_some_and(|end| end.iter().zip(expected).enumerate().all(same))
    }
}

impl Check for EndCheck {
    fn push(&mut self, content: &[u8]) {
        let kept = content.len().saturating_sub(EOF_3.len());
        self.tail
            .extend_from_slice(content.get(kept..).unwrap_or(content));
        let surplus = self.tail.len().saturating_sub(EOF_3.len());
        self.tail.drain(..surplus);
    }

    fn wants(&self) -> Wants {
        Wants::Everything
    }

    fn finish(self: Box<Self>) -> (Vec<Finding>, Facts) {
        let finding = match self.expected {
            Some(expected) if self.ends_with(expected) => None,
            Some(_) => Some(Finding::error(
                "cram-eof-missing",
                "the file does not end with the CRAM end container: it is probably cut",
            )),
            None => Some(Finding::info(
                "cram-eof-undefined",
                "this CRAM version has no known end container: a cut cannot be seen",
            )),
        };
        (finding.into_iter().collect(), Facts::default())
    }
}
