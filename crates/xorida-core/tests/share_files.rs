//! Share files against one dealing with fixed randomness, and against files that are none of it.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

#[path = "vectors/corpus.rs"]
mod corpus;

use core::convert::Infallible;

use corpus::{Case, OK, case};
use rand_core::{TryCryptoRng, TryRng};
use xorida_core::{AccessStructure, Error, ShareFile, combine_files, deal_files};

const SECRET: &[u8] = b"root key";
/// Header, deal id, three tags, salt; the share of 42 bytes follows.
const SHARE_AT: usize = 16 + 32 + 3 * 32 + 32;
const INTEGRITY: &str = "SHARE_INTEGRITY_FAILED";
const VERSION: &str = "SHARE_VERSION_MISMATCH";

/// Gives the bytes of a script, and panics when more are drawn.
struct Script(Vec<u8>);

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the dealer draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("the dealer draws bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let later = self.0.split_off(out.len());
        out.copy_from_slice(&self.0);
        self.0 = later;
        Ok(())
    }
}

impl TryCryptoRng for Script {}

/// The files of one dealing, 2 of 3, from a random source that counts up from `first`: deal id, seed,
/// random pieces.
fn deal(first: u8) -> Vec<Vec<u8>> {
    let access = AccessStructure::try_new(2, 3).unwrap();
    let mut script = Script((first..).take(32 + 32 + 42).collect());
    let files = deal_files(access, SECRET, &mut script).unwrap();
    assert!(script.0.is_empty(), "all of the script is drawn");
    files.iter().map(|file| file.to_vec()).collect()
}

#[test]
fn share_files_are_combined_or_refused_as_named() {
    let partner = deal(0).remove(2);
    corpus::check(
        "tests/vectors/share-files",
        &cases(),
        |bytes| match combine(&partner, bytes) {
            Ok(secret) => {
                assert_eq!(secret, SECRET);
                OK
            }
            Err(error) => error.code(),
        },
    );
}

/// docs/formats/share-file.md prints share 0.
#[test]
fn the_document_shows_share_0() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/formats/share-file.md"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let dense: String = text.split_whitespace().collect();
    let digits: String = good().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(dense.contains(&digits));
}

/// Combines a file with share 2 of the dealing, which is believed.
fn combine(partner: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let files = [ShareFile::parse(partner)?, ShareFile::parse(bytes)?];
    combine_files(&files).map(|secret| secret.to_vec())
}

fn cases() -> Vec<Case> {
    [of_the_dealing(), headers(), lengths(), contents()]
        .into_iter()
        .flatten()
        .collect()
}

fn good() -> Vec<u8> {
    deal(0).remove(0)
}

fn bad(name: &'static str, what: &'static str, bytes: Vec<u8>) -> Case {
    case(name, INTEGRITY, what, bytes)
}

/// Share 0 with other bytes from `at` on.
fn put(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = good();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn of_the_dealing() -> Vec<Case> {
    let mut files = deal(0);
    let again = files.remove(2);
    vec![
        case("share-0", OK, "share 0 of the dealing", files.remove(0)),
        case("share-1", OK, "share 1 of the dealing", files.remove(0)),
        case(
            "share-2-again",
            "INVALID_CONFIG",
            "share 2, which the reader has",
            again,
        ),
        bad(
            "of-another-dealing",
            "share 0 of a dealing with another id",
            deal(1).remove(0),
        ),
    ]
}

fn headers() -> Vec<Case> {
    vec![
        case("version-0", VERSION, "version 0", put(4, &[0])),
        case("version-2", VERSION, "version 2", put(4, &[2])),
        case("version-255", VERSION, "version 255", put(4, &[255])),
        bad("magic-of-a-manifest", "magic XGMF", put(0, b"XGMF")),
        bad("magic-in-lower-case", "magic xida", put(0, b"xida")),
        bad("scheme-0", "no scheme", put(5, &[0])),
        bad("scheme-n-of-n", "n-of-n with k < n", put(5, &[2])),
        bad("scheme-3", "an unknown scheme", put(5, &[3])),
        bad("k-0", "k = 0", put(6, &[0])),
        bad("k-1", "k = 1", put(6, &[1])),
        bad("k-3-xorida", "k = n = 3 by XorIDA", put(6, &[3])),
        bad(
            "k-3-n-of-n",
            "k = n = 3 by n-of-n: another structure than the dealing's",
            put(5, &[2, 3]),
        ),
        bad("k-above-n", "k = 4, n = 3", put(6, &[4])),
        bad("n-0", "n = 0", put(7, &[0])),
        bad("n-4", "n = 4, with the tags of three", put(7, &[4])),
        bad("n-251", "n = 251, with the tags of three", put(7, &[251])),
        bad("n-252", "n = 252", put(7, &[252])),
        bad("index-1", "says that it is share 1", put(8, &[1])),
        bad("index-3", "index 3 of 3", put(8, &[3])),
        bad("index-255", "index 255 of 3", put(8, &[255])),
        bad("reserved-9", "byte 9 is set", put(9, &[1])),
        bad("reserved-10", "byte 10 is set", put(10, &[1])),
        bad("reserved-11", "byte 11 is set", put(11, &[1])),
    ]
}

fn lengths() -> Vec<Case> {
    let good = good();
    let cut = |len: usize| good[..len].to_vec();
    let says = |len: u32| put(12, &len.to_be_bytes());
    let of_share = |len: u32| {
        let mut file = says(len);
        file.resize(SHARE_AT + usize::try_from(len).unwrap(), 0);
        file
    };
    let cuts = [
        bad("empty", "no bytes", Vec::new()),
        bad("cut-in-magic", "three bytes", cut(3)),
        bad("cut-in-header", "15 bytes", cut(15)),
        bad("cut-before-deal-id", "the header alone", cut(16)),
        bad("cut-in-deal-id", "47 bytes", cut(47)),
        bad("cut-before-tags", "no tags", cut(48)),
        bad(
            "cut-in-tags",
            "a byte of the last tag is missing",
            cut(SHARE_AT - 33),
        ),
        bad("cut-before-salt", "no salt", cut(SHARE_AT - 32)),
        bad(
            "cut-in-salt",
            "a byte of the salt is missing",
            cut(SHARE_AT - 1),
        ),
        bad("cut-before-share", "no share", cut(SHARE_AT)),
        bad(
            "cut-in-share",
            "the last byte is missing",
            cut(good.len() - 1),
        ),
        bad(
            "extended",
            "one byte more",
            [good.as_slice(), &[0]].concat(),
        ),
    ];
    let lengths = [
        bad("length-0", "says no bytes of share", says(0)),
        bad("length-short", "says a byte less", says(41)),
        bad("length-long", "says a byte more", says(43)),
        bad("length-huge", "says 2^32 - 1 bytes", says(u32::MAX)),
        bad(
            "length-little-endian",
            "its length in little-endian",
            says(42u32.swap_bytes()),
        ),
        bad(
            "share-of-0",
            "a share of no bytes, and says so",
            of_share(0),
        ),
        bad(
            "share-of-41",
            "a share of 41 bytes, which is no multiple of two pieces",
            of_share(41),
        ),
        bad("share-of-40", "a share of 40 bytes", of_share(40)),
        bad("share-of-44", "a share of 44 bytes", of_share(44)),
    ];
    cuts.into_iter().chain(lengths).collect()
}

fn contents() -> Vec<Case> {
    let good = good();
    let other = deal(0).remove(1);
    let flipped = |at: usize| put(at, &[good[at] ^ 1]);
    vec![
        bad("deal-id-changed", "a bit of the deal id", flipped(16)),
        bad("own-tag-changed", "a bit of its own tag", flipped(48)),
        bad(
            "other-tag-changed",
            "a bit of the tag of share 2",
            flipped(48 + 64),
        ),
        bad(
            "tags-swapped",
            "the first two tags have changed places",
            put(48, &[&good[80..112], &good[48..80]].concat()),
        ),
        bad("salt-changed", "a bit of the salt", flipped(SHARE_AT - 32)),
        bad(
            "salt-of-share-1",
            "the salt of share 1",
            put(SHARE_AT - 32, &other[SHARE_AT - 32..SHARE_AT]),
        ),
        bad("share-changed", "a bit of the share", flipped(SHARE_AT)),
        bad(
            "share-end-changed",
            "the last bit of the share",
            flipped(good.len() - 1),
        ),
        bad(
            "share-of-share-1",
            "the bytes of share 1",
            put(SHARE_AT, &other[SHARE_AT..]),
        ),
        bad("share-zero", "a share of zeros", put(SHARE_AT, &[0; 42])),
    ]
}
