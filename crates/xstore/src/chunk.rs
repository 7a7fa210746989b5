//! One chunk: dealt into records, and opened from them. Everything cryptographic that happens to
//! shares happens here, for every operation.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use subtle::{Choice, ConstantTimeEq as _};
use xorida_core::{
    CONTEXT_LEN, Kind, Recovery, SALT_LEN, SEED_LEN, Salt, Seed, ShareContext, ShareIndex, Suffix,
    Tag, VerifiedShare,
};
use zeroize::Zeroizing;

use crate::buffers::{SecretBuffer, SecretPool};
use crate::error::Error;
use crate::geometry::{Layout, SUFFIX_LEN};
use crate::ids::{ObjectId, PutId};
use crate::planted::{self, Bug};
use crate::short::{self, Shard};

/// One dealing of one object: what every tag of it is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dealing {
    pub(crate) layout: Layout,
    pub(crate) object_id: ObjectId,
    pub(crate) put_id: PutId,
}

/// The secret of one chunk before it is dealt: its data, then room for suffix and padding.
pub(crate) struct ChunkSecret {
    layout: Layout,
    kind: Kind,
    bytes: SecretBuffer,
    data_len: usize,
    /// Bytes of the data that belong to the payload; zeros of the length padding follow.
    pub(crate) valid_len: u32,
}

impl ChunkSecret {
    /// A secret with `data_len` zero bytes of data, none of them valid yet.
    pub(crate) fn new(layout: Layout, kind: Kind, data_len: usize, pool: &SecretPool) -> Self {
        Self {
            layout,
            kind,
            bytes: pool.take(layout.secret_len(kind, data_len)),
            data_len,
            valid_len: 0,
        }
    }

    /// Makes the data shorter, when the source ended early.
    pub(crate) fn shorten(&mut self, data_len: usize) {
        self.bytes
            .truncate(self.layout.secret_len(self.kind, data_len));
        self.data_len = data_len;
    }

    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.data_len]
    }

    /// Bytes that belong to the payload.
    pub(crate) fn valid(&self) -> &[u8] {
        &self.bytes[..self.valid_len as usize]
    }

    /// Bytes of each share that this becomes.
    pub(crate) fn share_len(&self) -> usize {
        self.layout.share_len(self.kind, self.data_len)
    }

    /// Of the data, the bytes that short mode seals and codes; what follows them is split.
    fn sealed_len(&self) -> usize {
        self.layout.sealed_len(self.kind, self.data_len)
    }

    /// Writes the suffix (how many bytes are valid, and a fresh seed) and the padding.
    pub(crate) fn seal(mut self, rng: &mut ChaCha20Rng) -> Result<SealedSecret, Error> {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        rng.fill_bytes(seed.as_mut());
        let (valid_len, suffix) = (self.valid_len.to_be_bytes(), self.data_len);
        self.bytes[suffix..suffix + 4].copy_from_slice(&valid_len);
        self.bytes[suffix + 4..suffix + SUFFIX_LEN].copy_from_slice(seed.as_ref());
        let (access, sealed_len) = (self.layout.access, self.sealed_len());
        let split = &mut self.bytes[sealed_len..];
        xorida_core::pad(access, split, suffix + SUFFIX_LEN - sealed_len)?;
        Ok(SealedSecret {
            secret: self,
            seed: Seed::from_bytes(*seed),
        })
    }
}

/// A chunk's secret with its suffix, ready to be dealt.
pub(crate) struct SealedSecret {
    secret: ChunkSecret,
    seed: Seed,
}

impl SealedSecret {
    /// Bytes that belong to the payload.
    pub(crate) fn valid(&self) -> &[u8] {
        self.secret.valid()
    }

    /// Share length that follows from this secret.
    pub(crate) fn share_len(&self) -> usize {
        self.secret.share_len()
    }
}

impl Dealing {
    fn context(&self, chunk: u64, kind: Kind, share_len: usize) -> Result<ShareContext, Error> {
        Ok(ShareContext {
            mode: self.layout.mode,
            kind,
            padding: self.layout.padding,
            suffix: Suffix::Seed,
            access: self.layout.access,
            chunk_len: self.layout.chunk_len(),
            chunks_per_segment: self.layout.chunks_per_segment(),
            object_id: self.object_id.0,
            put_id: if planted::is(Bug::CombineGenerations) {
                [0; 32]
            } else {
                self.put_id.0
            },
            chunk,
            share_len: u32::try_from(share_len)
                .map_err(|_| Error::Config("a chunk is longer than 4 GiB".into()))?,
        })
    }

    /// Deals a sealed secret into one record (`salt || share`) for each share and gives their tags.
    ///
    /// `records` are n slices of salt and share length; they are wholly overwritten. `rng` is the
    /// one that the secret was sealed with.
    pub(crate) fn deal(
        &self,
        chunk: u64,
        secret: &SealedSecret,
        mut rng: ChaCha20Rng,
        records: &mut [&mut [u8]],
    ) -> Result<Vec<Tag>, Error> {
        let access = self.layout.access;
        let SealedSecret { secret, seed } = secret;
        let sealed_len = secret.sealed_len();
        let shard_len = short::shard_len(access, sealed_len);
        let (sealed, split) = secret.bytes.split_at(sealed_len);
        let context = self.context(chunk, secret.kind, shard_len + split.len())?;
        let (mut shards, mut shares): (Vec<_>, Vec<_>) = records
            .iter_mut()
            .map(|record| record[SALT_LEN..].split_at_mut(shard_len))
            .unzip();
        let mut scratch = Zeroizing::new(vec![0; xorida_core::deal_scratch_len(access)]);
        xorida_core::deal(access, split, &mut rng, &mut scratch, &mut shares)?;
        if sealed_len > 0 {
            let (label, pool) = (self.seal_context(&context)?, secret.bytes.pool());
            short::deal(access, seed, &label, sealed, pool, &mut shards)
                .ok_or_else(|| Error::Config("a chunk is longer than 256 GiB".into()))?;
        }
        let tag = |(index, record): (ShareIndex, &mut &mut [u8])| {
            let (salt_out, share) = record.split_at_mut(SALT_LEN);
            let salt = seed.salt(index);
            salt_out.copy_from_slice(salt.expose());
            salt.tag(&context, index, share)
        };
        Ok(access.indices().zip(records).map(tag).collect())
    }

    /// What sealed data is bound to: the context of share 0, which says all but an index.
    fn seal_context(&self, context: &ShareContext) -> Result<[u8; CONTEXT_LEN], Error> {
        Ok(context.encode(ShareIndex::try_new(0, self.layout.access)?))
    }

    /// Checks one record against its tag.
    pub(crate) fn verify<'a>(
        &self,
        chunk: u64,
        kind: Kind,
        index: ShareIndex,
        record: &'a [u8],
        tag: &Tag,
    ) -> Option<VerifiedShare<'a>> {
        let (salt, share) = record.split_first_chunk::<SALT_LEN>()?;
        let context = self.context(chunk, kind, share.len()).ok()?;
        xorida_core::verify(&context, index, &Salt::from_bytes(*salt), share, tag).ok()
    }

    /// The tag that a record has, whether or not it is the one that was dealt: for a deliberate bug.
    pub(crate) fn tag(
        &self,
        chunk: u64,
        kind: Kind,
        index: ShareIndex,
        record: &[u8],
    ) -> Result<Tag, Error> {
        let (salt, share) = record
            .split_first_chunk::<SALT_LEN>()
            .ok_or(Error::Reconstruction { chunk })?;
        let context = self.context(chunk, kind, share.len())?;
        Ok(Salt::from_bytes(*salt).tag(&context, index, share))
    }

    /// Recomputes the record of share `index` from k others and the chunk that they open.
    ///
    /// `recovery` is the plan for that share from these shares.
    pub(crate) fn recompute(
        &self,
        (chunk, kind): (u64, Kind),
        index: ShareIndex,
        recovery: &Recovery,
        shares: &[VerifiedShare<'_>],
        opened: &OpenedChunk,
    ) -> Result<Recomputed, Error> {
        let shard_len = self.shard_len(kind, opened.data_len);
        let share_len = self.layout.share_len(kind, opened.data_len);
        let context = self.context(chunk, kind, share_len)?;
        let mut record = vec![0; SALT_LEN + share_len];
        let (salt_out, share) = record.split_at_mut(SALT_LEN);
        let (shard, split) = share.split_at_mut(shard_len);
        let (shards, splits) = divided(shares, shard_len).ok_or(Error::Reconstruction { chunk })?;
        let mut scratch = Zeroizing::new(vec![0; recovery.scratch_len()]);
        recovery.run(&splits, &mut scratch, split)?;
        if shard_len > 0 {
            short::restore(&shards, index.get(), shard);
        }
        let salt = opened.seed.salt(index);
        salt_out.copy_from_slice(salt.expose());
        let tag = salt.tag(&context, index, share);
        Ok(Recomputed { record, tag })
    }

    /// Reconstructs a chunk with `data_len` bytes of data from k verified shares. `salts` are those
    /// of the same shares: a seed that does not give them was not dealt by a dealer of ours.
    pub(crate) fn open(
        &self,
        (chunk, kind): (u64, Kind),
        data_len: usize,
        recovery: &Recovery,
        shares: &[VerifiedShare<'_>],
        salts: &[[u8; SALT_LEN]],
        pool: &SecretPool,
    ) -> Result<OpenedChunk, Error> {
        let contradiction = || Error::Reconstruction { chunk };
        let shard_len = self.shard_len(kind, data_len);
        let (shards, splits) = divided(shares, shard_len).ok_or_else(contradiction)?;
        let mut bytes = pool.take(splits.first().map_or(0, |split| split.bytes().len()));
        let mut scratch = Zeroizing::new(vec![0; recovery.scratch_len()]);
        recovery.run(&splits, &mut scratch, &mut bytes)?;
        let len = xorida_core::unpad(self.layout.access, &bytes)?.len();
        let suffix = data_len - self.layout.sealed_len(kind, data_len);
        if len != suffix + SUFFIX_LEN {
            return Err(contradiction());
        }
        let (valid, seed) = bytes[suffix..len].split_at(4);
        let valid_len = u32::from_be_bytes(valid.try_into().unwrap_or_default());
        let seed = Seed::from_bytes(seed.try_into().map_err(|_| contradiction())?);
        let authentic = shares
            .iter()
            .zip(salts)
            .fold(Choice::from(1), |all, (share, salt)| {
                all & seed.salt(share.index()).expose().ct_eq(salt)
            });
        if !bool::from(authentic) || valid_len as usize > data_len {
            return Err(contradiction());
        }
        if shard_len > 0 {
            let context = self.context(chunk, kind, self.layout.share_len(kind, data_len))?;
            let label = self.seal_context(&context)?;
            bytes = short::open(&seed, &label, &shards, pool).ok_or_else(contradiction)?;
        }
        Ok(OpenedChunk {
            bytes,
            seed,
            data_len,
            valid_len: valid_len as usize,
        })
    }

    /// Bytes of a share that are a shard; the rest is a share of what is split.
    fn shard_len(&self, kind: Kind, data_len: usize) -> usize {
        short::shard_len(self.layout.access, self.layout.sealed_len(kind, data_len))
    }
}

/// Shares cut into their shards and the shares of what is split.
fn divided<'a>(
    shares: &[VerifiedShare<'a>],
    shard_len: usize,
) -> Option<(Vec<Shard<'a>>, Vec<VerifiedShare<'a>>)> {
    let divided = shares.iter().map(|share| {
        let (shard, split) = share.split_at(shard_len)?;
        Some(((share.index().get(), shard.bytes()), split))
    });
    divided.collect()
}

/// One record of a share that was lost, with its tag, bit for bit as they were dealt.
pub(crate) struct Recomputed {
    pub(crate) record: Vec<u8>,
    pub(crate) tag: Tag,
}

/// A reconstructed chunk; wiped on drop.
pub(crate) struct OpenedChunk {
    bytes: SecretBuffer,
    /// What the salts of this chunk derive from.
    seed: Seed,
    data_len: usize,
    valid_len: usize,
}

impl OpenedChunk {
    /// Bytes that belong to the payload.
    pub(crate) fn valid(&self) -> &[u8] {
        &self.bytes[..self.valid_len]
    }

    /// Bytes of the chunk's data, valid or padding.
    pub(crate) const fn data_len(&self) -> usize {
        self.data_len
    }

    /// Whether everything behind the valid bytes is zero.
    pub(crate) fn padding_is_zero(&self) -> bool {
        self.bytes[self.valid_len..self.data_len]
            .iter()
            .all(|byte| *byte == 0)
    }
}
