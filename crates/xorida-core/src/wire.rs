//! Share files that stand alone, for secrets of their own such as the backup of a key.
//!
//! Every file carries the tags of all shares: they are salted and hide, so each file can check
//! the others and says nothing about them. Byte table: docs/formats/share-file.md.

use crate::access::{AccessStructure, Scheme};
use crate::error::{Error, Malformed};
use crate::integrity::{
    Kind, Mode, Padding, SALT_LEN, Salt, ShareContext, Suffix, TAG_LEN, Tag, verify,
};
use crate::reconstruct::VerifiedShare;
use crate::share::ShareIndex;
use core::fmt;

const MAGIC: [u8; 4] = *b"XIDA";
const VERSION: u8 = 1;
/// Magic, version, scheme, k, n, index, three zeros, share length.
const HEADER_LEN: usize = 16;
const DEAL_ID_LEN: usize = 32;

/// One share file, borrowed from its bytes. Parsing proves nothing: see [`ShareFile::verify`].
#[derive(Clone, Copy)]
pub struct ShareFile<'a> {
    access: AccessStructure,
    index: ShareIndex,
    deal_id: [u8; DEAL_ID_LEN],
    tags: &'a [u8],
    salt: &'a [u8; SALT_LEN],
    share: &'a [u8],
}

impl<'a> ShareFile<'a> {
    /// Reads a share file: exactly `bytes`, nothing after.
    ///
    /// # Errors
    /// [`Error::Version`] for another version, [`Error::Malformed`] for anything else that
    /// [`encode`](Self::encode) does not write.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |what| Error::Malformed(what);
        let (header, rest) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(malformed(Malformed::Length))?;
        let [
            m0,
            m1,
            m2,
            m3,
            version,
            scheme,
            k,
            n,
            index,
            z0,
            z1,
            z2,
            len @ ..,
        ] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(malformed(Malformed::Magic));
        }
        if version != VERSION {
            return Err(Error::Version { version });
        }
        let access = AccessStructure::try_new(k, n).map_err(|_| malformed(Malformed::Access))?;
        if Scheme::from_id(scheme) != Some(access.scheme()) {
            return Err(malformed(Malformed::Access));
        }
        if [z0, z1, z2] != [0; 3] {
            return Err(malformed(Malformed::Reserved));
        }
        let (deal_id, rest) = rest
            .split_first_chunk::<DEAL_ID_LEN>()
            .ok_or(malformed(Malformed::Length))?;
        let (tags, rest) = rest
            .split_at_checked(usize::from(n) * TAG_LEN)
            .ok_or(malformed(Malformed::Length))?;
        planted(index, n, tags);
        let index = ShareIndex::try_new(index, access).map_err(|_| malformed(Malformed::Index))?;
        let (salt, share) = rest
            .split_first_chunk::<SALT_LEN>()
            .ok_or(malformed(Malformed::Length))?;
        if u64::from(u32::from_be_bytes(len)) != share.len() as u64 {
            return Err(malformed(Malformed::Length));
        }
        if share.is_empty() || !share.len().is_multiple_of(access.pieces()) {
            return Err(malformed(Malformed::ShareLength));
        }
        Ok(Self {
            access,
            index,
            deal_id: *deal_id,
            tags,
            salt,
            share,
        })
    }

    /// Threshold and share count of the dealing.
    #[must_use]
    pub const fn access(&self) -> AccessStructure {
        self.access
    }

    /// Which share this is.
    #[must_use]
    pub const fn index(&self) -> ShareIndex {
        self.index
    }

    /// The dealing; files of two dealings never combine.
    #[must_use]
    pub const fn deal_id(&self) -> &[u8; DEAL_ID_LEN] {
        &self.deal_id
    }

    /// Bytes of an encoded file.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        HEADER_LEN + DEAL_ID_LEN + self.tags.len() + SALT_LEN + self.share.len()
    }

    /// Writes the file into `out`.
    ///
    /// # Errors
    /// [`Error::BufferLength`] unless `out` has exactly [`encoded_len`](Self::encoded_len) bytes.
    pub fn encode(&self, out: &mut [u8]) -> Result<(), Error> {
        crate::error::Buffer::Output.expect_exactly(self.encoded_len(), out.len())?;
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&MAGIC);
        header[4..9].copy_from_slice(&[
            VERSION,
            self.access.scheme().id(),
            self.access.threshold(),
            self.access.share_count(),
            self.index.get(),
        ]);
        // `share_len` is what parsing or dealing accepted, so it fits.
        header[12..].copy_from_slice(&self.share_len().to_be_bytes());
        let parts: [&[u8]; 5] = [&header, &self.deal_id, self.tags, self.salt, self.share];
        let mut rest = out;
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        Ok(())
    }

    /// Checks this share against the tag that `witness` carries for it; `witness` may be any
    /// file of the dealing that the caller believes.
    ///
    /// # Errors
    /// [`Error::MixedDeals`] if the two files are not of one dealing,
    /// [`Error::ShareIntegrity`] if the share was changed.
    pub fn verify(&self, witness: &Self) -> Result<VerifiedShare<'a>, Error> {
        let same = self.access == witness.access
            && self.deal_id == witness.deal_id
            && self.tags == witness.tags;
        if !same {
            let (first, index) = (witness.index.get(), self.index.get());
            return Err(Error::MixedDeals { first, index });
        }
        let place = usize::from(self.index.get()) * TAG_LEN;
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&self.tags[place..place + TAG_LEN]);
        let context = context(self.access, self.deal_id, self.share_len());
        let salt = Salt::from_bytes(*self.salt);
        verify(
            &context,
            self.index,
            &salt,
            self.share,
            &Tag::from_bytes(tag),
        )
    }

    fn share_len(&self) -> u32 {
        u32::try_from(self.share.len()).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for ShareFile<'_> {
    /// Prints what a file listing may show, never salt or share.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareFile")
            .field("access", &self.access)
            .field("index", &self.index.get())
            .field("share_len_bytes", &self.share.len())
            .finish_non_exhaustive()
    }
}

/// A deliberate defect, compiled only to prove that the fuzz target finds it.
#[cfg(feature = "planted")]
fn planted(index: u8, share_count: u8, tags: &[u8]) {
    if index >= share_count {
        core::hint::black_box(tags[usize::from(index) * TAG_LEN]);
    }
}

#[cfg(not(feature = "planted"))]
const fn planted(_index: u8, _share_count: u8, _tags: &[u8]) {}

fn context(access: AccessStructure, deal_id: [u8; DEAL_ID_LEN], share_len: u32) -> ShareContext {
    ShareContext {
        mode: Mode::Perfect,
        kind: Kind::Secret,
        padding: Padding::None,
        suffix: Suffix::Seed,
        access,
        chunk_len: 0,
        chunks_per_segment: 0,
        object_id: deal_id,
        put_id: deal_id,
        chunk: 0,
        share_len,
    }
}

#[cfg(feature = "alloc")]
pub use files::{combine_files, deal_files};

#[cfg(feature = "alloc")]
mod files {
    use super::{DEAL_ID_LEN, ShareFile, context};
    use crate::access::AccessStructure;
    use crate::dealer::{deal, deal_scratch_len};
    use crate::error::{Buffer, Error};
    use crate::integrity::{SEED_LEN, Salt, Seed};
    use crate::padding::{pad, unpad};
    use crate::reconstruct::{Recovery, Target};
    use alloc::vec;
    use alloc::vec::Vec;
    use rand_core::TryCryptoRng;
    use subtle::ConstantTimeEq;
    use zeroize::Zeroizing;

    /// Deals `secret` and a fresh seed into n share files, wiped on drop.
    ///
    /// # Errors
    /// [`Error::Random`] if `rng` fails, [`Error::BufferLength`] for a secret of 4 GiB or more.
    pub fn deal_files<R: TryCryptoRng + ?Sized>(
        access: AccessStructure,
        secret: &[u8],
        rng: &mut R,
    ) -> Result<Vec<Zeroizing<Vec<u8>>>, Error> {
        let mut deal_id = [0; DEAL_ID_LEN];
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        rng.try_fill_bytes(&mut deal_id)
            .map_err(|_| Error::Random)?;
        rng.try_fill_bytes(seed.as_mut())
            .map_err(|_| Error::Random)?;
        let len = secret.len().saturating_add(SEED_LEN);
        let share_len = access.padded_len(len);
        let share_len_u32 = u32::try_from(share_len).map_err(|_| Error::BufferLength {
            buffer: Buffer::Secret,
            needed: u32::MAX as usize,
            actual: secret.len(),
        })?;
        let mut padded = Zeroizing::new(vec![0; share_len]);
        padded[..secret.len()].copy_from_slice(secret);
        padded[secret.len()..len].copy_from_slice(seed.as_ref());
        pad(access, &mut padded, len)?;

        let mut scratch = Zeroizing::new(vec![0; deal_scratch_len(access)]);
        let count = usize::from(access.share_count());
        let mut shares: Vec<Zeroizing<Vec<u8>>> = (0..count)
            .map(|_| Zeroizing::new(vec![0; share_len]))
            .collect();
        let mut slices: Vec<&mut [u8]> = shares
            .iter_mut()
            .map(|share| share.as_mut_slice())
            .collect();
        deal(access, &padded, rng, &mut scratch, &mut slices)?;

        let seed = Seed::from_bytes(*seed);
        let context = context(access, deal_id, share_len_u32);
        let salts: Vec<Salt> = access.indices().map(|index| seed.salt(index)).collect();
        let parts = || access.indices().zip(&salts).zip(&shares);
        let tags: Vec<u8> = parts()
            .flat_map(|((index, salt), share)| *salt.tag(&context, index, share).as_bytes())
            .collect();
        parts()
            .map(|((index, salt), share)| {
                let salt = salt.expose();
                let file = ShareFile {
                    access,
                    index,
                    deal_id,
                    tags: &tags,
                    salt,
                    share,
                };
                let mut bytes = Zeroizing::new(vec![0; file.encoded_len()]);
                file.encode(&mut bytes).map(|()| bytes)
            })
            .collect()
    }

    /// The secret from k or more share files of one dealing.
    ///
    /// # Errors
    /// [`Error::TooFewShares`]; [`Error::MixedDeals`] or [`Error::ShareIntegrity`] naming the
    /// share; [`Error::DuplicateIndex`]; [`Error::Padding`] if the files were not made by
    /// [`deal_files`].
    pub fn combine_files(files: &[ShareFile<'_>]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let Some(first) = files.first() else {
            return Err(Error::TooFewShares {
                threshold: 2,
                available: 0,
            });
        };
        let shares = files
            .iter()
            .map(|file| file.verify(first))
            .collect::<Result<Vec<_>, _>>()?;
        let threshold = usize::from(first.access.threshold());
        let shares = shares.get(..threshold).ok_or(Error::TooFewShares {
            threshold: first.access.threshold(),
            available: files.len(),
        })?;
        let indices: Vec<_> = shares
            .iter()
            .map(crate::reconstruct::VerifiedShare::index)
            .collect();
        let recovery = Recovery::try_new(first.access, &indices, Target::Secret)?;
        let mut padded = Zeroizing::new(vec![0; first.share.len()]);
        let mut scratch = Zeroizing::new(vec![0; recovery.scratch_len()]);
        recovery.run(shares, &mut scratch, &mut padded)?;
        let secret = unpad(first.access, &padded)?;
        let (secret, seed) = secret
            .split_last_chunk::<SEED_LEN>()
            .ok_or(Error::Padding)?;
        let seed = Seed::from_bytes(*seed);
        // A seed that does not give the salts was not dealt by `deal_files`.
        for file in &files[..threshold] {
            if !bool::from(seed.salt(file.index).expose().ct_eq(file.salt)) {
                return Err(Error::ShareIntegrity {
                    index: file.index.get(),
                });
            }
        }
        Ok(Zeroizing::new(secret.to_vec()))
    }
}
