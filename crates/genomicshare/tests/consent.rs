//! The consent record's JSON form: complete in what it accepts, and in what it complains of.

#![expect(
    clippy::expect_used,
    reason = "a helper that cannot go on fails its test"
)]

use genomicshare::{Assurance, ConsentReason, ConsentRecord, Error};
use proptest::prelude::*;
use serde_json::{Value, json};

const REQUIRED: [&str; 5] = [
    "subjectId",
    "purpose",
    "grantedBy",
    "grantedAt",
    "authorizedJurisdictions",
];

fn whole() -> Value {
    json!({
        "subjectId": "SUBJ-001",
        "purpose": "rare-disease-research",
        "grantedBy": "patient",
        "grantedAt": "2026-04-10T00:00:00Z",
        "authorizedJurisdictions": ["DE", "CA", "JP"],
        "expiresAt": "2027-04-10T00:00:00Z",
    })
}

fn with(name: &str, value: Value) -> String {
    let mut record = whole();
    record[name] = value;
    record.to_string()
}

/// Field names and reasons, in the order reported.
fn problems(json: &str) -> Vec<(String, ConsentReason)> {
    match ConsentRecord::from_json(json.as_bytes()) {
        Err(error @ Error::Consent(_)) => {
            assert_eq!(error.code(), "CONSENT_INVALID");
            let Error::Consent(problems) = error else {
                unreachable!("matched above")
            };
            problems.into_iter().map(|p| (p.field, p.reason)).collect()
        }
        other => panic!("{json}: {other:?}"),
    }
}

fn one_problem(json: &str) -> (String, ConsentReason) {
    let found = problems(json);
    assert_eq!(found.len(), 1, "{json}: {found:?}");
    found.into_iter().next().expect("one")
}

#[test]
fn a_whole_record_is_read() {
    let consent = ConsentRecord::from_json(whole().to_string().as_bytes()).expect("valid");
    let fields = consent.fields();
    assert_eq!(fields.subject_id, "SUBJ-001");
    assert_eq!(fields.purpose, "rare-disease-research");
    assert_eq!(fields.granted_by, "patient");
    assert_eq!(fields.granted_at.to_string(), "2026-04-10T00:00:00Z");
    let codes: Vec<&str> = fields
        .authorized_jurisdictions
        .iter()
        .map(|c| c.as_str())
        .collect();
    assert_eq!(codes, ["DE", "CA", "JP"]);
    assert_eq!(
        fields.expires_at.map(|t| t.to_string()).as_deref(),
        Some("2027-04-10T00:00:00Z")
    );
    assert_eq!(consent.assurance(), Assurance::AssertedByOperator);
    assert_eq!(consent.assurance().to_string(), "asserted by the operator");
}

#[test]
fn five_fields_are_enough() {
    let mut record = whole();
    record.as_object_mut().expect("object").remove("expiresAt");
    let consent = ConsentRecord::from_json(record.to_string().as_bytes()).expect("valid");
    assert_eq!(consent.fields().expires_at, None);
}

#[test]
fn every_required_field_missing() {
    for name in REQUIRED {
        let mut record = whole();
        record.as_object_mut().expect("object").remove(name);
        let found = one_problem(&record.to_string());
        assert_eq!(found, (name.to_owned(), ConsentReason::Missing));
    }
}

#[test]
fn every_field_empty_or_blank() {
    for name in [
        "subjectId",
        "purpose",
        "grantedBy",
        "grantedAt",
        "expiresAt",
    ] {
        for blank in ["", " ", "\t \n", "\u{2003}"] {
            let found = one_problem(&with(name, json!(blank)));
            assert_eq!(found, (name.to_owned(), ConsentReason::Empty), "{blank:?}");
        }
    }
    let found = one_problem(&with("authorizedJurisdictions", json!([])));
    assert_eq!(found.1, ConsentReason::Empty);
    let found = one_problem(&with("authorizedJurisdictions", json!(["DE", " "])));
    assert_eq!(
        found,
        (
            "authorizedJurisdictions[1]".to_owned(),
            ConsentReason::Empty
        )
    );
}

#[test]
fn every_field_of_another_type() {
    let others = [
        json!(null),
        json!(1),
        json!(true),
        json!({}),
        json!([1]),
        json!("x"),
    ];
    for name in REQUIRED.into_iter().chain(["expiresAt"]) {
        for other in &others {
            let list = name == "authorizedJurisdictions";
            if (other.is_string() && !list) || (other.is_array() && list) {
                continue;
            }
            let (field, reason) = one_problem(&with(name, other.clone()));
            assert_eq!(field, name);
            assert!(
                matches!(reason, ConsentReason::WrongType { .. }),
                "{name} {other}: {reason:?}"
            );
        }
    }
    let (field, reason) = one_problem(&with("authorizedJurisdictions", json!(["DE", 5])));
    assert_eq!(field, "authorizedJurisdictions[1]");
    assert!(matches!(reason, ConsentReason::WrongType { .. }));
}

#[test]
fn times_that_are_none_or_in_the_wrong_order() {
    for name in ["grantedAt", "expiresAt"] {
        for bad in [
            "yesterday",
            "2026-04-10",
            "2026-13-01T00:00:00Z",
            "1775779200",
        ] {
            let found = one_problem(&with(name, json!(bad)));
            assert_eq!(found, (name.to_owned(), ConsentReason::NotATime), "{bad}");
        }
    }
    for end in [
        "2026-04-10T00:00:00Z",
        "2026-04-10T01:59:59+02:00",
        "1999-01-01T00:00:00Z",
    ] {
        let found = one_problem(&with("expiresAt", json!(end)));
        assert_eq!(
            found,
            ("expiresAt".to_owned(), ConsentReason::NotAfterGrant),
            "{end}"
        );
    }
}

#[test]
fn codes_that_are_unknown_misspelt_or_doubled() {
    let (field, reason) = one_problem(&with("authorizedJurisdictions", json!(["DE", "XX"])));
    assert_eq!(field, "authorizedJurisdictions[1]");
    assert_eq!(reason.to_string(), "XX is no ISO 3166 code");
    let (_, reason) = one_problem(&with("authorizedJurisdictions", json!(["uk"])));
    assert_eq!(reason.to_string(), "uk is no ISO 3166 code; write GB");
    let (field, reason) = one_problem(&with("authorizedJurisdictions", json!(["DE", "CA", "DE"])));
    assert_eq!(field, "authorizedJurisdictions[2]");
    assert_eq!(reason.to_string(), "DE stands twice");
}

#[test]
fn unknown_and_doubled_fields_are_refused() {
    // Read leniently, this consent would never end.
    let found = one_problem(&with("expires", json!("2027-01-01T00:00:00Z")));
    assert_eq!(found, ("expires".to_owned(), ConsentReason::Unknown));

    let text = whole().to_string();
    let doubled = format!("{},\"purpose\":\"anything\"}}", text.trim_end_matches('}'));
    let found = one_problem(&doubled);
    assert_eq!(found, ("purpose".to_owned(), ConsentReason::Duplicate));
}

#[test]
fn control_characters_are_refused_and_not_repeated() {
    for name in ["subjectId", "purpose", "grantedBy"] {
        let found = one_problem(&with(name, json!("a\u{1b}[2Jb")));
        assert_eq!(found, (name.to_owned(), ConsentReason::ControlCharacter));
    }
    let error = ConsentRecord::from_json(with("\u{1b}[2J", json!(1)).as_bytes()).unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'));
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let found = problems(
        r#"{"subjectId": " ", "grantedBy": 7, "grantedAt": "2026-04-10T00:00:00Z",
            "authorizedJurisdictions": ["XX", "DE"], "expiresAt": "2026-01-01T00:00:00Z",
            "note": ""}"#,
    );
    let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "note",
            "subjectId",
            "purpose",
            "grantedBy",
            "authorizedJurisdictions[0]",
            "expiresAt"
        ]
    );
}

#[test]
fn what_is_no_record_at_all() {
    for (text, line) in [
        ("", 1),
        ("{", 1),
        ("{}{}", 1),
        ("\u{feff}{}", 1),
        ("{\n\"a\" 1}", 2),
    ] {
        let (field, reason) = one_problem(text);
        assert_eq!(field, "record");
        assert!(
            matches!(reason, ConsentReason::NotJson { line: at, .. } if at == line),
            "{text:?}: {reason:?}"
        );
    }
    for text in ["null", "[]", "\"a\"", "1"] {
        assert!(
            matches!(one_problem(text).1, ConsentReason::WrongType { .. }),
            "{text}"
        );
    }
    let deep = "[".repeat(60_000);
    assert!(matches!(
        one_problem(&with_raw("purpose", &deep)).1,
        ConsentReason::NotJson { .. }
    ));
    let long = with("purpose", json!("x".repeat(64 * 1024)));
    assert!(matches!(
        one_problem(&long).1,
        ConsentReason::TooLarge { .. }
    ));
}

fn with_raw(name: &str, raw: &str) -> String {
    format!("{{\"{name}\": {raw}}}")
}

#[test]
fn debug_and_errors_name_no_person() {
    let consent = ConsentRecord::from_json(whole().to_string().as_bytes()).expect("valid");
    let shown = format!("{consent:?}");
    assert!(
        !shown.contains("SUBJ-001") && !shown.contains("rare-disease"),
        "{shown}"
    );
    let error = ConsentRecord::from_json(with("grantedAt", json!("x")).as_bytes()).unwrap_err();
    assert!(!error.to_string().contains("SUBJ-001"), "{error}");
}

#[cfg(feature = "planted")]
#[test]
#[should_panic(expected = "index out of bounds")]
fn the_planted_defect_is_there() {
    let _ = ConsentRecord::from_json(with("authorizedJurisdictions", json!(["US-IL"])).as_bytes());
}

/// Values near the ones a record has, so that every branch of the parser is reached.
fn near_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,12}".prop_map(Value::from),
        "[ \\t]{0,3}".prop_map(Value::from),
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|\\+02:00)?"
            .prop_map(Value::from),
        prop::collection::vec("[A-Z]{2}(-[A-Z]{2})?|US-(IL|CA)|DE|.{0,4}", 0..4)
            .prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = ConsentRecord::from_json(&bytes) {
            prop_assert_eq!(error.code(), "CONSENT_INVALID");
        }
    }

    #[test]
    fn near_records_are_read_or_refused_with_a_field(
        values in prop::collection::vec((prop::sample::select(REQUIRED.to_vec()), near_value()), 1..4),
    ) {
        let mut record = whole();
        for (name, value) in values {
            record[name] = value;
        }
        match ConsentRecord::from_json(record.to_string().as_bytes()) {
            Ok(consent) => prop_assert_eq!(
                ConsentRecord::from_json(consent.to_json().as_bytes()).unwrap(), consent
            ),
            Err(Error::Consent(problems)) => prop_assert!(!problems.is_empty()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn written_records_read_back_equal(
        text in "[^\\p{C}]{0,20}x",
        nanos in 0..4_000_000_000_000_000_000_i128,
        lasts in prop::option::of(1..1_000_000_000_000_000_000_i128),
    ) {
        let time = |nanos| jiff::Timestamp::from_nanosecond(nanos).expect("in range");
        let consent = ConsentRecord::try_new(genomicshare::ConsentFields {
            subject_id: text.clone(),
            purpose: text.clone(),
            granted_by: text,
            granted_at: time(nanos),
            authorized_jurisdictions: vec!["CA-QC".parse().expect("listed")],
            expires_at: lasts.map(|lasts| time(nanos + lasts)),
        }).expect("valid");
        prop_assert_eq!(ConsentRecord::from_json(consent.to_json().as_bytes()).unwrap(), consent);
    }
}
