//! Deterministic CBOR (RFC 8949, section 4.2.1) for everything that is signed or journalled.
//!
//! A signed document must have exactly one encoding, or two readers may see two documents under one
//! signature. So maps have integer keys in ascending order ([`cbor_map!`](crate::cbor_map)), unknown
//! keys are refused, absent values are left out, and [`from_slice`] encodes what it decoded and
//! compares the bytes: duplicate keys, unsorted keys, long integers, indefinite lengths, tags,
//! floats and trailing bytes all fail one of these.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Deepest nesting of any document of ours, with room to spare.
const RECURSION_LIMIT: usize = 8;

/// The bytes are not the one encoding of a document of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a deterministic CBOR document of the expected shape")]
pub struct NotCanonical;

/// Encodes `value`; the same value always gives the same bytes.
///
/// # Panics
/// Never: every type of ours has an encoding and memory accepts every write.
#[expect(
    clippy::expect_used,
    reason = "writing CBOR of our own types to memory cannot fail"
)]
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("our own types have an encoding");
    bytes
}

/// Decodes the one encoding of a `T`.
///
/// # Errors
/// [`NotCanonical`] for every other sequence of bytes.
pub fn from_slice<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, NotCanonical> {
    let mut rest = bytes;
    let value: T = ciborium::de::from_reader_with_recursion_limit(&mut rest, RECURSION_LIMIT)
        .map_err(|_| NotCanonical)?;
    // The cursor must be at the end, and what we would write must be what we read.
    if rest.is_empty() && to_vec(&value) == bytes {
        Ok(value)
    } else {
        Err(NotCanonical)
    }
}

/// Declares a struct that is a CBOR map with ascending integer keys.
///
/// A field of type `Option` is left out when `None`; every other field is required. Keys are given
/// in ascending order. A missing, unknown, repeated or misplaced key is refused.
#[macro_export]
macro_rules! cbor_map {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $key:literal => $field_vis:vis $field:ident : $ty:ty ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name { $( $(#[$field_meta])* $field_vis $field: $ty, )+ }

        impl $crate::cbor::Field for $name {}

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use ::serde::ser::SerializeMap as _;
                use $crate::cbor::Field as _;
                let present = 0 $( + usize::from(self.$field.is_present()) )+;
                let mut map = serializer.serialize_map(Some(present))?;
                $( if self.$field.is_present() {
                    map.serialize_entry(&($key as u64), &self.$field)?;
                } )+
                map.end()
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Map;
                impl<'de> ::serde::de::Visitor<'de> for Map {
                    type Value = $name;

                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str("a map with ascending integer keys")
                    }

                    fn visit_map<A: ::serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name, A::Error> {
                        use ::serde::de::Error as _;
                        let mut next = map.next_key::<u64>()?;
                        $( let $field = if next == Some($key) {
                            let value: $ty = map.next_value()?;
                            next = map.next_key::<u64>()?;
                            value
                        } else {
                            <$ty as $crate::cbor::Field>::absent()
                                .ok_or_else(|| A::Error::missing_field(stringify!($field)))?
                        }; )+
                        if next.is_some() {
                            return Err(A::Error::custom("unknown or misplaced key"));
                        }
                        Ok($name { $( $field, )+ })
                    }
                }
                deserializer.deserialize_map(Map)
            }
        }
    };
}

/// How [`cbor_map!`](crate::cbor_map) treats a field's absence.
pub trait Field: Sized {
    /// Whether the field is written.
    fn is_present(&self) -> bool {
        true
    }

    /// The value that an absent key stands for; `None` when the key is required.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

impl<T> Field for Option<T> {
    fn is_present(&self) -> bool {
        self.is_some()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

macro_rules! required_field {
    ($($ty:ty),+ $(,)?) => { $( impl $crate::cbor::Field for $ty {} )+ };
}
required_field!(u8, u16, u32, u64, i64, bool, String, Blob);
required_field!(
    crate::ids::ObjectId,
    crate::ids::PutId,
    crate::ids::BackendUid,
    crate::ids::Prefix,
    crate::ids::StoreTag,
    crate::ids::DeviceId,
    crate::ids::ManifestHash,
    crate::ids::MakerKey,
    crate::ids::ShareRoot,
    crate::ids::SegmentMac,
);
impl<T> Field for Vec<T> {}

/// A CBOR byte string of any length (a plain `Vec<u8>` would become an array of integers).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Blob;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    cbor_map! {
        #[derive(Debug, PartialEq)]
        struct Sample {
            1 => first: u64,
            2 => second: Option<u64>,
            5 => third: Blob,
        }
    }

    #[test]
    fn one_value_has_one_encoding() {
        let value = Sample {
            first: 24,
            second: None,
            third: Blob(vec![7]),
        };
        let bytes = to_vec(&value);
        assert_eq!(bytes, [0xa2, 0x01, 0x18, 0x18, 0x05, 0x41, 0x07]);
        assert_eq!(from_slice::<Sample>(&bytes), Ok(value));
    }

    /// Every trap of CBOR decoding, by name: none of them is a second way to say the same thing.
    #[test]
    fn no_second_encoding_is_accepted() {
        let bad: [(&str, &[u8]); 11] = [
            (
                "duplicate key",
                &[0xa3, 1, 0x18, 0x18, 1, 0x18, 0x18, 5, 0x41, 7],
            ),
            ("unsorted keys", &[0xa2, 5, 0x41, 7, 1, 0x18, 0x18]),
            ("long integer", &[0xa2, 1, 0x19, 0, 0x18, 5, 0x41, 7]),
            ("long key", &[0xa2, 0x18, 1, 0x18, 0x18, 5, 0x41, 7]),
            ("trailing byte", &[0xa2, 1, 0x18, 0x18, 5, 0x41, 7, 0]),
            ("indefinite map", &[0xbf, 1, 0x18, 0x18, 5, 0x41, 7, 0xff]),
            (
                "indefinite bytes",
                &[0xa2, 1, 0x18, 0x18, 5, 0x5f, 0x41, 7, 0xff],
            ),
            ("tagged integer", &[0xa2, 1, 0xc1, 0x18, 0x18, 5, 0x41, 7]),
            ("not a number", &[0xa2, 1, 0xf9, 0x7e, 0, 5, 0x41, 7]),
            (
                "null for absent",
                &[0xa3, 1, 0x18, 0x18, 2, 0xf6, 5, 0x41, 7],
            ),
            ("unknown key", &[0xa3, 1, 0x18, 0x18, 5, 0x41, 7, 6, 0]),
        ];
        for (name, bytes) in bad {
            assert_eq!(from_slice::<Sample>(bytes), Err(NotCanonical), "{name}");
        }
    }

    #[test]
    fn a_length_that_the_bytes_do_not_have_allocates_nothing() {
        let huge = [
            0xa2, 1, 0x18, 0x18, 5, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ];
        assert_eq!(from_slice::<Sample>(&huge), Err(NotCanonical));
    }
}
