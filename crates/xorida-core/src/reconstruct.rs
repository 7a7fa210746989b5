//! From a qualified set of verified shares back to the secret, or to a share that was lost.
//!
//! A [`Recovery`] is planned once for a set of share indices and then run for every chunk that
//! was dealt alike. Two decoders solve the same equations: a matrix over GF(2), best while it
//! is small, and a chain of divisions in the ring of the scheme, best when k is far below p.
//! They agree on every input, and the cheaper one is taken.
//!
//! No new randomness is involved, so a share that is recomputed equals the lost one bit for
//! bit, whichever k shares it is computed from.

use crate::access::{AccessStructure, Scheme};
use crate::error::{Buffer, Error};
use crate::kernel::{Sources, Tile, tile_len, tiles, xor_sources};
use crate::scheme::Equations;
use crate::share::ShareIndex;
use core::fmt;
use zeroize::Zeroize;

mod matrix;
mod ring;

use matrix::Matrix;
use ring::Ring;

/// A share whose authenticity somebody vouches for; the only kind that is ever combined.
///
/// Checking a tag makes one (`integrity::verify`). XOR sharing is malleable: a flipped bit of
/// an unchecked share is a flipped bit of the secret.
#[derive(Clone, Copy)]
pub struct VerifiedShare<'a> {
    index: ShareIndex,
    bytes: &'a [u8],
}

impl<'a> VerifiedShare<'a> {
    /// For callers who authenticate shares by other means than the tags of this crate.
    ///
    /// # Security
    /// Whoever calls this answers for the bytes. Search for the name to find every such place.
    #[must_use]
    pub const fn assume_authentic(index: ShareIndex, bytes: &'a [u8]) -> Self {
        Self { index, bytes }
    }

    /// Which share this is.
    #[must_use]
    pub const fn index(&self) -> ShareIndex {
        self.index
    }

    /// The bytes of the share.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Debug for VerifiedShare<'_> {
    /// Prints index and length, never the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedShare")
            .field("index", &self.index.get())
            .field("len_bytes", &self.bytes.len())
            .finish()
    }
}

/// What is computed from the shares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The padded secret.
    Secret,
    /// The share with this index, bit for bit as it was dealt.
    Share(ShareIndex),
}

/// How it is computed. Every decoder gives the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Decoder {
    /// XOR of all shares, for n-of-n.
    NOfN,
    /// A recovery matrix over GF(2), for k (p - 1) <= 256.
    Matrix,
    /// Divided differences in the ring GF(2)\[x\]/(x^p - 1), for every access structure.
    Ring,
}

/// The plan to compute one target from one set of shares; at most about 9 KiB.
#[derive(Clone)]
pub struct Recovery {
    access: AccessStructure,
    indices: Indices,
    plan: Plan,
}

#[derive(Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "nothing is allocated, so nothing can be boxed"
)]
enum Plan {
    NOfN,
    Matrix(Matrix),
    Ring(Ring),
}

/// k distinct share indices in the order given.
#[derive(Clone, Copy)]
struct Indices {
    indices: [u8; AccessStructure::MAX_SHARES as usize],
    count: usize,
}

impl Indices {
    fn try_new(access: AccessStructure, given: &[ShareIndex]) -> Result<Self, Error> {
        let threshold = access.threshold();
        if given.len() < usize::from(threshold) {
            return Err(Error::TooFewShares {
                threshold,
                available: given.len(),
            });
        }
        if given.len() > usize::from(threshold) {
            return Err(Error::TooManyShares {
                threshold,
                available: given.len(),
            });
        }
        let mut indices = [0; AccessStructure::MAX_SHARES as usize];
        for (at, index) in given.iter().enumerate() {
            let index = ShareIndex::try_new(index.get(), access)?.get();
            if indices[..at].contains(&index) {
                return Err(Error::DuplicateIndex { index });
            }
            indices[at] = index;
        }
        Ok(Self {
            indices,
            count: given.len(),
        })
    }

    fn as_slice(&self) -> &[u8] {
        &self.indices[..self.count]
    }
}

impl Recovery {
    /// Plans with the cheaper decoder. `indices` are exactly k, in any order.
    ///
    /// # Errors
    /// [`Error::TooFewShares`], [`Error::TooManyShares`], [`Error::DuplicateIndex`] or
    /// [`Error::ShareIndex`] unless `indices` are k distinct ones; [`Error::NoRedundancy`] for
    /// a lost share of an n-of-n dealing.
    pub fn try_new(
        access: AccessStructure,
        indices: &[ShareIndex],
        target: Target,
    ) -> Result<Self, Error> {
        Self::with_decoder(access, indices, target, cheapest(access))
    }

    /// Plans with the decoder given, so that decoders can be compared.
    ///
    /// # Errors
    /// As [`Recovery::try_new`], and [`Error::Decoder`] if `decoder` cannot serve `access`.
    pub fn with_decoder(
        access: AccessStructure,
        indices: &[ShareIndex],
        target: Target,
        decoder: Decoder,
    ) -> Result<Self, Error> {
        let indices = Indices::try_new(access, indices)?;
        if access.scheme() == Scheme::NOfN && target != Target::Secret {
            return Err(Error::NoRedundancy {
                share_count: access.share_count(),
            });
        }
        let equations = Equations::of(access);
        let plan = match (decoder, access.scheme()) {
            (Decoder::NOfN, Scheme::NOfN) => Plan::NOfN,
            (Decoder::Matrix, Scheme::Xorida) if Matrix::fits(equations) => {
                Plan::Matrix(Matrix::solve(equations, indices.as_slice(), target))
            }
            (Decoder::Ring, Scheme::Xorida) => Plan::Ring(Ring::new(equations, target)),
            _ => {
                let (threshold, pieces) = (usize::from(access.threshold()), access.pieces());
                return Err(Error::Decoder { threshold, pieces });
            }
        };
        Ok(Self {
            access,
            indices,
            plan,
        })
    }

    /// Which decoder was chosen.
    #[must_use]
    pub const fn decoder(&self) -> Decoder {
        match self.plan {
            Plan::NOfN => Decoder::NOfN,
            Plan::Matrix(_) => Decoder::Matrix,
            Plan::Ring(_) => Decoder::Ring,
        }
    }

    /// Length in bytes of the scratch that [`run`](Self::run) needs: none but for the ring
    /// decoder, there at most about 1 MiB.
    #[must_use]
    pub fn scratch_len(&self) -> usize {
        match &self.plan {
            Plan::NOfN | Plan::Matrix(_) => 0,
            Plan::Ring(ring) => ring.scratch_len(),
        }
    }

    /// Computes the target into `output`, which is as long as each share.
    ///
    /// # Errors
    /// [`Error::TooFewShares`] or [`Error::TooManyShares`] unless there are exactly k shares,
    /// [`Error::UnexpectedShare`] if one of them was not planned for, [`Error::DuplicateIndex`]
    /// if one is given twice, [`Error::ShareLength`] if shares differ in length or have one that
    /// no dealing gives, [`Error::BufferLength`] for a wrong output or a short scratch.
    ///
    /// # Security
    /// Time and addresses depend on lengths and indices only. The used scratch is wiped.
    pub fn run(
        &self,
        shares: &[VerifiedShare<'_>],
        scratch: &mut [u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let ordered = self.ordered(shares)?;
        let ordered = &ordered[..self.indices.count];
        let share_len = ordered[0].len();
        self.check_lengths(ordered, share_len)?;
        Buffer::Output.expect_exactly(share_len, output.len())?;
        Buffer::Scratch.expect_at_least(self.scratch_len(), scratch.len())?;
        match &self.plan {
            Plan::NOfN => xor_sources_of_any_count(ordered, output),
            Plan::Matrix(matrix) => matrix.run(self.access.pieces(), ordered, output),
            Plan::Ring(ring) => {
                let scratch = &mut scratch[..ring.scratch_len()];
                ring.run(self.indices.as_slice(), ordered, scratch, output);
                scratch.zeroize();
            }
        }
        Ok(())
    }

    /// The bytes of the shares in the order of the plan.
    fn ordered<'a>(
        &self,
        shares: &[VerifiedShare<'a>],
    ) -> Result<[&'a [u8]; AccessStructure::MAX_SHARES as usize], Error> {
        let threshold = self.access.threshold();
        if shares.len() < self.indices.count {
            return Err(Error::TooFewShares {
                threshold,
                available: shares.len(),
            });
        }
        if shares.len() > self.indices.count {
            return Err(Error::TooManyShares {
                threshold,
                available: shares.len(),
            });
        }
        let mut ordered: [Option<&[u8]>; AccessStructure::MAX_SHARES as usize] =
            [None; AccessStructure::MAX_SHARES as usize];
        for share in shares {
            let index = share.index.get();
            let at = self
                .indices
                .as_slice()
                .iter()
                .position(|planned| *planned == index);
            let at = at.ok_or(Error::UnexpectedShare { index })?;
            if ordered[at].replace(share.bytes).is_some() {
                return Err(Error::DuplicateIndex { index });
            }
        }
        Ok(ordered.map(Option::unwrap_or_default))
    }

    fn check_lengths(&self, shares: &[&[u8]], share_len: usize) -> Result<(), Error> {
        if let Some(other) = shares.iter().find(|share| share.len() != share_len) {
            return Err(Error::ShareLength {
                expected: share_len,
                actual: other.len(),
            });
        }
        let pieces = self.access.pieces();
        if !share_len.is_multiple_of(pieces) {
            return Err(Error::ShareLength {
                expected: pieces,
                actual: share_len,
            });
        }
        Ok(())
    }
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery")
            .field("access", &self.access)
            .field("indices", &self.indices.as_slice())
            .field("decoder", &self.decoder())
            .finish()
    }
}

/// The decoder with fewer XORs for each byte of the target.
fn cheapest(access: AccessStructure) -> Decoder {
    if access.scheme() == Scheme::NOfN {
        return Decoder::NOfN;
    }
    let equations = Equations::of(access);
    let (k, p) = (equations.threshold(), equations.prime());
    // Half of all input pieces on average, against parities, divisions and an evaluation, both
    // for the p - 1 pieces together.
    let matrix = k * (p - 1) * (p - 1) / 2;
    let ring = k * (p - 2) + k * (k - 1) / 2 * (4 * p - 3) + (k - 1) * p + (p - 1);
    if Matrix::fits(equations) && matrix <= ring {
        Decoder::Matrix
    } else {
        Decoder::Ring
    }
}

/// Solves the equations themselves, beyond the limits of [`AccessStructure`]: the counterpart of
/// [`Equations::deal_pieces`] for published known answers. `scratch` has at least
/// [`pieces_scratch_len`] bytes.
///
/// # Errors
/// [`Error::TooFewShares`] unless there are exactly k distinct `indices` below p, each with one
/// share; [`Error::ShareLength`] or [`Error::BufferLength`] for lengths that do not fit.
pub fn recover_pieces(
    equations: Equations,
    indices: &[u8],
    shares: &[&[u8]],
    scratch: &mut [u8],
    output: &mut [u8],
) -> Result<(), Error> {
    let threshold = equations.threshold();
    let distinct = indices.iter().enumerate().all(|(at, index)| {
        usize::from(*index) < equations.prime() && !indices[..at].contains(index)
    });
    if indices.len() != threshold || shares.len() != threshold || !distinct {
        // A threshold is at most 257, and one above 255 cannot be asked for.
        let threshold = u8::try_from(threshold).unwrap_or(u8::MAX);
        return Err(Error::TooFewShares {
            threshold,
            available: shares.len(),
        });
    }
    Buffer::Output.expect_multiple(equations.pieces(), output.len())?;
    if let Some(other) = shares.iter().find(|share| share.len() != output.len()) {
        return Err(Error::ShareLength {
            expected: output.len(),
            actual: other.len(),
        });
    }
    let ring = Ring::new(equations, Target::Secret);
    Buffer::Scratch.expect_at_least(ring.scratch_len(), scratch.len())?;
    let scratch = &mut scratch[..ring.scratch_len()];
    ring.run(indices, shares, scratch, output);
    scratch.zeroize();
    Ok(())
}

/// Length in bytes of the scratch that [`recover_pieces`] needs.
#[must_use]
pub const fn pieces_scratch_len(equations: Equations) -> usize {
    Ring::new(equations, Target::Secret).scratch_len()
}

/// XOR of all shares; there are at most 251, fewer than the kernel takes at a time.
fn xor_sources_of_any_count(shares: &[&[u8]], output: &mut [u8]) {
    for (start, len) in tiles(output.len(), tile_len(1)) {
        let mut sources = Sources::new();
        for share in shares {
            sources.push(Tile::new(share, share.len(), start, len).piece(0));
        }
        xor_sources(&mut output[start..start + len], sources.as_slice());
    }
}
