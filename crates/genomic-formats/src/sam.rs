//! The header of a SAM file (SAM specification section 1.3), which BAM repeats as text.

use std::collections::HashSet;

use crate::check::{Check, Wants};
use crate::lines::Lines;
use crate::report::{Facts, Finding, SortOrder};
use crate::{Assembly, Contig};

/// The record types of header lines.
pub(crate) const RECORD_TYPES: [&[u8]; 5] = [b"@HD\t", b"@SQ\t", b"@RG\t", b"@PG\t", b"@CO\t"];

/// Reads a header up to the first line that does not begin with `@`.
#[derive(Debug, Default)]
pub(crate) struct HeaderCheck {
    lines: Lines,
    ended: bool,
    header: Header,
}

impl Check for HeaderCheck {
    fn push(&mut self, mut content: &[u8]) {
        while !self.ended {
            let Some(line) = self.lines.next_line(&mut content) else {
                break;
            };
            self.line(&line);
        }
    }

    fn wants(&self) -> Wants {
        if self.ended {
            Wants::Nothing
        } else {
            Wants::Header
        }
    }

    fn finish(mut self: Box<Self>) -> (Vec<Finding>, Facts) {
        let last = self.lines.take();
        if !self.ended {
            self.line(&last);
        }
        (
            self.header.fault.into_iter().collect(),
            with_assembly(self.header.facts),
        )
    }
}

impl HeaderCheck {
    fn line(&mut self, line: &[u8]) {
        self.ended = line.first() != Some(&b'@');
        self.header.line(line);
    }
}

/// What the header lines say.
#[derive(Debug, Default)]
pub(crate) struct Header {
    /// The first contig line without name or length.
    pub(crate) fault: Option<Finding>,
    pub(crate) facts: Facts,
    seen_lines: u64,
    seen_samples: HashSet<String>,
}

impl Header {
    /// Reads the text of a whole header.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut header = Self::default();
        for line in text.split(|&byte| byte == b'\n') {
            header.line(line.strip_suffix(b"\r").unwrap_or(line));
        }
        header
    }

    fn line(&mut self, line: &[u8]) {
        self.seen_lines += 1;
        let line = String::from_utf8_lossy(line);
        let Some((record_type, fields)) = line.split_once('\t') else {
            return;
        };
        let value = |tag: &str| {
            fields
                .split('\t')
                .find_map(|field| field.strip_prefix(tag)?.strip_prefix(':'))
        };
        match record_type {
            "@HD" => self.facts.sort_order = value("SO").and_then(sort_order),
            "@SQ" => self.contig(value("SN"), value("LN"), value("M5")),
            "@RG" => self.sample(value("SM")),
            _ => {}
        }
    }

    fn contig(&mut self, name: Option<&str>, length: Option<&str>, md5: Option<&str>) {
        let length = length.and_then(|length| length.parse().ok());
        let (Some(name), Some(_)) = (name, length) else {
            let line = self.seen_lines;
            self.fault.get_or_insert_with(|| {
                let message = format!("header line {line} lacks SN or LN");
                Finding::error("sam-contig-malformed", message)
            });
            return;
        };
        let md5 = md5.map(str::to_ascii_lowercase);
        self.facts.contigs.push(Contig {
            name: name.to_owned(),
            length,
            md5,
        });
    }

    /// Adds a sample, unless an earlier read group has it.
    fn sample(&mut self, name: Option<&str>) {
        if let Some(name) = name
            && self.seen_samples.insert(name.to_owned())
        {
            self.facts.samples.push(name.to_owned());
        }
    }
}

/// `facts` with the assembly guessed from their contigs.
pub(crate) fn with_assembly(facts: Facts) -> Facts {
    Facts {
        assembly: Assembly::guess(&facts.contigs),
        ..facts
    }
}

fn sort_order(value: &str) -> Option<SortOrder> {
    match value {
        "coordinate" => Some(SortOrder::Coordinate),
        "queryname" => Some(SortOrder::QueryName),
        "unsorted" => Some(SortOrder::Unsorted),
        "unknown" => Some(SortOrder::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines_are_read() {
        let text = b"@HD\tVN:1.6\tSO:queryname\n@SQ\tSN:1\tLN:249250621\tM5:AB\n\
                     @RG\tID:a\tSM:x\n@RG\tID:b\tSM:x\n@RG\tID:c\n@CO\tSM:y\n\
                     r\t4\t*\t0\t0\t*\t*\t0\t0\tA\tI\n@RG\tSM:no\n";
        let mut check = Box::new(HeaderCheck::default());
        text.chunks(5).for_each(|piece| check.push(piece));
        assert_eq!(check.wants(), Wants::Nothing);
        let (findings, facts) = check.finish();
        assert_eq!(findings, []);
        assert_eq!(facts.samples, ["x"]);
        assert_eq!(facts.sort_order, Some(SortOrder::QueryName));
        assert_eq!(facts.assembly, Some(Assembly::Grch37));
        assert_eq!(facts.contigs[0].md5.as_deref(), Some("ab"));
    }

    #[test]
    fn a_contig_without_length_is_an_error() {
        let header = Header::parse(b"@HD\tVN:1.6\n@SQ\tSN:1\n@SQ\tLN:5\n");
        let fault = header.fault.unwrap();
        assert_eq!(fault.code, "sam-contig-malformed");
        assert!(fault.message.contains("line 2"), "{}", fault.message);
    }
}
