//! `xgene jurisdictions`: codes, law, zones and transfer rules.

use genomicshare::{JurisdictionCode, LawTable};
use serde_json::json;

use crate::args::Jurisdictions;
use crate::codes::OK;
use crate::commands::table;
use crate::failure::Failure;
use crate::session::{Session, law};

pub(crate) fn run(args: &Jurisdictions, session: &Session) -> Result<u8, Failure> {
    match args {
        Jurisdictions::List { known } => list(*known, session),
        Jurisdictions::Show { code } => show(code, session)?,
    }
    if let Some(date) = law().reviewed_on() {
        session
            .terminal
            .note(&format!("reviewed on {date}; not legal advice"));
    }
    Ok(OK)
}

fn list(known: bool, session: &Session) {
    let mut rows = table(&["code", "name", "zone", "regulation"]);
    let mut listed = Vec::new();
    for code in JurisdictionCode::countries() {
        let entry = law().law_of(code);
        if known && entry.is_none() {
            continue;
        }
        let (name, zone) = (law().name_of(code), law().zone_of(code));
        let regulation = entry.map(|law| law.regulation.as_str());
        listed.push(json!({
            "code": code.as_str(), "name": name, "zone": zone.as_str(), "regulation": regulation,
        }));
        rows.add_row([
            code.as_str(),
            name,
            zone.as_str(),
            regulation.unwrap_or("-"),
        ]);
    }
    session
        .terminal
        .message("summary", json!({ "jurisdictions": listed }));
    session.terminal.say(&rows.to_string());
}

fn show(code: &str, session: &Session) -> Result<(), Failure> {
    let parsed: JurisdictionCode = code.parse().map_err(|_| {
        let meant = JurisdictionCode::meant_by(code);
        let hint = meant.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
        Failure::usage(format!("`{code}` is no ISO 3166 code{hint}"))
    })?;
    let entry = law().law_of(parsed);
    let rules = rules(law(), parsed);
    session.terminal.message(
        "summary",
        json!({
            "code": parsed.as_str(),
            "name": law().name_of(parsed),
            "zone": law().zone_of(parsed).as_str(),
            "regulation": entry.map(|law| &law.regulation),
            "genomic_provisions": entry.map(|law| &law.genomic_provisions),
            "transfer_rule": entry.map(|law| &law.transfer_rule),
            "unsure": entry.map(|law| law.unsure),
            "transfers": rules,
        }),
    );
    let say = |name: &str, value: &str| session.terminal.say(&format!("{name:<12} {value}"));
    say("code", parsed.as_str());
    say("name", law().name_of(parsed));
    say("zone", law().zone_of(parsed).as_str());
    match entry {
        Some(law) => {
            say("regulation", &law.regulation);
            say("genomic", &law.genomic_provisions);
            say("transfer", &law.transfer_rule);
            if law.unsure {
                say("note", "a part of this row is not confirmed");
            }
        }
        None => say("law", "not in the table"),
    }
    for rule in &rules {
        say(
            "to",
            &format!("{}: {} ({})", rule["to"], rule["status"], rule["basis"]).replace('"', ""),
        );
    }
    Ok(())
}

/// Transfer rules from one jurisdiction to every other country that has any.
fn rules(law: &LawTable, from: JurisdictionCode) -> Vec<serde_json::Value> {
    let mut rules = Vec::new();
    for to in JurisdictionCode::countries().filter(|to| *to != from) {
        for rule in law.transfer_rules(from, to) {
            rules.push(json!({
                "to": to.as_str(), "status": rule.status, "basis": rule.basis, "note": rule.note,
            }));
        }
    }
    rules
}
