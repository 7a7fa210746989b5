//! What readers of a faulty backend get to see: the past, and damaged bytes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use super::Fault;
use crate::backend::{ListPage, ObjectKey};

/// Objects as they were when the plan was set, as far as they changed since.
#[derive(Debug, Default)]
pub(super) struct Past(Mutex<Changed>);

#[derive(Debug, Default)]
struct Changed {
    /// To which setting of the plan this belongs.
    times_set: u64,
    before: BTreeMap<ObjectKey, Option<Bytes>>,
}

impl Past {
    /// Notes what was under `key` before its first change.
    pub(super) fn remember(&self, times_set: u64, key: &ObjectKey, before: Option<Bytes>) {
        let mut changed = self.changed(Some(times_set));
        changed.before.entry(key.clone()).or_insert(before);
    }

    /// What was under `key`, if that is not what is there now.
    pub(super) fn of(&self, times_set: Option<u64>, key: &ObjectKey) -> Option<Option<Bytes>> {
        self.changed(times_set).before.get(key).cloned()
    }

    /// Turns a page of a listing into that of the past.
    pub(super) fn show(
        &self,
        times_set: Option<u64>,
        page: &mut ListPage,
        prefix: &str,
        cursor: Option<&str>,
    ) {
        let changed = self.changed(times_set);
        let on_page = |key: &ObjectKey| {
            let key = key.as_str();
            let end = page.next.as_deref();
            key.starts_with(prefix)
                && cursor.is_none_or(|cursor| key > cursor)
                && end.is_none_or(|end| key <= end)
        };
        let gone = changed.before.iter().filter(|(_, bytes)| bytes.is_some());
        let gone = gone.map(|(key, _)| key.clone()).filter(on_page);
        let gone: Vec<ObjectKey> = gone.collect();
        page.keys
            .retain(|key| !matches!(changed.before.get(key), Some(None)));
        page.keys.extend(gone);
        page.keys.sort();
        page.keys.dedup();
    }

    /// What changed since the plan was set for the last time.
    fn changed(&self, times_set: Option<u64>) -> MutexGuard<'_, Changed> {
        let mut changed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times_set) = times_set
            && changed.times_set != times_set
        {
            *changed = Changed {
                times_set,
                before: BTreeMap::new(),
            };
        }
        changed
    }
}

/// The object as a reader gets to see it.
pub(super) fn damage(bytes: Bytes, faults: &[Fault]) -> Bytes {
    let mut seen = BytesMut::from(bytes);
    for fault in faults {
        match fault {
            Fault::FlipBit {
                offset_bytes, bit, ..
            } => {
                let byte = usize::try_from(*offset_bytes)
                    .ok()
                    .and_then(|offset| seen.get_mut(offset));
                if let Some(byte) = byte {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Fault::Truncate { len_bytes, .. } => {
                seen.truncate(usize::try_from(*len_bytes).unwrap_or(usize::MAX));
            }
            Fault::Extend { by_bytes, .. } => {
                let by_bytes = usize::try_from(*by_bytes).unwrap_or(0);
                seen.resize(seen.len().saturating_add(by_bytes), 0);
            }
            _ => {}
        }
    }
    seen.freeze()
}
