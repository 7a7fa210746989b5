//! `Bucket`: objects in memory, with what the service remembers of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use hyper::header::HeaderValue;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use super::answer::Refusal;
use super::{Access, Versioning};

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) access: Access,
    pub(super) versioning: Versioning,
    pub(super) quota_bytes: u64,
    objects: BTreeMap<String, Object>,
    noncurrent: Vec<(String, Object)>,
}

/// One version of an object.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) e_tag: String,
    pub(super) generation: u64,
    pub(super) changed: Timestamp,
}

impl Object {
    pub(super) fn new(
        bytes: Bytes,
        content_type: Option<HeaderValue>,
        generation: u64,
        changed: Timestamp,
    ) -> Self {
        let e_tag = e_tag(&bytes);
        Self {
            bytes,
            content_type,
            e_tag,
            generation,
            changed,
        }
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            access: Access::Full,
            versioning: Versioning::Suspended,
            quota_bytes: u64::MAX,
            objects: BTreeMap::new(),
            noncurrent: Vec::new(),
        }
    }
}

impl Bucket {
    pub(super) fn objects(&self) -> &BTreeMap<String, Object> {
        &self.objects
    }

    pub(super) fn object(&self, name: &str) -> Result<&Object, Refusal> {
        self.objects
            .get(name)
            .ok_or_else(|| Refusal::no_such_key(name))
    }

    /// Stores `object` if the generation in its place is `if_generation`, 0 for none.
    pub(super) fn put(
        &mut self,
        name: &str,
        object: Object,
        if_generation: Option<u64>,
    ) -> Result<(), Refusal> {
        let present = self.objects.get(name).map_or(0, |object| object.generation);
        check_generation(present, if_generation)?;
        self.check_quota(name, object.bytes.len() as u64)?;
        let replaced = self.objects.insert(name.to_owned(), object);
        self.retire(name, replaced);
        Ok(())
    }

    /// Deletes the object if it has the generation `if_generation`.
    pub(super) fn delete(&mut self, name: &str, if_generation: Option<u64>) -> Result<(), Refusal> {
        check_generation(self.object(name)?.generation, if_generation)?;
        let deleted = self.objects.remove(name);
        self.retire(name, deleted);
        Ok(())
    }

    pub(super) fn contents(&self) -> BTreeMap<String, Bytes> {
        let objects = self.objects.iter();
        objects
            .map(|(name, object)| (name.clone(), object.bytes.clone()))
            .collect()
    }

    pub(super) fn noncurrent(&self) -> Vec<(String, Bytes)> {
        let versions = self.noncurrent.iter();
        versions
            .map(|(name, object)| (name.clone(), object.bytes.clone()))
            .collect()
    }

    /// Whether there was such an object to change.
    pub(super) fn corrupt(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(object) = self.objects.get_mut(name) else {
            return false;
        };
        let mut bytes = object.bytes.to_vec();
        change(&mut bytes);
        object.bytes = bytes.into();
        true
    }

    fn check_quota(&self, name: &str, len_bytes: u64) -> Result<(), Refusal> {
        // With versioning the replaced version stays, and counts as well.
        let gone = match self.versioning {
            Versioning::Enabled => None,
            Versioning::Suspended => self.objects.get(name),
        };
        let versions = self.noncurrent.iter().map(|(_, object)| object);
        let stored = self.objects.values().chain(versions);
        let stored_bytes: u64 = stored.map(|object| object.bytes.len() as u64).sum();
        let gone_bytes = gone.map_or(0, |object| object.bytes.len() as u64);
        if stored_bytes - gone_bytes + len_bytes > self.quota_bytes {
            return Err(Refusal::quota_exceeded());
        }
        Ok(())
    }

    fn retire(&mut self, name: &str, object: Option<Object>) {
        if self.versioning == Versioning::Enabled {
            self.noncurrent
                .extend(object.map(|object| (name.to_owned(), object)));
        }
    }
}

fn check_generation(present: u64, wanted: Option<u64>) -> Result<(), Refusal> {
    match wanted {
        Some(wanted) if wanted != present => Err(Refusal::precondition_failed()),
        _ => Ok(()),
    }
}

/// A digest of the bytes, in quotes and as long as MD5.
fn e_tag(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let mut e_tag = String::from("\"");
    for byte in &digest.as_ref()[..16] {
        // Writing to a string does not fail.
        write!(e_tag, "{byte:02x}").ok();
    }
    e_tag + "\""
}
