//! The one door to the operating system's random generator.
//!
//! No other module of the workspace may call it (a lint holds that), so a counter in front of this
//! door counts every random byte the program draws: with bad consent it must stay at zero.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use crate::ids::PutId;
use crate::planted::{self, Bug};

/// The random source failed; nothing was dealt from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random source failed")]
pub struct EntropyFailed;

/// A source of seeds. Bulk randomness is expanded from them by ChaCha20.
///
/// Secrecy is perfect only with uniform, never reused bytes; through a 32-byte seed and ChaCha20 it
/// is that of a 256-bit generator.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `out` with uniform random bytes.
    ///
    /// # Errors
    /// When the source cannot deliver; there is no fallback.
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed>;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the one door")]
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        getrandom::fill(out).map_err(|_| EntropyFailed)
    }
}

/// Counts the bytes drawn from another source.
#[derive(Debug, Default)]
pub struct CountingEntropy<E> {
    inner: E,
    drawn: AtomicU64,
}

impl<E: Entropy> CountingEntropy<E> {
    /// Counts what is drawn from `inner`.
    #[must_use]
    pub const fn new(inner: E) -> Self {
        Self {
            inner,
            drawn: AtomicU64::new(0),
        }
    }

    /// Bytes asked for so far, failed calls included.
    pub fn drawn_bytes(&self) -> u64 {
        self.drawn.load(Ordering::Relaxed)
    }
}

impl<E: Entropy> Entropy for CountingEntropy<E> {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        self.drawn.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.inner.fill(out)
    }
}

impl<E: Entropy + ?Sized> Entropy for std::sync::Arc<E> {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        (**self).fill(out)
    }
}

/// `N` uniform bytes.
///
/// # Errors
/// When the source fails.
pub fn draw<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], EntropyFailed> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}

/// A uniform wait from 0 to `bound`, so that clients which failed together do not come back together.
///
/// Nothing secret depends on it: without randomness it is the bound itself.
pub(crate) fn jitter(entropy: &dyn Entropy, bound: Duration) -> Duration {
    let part = draw(entropy).map_or(u32::MAX, u32::from_be_bytes);
    bound.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

/// Randomness of one segment: a fresh seed from the source, one ChaCha20 stream for each chunk.
///
/// Seeding anew for every segment bounds what a cloned machine could repeat to nothing that was
/// already sent; separate streams let the chunks of a segment be dealt in parallel.
#[derive(Clone)]
pub struct SegmentRandomness(Zeroizing<[u8; 32]>);

impl SegmentRandomness {
    /// Draws the seed.
    ///
    /// # Errors
    /// When the source fails.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut())?;
        if planted::is(Bug::ReplayRandomness) {
            seed.fill(0);
        }
        Ok(Self(seed))
    }

    /// For a deliberate bug: what each attempt at a segment of a dealing would be dealt from.
    pub(crate) fn replayed(put_id: PutId, segment: u64) -> Self {
        let mut seed = Zeroizing::new(put_id.0);
        seed[..8].copy_from_slice(&segment.to_be_bytes());
        Self(seed)
    }

    /// The stream of one chunk; `chunk` must not be used twice with one seed.
    #[must_use]
    pub fn chunk(&self, chunk: u64) -> ChaCha20Rng {
        let mut rng = ChaCha20Rng::from_seed(*self.0);
        rng.set_stream(chunk);
        rng
    }
}

impl fmt::Debug for SegmentRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SegmentRandomness(..)")
    }
}

#[cfg(test)]
mod tests {
    use rand_core::Rng as _;

    use super::*;

    #[test]
    fn every_byte_is_counted() {
        let entropy = CountingEntropy::new(OsEntropy);
        assert_eq!(entropy.drawn_bytes(), 0);
        let _: [u8; 32] = draw(&entropy).unwrap();
        SegmentRandomness::draw(&entropy).unwrap();
        assert_eq!(entropy.drawn_bytes(), 64);
    }

    #[test]
    fn streams_of_one_segment_differ() {
        let randomness = SegmentRandomness::draw(&OsEntropy).unwrap();
        let (mut a, mut b) = ([0; 64], [0; 64]);
        randomness.chunk(0).fill_bytes(&mut a);
        randomness.chunk(1).fill_bytes(&mut b);
        assert_ne!(a, b);
    }
}
