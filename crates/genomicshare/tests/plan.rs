//! Plans: the integration patterns run, and every refusal and warning is reached.

#![expect(
    clippy::expect_used,
    reason = "a helper that cannot go on fails its test"
)]

use std::path::{Path, PathBuf};

use genomicshare::jurisdiction::TransferStatus;
use genomicshare::plan::{Enforcement, Warning};
use genomicshare::{ConsentRecord, LawTable, Plan, Refusal, Sites, plan};
use jiff::Timestamp;
use serde_json::Value;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("a time")
}

fn example(name: &str) -> (Sites, ConsentRecord) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name);
    let read = |file: &str| std::fs::read(folder.join(file)).expect("an example file");
    let sites = Sites::from_toml(&read("sites.toml"), Path::new("/srv/study")).expect("valid");
    let consent = ConsentRecord::from_json(&read("consent.json")).expect("valid");
    (sites, consent)
}

/// Sites under distinct hosts; `extra` is written under each.
fn sites(threshold: u8, codes: &[&str], extra: &str) -> Sites {
    let mut text = format!("threshold = {threshold}\n");
    for code in codes {
        text += &format!(
            "[[jurisdiction]]\ncode = \"{code}\"\nendpoint = \"https://{code}.store/x\"\n{extra}\n"
        );
    }
    Sites::from_toml(text.as_bytes(), Path::new("/")).expect("valid")
}

fn plan_of(sites: &Sites) -> Plan {
    plan(sites, None, LawTable::builtin(), None, now())
}

fn refusal_codes(plan: &Plan) -> Vec<&'static str> {
    plan.refusals.iter().map(Refusal::code).collect()
}

#[test]
fn the_integration_patterns_may_go_ahead() {
    for (name, codes) in [
        ("biobank", ["GB", "US", "FI"]),
        ("trial", ["DE", "CA", "JP"]),
        ("analysis", ["DE", "CA", "JP"]),
    ] {
        let (sites, consent) = example(name);
        let plan = plan(
            &sites,
            Some(&consent),
            LawTable::builtin(),
            Some(1000),
            now(),
        );
        plan.verdict()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let planned: Vec<&str> = plan
            .shares
            .iter()
            .map(|share| share.code.as_str())
            .collect();
        assert_eq!(planned, codes, "{name}");
        assert_eq!(plan.stored_len_bytes, Some(3000));
        assert_eq!(plan.short_stored_len_bytes, Some(1500));
        assert_eq!(plan.survivable_losses, 1);
        assert_eq!(plan.enforcement, Enforcement::ClientOnly);
        assert!(plan.warnings.contains(&Warning::Trial), "{name}");
        let regulations = plan
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::RegulationDiffers { .. }));
        assert!(!regulations, "{name}");
    }
}

#[test]
fn a_trial_ends_on_its_end_date() {
    let (sites, consent) = example("trial");
    let at = |time: &str| {
        let time = time.parse().expect("a time");
        plan(&sites, Some(&consent), LawTable::builtin(), None, time).verdict()
    };
    assert!(at("2031-06-29T23:59:59Z").is_ok());
    assert_eq!(
        at("2031-06-30T00:00:00Z").unwrap_err().code(),
        "CONSENT_EXPIRED"
    );
}

#[test]
fn consent_for_two_of_three_sites_names_the_third() {
    let (_, consent) = example("trial");
    let mut fields = consent.fields().clone();
    fields.authorized_jurisdictions.pop();
    let consent = ConsentRecord::try_new(fields).expect("valid");
    let sites = sites(2, &["DE", "CA", "JP"], "");
    let error = plan(&sites, Some(&consent), LawTable::builtin(), None, now())
        .verdict()
        .unwrap_err();
    assert_eq!(error.code(), "JURISDICTION_MISMATCH");
    assert_eq!(error.to_string(), "consent does not cover JP");
}

#[test]
fn germany_and_france_are_one_zone() {
    let plan = plan_of(&sites(2, &["DE", "FR", "US"], ""));
    assert_eq!(refusal_codes(&plan), ["ZONE_QUORUM"]);
    let message = plan.verdict().unwrap_err().to_string();
    assert_eq!(
        message,
        "one holder would have the 2 shares needed to read: zone EEA holds 2"
    );
    assert_eq!(plan.smallest_coalition.holders.len(), 1);
    assert_eq!(plan.smallest_coalition.holders[0].shares, [0, 1]);
    assert!(
        plan_of(&sites(3, &["DE", "FR", "US"], ""))
            .verdict()
            .is_ok()
    );
}

#[test]
fn one_operator_or_credential_under_every_flag_is_refused() {
    for (extra, label) in [
        ("operator = \"Cloud\"", "operator cloud"),
        ("credential = \"c\"", "credential c"),
    ] {
        let message = plan_of(&sites(2, &["DE", "CA", "JP"], extra))
            .verdict()
            .unwrap_err()
            .to_string();
        assert!(message.ends_with(&format!("{label} holds 3")), "{message}");
    }
}

#[test]
fn american_genomes_may_not_go_to_countries_of_concern() {
    let plan = plan_of(&sites(2, &["US", "CN", "CH"], ""));
    assert_eq!(refusal_codes(&plan), ["PLACEMENT_FORBIDDEN"]);
    let error = plan.verdict().unwrap_err();
    assert_eq!(
        error.to_string(),
        "transfer is prohibited: US to CN (28 CFR 202.303)"
    );
    // What China asks for is a condition, in both directions out of it.
    let asked: Vec<String> = plan
        .conditions()
        .map(|t| format!("{}{}", t.from, t.to))
        .collect();
    assert_eq!(asked, ["CNUS", "CNCH"]);
}

#[test]
fn every_direction_has_its_rule_or_says_that_there_is_none() {
    let plan = plan_of(&sites(2, &["DE", "CA", "ZA"], ""));
    let shown: Vec<(String, Option<TransferStatus>)> = plan
        .transfers
        .iter()
        .map(|t| {
            (
                format!("{}{}", t.from, t.to),
                t.rule.as_ref().map(|rule| rule.status),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("DECA".to_owned(), Some(TransferStatus::Adequate)),
            ("DEZA".to_owned(), None),
            ("CADE".to_owned(), None),
            ("CAZA".to_owned(), None),
            ("ZADE".to_owned(), Some(TransferStatus::Conditional)),
            ("ZACA".to_owned(), Some(TransferStatus::Conditional)),
        ]
    );
}

#[test]
fn all_refusals_are_listed_consent_first() {
    let (_, consent) = example("trial");
    let sites = sites(2, &["US", "PR", "CN"], "");
    let late = "2040-01-01T00:00:00Z".parse().expect("a time");
    let plan = plan(&sites, Some(&consent), LawTable::builtin(), None, late);
    assert_eq!(
        refusal_codes(&plan),
        [
            "CONSENT_EXPIRED",
            "JURISDICTION_MISMATCH",
            "ZONE_QUORUM",
            "PLACEMENT_FORBIDDEN"
        ]
    );
    assert_eq!(plan.verdict().unwrap_err().code(), "CONSENT_EXPIRED");
}

#[test]
fn warnings_say_what_is_not_proven() {
    let text = r#"
        threshold = 3
        [[jurisdiction]]
        code = "GB"
        regulation = "GDPR"
        endpoint = "https://gb.store"
        operator = "biobank"
        [[jurisdiction]]
        code = "AQ"
        endpoint = "https://aq.store"
        [[jurisdiction]]
        code = "QA"
        endpoint = "https://qa.store"
        "#;
    let sites = Sites::from_toml(text.as_bytes(), Path::new("/")).expect("valid");
    let plan = plan_of(&sites);
    let said: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "k = n: every share is needed, nothing can be repaired",
            "no operator is named for [AQ, QA]: that they are distinct is not proven",
            "GB is said to be under GDPR, the law table says UK GDPR + Data Protection Act 2018 \
             (as amended by Data (Use and Access) Act 2025)",
            "the law table has no row for [AQ]",
            "the law table is not sure of its rows for [QA]",
        ]
    );
    assert_eq!(plan.shares[1].name, "Antarctica");
    assert!(plan.shares[2].law_unsure);
}

#[test]
fn a_trial_is_said_and_not_refused() {
    let (sites, _) = example("trial");
    let plan = plan_of(&sites);
    assert!(plan.verdict().is_ok());
    assert_eq!(
        plan.warnings[0].to_string(),
        "all shares are on this computer: a trial, not a protection"
    );
    assert_eq!(plan.smallest_coalition.holders[0].value, "this computer");
    assert_eq!(plan.enforcement.to_string(), "enforced by our client only");
}

#[test]
fn a_plan_is_json_without_a_query_or_a_subject() {
    let text = "threshold = 2\n[[jurisdiction]]\ncode = \"US\"\nendpoint = \"s3://b/p?sig=SECRET\"\n\
                [[jurisdiction]]\ncode = \"RU\"\nendpoint = \"https://ru.store\"\n";
    let sites = Sites::from_toml(text.as_bytes(), Path::new("/")).expect("valid");
    let (_, consent) = example("trial");
    let plan = plan(
        &sites,
        Some(&consent),
        LawTable::builtin(),
        Some(u64::MAX),
        now(),
    );
    let text = serde_json::to_string(&plan).expect("serialisable");
    assert!(
        !text.contains("SECRET") && !text.contains("TRIAL-456"),
        "{text}"
    );
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["refusals"][0]["code"], "JURISDICTION_MISMATCH");
    assert_eq!(json["refusals"][1]["code"], "PLACEMENT_FORBIDDEN");
    assert_eq!(json["shares"][0]["endpoint"], "s3://b/p");
    assert_eq!(json["shares"][0]["zone"], "US");
    assert_eq!(json["stored_len_bytes"], u64::MAX);
    assert_eq!(json["enforcement"], "client-only");
    assert_eq!(json["assurance"], "asserted-by-operator");
    assert_eq!(json["law_reviewed_on"], "2026-11-20");
    assert_eq!(json["warnings"][0]["kind"], "nothing-to-spare");
    assert_eq!(json["transfers"][0]["rule"]["status"], "prohibited");
    assert_eq!(json["smallest_coalition"]["holders"][0]["label"], "zone");
}
