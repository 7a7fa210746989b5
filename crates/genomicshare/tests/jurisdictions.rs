//! The tables of law: complete, equal to their source, and read without trust.

#![expect(
    clippy::expect_used,
    reason = "a helper that cannot go on fails its test"
)]

use std::path::PathBuf;

use genomicshare::jurisdiction::TransferStatus;
use genomicshare::{ConfigReason, Error, JurisdictionCode, LawTable, LawTableFiles};
use proptest::prelude::*;

const LAWS: &str = "code\tname\tregulation\tgenomic_provisions\ttransfer_rule\n";
const TRANSFERS: &str = "from\tto\tstatus\tbasis\tnote\n";
const ZONES: &str = "zone\tcode\tnote\n";

fn code(text: &str) -> JurisdictionCode {
    text.parse().expect("listed")
}

fn read(laws: &str, transfers: &str, zones: &str) -> Result<LawTable, Error> {
    LawTable::from_tsv(LawTableFiles {
        jurisdictions: laws.as_bytes(),
        transfers: transfers.as_bytes(),
        zones: zones.as_bytes(),
    })
}

fn statuses(from: &str, to: &str) -> Vec<TransferStatus> {
    let law = LawTable::builtin();
    law.transfer_rules(code(from), code(to))
        .map(|rule| rule.status)
        .collect()
}

#[test]
fn every_country_has_a_zone_and_a_name() {
    let law = LawTable::builtin();
    let mut countries = 0;
    let mut own = 0;
    for country in JurisdictionCode::countries() {
        assert!(!law.name_of(country).is_empty(), "{country}");
        countries += 1;
        own += usize::from(law.zone_of(country).as_str() == country.as_str());
    }
    assert_eq!(countries, 249);
    let rows = JurisdictionCode::countries()
        .filter(|c| law.law_of(*c).is_some())
        .count();
    assert_eq!(rows, 110);
    println!("{countries} countries, {rows} with a law row, {own} their own zone");
}

#[test]
fn the_european_economic_area_is_one_zone() {
    let members = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES \
                   SE IS LI NO";
    let law = LawTable::builtin();
    assert_eq!(members.split_whitespace().count(), 30);
    for member in members.split_whitespace() {
        assert_eq!(law.zone_of(code(member)).as_str(), "EEA", "{member}");
    }
    for outside in ["GB", "CH", "US", "TR", "GL", "FO"] {
        assert_eq!(law.zone_of(code(outside)).as_str(), outside);
    }
}

#[test]
fn one_place_under_two_codes_is_one_zone() {
    let law = LawTable::builtin();
    for (one, other) in [
        ("US", "US-IL"),
        ("PR", "US-PR"),
        ("HK", "CN-HK"),
        ("AW", "NL-AW"),
        ("GP", "FR-971"),
        ("AX", "FI-01"),
        ("SJ", "NO-21"),
        ("DE", "DE-BY"),
    ] {
        assert_eq!(
            law.zone_of(code(one)),
            law.zone_of(code(other)),
            "{one} {other}"
        );
    }
    assert_ne!(law.zone_of(code("CA-QC")), law.zone_of(code("US-IL")));
    assert_eq!(law.law_of(code("CA-QC")), law.law_of(code("CA")));
}

#[test]
fn the_builtin_tables_are_dated_and_marked() {
    let law = LawTable::builtin();
    assert_eq!(
        law.reviewed_on().map(|date| date.to_string()).as_deref(),
        Some("2026-11-20")
    );
    let unsure = JurisdictionCode::countries()
        .filter(|c| law.law_of(*c).is_some_and(|law| law.unsure))
        .count();
    assert_eq!(unsure, 25);
    for table in [
        &include_bytes!("../data/jurisdictions.tsv")[..],
        include_bytes!("../data/adequacy_edges.tsv"),
        include_bytes!("../data/zones.tsv"),
    ] {
        let first = table.split(|b| *b == b'\n').next().expect("a line");
        assert!(String::from_utf8_lossy(first).contains("not legal advice"));
    }
}

#[test]
fn rules_match_codes_zones_and_wildcards() {
    use TransferStatus::{Adequate, Authorisation, Conditional, Notify, Prohibited};
    assert_eq!(statuses("US", "CN"), [Prohibited]);
    assert_eq!(statuses("US-IL", "CN"), [Prohibited]);
    assert_eq!(statuses("PR", "RU"), [Prohibited]);
    assert_eq!(statuses("CN", "US"), [Authorisation]);
    assert_eq!(statuses("RU", "KZ"), [Notify]);
    assert_eq!(statuses("ZA", "DE"), [Conditional]);
    assert_eq!(statuses("DE", "CA"), [Adequate]);
    assert_eq!(statuses("DE", "CA-QC"), [Adequate]);
    assert_eq!(statuses("GB", "NO"), [Adequate]);
    assert_eq!(statuses("DE", "FR"), []);
    assert_eq!(statuses("CN", "CN-BJ"), []);
    assert_eq!(statuses("JP", "CA"), []);
}

#[test]
fn every_concern_of_28_cfr_202_is_prohibited() {
    for to in ["CN", "HK", "MO", "CU", "IR", "KP", "RU", "VE"] {
        assert_eq!(statuses("US", to), [TransferStatus::Prohibited], "{to}");
    }
}

#[test]
fn tables_can_be_replaced() {
    let law = read(
        &format!("# reviewed 2027-01-02\n{LAWS}DE\tGermany\tX\t\t\r\n"),
        &format!("{TRANSFERS}FIVE\t*\tnotify\tb\t\nUS\tJP\tconditional\tb\t\n"),
        &format!("# reviewed 2026-12-31; ours\n{ZONES}FIVE\tUS\t\nFIVE\tGB\t\n"),
    )
    .expect("valid");
    assert_eq!(law.zone_of(code("US")), law.zone_of(code("GB")));
    assert_eq!(law.zone_of(code("DE")).as_str(), "DE");
    assert_eq!(law.transfer_rules(code("US-IL"), code("DE")).count(), 1);
    // A rule of one country holds for its subdivisions, not for the others of its zone.
    assert_eq!(law.transfer_rules(code("US-IL"), code("JP")).count(), 2);
    assert_eq!(law.transfer_rules(code("GB"), code("JP")).count(), 1);
    assert_eq!(law.law_of(code("FR")), None);
    assert_eq!(law.reviewed_on(), None, "one table states no date");
}

#[test]
fn every_bad_row_is_named_by_table_and_line() {
    let error = read(
        &format!("{LAWS}DE\tGermany\tX\t\t\nde\tGermany\tX\t\t\nDE\tagain\tX\t\t\nFR\tFrance\n"),
        &format!("{TRANSFERS}US\tCN\tmaybe\t\t\nUS\tNOWHERE\tnotify\t\t\n*\t*\tnotify\t\t\n*\t*\tnotify\t\t\n"),
        &format!("{ZONES}\tUS\t\n"),
    )
    .unwrap_err();
    assert_eq!(error.code(), "INVALID_CONFIG");
    let Error::Config(problems) = error else {
        panic!("not a configuration error")
    };
    let places: Vec<&str> = problems.iter().map(|p| p.place.as_str()).collect();
    assert_eq!(
        places,
        [
            "jurisdictions table, line 5",
            "zones table, line 2",
            "transfers table, line 2",
            "transfers table, line 3",
            "transfers table, line 5",
        ]
    );
    assert!(matches!(
        problems[0].reason,
        ConfigReason::Columns {
            found: 2,
            expected: 5
        }
    ));
}

#[test]
fn rows_that_do_not_mean_anything_are_named_too() {
    let error = read(
        &format!("{LAWS}DE\tGermany\tX\t\t\nde\tGermany\tX\t\t\nDE\tagain\tX\t\t\nFR\t\tX\t\t\n"),
        TRANSFERS,
        ZONES,
    )
    .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("line 3: de is no ISO 3166 code; write DE"),
        "{message}"
    );
    assert!(message.contains("line 4: DE stands twice"), "{message}");
    assert!(message.contains("line 5: must not be empty"), "{message}");
}

#[test]
fn a_table_without_its_heading_is_refused() {
    for laws in ["", "# only a comment\n", "DE\tGermany\tX\t\t\n", "\u{feff}"] {
        let message = read(laws, TRANSFERS, ZONES).unwrap_err().to_string();
        assert!(
            message.contains("the heading must be code name"),
            "{laws:?}: {message}"
        );
    }
    let error = read(&format!("{LAWS}DE\tA\u{1b}[2J\tX\t\t\n"), TRANSFERS, ZONES).unwrap_err();
    assert!(error.to_string().contains("control characters"));
}

#[test]
fn the_copies_equal_their_source() {
    let shared = std::env::var_os("XGENE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    for name in ["jurisdictions.tsv", "adequacy_edges.tsv"] {
        let source = shared.join("jurisdictions").join(name);
        let Ok(source) = std::fs::read_to_string(&source) else {
            println!("SKIP the_copies_equal_their_source: {name}");
            continue;
        };
        let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("data")
            .join(name);
        let ours = std::fs::read_to_string(ours).expect("our copy");
        let (_, body) = ours.split_once('\n').expect("a comment line");
        assert!(body == source, "{name} differs from its source");
    }
}

/// Good rows of one table among the pieces that tables are made of.
fn near_table(heading: &'static str, row: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let piece = "DE|US|CN-HK|EEA|\\*|notify|adequate|[a-zA-Z*#]{0,3}|\t|\t|\n|\n|\r|\\PC";
    let near = prop::collection::vec(prop_oneof![3 => Just(row.to_owned()), 1 => piece], 0..3);
    near.prop_map(move |pieces| format!("{heading}{}", pieces.concat()).into_bytes())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        jurisdictions in prop::collection::vec(any::<u8>(), 0..200),
        transfers in prop::collection::vec(any::<u8>(), 0..200),
        zones in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let files = LawTableFiles {
            jurisdictions: &jurisdictions,
            transfers: &transfers,
            zones: &zones,
        };
        prop_assert_eq!(LawTable::from_tsv(files).unwrap_err().code(), "INVALID_CONFIG");
    }

    #[test]
    fn near_tables_are_read_or_refused(
        jurisdictions in near_table(LAWS, "DE\tGermany\tX\t\t\n"),
        transfers in near_table(TRANSFERS, "US\t*\tnotify\tX\t\n"),
        zones in near_table(ZONES, "EEA\tDE\t\n"),
    ) {
        let files = LawTableFiles {
            jurisdictions: &jurisdictions,
            transfers: &transfers,
            zones: &zones,
        };
        match LawTable::from_tsv(files) {
            Ok(law) => for country in [code("DE"), code("CN-HK"), code("US")] {
                prop_assert!(!law.zone_of(country).as_str().is_empty());
            },
            Err(Error::Config(problems)) => prop_assert!(!problems.is_empty()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
