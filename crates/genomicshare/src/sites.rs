//! The sites file: which jurisdictions hold a share, where, and how many are needed to read.

pub mod endpoint;
mod file;

use std::path::Path;

use xstore::placement::{FailureDomain, THIS_COMPUTER};

pub use endpoint::Endpoint;

use crate::error::{ConfigProblem, ConfigReason, Error};
use crate::jurisdiction::{JurisdictionCode, LawTable};

/// Fewest jurisdictions: with one there is nothing to split.
pub const SITE_COUNT_MIN: usize = 2;
/// Most jurisdictions: the largest share count of the scheme.
pub const SITE_COUNT_MAX: usize = 251;
/// Smallest threshold: with one, every site can read alone.
pub const THRESHOLD_MIN: u8 = 2;
/// Length of a chunk where the file names none: 2 MiB.
pub const CHUNK_LEN_BYTES_DEFAULT: u32 = 2 * 1024 * 1024;
/// Shortest chunk: 64 KiB.
pub const CHUNK_LEN_BYTES_MIN: u32 = 64 * 1024;
/// Longest chunk: 16 MiB.
pub const CHUNK_LEN_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// A checked sites file: 2 to 251 jurisdictions, all distinct, and a threshold among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sites {
    threshold: u8,
    chunk_len_bytes: u32,
    sites: Vec<Site>,
}

/// One jurisdiction and the place that keeps its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Whose law the place is under.
    pub code: JurisdictionCode,
    /// Name as the operator writes it; else the law table's.
    pub name: Option<String>,
    /// Regulation as the operator writes it; else the law table's.
    pub regulation: Option<String>,
    /// Where the share lies.
    pub endpoint: Endpoint,
    /// Organisation that runs the place. Without one, nobody says that two places are distinct.
    pub operator: Option<String>,
    /// Name of the credential's source, such as a profile; never the credential.
    pub credential: Option<String>,
    /// The provider's region, such as `eu-central-1`.
    pub region: Option<String>,
}

impl Sites {
    /// Reads a sites file. A folder written as `./name` is taken relative to `base`, the absolute
    /// folder of the sites file.
    ///
    /// # Errors
    /// [`Error::Config`]: a text that is no TOML or has unknown, doubled or missing keys names the
    /// line; everything else that is wrong is reported together, by jurisdiction and key.
    ///
    /// # Examples
    /// ```
    /// use genomicshare::Sites;
    /// use std::path::Path;
    ///
    /// let text = br#"
    /// threshold = 2
    /// [[jurisdiction]]
    /// code = "DE"
    /// endpoint = "./shares/de"
    /// [[jurisdiction]]
    /// code = "CA"
    /// endpoint = "s3://genomes-ca/shares"
    /// operator = "hospital-b"
    /// "#;
    /// let sites = Sites::from_toml(text, Path::new("/srv/study"))?;
    /// assert_eq!(sites.iter().next().map(|site| site.endpoint.url()),
    ///            Some("file:///srv/study/shares/de"));
    /// # Ok::<(), genomicshare::Error>(())
    /// ```
    pub fn from_toml(bytes: &[u8], base: &Path) -> Result<Self, Error> {
        file::read(bytes, base)
    }

    /// The same sites with another threshold.
    ///
    /// # Errors
    /// [`Error::Config`] unless it is at least 2 and at most the number of sites.
    pub fn with_threshold(self, threshold: u8) -> Result<Self, Error> {
        let threshold = checked_threshold(i64::from(threshold), self.sites.len())?;
        Ok(Self { threshold, ..self })
    }

    /// Shares needed to read.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Sites, which is shares per chunk.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sites.len()
    }

    /// Length of a chunk of payload, in bytes: a power of two from 64 KiB to 16 MiB.
    #[must_use]
    pub fn chunk_len_bytes(&self) -> u32 {
        self.chunk_len_bytes
    }

    /// The sites in the order of the file, which is the order of share indices from 0.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Site> {
        self.sites.iter()
    }

    /// The codes in the same order.
    #[must_use]
    pub fn codes(&self) -> Vec<JurisdictionCode> {
        self.sites.iter().map(|site| site.code).collect()
    }
}

impl Site {
    /// Whose credentials open the place: the profile that is named for it, or the endpoint's own.
    #[must_use]
    pub fn credential(&self) -> Option<String> {
        self.credential
            .clone()
            .or_else(|| self.endpoint.credential())
    }

    /// Who can reach the share here. The zone is always stated; a place on this computer that has
    /// no operator carries [`THIS_COMPUTER`] as its host, one with an operator carries none, since
    /// the folder may be that operator's mount.
    #[must_use]
    pub fn failure_domain(&self, law: &LawTable) -> FailureDomain {
        let host = if !self.endpoint.is_local() {
            self.endpoint.host().map(str::to_owned)
        } else if self.operator.is_none() {
            Some(THIS_COMPUTER.to_owned())
        } else {
            None
        };
        FailureDomain {
            zone: Some(law.zone_of(self.code).to_string()),
            operator: self.operator.as_deref().map(comparable),
            credential: self.credential().as_deref().map(comparable),
            host,
        }
    }
}

/// One spelling for names that people write: `Hospital-A ` is `hospital-a`.
fn comparable(name: &str) -> String {
    name.trim().to_lowercase()
}

fn checked_threshold(threshold: i64, count: usize) -> Result<u8, ConfigProblem> {
    u8::try_from(threshold)
        .ok()
        .filter(|k| *k >= THRESHOLD_MIN && usize::from(*k) <= count)
        .ok_or_else(|| {
            ConfigProblem::new("threshold", ConfigReason::Threshold { threshold, count })
        })
}
