//! What this client remembers: the highest version it has seen of every object.
//!
//! Nothing in the catalogue is needed to read data. It is the only defence of one client against
//! backends that all show an old manifest: a version seen once is never accepted back.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::cbor;
use crate::cbor_map;
use crate::error::Error;
use crate::ids::{BackendUid, DeviceId, MakerKey, ManifestHash, ObjectId, hex};
use crate::keys::file;
use crate::placement::FailureDomain;
use crate::planted::{self, Bug};

cbor_map! {
    /// The newest manifest of an object that this client has seen.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Mark {
        /// Its version.
        1 => pub version: u64,
        /// Its hash.
        2 => pub hash: ManifestHash,
        /// Installation that wrote it.
        3 => pub device: DeviceId,
        /// Name under which the owner put the object, for listings.
        4 => pub name: Option<String>,
    }
}

cbor_map! {
    /// A backend whose claim its owner has ended: it is gone, and what it holds is lost.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Retired {
        /// Its identity.
        1 => pub backend: BackendUid,
        /// What it was called.
        2 => pub label: String,
        /// Its legal zone: it counts as a holder for ever.
        3 => pub zone: Option<String>,
        /// Its operator.
        4 => pub operator: Option<String>,
        /// Its credential source.
        5 => pub credential: Option<String>,
        /// Its host.
        6 => pub host: Option<String>,
        /// When its owner said so, in seconds since 1970.
        7 => pub at_unix_s: u64,
        /// Why, in the owner's words.
        8 => pub reason: String,
    }
}

impl Retired {
    /// Who could reach what it held.
    #[must_use]
    pub fn failure_domain(&self) -> FailureDomain {
        FailureDomain {
            zone: self.zone.clone(),
            operator: self.operator.clone(),
            credential: self.credential.clone(),
            host: self.host.clone(),
        }
    }
}

/// A client's memory.
pub trait Catalogue: Send + Sync + fmt::Debug {
    /// The mark of an object of `maker`; `None` at first sight. Each maker has marks of its own, so
    /// that nobody's manifests are measured by what somebody else signed.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::KeyUnsafe`] when the memory cannot be read.
    fn mark(&self, maker: MakerKey, object: ObjectId) -> Result<Option<Mark>, Error>;

    /// Compares `offered` with the mark of an object and remembers it durably, in one step that no
    /// other client of this memory can come between; the mark before it.
    ///
    /// A name once known is kept when `offered` has none.
    ///
    /// # Errors
    /// As [`check_mark`], and [`Error::Output`] when it cannot be written.
    fn raise(
        &self,
        maker: MakerKey,
        object: ObjectId,
        offered: Mark,
    ) -> Result<Option<Mark>, Error>;

    /// Backends that were retired, in that order.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::KeyUnsafe`] when the memory cannot be read.
    fn retired(&self) -> Result<Vec<Retired>, Error>;

    /// Remembers durably that a backend was retired.
    ///
    /// # Errors
    /// As [`Catalogue::retired`], and [`Error::Output`] when it cannot be written.
    fn retire(&self, retired: Retired) -> Result<(), Error>;
}

/// The mark that follows `seen`.
fn raised(seen: Option<&Mark>, offered: Mark) -> Result<Mark, Error> {
    check_mark(seen, &offered)?;
    let name = offered
        .name
        .or_else(|| seen.and_then(|mark| mark.name.clone()));
    Ok(Mark { name, ..offered })
}

/// Compares a manifest that backends offer with what was seen before.
///
/// # Errors
/// [`Error::Rollback`] for a lower version, [`Error::Fork`] for another manifest of the same version
/// by the same installation, [`Error::Siblings`] for one by another installation.
pub fn check_mark(mark: Option<&Mark>, offered: &Mark) -> Result<(), Error> {
    let Some(seen) = mark else { return Ok(()) };
    if planted::is(Bug::AcceptOlder) {
        return Ok(());
    }
    if offered.version < seen.version {
        return Err(Error::Rollback {
            seen: seen.version,
            found: offered.version,
        });
    }
    if offered.version > seen.version || offered.hash == seen.hash {
        return Ok(());
    }
    let of = |mark: &Mark| (mark.device, mark.hash);
    Err(Error::rivalry(offered.version, [of(seen), of(offered)]))
}

/// One small private file for each object.
#[derive(Debug, Clone)]
pub struct FileCatalogue {
    folder: PathBuf,
}

impl FileCatalogue {
    /// A catalogue below `folder`, which is made at the first mark.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn path(&self, maker: MakerKey, object: ObjectId) -> PathBuf {
        self.folder.join(format!("{maker}-{object}"))
    }
}

impl Catalogue for FileCatalogue {
    fn mark(&self, maker: MakerKey, object: ObjectId) -> Result<Option<Mark>, Error> {
        let path = self.path(maker, object);
        let Some(text) = file::read_private(&path)? else {
            return Ok(None);
        };
        let damaged = || Error::Config(format!("{} is damaged: remove it", path.display()));
        let bytes = decode_hex(text.trim()).ok_or_else(damaged)?;
        cbor::from_slice(&bytes).map(Some).map_err(|_| damaged())
    }

    fn raise(
        &self,
        maker: MakerKey,
        object: ObjectId,
        offered: Mark,
    ) -> Result<Option<Mark>, Error> {
        // Held until the end, so that two processes cannot lower each other's marks.
        let _lock = file::lock(&self.folder.join("lock"))?;
        let seen = self.mark(maker, object)?;
        let mark = raised(seen.as_ref(), offered)?;
        if seen.as_ref() != Some(&mark) {
            let text = format!("{}\n", hex(&cbor::to_vec(&mark)));
            file::write_private(&self.path(maker, object), &text)?;
        }
        Ok(seen)
    }

    fn retired(&self) -> Result<Vec<Retired>, Error> {
        let path = self.folder.join(RETIRED);
        let Some(text) = file::read_private(&path)? else {
            return Ok(Vec::new());
        };
        let retired = text.lines().map(|line| {
            let bytes = decode_hex(line)?;
            cbor::from_slice(&bytes).ok()
        });
        let retired: Option<Vec<Retired>> = retired.collect();
        retired.ok_or_else(|| Error::Config(format!("{} is damaged: restore it", path.display())))
    }

    fn retire(&self, retired: Retired) -> Result<(), Error> {
        let _lock = file::lock(&self.folder.join("lock"))?;
        let mut all = self.retired()?;
        all.push(retired);
        let lines = all
            .iter()
            .map(|one| format!("{}\n", hex(&cbor::to_vec(one))));
        file::write_private(&self.folder.join(RETIRED), &lines.collect::<String>())
    }
}

/// The file of a folder that says which backends were retired.
const RETIRED: &str = "retired";

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            crate::ids::unhex::<1>(pair).map(|[byte]| byte)
        })
        .collect()
}

/// A catalogue that forgets with the process, for tests and one-off reads.
#[derive(Debug, Default)]
pub struct MemoryCatalogue {
    marks: Mutex<HashMap<(MakerKey, ObjectId), Mark>>,
    retired: Mutex<Vec<Retired>>,
}

impl MemoryCatalogue {
    fn marks(&self) -> std::sync::MutexGuard<'_, HashMap<(MakerKey, ObjectId), Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Catalogue for MemoryCatalogue {
    fn mark(&self, maker: MakerKey, object: ObjectId) -> Result<Option<Mark>, Error> {
        Ok(self.marks().get(&(maker, object)).cloned())
    }

    fn raise(
        &self,
        maker: MakerKey,
        object: ObjectId,
        offered: Mark,
    ) -> Result<Option<Mark>, Error> {
        let mut marks = self.marks();
        let mark = raised(marks.get(&(maker, object)), offered)?;
        Ok(marks.insert((maker, object), mark))
    }

    fn retired(&self) -> Result<Vec<Retired>, Error> {
        let retired = self.retired.lock();
        Ok(retired.unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn retire(&self, retired: Retired) -> Result<(), Error> {
        let all = self.retired.lock();
        all.unwrap_or_else(PoisonError::into_inner).push(retired);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKER: MakerKey = MakerKey([5; 32]);

    fn mark(version: u64, hash: u8, device: u8) -> Mark {
        Mark {
            version,
            hash: ManifestHash([hash; 32]),
            device: DeviceId([device; 16]),
            name: None,
        }
    }

    #[test]
    fn old_and_forked_versions_are_refused() {
        let seen = mark(3, 1, 1);
        assert!(check_mark(None, &mark(1, 1, 1)).is_ok(), "first sight");
        assert!(check_mark(Some(&seen), &mark(3, 1, 1)).is_ok());
        assert!(check_mark(Some(&seen), &mark(4, 2, 2)).is_ok());
        let code = |offered| check_mark(Some(&seen), &offered).unwrap_err().code();
        assert_eq!(code(mark(2, 1, 1)), "ROLLBACK_DETECTED");
        assert_eq!(code(mark(3, 2, 1)), "FORK_DETECTED");
        assert_eq!(code(mark(3, 2, 2)), "CONFLICT");
    }

    #[test]
    fn marks_survive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let object = ObjectId([4; 32]);
        let catalogue = FileCatalogue::new(&folder.path().join("catalogue"));
        assert_eq!(catalogue.mark(MAKER, object).unwrap(), None);
        let named = Mark {
            name: Some("cohort-7".into()),
            ..mark(1, 1, 1)
        };
        assert_eq!(catalogue.raise(MAKER, object, named.clone()).unwrap(), None);
        let again = FileCatalogue::new(&folder.path().join("catalogue"));
        assert_eq!(again.mark(MAKER, object).unwrap(), Some(named));
        again.raise(MAKER, object, mark(2, 2, 1)).unwrap();
        let raised = again.mark(MAKER, object).unwrap().unwrap();
        assert_eq!(
            (raised.version, raised.name.as_deref()),
            (2, Some("cohort-7"))
        );
        let lower = again.raise(MAKER, object, mark(1, 1, 1)).unwrap_err();
        assert_eq!(lower.code(), "ROLLBACK_DETECTED");
    }

    #[test]
    fn what_was_retired_is_remembered_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let retired = |label: &str, zone: Option<&str>| Retired {
            backend: BackendUid([1; 16]),
            label: label.into(),
            zone: zone.map(str::to_owned),
            operator: None,
            credential: None,
            host: None,
            at_unix_s: 7,
            reason: "the company\nis gone".into(),
        };
        let all = [retired("DE", Some("EEA")), retired("CA", None)];
        for one in &all {
            let catalogue = FileCatalogue::new(folder.path());
            catalogue.retire(one.clone()).unwrap();
        }
        let again = FileCatalogue::new(folder.path());
        assert_eq!(again.retired().unwrap(), all);
        file::write_private(&folder.path().join(RETIRED), "00\n").unwrap();
        assert_eq!(again.retired().unwrap_err().code(), "INVALID_CONFIG");
    }
}
