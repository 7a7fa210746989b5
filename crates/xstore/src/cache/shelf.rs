//! `Shelf`: sealed answers up to a bound; what was not asked for longest goes first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Question;
use super::seal::Sealed;
use crate::backend::ObjectKey;

/// Counted for each answer beside its bytes, so that many small ones are bounded too.
const OVERHEAD_BYTES: usize = 512;

pub(super) struct Shelf {
    capacity_bytes: usize,
    len_bytes: usize,
    /// Deletions and purges so far: an answer that was asked for before one is not put in after it.
    epoch: u64,
    answers: BTreeMap<Question, Held>,
    /// Questions by when they were last asked.
    order: BTreeMap<u64, Question>,
    clock: u64,
}

struct Held {
    sealed: Arc<Sealed>,
    asked: u64,
}

impl Shelf {
    pub(super) fn new(capacity_bytes: usize) -> Self {
        Self {
            capacity_bytes,
            len_bytes: 0,
            epoch: 0,
            answers: BTreeMap::new(),
            order: BTreeMap::new(),
            clock: 0,
        }
    }

    pub(super) const fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether an answer of `len_bytes` would be kept at all.
    pub(super) const fn has_room_for(&self, len_bytes: usize) -> bool {
        let cost = len_bytes.saturating_add(Sealed::TAG_LEN + OVERHEAD_BYTES);
        cost <= self.capacity_bytes
    }

    /// An answer, which counts as just asked for.
    pub(super) fn take_down(&mut self, question: &Question) -> Option<Arc<Sealed>> {
        let held = self.answers.get_mut(question)?;
        self.clock += 1;
        self.order.remove(&held.asked);
        held.asked = self.clock;
        self.order.insert(self.clock, question.clone());
        Some(Arc::clone(&held.sealed))
    }

    /// Puts an answer in that was asked for at `epoch`, and makes room for it.
    pub(super) fn put(&mut self, question: Question, sealed: Sealed, epoch: u64) {
        if epoch != self.epoch {
            return;
        }
        self.remove(&question);
        let cost = sealed.len_bytes() + OVERHEAD_BYTES;
        while self.len_bytes + cost > self.capacity_bytes {
            let Some((_, oldest)) = self.order.pop_first() else {
                return;
            };
            self.remove(&oldest);
        }
        self.clock += 1;
        self.len_bytes += cost;
        self.order.insert(self.clock, question.clone());
        let held = Held {
            sealed: Arc::new(sealed),
            asked: self.clock,
        };
        self.answers.insert(question, held);
    }

    /// Every range of one object at one backend.
    pub(super) fn forget(&mut self, position: usize, key: &ObjectKey) {
        self.epoch += 1;
        let every = (position, key.clone(), 0, 0)..=(position, key.clone(), u64::MAX, u64::MAX);
        let gone: Vec<_> = self.answers.range(every).map(|(q, _)| q.clone()).collect();
        for question in gone {
            self.remove(&question);
        }
    }

    pub(super) fn purge(&mut self) {
        self.epoch += 1;
        self.answers.clear();
        self.order.clear();
        self.len_bytes = 0;
    }

    fn remove(&mut self, question: &Question) {
        if let Some(held) = self.answers.remove(question) {
            self.order.remove(&held.asked);
            self.len_bytes -= held.sealed.len_bytes() + OVERHEAD_BYTES;
        }
    }
}
