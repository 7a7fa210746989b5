//! FASTQ in its four-line form (Cock et al. 2010, doi:10.1093/nar/gkp1137).
//!
//! Only the shape of records is held, never a line: reads of any length pass in constant memory.

use crate::check::{Check, Wants};
use crate::report::{Facts, Finding};

/// The lines of a record, in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Name,
    Sequence,
    Separator,
    Quality,
}

/// Checks that all records have four lines, and as many qualities as bases.
#[derive(Debug, Default)]
pub(crate) struct RecordCheck {
    line: Line,
    /// First byte of the present line.
    first: Option<u8>,
    /// Bytes of the present line so far.
    len: u64,
    /// Whether the last of them is CR, which is not counted if LF follows.
    ends_in_cr: bool,
    /// Bases of the present record.
    bases: u64,
    records: u64,
    /// Empty lines since the last record: legal at the end only.
    blank_lines: u64,
    fault: Option<Finding>,
}

impl Check for RecordCheck {
    fn push(&mut self, mut content: &[u8]) {
        while self.fault.is_none() && !content.is_empty() {
            let end = content.iter().position(|&byte| byte == b'\n');
            let (head, rest) = content.split_at(end.unwrap_or(content.len()));
            self.extend_line(head);
            if end.is_some() {
                self.end_line();
            }
            content = rest.get(1..).unwrap_or(&[]);
        }
    }

    fn wants(&self) -> Wants {
        if self.fault.is_some() {
            Wants::Nothing
        } else {
            Wants::Everything
        }
    }

    fn finish(mut self: Box<Self>) -> (Vec<Finding>, Facts) {
        // The last line may lack its end.
        if self.fault.is_none() && self.len > 0 {
            self.end_line();
        }
        if self.fault.is_none() && self.line != Line::Name {
            self.fail("fastq-record-cut", "ends before its fourth line");
        }
        let records = self.fault.is_none().then_some(self.records);
        (
            self.fault.into_iter().collect(),
            Facts {
                records,
                ..Facts::default()
            },
        )
    }
}

impl RecordCheck {
    fn extend_line(&mut self, bytes: &[u8]) {
        self.first = self.first.or(bytes.first().copied());
        self.len += bytes.len() as u64;
        if let Some(last) = bytes.last() {
            self.ends_in_cr = *last == b'\r';
        }
    }

    fn end_line(&mut self) {
        let len = self.len - u64::from(self.ends_in_cr);
        let first = self.first.filter(|_| len > 0);
        (self.first, self.len, self.ends_in_cr) = (None, 0, false);
        self.line = match (self.line, first) {
            (Line::Name, None) => {
                self.blank_lines += 1;
                Line::Name
            }
            (Line::Name, Some(b'@')) if self.blank_lines == 0 => Line::Sequence,
            (Line::Name, Some(_)) => {
                self.fail("fastq-name-malformed", "does not begin with a line of `@`");
                Line::Name
            }
            (Line::Sequence, _) => {
                self.bases = len;
                Line::Separator
            }
            (Line::Separator, Some(b'+')) => Line::Quality,
            (Line::Separator, _) => {
                self.fail(
                    "fastq-separator-missing",
                    "has no line of `+` after one line of bases",
                );
                Line::Separator
            }
            (Line::Quality, _) => {
                self.end_record(len);
                Line::Name
            }
        };
    }

    fn end_record(&mut self, qualities: u64) {
        if qualities == self.bases {
            self.records += 1;
        } else {
            let message = format!("has {} bases and {qualities} qualities", self.bases);
            self.fail("fastq-lengths-differ", &message);
        }
    }

    fn fail(&mut self, code: &'static str, message: &str) {
        let record = self.records + 1;
        self.fault = Some(Finding::error(code, format!("record {record} {message}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code found in `text`, or the count of records.
    fn check(text: &str) -> Result<u64, &'static str> {
        let mut outcomes = (1..=text.len().max(1)).map(|step| {
            let mut check = Box::new(RecordCheck::default());
            text.as_bytes()
                .chunks(step)
                .for_each(|piece| check.push(piece));
            let (findings, facts) = check.finish();
            match findings.first() {
                Some(finding) => Err(finding.code),
                None => Ok(facts.records.unwrap()),
            }
        });
        let first = outcomes.next().unwrap();
        assert!(
            outcomes.all(|outcome| outcome == first),
            "pushes change the outcome"
        );
        first
    }

    #[test]
    fn whole_records_are_counted() {
        assert_eq!(check("@a\nAC\n+\nII\n"), Ok(1));
        assert_eq!(check("@a\r\nAC\r\n+a\r\nII\r\n@b\r\nA\r\n+\r\nI"), Ok(2));
        assert_eq!(check("@a\nAC\n+\n@@\n@b\n\n+\n\n\n\n"), Ok(2));
    }

    #[test]
    fn each_fault_has_its_code() {
        assert_eq!(check("@a\nAC\n+\nI\n"), Err("fastq-lengths-differ"));
        assert_eq!(
            check("@a\nAC\nGT\n+\nIIII\n"),
            Err("fastq-separator-missing")
        );
        assert_eq!(check("@a\nAC\n+\nII\nb\n"), Err("fastq-name-malformed"));
        assert_eq!(
            check("@a\nAC\n+\nII\n\n@b\nA\n+\nI\n"),
            Err("fastq-name-malformed")
        );
        assert_eq!(check("@a\nAC\n+\n"), Err("fastq-record-cut"));
        assert_eq!(check("@a\nAC\n"), Err("fastq-record-cut"));
        assert_eq!(check("@a"), Err("fastq-record-cut"));
    }
}
