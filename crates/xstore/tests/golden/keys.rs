//! Files of a client's own folder: root key, pins, catalogue, device.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use xstore::catalogue::Catalogue as _;
use xstore::entropy::OsEntropy;
use xstore::ids::{MakerKey, ObjectId, hex};
use xstore::keys::OwnerKeys;
use xstore::keys::file::read_root_key;
use xstore::keys::trust::TrustedMakers;
use xstore::{Error, Home};

use crate::cbor::{Map, bytes, text, uint};
use crate::corpus::{self, Case, OK, case};
use crate::owner;

/// Words of the key line that docs/formats/key-files.md prints.
const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const CHECK: &str = "c63b7f24";
/// The pinned key of docs/formats/key-files.md.
const DID: &str = "did:key:z6MkpaEpBXmK18SEJ6EX6G6tj6335TmeV7k7LqaFLAQ9uZqy";

/// Lays `content` down as a private file and says what reading it gave.
fn read_as<T>(
    name: &str,
    content: &[u8],
    read: impl Fn(&Path) -> Result<T, Error>,
) -> &'static str {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    match read(folder.path()) {
        Ok(_) => OK,
        Err(error) => error.code(),
    }
}

#[test]
fn root_key_files_are_read_or_refused_as_named() {
    corpus::check("tests/golden/files/root-key", &root_keys(), |content| {
        read_as("root.key", content, |folder| {
            let key = read_root_key(&folder.join("root.key"))?.unwrap();
            assert_eq!(key.expose(), &[7; 32]);
            Ok(())
        })
    });
}

#[test]
fn root_key_files_with_replaced_keys_are_read_or_refused_as_named() {
    corpus::check(
        "tests/golden/files/root-keys",
        &replaced_keys(),
        |content| {
            read_as("root.key", content, |folder| {
                let key = read_root_key(&folder.join("root.key"))?.unwrap();
                assert_eq!(key.expose(), [[8; 32], [7; 32]].as_flattened());
                // The oldest makes the names, and with it whatever says where things are.
                assert_eq!(OwnerKeys::derive(&key).store_tag(), owner().store_tag());
                Ok(())
            })
        },
    );
}

#[test]
fn retired_backends_are_read_or_refused_as_named() {
    corpus::check("tests/golden/files/retired", &retired(), |content| {
        read_as("catalogue/retired", content, |folder| {
            let retired = Home::new(folder).catalogue().retired()?;
            for one in retired {
                assert_eq!((one.backend.0, one.at_unix_s), ([4; 16], 1_800_000_000));
                assert_eq!((&*one.label, &*one.reason), ("DE", "burnt"));
            }
            Ok(())
        })
    });
}

#[test]
fn pins_are_read_or_refused_as_named() {
    corpus::check("tests/golden/files/pins", &pins(), |content| {
        read_as("trust", content, |folder| {
            TrustedMakers::load(&folder.join("trust"))
        })
    });
}

#[test]
fn marks_of_the_catalogue_are_read_or_refused_as_named() {
    let (maker, object) = (MakerKey([5; 32]), ObjectId([1; 32]));
    corpus::check("tests/golden/files/catalogue", &marks(), |content| {
        read_as(&format!("catalogue/{maker}-{object}"), content, |folder| {
            let mark = Home::new(folder).catalogue().mark(maker, object)?.unwrap();
            assert_eq!(mark.version, 1);
            Ok(())
        })
    });
}

#[test]
fn device_files_are_read_or_refused_as_named() {
    corpus::check("tests/golden/files/device", &devices(), |content| {
        read_as("device", content, |folder| {
            assert_eq!(Home::new(folder).device(&OsEntropy)?.0, [3; 16]);
            Ok(())
        })
    });
}

fn root_keys() -> Vec<Case> {
    let whole = format!("xgene-root-key-1 {KEY} {CHECK}\n");
    let ok = |name, what, text: String| case(name, OK, what, text.into());
    let bad = |name, what, text: String| case(name, "KEY_MISMATCH", what, text.into());
    let key = |key: &str| format!("xgene-root-key-1 {key} {CHECK}\n");
    let check = |check: &str| format!("xgene-root-key-1 {KEY} {check}\n");
    vec![
        ok(
            "whole",
            "as it is written, with its comment",
            format!("# Root key.\n{whole}"),
        ),
        ok(
            "bare",
            "no comment and no line feed",
            whole.trim_end().to_owned(),
        ),
        ok(
            "carriage-return",
            "one before each line feed",
            format!("# Root key.\r\n{}\r\n", whole.trim_end()),
        ),
        bad("empty", "no bytes", String::new()),
        bad(
            "comment-alone",
            "a comment and no key",
            "# Root key.\n".into(),
        ),
        bad(
            "blank-line-first",
            "an empty line before the key",
            format!("\n{whole}"),
        ),
        bad(
            "version-2",
            "version 2 of the line",
            whole.replace("key-1", "key-2"),
        ),
        bad(
            "version-10",
            "version 10 of the line",
            whole.replace("key-1", "key-10"),
        ),
        bad(
            "label-upper-case",
            "its first word in upper case",
            whole.replace("xgene", "XGENE"),
        ),
        bad("label-missing", "the key alone", format!("{KEY} {CHECK}\n")),
        bad(
            "check-missing",
            "no third word",
            format!("xgene-root-key-1 {KEY}\n"),
        ),
        bad("check-wrong", "a check of another key", check("c63b7f25")),
        bad("check-zero", "a check of zeros", check("00000000")),
        bad("check-short", "six digits of the check", check("c63b7f")),
        bad("check-long", "ten digits of the check", check("c63b7f2400")),
        bad(
            "check-upper-case",
            "the check in upper case",
            check("C63B7F24"),
        ),
        bad(
            "key-mistyped",
            "one digit of the key is another",
            key(&KEY.replacen('7', "1", 1)),
        ),
        bad(
            "key-swapped",
            "two digits of the key have changed places",
            key(&KEY.replacen("07", "70", 1)),
        ),
        bad("key-short", "62 digits of the key", key(&KEY[2..])),
        bad("key-odd", "63 digits of the key", key(&KEY[1..])),
        bad("key-long", "66 digits of the key", key(&format!("{KEY}07"))),
        bad(
            "key-no-digits",
            "letters beyond f",
            key(&KEY.replace('7', "g")),
        ),
        bad(
            "key-zero",
            "zeros for key and check",
            format!("xgene-root-key-1 {} 00000000\n", "0".repeat(64)),
        ),
        bad(
            "space-first",
            "a space before the line",
            format!(" {whole}"),
        ),
        bad(
            "space-last",
            "a space after the check",
            check(&format!("{CHECK} ")),
        ),
        bad(
            "two-spaces",
            "two spaces between words",
            whole.replace(' ', "  "),
        ),
        bad("tabs", "tabs between words", whole.replace(' ', "\t")),
        bad(
            "fourth-word",
            "a word after the check",
            check(&format!("{CHECK} x")),
        ),
        bad(
            "byte-order-mark",
            "a byte order mark first",
            format!("\u{feff}{whole}"),
        ),
        bad(
            "no-break-space",
            "a no-break space between words",
            whole.replace(' ', "\u{a0}"),
        ),
        case(
            "not-text",
            "INPUT_UNREADABLE",
            "not UTF-8",
            [&[0xff], whole.as_bytes()].concat(),
        ),
    ]
}

/// A root key that replaced that of `root_keys`.
fn replaced_keys() -> Vec<Case> {
    let newest = "08".repeat(32);
    let line = |keys: &[&str], check: &str| format!("xgene-root-key-2 {} {check}\n", keys.concat());
    let check = |others: &[[u8; 32]]| {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&[8; 32]).unwrap();
        let mac = mac.chain_update(b"xgene/root-key-check/1");
        let mac = mac.chain_update(others.as_flattened());
        hex(&mac.finalize().into_bytes()[..4])
    };
    let both = check(&[[7; 32]]);
    let whole = line(&[&newest, KEY], &both);
    let bad = |name, what, text: String| case(name, "KEY_MISMATCH", what, text.into());
    vec![
        case(
            "whole",
            OK,
            "the newest key and the one before",
            whole.clone().into(),
        ),
        bad(
            "other-order",
            "the oldest key first",
            line(&[KEY, &newest], &both),
        ),
        bad(
            "one-key",
            "one key alone in this form",
            line(&[&newest], &check(&[])),
        ),
        bad(
            "first-form",
            "two keys in the form of one",
            whole.replace("key-2", "key-1"),
        ),
        bad(
            "check-of-newest",
            "a check that leaves the older key out",
            line(&[&newest, KEY], &check(&[])),
        ),
        bad(
            "key-cut",
            "62 digits of the older key",
            line(&[&newest, &KEY[2..]], &both),
        ),
        bad(
            "older-mistyped",
            "one digit of the older key is another",
            line(&[&newest, &KEY.replacen('7', "1", 1)], &both),
        ),
        bad(
            "space-between",
            "a space between the keys",
            line(&[&newest, " ", KEY], &both),
        ),
    ]
}

fn retired() -> Vec<Case> {
    let one = Map::of(&[
        (1, bytes(&[4; 16])),
        (2, text("DE")),
        (3, text("EEA")),
        (4, text("hospital")),
        (5, text("profile:de")),
        (6, text("this computer")),
        (7, uint(1_800_000_000)),
        (8, text("burnt")),
    ]);
    let file = |one: &[u8]| format!("{}\n", hex(one));
    let whole = file(&one.encode());
    let ok = |name, what, text: String| case(name, OK, what, text.into());
    let bad = |name, what, text: String| case(name, "INVALID_CONFIG", what, text.into());
    let bare = (3..=6).fold(one.clone(), |map, key| map.without(key));
    vec![
        ok("whole", "one backend with all its labels", whole.clone()),
        ok("two", "the same one twice", whole.repeat(2)),
        ok("bare", "one of which nobody is named", file(&bare.encode())),
        bad(
            "cut",
            "the last byte is missing",
            whole[..whole.len() - 3].into(),
        ),
        bad(
            "blank-line",
            "an empty line between two",
            format!("{whole}\n{whole}"),
        ),
        bad("upper-case", "digits in upper case", whole.to_uppercase()),
        bad(
            "missing-reason",
            "no reason",
            file(&one.clone().without(8).encode()),
        ),
        bad(
            "short-identity",
            "an identity of 15 bytes",
            file(&one.clone().with(1, bytes(&[4; 15])).encode()),
        ),
        bad(
            "unknown-key",
            "key 9",
            file(&one.clone().with(9, uint(0)).encode()),
        ),
        bad(
            "half-a-byte",
            "the last digit is missing",
            whole[..whole.len() - 2].into(),
        ),
        bad(
            "extended",
            "a zero byte more",
            format!("{}00\n", whole.trim_end()),
        ),
        bad("no-digit", "a letter beyond f", whole.replace('a', "g")),
        bad(
            "null-zone",
            "no zone, as null",
            file(&one.clone().with(3, vec![0xf6]).encode()),
        ),
        bad(
            "time-as-text",
            "the time in words",
            file(&one.clone().with(7, text("1800000000")).encode()),
        ),
        bad(
            "second-damaged",
            "a good line and one that is none",
            format!("{whole}x\n"),
        ),
    ]
}

fn pins() -> Vec<Case> {
    let bad = |name, what, text: String| case(name, "INVALID_CONFIG", what, text.into());
    let pin = |did: &str| format!("finngen {did}\n");
    let encoded = |bytes: &[u8]| pin(&format!("did:key:z{}", bs58::encode(bytes).into_string()));
    let key = |prefix: &[u8], len: usize| encoded(&[prefix, &vec![5; len]].concat());
    vec![
        case(
            "whole",
            OK,
            "the line that the documents print",
            pin(DID).into(),
        ),
        case("empty", OK, "nobody is pinned", Vec::new()),
        bad("name-alone", "a name without a key", "finngen\n".into()),
        bad("key-alone", "a key without a name", format!("{DID}\n")),
        bad(
            "second-line",
            "a good line and one that is none",
            format!("{}x\n", pin(DID)),
        ),
        bad("comment", "a comment", format!("# pins\n{}", pin(DID))),
        bad(
            "third-word",
            "a word after the key",
            pin(&format!("{DID} x")),
        ),
        bad(
            "two-keys",
            "two keys on a line",
            pin(&format!("{DID} {DID}")),
        ),
        bad(
            "equals-sign",
            "an equals sign for the space",
            format!("finngen={DID}\n"),
        ),
        bad("tab", "a tab for the space", format!("finngen\t{DID}\n")),
        bad("method-web", "another method", pin("did:web:example.org")),
        bad(
            "method-upper-case",
            "the method in upper case",
            pin(&DID.replace("did:key", "DID:KEY")),
        ),
        bad(
            "without-method",
            "the key without its method",
            pin(&DID["did:key:".len()..]),
        ),
        bad(
            "without-base",
            "no z for base58btc",
            pin(&DID.replace(":z", ":")),
        ),
        bad(
            "base-64",
            "m, the base 64, for z",
            pin(&DID.replace(":z", ":m")),
        ),
        bad(
            "fragment",
            "a key with a fragment",
            pin(&format!("{DID}#key")),
        ),
        bad("no-digits", "nothing behind z", pin("did:key:z")),
        bad(
            "digit-0",
            "a digit that base58 leaves out",
            pin(&DID.replace("z6", "z0")),
        ),
        bad("digit-l", "another one", pin(&DID.replace("z6", "zl"))),
        bad(
            "digit-missing",
            "the last digit is missing",
            pin(&DID[..DID.len() - 1]),
        ),
        bad("digit-more", "a digit more", pin(&format!("{DID}1"))),
        bad(
            "leading-1",
            "a zero byte before the key",
            pin(&DID.replace("z6", "z16")),
        ),
        bad(
            "long",
            "a thousand digits",
            pin(&format!("did:key:z{}", "1".repeat(1000))),
        ),
        bad(
            "key-short",
            "an Ed25519 key of 31 bytes",
            key(&[0xed, 1], 31),
        ),
        bad(
            "key-long",
            "an Ed25519 key of 33 bytes",
            key(&[0xed, 1], 33),
        ),
        bad(
            "codec-x25519",
            "a key for key agreement",
            key(&[0xec, 1], 32),
        ),
        bad("codec-short", "the prefix in one byte", key(&[0xed], 33)),
        bad("codec-none", "32 bytes without prefix", key(&[], 32)),
        bad("hexadecimal", "the key in hexadecimal", pin(KEY)),
        case(
            "not-text",
            "INPUT_UNREADABLE",
            "not UTF-8",
            [&[0xff], pin(DID).as_bytes()].concat(),
        ),
    ]
}

fn marks() -> Vec<Case> {
    let mark = Map::of(&[
        (1, uint(1)),
        (2, bytes(&[2; 32])),
        (3, bytes(&[3; 16])),
        (4, text("cohort-7")),
    ]);
    let file = |mark: &[u8]| format!("{}\n", hex(mark));
    let whole = file(&mark.encode());
    let ok = |name, what, text: String| case(name, OK, what, text.into());
    let bad = |name, what, text: String| case(name, "INVALID_CONFIG", what, text.into());
    vec![
        ok("whole", "version 1 of an object with a name", whole.clone()),
        ok(
            "nameless",
            "version 1 of an object without one",
            file(&mark.clone().without(4).encode()),
        ),
        bad("empty", "no bytes", String::new()),
        bad(
            "cut",
            "the last byte is missing",
            whole[..whole.len() - 3].into(),
        ),
        bad(
            "half-a-byte",
            "the last digit is missing",
            whole[..whole.len() - 2].into(),
        ),
        bad(
            "extended",
            "a zero byte more",
            format!("{}00\n", whole.trim_end()),
        ),
        bad("no-digit", "a letter beyond f", whole.replace('a', "g")),
        bad("upper-case", "digits in upper case", whole.to_uppercase()),
        bad(
            "two-lines",
            "the digits on two lines",
            whole.replacen("02", "\n02", 1),
        ),
        bad(
            "missing-key",
            "no device",
            file(&mark.clone().without(3).encode()),
        ),
        bad(
            "unknown-key",
            "key 5",
            file(&mark.clone().with(5, uint(0)).encode()),
        ),
        bad(
            "null-name",
            "no name, as null",
            file(&mark.clone().with(4, vec![0xf6]).encode()),
        ),
        bad(
            "long-int",
            "version 1 in two bytes",
            file(&mark.clone().with(1, vec![0x18, 1]).encode()),
        ),
        bad(
            "short-hash",
            "a hash of 31 bytes",
            file(&mark.clone().with(2, bytes(&[2; 31])).encode()),
        ),
    ]
}

fn devices() -> Vec<Case> {
    let whole = format!("{}\n", "03".repeat(16));
    let bad = |name, what, text: String| case(name, "KEY_MISMATCH", what, text.into());
    vec![
        case(
            "whole",
            OK,
            "32 digits and a line feed",
            whole.clone().into(),
        ),
        bad("empty", "no bytes", String::new()),
        bad("cut", "30 digits", whole[2..].into()),
        bad("extended", "34 digits", format!("03{whole}")),
        bad(
            "upper-case",
            "a digit in upper case",
            whole.replacen("03", "0A", 1),
        ),
        bad("no-digits", "letters beyond f", whole.replace('3', "g")),
        bad("two-lines", "two ids", whole.repeat(2)),
        case("not-text", "INPUT_UNREADABLE", "not UTF-8", vec![0xff; 32]),
    ]
}
