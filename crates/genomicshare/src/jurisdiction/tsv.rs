//! Tables of tab-separated values: `#` comments, one heading, rows of as many columns.
//!
//! There is no quoting: a field is what stands between two tabs.

use crate::error::{ConfigProblem, ConfigReason};

/// The longest table accepted, in bytes.
const TABLE_LEN_BYTES_MAX: usize = 1024 * 1024;

/// A table that was cut into rows, each with exactly `COLUMNS` fields.
pub(super) struct Table<'a, const COLUMNS: usize> {
    name: &'static str,
    /// The date after `# reviewed `, where a comment states one.
    pub(super) reviewed_on: Option<jiff::civil::Date>,
    pub(super) rows: Vec<Row<'a, COLUMNS>>,
}

pub(super) struct Row<'a, const COLUMNS: usize> {
    pub(super) line: usize,
    pub(super) fields: [&'a str; COLUMNS],
}

impl<'a, const COLUMNS: usize> Table<'a, COLUMNS> {
    /// Cuts `bytes` into rows below the heading `heading`; reports every row that does not fit.
    pub(super) fn read(
        name: &'static str,
        heading: [&str; COLUMNS],
        bytes: &'a [u8],
    ) -> Result<Self, Vec<ConfigProblem>> {
        let mut table = Self {
            name,
            reviewed_on: None,
            rows: Vec::new(),
        };
        let text = text_of(bytes).map_err(|reason| vec![table.problem(1, reason)])?;
        let mut problems = Vec::new();
        let mut heading_seen = false;
        for (at, line) in text.lines().enumerate() {
            if let Some(comment) = line.strip_prefix('#') {
                table.reviewed_on = table.reviewed_on.or_else(|| review_date(comment));
            } else if !line.trim().is_empty() {
                match fields_of(line) {
                    Ok(fields) if heading_seen => table.rows.push(Row {
                        line: at + 1,
                        fields,
                    }),
                    Ok(fields) if fields == heading => heading_seen = true,
                    Ok(_) => break,
                    Err(reason) => problems.push(table.problem(at + 1, reason)),
                }
            }
        }
        if !heading_seen {
            let expected = heading.join(" ");
            problems.insert(0, table.problem(1, ConfigReason::Heading { expected }));
        }
        if problems.is_empty() {
            Ok(table)
        } else {
            Err(problems)
        }
    }

    pub(super) fn problem(&self, line: usize, reason: ConfigReason) -> ConfigProblem {
        ConfigProblem::new(format!("{} table, line {line}", self.name), reason)
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, ConfigReason> {
    if bytes.len() > TABLE_LEN_BYTES_MAX {
        return Err(ConfigReason::TooLarge {
            limit_bytes: TABLE_LEN_BYTES_MAX,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ConfigReason::NotText)?;
    let forbidden = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    if text.contains(forbidden) {
        return Err(ConfigReason::ControlCharacter);
    }
    Ok(text)
}

fn fields_of<const COLUMNS: usize>(line: &str) -> Result<[&str; COLUMNS], ConfigReason> {
    let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
    <[&str; COLUMNS]>::try_from(fields).map_err(|fields| ConfigReason::Columns {
        found: fields.len(),
        expected: COLUMNS,
    })
}

/// The date in ` reviewed 2026-11-20; ...`.
fn review_date(comment: &str) -> Option<jiff::civil::Date> {
    let rest = comment.trim_start().strip_prefix("reviewed ")?;
    let date = rest
        .split(|c: char| c != '-' && !c.is_ascii_digit())
        .next()?;
    date.parse().ok()
}
