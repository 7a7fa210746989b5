//! What of a put is finished, on disk, so that a put that stopped can be resumed.
//!
//! A file beside the intent holds frames: the plan of the put, then one frame for each finished
//! segment. Every frame ends with an HMAC under the owner's state key, over the dealing and its number
//! in the file. Frames count up to the first that is torn or not ours, and the rest is dealt again: so
//! damage costs time and never bytes. A finished segment is known again by an HMAC of its plaintext.
//! Randomness, seeds, salts and hash states are never written: to replay them after the source changed
//! would hand one backend the XOR of two plaintexts.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;

use super::{CHECKPOINT, Entry, Phase, write_durably};
use crate::cbor;
use crate::cbor_map;
use crate::error::Error;
use crate::ids::{BackendUid, ManifestHash, PutId, SegmentMac, ShareRoot};
use crate::keys::OwnerKeys;

/// Label of a frame's HMAC; it carries the version of the format.
const LABEL: &[u8] = b"xgene/checkpoint/1";

/// Bytes that are read: some 300,000 segments of three shares. What a longer file adds is dealt again.
const MAX_LEN: u64 = 64 << 20;

cbor_map! {
    /// What a resumed put has in common with the one that stopped.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct Plan {
        /// Attempt number of every segment that is dealt from now on; the next run takes the next.
        1 => pub(crate) attempt: u32,
        /// When the put began.
        2 => pub(crate) began_unix_s: u64,
        /// Shares dealt.
        3 => pub(crate) n: u8,
        /// Plaintext bytes of a chunk.
        4 => pub(crate) chunk_len: u32,
        /// Id of the length padding.
        5 => pub(crate) padding: u8,
        /// The version that the put follows.
        6 => pub(crate) follows: Option<ManifestHash>,
        /// Every backend that was sent an index, or may have been; the last of an index holds it.
        7 => pub(crate) sent: Vec<Sent>,
        /// Id of the mode.
        8 => pub(crate) mode: u8,
    }
}

cbor_map! {
    /// A backend and the only index that it is ever sent of this dealing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Sent {
        /// Share index.
        1 => pub(crate) index: u8,
        /// Identity of the backend.
        2 => pub(crate) backend: BackendUid,
    }
}

cbor_map! {
    /// A segment whose shares are confirmed at every backend that takes part.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct Finished {
        /// Segment number.
        1 => pub(crate) segment: u64,
        /// The attempt that counts.
        2 => pub(crate) attempt: u32,
        /// When it was finished.
        3 => pub(crate) at_unix_s: u64,
        /// HMAC of its plaintext.
        4 => pub(crate) plaintext: SegmentMac,
        /// Segment root of each share; they say nothing without the salts.
        5 => pub(crate) roots: Vec<ShareRoot>,
    }
}

/// The finished segments of one put.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) plan: Plan,
    /// All segments from the first to the last that is finished.
    pub(crate) finished: Vec<Finished>,
    path: PathBuf,
    put_id: PutId,
    keys: Arc<OwnerKeys>,
    /// Open at its end, once the file says what `plan` says.
    file: Option<File>,
}

impl Checkpoint {
    /// Notes durably that the next segment is finished.
    pub(crate) fn finish(&mut self, finished: Finished) -> Result<(), Error> {
        let number = self.finished.len() + 1;
        let frame = seal(&self.keys, self.put_id, number, &finished);
        self.finished.push(finished);
        let Some(file) = &mut self.file else {
            return self.save();
        };
        let written = file.write_all(&frame).and_then(|()| file.sync_data());
        written.map_err(|error| Error::output(&self.path, error))
    }

    /// Notes durably which backends may be sent which index, before one more is.
    pub(crate) fn send(&mut self, sent: Vec<Sent>) -> Result<(), Error> {
        if self.plan.sent == sent {
            return Ok(());
        }
        self.plan.sent = sent;
        self.file = None;
        // A put of which nothing is finished is not resumed.
        if self.finished.is_empty() {
            Ok(())
        } else {
            self.save()
        }
    }

    /// Begins another run, whose attempts have a number that none before had.
    pub(crate) fn begin_run(&mut self, sent: Vec<Sent>) -> Result<(), Error> {
        let next = self.plan.attempt.checked_add(1);
        self.plan.attempt = next.ok_or_else(|| Error::Conflict("no attempt is left".into()))?;
        self.plan.sent = sent;
        self.save()
    }

    /// Writes the whole file anew.
    fn save(&mut self) -> Result<(), Error> {
        let mut bytes = seal(&self.keys, self.put_id, 0, &self.plan);
        for (number, finished) in (1..).zip(&self.finished) {
            bytes.extend(seal(&self.keys, self.put_id, number, finished));
        }
        let file = write_durably(&self.path, &bytes);
        self.file = Some(file.map_err(|error| Error::output(&self.path, error))?);
        Ok(())
    }
}

impl Entry {
    /// A checkpoint of this put; its file is made when the first segment is finished.
    pub(crate) fn new_checkpoint(&self, keys: Arc<OwnerKeys>, plan: Plan) -> Checkpoint {
        Checkpoint {
            plan,
            finished: Vec::new(),
            path: self.path.with_extension(CHECKPOINT),
            put_id: self.intent.put_id,
            keys,
            file: None,
        }
    }

    /// What is finished of a put that stopped; `None` when nothing is, or when it had reached its
    /// manifest.
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be read, [`Error::KeyMissing`] when there is one and no
    /// key to check it with.
    pub(crate) fn checkpoint(
        &self,
        keys: Option<&Arc<OwnerKeys>>,
    ) -> Result<Option<Checkpoint>, Error> {
        let path = self.path.with_extension(CHECKPOINT);
        let bytes = match (&self.phase, read(&path)?) {
            (Phase::Intent, Some(bytes)) => bytes,
            _ => return Ok(None),
        };
        let keys = keys.ok_or(Error::KeyMissing)?;
        let frames = Frames {
            rest: &bytes,
            number: 0,
            put_id: self.intent.put_id,
            keys,
        };
        Ok(frames.read().map(|(plan, finished)| Checkpoint {
            finished,
            ..self.new_checkpoint(Arc::clone(keys), plan)
        }))
    }

    /// Makes this put one that is not resumed.
    pub(crate) fn forget_checkpoint(&self) -> Result<(), Error> {
        let path = self.path.with_extension(CHECKPOINT);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map_err(|error| Error::output(&path, error)),
        }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_LEN).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::input(path, error)),
    }
}

/// `u32 length || document || HMAC`.
fn seal(keys: &OwnerKeys, put_id: PutId, number: usize, document: &impl Serialize) -> Vec<u8> {
    let body = cbor::to_vec(document);
    // A document has at most 255 roots and a few numbers.
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mac = mac(keys, put_id, number, &body);
    [&len.to_be_bytes(), body.as_slice(), &mac].concat()
}

fn mac(keys: &OwnerKeys, put_id: PutId, number: usize, body: &[u8]) -> [u8; 32] {
    keys.state_mac(&[LABEL, &put_id.0, &(number as u64).to_be_bytes(), body])
}

/// Frames of a file, up to the first that is not ours.
struct Frames<'a> {
    rest: &'a [u8],
    number: usize,
    put_id: PutId,
    keys: &'a OwnerKeys,
}

impl Frames<'_> {
    fn read(mut self) -> Option<(Plan, Vec<Finished>)> {
        let plan: Plan = self.next()?;
        let mut finished: Vec<Finished> = Vec::new();
        while let Some(next) = self.next::<Finished>() {
            let follows = next.segment == finished.len() as u64;
            if !follows || next.roots.len() != usize::from(plan.n) {
                break;
            }
            finished.push(next);
        }
        (!finished.is_empty()).then_some((plan, finished))
    }

    fn next<T: Serialize + DeserializeOwned>(&mut self) -> Option<T> {
        let (len, rest) = self.rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        let (body, rest) = rest.split_at_checked(len)?;
        let (claimed, rest) = rest.split_first_chunk::<32>()?;
        let ours = mac(self.keys, self.put_id, self.number, body);
        if !bool::from(ours.ct_eq(claimed)) {
            return None;
        }
        self.rest = rest;
        self.number += 1;
        cbor::from_slice(body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ObjectId, StoreTag};
    use crate::journal::{Intent, Journal};
    use crate::keys::RootKey;

    fn keys(byte: u8) -> Arc<OwnerKeys> {
        Arc::new(OwnerKeys::derive(&RootKey::from_bytes([byte; 32])))
    }

    fn plan() -> Plan {
        Plan {
            attempt: 0,
            began_unix_s: 7,
            n: 2,
            chunk_len: 65536,
            padding: 0,
            follows: None,
            sent: vec![sent(0), sent(1)],
            mode: 0,
        }
    }

    fn sent(index: u8) -> Sent {
        Sent {
            index,
            backend: BackendUid([index; 16]),
        }
    }

    fn finished(segment: u8) -> Finished {
        Finished {
            segment: segment.into(),
            attempt: 0,
            at_unix_s: 8,
            plaintext: SegmentMac([segment; 32]),
            roots: vec![ShareRoot([1; 32]), ShareRoot([2; 32])],
        }
    }

    /// An entry with two finished segments, and the file that says so.
    fn world() -> (tempfile::TempDir, Entry, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let intent = Intent {
            object_id: ObjectId([1; 32]),
            put_id: PutId([2; 32]),
            store_tag: StoreTag([3; 16]),
            k: 2,
            places: Vec::new(),
            deals: true,
            note: None,
            former: None,
        };
        let entry = Journal::new(folder.path()).begin(intent).unwrap();
        let mut checkpoint = entry.new_checkpoint(keys(7), plan());
        checkpoint.finish(finished(0)).unwrap();
        checkpoint.finish(finished(1)).unwrap();
        let path = checkpoint.path;
        (folder, entry, path)
    }

    fn reread(entry: &Entry) -> Option<(Plan, Vec<Finished>)> {
        let read = entry.checkpoint(Some(&keys(7))).unwrap();
        read.map(|checkpoint| (checkpoint.plan, checkpoint.finished))
    }

    #[test]
    fn what_is_finished_is_read_back_by_its_owner_only() {
        let (_folder, entry, _) = world();
        let all = vec![finished(0), finished(1)];
        assert_eq!(reread(&entry), Some((plan(), all)));
        assert!(entry.checkpoint(Some(&keys(8))).unwrap().is_none());
        assert_eq!(entry.checkpoint(None).unwrap_err().code(), "KEY_MISSING");
        entry.forget_checkpoint().unwrap();
        assert!(entry.checkpoint(None).unwrap().is_none());
    }

    #[test]
    fn every_damage_leaves_a_true_beginning() {
        let (_folder, entry, path) = world();
        let whole = fs::read(&path).unwrap();
        let expect_beginning = |what: String| match reread(&entry) {
            None => {}
            Some((read, segments)) => {
                assert_eq!(read, plan(), "{what}");
                assert_eq!(segments, [finished(0)], "{what}");
            }
        };
        for at in 0..whole.len() {
            fs::write(&path, &whole[..at]).unwrap();
            expect_beginning(format!("cut at {at}"));
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            expect_beginning(format!("changed at {at}"));
        }
    }

    #[test]
    fn another_run_has_another_attempt_and_goes_on_at_the_end() {
        let (_folder, entry, path) = world();
        let mut torn = fs::read(&path).unwrap();
        torn.extend([0; 9]);
        fs::write(&path, torn).unwrap();
        let mut checkpoint = entry.checkpoint(Some(&keys(7))).unwrap().unwrap();
        checkpoint.begin_run(vec![sent(0)]).unwrap();
        checkpoint.finish(finished(2)).unwrap();
        checkpoint.send(vec![sent(0), sent(1)]).unwrap();
        checkpoint.finish(finished(3)).unwrap();
        let (read, segments) = reread(&entry).unwrap();
        assert_eq!((read.attempt, read.sent), (1, plan().sent));
        assert_eq!(segments, [0, 1, 2, 3].map(finished));
    }
}
