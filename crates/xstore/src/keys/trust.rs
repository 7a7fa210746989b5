//! Whose manifests are accepted: makers pinned by name, written as `did:key`.
//!
//! A key inside a manifest proves nothing, so every maker but the owner is pinned once by a person
//! who compared the fingerprint.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Error;
use crate::ids::MakerKey;
use crate::keys::file;

/// Multicodec prefix of an Ed25519 public key (did:key method, multicodec table 0xed, as a varint).
const ED25519_PUB: [u8; 2] = [0xed, 0x01];

/// Writes a maker's key as `did:key:z...`.
#[must_use]
pub fn to_did_key(maker: MakerKey) -> String {
    let mut bytes = ED25519_PUB.to_vec();
    bytes.extend(maker.0);
    format!("did:key:z{}", bs58::encode(bytes).into_string())
}

/// Reads `did:key:z...` of an Ed25519 key; `None` for any other text.
#[must_use]
pub fn from_did_key(text: &str) -> Option<MakerKey> {
    let encoded = text.strip_prefix("did:key:z")?;
    // 34 bytes are at most 47 base58 digits; longer text is not decoded.
    if encoded.len() > 48 {
        return None;
    }
    let bytes = bs58::decode(encoded).into_vec().ok()?;
    let key = bytes.strip_prefix(&ED25519_PUB)?;
    key.try_into().ok().map(MakerKey)
}

/// Makers whose manifests are accepted, by the name a person gave them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedMakers(BTreeMap<String, MakerKey>);

impl TrustedMakers {
    /// Reads the pins from `path`; a missing file is an empty list.
    ///
    /// # Errors
    /// [`Error::KeyUnsafe`] when others may write the file, [`Error::Config`] when it is not a list
    /// of `name did:key:...` lines.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let Some(text) = file::read_private(path)? else {
            return Ok(Self::default());
        };
        let mut makers = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let pin = line
                .split_once(' ')
                .and_then(|(n, did)| Some((n, from_did_key(did)?)));
            let (name, maker) = pin.ok_or_else(|| {
                Error::Config(format!(
                    "{}: not a line of `name did:key:...`",
                    path.display()
                ))
            })?;
            makers.pin(name, maker)?;
        }
        Ok(makers)
    }

    /// Writes the pins to `path`, readable by the owner only.
    ///
    /// # Errors
    /// [`Error::Output`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let text: String = self
            .0
            .iter()
            .map(|(name, key)| format!("{name} {}\n", to_did_key(*key)))
            .collect();
        file::write_private(path, &text)
    }

    /// Pins `maker` under `name`.
    ///
    /// # Errors
    /// [`Error::Config`] when the name is empty or has white space, [`Error::Conflict`] when another
    /// key has that name.
    pub fn pin(&mut self, name: &str, maker: MakerKey) -> Result<(), Error> {
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(Error::Config(format!(
                "`{name}` is not a name without spaces"
            )));
        }
        if self.0.get(name).is_some_and(|pinned| *pinned != maker) {
            return Err(Error::Conflict(format!(
                "{name} is pinned with another key"
            )));
        }
        self.0.insert(name.to_owned(), maker);
        Ok(())
    }

    /// Removes a pin; whether there was one.
    pub fn unpin(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Name under which a maker is pinned.
    #[must_use]
    pub fn name_of(&self, maker: MakerKey) -> Option<&str> {
        self.0
            .iter()
            .find(|(_, key)| **key == maker)
            .map(|(name, _)| name.as_str())
    }

    /// All pins, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, MakerKey)> {
        self.0.iter().map(|(name, key)| (name.as_str(), *key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn did_key_round_trips_and_matches_the_method_s_example_form() {
        let maker = MakerKey([5; 32]);
        let did = to_did_key(maker);
        assert!(did.starts_with("did:key:z6Mk"), "{did}");
        assert_eq!(from_did_key(&did), Some(maker));
        for bad in [
            "",
            "did:key:",
            "did:key:z",
            "did:web:x",
            "did:key:z6Mk",
            &did[..did.len() - 1],
        ] {
            assert_eq!(from_did_key(bad), None, "{bad}");
        }
        assert_eq!(
            from_did_key(&format!("did:key:z{}", "1".repeat(10_000))),
            None
        );
    }

    #[test]
    fn pins_survive_a_save() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust");
        assert_eq!(
            TrustedMakers::load(&path).unwrap(),
            TrustedMakers::default()
        );
        let mut makers = TrustedMakers::default();
        makers.pin("finngen", MakerKey([5; 32])).unwrap();
        assert!(makers.pin("two words", MakerKey([5; 32])).is_err());
        assert_eq!(
            makers.pin("finngen", MakerKey([6; 32])).unwrap_err().code(),
            "CONFLICT"
        );
        makers.save(&path).unwrap();
        let read = TrustedMakers::load(&path).unwrap();
        assert_eq!(read, makers);
        assert_eq!(read.name_of(MakerKey([5; 32])), Some("finngen"));
    }
}
