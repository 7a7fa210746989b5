//! Footers and indexes: what a backend may give in their place.

use xorida_core::Tag;
use xstore::FaultReason;
use xstore::ids::ShareRoot;
use xstore::segment::{Footer, Index, Malformed};

use crate::corpus::{self, Case, OK, case};

const INTEGRITY: &str = "SHARE_INTEGRITY_FAILED";
const VERSION: &str = "SHARE_VERSION_MISMATCH";

/// The footer that the documents print: segment 1, two tags.
pub(crate) fn footer() -> Vec<u8> {
    let tags = [[0xa1; 32], [0xa2; 32]].map(Tag::from_bytes);
    let mut out = Vec::new();
    Footer::encode(1, &tags, &mut out);
    out
}

/// The index that the documents print: two segments.
pub(crate) fn index() -> Index {
    let mut index = Index::default();
    index.push(0, ShareRoot([0xb0; 32]));
    index.push(1, ShareRoot([0xb1; 32]));
    index
}

#[test]
fn footers_are_read_or_refused_as_named() {
    corpus::check(
        "tests/golden/files/footer",
        &footers(),
        |bytes| match Footer::parse(bytes) {
            Ok(footer) => {
                let mut again = Vec::new();
                Footer::encode(
                    footer.segment(),
                    &footer.tags().collect::<Vec<_>>(),
                    &mut again,
                );
                assert_eq!(again, bytes);
                OK
            }
            Err(malformed) => code(malformed),
        },
    );
}

#[test]
fn indexes_are_read_or_refused_as_named() {
    corpus::check(
        "tests/golden/files/index",
        &indexes(),
        |bytes| match Index::parse(bytes) {
            Ok(index) => {
                assert_eq!(index.encode(), bytes);
                OK
            }
            Err(malformed) => code(malformed),
        },
    );
}

/// The reason that a reader reports of a share with such a footer or index.
fn code(malformed: Malformed) -> &'static str {
    match malformed {
        Malformed::Structure => FaultReason::Integrity.code(),
        Malformed::Version(_) => FaultReason::Version.code(),
    }
}

/// `good` with other bytes from `at` on.
fn put(good: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = good.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    changed
}

fn footers() -> Vec<Case> {
    let good = footer();
    let put = |at: usize, bytes: &[u8]| put(&good, at, bytes);
    let count = |count: u32| put(16, &count.to_be_bytes());
    let cut = |len: usize| good[..len].to_vec();
    let extended = |more: usize| [good.as_slice(), &vec![0; more]].concat();
    let bad = |name, what, bytes| case(name, INTEGRITY, what, bytes);
    vec![
        case("whole", OK, "segment 1, two tags", good.clone()),
        case("version-0", VERSION, "version 0", put(4, &[0])),
        case("version-2", VERSION, "version 2", put(4, &[2])),
        bad("magic-of-an-index", "magic XGIX", put(0, b"XGIX")),
        bad("magic-in-lower-case", "magic xgsf", put(0, b"xgsf")),
        bad("reserved-5", "byte 5 is set", put(5, &[1])),
        bad("reserved-7", "byte 7 is set", put(7, &[1])),
        bad("reserved-20", "byte 20 is set", put(20, &[1])),
        bad("reserved-23", "byte 23 is set", put(23, &[1])),
        bad("count-zero", "says no tag and has two", count(0)),
        bad(
            "count-zero-of-none",
            "says no tag and has none",
            count(0)[..24].to_vec(),
        ),
        bad("count-one", "says one tag and has two", count(1)),
        bad("count-three", "says three tags and has two", count(3)),
        bad("count-huge", "says 2^32 - 1 tags", count(u32::MAX)),
        bad(
            "count-wraps",
            "says 2^27 + 2 tags, whose bytes are 64 in 32 bits",
            count((1 << 27) + 2),
        ),
        bad(
            "count-little-endian",
            "its count in little-endian",
            count(2u32.swap_bytes()),
        ),
        bad("empty", "no bytes", Vec::new()),
        bad("cut-in-magic", "three bytes", cut(3)),
        bad("cut-in-header", "23 bytes", cut(23)),
        bad("cut-before-tags", "the header alone", cut(24)),
        bad(
            "cut-by-a-byte",
            "the last byte is missing",
            cut(good.len() - 1),
        ),
        bad(
            "cut-by-a-tag",
            "the last tag is missing",
            cut(good.len() - 32),
        ),
        bad("extended-by-a-byte", "one byte more", extended(1)),
        bad(
            "extended-by-a-tag",
            "one tag more than it says",
            extended(32),
        ),
        bad(
            "shifted",
            "a byte before the magic",
            [&[0], good.as_slice()].concat(),
        ),
    ]
}

fn indexes() -> Vec<Case> {
    let good = index().encode();
    let put = |at: usize, bytes: &[u8]| put(&good, at, bytes);
    let count = |count: u64| put(8, &count.to_be_bytes());
    let cut = |len: usize| good[..len].to_vec();
    let extended = |more: usize| [good.as_slice(), &vec![0; more]].concat();
    let bad = |name, what, bytes| case(name, INTEGRITY, what, bytes);
    vec![
        case("whole", OK, "two segments", good.clone()),
        case("version-0", VERSION, "version 0", put(4, &[0])),
        case("version-2", VERSION, "version 2", put(4, &[2])),
        bad("magic-of-a-footer", "magic XGSF", put(0, b"XGSF")),
        bad("magic-in-lower-case", "magic xgix", put(0, b"xgix")),
        bad("reserved-5", "byte 5 is set", put(5, &[1])),
        bad("reserved-7", "byte 7 is set", put(7, &[1])),
        bad("count-zero", "says no segment and has two", count(0)),
        bad(
            "count-zero-of-none",
            "says no segment and has none",
            count(0)[..16].to_vec(),
        ),
        bad("count-one", "says one segment and has two", count(1)),
        bad("count-three", "says three segments and has two", count(3)),
        bad("count-huge", "says 2^64 - 1 segments", count(u64::MAX)),
        bad(
            "count-wraps",
            "says 2^62 + 2 segments, whose bytes are 72 in 64 bits",
            count((1 << 62) + 2),
        ),
        bad(
            "count-little-endian",
            "its count in little-endian",
            count(2u64.swap_bytes()),
        ),
        bad("empty", "no bytes", Vec::new()),
        bad("cut-in-header", "15 bytes", cut(15)),
        bad("cut-before-entries", "the header alone", cut(16)),
        bad(
            "cut-by-a-byte",
            "the last byte is missing",
            cut(good.len() - 1),
        ),
        bad(
            "cut-by-an-entry",
            "the last entry is missing",
            cut(good.len() - 36),
        ),
        bad("extended-by-a-byte", "one byte more", extended(1)),
        bad(
            "extended-by-an-entry",
            "one entry more than it says",
            extended(36),
        ),
    ]
}
