//! Bodies that say something in a second way, or nothing, under authenticators that hold.

use super::{INVALID, location, seal, share, three_shares, two_shares};
use crate::cbor::{Map, array, bytes, head, text, uint};
use crate::corpus::{Case, case};

pub(super) fn bad() -> Vec<Case> {
    [
        keys(),
        numbers(),
        lengths(),
        types(),
        values(),
        nested(),
        ends(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn invalid(name: &'static str, what: &'static str, body: &[u8]) -> Case {
    case(name, INVALID, what, seal(body))
}

/// The good body with another value of one key.
fn with(key: u64, value: Vec<u8>) -> Vec<u8> {
    two_shares().with(key, value).encode()
}

/// The good body with another first pair of key and value.
fn first_pair(key: Vec<u8>, value: Vec<u8>) -> Vec<u8> {
    let mut map = two_shares();
    map.0[0] = (key, value);
    map.encode()
}

/// The good body with other bytes as label of its first share.
fn label(value: Vec<u8>) -> Vec<u8> {
    first_location(location(0, "DE", "EEA").with(2, value))
}

fn first_location(location: Map) -> Vec<u8> {
    first_share(share(0, "DE", "EEA").with(3, location.encode()))
}

fn first_share(first: Map) -> Vec<u8> {
    with(19, array(&[first.encode(), share(1, "CA", "CA").encode()]))
}

fn keys() -> Vec<Case> {
    let good = two_shares;
    let duplicate = |at: usize, to: usize| {
        let mut map = good();
        map.0.insert(to, map.0[at].clone());
        map.encode()
    };
    let mut swapped = good();
    swapped.0.swap(2, 3);
    let mut reversed = good();
    reversed.0.reverse();
    let id = || bytes(&[1; 32]);
    vec![
        invalid(
            "duplicate-key",
            "key 4 twice, one after the other",
            &duplicate(3, 4),
        ),
        invalid(
            "duplicate-key-at-end",
            "key 4 again at the end",
            &duplicate(3, 21),
        ),
        invalid("unsorted-keys", "key 4 before key 3", &swapped.encode()),
        invalid(
            "reversed-keys",
            "all keys in descending order",
            &reversed.encode(),
        ),
        invalid("unknown-key", "key 27", &good().with(27, uint(0)).encode()),
        invalid(
            "unknown-key-0",
            "key 0",
            &good().insert(0, uint(0)).encode(),
        ),
        invalid(
            "unknown-key-huge",
            "key 2^64 - 1",
            &good().with(u64::MAX, uint(0)).encode(),
        ),
        invalid("missing-key", "no device", &good().without(5).encode()),
        invalid(
            "missing-last-key",
            "no creation time",
            &good().without(22).encode(),
        ),
        invalid(
            "long-key",
            "key 1 in two bytes",
            &first_pair(vec![0x18, 1], id()),
        ),
        invalid(
            "negative-key",
            "key -1 for 1",
            &first_pair(head(1, 0), id()),
        ),
        invalid("text-key", "key \"1\" for 1", &first_pair(text("1"), id())),
        invalid(
            "float-key",
            "key 1.0 for 1",
            &first_pair(vec![0xf9, 0x3c, 0], id()),
        ),
        invalid(
            "tagged-key",
            "key 1 under a tag",
            &first_pair(vec![0xc1, 1], id()),
        ),
    ]
}

fn numbers() -> Vec<Case> {
    let version = |value: &[u8]| with(3, value.to_vec());
    let state = |value: &[u8]| with(4, value.to_vec());
    vec![
        invalid("long-int-1", "version 1 in two bytes", &version(&[0x18, 1])),
        invalid(
            "long-int-2",
            "version 1 in three bytes",
            &version(&[0x19, 0, 1]),
        ),
        invalid(
            "long-int-8",
            "version 1 in nine bytes",
            &version(&[0x1b, 0, 0, 0, 0, 0, 0, 0, 1]),
        ),
        invalid("nan", "version not a number", &version(&[0xf9, 0x7e, 0])),
        invalid("float", "version 1.0", &version(&[0xf9, 0x3c, 0])),
        invalid(
            "double",
            "version 1.0 in nine bytes",
            &version(&[0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ),
        invalid(
            "infinity",
            "version without end",
            &version(&[0xf9, 0x7c, 0]),
        ),
        invalid("tag", "version 1 tagged as a time", &version(&[0xc1, 1])),
        invalid(
            "bignum",
            "version 1 as a bignum (tag 2)",
            &version(&[0xc2, 0x41, 1]),
        ),
        invalid("negative", "version -1", &version(&[0x20])),
        invalid(
            "reserved-width",
            "additional information 28",
            &version(&[0x1c]),
        ),
        invalid("state-of-two-bytes", "state 256", &state(&[0x19, 1, 0])),
        invalid("state-true", "state true for 1", &state(&[0xf5])),
        invalid(
            "state-simple",
            "state as simple value 255",
            &state(&[0xf8, 0xff]),
        ),
        invalid("state-text", "state \"0\"", &state(&text("0"))),
    ]
}

fn lengths() -> Vec<Case> {
    let good = two_shares();
    let indefinite_map = [&[0xbf], good.pairs().as_slice(), &[0xff]].concat();
    let shares = [
        share(0, "DE", "EEA").encode(),
        share(1, "CA", "CA").encode(),
    ]
    .concat();
    let indefinite_array = [&[0x9f], shares.as_slice(), &[0xff]].concat();
    let id = |head: &[u8], end: &[u8]| with(1, [head, &[1; 32], end].concat());
    let map_of = |pairs: u64| [head(5, pairs), good.pairs()].concat();
    vec![
        invalid(
            "indefinite-map",
            "the body is a map of indefinite length",
            &indefinite_map,
        ),
        invalid(
            "indefinite-array",
            "the shares are one",
            &with(19, indefinite_array),
        ),
        invalid(
            "indefinite-bytes",
            "the object id is one chunk",
            &id(&[0x5f, 0x58, 32], &[0xff]),
        ),
        invalid(
            "indefinite-text",
            "a label is one chunk",
            &label(vec![0x7f, 0x62, b'D', b'E', 0xff]),
        ),
        invalid(
            "indefinite-without-end",
            "the map is never ended",
            &indefinite_map[..indefinite_map.len() - 1],
        ),
        invalid(
            "break-alone",
            "a break for the version",
            &with(3, vec![0xff]),
        ),
        invalid(
            "long-length",
            "length of the object id in three bytes",
            &id(&[0x59, 0, 32], &[]),
        ),
        invalid(
            "short-id",
            "an object id of 31 bytes",
            &with(1, bytes(&[1; 31])),
        ),
        invalid(
            "long-id",
            "an object id of 33 bytes",
            &with(1, bytes(&[1; 33])),
        ),
        invalid("empty-id", "an object id of no bytes", &with(1, bytes(&[]))),
        invalid(
            "huge-bytes",
            "an extension of 2^63 - 1 bytes",
            &with(25, head(2, u64::MAX >> 1)),
        ),
        invalid(
            "huge-text",
            "a label of 2^64 - 1 bytes",
            &label(head(3, u64::MAX)),
        ),
        invalid(
            "huge-array",
            "2^63 - 1 shares",
            &with(19, head(4, u64::MAX >> 1)),
        ),
        invalid(
            "huge-map",
            "a body of 2^63 - 1 pairs",
            &map_of(u64::MAX >> 1),
        ),
        invalid(
            "one-pair-too-many",
            "the map says 22 pairs and has 21",
            &map_of(22),
        ),
        invalid(
            "one-pair-too-few",
            "the map says 20 pairs and has 21",
            &map_of(20),
        ),
    ]
}

fn types() -> Vec<Case> {
    let numbers: Vec<Vec<u8>> = (0..32).map(|_| uint(1)).collect();
    let whole = two_shares().encode();
    vec![
        invalid(
            "text-for-bytes",
            "an object id of 32 letters",
            &with(1, text(&"a".repeat(32))),
        ),
        invalid(
            "hex-for-bytes",
            "an object id in hexadecimal",
            &with(1, text(&"01".repeat(32))),
        ),
        invalid(
            "array-for-bytes",
            "an object id of 32 numbers",
            &with(1, array(&numbers)),
        ),
        invalid("bytes-for-text", "a label of bytes", &label(bytes(b"DE"))),
        invalid(
            "text-that-is-none",
            "a label that is not UTF-8",
            &label(vec![0x62, 0xc3, 0x28]),
        ),
        invalid(
            "map-for-array",
            "a map of shares",
            &with(19, Map::default().encode()),
        ),
        invalid(
            "share-for-array",
            "one share, not an array of it",
            &with(19, share(0, "DE", "EEA").encode()),
        ),
        invalid(
            "array-for-map",
            "the body is an array",
            &array(&[uint(1), bytes(&[1; 32])]),
        ),
        invalid(
            "bytes-for-map",
            "the body is a byte string of itself",
            &bytes(&whole),
        ),
        invalid(
            "map-for-extension",
            "an extension that is no byte string",
            &with(25, vec![0xa0]),
        ),
        invalid(
            "tagged-body",
            "the body under the tag of CBOR itself",
            &[[0xd9, 0xd9, 0xf7].as_slice(), &whole].concat(),
        ),
        invalid(
            "tagged-bytes",
            "an object id tagged as encoded CBOR",
            &with(1, [vec![0xd8, 24], bytes(&[1; 32])].concat()),
        ),
    ]
}

fn values() -> Vec<Case> {
    let absent = |value: u8| two_shares().insert(6, vec![value]).encode();
    vec![
        invalid(
            "null-for-absent",
            "no previous hash, as null",
            &absent(0xf6),
        ),
        invalid(
            "undefined-for-absent",
            "no previous hash, as undefined",
            &absent(0xf7),
        ),
        invalid(
            "null-extension",
            "no extension, as null",
            &with(25, vec![0xf6]),
        ),
        invalid(
            "null-for-required",
            "the device is null",
            &with(5, vec![0xf6]),
        ),
        invalid("null-trial", "no trial, as null", &with(26, vec![0xf6])),
        invalid("trial-1", "trial 1 for true", &with(26, uint(1))),
    ]
}

fn nested() -> Vec<Case> {
    let deep = |levels: usize| [vec![0x81; levels], vec![0]].concat();
    let long_index = share(0, "DE", "EEA").with(1, vec![0x18, 0]);
    let duplicate = {
        let mut map = location(0, "DE", "EEA");
        map.0.insert(1, map.0[0].clone());
        map
    };
    let swapped = {
        let mut map = location(0, "DE", "EEA");
        map.0.swap(1, 2);
        map
    };
    let empty_dealing = Map::of(&[(1, bytes(&[7; 32]))]);
    vec![
        invalid("nested-9", "nine arrays for the shares", &with(19, deep(9))),
        invalid(
            "nested-1000",
            "a thousand arrays for the shares",
            &with(19, deep(1000)),
        ),
        invalid("nested-body", "a thousand arrays for the body", &deep(1000)),
        invalid(
            "nested-maps",
            "a thousand maps for the body",
            &[[0xa1, 1].repeat(1000), vec![0]].concat(),
        ),
        invalid(
            "nested-tags",
            "a thousand tags for the version",
            &with(3, [vec![0xc1; 1000], vec![1]].concat()),
        ),
        invalid(
            "share-long-int",
            "index 0 of a share in two bytes",
            &first_share(long_index),
        ),
        invalid(
            "share-unknown-key",
            "key 4 in a share",
            &first_share(share(0, "DE", "EEA").with(4, uint(0))),
        ),
        invalid(
            "share-missing-key",
            "a share without root",
            &first_share(share(0, "DE", "EEA").without(2)),
        ),
        invalid(
            "location-duplicate-key",
            "key 1 of a location twice",
            &first_location(duplicate),
        ),
        invalid(
            "location-unsorted-keys",
            "key 3 of a location before key 2",
            &first_location(swapped),
        ),
        invalid(
            "location-null-zone",
            "no zone, as null",
            &first_location(location(0, "DE", "EEA").with(5, vec![0xf6])),
        ),
        invalid(
            "location-unknown-key",
            "key 9 in a location",
            &first_location(location(0, "DE", "EEA").with(9, text("x"))),
        ),
        invalid(
            "superseded-incomplete",
            "a superseded dealing without places",
            &three_shares()
                .with(24, array(&[empty_dealing.encode()]))
                .encode(),
        ),
    ]
}

fn ends() -> Vec<Case> {
    let good = two_shares().encode();
    vec![
        invalid(
            "trailing-byte",
            "a zero after the body",
            &[good.as_slice(), &[0]].concat(),
        ),
        invalid("trailing-document", "the body twice", &good.repeat(2)),
        invalid(
            "body-cut",
            "the body without its last byte",
            &good[..good.len() - 1],
        ),
        invalid("body-empty", "a body of no bytes", &[]),
        invalid("body-empty-map", "a body without fields", &[0xa0]),
    ]
}
