//! The consent document of docs/formats/consent-document.md: the example that it prints, and
//! documents, nearly all of them bad, each under a manifest that is signed correctly.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

#[path = "../../xstore/tests/golden/cbor.rs"]
mod cbor;
#[path = "../../xorida-core/tests/vectors/corpus.rs"]
mod corpus;

use cbor::{Map, array, bytes, head, text, uint};
use corpus::{Case, OK, case};
use genomicshare::{ConsentRecord, Error, Placed, SharedFile};
use xstore::Manifest;
use xstore::cbor::Blob;
use xstore::ids::{BackendUid, DeviceId, ObjectId, Prefix, PutId, ShareRoot, hex};
use xstore::keys::{OwnerKeys, RootKey};
use xstore::manifest::{Body, Location, STATE_LIVE, ShareEntry};

const RECORD: &[u8] = br#"{"subjectId": "SUBJ-001", "purpose": "rare-disease-research",
    "grantedBy": "patient", "grantedAt": "2026-04-10T00:00:00Z",
    "authorizedJurisdictions": ["DE", "CA"]}"#;

#[test]
fn the_document_shows_what_the_code_writes() {
    let placed = |code: &str, zone: &str, regulation: Option<&str>| Placed {
        code: code.into(),
        zone: zone.into(),
        regulation: regulation.map(Into::into),
    };
    let file = SharedFile {
        consent: ConsentRecord::from_json(RECORD).unwrap(),
        placed: vec![
            placed("DE", "EEA", None),
            placed("CA", "CA", Some("PIPEDA")),
        ],
    };
    let written = file.to_extension();
    assert_eq!(hex(&written), hex(&example().encode()));

    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/formats/consent-document.md"
    );
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(&format!("Its {} bytes", written.len())));
    let dense: String = text.split_whitespace().collect();
    assert!(dense.contains(&hex(&written)));
    assert_eq!(read(Some(&written)).unwrap(), file);
}

#[test]
fn documents_are_read_or_refused_as_named() {
    let all = [good(), maps(), values(), texts(), times(), codes()];
    let cases: Vec<Case> = all.into_iter().flatten().collect();
    corpus::check("tests/golden/consent", &cases, |document| {
        match read(Some(document)) {
            Ok(file) => {
                assert_eq!(file.to_extension(), document);
                OK
            }
            Err(error) => error.code(),
        }
    });
}

/// One code has two causes: what is wrong with a consent is found in the consent.
#[test]
fn documents_are_refused_for_what_is_wrong_with_them() {
    let encoding = "its consent document is not in the one form it may have";
    let content = "its consent is not one that was ever accepted";
    let of_content = [texts(), times(), codes()].into_iter().flatten();
    let expected = maps().into_iter().map(|case| (case, encoding));
    for (case, expected) in expected.chain(of_content.map(|case| (case, content))) {
        let Err(Error::Store(xstore::Error::ManifestInvalid(reason))) = read(Some(&case.bytes))
        else {
            panic!("{}", case.what)
        };
        assert_eq!(reason, expected, "{}", case.what);
    }
}

#[test]
fn a_manifest_without_extension_is_none_of_a_shared_file() {
    assert_eq!(read(None).unwrap_err().code(), "MANIFEST_INVALID");
}

/// Reads `document` as the extension of a manifest of its owner.
fn read(document: Option<&[u8]>) -> Result<SharedFile, Error> {
    let owner = OwnerKeys::derive(&RootKey::from_bytes([7; 32]));
    let body = Body {
        object_id: ObjectId([1; 32]),
        put_id: PutId([2; 32]),
        version: 1,
        state: STATE_LIVE,
        device: DeviceId([3; 16]),
        previous: None,
        maker: owner.maker(),
        store_tag: owner.store_tag(),
        scheme: 2,
        mode: 0,
        padding: 0,
        suffix: 0,
        k: 2,
        n: 2,
        chunk_len: 65_536,
        chunks_per_segment: 256,
        padded_len: 7,
        chunks: 2,
        shares: vec![share(0), share(1)],
        held: Vec::new(),
        revocation: 0,
        created_unix_s: 1_800_000_000,
        expires_unix_s: None,
        superseded: None,
        extension: document.map(|document| Blob(document.to_vec())),
        trial: None,
    };
    SharedFile::from_manifest(&Manifest::seal(body, &owner).unwrap())
}

fn share(index: u8) -> ShareEntry {
    ShareEntry {
        index,
        root: ShareRoot([index; 32]),
        location: Some(Location {
            backend: BackendUid([index; 16]),
            label: ["DE", "CA"][usize::from(index)].into(),
            manifest_prefix: Prefix([index; 16]),
            share_prefix: Prefix([index; 16]),
            zone: None,
            operator: None,
            credential: None,
            host: None,
        }),
    }
}

/// The document that the description prints.
fn example() -> Map {
    Map::of(&[
        (1, uint(1)),
        (2, consent().encode()),
        (3, array(&[placed("DE", "EEA").encode(), pipeda().encode()])),
    ])
}

fn consent() -> Map {
    Map::of(&[
        (1, text("SUBJ-001")),
        (2, text("rare-disease-research")),
        (3, text("patient")),
        (4, text("2026-04-10T00:00:00Z")),
        (5, array(&[text("DE"), text("CA")])),
    ])
}

fn placed(code: &str, zone: &str) -> Map {
    Map::of(&[(1, text(code)), (2, text(zone))])
}

fn pipeda() -> Map {
    placed("CA", "CA").with(3, text("PIPEDA"))
}

fn invalid(name: &'static str, what: &'static str, document: Vec<u8>) -> Case {
    case(name, "MANIFEST_INVALID", what, document)
}

/// The example under another consent.
fn under(consent: Map) -> Vec<u8> {
    example().with(2, consent.encode()).encode()
}

/// The example with another value of one key of its consent.
fn says(key: u64, value: Vec<u8>) -> Vec<u8> {
    under(consent().with(key, value))
}

fn good() -> Vec<Case> {
    let full = consent()
        .with(4, text("2026-04-10T00:00:00.123456789Z"))
        .with(5, array(&[text("CA-QC"), text("US"), text("US-IL")]))
        .with(6, text("2027-04-10T00:00:00.5Z"));
    vec![
        case(
            "example",
            OK,
            "the example that is printed",
            example().encode(),
        ),
        case(
            "full",
            OK,
            "fractions of seconds, subdivisions and an end",
            under(full),
        ),
    ]
}

fn maps() -> Vec<Case> {
    let whole = example().encode();
    let mut doubled = example();
    doubled.0.insert(1, doubled.0[0].clone());
    let mut swapped = example();
    swapped.0.swap(1, 2);
    let mut consent_doubled = consent();
    consent_doubled.0.insert(2, consent_doubled.0[1].clone());
    let mut consent_swapped = consent();
    consent_swapped.0.swap(0, 1);
    let indefinite = [&[0xbf], example().pairs().as_slice(), &[0xff]].concat();
    let place = |placed: Map| example().with(3, array(&[placed.encode()])).encode();
    vec![
        invalid("empty", "no bytes", Vec::new()),
        invalid("empty-map", "no fields", vec![0xa0]),
        invalid(
            "cut",
            "the last byte is missing",
            whole[..whole.len() - 1].to_vec(),
        ),
        invalid(
            "trailing-byte",
            "a zero behind it",
            [whole.as_slice(), &[0]].concat(),
        ),
        invalid("indefinite-map", "a map of indefinite length", indefinite),
        invalid(
            "array",
            "its values alone, as an array",
            array(&[uint(1), consent().encode()]),
        ),
        invalid("duplicate-key", "key 1 twice", doubled.encode()),
        invalid("unsorted-keys", "key 3 before key 2", swapped.encode()),
        invalid(
            "unknown-key-0",
            "key 0",
            example().insert(0, uint(0)).encode(),
        ),
        invalid(
            "unknown-key-4",
            "key 4",
            example().with(4, text("vcf-bgzf")).encode(),
        ),
        invalid(
            "without-consent",
            "no consent",
            example().without(2).encode(),
        ),
        invalid(
            "without-jurisdictions",
            "no jurisdictions",
            example().without(3).encode(),
        ),
        invalid(
            "consent-duplicate-key",
            "the purpose twice",
            under(consent_doubled),
        ),
        invalid(
            "consent-unsorted-keys",
            "the purpose before the subject",
            under(consent_swapped),
        ),
        invalid(
            "consent-unknown-key",
            "key 7 in the consent",
            says(7, uint(0)),
        ),
        invalid(
            "consent-without-purpose",
            "no purpose",
            under(consent().without(2)),
        ),
        invalid(
            "consent-without-time",
            "no time of the grant",
            under(consent().without(4)),
        ),
        invalid(
            "placed-without-zone",
            "no zone",
            place(placed("DE", "EEA").without(2)),
        ),
        invalid(
            "placed-unknown-key",
            "key 4 in a place",
            place(pipeda().with(4, uint(0))),
        ),
    ]
}

fn values() -> Vec<Case> {
    const VERSION: &str = "SHARE_VERSION_MISMATCH";
    let version = |value: Vec<u8>| example().with(1, value).encode();
    let no_regulation = pipeda().with(3, vec![0xf6]);
    vec![
        case("version-0", VERSION, "version 0", version(uint(0))),
        case("version-2", VERSION, "version 2", version(uint(2))),
        invalid("version-256", "version 256", version(uint(256))),
        invalid(
            "version-long-int",
            "version 1 in two bytes",
            version(vec![0x18, 1]),
        ),
        invalid("version-float", "version 1.0", version(vec![0xf9, 0x3c, 0])),
        invalid("version-text", "version \"1\"", version(text("1"))),
        invalid(
            "consent-bytes",
            "the consent as a byte string",
            example().with(2, bytes(&consent().encode())).encode(),
        ),
        invalid("null-end", "no end, as null", says(6, vec![0xf6])),
        invalid(
            "null-regulation",
            "no regulation, as null",
            example().with(3, array(&[no_regulation.encode()])).encode(),
        ),
        invalid(
            "codes-as-text",
            "one code, not an array of it",
            says(5, text("DE")),
        ),
        invalid(
            "codes-huge",
            "2^63 - 1 codes",
            says(5, head(4, u64::MAX >> 1)),
        ),
        invalid(
            "subject-bytes",
            "the subject as a byte string",
            says(1, bytes(b"SUBJ-001")),
        ),
        invalid(
            "subject-not-utf-8",
            "a subject that is not UTF-8",
            says(1, vec![0x62, 0xc3, 0x28]),
        ),
        invalid(
            "subject-long-length",
            "its length in two bytes",
            says(1, [&[0x78, 8], b"SUBJ-001".as_slice()].concat()),
        ),
        invalid(
            "time-tagged",
            "a time under tag 0",
            says(4, [vec![0xc0], text("2026-04-10T00:00:00Z")].concat()),
        ),
        invalid(
            "time-number",
            "seconds since 1970",
            says(4, uint(1_775_779_200)),
        ),
    ]
}

fn texts() -> Vec<Case> {
    vec![
        invalid("subject-empty", "no subject", says(1, text(""))),
        invalid("subject-blank", "a subject of spaces", says(1, text("  "))),
        invalid(
            "subject-control",
            "an escape in the subject",
            says(1, text("a\u{1b}[2Jb")),
        ),
        invalid("purpose-empty", "no purpose", says(2, text(""))),
        invalid(
            "purpose-line-feed",
            "a purpose of two lines",
            says(2, text("research\nanything")),
        ),
        invalid(
            "grantor-blank",
            "a grantor of one wide space",
            says(3, text("\u{2003}")),
        ),
        invalid(
            "grantor-nul",
            "a zero in the grantor",
            says(3, text("patient\0")),
        ),
    ]
}

fn times() -> Vec<Case> {
    let granted = |time: &str| says(4, text(time));
    let ends = |time: &str| says(6, text(time));
    vec![
        invalid(
            "time-offset",
            "the same instant with an offset",
            granted("2026-04-10T02:00:00+02:00"),
        ),
        invalid(
            "time-offset-zero",
            "+00:00 for Z",
            granted("2026-04-10T00:00:00+00:00"),
        ),
        invalid(
            "time-lower-case",
            "t and z",
            granted("2026-04-10t00:00:00z"),
        ),
        invalid(
            "time-space",
            "a space for T",
            granted("2026-04-10 00:00:00Z"),
        ),
        invalid(
            "time-zero-fraction",
            "a fraction of zero",
            granted("2026-04-10T00:00:00.0Z"),
        ),
        invalid(
            "time-long-fraction",
            "a fraction with zeros behind it",
            granted("2026-04-10T00:00:00.500Z"),
        ),
        invalid(
            "time-leap-second",
            "second 60",
            granted("2026-04-10T00:00:60Z"),
        ),
        invalid("time-no-zone", "no zone", granted("2026-04-10T00:00:00")),
        invalid("time-date", "a date", granted("2026-04-10")),
        invalid(
            "time-no-day",
            "the 30th of February",
            granted("2026-02-30T00:00:00Z"),
        ),
        invalid("time-empty", "no text", granted("")),
        invalid(
            "end-at-grant",
            "ends when it begins",
            ends("2026-04-10T00:00:00Z"),
        ),
        invalid(
            "end-before-grant",
            "ends before it begins",
            ends("2026-04-09T23:59:59Z"),
        ),
        invalid(
            "end-offset",
            "its end with an offset",
            ends("2027-04-10T02:00:00+02:00"),
        ),
    ]
}

fn codes() -> Vec<Case> {
    let codes = |codes: &[&str]| {
        let encoded: Vec<Vec<u8>> = codes.iter().map(|code| text(code)).collect();
        says(5, array(&encoded))
    };
    vec![
        invalid("no-codes", "no jurisdiction", codes(&[])),
        invalid("code-twice", "DE twice", codes(&["DE", "CA", "DE"])),
        invalid("code-empty", "an empty code", codes(&["DE", ""])),
        invalid("code-lower-case", "a code in lower case", codes(&["de"])),
        invalid("code-unlisted", "a code that is not listed", codes(&["XX"])),
        invalid("code-uk", "UK, which is GB", codes(&["UK"])),
        invalid(
            "code-three-letters",
            "the code of three letters",
            codes(&["DEU"]),
        ),
        invalid("code-space", "a space behind a code", codes(&["DE "])),
        invalid(
            "code-no-part",
            "a subdivision that is not listed",
            codes(&["US-XX"]),
        ),
        invalid("code-zone", "a zone, which is no code", codes(&["EEA"])),
    ]
}
