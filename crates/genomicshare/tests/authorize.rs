//! From consent and request to permission: every refusal, at every edge of time.

#![expect(
    clippy::expect_used,
    reason = "a helper that cannot go on fails its test"
)]

use genomicshare::authorize::{AUTHORIZATION_LIFETIME, CLOCK_TOLERANCE};
use genomicshare::{
    Authorization, ConsentRecord, Error, JurisdictionCode, Request, Use, authorize,
};
use jiff::{SignedDuration, Timestamp};

const OBJECT: [u8; 32] = [7; 32];

fn consent() -> ConsentRecord {
    ConsentRecord::from_json(
        br#"{"subjectId": "SUBJ-001", "purpose": "rare-disease-research", "grantedBy": "patient",
             "grantedAt": "2026-04-10T00:00:00Z", "authorizedJurisdictions": ["DE", "CA"],
             "expiresAt": "2027-04-10T00:00:00Z"}"#,
    )
    .expect("valid")
}

fn codes(codes: &[&str]) -> Vec<JurisdictionCode> {
    codes
        .iter()
        .map(|code| code.parse().expect("listed"))
        .collect()
}

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

fn ask(jurisdictions: &[&str], purpose: Option<&str>, now: &str) -> Result<Authorization, Error> {
    let usage = Use::Deposit {
        jurisdictions: codes(jurisdictions),
    };
    let request = Request {
        object_id: Some(OBJECT),
        usage: &usage,
        purpose,
    };
    authorize(&consent(), request, at(now))
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (&'static str, String) {
    let error = result.expect_err("refused");
    assert!(!error.recovery().is_empty());
    (error.code(), error.to_string())
}

#[test]
fn a_covered_deposit_is_permitted_and_bound() {
    let permit = ask(&["CA", "DE"], None, "2026-11-20T12:00:00Z").expect("permitted");
    assert_eq!(permit.object_id(), Some(&OBJECT));
    assert_eq!(permit.usage().jurisdictions(), codes(&["CA", "DE"]));
    assert_eq!(permit.consent(), &consent());
    assert_eq!(permit.not_after(), at("2026-11-20T12:15:00Z"));
}

#[test]
fn a_covered_retrieval_is_permitted() {
    let usage = Use::Retrieve {
        from: codes(&["DE"]),
    };
    let request = Request {
        object_id: Some(OBJECT),
        usage: &usage,
        purpose: Some("rare-disease-research"),
    };
    let permit = authorize(&consent(), request, at("2026-11-20T12:00:00Z")).expect("permitted");
    assert_eq!(permit.usage(), &usage);
}

#[test]
fn three_sites_and_consent_for_two_name_the_third() {
    let (code, message) = refusal(ask(&["DE", "CA", "JP"], None, "2026-11-20T12:00:00Z"));
    assert_eq!(code, "JURISDICTION_MISMATCH");
    assert_eq!(message, "consent does not cover JP");
}

#[test]
fn all_missing_jurisdictions_are_named() {
    let (_, message) = refusal(ask(
        &["US", "DE", "CA-QC", "JP"],
        None,
        "2026-11-20T12:00:00Z",
    ));
    assert_eq!(message, "consent does not cover US, CA-QC, JP");
}

#[test]
fn consent_holds_from_its_first_instant_to_before_its_last() {
    for now in [
        "2026-04-09T23:55:00Z",
        "2026-04-10T00:00:00Z",
        "2027-04-09T23:59:59.999999999Z",
    ] {
        assert!(ask(&["DE"], None, now).is_ok(), "{now}");
    }
    for (now, code) in [
        ("2026-04-09T23:54:59.999999999Z", "CONSENT_INVALID"),
        ("2027-04-10T00:00:00Z", "CONSENT_EXPIRED"),
        ("2099-01-01T00:00:00Z", "CONSENT_EXPIRED"),
    ] {
        assert_eq!(refusal(ask(&["DE"], None, now)).0, code, "{now}");
    }
}

#[test]
fn a_purpose_matches_itself_byte_for_byte() {
    let now = "2026-11-20T12:00:00Z";
    assert!(ask(&["DE"], Some("rare-disease-research"), now).is_ok());
    for other in [
        "",
        "Rare-disease-research",
        "rare-disease-research ",
        "rare-disease",
    ] {
        let (code, message) = refusal(ask(&["DE"], Some(other), now));
        assert_eq!(code, "PURPOSE_NOT_PERMITTED", "{other}");
        assert!(!message.contains("rare"), "{message}");
    }
}

#[test]
fn a_request_for_nothing_is_refused() {
    assert_eq!(
        refusal(ask(&[], None, "2026-11-20T12:00:00Z")).0,
        "INVALID_CONFIG"
    );
}

#[test]
fn a_permission_lapses_and_a_clock_set_back_does_not_help() {
    let start = at("2026-11-20T12:00:00Z");
    let permit = ask(&["DE"], None, "2026-11-20T12:00:00Z").expect("permitted");
    let instant = SignedDuration::from_nanos(1);
    for (now, holds) in [
        (start, true),
        (start + AUTHORIZATION_LIFETIME - instant, true),
        (start + AUTHORIZATION_LIFETIME, false),
        (start - CLOCK_TOLERANCE, true),
        (start - CLOCK_TOLERANCE - instant, false),
    ] {
        assert_eq!(permit.still_valid(now).is_ok(), holds, "{now}");
    }
    assert_eq!(
        refusal(permit.still_valid(start + AUTHORIZATION_LIFETIME)).0,
        "CONSENT_EXPIRED"
    );
}

#[test]
fn a_permission_never_outlives_its_consent() {
    let mut permit = ask(&["DE"], None, "2027-04-09T23:50:00Z").expect("permitted");
    assert_eq!(permit.not_after(), at("2027-04-10T00:00:00Z"));
    permit
        .renew(at("2027-04-09T23:59:00Z"))
        .expect("still holds");
    assert_eq!(permit.not_after(), at("2027-04-10T00:00:00Z"));
    let (code, message) = refusal(permit.renew(at("2027-04-10T00:00:00Z")));
    assert_eq!(code, "CONSENT_EXPIRED");
    assert!(
        message.starts_with("consent ended at 2027-04-10T00:00:00Z"),
        "{message}"
    );
}

#[test]
fn a_long_operation_renews_in_time_or_not_at_all() {
    let mut permit = ask(&["DE"], None, "2026-11-20T12:00:00Z").expect("permitted");
    permit.renew(at("2026-11-20T12:10:00Z")).expect("in time");
    assert_eq!(permit.not_after(), at("2026-11-20T12:25:00Z"));
    assert!(permit.renew(at("2026-11-20T12:25:00Z")).is_err());
    assert_eq!(permit.not_after(), at("2026-11-20T12:25:00Z"));
}

#[test]
fn the_last_instants_of_time_do_not_overflow() {
    let usage = Use::Deposit {
        jurisdictions: codes(&["DE"]),
    };
    let request = Request {
        object_id: Some(OBJECT),
        usage: &usage,
        purpose: None,
    };
    let endless = ConsentRecord::from_json(
        br#"{"subjectId": "S", "purpose": "p", "grantedBy": "g",
             "grantedAt": "0001-01-01T00:00:00Z", "authorizedJurisdictions": ["DE"]}"#,
    )
    .expect("valid");
    let permit = authorize(&endless, request, Timestamp::MAX).expect("permitted");
    assert_eq!(permit.not_after(), Timestamp::MAX);
    assert!(authorize(&endless, request, Timestamp::MIN).is_err());
}
