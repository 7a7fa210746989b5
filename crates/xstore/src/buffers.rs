//! Buffers that are used again, so that a stream of any length takes the memory of a few segments.
//!
//! Megabytes that are allocated, touched and freed for every chunk cost more in page faults than
//! the XOR itself, and fragment the heap.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Free buffers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    /// A buffer of `len` bytes whose content is whatever was in it last, or zeros.
    pub(crate) fn take(&self, len: usize) -> Vec<u8> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = free.unwrap_or_default();
        buffer.resize(len, 0);
        buffer
    }

    /// Keeps a buffer for the next [`Pool::take`].
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(buffer);
    }
}

/// Free buffers of secrets: every one of them is wiped.
#[derive(Debug, Clone, Default)]
pub(crate) struct SecretPool(Pool);

impl SecretPool {
    /// A buffer of `len` zeros.
    pub(crate) fn take(&self, len: usize) -> SecretBuffer {
        SecretBuffer {
            bytes: self.0.take(len),
            pool: self.clone(),
        }
    }
}

/// Bytes of a secret; wiped and given back to their pool on drop.
pub(crate) struct SecretBuffer {
    bytes: Vec<u8>,
    pool: SecretPool,
}

impl SecretBuffer {
    /// Where it goes back to.
    pub(crate) const fn pool(&self) -> &SecretPool {
        &self.pool
    }

    /// Makes the buffer shorter.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes[len..].fill(0);
        self.bytes.truncate(len);
    }
}

impl Deref for SecretBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for SecretBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for SecretBuffer {
    fn drop(&mut self) {
        // The pool outlives this write and hands the same memory out again as zeros, so it is no
        // dead store that a compiler could leave out.
        self.bytes.fill(0);
        self.pool.0.give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_back_as_zeros_in_the_same_memory() {
        let pool = SecretPool::default();
        let mut secret = pool.take(1000);
        secret.fill(7);
        secret.truncate(900);
        let place = secret.as_ptr();
        drop(secret);
        let again = pool.take(1000);
        assert_eq!(again.as_ptr(), place);
        assert!(again.iter().all(|byte| *byte == 0));
    }
}
