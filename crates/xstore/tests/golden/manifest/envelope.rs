//! Envelopes that are cut, changed or signed by the wrong key.

use xstore::keys::{OwnerKeys, RootKey};

use super::{INVALID, other, seal, seal_as, signed, two_shares};
use crate::cbor::bytes;
use crate::corpus::{Case, case};
use crate::owner;

/// Bytes behind the body: key, HMAC, signature.
const AUTHENTICATORS_LEN: usize = 128;
/// Order of the group of Ed25519, little-endian (RFC 8032, section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(super) fn bad() -> Vec<Case> {
    [header(), length(), authenticators(), signers()]
        .into_iter()
        .flatten()
        .collect()
}

fn good() -> Vec<u8> {
    seal(&two_shares().encode())
}

/// The good envelope with other bytes from `at` on.
fn put(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut envelope = good();
    envelope[at..at + bytes.len()].copy_from_slice(bytes);
    envelope
}

fn header() -> Vec<Case> {
    const VERSION: &str = "SHARE_VERSION_MISMATCH";
    vec![
        case("magic-of-a-footer", INVALID, "magic XGSF", put(0, b"XGSF")),
        case(
            "magic-in-lower-case",
            INVALID,
            "magic xgmf",
            put(0, b"xgmf"),
        ),
        case("version-0", VERSION, "format version 0", put(4, &[0])),
        case("version-2", VERSION, "format version 2", put(4, &[2])),
        case("version-255", VERSION, "format version 255", put(4, &[255])),
    ]
}

fn length() -> Vec<Case> {
    let good = good();
    let body_len = u32::try_from(good.len() - 9 - AUTHENTICATORS_LEN).unwrap();
    let says = |len: u32| put(5, &len.to_be_bytes());
    vec![
        case("empty", INVALID, "no bytes", Vec::new()),
        case(
            "magic-alone",
            INVALID,
            "cut after the magic",
            good[..4].to_vec(),
        ),
        case(
            "header-alone",
            INVALID,
            "cut after the length",
            good[..9].to_vec(),
        ),
        case(
            "without-authenticators",
            INVALID,
            "cut after the body",
            good[..good.len() - AUTHENTICATORS_LEN].to_vec(),
        ),
        case(
            "cut",
            INVALID,
            "the last byte is missing",
            good[..good.len() - 1].to_vec(),
        ),
        case(
            "extended",
            INVALID,
            "one byte more",
            [good.as_slice(), &[0]].concat(),
        ),
        case(
            "length-short",
            INVALID,
            "says a byte less",
            says(body_len - 1),
        ),
        case(
            "length-long",
            INVALID,
            "says a byte more",
            says(body_len + 1),
        ),
        case(
            "length-little-endian",
            INVALID,
            "length in little-endian",
            says(body_len.swap_bytes()),
        ),
        case(
            "length-above-limit",
            INVALID,
            "says 1,048,577 bytes",
            says((1 << 20) + 1),
        ),
        case(
            "length-huge",
            INVALID,
            "says 4 GiB less one",
            says(u32::MAX),
        ),
    ]
}

fn authenticators() -> Vec<Case> {
    let good = good();
    let maker = good.len() - AUTHENTICATORS_LEN;
    let (mac, signature) = (maker + 32, maker + 64);
    let flipped = |at: usize| put(at, &[good[at] ^ 1]);
    let of_other = seal_as(&other(), &two_shares().encode());
    vec![
        case(
            "body-changed",
            INVALID,
            "a bit of the object id",
            flipped(14),
        ),
        case(
            "mac-changed",
            INVALID,
            "a bit of the MAC; the signature holds",
            flipped(mac),
        ),
        case("mac-zero", INVALID, "a MAC of zeros", put(mac, &[0; 32])),
        case(
            "mac-of-another-owner",
            INVALID,
            "the MAC under another root key",
            put(mac, &of_other[mac..signature]),
        ),
        case(
            "signature-changed",
            INVALID,
            "a bit of the signature; the MAC holds",
            flipped(signature),
        ),
        case(
            "signature-zero",
            INVALID,
            "a signature of zeros",
            put(signature, &[0; 64]),
        ),
        case(
            "signature-of-another-owner",
            INVALID,
            "the signature of another key",
            put(signature, &of_other[signature..]),
        ),
        case(
            "signature-second-form",
            INVALID,
            "the group order added to the scalar of the signature",
            put(signature + 32, &plus_order(&good[signature + 32..])),
        ),
        case(
            "without-domain",
            INVALID,
            "authenticated without the domain",
            without_domain(),
        ),
        case(
            "maker-changed",
            INVALID,
            "a bit of the maker's key",
            flipped(maker),
        ),
    ]
}

fn signers() -> Vec<Case> {
    let stranger = OwnerKeys::derive(&RootKey::from_bytes([9; 32]));
    let by_stranger = two_shares().with(7, bytes(&stranger.maker().0));
    let ours = two_shares().encode();
    let of_other = two_shares().with(7, bytes(&other().maker().0)).encode();
    vec![
        case(
            "stranger",
            "KEY_UNTRUSTED",
            "whole, by a maker whom the reader has not pinned",
            seal_as(&stranger, &by_stranger.encode()),
        ),
        case(
            "pinned-signs-for-owner",
            INVALID,
            "signed by a pinned maker; its body names the owner",
            seal_as(&other(), &ours),
        ),
        case(
            "owner-signs-for-pinned",
            INVALID,
            "signed by the owner; its body names a pinned maker",
            seal(&of_other),
        ),
        case(
            "small-order-key",
            INVALID,
            "the neutral point as key: a lax verifier takes this signature under it for every message",
            small_order(),
        ),
    ]
}

/// RFC 8032 leaves the scalar unique only because verifiers refuse those above the order.
fn plus_order(scalar: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let sum = scalar.iter().zip(ORDER).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(b) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    sum.collect()
}

fn without_domain() -> Vec<u8> {
    let signed = signed(&two_shares().encode());
    let (mac, signature) = owner().authenticate(&signed);
    [signed.as_slice(), &owner().maker().0, &mac, &signature].concat()
}

fn small_order() -> Vec<u8> {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let signed = signed(&two_shares().with(7, bytes(&neutral)).encode());
    let (mac, point, scalar) = ([0; 32], neutral, [0; 32]);
    [signed.as_slice(), &neutral, &mac, &point, &scalar].concat()
}
