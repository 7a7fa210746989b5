//! The JSON form of a consent record: strict, total, and complete in its complaints.
//!
//! The members of the object are collected as they stand, doubled names included, before any of
//! them is interpreted; a map type would silently keep the last of two.

use std::fmt;

use jiff::Timestamp;
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::{ConsentFields, RECORD_LEN_BYTES_MAX};
use crate::error::{ConsentProblem, ConsentReason, Error};
use crate::jurisdiction::JurisdictionCode;

const NAMES: [&str; 6] = [
    "subjectId",
    "purpose",
    "grantedBy",
    "grantedAt",
    "authorizedJurisdictions",
    "expiresAt",
];

/// The fields of a record, or everything that keeps it from being one.
pub(super) fn read(bytes: &[u8]) -> Result<ConsentFields, Error> {
    let mut reader = Reader {
        members: members(bytes)?,
        problems: Vec::new(),
    };
    reader.refuse_unknown_and_doubled();
    let fields = (
        reader.text("subjectId"),
        reader.text("purpose"),
        reader.text("grantedBy"),
        reader.time("grantedAt"),
        reader.codes("authorizedJurisdictions"),
        reader.optional_time("expiresAt"),
    );
    match fields {
        (
            Some(subject_id),
            Some(purpose),
            Some(granted_by),
            Some(granted_at),
            Some(authorized_jurisdictions),
            expires_at,
        ) if reader.problems.is_empty() => Ok(ConsentFields {
            subject_id,
            purpose,
            granted_by,
            granted_at,
            authorized_jurisdictions,
            expires_at,
        }),
        (.., granted_at, _, expires_at) => {
            reader.period(granted_at, expires_at);
            Err(Error::Consent(reader.problems))
        }
    }
}

/// The JSON text of a record.
pub(super) fn write(fields: &ConsentFields) -> String {
    let text = |value: &str| Value::from(value).to_string();
    let codes: Vec<Value> = fields
        .authorized_jurisdictions
        .iter()
        .map(|code| Value::from(code.as_str()))
        .collect();
    let mut lines = vec![
        format!("  \"subjectId\": {}", text(&fields.subject_id)),
        format!("  \"purpose\": {}", text(&fields.purpose)),
        format!("  \"grantedBy\": {}", text(&fields.granted_by)),
        format!("  \"grantedAt\": \"{}\"", fields.granted_at),
        format!("  \"authorizedJurisdictions\": {}", Value::from(codes)),
    ];
    lines.extend(
        fields
            .expires_at
            .map(|end| format!("  \"expiresAt\": \"{end}\"")),
    );
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// The members of the one JSON object that `bytes` must be, in order, doubles included.
fn members(bytes: &[u8]) -> Result<Vec<(String, Value)>, ConsentProblem> {
    let whole = |reason| ConsentProblem::new("record", reason);
    if bytes.len() > RECORD_LEN_BYTES_MAX {
        return Err(whole(ConsentReason::TooLarge {
            len_bytes: bytes.len(),
            limit_bytes: RECORD_LEN_BYTES_MAX,
        }));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    json.deserialize_any(Members)
        .and_then(|members| json.end().map(|()| members))
        .map_err(|error| {
            whole(if error.is_data() {
                ConsentReason::WrongType {
                    expected: "a JSON object",
                }
            } else {
                ConsentReason::NotJson {
                    line: error.line(),
                    column: error.column(),
                }
            })
        })
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Takes one field after the other and remembers what was wrong.
struct Reader {
    members: Vec<(String, Value)>,
    problems: Vec<ConsentProblem>,
}

impl Reader {
    fn refuse_unknown_and_doubled(&mut self) {
        for name in NAMES {
            if self.members.iter().filter(|(n, _)| n == name).count() > 1 {
                self.complain(name, ConsentReason::Duplicate);
            }
        }
        let unknown = self
            .members
            .iter()
            .filter(|(n, _)| !NAMES.contains(&n.as_str()));
        self.problems
            .extend(unknown.map(|(n, _)| ConsentProblem::new(n.as_str(), ConsentReason::Unknown)));
    }

    fn complain(&mut self, field: impl Into<String>, reason: ConsentReason) {
        self.problems.push(ConsentProblem::new(field, reason));
    }

    fn optional(&mut self, name: &str) -> Option<Value> {
        let at = self.members.iter().position(|(n, _)| n == name)?;
        Some(self.members.remove(at).1)
    }

    fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.optional(name);
        if value.is_none() {
            self.complain(name, ConsentReason::Missing);
        }
        value
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.required(name)?;
        let text = self.string(name, value)?;
        match super::text_problem(name, &text) {
            None => Some(text),
            Some(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn string(&mut self, field: &str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            _ => {
                self.complain(
                    field,
                    ConsentReason::WrongType {
                        expected: "a string",
                    },
                );
                None
            }
        }
    }

    fn time(&mut self, name: &str) -> Option<Timestamp> {
        let value = self.required(name)?;
        self.time_of(name, value)
    }

    fn optional_time(&mut self, name: &str) -> Option<Timestamp> {
        let value = self.optional(name)?;
        self.time_of(name, value)
    }

    fn time_of(&mut self, name: &str, value: Value) -> Option<Timestamp> {
        let text = self.string(name, value)?;
        let time = rfc3339(&text);
        if time.is_none() {
            self.complain(
                name,
                if text.trim().is_empty() {
                    ConsentReason::Empty
                } else {
                    ConsentReason::NotATime
                },
            );
        }
        time
    }

    fn codes(&mut self, name: &str) -> Option<Vec<JurisdictionCode>> {
        let Value::Array(values) = self.required(name)? else {
            self.complain(
                name,
                ConsentReason::WrongType {
                    expected: "an array of strings",
                },
            );
            return None;
        };
        let count = values.len();
        let mut codes = Vec::with_capacity(count);
        for (at, value) in values.into_iter().enumerate() {
            codes.extend(self.code(format!("{name}[{at}]"), value));
        }
        if codes.len() < count {
            return None;
        }
        let problems = super::jurisdiction_problems(&codes);
        self.problems.extend(problems);
        Some(codes)
    }

    fn code(&mut self, field: String, value: Value) -> Option<JurisdictionCode> {
        let text = self.string(&field, value)?;
        #[cfg(feature = "planted")]
        planted_defect(&text);
        let code = text.parse().ok();
        if code.is_none() {
            let reason = if text.trim().is_empty() {
                ConsentReason::Empty
            } else {
                let meant = JurisdictionCode::meant_by(&text);
                ConsentReason::UnknownCode { text, meant }
            };
            self.complain(field, reason);
        }
        code
    }

    fn period(&mut self, granted_at: Option<Timestamp>, expires_at: Option<Timestamp>) {
        let problem = granted_at.and_then(|start| super::period_problem(start, expires_at));
        self.problems.extend(problem);
    }
}

/// RFC 3339 section 5.6 and nothing wider: date, `T`, time with seconds, at most 9 fractional
/// digits, `Z` or an offset. A leap second is refused, because a [`Timestamp`] cannot hold it.
fn rfc3339(text: &str) -> Option<Timestamp> {
    const DATE_TIME: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let (head, tail) = text.as_bytes().split_at_checked(DATE_TIME.len())?;
    let (fraction, zone) = tail.split_at(tail.iter().position(|b| b"Zz+-".contains(b))?);
    let fraction_fits = match fraction.split_first() {
        None => true,
        Some((dot, digits)) => {
            *dot == b'.' && (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
    };
    let zone_fits =
        zone.eq_ignore_ascii_case(b"Z") || like(zone, b"+dd:dd") || like(zone, b"-dd:dd");
    let fits = like(head, DATE_TIME) && head[17..] != *b"60" && fraction_fits && zone_fits;
    fits.then(|| text.parse().ok()).flatten()
}

/// Whether `bytes` has the shape of `pattern`, in which `d` stands for a digit.
fn like(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.len() == pattern.len()
        && bytes
            .iter()
            .zip(pattern)
            .all(|(byte, wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                wanted => byte.eq_ignore_ascii_case(wanted),
            })
}

/// Reads one byte past the end of an American subdivision's code. Present only under feature
/// `planted`, to prove that the tests of this parser would find such a slip.
#[cfg(feature = "planted")]
fn planted_defect(text: &str) {
    if text.len() == 5 && text.starts_with("US-") {
        std::hint::black_box(text.as_bytes()[text.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rfc3339_times_are_read() {
        for good in [
            "2026-04-10T00:00:00Z",
            "2026-04-10t00:00:00z",
            "2026-04-10T02:00:00+02:00",
            "2026-04-10T00:00:00.000000001-00:00",
        ] {
            assert!(rfc3339(good).is_some(), "{good}");
        }
        for bad in [
            "2026-04-10",
            "2026-04-10T00:00:00",
            "2026-04-10 00:00:00Z",
            "2026-04-10T00:00Z",
            "20260410T000000Z",
            "2026-02-30T00:00:00Z",
            "2026-04-10T00:00:60Z",
            "2026-04-10T00:00:00.Z",
            "2026-04-10T00:00:00.0000000001Z",
            "2026-04-10T00:00:00,5Z",
            "2026-04-10T00:00:00+02",
            "2026-04-10T00:00:00+02:00[Europe/Berlin]",
            "+002026-04-10T00:00:00Z",
            "2026-04-10T00:00:0\u{663}Z",
            "",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn fractions_of_a_second_are_kept_exactly() {
        let time = rfc3339("2026-04-10T00:00:00.123456789Z").expect("a time");
        assert_eq!(time.subsec_nanosecond(), 123_456_789);
        assert_eq!(time.to_string(), "2026-04-10T00:00:00.123456789Z");
    }
}
