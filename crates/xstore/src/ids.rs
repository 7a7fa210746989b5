//! Identifiers: fixed-length byte strings, each its own type so that one cannot stand for another.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Lower-case hexadecimal text of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Bytes of exactly `N * 2` lower-case hexadecimal digits; `None` for any other text.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Parses lower-case hexadecimal text.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                unhex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(FixedBytes).map(Self)
            }
        }
    };
}

/// Accepts a byte string of exactly `N` bytes, and nothing that merely looks like one.
struct FixedBytes<const N: usize>;

impl<const N: usize> Visitor<'_> for FixedBytes<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a byte string of {N} bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
        bytes
            .try_into()
            .map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

byte_id! {
    /// Names an object for ever; random, or derived from its name under the owner's key.
    ObjectId, 32
}
byte_id! {
    /// Names one dealing of an object (its generation); shares of two generations never combine.
    PutId, 32
}
byte_id! {
    /// Random identity that a backend carries since its first use, independent of its label.
    BackendUid, 16
}
byte_id! {
    /// Unlinkable name part at one backend, a pseudo-random function of what it stands for.
    Prefix, 16
}
byte_id! {
    /// First part of every name of one owner at every backend.
    StoreTag, 16
}
byte_id! {
    /// One installation of the client; tells a fork from two devices racing.
    DeviceId, 16
}
byte_id! {
    /// SHA-256 of a manifest's envelope without its authenticators.
    ManifestHash, 32
}
byte_id! {
    /// HMAC of the plaintext of a segment under the owner's state key.
    SegmentMac, 32
}
byte_id! {
    /// Ed25519 public key of the maker of a manifest.
    MakerKey, 32
}
byte_id! {
    /// Merkle root over the tags of one share.
    ShareRoot, 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips_and_rejects_everything_else() {
        let id = Prefix(*b"0123456789abcdef");
        assert_eq!(Prefix::from_hex(&id.to_string()), Some(id));
        for bad in [
            "",
            "00",
            "3031323334353637383961626364656G",
            "30313233343536373839616263646566 ",
        ] {
            assert_eq!(Prefix::from_hex(bad), None, "{bad}");
        }
    }
}
