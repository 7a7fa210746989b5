//! Bodies in the one form there is, whose fields contradict each other or what is allowed.

use super::{
    INVALID, held, location, seal, second_version, share, superseded, three_shares, two_shares,
    unstored,
};
use crate::cbor::{Map, array, bytes, uint};
use crate::corpus::{Case, case};

pub(super) fn bad() -> Vec<Case> {
    [history(), scheme(), lengths(), shares(), rest()]
        .into_iter()
        .flatten()
        .collect()
}

fn invalid(name: &'static str, what: &'static str, body: &Map) -> Case {
    case(name, INVALID, what, seal(&body.encode()))
}

fn number(key: u64, value: u64) -> Map {
    two_shares().with(key, uint(value))
}

fn history() -> Vec<Case> {
    let first = two_shares().insert(6, bytes(&[9; 32]));
    vec![
        invalid("of-version-0", "the object's version is 0", &number(3, 0)),
        invalid(
            "of-version-last",
            "the object's version is 2^64 - 1",
            &second_version().with(3, uint(u64::MAX)),
        ),
        invalid(
            "first-with-previous",
            "version 1 names a version before",
            &first,
        ),
        invalid(
            "second-without-previous",
            "version 2 names none",
            &number(3, 2),
        ),
        invalid("state-2", "neither live nor deleted", &number(4, 2)),
        invalid(
            "revocation-1",
            "a reserved source of revocations",
            &number(21, 1),
        ),
    ]
}

fn scheme() -> Vec<Case> {
    vec![
        invalid("scheme-xorida-n-of-n", "XorIDA with k = n", &number(9, 1)),
        invalid(
            "scheme-n-of-n-threshold",
            "n-of-n with k < n",
            &three_shares().with(9, uint(2)),
        ),
        invalid("scheme-0", "no scheme", &number(9, 0)),
        invalid("scheme-3", "an unknown scheme", &number(9, 3)),
        invalid("mode-2", "an unknown mode", &number(10, 2)),
        invalid("padding-2", "an unknown padding mode", &number(11, 2)),
        invalid(
            "suffix-masks",
            "the reserved suffix with masks",
            &number(12, 1),
        ),
        invalid("suffix-2", "an unknown suffix", &number(12, 2)),
        invalid("k-0", "k = 0", &number(13, 0)),
        invalid(
            "k-1",
            "k = 1: each share would be the payload",
            &number(13, 1),
        ),
        invalid("k-above-n", "k = 3, n = 2", &number(13, 3)),
        invalid("n-0", "n = 0", &number(14, 0)),
        invalid(
            "n-252",
            "n = 252: beyond the largest prime",
            &three_shares().with(14, uint(252)),
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let too_long = number(17, (1 << 56) + 1).with(18, uint((1 << 40) + 2));
    let not_padme = number(11, 1).with(17, uint(9));
    vec![
        invalid("chunk-len-0", "chunks of no bytes", &number(15, 0)),
        invalid(
            "chunk-len-32-kib",
            "chunks of 32,768 bytes",
            &number(15, 32_768).with(16, uint(512)),
        ),
        invalid(
            "chunk-len-32-mib",
            "chunks of 33,554,432 bytes",
            &number(15, 32 << 20).with(16, uint(1)),
        ),
        invalid(
            "chunk-len-odd",
            "chunks of 65,537 bytes",
            &number(15, 65_537),
        ),
        invalid(
            "chunk-len-other",
            "chunks of 131,072 bytes, segments as for 65,536",
            &number(15, 131_072),
        ),
        invalid("segment-of-0", "0 chunks in a segment", &number(16, 0)),
        invalid(
            "segment-of-255",
            "255 chunks in a segment",
            &number(16, 255),
        ),
        invalid("too-long", "a payload beyond 2^56 bytes", &too_long),
        invalid(
            "too-long-by-far",
            "a payload of 2^64 - 1 bytes",
            &number(17, u64::MAX),
        ),
        invalid(
            "not-a-padme-length",
            "9 bytes under Padmé, which gives 10",
            &not_padme,
        ),
        invalid("chunks-0", "no chunk", &number(18, 0)),
        invalid(
            "chunks-without-trailer",
            "one chunk of data, no trailer",
            &number(18, 1),
        ),
        invalid(
            "chunks-3",
            "a chunk more than the length gives",
            &number(18, 3),
        ),
        invalid("chunks-huge", "2^64 - 1 chunks", &number(18, u64::MAX)),
    ]
}

fn shares() -> Vec<Case> {
    let (de, ca) = (share(0, "DE", "EEA"), share(1, "CA", "CA"));
    let of = |shares: &[&Map]| {
        let encoded: Vec<Vec<u8>> = shares.iter().map(|share| share.encode()).collect();
        two_shares().with(19, array(&encoded))
    };
    let at_de = ca.clone().with(3, location(0, "DE", "EEA").encode());
    let third = share(2, "JP", "JP");
    vec![
        invalid("no-shares", "no shares", &of(&[])),
        invalid("share-missing", "one share of two", &of(&[&de])),
        invalid(
            "share-extra",
            "three shares of two",
            &of(&[&de, &ca, &third]),
        ),
        invalid("share-twice", "share 0 twice", &of(&[&de, &de])),
        invalid("shares-swapped", "share 1 before share 0", &of(&[&ca, &de])),
        invalid("shares-from-1", "indices 1 and 2", &of(&[&ca, &third])),
        invalid(
            "shares-at-one-backend",
            "both shares at one backend",
            &of(&[&de, &at_de]),
        ),
        invalid(
            "shares-too-few-stored",
            "one share of three is stored, and two are needed",
            &three_shares().with(
                19,
                array(&[de.encode(), unstored(1).encode(), unstored(2).encode()]),
            ),
        ),
        invalid(
            "held-index-2",
            "share 2 of two was held",
            &two_shares().with(20, array(&[held(2).encode()])),
        ),
    ]
}

fn rest() -> Vec<Case> {
    vec![
        invalid(
            "trial-false",
            "says that it is no trial, which is said by nothing",
            &two_shares().with(26, vec![0xf4]),
        ),
        invalid(
            "refreshed-false",
            "says that a dealing was not refreshed, which is said by nothing",
            &three_shares().with(24, array(&[superseded().with(3, vec![0xf4]).encode()])),
        ),
        invalid(
            "superseded-empty",
            "supersedes a list of nothing",
            &three_shares().with(24, array(&[])),
        ),
    ]
}
