//! Deals a padded secret into shares.
//!
//! Work goes tile by tile along the pieces: a tile of all random pieces is drawn, used for
//! every share while it is in the fast caches, and overwritten by the next.

use crate::access::{AccessStructure, Scheme};
use crate::error::{Buffer, Error};
use crate::kernel::{Cut, tile_len, xor_into};
use crate::scheme::Equations;
use rand_core::TryCryptoRng;
use zeroize::Zeroize;

/// Length in bytes of the scratch that [`deal`] needs: none for n-of-n, else at most 64 KiB up
/// to thresholds of a few dozen, and about 1 MiB in the extreme case of 250 of 251.
#[must_use]
pub fn deal_scratch_len(access: AccessStructure) -> usize {
    match access.scheme() {
        Scheme::Xorida => {
            let random_pieces = Equations::of(access).random_pieces();
            random_pieces * tile_len(random_pieces)
        }
        Scheme::NOfN => 0,
    }
}

/// Deals `padded` into `shares`; slice i of `shares` becomes share i.
///
/// `padded` is the secret after [`pad`](crate::padding::pad); each share is as long as it.
/// Exactly k - 1 times its length is drawn from `rng`.
///
/// # Errors
/// [`Error::BufferLength`] unless `padded` is a multiple of
/// [`pieces`](AccessStructure::pieces) long, there are exactly n shares of that length, and
/// `scratch` has at least [`deal_scratch_len`] bytes. [`Error::Random`] if `rng` fails; all
/// shares are zeros then.
///
/// # Security
/// k - 1 shares are statistically independent of the secret if `rng` is uniform and never
/// repeats itself; with a generator expanded from a 256-bit seed, secrecy is that of the
/// generator. Time and addresses depend on lengths only. The used scratch is wiped.
pub fn deal<R: TryCryptoRng + ?Sized>(
    access: AccessStructure,
    padded: &[u8],
    rng: &mut R,
    scratch: &mut [u8],
    shares: &mut [&mut [u8]],
) -> Result<(), Error> {
    Buffer::Secret.expect_multiple(access.pieces(), padded.len())?;
    Buffer::Shares.expect_exactly(usize::from(access.share_count()), shares.len())?;
    for share in shares.iter() {
        Buffer::Share.expect_exactly(padded.len(), share.len())?;
    }
    let scratch_len = deal_scratch_len(access);
    Buffer::Scratch.expect_at_least(scratch_len, scratch.len())?;

    let scratch = &mut scratch[..scratch_len];
    let dealt = match access.scheme() {
        Scheme::Xorida => deal_xorida(Equations::of(access), padded, rng, scratch, shares),
        Scheme::NOfN => deal_n_of_n(padded, rng, shares),
    };
    scratch.zeroize();
    if dealt.is_err() {
        shares.iter_mut().for_each(|share| share.zeroize());
    }
    dealt
}

fn deal_xorida<R: TryCryptoRng + ?Sized>(
    equations: Equations,
    padded: &[u8],
    rng: &mut R,
    scratch: &mut [u8],
    shares: &mut [&mut [u8]],
) -> Result<(), Error> {
    let piece_len = padded.len() / equations.pieces();
    let random_pieces = equations.random_pieces();
    for cut in Cut::tiles(piece_len, scratch.len() / random_pieces) {
        let random = &mut scratch[..random_pieces * cut.len()];
        rng.try_fill_bytes(random).map_err(|_| Error::Random)?;
        equations.deal_tile(padded, cut, random, shares);
    }
    Ok(())
}

/// Shares 0 to n - 2 are random, and the last is the XOR of them and the secret.
fn deal_n_of_n<R: TryCryptoRng + ?Sized>(
    secret: &[u8],
    rng: &mut R,
    shares: &mut [&mut [u8]],
) -> Result<(), Error> {
    let Some((last, random)) = shares.split_last_mut() else {
        return Ok(());
    };
    last.copy_from_slice(secret);
    for cut in Cut::tiles(secret.len(), tile_len(1)) {
        for share in random.iter_mut() {
            let tile = &mut share[cut.range(0)];
            rng.try_fill_bytes(tile).map_err(|_| Error::Random)?;
            xor_into(&mut last[cut.range(0)], tile);
        }
    }
    Ok(())
}
