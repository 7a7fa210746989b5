//! From a qualified set of shares to the secret, or to a share that was lost.
//!
//! A [`Recovery`] is the plan for one set of share indices and one [`Target`]. It is made once
//! and run for every chunk that was dealt under the same access structure.

mod matrix;
mod ring;

use crate::access::{AccessStructure, Scheme};
use crate::error::{Buffer, Error};
use crate::kernel::xor_sources;
use crate::scheme::Equations;
use crate::share::ShareIndex;
use core::fmt;
use matrix::RecoveryMatrix;
use ring::Ring;

/// A share whose bytes are known to be the ones that were dealt.
#[derive(Clone, Copy)]
pub struct VerifiedShare<'a> {
    index: ShareIndex,
    bytes: &'a [u8],
}

impl<'a> VerifiedShare<'a> {
    /// Vouches for a share that the caller has authenticated by other means than
    /// `integrity::verify`.
    ///
    /// # Security
    /// A wrong share makes reconstruction return wrong bytes without any sign of it.
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

    /// The first `mid` bytes and the rest, each as authentic as the whole; `None` if there are not
    /// so many.
    #[must_use]
    pub fn split_at(self, mid: usize) -> Option<(Self, Self)> {
        let part = |bytes| Self { bytes, ..self };
        let (first, rest) = self.bytes.split_at_checked(mid)?;
        Some((part(first), part(rest)))
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

/// What a recovery computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Target {
    /// The padded secret.
    Secret,
    /// The share with this index, bit for bit as it was dealt.
    Share(ShareIndex),
}

/// How a recovery computes. All decoders give the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Decoder {
    /// Each piece of the result is the XOR of the pieces that an inverted matrix selects.
    /// Serves up to 256 input pieces.
    Matrix,
    /// Interpolation in a ring of polynomials, without a matrix: cheaper for k far below p.
    Ring,
    /// The XOR of all shares of an n-of-n dealing.
    NOfN,
}

/// The most shares that take part: the largest threshold of [`Equations`].
const MAX_THRESHOLD: usize = 255;

/// What a piece read or written costs in either decoder, relative to the other: measured, the
/// matrix's many scattered inputs cost a third more than the ring's walk through its scratch.
const MATRIX_WEIGHT: usize = 4;
const RING_WEIGHT: usize = 3;

/// The plan for one set of share indices and one target.
///
/// It holds no secret and about 4.5 KiB, on the stack if the caller leaves it there; making it
/// takes another 16 KiB of stack for a moment, running it 4 to 8 KiB.
#[derive(Clone)]
pub struct Recovery {
    access: AccessStructure,
    /// Ascending; the first k entries count.
    indices: [u8; MAX_THRESHOLD],
    target: Target,
    decoder: Decoder,
    /// Filled for [`Decoder::Matrix`], else empty.
    matrix: RecoveryMatrix,
}

impl Recovery {
    /// A plan that uses the decoder with the least memory traffic, for this very set.
    ///
    /// `indices` are the k distinct share indices that [`run`](Self::run) will be given, in any
    /// order.
    ///
    /// # Errors
    /// [`Error::TooFewShares`], [`Error::TooManyShares`], [`Error::DuplicateIndex`] and
    /// [`Error::ShareIndex`] for a set that is not k distinct indices of `access`, or a target
    /// that is not one of its shares;
    /// [`Error::NoRedundancy`] for a share as target of an n-of-n dealing.
    pub fn try_new(
        access: AccessStructure,
        indices: &[ShareIndex],
        target: Target,
    ) -> Result<Self, Error> {
        let mut plan = Self::without_decoder(access, indices, target)?;
        if plan.decoder == Decoder::NOfN {
            return Ok(plan);
        }
        let equations = Equations::of(access);
        if let Ok(matrix) = RecoveryMatrix::try_new(equations, plan.indices(), share_of(target))
            && MATRIX_WEIGHT * matrix.cost() <= RING_WEIGHT * plan.ring().cost()
        {
            plan.matrix = matrix;
            plan.decoder = Decoder::Matrix;
        }
        Ok(plan)
    }

    /// A plan that uses the given decoder, for comparing decoders with each other.
    ///
    /// # Errors
    /// Those of [`try_new`](Self::try_new), and [`Error::Decoder`] if the decoder cannot serve
    /// this access structure.
    pub fn with_decoder(
        access: AccessStructure,
        indices: &[ShareIndex],
        target: Target,
        decoder: Decoder,
    ) -> Result<Self, Error> {
        let mut plan = Self::without_decoder(access, indices, target)?;
        let equations = Equations::of(access);
        let unfit = Error::Decoder {
            threshold: equations.threshold(),
            pieces: access.pieces(),
        };
        if (decoder == Decoder::NOfN) != (plan.decoder == Decoder::NOfN) {
            return Err(unfit);
        }
        if decoder == Decoder::Matrix {
            plan.matrix = RecoveryMatrix::try_new(equations, plan.indices(), share_of(target))?;
        }
        plan.decoder = decoder;
        Ok(plan)
    }

    /// A plan whose set of indices is checked; it decodes by the ring, which always can, or
    /// by n-of-n.
    fn without_decoder(
        access: AccessStructure,
        indices: &[ShareIndex],
        target: Target,
    ) -> Result<Self, Error> {
        let threshold = access.threshold();
        expect_threshold(threshold, indices.len())?;
        let mut sorted = [0; MAX_THRESHOLD];
        let listed = &mut sorted[..indices.len()];
        for (slot, index) in listed.iter_mut().zip(indices) {
            *slot = ShareIndex::try_new(index.get(), access)?.get();
        }
        listed.sort_unstable();
        expect_distinct(listed)?;
        let n_of_n = access.scheme() == Scheme::NOfN;
        if let Target::Share(index) = target {
            ShareIndex::try_new(index.get(), access)?;
            if n_of_n {
                return Err(Error::NoRedundancy {
                    share_count: access.share_count(),
                });
            }
        }
        let decoder = if n_of_n { Decoder::NOfN } else { Decoder::Ring };
        let matrix = RecoveryMatrix::EMPTY;
        Ok(Self {
            access,
            indices: sorted,
            target,
            decoder,
            matrix,
        })
    }

    /// The decoder in use.
    #[must_use]
    pub const fn decoder(&self) -> Decoder {
        self.decoder
    }

    /// Length in bytes of the scratch that [`run`](Self::run) needs: none for the matrix and
    /// n-of-n, else at most about 1 MiB.
    #[must_use]
    pub fn scratch_len(&self) -> usize {
        match self.decoder {
            Decoder::Matrix | Decoder::NOfN => 0,
            Decoder::Ring => self.ring().scratch_len(),
        }
    }

    /// Computes the target from `shares` into `output`.
    ///
    /// `shares` are those of the indices that the plan was made for, in any order; `output` is
    /// as long as each of them. A secret comes out padded.
    ///
    /// # Errors
    /// [`Error::TooFewShares`], [`Error::TooManyShares`], [`Error::DuplicateIndex`] and
    /// [`Error::UnexpectedShare`] if the set is not the one of the plan; [`Error::ShareLength`]
    /// if shares differ in length or do not consist of whole pieces; [`Error::BufferLength`]
    /// for `scratch` or `output`.
    ///
    /// # Security
    /// Time and addresses depend on lengths and indices only. The used scratch is wiped.
    pub fn run(
        &self,
        shares: &[VerifiedShare<'_>],
        scratch: &mut [u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let mut ordered = [[].as_slice(); MAX_THRESHOLD];
        let share_len = self.order(shares, &mut ordered)?;
        let ordered = &ordered[..shares.len()];
        Buffer::Output.expect_exactly(share_len, output.len())?;
        Buffer::Scratch.expect_at_least(self.scratch_len(), scratch.len())?;
        match self.decoder {
            Decoder::NOfN => xor_sources(output, ordered),
            Decoder::Matrix => self.matrix.run(self.access.pieces(), ordered, output),
            Decoder::Ring => self.ring().run(ordered, scratch, output),
        }
        Ok(())
    }

    /// Puts the bytes of `shares` in the order of the plan's indices; returns their length.
    fn order<'a>(
        &self,
        shares: &[VerifiedShare<'a>],
        ordered: &mut [&'a [u8]; MAX_THRESHOLD],
    ) -> Result<usize, Error> {
        expect_threshold(self.access.threshold(), shares.len())?;
        let share_len = shares.first().map_or(0, |share| share.bytes.len());
        let pieces = self.access.pieces();
        if !share_len.is_multiple_of(pieces) {
            return Err(Error::ShareLength {
                expected: pieces,
                actual: share_len,
            });
        }
        let mut seen = [false; MAX_THRESHOLD];
        for share in shares {
            let index = share.index.get();
            let Ok(place) = self.indices().binary_search(&index) else {
                return Err(Error::UnexpectedShare { index });
            };
            if core::mem::replace(&mut seen[place], true) {
                return Err(Error::DuplicateIndex { index });
            }
            if share.bytes.len() != share_len {
                return Err(Error::ShareLength {
                    expected: share_len,
                    actual: share.bytes.len(),
                });
            }
            ordered[place] = share.bytes;
        }
        Ok(share_len)
    }

    fn indices(&self) -> &[u8] {
        &self.indices[..usize::from(self.access.threshold())]
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(
            Equations::of(self.access),
            self.indices(),
            share_of(self.target),
        )
    }
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery")
            .field("access", &self.access)
            .field("indices", &self.indices())
            .field("target", &self.target)
            .field("decoder", &self.decoder)
            .finish_non_exhaustive()
    }
}

impl Equations {
    /// Length in bytes of the scratch that [`recover_secret`](Self::recover_secret) needs.
    #[must_use]
    pub fn recover_scratch_len(self) -> usize {
        Ring::new(self, &[], None).scratch_len()
    }

    /// Recovers a secret under the wider limits of these equations; the counterpart of
    /// [`deal_pieces`](Self::deal_pieces), for known answers. Applications use [`Recovery`].
    ///
    /// `indices` are k distinct share indices below p, and `shares` their bytes in that order.
    ///
    /// # Errors
    /// [`Error::TooFewShares`], [`Error::TooManyShares`], [`Error::ShareIndex`],
    /// [`Error::DuplicateIndex`], [`Error::ShareLength`] and [`Error::BufferLength`] for
    /// arguments that do not fit together; [`Error::Decoder`] if the decoder cannot serve these
    /// equations.
    pub fn recover_secret(
        self,
        decoder: Decoder,
        indices: &[u8],
        shares: &[&[u8]],
        scratch: &mut [u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        self.expect_set(indices)?;
        Buffer::Shares.expect_exactly(indices.len(), shares.len())?;
        Buffer::Output.expect_multiple(self.pieces(), output.len())?;
        for share in shares {
            if share.len() != output.len() {
                return Err(Error::ShareLength {
                    expected: output.len(),
                    actual: share.len(),
                });
            }
        }
        match decoder {
            Decoder::Matrix => {
                let matrix = RecoveryMatrix::try_new(self, indices, None)?;
                matrix.run(self.pieces(), shares, output);
            }
            Decoder::Ring => {
                Buffer::Scratch.expect_at_least(self.recover_scratch_len(), scratch.len())?;
                Ring::new(self, indices, None).run(shares, scratch, output);
            }
            Decoder::NOfN => {
                let (threshold, pieces) = (self.threshold(), self.pieces());
                return Err(Error::Decoder { threshold, pieces });
            }
        }
        Ok(())
    }

    /// Refuses anything but k distinct indices below p.
    fn expect_set(self, indices: &[u8]) -> Result<(), Error> {
        let threshold = u8::try_from(self.threshold()).unwrap_or(u8::MAX);
        let share_count = u8::try_from(self.prime()).unwrap_or(u8::MAX);
        expect_threshold(threshold, indices.len())?;
        let mut sorted = [0; MAX_THRESHOLD];
        let sorted = &mut sorted[..indices.len()];
        sorted.copy_from_slice(indices);
        sorted.sort_unstable();
        expect_distinct(sorted)?;
        match sorted.last() {
            Some(&index) if usize::from(index) >= self.prime() => {
                Err(Error::ShareIndex { index, share_count })
            }
            _ => Ok(()),
        }
    }
}

/// The number of the share to recompute, or `None` for the secret.
fn share_of(target: Target) -> Option<usize> {
    match target {
        Target::Secret => None,
        Target::Share(index) => Some(usize::from(index.get())),
    }
}

fn expect_threshold(threshold: u8, available: usize) -> Result<(), Error> {
    match available.cmp(&usize::from(threshold)) {
        core::cmp::Ordering::Less => Err(Error::TooFewShares {
            threshold,
            available,
        }),
        core::cmp::Ordering::Equal => Ok(()),
        core::cmp::Ordering::Greater => Err(Error::TooManyShares {
            threshold,
            available,
        }),
    }
}

fn expect_distinct(sorted: &[u8]) -> Result<(), Error> {
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::DuplicateIndex { index: pair[0] }),
        None => Ok(()),
    }
}
