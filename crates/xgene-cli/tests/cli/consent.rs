//! Consent and placement come before cryptography: refused means nothing drawn, nothing written.

use crate::world::{Run, World, payload};

/// Exit 15, the code, nothing at the jurisdictions, no key, no random byte.
fn expect_refused(world: &World, code: &str, says: &str) {
    let run = world.run(&[
        "split",
        "file",
        "--sites",
        "sites.toml",
        "--consent",
        "consent.json",
        "--json",
    ]);
    assert_eq!(run.exit, 15, "{}{}", run.text(), run.stderr);
    let error = &run.lines("error")[0];
    assert_eq!(error["code"], code, "{error}");
    assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    assert!(!error["recovery"].as_str().unwrap().is_empty());
    assert_eq!(error["random_bytes_drawn"], 0);
    assert!(world.stored().is_empty(), "{:?}", world.stored());
    assert!(!world.path("home").exists() && !world.path("file.xgm").exists());
}

#[test]
fn a_missing_jurisdiction_is_named() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    world.consent(&["DE", "CA"], "2099-01-01T00:00:00Z");
    expect_refused(&world, "JURISDICTION_MISMATCH", "JP");
}

#[test]
fn every_field_missing_empty_or_ill_typed_is_invalid() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    let good: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.path("consent.json")).unwrap()).unwrap();
    let fields = [
        "subjectId",
        "purpose",
        "grantedBy",
        "grantedAt",
        "authorizedJurisdictions",
    ];
    for field in fields {
        let bad_values = ["\"\"", "\"  \"", "7", "null", "[]", "{}", "[7]", "[\"XX\"]"];
        for bad in bad_values
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
        {
            let mut consent = good.clone();
            consent[field] = bad;
            world.write("consent.json", consent.to_string());
            expect_refused(&world, "CONSENT_INVALID", field);
        }
        let mut consent = good.clone();
        consent.as_object_mut().unwrap().remove(field);
        world.write("consent.json", consent.to_string());
        expect_refused(&world, "CONSENT_INVALID", field);
    }
    for bad in [
        "",
        "not json",
        "[]",
        "7",
        "{\"subjectId\": \"a\"",
        "\u{feff}{}",
    ] {
        world.write("consent.json", bad);
        expect_refused(&world, "CONSENT_INVALID", "");
    }
}

#[test]
fn an_expired_consent_is_refused_at_split_and_at_get() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    world.consent(&["DE", "CA", "JP"], "2026-05-01T00:00:00Z");
    expect_refused(&world, "CONSENT_EXPIRED", "2026-05-01");

    // A consent that ends while we watch: split now, read after its end.
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3)).to_string();
    world.consent(&["DE", "CA", "JP"], &soon);
    world.split("file").expect_ok();
    std::thread::sleep(std::time::Duration::from_secs(4));
    let run = world
        .run(&["get", "file.xgm", "-o", "out"])
        .expect_code("CONSENT_EXPIRED", 15);
    assert!(
        !world.path("out").exists() && !world.path("out.xgene-part").exists(),
        "{}",
        run.stderr
    );
}

#[test]
fn another_purpose_is_refused_byte_for_byte() {
    let world = World::new(2, 3);
    world.write("file", payload(10));
    world.split("file").expect_ok();
    let get =
        |purpose: &str| world.run(&["get", "file.xgm", "-f", "-o", "out", "--purpose", purpose]);
    get("rare-disease-research").expect_ok();
    get("Rare-disease-research").expect_code("PURPOSE_NOT_PERMITTED", 15);
}

#[test]
fn one_zone_with_a_quorum_is_refused() {
    let world = World::of(2, &["DE", "FR", "US"]);
    world.write("file", payload(10));
    expect_refused(&world, "ZONE_QUORUM", "EEA");
    let plan = |threshold: &str| -> Run {
        world.run(&["plan", "--sites", "sites.toml", "--threshold", threshold])
    };
    plan("2").expect_code("ZONE_QUORUM", 15);
    plan("3").expect_ok();
}

#[test]
fn a_prohibited_transfer_is_refused() {
    let world = World::of(2, &["US", "CN", "JP"]);
    world.write("file", payload(10));
    expect_refused(&world, "PLACEMENT_FORBIDDEN", "CN");
}
