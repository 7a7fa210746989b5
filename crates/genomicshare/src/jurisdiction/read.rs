//! Reads the three tables of law from bytes that nobody vouches for.

use std::collections::{BTreeMap, BTreeSet};

use super::JurisdictionCode;
use super::law::{Law, LawTable, LawTableFiles, Place, TransferRule, TransferStatus, Zone};
use super::tsv::Table;
use crate::error::{ConfigProblem, ConfigReason, Error};

/// All three tables, or every problem of all three.
pub(super) fn tables(files: LawTableFiles<'_>) -> Result<LawTable, Error> {
    let mut problems = Vec::new();
    let laws = collected(read_laws(files.jurisdictions), &mut problems);
    let zones = collected(read_zones(files.zones), &mut problems);
    let rules = collected(read_rules(files.transfers, &zones.1), &mut problems);
    if !problems.is_empty() {
        return Err(Error::Config(problems));
    }
    Ok(LawTable {
        reviewed_on: [laws.0, zones.0, rules.0].into_iter().min().flatten(),
        laws: laws.1,
        zones: zones.1,
        rules: rules.1,
    })
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
