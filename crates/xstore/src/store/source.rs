//! A stream cut into segments of chunk secrets, its length known only at its end.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use xorida_core::Kind;

use crate::buffers::SecretPool;
use crate::chunk::ChunkSecret;
use crate::error::Error;
use crate::geometry::{Geometry, Layout};

/// Consecutive data chunks of one segment, and whether the trailer follows them.
pub(crate) struct Batch {
    pub(crate) first_chunk: u64,
    pub(crate) data: Vec<ChunkSecret>,
    pub(crate) ends: bool,
}

/// Reads a source segment by segment; after its end come the zeros of the length padding.
pub(crate) struct ChunkSource<'a> {
    source: &'a mut (dyn AsyncRead + Unpin + Send),
    layout: Layout,
    pool: SecretPool,
    len_bytes: u64,
    geometry: Option<Geometry>,
    next_chunk: u64,
    ended: bool,
}

impl<'a> ChunkSource<'a> {
    pub(crate) fn new(
        source: &'a mut (dyn AsyncRead + Unpin + Send),
        layout: Layout,
        pool: SecretPool,
    ) -> Self {
        Self {
            source,
            layout,
            pool,
            len_bytes: 0,
            geometry: None,
            next_chunk: 0,
            ended: false,
        }
    }

    /// Payload bytes read so far.
    pub(crate) const fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// What follows from the whole length; known once the source has ended.
    pub(crate) const fn geometry(&self) -> Option<Geometry> {
        self.geometry
    }

    /// The next segment; `None` after the one that had the trailer.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>, Error> {
        if self.ended {
            return Ok(None);
        }
        let mut batch = Batch {
            first_chunk: self.next_chunk,
            data: Vec::new(),
            ends: false,
        };
        for _ in 0..self.layout.chunks_per_segment() {
            match self.next_data().await? {
                Some(secret) => batch.data.push(secret),
                None => {
                    batch.ends = true;
                    self.ended = true;
                    break;
                }
            }
        }
        Ok(Some(batch))
    }

    /// The next data chunk; `None` where the trailer stands.
    async fn next_data(&mut self) -> Result<Option<ChunkSecret>, Error> {
        let secret = match self.geometry {
            None => self.read_chunk().await?,
            Some(geometry) => (self.next_chunk < geometry.data_chunks())
                .then(|| self.secret(geometry.data_len(self.next_chunk))),
        };
        if secret.is_some() {
            self.next_chunk += 1;
        }
        Ok(secret)
    }

    fn secret(&self, data_len: usize) -> ChunkSecret {
        ChunkSecret::new(self.layout, Kind::Data, data_len, &self.pool)
    }

    async fn read_chunk(&mut self) -> Result<Option<ChunkSecret>, Error> {
        let mut secret = self.secret(self.layout.chunk_len() as usize);
        let data = secret.data_mut();
        let mut filled = 0;
        while filled < data.len() {
            let read = self.source.read(&mut data[filled..]).await;
            match read.map_err(|source| Error::Input {
                what: "the source".into(),
                source,
            })? {
                0 => break,
                read => filled += read,
            }
        }
        self.len_bytes += filled as u64;
        // A chunk is at most 16 MiB.
        secret.valid_len = u32::try_from(filled).unwrap_or(u32::MAX);
        if filled == self.layout.chunk_len() as usize {
            return Ok(Some(secret));
        }
        let padded_len = self.layout.padded_len(self.len_bytes)?;
        let geometry = self
            .geometry
            .insert(Geometry::try_new(self.layout, padded_len)?);
        if self.next_chunk >= geometry.data_chunks() {
            return Ok(None);
        }
        secret.shorten(geometry.data_len(self.next_chunk));
        Ok(Some(secret))
    }
}
