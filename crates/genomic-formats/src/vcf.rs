//! The header of a VCF file (VCFv4.5 section 1.4 and 1.5).

use std::collections::HashMap;

use crate::check::{Check, Wants};
use crate::lines::Lines;
use crate::report::{Facts, Finding};
use crate::{Assembly, Contig};

/// First bytes of every VCF file (VCFv4.5 section 1.4.1).
pub(crate) const FILEFORMAT: &[u8] = b"##fileformat=VCF";
/// The fixed columns of the last header line (VCFv4.5 section 1.5).
pub(crate) const COLUMNS: &str = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";

/// Reads a header up to its column line.
#[derive(Debug, Default)]
pub(crate) struct HeaderCheck {
    lines: Lines,
    seen_lines: u64,
    ended: bool,
    findings: Vec<Finding>,
    facts: Facts,
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
        if !self.ended && !last.is_empty() {
            self.line(&last);
        }
        if !self.ended {
            self.column_line_missing();
        }
        self.facts.assembly = Assembly::guess(&self.facts.contigs);
        (self.findings, self.facts)
    }
}

impl HeaderCheck {
    fn line(&mut self, line: &[u8]) {
        self.seen_lines += 1;
        if self.seen_lines == 1 && !line.starts_with(FILEFORMAT) {
            let message = "the first line is not `##fileformat=VCF...`";
            self.findings
                .push(Finding::error("vcf-fileformat-missing", message));
        }
        // Names may hold any UTF-8 since VCFv4.3, and held anything before.
        let line = String::from_utf8_lossy(line);
        if let Some(contig) = line.strip_prefix("##contig=<") {
            self.facts.contigs.extend(contig_of(contig));
        } else if line.starts_with("#CHROM") {
            self.column_line(&line);
        } else if !line.starts_with("##") {
            self.column_line_missing();
        }
    }

    fn column_line(&mut self, line: &str) {
        self.ended = true;
        match line
            .strip_prefix(COLUMNS)
            .map(|rest| rest.strip_prefix("\tFORMAT").ok_or(rest))
        {
            Some(Ok("") | Err("")) => {}
            Some(Ok(samples)) if samples.starts_with('\t') => self.samples(samples),
            _ => self.findings.push(Finding::error(
                "vcf-columns-malformed",
                "the column line does not hold the eight fixed columns, FORMAT and samples, \
                 separated by tabs",
            )),
        }
    }

    /// Reads sample names out of `columns`, each preceded by a tab.
    fn samples(&mut self, columns: &str) {
        let names: Vec<&str> = columns.split('\t').skip(1).collect();
        self.findings
            .extend(unnamed(&names).into_iter().chain(duplicate(&names)));
        self.facts.samples = names.into_iter().map(str::to_owned).collect();
    }

    fn column_line_missing(&mut self) {
        self.ended = true;
        let message = format!(
            "the header has no `#CHROM` line after {} lines",
            self.seen_lines
        );
        self.findings
            .push(Finding::error("vcf-column-line-missing", message));
    }
}

/// The first sample column without a name. Columns are numbered from 1.
fn unnamed(names: &[&str]) -> Option<Finding> {
    let column = 1 + names.iter().position(|name| name.is_empty())?;
    let message = format!("sample column {column} has no name");
    Some(Finding::error("vcf-sample-unnamed", message))
}

/// The first sample column whose name an earlier one has.
fn duplicate(names: &[&str]) -> Option<Finding> {
    let mut columns = HashMap::with_capacity(names.len());
    let mut named = names
        .iter()
        .zip(1_u64..)
        .filter(|(name, _)| !name.is_empty());
    let (first, second) = named.find_map(|(name, column)| {
        columns
            .insert(name, column)
            .map(|earlier| (earlier, column))
    })?;
    let message = format!("sample columns {first} and {second} have the same name");
    Some(Finding::error("vcf-sample-duplicate", message))
}

/// The contig of a `##contig=<` line, given what follows that; `None` without an ID.
fn contig_of(fields: &str) -> Option<Contig> {
    let (mut name, mut length, mut md5) = (None, None, None);
    for (key, value) in fields_of(fields) {
        match key {
            "ID" => name = Some(value.to_owned()),
            "length" => length = value.parse().ok(),
            "md5" => md5 = Some(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    Some(Contig {
        name: name?,
        length,
        md5,
    })
}

/// The `key=value` fields of a structured line up to its `>`. Values come without their quotes.
fn fields_of(mut rest: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let (key, after_key) = rest.split_once('=')?;
        let (value, after_value) = match after_key.strip_prefix('"') {
            Some(quoted) => quoted.split_at(closing_quote(quoted)?),
            None => after_key.split_at(after_key.find([',', '>'])?),
        };
        rest = after_value.trim_start_matches('"');
        rest = rest.strip_prefix(',').unwrap_or("");
        Some((key, value))
    })
}

/// Where a quoted value ends: at the first quote that no backslash escapes.
fn closing_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (Vec<&'static str>, Facts) {
        let mut check = Box::new(HeaderCheck::default());
        check.push(text.as_bytes());
        let (findings, facts) = check.finish();
        (findings.iter().map(|finding| finding.code).collect(), facts)
    }

    #[test]
    fn samples_and_contigs_are_read() {
        let text = format!(
            "##fileformat=VCFv4.3\n\
             ##contig=<ID=1,species=\"a,=\\\">b\",length=248956422,md5=AB>\n\
             ##contig=<length=7>\n{COLUMNS}\tFORMAT\tS1\tS2\n"
        );
        let (codes, facts) = check(&text);
        assert_eq!(codes, [""; 0]);
        assert_eq!(facts.samples, ["S1", "S2"]);
        let contig = Contig {
            name: "1".into(),
            length: Some(248_956_422),
            md5: Some("ab".into()),
        };
        assert_eq!(facts.contigs, [contig]);
        assert_eq!(facts.assembly, Some(Assembly::Grch38));
    }

    #[test]
    fn each_fault_has_its_code() {
        let head = "##fileformat=VCFv4.3\n";
        let found = |text: &str| check(text).0;
        assert_eq!(found(&format!("{head}{COLUMNS}\tFORMAT")), [""; 0]);
        assert_eq!(found(&format!("{head}{COLUMNS}\r\n")), [""; 0]);
        assert_eq!(found(&format!("{COLUMNS}\n")), ["vcf-fileformat-missing"]);
        assert_eq!(found(head), ["vcf-column-line-missing"]);
        assert_eq!(found(&format!("{head}1\t5\n")), ["vcf-column-line-missing"]);
        assert_eq!(
            found(&format!("{head}#CHROM POS\n")),
            ["vcf-columns-malformed"]
        );
        assert_eq!(
            found(&format!("{head}{COLUMNS}\tS1\n")),
            ["vcf-columns-malformed"]
        );
        let columns = format!("{head}{COLUMNS}\tFORMAT\tA\tB\tA\t");
        assert_eq!(
            found(&columns),
            ["vcf-sample-unnamed", "vcf-sample-duplicate"]
        );
    }
}
