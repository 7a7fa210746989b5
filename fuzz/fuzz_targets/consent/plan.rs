//! Consent records: one that is valid, and one member of it written otherwise.

use arbitrary::Arbitrary;
use serde_json::Value;

/// A valid record with one change.
#[derive(Debug, Arbitrary)]
pub(crate) struct Plan {
    change: Change,
}

#[derive(Debug, Arbitrary)]
enum Change {
    None,
    Leave(Member),
    Double(Member),
    Rename(Member, String),
    Retype(Member, Kind),
    Text(Member, String),
    Time(Member, Time),
    Codes(Vec<Code>),
    /// Text after the record.
    Append(String),
}

/// A member by its place in [`MEMBERS`], modulo their number.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Member(u8);

const MEMBERS: [(&str, &str); 6] = [
    ("subjectId", "\"SUBJ-001\""),
    ("purpose", "\"rare-disease-research\""),
    ("grantedBy", "\"patient\""),
    ("grantedAt", "\"2026-04-10T00:00:00Z\""),
    ("authorizedJurisdictions", "[\"DE\",\"CA\",\"JP\"]"),
    ("expiresAt", "\"2036-04-10T00:00:00Z\""),
];
const CODES: usize = 4;

#[derive(Debug, Arbitrary)]
enum Kind {
    Null,
    Bool(bool),
    Number(i64),
    Array(u8),
    Object,
    /// Arrays within arrays.
    Nested(u8),
}

/// A time of day `2026-MM-DDThh:mm:ss`, a fraction and a zone, each within or beyond its limits.
#[derive(Debug, Arbitrary)]
struct Time {
    year: u16,
    month: u8,
    day: u8,
    second: u8,
    fraction: Option<u32>,
    zone: Zone,
}

#[derive(Debug, Arbitrary)]
enum Zone {
    Utc,
    Lower,
    Offset { minus: bool, hours: u8, minutes: u8 },
    None,
    Named,
}

#[derive(Debug, Arbitrary)]
enum Code {
    /// Two capitals.
    Country(u8, u8),
    Illinois,
    /// A country and two characters more.
    Subdivision(Country, [u8; 2]),
    Text(String),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Country {
    UnitedStates,
    Canada,
    Germany,
}

impl Plan {
    /// Whether the record must be accepted.
    pub(crate) const fn is_valid(&self) -> bool {
        matches!(self.change, Change::None)
    }

    pub(crate) fn json(&self) -> String {
        let mut members: Vec<(String, String)> = MEMBERS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut after = "";
        match &self.change {
            Change::None => {}
            Change::Leave(member) => drop(members.remove(member.at())),
            Change::Double(member) => members.push(members[member.at()].clone()),
            Change::Rename(member, name) => members[member.at()].0.clone_from(name),
            Change::Retype(member, kind) => members[member.at()].1 = kind.json(),
            Change::Text(member, text) => members[member.at()].1 = quoted(text),
            Change::Time(member, time) => members[member.at()].1 = quoted(&time.text()),
            Change::Codes(codes) => {
                let codes: Vec<String> = codes.iter().map(|code| quoted(&code.text())).collect();
                members[CODES].1 = format!("[{}]", codes.join(","));
            }
            Change::Append(text) => after = text,
        }
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("{}:{value}", quoted(name)))
            .collect();
        format!("{{{}}}{after}", members.join(","))
    }
}

impl Member {
    fn at(self) -> usize {
        usize::from(self.0) % MEMBERS.len()
    }
}

impl Kind {
    fn json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Array(len) => format!("[{}]", vec!["\"DE\""; usize::from(*len)].join(",")),
            Self::Object => "{\"DE\":true}".to_owned(),
            Self::Nested(depth) => {
                let depth = usize::from(*depth);
                "[".repeat(depth) + &"]".repeat(depth)
            }
        }
    }
}

impl Time {
    fn text(&self) -> String {
        let Self {
            year,
            month,
            day,
            second,
            ..
        } = self;
        let fraction = self
            .fraction
            .map(|digits| format!(".{digits}"))
            .unwrap_or_default();
        let zone = self.zone.text();
        format!("{year:04}-{month:02}-{day:02}T12:00:{second:02}{fraction}{zone}")
    }
}

impl Zone {
    fn text(&self) -> String {
        match self {
            Self::Utc => "Z".to_owned(),
            Self::Lower => "z".to_owned(),
            Self::Offset {
                minus,
                hours,
                minutes,
            } => {
                let sign = if *minus { '-' } else { '+' };
                format!("{sign}{hours:02}:{minutes:02}")
            }
            Self::None => String::new(),
            Self::Named => "Z[Europe/Berlin]".to_owned(),
        }
    }
}

impl Code {
    fn text(&self) -> String {
        match self {
            Self::Country(first, second) => [capital(*first), capital(*second)].iter().collect(),
            Self::Illinois => "US-IL".to_owned(),
            Self::Subdivision(country, rest) => {
                let rest: String = rest.iter().copied().map(char::from).collect();
                format!("{}-{rest}", country.code())
            }
            Self::Text(text) => text.clone(),
        }
    }
}

impl Country {
    const fn code(self) -> &'static str {
        match self {
            Self::UnitedStates => "US",
            Self::Canada => "CA",
            Self::Germany => "DE",
        }
    }
}

fn capital(byte: u8) -> char {
    char::from(b'A' + byte % 26)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
