//! What is known of each place's law: its regulation, its zone, and the rules between places.
//!
//! The tables are data with a review date, written by engineers, and not legal advice. An operator
//! whose lawyers know better replaces them at run time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

use super::JurisdictionCode;
use super::tsv::Table;
use crate::error::{ConfigProblem, ConfigReason, Error};

/// A legal zone: everything that one court order or one regulation reaches. Named by the zones
/// table, such as `EEA`, or by the country's own code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Zone(String);

/// One row of the jurisdictions table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Law {
    /// Usual name of the place.
    pub name: String,
    /// The data protection law.
    pub regulation: String,
    /// What it and its neighbours say of genomic data.
    pub genomic_provisions: String,
    /// What it says of transfers abroad.
    pub transfer_rule: String,
    /// Whether the row itself says that a part of it was not confirmed.
    pub unsure: bool,
}

/// One row of the table of rules between places.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TransferRule {
    /// What the rule means for a transfer.
    pub status: TransferStatus,
    /// The decision, regulation or section it rests on.
    pub basis: String,
    /// Limits of the rule; may be empty.
    pub note: String,
    #[serde(skip)]
    from: Place,
    #[serde(skip)]
    to: Place,
}

/// What a rule means for a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TransferStatus {
    /// Recognised as adequate; the note may limit it to certain importers.
    Adequate,
    /// Forbidden, encrypted or not.
    Prohibited,
    /// Allowed after an authority permits it.
    Authorisation,
    /// Allowed after an authority is told.
    Notify,
    /// Allowed when named conditions are met.
    Conditional,
}

/// One side of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Anywhere,
    Zone(Zone),
    Code(JurisdictionCode),
}

/// The bytes of the three tables.
#[derive(Debug, Clone, Copy)]
pub struct LawTableFiles<'a> {
    /// `code name regulation genomic_provisions transfer_rule`.
    pub jurisdictions: &'a [u8],
    /// `from to status basis note`; a side is a code, a zone or `*`.
    pub transfers: &'a [u8],
    /// `zone code note`; codes not listed are their country's own zone.
    pub zones: &'a [u8],
}

/// The three tables together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LawTable {
    reviewed_on: Option<jiff::civil::Date>,
    laws: BTreeMap<JurisdictionCode, Law>,
    zones: BTreeMap<JurisdictionCode, Zone>,
    rules: Vec<TransferRule>,
}

static BUILTIN: LazyLock<LawTable> = LazyLock::new(|| {
    let files = LawTableFiles {
        jurisdictions: include_bytes!("../../data/jurisdictions.tsv"),
        transfers: include_bytes!("../../data/adequacy_edges.tsv"),
        zones: include_bytes!("../../data/zones.tsv"),
    };
    #[expect(
        clippy::expect_used,
        reason = "constant input, parsed by the tests of this crate"
    )]
    LawTable::from_tsv(files).expect("the tables of this crate are valid")
});

impl LawTable {
    /// The tables that this version of the crate carries.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Reads tables that replace the built-in ones.
    ///
    /// # Errors
    /// [`Error::Config`] with the table and line of every problem: not UTF-8, longer than 1 MiB, a
    /// wrong heading or number of columns, an unknown code, place or status, a row that stands
    /// twice.
    pub fn from_tsv(files: LawTableFiles<'_>) -> Result<Self, Error> {
        let mut problems = Vec::new();
        let laws = collected(read_laws(files.jurisdictions), &mut problems);
        let zones = collected(read_zones(files.zones), &mut problems);
        let rules = collected(read_rules(files.transfers, &zones.1), &mut problems);
        if !problems.is_empty() {
            return Err(Error::Config(problems));
        }
        Ok(Self {
            reviewed_on: [laws.0, zones.0, rules.0].into_iter().min().flatten(),
            laws: laws.1,
            zones: zones.1,
            rules: rules.1,
        })
    }

    /// The oldest review date of the three tables; `None` when one of them states none.
    #[must_use]
    pub fn reviewed_on(&self) -> Option<jiff::civil::Date> {
        self.reviewed_on
    }

    /// The law of a place: its own row, or its country's. `None` when the table has neither.
    #[must_use]
    pub fn law_of(&self, code: JurisdictionCode) -> Option<&Law> {
        self.laws
            .get(&code)
            .or_else(|| self.laws.get(&country_of(code)?))
    }

    /// The legal zone of a place; every place has one.
    #[must_use]
    pub fn zone_of(&self, code: JurisdictionCode) -> Zone {
        self.zones
            .get(&code)
            .or_else(|| self.zones.get(&country_of(code)?))
            .cloned()
            .unwrap_or_else(|| Zone(code.country().to_owned()))
    }

    /// Name of a place: from the table, or from the ISO list.
    #[must_use]
    pub fn name_of(&self, code: JurisdictionCode) -> &str {
        self.laws.get(&code).map_or(code.name(), |law| &law.name)
    }

    /// Every rule for data that lies at `from` and is sent to `to`, in the order of the table.
    /// Nothing within one zone: there the data does not leave.
    pub fn transfer_rules(
        &self,
        from: JurisdictionCode,
        to: JurisdictionCode,
    ) -> impl Iterator<Item = &TransferRule> {
        let (from_zone, to_zone) = (self.zone_of(from), self.zone_of(to));
        let leaves = from_zone != to_zone;
        self.rules.iter().filter(move |rule| {
            leaves && rule.from.contains(from, &from_zone) && rule.to.contains(to, &to_zone)
        })
    }
}

impl Zone {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for TransferStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Adequate => "adequate",
            Self::Prohibited => "prohibited",
            Self::Authorisation => "authorisation",
            Self::Notify => "notify",
            Self::Conditional => "conditional",
        })
    }
}

impl Place {
    fn contains(&self, code: JurisdictionCode, zone: &Zone) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Zone(named) => named == zone,
            Self::Code(named) => {
                *named == code
                    || named.as_str() == code.country()
                    || named.as_str() == zone.as_str()
            }
        }
    }
}

fn country_of(code: JurisdictionCode) -> Option<JurisdictionCode> {
    code.country().parse().ok()
}

/// A table's review date and content.
type Reviewed<T> = (Option<jiff::civil::Date>, T);

/// The content, or nothing of it and its problems noted, so that the next table is read as well.
fn collected<T: Default>(
    read: Result<Reviewed<T>, Vec<ConfigProblem>>,
    problems: &mut Vec<ConfigProblem>,
) -> Reviewed<T> {
    read.unwrap_or_else(|found| {
        problems.extend(found);
        (None, T::default())
    })
}

fn checked<T>(value: T, problems: Vec<ConfigProblem>) -> Result<T, Vec<ConfigProblem>> {
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(problems)
    }
}

fn read_laws(
    bytes: &[u8],
) -> Result<Reviewed<BTreeMap<JurisdictionCode, Law>>, Vec<ConfigProblem>> {
    let heading = [
        "code",
        "name",
        "regulation",
        "genomic_provisions",
        "transfer_rule",
    ];
    let table = Table::read("jurisdictions", heading, bytes)?;
    let (mut laws, mut problems) = (BTreeMap::new(), Vec::new());
    for row in &table.rows {
        let [code, name, regulation, genomic_provisions, transfer_rule] = row.fields;
        let law = Law {
            name: name.to_owned(),
            regulation: regulation.to_owned(),
            genomic_provisions: genomic_provisions.to_owned(),
            transfer_rule: transfer_rule.to_owned(),
            unsure: row.fields.iter().any(|field| field.contains("unsure")),
        };
        let added = if name.is_empty() || regulation.is_empty() {
            Err(ConfigReason::Empty)
        } else {
            parse_code(code).and_then(|code| insert_new(&mut laws, code, law))
        };
        problems.extend(added.err().map(|reason| table.problem(row.line, reason)));
    }
    checked((table.reviewed_on, laws), problems)
}

fn read_zones(
    bytes: &[u8],
) -> Result<Reviewed<BTreeMap<JurisdictionCode, Zone>>, Vec<ConfigProblem>> {
    let table = Table::read("zones", ["zone", "code", "note"], bytes)?;
    let (mut zones, mut problems) = (BTreeMap::new(), Vec::new());
    for row in &table.rows {
        let [zone, code, _] = row.fields;
        let added = if zone.is_empty() {
            Err(ConfigReason::Empty)
        } else {
            parse_code(code).and_then(|code| insert_new(&mut zones, code, Zone(zone.to_owned())))
        };
        problems.extend(added.err().map(|reason| table.problem(row.line, reason)));
    }
    checked((table.reviewed_on, zones), problems)
}

fn read_rules(
    bytes: &[u8],
    zones: &BTreeMap<JurisdictionCode, Zone>,
) -> Result<Reviewed<Vec<TransferRule>>, Vec<ConfigProblem>> {
    let table = Table::read(
        "transfers",
        ["from", "to", "status", "basis", "note"],
        bytes,
    )?;
    let named: BTreeSet<&Zone> = zones.values().collect();
    let mut seen = BTreeSet::new();
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    for row in &table.rows {
        let [from, to, ..] = row.fields;
        let read = if seen.insert(row.fields) {
            parse_rule(row.fields, &named)
        } else {
            Err(ConfigReason::Duplicate {
                what: format!("{from} to {to}"),
            })
        };
        match read {
            Ok(rule) => rules.push(rule),
            Err(reason) => problems.push(table.problem(row.line, reason)),
        }
    }
    checked((table.reviewed_on, rules), problems)
}

fn parse_rule(fields: [&str; 5], zones: &BTreeSet<&Zone>) -> Result<TransferRule, ConfigReason> {
    let [from, to, status, basis, note] = fields;
    Ok(TransferRule {
        status: parse_status(status)?,
        basis: basis.to_owned(),
        note: note.to_owned(),
        from: parse_place(from, zones)?,
        to: parse_place(to, zones)?,
    })
}

fn parse_place(text: &str, zones: &BTreeSet<&Zone>) -> Result<Place, ConfigReason> {
    if text == "*" {
        return Ok(Place::Anywhere);
    }
    if let Ok(code) = text.parse() {
        return Ok(Place::Code(code));
    }
    let zone = Zone(text.to_owned());
    if zones.contains(&zone) {
        return Ok(Place::Zone(zone));
    }
    Err(ConfigReason::UnknownPlace {
        text: text.to_owned(),
    })
}

fn parse_status(text: &str) -> Result<TransferStatus, ConfigReason> {
    Ok(match text {
        "adequate" => TransferStatus::Adequate,
        "prohibited" => TransferStatus::Prohibited,
        "authorisation" => TransferStatus::Authorisation,
        "notify" => TransferStatus::Notify,
        "conditional" => TransferStatus::Conditional,
        _ => {
            return Err(ConfigReason::UnknownStatus {
                text: text.to_owned(),
            });
        }
    })
}

fn parse_code(text: &str) -> Result<JurisdictionCode, ConfigReason> {
    text.parse().map_err(|_| ConfigReason::UnknownCode {
        text: text.to_owned(),
        meant: JurisdictionCode::meant_by(text),
    })
}

fn insert_new<V>(
    map: &mut BTreeMap<JurisdictionCode, V>,
    code: JurisdictionCode,
    value: V,
) -> Result<(), ConfigReason> {
    match map.insert(code, value) {
        None => Ok(()),
        Some(_) => Err(ConfigReason::Duplicate {
            what: code.to_string(),
        }),
    }
}
