//! One chunk: its buffers, its split, and its way back.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng as _;
use sha2::{Digest as _, Sha256};
use xorida_core::{
    AccessStructure, Error, Kind, Mode, Padding, Recovery, SEED_LEN, Salt, Seed, ShareContext,
    ShareIndex, Suffix, Tag, Target, VerifiedShare, deal, deal_scratch_len, pad, verify,
};

/// Length of the valid bytes, which stands before the seed inside the secret.
const LEN_LEN: usize = 4;

/// Everything a put holds for one chunk: data, suffix and padding in one, n shares behind each other.
pub(crate) struct Buffers {
    access: AccessStructure,
    context: ShareContext,
    data_len: usize,
    secret: Vec<u8>,
    scratch: Vec<u8>,
    shares: Vec<u8>,
    salts: Vec<Salt>,
    tags: Vec<Tag>,
}

impl Buffers {
    /// Buffers for `data_len` bytes of data, which are filled with a pattern.
    pub(crate) fn new(access: AccessStructure, data_len: usize) -> Self {
        let share_len = access.padded_len(data_len + LEN_LEN + SEED_LEN);
        let mut secret: Vec<u8> = (0..=u8::MAX).cycle().take(data_len).collect();
        secret.resize(share_len, 0);
        Self {
            access,
            context: context(access, share_len),
            data_len,
            secret,
            scratch: vec![0; deal_scratch_len(access)],
            shares: vec![0; share_len * usize::from(access.share_count())],
            salts: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// What is split.
    pub(crate) fn data(&self) -> &[u8] {
        &self.secret[..self.data_len]
    }

    /// Length of each share in bytes.
    fn share_len(&self) -> usize {
        self.secret.len()
    }

    /// Everything a put does: seed, padding, dealing, salts, tags, digest of the payload.
    pub(crate) fn split(&mut self, rng: &mut ChaCha20Rng) -> Result<[u8; 32], Error> {
        let seed = self.seal(rng)?;
        self.deal(rng)?;
        self.salts.clear();
        self.salts
            .extend(self.access.indices().map(|index| seed.salt(index)));
        let shares = self.shares.chunks_exact(self.secret.len());
        let tags = self.access.indices().zip(&self.salts).zip(shares);
        self.tags.clear();
        self.tags
            .extend(tags.map(|((index, salt), share)| salt.tag(&self.context, index, share)));
        Ok(Sha256::digest(self.data()).into())
    }

    /// The dealing alone.
    pub(crate) fn deal(&mut self, rng: &mut ChaCha20Rng) -> Result<(), Error> {
        let mut shares: Vec<&mut [u8]> = self.shares.chunks_exact_mut(self.secret.len()).collect();
        deal(
            self.access,
            &self.secret,
            rng,
            &mut self.scratch,
            &mut shares,
        )
    }

    fn seal(&mut self, rng: &mut ChaCha20Rng) -> Result<Seed, Error> {
        let mut seed = [0; SEED_LEN];
        rng.fill_bytes(&mut seed);
        let valid = u32::try_from(self.data_len)
            .unwrap_or(u32::MAX)
            .to_be_bytes();
        let suffix = &mut self.secret[self.data_len..];
        suffix[..LEN_LEN].copy_from_slice(&valid);
        suffix[LEN_LEN..LEN_LEN + SEED_LEN].copy_from_slice(&seed);
        pad(
            self.access,
            &mut self.secret,
            self.data_len + LEN_LEN + SEED_LEN,
        )?;
        Ok(Seed::from_bytes(seed))
    }

    fn share(&self, index: ShareIndex) -> &[u8] {
        let start = usize::from(index.get()) * self.share_len();
        &self.shares[start..start + self.share_len()]
    }

    fn verified(&self, index: ShareIndex) -> Result<VerifiedShare<'_>, Error> {
        let at = usize::from(index.get());
        verify(
            &self.context,
            index,
            &self.salts[at],
            self.share(index),
            &self.tags[at],
        )
    }
}

/// Reads the last k shares back; planned once, as for all chunks of an object.
pub(crate) struct Reader {
    indices: Vec<ShareIndex>,
    recovery: Recovery,
    scratch: Vec<u8>,
    secret: Vec<u8>,
    data_len: usize,
}

impl Reader {
    pub(crate) fn new(buffers: &Buffers) -> Result<Self, Error> {
        let access = buffers.access;
        let spare = usize::from(access.share_count() - access.threshold());
        let indices: Vec<ShareIndex> = access.indices().skip(spare).collect();
        let recovery = Recovery::try_new(access, &indices, Target::Secret)?;
        let scratch = vec![0; recovery.scratch_len()];
        let secret = vec![0; buffers.share_len()];
        Ok(Self {
            indices,
            recovery,
            scratch,
            secret,
            data_len: buffers.data_len,
        })
    }

    /// Everything a get does: k tags, recovery, digest of the payload.
    pub(crate) fn get(&mut self, buffers: &Buffers) -> Result<[u8; 32], Error> {
        let shares = self
            .indices
            .iter()
            .map(|index| buffers.verified(*index))
            .collect::<Result<Vec<_>, _>>()?;
        self.recovery
            .run(&shares, &mut self.scratch, &mut self.secret)?;
        Ok(Sha256::digest(self.data()).into())
    }

    /// The recovery alone, of shares that nobody authenticated.
    #[cfg(feature = "peers")]
    pub(crate) fn recover(&mut self, buffers: &Buffers) -> Result<(), Error> {
        let shares: Vec<VerifiedShare<'_>> = self
            .indices
            .iter()
            .map(|index| VerifiedShare::assume_authentic(*index, buffers.share(*index)))
            .collect();
        self.recovery
            .run(&shares, &mut self.scratch, &mut self.secret)
    }

    /// What was read.
    pub(crate) fn data(&self) -> &[u8] {
        &self.secret[..self.data_len]
    }
}

fn context(access: AccessStructure, share_len: usize) -> ShareContext {
    ShareContext {
        mode: Mode::Perfect,
        kind: Kind::Data,
        padding: Padding::None,
        suffix: Suffix::Seed,
        access,
        chunk_len: 2 << 20,
        chunks_per_segment: 8,
        object_id: [1; 32],
        put_id: [2; 32],
        chunk: 0,
        // Longer ones do not exist here, and would fail their verification.
        share_len: u32::try_from(share_len).unwrap_or(u32::MAX),
    }
}
