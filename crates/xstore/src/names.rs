//! Names of objects at a backend (docs/formats/names.md).
//!
//! Below two pseudo-random prefixes everything is plain counting, and both prefixes stand in the
//! manifest: whoever holds the manifest finds the shares without any key, and a backend alone can
//! tell neither which share it holds nor what belongs together elsewhere.

use crate::backend::ObjectKey;
use crate::ids::{ManifestHash, Prefix, StoreTag};

/// Turns text that this module composed into a key.
///
/// # Panics
/// Never: every part is hexadecimal, decimal or one of the letters below.
#[expect(
    clippy::expect_used,
    reason = "the parts are hexadecimal or decimal by construction"
)]
fn key(name: &str) -> ObjectKey {
    ObjectKey::try_new(name).expect("composed of lower-case hexadecimal and decimal parts")
}

/// `T/id`: the backend's own random identity.
#[must_use]
pub fn backend_uid(tag: StoreTag) -> ObjectKey {
    key(&format!("{tag}/id"))
}

/// `T/o/`: start of all manifest names.
#[must_use]
pub fn manifests(tag: StoreTag) -> String {
    format!("{tag}/o/")
}

/// `T/o/M/`: start of all versions of one object's manifest.
#[must_use]
pub fn manifest_versions(tag: StoreTag, object: Prefix) -> String {
    format!("{tag}/o/{object}/")
}

/// `T/o/M/version/hash`: one manifest; the hash in the name lets nobody block a slot.
#[must_use]
pub fn manifest(tag: StoreTag, object: Prefix, version: u64, hash: ManifestHash) -> ObjectKey {
    key(&format!("{tag}/o/{object}/{version}/{hash}"))
}

/// Prefix, version and hash of a manifest's name; `None` when it is not one.
#[must_use]
pub fn parse_manifest(tag: StoreTag, name: &ObjectKey) -> Option<(Prefix, u64, ManifestHash)> {
    let rest = name.as_str().strip_prefix(&manifests(tag))?;
    let mut parts = rest.split('/');
    let object = Prefix::from_hex(parts.next()?)?;
    let version = parts.next()?.parse().ok()?;
    let hash = ManifestHash::from_hex(parts.next()?)?;
    let canonical = parts.next().is_none() && manifest(tag, object, version, hash) == *name;
    canonical.then_some((object, version, hash))
}

/// `T/s/P/`: start of all names of one dealing.
#[must_use]
pub fn shares(tag: StoreTag, put: Prefix) -> String {
    format!("{tag}/s/{put}/")
}

/// `T/s/P/segment/attempt`: one share of one segment.
#[must_use]
pub fn segment(tag: StoreTag, put: Prefix, segment: u64, attempt: u32) -> ObjectKey {
    key(&format!("{tag}/s/{put}/{segment}/{attempt}"))
}

/// `T/s/P/index`: the segment roots of one share.
#[must_use]
pub fn index(tag: StoreTag, put: Prefix) -> ObjectKey {
    key(&format!("{tag}/s/{put}/index"))
}

/// `T/s/`: start of all names of shares.
#[must_use]
pub fn dealings(tag: StoreTag) -> String {
    format!("{tag}/s/")
}

/// The dealing that a name belongs to, and what follows; `None` when it is none of a dealing.
#[must_use]
pub fn parse_share(tag: StoreTag, name: &ObjectKey) -> Option<(Prefix, &str)> {
    let (put, rest) = name
        .as_str()
        .strip_prefix(&dealings(tag))?
        .split_once('/')?;
    Some((Prefix::from_hex(put)?, rest))
}

/// Segment and attempt of what follows a dealing in a name; `None` for anything else.
#[must_use]
pub fn parse_attempt(rest: &str) -> Option<(u64, u32)> {
    let (segment, attempt) = rest.split_once('/')?;
    Some((segment.parse().ok()?, attempt.parse().ok()?))
}

/// `T/s/P/lease/N`: the writer of this dealing was at work N hours after it began.
#[must_use]
pub fn lease(tag: StoreTag, put: Prefix, hours: u64) -> ObjectKey {
    key(&format!("{tag}/s/{put}/lease/{hours}"))
}

/// `T/s/P/tomb/`: start of all marks of a collector on one dealing.
#[must_use]
pub fn tombs(tag: StoreTag, put: Prefix) -> String {
    format!("{tag}/s/{put}/tomb/")
}

/// `T/s/P/tomb/0`: the mark that all collectors make, so that two of them make one.
#[must_use]
pub fn tomb(tag: StoreTag, put: Prefix) -> ObjectKey {
    key(&format!("{tag}/s/{put}/tomb/0"))
}

/// `T/clock`: written, looked at and removed to learn what time it is at a backend.
#[must_use]
pub fn clock(tag: StoreTag) -> ObjectKey {
    key(&format!("{tag}/clock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_dealing_tell_which() {
        let (tag, put) = (StoreTag([1; 16]), Prefix([2; 16]));
        let parsed =
            |name: &ObjectKey| parse_share(tag, name).map(|(p, rest)| (p, rest.to_owned()));
        for (name, rest) in [
            (segment(tag, put, 3, 0), "3/0"),
            (index(tag, put), "index"),
            (lease(tag, put, 7), "lease/7"),
            (tomb(tag, put), "tomb/0"),
        ] {
            assert_eq!(parsed(&name), Some((put, rest.to_owned())));
        }
        assert_eq!(parsed(&clock(tag)), None);
        assert_eq!(parsed(&manifest(tag, put, 1, ManifestHash([3; 32]))), None);
    }

    #[test]
    fn manifest_names_round_trip_and_nothing_else_parses() {
        let (tag, object, hash) = (StoreTag([1; 16]), Prefix([2; 16]), ManifestHash([3; 32]));
        let name = manifest(tag, object, 17, hash);
        assert_eq!(parse_manifest(tag, &name), Some((object, 17, hash)));
        assert_eq!(parse_manifest(StoreTag([9; 16]), &name), None);
        let longer = ObjectKey::try_new(&format!("{name}/0")).unwrap();
        assert_eq!(parse_manifest(tag, &longer), None);
        let padded = ObjectKey::try_new(&format!("{tag}/o/{object}/017/{hash}")).unwrap();
        assert_eq!(
            parse_manifest(tag, &padded),
            None,
            "one name for one manifest"
        );
    }
}
