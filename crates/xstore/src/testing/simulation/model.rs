//! What a run may see: which payload, if any, each object may have now.
//!
//! An acknowledged operation decides its object. One that was not acknowledged stays open: its
//! object may have either state until the recovery of its client has ended it, one way or the other.

use std::collections::BTreeSet;

use crate::ids::ObjectId;
use crate::manifest::{Manifest, STATE_DELETED};
use crate::store::Happy;
use crate::testing::simulation::operation::GRACE_S;

/// Number of a put or delete of the run; a put carries it in its manifest's extension.
pub(super) type Attempt = usize;

/// Number of an object of the run.
pub(super) type Object = usize;

/// A put or delete, and what it wanted.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) client: usize,
    pub(super) object: Object,
    pub(super) want: Want,
    /// The attempt whose payload it puts: its own, or that of the one it goes on with.
    pub(super) source: Attempt,
    /// The version under which some client saw it.
    seen: Option<u64>,
    /// A collector was at work, which may have taken its shares for abandoned.
    swept: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Put {
        len: usize,
        ttl_s: Option<u64>,
        happy: Happy,
    },
    Delete,
    Renew {
        ttl_s: Option<u64>,
    },
}

/// What is known of one object.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// `None` for an object that only its manifest names.
    pub(super) name: Option<String>,
    pub(super) id: Option<ObjectId>,
    /// The newest acknowledged manifest; `None` before the first.
    pub(super) decided: Option<Manifest>,
    /// Operations that may have happened and may yet happen.
    open: BTreeSet<Attempt>,
    /// Its shares were replaced by nonsense, so it is not read again.
    pub(super) ruined: bool,
    /// The owner began to choose between manifests of one version, and any of them may count until
    /// there is a later one: the version.
    torn: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) objects: Vec<Known>,
    pub(super) wishes: Vec<Wish>,
    /// Objects of each client whose last operation left something in its journal.
    unfinished: BTreeSet<(usize, Object)>,
    /// Whether any collector was at work.
    pub(super) swept: bool,
}

/// The attempt that a live manifest belongs to.
pub(super) fn attempt_of(manifest: &Manifest) -> Option<Attempt> {
    let bytes = manifest.body().extension.as_ref()?.0.as_slice();
    let number = u64::from_be_bytes(bytes.try_into().ok()?);
    usize::try_from(number).ok()
}

impl Model {
    pub(super) fn add_object(&mut self, name: Option<String>) -> Object {
        self.objects.push(Known {
            name,
            ..Known::default()
        });
        self.objects.len() - 1
    }

    /// An operation begins: from now on its object may have either state.
    pub(super) fn begin(&mut self, client: usize, object: Object, want: Want) -> Attempt {
        let attempt = self.wishes.len();
        self.wishes.push(Wish {
            client,
            object,
            want,
            source: attempt,
            seen: None,
            swept: false,
        });
        self.objects[object].open.insert(attempt);
        attempt
    }

    /// A put begins that goes on with one that stopped.
    pub(super) fn begin_again(&mut self, stopped: Attempt) -> Attempt {
        let Wish {
            client,
            object,
            want,
            source,
            ..
        } = self.wishes[stopped];
        let attempt = self.begin(client, object, want);
        self.wishes[attempt].source = source;
        attempt
    }

    /// The operation ended before it did anything.
    pub(super) fn void(&mut self, attempt: Attempt) {
        let object = self.wishes[attempt].object;
        self.objects[object].open.remove(&attempt);
    }

    /// The operation was acknowledged, by its own client or by the recovery of it.
    ///
    /// # Errors
    /// When another operation was acknowledged with the same version.
    pub(super) fn acknowledge(
        &mut self,
        attempt: Attempt,
        manifest: &Manifest,
    ) -> Result<(), String> {
        let known = &mut self.objects[self.wishes[attempt].object];
        known.open.remove(&attempt);
        Self::decide(known, manifest)
    }

    /// The owner chose which of several manifests counts.
    ///
    /// # Errors
    /// As [`Model::acknowledge`].
    pub(super) fn choose(&mut self, object: Object, manifest: &Manifest) -> Result<(), String> {
        Self::decide(&mut self.objects[object], manifest)
    }

    fn decide(known: &mut Known, manifest: &Manifest) -> Result<(), String> {
        known.id = Some(manifest.body().object_id);
        let version = manifest.body().version;
        match known.decided.as_ref() {
            Some(decided) if decided.body().version > version => {}
            Some(decided)
                if decided.body().version == version
                    && decided.hash() != manifest.hash()
                    && known.torn != Some(version) =>
            {
                return Err(format!("two operations have version {version}"));
            }
            _ => {
                known.torn = known.torn.filter(|torn| version <= *torn);
                known.decided = Some(manifest.clone());
            }
        }
        Ok(())
    }

    /// The owner began to choose, and did not come to the end.
    pub(super) fn tear(&mut self, object: Object, version: u64) {
        self.objects[object].torn = Some(version);
    }

    /// Whether one of several manifests may count, and the model does not know which.
    pub(super) fn is_torn(&self, object: Object) -> bool {
        self.objects[object].torn.is_some()
    }

    /// The journal of `client` may have something of `object` from now on.
    pub(super) fn leave(&mut self, client: usize, object: Object) {
        self.unfinished.insert((client, object));
    }

    /// Whether `client` may have something of `object` in its journal.
    pub(super) fn is_unfinished(&self, client: usize, object: Object) -> bool {
        self.unfinished.contains(&(client, object))
    }

    /// Whether nothing is open, and no client has something of `object` in its journal.
    pub(super) fn is_settled(&self, object: Object) -> bool {
        self.is_decided(object) && !self.is_left(object)
    }

    /// Whether any client may have something of `object` in its journal.
    pub(super) fn is_left(&self, object: Object) -> bool {
        self.unfinished.iter().any(|(_, of)| *of == object)
    }

    /// The recovery of `client` left nothing behind: what it did not finish never happened.
    /// Attempts that somebody had seen all the same, with the version seen; one whose shares a
    /// collector may have taken for abandoned is taken back even then.
    pub(super) fn recovered(&mut self, client: usize) -> Vec<(Attempt, u64)> {
        self.unfinished.retain(|(of, _)| *of != client);
        let wishes = &self.wishes;
        let mut undone = Vec::new();
        for known in &mut self.objects {
            let ended = |attempt: &Attempt| wishes[*attempt].client == client;
            undone.extend(known.open.iter().copied().filter(ended));
            known.open.retain(|attempt| !ended(attempt));
        }
        undone.retain(|attempt| !wishes[*attempt].swept);
        undone.retain(|attempt| self.objects[wishes[*attempt].object].torn.is_none());
        let seen = |attempt: Attempt| Some((attempt, wishes[attempt].seen?));
        undone.into_iter().filter_map(seen).collect()
    }

    /// The open attempt that a manifest from the journal of `client` is of.
    pub(super) fn attempt_of(&self, client: usize, manifest: &Manifest) -> Option<Attempt> {
        if manifest.body().state != STATE_DELETED {
            return attempt_of(manifest).filter(|attempt| *attempt < self.wishes.len());
        }
        let of = |known: &&Known| known.id == Some(manifest.body().object_id);
        let known = self.objects.iter().find(of)?;
        // An earlier deletion, of which only removals were left, is none of those that are open.
        let decided = known.decided.as_ref().map(|decided| decided.body().version);
        if decided >= Some(manifest.body().version) {
            return None;
        }
        let deletes = |attempt: &&Attempt| {
            let wish = &self.wishes[**attempt];
            (wish.client, wish.want) == (client, Want::Delete)
        };
        known.open.iter().find(deletes).copied()
    }

    /// A client was shown the manifest of `attempt`.
    pub(super) fn see(&mut self, attempt: Attempt, version: u64) {
        self.wishes[attempt].seen = Some(version);
    }

    /// Whether `object` may be seen with the payload of `attempt`.
    pub(super) fn may_be(&self, object: Object, attempt: Attempt) -> bool {
        self.is_torn(object)
            || self.decided_attempt(object) == Some(attempt)
            || self.objects[object].open.contains(&attempt)
    }

    /// Whether `object` may be seen as one that is not there.
    pub(super) fn may_be_gone(&self, object: Object, now_unix_s: u64) -> bool {
        let deletes = |attempt: &Attempt| self.wishes[*attempt].want == Want::Delete;
        self.is_torn(object)
            || self.decided_attempt(object).is_none()
            || self.objects[object].open.iter().any(deletes)
            || self.may_have_expired(object, now_unix_s)
    }

    /// Whether a collector may have deleted `object`, because its time was over long ago.
    pub(super) fn may_have_expired(&self, object: Object, now_unix_s: u64) -> bool {
        let known = &self.objects[object];
        let decided = known.decided.as_ref();
        let expires = decided.and_then(|decided| decided.body().expires_unix_s);
        let ends = |attempt: &Attempt| {
            matches!(
                self.wishes[*attempt].want,
                Want::Put { ttl_s: Some(_), .. } | Want::Renew { ttl_s: Some(_) }
            )
        };
        expires.is_some_and(|expires| expires + GRACE_S <= now_unix_s)
            || known.open.iter().any(ends)
    }

    /// A collector was at work: it may have taken what is open for abandoned, and what has expired
    /// may be in its journal.
    pub(super) fn sweep(&mut self, client: usize, now_unix_s: u64) {
        for object in 0..self.objects.len() {
            for attempt in &self.objects[object].open {
                self.wishes[*attempt].swept = true;
            }
            if self.may_have_expired(object, now_unix_s) {
                self.leave(client, object);
            }
        }
        self.swept = true;
    }

    /// Whether nothing is open.
    pub(super) fn is_decided(&self, object: Object) -> bool {
        let known = &self.objects[object];
        known.open.is_empty() && known.torn.is_none()
    }

    /// The put whose payload was acknowledged last; `None` when the object is not there.
    pub(super) fn decided_attempt(&self, object: Object) -> Option<Attempt> {
        attempt_of(self.objects[object].decided.as_ref()?)
    }
}
