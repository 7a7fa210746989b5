//! Intents on disk, so that a crash leaves something that the next run can finish or undo.
//!
//! An operation writes its intent before its first effect, and the manifest before its first copy.
//! Recovery reads which of the two it finds: without a manifest nobody can have seen the object, so
//! its names are removed; with one, recovery only goes forward. The file of a running operation is
//! locked, so a second process never recovers what is still alive. No randomness, seed, salt or
//! hash state is ever written here.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cbor;
use crate::cbor_map;
use crate::error::Error;
use crate::ids::{BackendUid, ObjectId, Prefix, PutId, StoreTag, hex};
use crate::keys::file::sync_folder;
use crate::manifest::{self, Location, Manifest};

mod checkpoint;
mod lock;

pub(crate) use checkpoint::{Checkpoint, Finished, Plan, Sent};
pub use lock::ObjectLock;
use lock::{has_name, new_locked, sweep};

cbor_map! {
    /// What an operation is about to do.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Intent {
        /// The object.
        1 => pub object_id: ObjectId,
        /// The dealing that the operation makes or ends.
        2 => pub put_id: PutId,
        /// First part of all names.
        3 => pub store_tag: StoreTag,
        /// Shares needed.
        4 => pub k: u8,
        /// Where the operation writes.
        5 => pub places: Vec<Place>,
        /// Whether shares are dealt, so that they are to be removed if no manifest follows.
        6 => pub deals: bool,
        /// The caller's word on what to do once the manifest stands, for example a file to write.
        7 => pub note: Option<String>,
        /// Where the version is that the operation follows; its backends must learn of the new one.
        8 => pub former: Option<Former>,
    }
}

cbor_map! {
    /// The backends of an earlier version.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Former {
        /// Shares needed.
        1 => pub k: u8,
        /// Shares dealt.
        2 => pub n: u8,
        /// Where they are stored.
        3 => pub places: Vec<Place>,
    }
}

impl Former {
    /// The backends of `manifest`.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let body = manifest.body();
        Self {
            k: body.k,
            n: body.n,
            places: body.stored().map(|(_, at)| Place::of(at)).collect(),
        }
    }
}

impl Place {
    /// The names of a location.
    pub(crate) fn of(location: &Location) -> Self {
        Self {
            backend: location.backend,
            label: location.label.clone(),
            manifest_prefix: location.manifest_prefix,
            share_prefix: location.share_prefix,
        }
    }
}

cbor_map! {
    /// One backend of an operation.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Place {
        /// Its identity.
        1 => pub backend: BackendUid,
        /// Its label.
        2 => pub label: String,
        /// Name part of the object's manifests there.
        3 => pub manifest_prefix: Prefix,
        /// Name part of the dealing's shares there.
        4 => pub share_prefix: Prefix,
    }
}

/// A folder of intents.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
}

/// One open intent, locked for as long as this value lives.
#[derive(Debug)]
pub struct Entry {
    /// What the operation is about to do.
    pub intent: Intent,
    /// How far the operation came.
    pub phase: Phase,
    path: PathBuf,
    _lock: File,
}

/// How far an operation came, and the envelope of its manifest once there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nobody can have seen it: it is undone.
    Intent,
    /// It goes forward until the manifest is committed.
    Manifest(Vec<u8>),
    /// It is committed; what it replaced is still to be removed.
    Committed(Vec<u8>),
}

impl Phase {
    /// The envelope.
    #[must_use]
    pub fn manifest(&self) -> Option<&[u8]> {
        match self {
            Self::Intent => None,
            Self::Manifest(envelope) | Self::Committed(envelope) => Some(envelope),
        }
    }
}

/// Counts the operations of this process.
static BEGUN: AtomicU64 = AtomicU64::new(0);

const INTENT: &str = "intent";
const MANIFEST: &str = "manifest";
const COMMITTED: &str = "committed";
const LOCK: &str = "lock";
const STAGED: &str = "staged-";
const CHECKPOINT: &str = "checkpoint";
/// An intent is a few hundred bytes for each backend; anything longer is not one of ours.
const MAX_INTENT_LEN: u64 = 1 << 20;

impl Journal {
    /// A journal below `folder`, which is made at the first intent.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Writes an intent durably, before the operation's first effect.
    ///
    /// # Errors
    /// [`Error::Output`] when the journal cannot be written.
    pub fn begin(&self, intent: Intent) -> Result<Entry, Error> {
        // Two operations on one dealing have two names, also when one process runs both.
        let number = BEGUN.fetch_add(1, Ordering::Relaxed);
        // Names sort in the order in which one process began.
        let (put, pid) = (hex(&intent.put_id.0), std::process::id());
        let name = format!("{put}-{pid}-{number:020}");
        let path = self.folder.join(name).with_extension(INTENT);
        let write = || {
            fs::create_dir_all(&self.folder)?;
            // Locked before it has its name: there is no moment at which a recovery may take it.
            write_durably(&path, &cbor::to_vec(&intent))
        };
        let lock = write().map_err(|error: std::io::Error| Error::output(&path, error))?;
        Ok(Entry {
            intent,
            phase: Phase::Intent,
            path,
            _lock: lock,
        })
    }

    /// Waits for nobody: the right to work on one object, for as long as the result lives.
    ///
    /// # Errors
    /// [`Error::Locked`] while another operation of this client works on the object, or one that
    /// stopped before its manifest was committed has not been recovered; [`Error::Output`] when
    /// there is no place for the lock.
    pub fn lock(&self, object: ObjectId) -> Result<ObjectLock, Error> {
        let lock = self.lock_contested(object)?;
        // An undone dealing and removals that wait for a backend stand in nobody's way.
        let contests = |entry: Entry| {
            entry.intent.object_id == object && matches!(entry.phase, Phase::Manifest(_))
        };
        if self.abandoned()?.into_iter().flatten().any(contests) {
            return Err(Error::Locked(
                "an earlier operation on this object is not ended".into(),
            ));
        }
        Ok(lock)
    }

    /// As [`Journal::lock`], but a stopped operation stands in nobody's way: its manifest may be one
    /// of those between which the owner decides.
    ///
    /// # Errors
    /// [`Error::Locked`] while another operation of this client works on the object;
    /// [`Error::Output`] when there is no place for the lock.
    pub(crate) fn lock_contested(&self, object: ObjectId) -> Result<ObjectLock, Error> {
        let path = self.folder.join(object.to_string()).with_extension(LOCK);
        let lock = fs::create_dir_all(&self.folder)
            .and_then(|()| ObjectLock::try_take(path.clone()))
            .map_err(|error| Error::output(&path, error))?;
        lock.ok_or_else(|| Error::Locked("another operation works on this object".into()))
    }

    /// Intents of all operations that have not ended, those that run included.
    ///
    /// # Errors
    /// [`Error::Input`] when the journal cannot be read, [`Error::Config`] when something in it is
    /// not an intent.
    pub(crate) fn intents(&self) -> Result<Vec<Intent>, Error> {
        let mut intents = Vec::new();
        for path in self.intent_paths()? {
            match File::open(&path) {
                // It just ended.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Error::input(&path, error)),
                Ok(file) => intents.push(read_intent(&file, &path)?),
            }
        }
        Ok(intents)
    }

    /// Removes what operations left that were stopped before their intent or after its end.
    ///
    /// # Errors
    /// [`Error::Input`] when the journal cannot be read.
    pub(crate) fn sweep(&self) -> Result<(), Error> {
        for path in self.paths_of(|extension| extension != INTENT)? {
            let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
            match extension {
                // Written while there is an intent: where there is none now, none comes back.
                MANIFEST | COMMITTED | CHECKPOINT
                    if path.with_extension(INTENT).try_exists().is_ok_and(|is| !is) =>
                {
                    let _ = fs::remove_file(&path);
                }
                extension if extension == LOCK || extension.starts_with(STAGED) => sweep(&path),
                _ => {}
            }
        }
        Ok(())
    }

    /// Intents of operations that no longer run, by name; those that cannot be read are errors of
    /// their own. Those of running operations are left out.
    ///
    /// # Errors
    /// [`Error::Input`] when the journal itself cannot be read.
    pub fn abandoned(&self) -> Result<Vec<Result<Entry, Error>>, Error> {
        let paths = self.intent_paths()?;
        Ok(paths
            .iter()
            .filter_map(|path| Entry::take(path).transpose())
            .collect())
    }

    fn intent_paths(&self) -> Result<Vec<PathBuf>, Error> {
        self.paths_of(|extension| extension == INTENT)
    }

    /// Files whose extension is `wanted`, in order.
    fn paths_of(&self, wanted: impl Fn(&OsStr) -> bool) -> Result<Vec<PathBuf>, Error> {
        let listing = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            listing => listing.map_err(|e| Error::input(&self.folder, e))?,
        };
        let mut paths: Vec<PathBuf> = listing
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect();
        paths.retain(|path| path.extension().is_some_and(&wanted));
        paths.sort();
        Ok(paths)
    }
}

impl Entry {
    /// Locks and reads the intent at `path`; `None` when its operation still runs or just ended.
    fn take(path: &Path) -> Result<Option<Self>, Error> {
        let input = |error| Error::input(path, error);
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(input)?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(input(error)),
            Ok(()) => {}
        }
        if !has_name(&file, path) {
            return Ok(None); // It ended, or another took its name, before we had the lock.
        }
        let intent = read_intent(&file, path)?;
        let phase = match read_envelope(&path.with_extension(MANIFEST))? {
            Some(envelope) => Phase::Manifest(envelope),
            None => match read_envelope(&path.with_extension(COMMITTED))? {
                Some(envelope) => Phase::Committed(envelope),
                None => Phase::Intent,
            },
        };
        Ok(Some(Self {
            intent,
            phase,
            path: path.to_owned(),
            _lock: file,
        }))
    }

    /// Writes the manifest durably: from here on recovery only goes forward.
    ///
    /// # Errors
    /// [`Error::Output`] when the journal cannot be written.
    pub fn reach_manifest(&mut self, envelope: &[u8]) -> Result<(), Error> {
        let path = self.path.with_extension(MANIFEST);
        write_durably(&path, envelope).map_err(|error| Error::output(&path, error))?;
        self.phase = Phase::Manifest(envelope.to_vec());
        Ok(())
    }

    /// Notes durably that the manifest is committed and that only removals are left.
    ///
    /// # Errors
    /// [`Error::Output`] when the journal cannot be written.
    pub fn reach_commit(&mut self) -> Result<(), Error> {
        let Phase::Manifest(envelope) = &self.phase else {
            return Ok(());
        };
        let path = self.path.with_extension(COMMITTED);
        fs::rename(self.path.with_extension(MANIFEST), &path)
            .and_then(|()| sync_folder(&path))
            .map_err(|error| Error::output(&path, error))?;
        self.phase = Phase::Committed(envelope.clone());
        Ok(())
    }

    /// Ends the operation: nothing is left to recover.
    ///
    /// # Errors
    /// [`Error::Output`] when the journal cannot be written.
    pub fn close(self) -> Result<(), Error> {
        // The intent goes first: a manifest alone is ignored, an intent alone would be undone.
        let remove = |path: &Path| match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        };
        remove(&self.path)
            .and_then(|()| sync_folder(&self.path))
            .and_then(|()| remove(&self.path.with_extension(MANIFEST)))
            .and_then(|()| remove(&self.path.with_extension(COMMITTED)))
            .and_then(|()| remove(&self.path.with_extension(CHECKPOINT)))
            .map_err(|error| Error::output(&self.path, error))
    }
}

fn read_intent(file: &File, path: &Path) -> Result<Intent, Error> {
    let mut bytes = Vec::new();
    file.take(MAX_INTENT_LEN)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::input(path, error))?;
    cbor::from_slice(&bytes).map_err(|_| {
        Error::Config(format!(
            "{} is not an intent of ours: move it away",
            path.display()
        ))
    })
}

/// An envelope, where there is one. One that is too long is kept and fails its check: without it,
/// recovery would undo.
fn read_envelope(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| Error::input(path, error))?,
    };
    let mut bytes = Vec::new();
    file.take(manifest::MAX_LEN as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::input(path, error))?;
    Ok(Some(bytes))
}

/// Writes a file that is wholly there or as it was before, also after a crash; open at its end
/// and locked.
fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<File> {
    let staged = path.with_extension(format!("{STAGED}{}", std::process::id()));
    let mut file = new_locked(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    sync_folder(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abandoned(journal: &Journal) -> Vec<Entry> {
        journal
            .abandoned()
            .unwrap()
            .into_iter()
            .map(Result::unwrap)
            .collect()
    }

    fn intent() -> Intent {
        let place = Place {
            backend: BackendUid([4; 16]),
            label: "DE".into(),
            manifest_prefix: Prefix([5; 16]),
            share_prefix: Prefix([6; 16]),
        };
        Intent {
            object_id: ObjectId([1; 32]),
            put_id: PutId([2; 32]),
            store_tag: StoreTag([3; 16]),
            k: 2,
            places: vec![place],
            deals: true,
            note: Some("out.xgm".into()),
            former: None,
        }
    }

    #[test]
    fn a_running_operation_is_left_alone_and_an_abandoned_one_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(&folder.path().join("journal"));
        assert!(abandoned(&journal).is_empty());
        let entry = journal.begin(intent()).unwrap();
        assert!(abandoned(&journal).is_empty(), "it still runs");
        drop(entry);
        let found = abandoned(&journal);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].phase.manifest(), None);
        let found = (&found[0].intent, &found[0].phase);
        assert_eq!(found, (&intent(), &Phase::Intent));
    }

    #[test]
    fn intents_of_running_and_stopped_operations_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        assert_eq!(journal.intents().unwrap(), []);
        let running = journal.begin(intent()).unwrap();
        drop(journal.begin(intent()).unwrap());
        assert_eq!(journal.intents().unwrap(), [intent(), intent()]);
        drop(running);
    }

    /// A link that leads nowhere is as good as a file that went between listing and opening.
    #[cfg(unix)]
    #[test]
    fn what_just_ended_is_passed_over_and_what_cannot_be_read_is_told() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let gone = folder.path().join("0-0.intent");
        symlink("nowhere", &gone).unwrap();
        assert_eq!(journal.intents().unwrap(), []);
        assert!(abandoned(&journal).is_empty());
        fs::remove_file(&gone).unwrap();
        symlink(&gone, &gone).unwrap();
        assert_eq!(journal.intents().unwrap_err().code(), "INPUT_UNREADABLE");
        let mut found = journal.abandoned().unwrap();
        let error = found.pop().unwrap().unwrap_err();
        assert_eq!(error.code(), "INPUT_UNREADABLE");
        let file = folder.path().join("a file");
        fs::write(&file, "").unwrap();
        let error = Journal::new(&file).abandoned().unwrap_err();
        assert_eq!(error.code(), "INPUT_UNREADABLE");
    }

    /// Without its manifest an operation would be undone that has to go forward.
    #[cfg(unix)]
    #[test]
    fn a_manifest_that_cannot_be_read_is_not_taken_for_none() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let entry = journal.begin(intent()).unwrap();
        let manifest = entry.path.with_extension(MANIFEST);
        drop(entry);
        symlink(&manifest, &manifest).unwrap();
        let error = journal.abandoned().unwrap().pop().unwrap().unwrap_err();
        assert_eq!(error.code(), "INPUT_UNREADABLE");
        // One that is too long is read far enough to fail its check.
        fs::remove_file(&manifest).unwrap();
        fs::write(&manifest, vec![7; manifest::MAX_LEN + 9]).unwrap();
        let found = abandoned(&journal).pop().unwrap();
        let len = found.phase.manifest().map(<[u8]>::len);
        assert_eq!(len, Some(manifest::MAX_LEN + 1));
    }

    #[test]
    fn an_end_that_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let entry = journal.begin(intent()).unwrap();
        fs::create_dir(entry.path.with_extension(MANIFEST)).unwrap();
        assert_eq!(entry.close().unwrap_err().code(), "OUTPUT_FAILED");
    }

    #[test]
    fn the_manifest_phase_is_seen_and_closing_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let object = intent().object_id;
        let mut entry = journal.begin(intent()).unwrap();
        entry.reach_manifest(b"envelope").unwrap();
        drop(entry);
        assert_eq!(journal.lock(object).unwrap_err().code(), "LOCKED");
        let mut found = abandoned(&journal);
        assert_eq!(found[0].phase, Phase::Manifest(b"envelope".to_vec()));
        assert_eq!(found[0].phase.manifest(), Some(b"envelope".as_slice()));
        found[0].reach_commit().unwrap();
        drop(found);
        drop(journal.lock(object).unwrap());
        let mut found = abandoned(&journal);
        assert_eq!(found[0].phase, Phase::Committed(b"envelope".to_vec()));
        found.remove(0).close().unwrap();
        assert!(abandoned(&journal).is_empty());
        assert!(files(folder.path()).is_empty());
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_sweep_takes_what_nobody_holds_and_leaves_every_intent() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let mut running = journal.begin(intent()).unwrap();
        running.reach_manifest(b"envelope").unwrap();
        let mut stopped = journal.begin(intent()).unwrap();
        stopped.reach_manifest(b"envelope").unwrap();
        stopped.reach_commit().unwrap();
        drop(stopped);
        let lock = journal.lock(ObjectId([9; 32])).unwrap();
        let staged = new_locked(&folder.path().join("d.staged-1")).unwrap();
        let kept = files(folder.path());
        assert_eq!(kept.len(), 6, "{kept:?}");
        for left in ["a.manifest", "b.committed", "c.lock", "c.staged-7"] {
            fs::write(folder.path().join(left), "left by a kill").unwrap();
        }
        journal.sweep().unwrap();
        assert_eq!(files(folder.path()), kept);
        drop((running, lock, staged));
    }
}
