//! Padding of a secret to a whole number of pieces: PKCS#7 (RFC 5652, section 6.3) with the
//! block p - 1, so always 1 to p - 1 bytes, each equal to their count. n-of-n takes none.

use crate::access::{AccessStructure, Scheme};
use crate::error::{Buffer, Error};
use subtle::{Choice, ConstantTimeEq, ConstantTimeGreater};

/// Writes the padding after the first `secret_len` bytes of `buffer`.
///
/// # Errors
/// [`Error::BufferLength`] unless `buffer` has exactly
/// [`padded_len`](AccessStructure::padded_len) of `secret_len` bytes.
pub fn pad(access: AccessStructure, buffer: &mut [u8], secret_len: usize) -> Result<(), Error> {
    Buffer::Secret.expect_exactly(access.padded_len(secret_len), buffer.len())?;
    let (_, tail) = buffer.split_at_mut(secret_len);
    // The tail is at most one block, so at most 250 bytes.
    if let Ok(count) = u8::try_from(tail.len()) {
        tail.fill(count);
    }
    Ok(())
}

/// The secret without its padding.
///
/// # Errors
/// [`Error::Padding`] if `padded` is not a padded secret.
///
/// # Security
/// All of the last block is looked at in constant time; only the verdict and the length of the
/// secret come out. Call it after authentication only, so that the verdict tells nobody
/// anything about a secret they do not hold.
pub fn unpad(access: AccessStructure, padded: &[u8]) -> Result<&[u8], Error> {
    if access.scheme() == Scheme::NOfN {
        return Ok(padded);
    }
    let block = access.pieces();
    let Some(&count) = padded.last() else {
        return Err(Error::Padding);
    };
    if !padded.len().is_multiple_of(block) {
        return Err(Error::Padding);
    }
    let mut valid = !count.ct_eq(&0);
    for (distance, byte) in (1..=u8::MAX).zip(padded.iter().rev()).take(block) {
        // Bytes within `count` of the end must equal it; the others may be anything.
        let outside = distance.ct_gt(&count);
        valid &= outside | byte.ct_eq(&count);
    }
    valid &= !exceeds(count, block);
    if bool::from(valid) {
        Ok(&padded[..padded.len() - usize::from(count)])
    } else {
        Err(Error::Padding)
    }
}

/// Whether `count` is larger than a block.
fn exceeds(count: u8, block: usize) -> Choice {
    u64::from(count).ct_gt(&(block as u64))
}
