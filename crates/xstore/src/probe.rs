//! `probe`: what a backend does with objects, tried out rather than believed.
//!
//! Some servers take a condition and ignore it, and some clocks are wrong. Nothing in a store rests on
//! the first, since no name is ever used twice; but whoever adds a backend wants to know, and a
//! collector needs the second. The probe works below names of its own, drawn anew, and removes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::backend::{BackendError, BackendErrorKind, Erasure, ObjectKey, Put, StorageBackend};
use crate::clock::Clock;
use crate::entropy::{Entropy, draw};
use crate::error::Error;

/// Writers of one name at the same time.
const RACERS: usize = 8;

/// Times that a small object is asked for; the median counts.
const LOOKS: usize = 9;

/// Length of the object by which the line is measured: half a segment.
const LONG_LEN_BYTES: usize = 8 << 20;

/// Whether a backend keeps one sentence of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Which sentence.
    pub property: Property,
    /// What the backend did instead; `None` when it keeps it.
    pub broken: Option<String>,
}

/// A sentence of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Property {
    /// What is put is got, wholly and in part, and listed.
    RoundTrip,
    /// A taken name is not written over.
    NoOverwrite,
    /// Of several that create one name at the same time, one does.
    OneWinner,
    /// What is deleted is gone, and deleting it again is no error.
    Delete,
}

impl Property {
    /// The property in a few words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundTrip => "gives back what was stored",
            Self::NoOverwrite => "never writes over a taken name",
            Self::OneWinner => "lets one of 8 writers create a name",
            Self::Delete => "deletes, also twice",
        }
    }

    /// Whether a store can do without. Its names are never used twice, so it can do without a backend
    /// that watches over them.
    #[must_use]
    pub const fn is_needed(self) -> bool {
        match self {
            Self::RoundTrip | Self::Delete => true,
            Self::NoOverwrite | Self::OneWinner => false,
        }
    }
}

/// What a backend did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeReport {
    /// One for each property.
    pub checks: Vec<Check>,
    /// What it says of deleted bytes.
    pub erasure: Erasure,
    /// The backend's clock minus ours, in seconds; `None` when it tells no time.
    pub clock_skew_s: Option<i64>,
    /// Median time until a small object is described.
    pub latency: Duration,
    /// Bytes a second of one long object, one after the other.
    pub write_bytes_per_s: u64,
    /// The same when it is read.
    pub read_bytes_per_s: u64,
}

impl ProbeReport {
    /// Whether a store can use the backend.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let fails = |check: &&Check| check.property.is_needed() && check.broken.is_some();
        !self.checks.iter().any(|check| fails(&check))
    }
}

/// Tries `backend` out with about thirty requests and 16 MiB, and removes what it stored.
///
/// # Errors
/// [`Error::Backend`] when a request fails that the backend has to answer, and
/// [`Error::Random`] when no name can be drawn.
pub async fn probe(
    backend: &dyn StorageBackend,
    entropy: &dyn Entropy,
    clock: &dyn Clock,
) -> Result<ProbeReport, Error> {
    let id: [u8; 16] = draw(entropy)?;
    let trial = Trial {
        backend,
        prefix: format!("probe/{}", hex(&id)),
    };
    let report = trial.run(clock).await;
    // What a failed probe leaves is removed as far as the backend lets us.
    let _ = trial.clean().await;
    Ok(report?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Objects below one prefix.
struct Trial<'a> {
    backend: &'a dyn StorageBackend,
    prefix: String,
}

/// Bytes in which no two blocks look alike.
fn pattern(len_bytes: usize, seed: u8) -> Bytes {
    let byte = |at: usize| (at.wrapping_mul(0x9E37_79B1) >> 24).to_le_bytes()[0] ^ seed;
    (0..len_bytes).map(byte).collect()
}

impl Trial<'_> {
    async fn run(&self, clock: &dyn Clock) -> Result<ProbeReport, BackendError> {
        let (round_trip, skew) = self.round_trip(clock).await?;
        let no_overwrite = self.no_overwrite().await?;
        let one_winner = self.one_winner().await?;
        let latency = self.latency().await?;
        let (write_bytes_per_s, read_bytes_per_s) = self.throughput().await?;
        let delete = self.delete().await?;
        let check = |property, broken| Check { property, broken };
        Ok(ProbeReport {
            checks: vec![
                check(Property::RoundTrip, round_trip),
                check(Property::NoOverwrite, no_overwrite),
                check(Property::OneWinner, one_winner),
                check(Property::Delete, delete),
            ],
            erasure: self.backend.erasure().await?,
            clock_skew_s: skew,
            latency,
            write_bytes_per_s,
            read_bytes_per_s,
        })
    }

    fn key(&self, name: &str) -> Result<ObjectKey, BackendError> {
        let key = ObjectKey::try_new(&format!("{}/{name}", self.prefix));
        key.ok_or_else(|| BackendError::new(BackendErrorKind::Unavailable, self.backend.id()))
    }

    async fn read(&self, key: &ObjectKey) -> Result<Bytes, BackendError> {
        self.backend.get_range(key, 0..u64::MAX).await
    }

    /// What is wrong, and how far the clocks are apart.
    async fn round_trip(
        &self,
        clock: &dyn Clock,
    ) -> Result<(Option<String>, Option<i64>), BackendError> {
        let (key, body) = (self.key("small")?, pattern(70_000, 0));
        let put = self.backend.put_new(&key, body.clone()).await?;
        let now = clock.now_unix_s();
        let meta = self.backend.head(&key).await?;
        let part = self.backend.get_range(&key, 65_530..65_545).await?;
        let listed = self.backend.list(&self.prefix, None).await?.keys;
        let broken = if put != Put::Created {
            Some("a free name counts as taken".to_owned())
        } else if meta.len_bytes != body.len() as u64 {
            Some(format!("{} bytes of {}", meta.len_bytes, body.len()))
        } else if part != body.slice(65_530..65_545) || self.read(&key).await? != body {
            Some("other bytes came back".to_owned())
        } else if listed != [key] {
            Some("a stored object is not listed".to_owned())
        } else {
            None
        };
        Ok((broken, meta.modified.map(|theirs| skew_s(theirs, now))))
    }

    async fn no_overwrite(&self) -> Result<Option<String>, BackendError> {
        let (key, body) = (self.key("taken")?, pattern(100, 1));
        self.backend.put_new(&key, body.clone()).await?;
        let again = self.backend.put_new(&key, pattern(100, 2)).await?;
        let kept = self.read(&key).await? == body;
        Ok(match (again, kept) {
            (Put::AlreadyExists, true) => None,
            (_, false) => Some("the second writer replaced the first".to_owned()),
            (Put::Created, true) => Some("the second writer was told that it created".to_owned()),
        })
    }

    async fn one_winner(&self) -> Result<Option<String>, BackendError> {
        let key = self.key("race")?;
        let racers = (0..RACERS).map(|racer| {
            let body = pattern(1000, racer.to_le_bytes()[0]);
            self.backend.put_new(&key, body)
        });
        let mut winners = 0;
        for answer in join_all(racers).await {
            winners += usize::from(answer? == Put::Created);
        }
        Ok((winners != 1).then(|| format!("{winners} were told that they created it")))
    }

    async fn latency(&self) -> Result<Duration, BackendError> {
        let key = self.key("small")?;
        let mut times = Vec::with_capacity(LOOKS);
        for _ in 0..LOOKS {
            let begun = Instant::now();
            self.backend.head(&key).await?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        Ok(times[LOOKS / 2])
    }

    async fn throughput(&self) -> Result<(u64, u64), BackendError> {
        let (key, body) = (self.key("long")?, pattern(LONG_LEN_BYTES, 3));
        let begun = Instant::now();
        self.backend.put_new(&key, body).await?;
        let written = begun.elapsed();
        let begun = Instant::now();
        let len_bytes = self.read(&key).await?.len();
        Ok((
            rate(LONG_LEN_BYTES, written),
            rate(len_bytes, begun.elapsed()),
        ))
    }

    async fn delete(&self) -> Result<Option<String>, BackendError> {
        let left = self.clean().await?;
        let key = self.key("small")?;
        self.backend.delete(std::slice::from_ref(&key)).await?;
        Ok(match self.backend.head(&key).await {
            Err(error) if error.kind == BackendErrorKind::NotFound && left == 0 => None,
            Err(error) if error.kind != BackendErrorKind::NotFound => return Err(error),
            _ => Some("deleted objects are still there".to_owned()),
        })
    }

    /// Deletes everything below the prefix; how many objects are still listed then.
    async fn clean(&self) -> Result<usize, BackendError> {
        let keys = self.backend.list(&self.prefix, None).await?.keys;
        self.backend.delete(&keys).await?;
        Ok(self.backend.list(&self.prefix, None).await?.keys.len())
    }
}

/// Seconds by which `theirs` is ahead of ours.
fn skew_s(theirs: SystemTime, ours_unix_s: u64) -> i64 {
    let theirs = theirs.duration_since(UNIX_EPOCH).unwrap_or_default();
    let signed = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    signed(theirs.as_secs()).saturating_sub(signed(ours_unix_s))
}

/// Bytes a second; what took no time is counted as if it took a microsecond.
fn rate(len_bytes: usize, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    let per_s = (len_bytes as u128).saturating_mul(1_000_000) / micros;
    u64::try_from(per_s).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{FixedClock, SystemClock};
    use crate::entropy::OsEntropy;
    use crate::memory::MemoryBackend;
    use crate::testing::{Fault, FaultyBackend, Plan};

    async fn of(backend: &dyn StorageBackend) -> ProbeReport {
        probe(backend, &OsEntropy, &SystemClock).await.unwrap()
    }

    #[tokio::test]
    async fn the_reference_keeps_everything_and_nothing_is_left() {
        let memory = MemoryBackend::new("m");
        let report = of(&memory).await;
        assert!(report.is_usable());
        assert!(report.checks.iter().all(|check| check.broken.is_none()));
        assert_eq!(report.checks.len(), 4);
        assert_eq!(report.erasure, Erasure::Erases);
        assert!(report.clock_skew_s.unwrap().abs() <= 1);
        assert!(report.read_bytes_per_s > 0 && report.write_bytes_per_s > 0);
        assert!(memory.list("", None).await.unwrap().keys.is_empty());
    }

    #[tokio::test]
    async fn another_time_is_noticed() {
        let then = FixedClock(SystemClock.now_unix_s() + 600);
        let memory = MemoryBackend::new("m");
        let report = probe(&memory, &OsEntropy, &then).await.unwrap();
        let skew_s = report.clock_skew_s.unwrap();
        assert!((-602..=-598).contains(&skew_s), "{skew_s}");
        assert_eq!(skew_s_of(7, 3), 4);
    }

    fn skew_s_of(theirs_s: u64, ours_s: u64) -> i64 {
        skew_s(UNIX_EPOCH + Duration::from_secs(theirs_s), ours_s)
    }

    #[tokio::test]
    async fn bytes_that_change_make_a_backend_useless() {
        let flip = Fault::FlipBit {
            prefix: String::new(),
            offset_bytes: 65_540,
            bit: 3,
        };
        let faulty = FaultyBackend::new(MemoryBackend::new("m"), Plan::new([flip]));
        let report = of(&faulty).await;
        assert!(!report.is_usable());
        assert_eq!(report.checks[0].property, Property::RoundTrip);
        assert_eq!(
            report.checks[0].broken.as_deref(),
            Some("other bytes came back")
        );
    }

    #[tokio::test]
    async fn a_refusal_is_told_as_it_is() {
        let fail = Fault::FailCalls {
            calls: 0..u64::MAX,
            kind: BackendErrorKind::AuthFailed,
        };
        let faulty = FaultyBackend::new(MemoryBackend::new("m"), Plan::new([fail]));
        let error = probe(&faulty, &OsEntropy, &SystemClock).await.unwrap_err();
        assert_eq!(error.code(), "BACKEND_AUTH_FAILED");
    }
}
