//! Buffers that are read into again and again.
//!
//! A stream reads one segment after the other, megabytes each. Allocated and freed every time on
//! whichever thread reads, they pile up in the allocator, and a get of any length takes more memory
//! the longer it runs.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Shorter reads are left to the allocator.
const LEAST_LEN: usize = 1 << 20;

/// Free buffers that are kept: those of the segments that one reader has under way.
const KEPT: usize = 3;

/// The free buffers of one backend.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// Bytes that go back to where they came from.
struct Lent {
    bytes: Vec<u8>,
    buffers: Buffers,
}

impl Buffers {
    /// An empty buffer, with room already if one that long was used before.
    pub(super) fn take(&self, len_bytes: usize) -> Vec<u8> {
        if len_bytes < LEAST_LEN {
            return Vec::new();
        }
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    /// Hands out what was read; its buffer comes back when the last part of it is dropped.
    pub(super) fn lend(&self, bytes: Vec<u8>) -> Bytes {
        if bytes.capacity() < LEAST_LEN {
            return bytes.into();
        }
        Bytes::from_owner(Lent {
            bytes,
            buffers: self.clone(),
        })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut free = self
            .buffers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_read_uses_the_memory_of_the_one_before() {
        let buffers = Buffers::default();
        let mut first = buffers.take(2 << 20);
        first.resize(2 << 20, 7);
        let place = first.as_ptr();
        let part = buffers.lend(first).slice(5..9);
        assert_eq!(part, [7; 4].as_slice());
        assert!(buffers.take(2 << 20).is_empty(), "it is still in use");
        drop(part);
        let again = buffers.take(2 << 20);
        assert!(again.is_empty() && again.capacity() >= 2 << 20);
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn short_reads_and_too_many_buffers_are_not_kept() {
        let buffers = Buffers::default();
        drop(buffers.lend(vec![1; 100]));
        let long: Vec<Bytes> = (0..KEPT + 2)
            .map(|_| buffers.lend(vec![1; LEAST_LEN]))
            .collect();
        drop(long);
        assert_eq!(buffers.0.lock().unwrap().len(), KEPT);
    }
}
