//! The sites file: what it must say, and how it complains.

#![expect(
    clippy::expect_used,
    reason = "a helper that cannot go on fails its test"
)]

use std::path::Path;

use genomicshare::{Error, LawTable, Sites};
use proptest::prelude::*;
use xstore::placement::THIS_COMPUTER;

fn read(text: &str) -> Result<Sites, Error> {
    Sites::from_toml(text.as_bytes(), Path::new("/srv/study"))
}

fn file(threshold: &str, sites: &[(&str, &str)]) -> String {
    let mut text = format!("threshold = {threshold}\n");
    for (code, endpoint) in sites {
        text += &format!("[[jurisdiction]]\ncode = \"{code}\"\nendpoint = \"{endpoint}\"\n");
    }
    text
}

fn two() -> String {
    file("2", &[("DE", "./de"), ("CA", "./ca")])
}

fn message(text: &str) -> String {
    let error = read(text).expect_err(text);
    assert_eq!(error.code(), "INVALID_CONFIG", "{text}");
    error.to_string()
}

fn refused_with(text: &str, words: &str) {
    let message = message(text);
    assert!(message.contains(words), "{message:?} lacks {words:?}");
}

#[test]
fn a_full_file_is_read() {
    let sites = read(
        r#"
        threshold = 2
        chunk_size = "8MiB"
        [[jurisdiction]]
        code = "DE"
        name = "Germany"
        regulation = "GDPR"
        endpoint = "https://de.store/xgene"
        operator = "hospital-a"
        credential = "profile:berlin"
        region = "eu-central-1"
        [[jurisdiction]]
        code = "US-IL"
        endpoint = "file:///srv/il"
        "#,
    )
    .expect("valid");
    assert_eq!((sites.threshold(), sites.count()), (2, 2));
    assert_eq!(sites.chunk_len_bytes(), 8 * 1024 * 1024);
    let first = sites.iter().next().expect("a site");
    assert_eq!(first.name.as_deref(), Some("Germany"));
    assert_eq!(first.region.as_deref(), Some("eu-central-1"));
    assert_eq!(read(&two()).expect("valid").chunk_len_bytes(), 2_097_152);
}

#[test]
fn counts_and_thresholds_out_of_range() {
    refused_with("threshold = 2", "needs 2 to 251 jurisdictions, has 0");
    refused_with(
        &file("2", &[("DE", "./de")]),
        "needs 2 to 251 jurisdictions, has 1",
    );
    for threshold in ["-1", "0", "1", "3", "258", "9223372036854775807"] {
        refused_with(
            &file(threshold, &[("DE", "./de"), ("CA", "./ca")]),
            &format!(
                "threshold: must be at least 2 and at most the 2 jurisdictions, is {threshold}"
            ),
        );
    }
}

#[test]
fn as_many_sites_as_the_scheme_has_shares_and_not_one_more() {
    let codes: Vec<&str> = rust_iso3166::ALL_ALPHA2
        .iter()
        .copied()
        .chain(["US-IL", "CA-QC", "DE-BY"])
        .collect();
    let sites = |count: usize| -> Vec<(&str, String)> {
        codes
            .iter()
            .take(count)
            .map(|code| (*code, format!("./{code}")))
            .collect()
    };
    let text = |count| {
        let sites = sites(count);
        let sites: Vec<(&str, &str)> = sites.iter().map(|(c, e)| (*c, e.as_str())).collect();
        file("2", &sites)
    };
    let most = read(&text(251)).expect("valid");
    assert_eq!(most.count(), 251);
    assert_eq!(most.with_threshold(251).expect("n of n").threshold(), 251);
    refused_with(&text(252), "needs 2 to 251 jurisdictions, has 252");
}

#[test]
fn another_threshold_is_checked_as_well() {
    let sites = read(&file(
        "2",
        &[("DE", "./de"), ("CA", "./ca"), ("JP", "./jp")],
    ))
    .expect("valid");
    assert_eq!(
        sites.clone().with_threshold(3).expect("valid").threshold(),
        3
    );
    for bad in [0, 1, 4, 255] {
        assert!(sites.clone().with_threshold(bad).is_err(), "{bad}");
    }
}

#[test]
fn chunk_sizes_out_of_range() {
    for bad in ["0MiB", "32KiB", "3MiB", "32MiB", "2MB", ""] {
        refused_with(
            &format!("chunk_size = \"{bad}\"\n{}", two()),
            "chunk_size: must be a power",
        );
    }
    refused_with(&format!("chunk_size = 0\n{}", two()), "line 1");
}

#[test]
fn doubled_codes_and_doubled_places() {
    refused_with(
        &file("2", &[("DE", "./a"), ("DE", "./b")]),
        "DE stands twice",
    );
    for other in [
        "./shares/de/",
        "file:///srv/study/shares/./de",
        "/srv/study//shares/de",
    ] {
        refused_with(
            &file("2", &[("DE", "./shares/de"), ("CA", other)]),
            "jurisdiction (CA), endpoint: is the same place as the endpoint of DE",
        );
    }
}

#[test]
fn one_bucket_under_two_queries_is_one_place() {
    let text = file(
        "2",
        &[("DE", "s3://b/p?region=eu-central-1"), ("CA", "s3://b/p")],
    );
    refused_with(&text, "is the same place as the endpoint of DE");
}

#[test]
fn codes_that_are_none_are_named_with_what_was_meant() {
    refused_with(
        &file("2", &[("XX", "./a"), ("CA", "./b")]),
        "jurisdiction 1, code: XX is no ISO",
    );
    refused_with(
        &file("2", &[("DE", "./a"), ("uk", "./b")]),
        "jurisdiction 2, code: uk is no ISO 3166 code; write GB",
    );
    refused_with(
        &file("2", &[("DE", "./a"), ("EU", "./b")]),
        "EU is no ISO 3166 code",
    );
}

#[test]
fn keys_that_are_unknown_missing_or_of_another_type_name_the_line() {
    refused_with(&format!("treshold = 3\n{}", two()), "line 1");
    refused_with(&format!("{}zone = \"XX\"\n", two()), "line 8");
    refused_with(
        "threshold = 2\n[[jurisdiction]]\ncode = \"DE\"\n",
        "endpoint",
    );
    refused_with(
        "[[jurisdiction]]\ncode = \"DE\"\nendpoint = \"./a\"\n",
        "threshold",
    );
    refused_with(&format!("threshold = 2\n{}", two()), "line 2");
    refused_with("threshold = \"2\"\n", "line 1");
    refused_with("threshold = = 2", "line 1");
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let text = format!(
        "chunk_size = \"3MiB\"\n{}",
        file("9", &[("XX", "shares"), ("CA", "a:b@c")])
    );
    let message = message(&text);
    for place in [
        "threshold:",
        "chunk_size:",
        "jurisdiction 1, code:",
        "jurisdiction 1, endpoint:",
        "jurisdiction 2 (CA), endpoint:",
    ] {
        assert!(message.contains(place), "{message:?} lacks {place:?}");
    }
}

#[test]
fn names_must_say_something() {
    refused_with(
        &format!("{}operator = \" \"\n", two()),
        "jurisdiction 2 (CA), operator: must not be empty",
    );
    refused_with(
        &format!("{}name = \"\\u001b[2J\"\n", two()),
        "name: must not contain control",
    );
}

#[test]
fn credentials_in_an_endpoint_are_refused_and_not_repeated() {
    let text = file("2", &[("DE", "redis://:hunter2@r.example"), ("CA", "./ca")]);
    refused_with(&text, "must not contain credentials");
    assert!(!message(&text).contains("hunter2"));
}

#[test]
fn failure_domains_state_what_is_known() {
    let sites = read(
        r#"
        threshold = 2
        [[jurisdiction]]
        code = "DE"
        endpoint = "./de"
        [[jurisdiction]]
        code = "CA-QC"
        endpoint = "./ca"
        operator = " Hospital-B"
        credential = "Profile"
        [[jurisdiction]]
        code = "JP"
        endpoint = "https://JP.store:8443/x"
        [[jurisdiction]]
        code = "US"
        endpoint = "s3://bucket/x"
        "#,
    )
    .expect("valid");
    let domains: Vec<_> = sites
        .iter()
        .map(|s| s.failure_domain(LawTable::builtin()))
        .collect();
    let zones: Vec<_> = domains.iter().map(|d| d.zone.as_deref()).collect();
    assert_eq!(zones, [Some("EEA"), Some("CA"), Some("JP"), Some("US")]);
    let hosts: Vec<_> = domains.iter().map(|d| d.host.as_deref()).collect();
    assert_eq!(hosts, [Some(THIS_COMPUTER), None, Some("jp.store"), None]);
    assert_eq!(domains[1].operator.as_deref(), Some("hospital-b"));
    assert_eq!(domains[1].credential.as_deref(), Some("profile"));
}

#[test]
fn a_bucket_lies_where_the_site_says() {
    let with = |code: &str, endpoint: &str, region: &str| {
        let text = format!(
            "threshold = 2\n[[jurisdiction]]\ncode = \"{code}\"\nendpoint = \"{endpoint}\"\n{region}\n\
             [[jurisdiction]]\ncode = \"JP\"\nendpoint = \"./jp\"\n"
        );
        Sites::from_toml(text.as_bytes(), Path::new("/srv"))
    };
    for (code, endpoint, region) in [
        ("DE", "s3://b?region=eu-central-1", ""),
        ("DE", "s3://b", "region = \"eu-central-1\""),
        ("CA-QC", "gs://b", "region = \"northamerica-northeast1\""),
        // Another server, an unknown region, a provider that has none.
        (
            "CA",
            "s3://b?region=eu-central-1&endpoint=https://s3.lab",
            "",
        ),
        ("CA", "s3://b?region=moon-1", ""),
        ("CA", "./ca", "region = \"eu-central-1\""),
    ] {
        let sites = with(code, endpoint, region).expect(endpoint);
        let site = sites.iter().next().expect("two sites");
        assert_eq!(
            site.region.is_some(),
            endpoint.contains("region") || !region.is_empty()
        );
    }
    for (code, endpoint, region, told) in [
        ("CA", "s3://b?region=eu-central-1", "", "lies in DE"),
        ("DE", "az://a/c", "region = \"francecentral\"", "lies in FR"),
        (
            "DE",
            "s3://b?region=eu-central-1",
            "region = \"eu-west-1\"",
            "eu-central-1",
        ),
    ] {
        let error = with(code, endpoint, region).expect_err(endpoint);
        assert_eq!(error.code(), "INVALID_CONFIG");
        assert!(error.to_string().contains(told), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let read = Sites::from_toml(&bytes, Path::new("/srv"));
        prop_assert_eq!(read.unwrap_err().code(), "INVALID_CONFIG");
    }

    #[test]
    fn any_endpoint_is_read_or_refused(
        one in "(file|s3|https?|memory|[a-z]{0,3})?:?/{0,3}[.a-z0-9:@\\[\\]?#%&=/ü -]{0,24}",
        other in "(\\./|/)?[.a-z/]{0,12}",
    ) {
        if let Ok(sites) = read(&file("2", &[("DE", &one), ("CA", &other)])) {
            for site in sites.iter() {
                // What was normalised once stays as it is.
                let again = read(&file("2", &[("DE", site.endpoint.url()), ("CA", "x-other://h/p")]));
                let again = again.expect("a normalised endpoint is valid");
                prop_assert_eq!(&again.iter().next().expect("a site").endpoint, &site.endpoint);
            }
        }
    }
}
