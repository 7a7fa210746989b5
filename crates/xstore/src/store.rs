//! `Store`: the public face, composing the operations below.

use std::sync::{Arc, Mutex};

use xorida_core::{AccessStructure, Padding};

use crate::backend::StorageBackend;
use crate::catalogue::{Catalogue, MemoryCatalogue, Retired};
use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, OsEntropy};
use crate::error::Error;
use crate::geometry::{DEFAULT_CHUNK_LEN, Layout};
use crate::ids::DeviceId;
use crate::journal::Journal;
use crate::keys::OwnerKeys;
use crate::keys::trust::TrustedMakers;
use crate::manifest::Verifier;
use crate::placement::{self, FailureDomain};

mod check;
mod commit;
mod copies;
pub(crate) mod deal;
mod delete;
mod erase;
mod experience;
mod find;
mod gather;
mod gc;
mod get;
mod list;
mod listing;
mod migrate;
mod next;
mod opened;
mod put;
mod read;
mod recover;
mod refresh;
mod rekey;
mod relocate;
mod renew;
mod repair;
mod resolve;
mod retire;
mod salvage;
mod sequel;
mod sites;
pub(crate) mod source;
mod tomb;
mod upload;

pub use check::{CheckOptions, CheckReport, CheckedShare, Health, Metadata, MetadataFault, Subset};
pub use delete::DeleteReport;
pub use find::{Found, Freshness};
pub use gc::{Brake, GcAction, GcOptions, GcReport, GcStep};
pub use get::{GetOptions, GetReport, Guard, always};
pub use list::{Listed, Listing, Objects, Unlisted};
pub use migrate::{MigrateOptions, MigrateReport};
pub use put::{Happy, OnCommit, PutOptions, Receipt, Resumption, nothing_more};
pub use recover::{Recovered, RecoveryReport, Remedy, Unfinished};
pub use refresh::{OldShare, OldShares, RefreshOptions, RefreshReport};
pub use rekey::RekeyReport;
pub use relocate::ShareSource;
pub use renew::RenewReport;
pub use repair::{RepairOptions, RepairReport, RepairedShare};
pub use resolve::ResolveReport;
pub use retire::{IfItAnswers, Member, MemberState};
pub use salvage::SalvageReport;

use experience::Experience;
use sites::Identities;

/// Manifests of makers that nobody pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownMakers {
    /// Are refused with their fingerprint.
    #[default]
    Refuse,
    /// Are read, and reported as unproven; never one of our own that fails its check.
    Accept,
}

/// Whether an operation changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effects {
    /// It does what it reports.
    #[default]
    Apply,
    /// It reports what it would do.
    Preview,
}

/// A backend of a store, and who can reach it.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    pub(crate) backend: Arc<dyn StorageBackend>,
    pub(crate) domain: FailureDomain,
}

/// Split storage over several backends.
///
/// Every put is dealt into n shares, one for each backend; any k give it back, fewer say nothing
/// about it. Operations are the methods of the same names.
#[derive(Debug)]
pub struct Store {
    backends: Vec<Attached>,
    access: Option<AccessStructure>,
    chunk_len: u32,
    padding: Padding,
    keys: Option<Arc<OwnerKeys>>,
    trusted: TrustedMakers,
    unknown_makers: UnknownMakers,
    device: DeviceId,
    catalogue: Arc<dyn Catalogue>,
    journal: Option<Journal>,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
    experience: Arc<Experience>,
    identities: Identities,
    opened: opened::Opened,
    /// Backends that the catalogue says are gone.
    retired: Mutex<Vec<Retired>>,
}

/// Builds a [`Store`]; what is not set has the default named at its method.
#[derive(Debug)]
pub struct StoreBuilder(Store);

impl Store {
    /// Starts with no backends.
    #[must_use]
    pub fn builder() -> StoreBuilder {
        StoreBuilder(Self {
            backends: Vec::new(),
            access: None,
            chunk_len: DEFAULT_CHUNK_LEN,
            padding: Padding::None,
            keys: None,
            trusted: TrustedMakers::default(),
            unknown_makers: UnknownMakers::Refuse,
            device: DeviceId([0; 16]),
            catalogue: Arc::new(MemoryCatalogue::default()),
            journal: None,
            entropy: Arc::new(OsEntropy),
            clock: Arc::new(SystemClock),
            experience: Arc::default(),
            identities: Identities::default(),
            opened: opened::Opened::default(),
            retired: Mutex::default(),
        })
    }

    /// The owner's keys.
    ///
    /// # Errors
    /// [`Error::KeyMissing`] when this store was opened for reading only.
    pub fn keys(&self) -> Result<&OwnerKeys, Error> {
        self.keys.as_deref().ok_or(Error::KeyMissing)
    }

    /// Labels of the backends, in the order in which they were added: that of the share indices.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.backends.iter().map(|site| site.backend.id())
    }

    /// How new objects are cut and dealt.
    ///
    /// # Errors
    /// [`Error::Config`] without a threshold, or when there are fewer backends than shares.
    pub fn layout(&self) -> Result<Layout, Error> {
        let access = self
            .access
            .ok_or_else(|| Error::Config("a threshold is needed to write".into()))?;
        if usize::from(access.share_count()) > self.backends.len() {
            return Err(Error::Config(format!(
                "{} shares need as many backends, and there are {}",
                access.share_count(),
                self.backends.len()
            )));
        }
        Layout::try_new(access, self.padding, self.chunk_len)
    }

    /// Refuses a placement in which one party could read alone; draws no random byte. Of more
    /// backends than shares, so many must be free of that.
    ///
    /// # Errors
    /// [`Error::ZoneQuorum`] naming every such party; [`Error::Config`] as [`Store::layout`].
    pub fn check_placement(&self) -> Result<(), Error> {
        let domains: Vec<&FailureDomain> = self.backends.iter().map(|site| &site.domain).collect();
        check_places(self.layout()?.access, &domains)
    }

    pub(crate) fn verifier(&self) -> Verifier<'_> {
        Verifier {
            owner: self.keys.as_deref(),
            trusted: &self.trusted,
            accept_unsigned: self.unknown_makers == UnknownMakers::Accept,
        }
    }
}

/// Refuses `domains` of which not so many as there are shares can each take one.
pub(crate) fn check_places(
    access: AccessStructure,
    domains: &[&FailureDomain],
) -> Result<(), Error> {
    let count = usize::from(access.share_count());
    if placement::choose(access.threshold(), count, domains).len() == count {
        return Ok(());
    }
    let held = (0..).zip(domains.iter().copied());
    let held: Vec<(u8, &FailureDomain)> = held.collect();
    let findings = placement::check(access.threshold(), &held);
    // Too few of them is for those to tell who know why.
    if findings.is_empty() {
        return Ok(());
    }
    Err(Error::ZoneQuorum(findings))
}

impl StoreBuilder {
    /// Adds a backend and the labels of who can reach it.
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn StorageBackend>, domain: FailureDomain) -> Self {
        self.0.backends.push(Attached { backend, domain });
        self
    }

    /// Shares needed to read, and how many are dealt. Backends beyond that number are spares; a
    /// store that some are missing from reads, and refuses to write.
    #[must_use]
    pub fn threshold(mut self, access: AccessStructure) -> Self {
        self.0.access = Some(access);
        self
    }

    /// Plaintext bytes of a chunk: a power of two from 64 KiB to 16 MiB, default 2 MiB.
    #[must_use]
    pub fn chunk_len(mut self, chunk_len: u32) -> Self {
        self.0.chunk_len = chunk_len;
        self
    }

    /// Whether lengths are hidden; by default they are not.
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> Self {
        self.0.padding = padding;
        self
    }

    /// The owner's keys; without them the store reads only.
    #[must_use]
    pub fn keys(mut self, keys: Arc<OwnerKeys>) -> Self {
        self.0.keys = Some(keys);
        self
    }

    /// Makers whose manifests are accepted beside the owner's; by default none.
    #[must_use]
    pub fn trusted(mut self, trusted: TrustedMakers) -> Self {
        self.0.trusted = trusted;
        self
    }

    /// What happens with manifests of other makers; by default they are refused.
    #[must_use]
    pub fn unknown_makers(mut self, unknown_makers: UnknownMakers) -> Self {
        self.0.unknown_makers = unknown_makers;
        self
    }

    /// Id of this installation, written into manifests.
    #[must_use]
    pub fn device(mut self, device: DeviceId) -> Self {
        self.0.device = device;
        self
    }

    /// The client's memory of versions; by default it ends with the store.
    #[must_use]
    pub fn catalogue(mut self, catalogue: Arc<dyn Catalogue>) -> Self {
        self.0.catalogue = catalogue;
        self
    }

    /// Where intents are kept; without one a crash leaves orphans that nobody knows of.
    #[must_use]
    pub fn journal(mut self, journal: Journal) -> Self {
        self.0.journal = Some(journal);
        self
    }

    /// The random source; by default the operating system's.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.0.entropy = entropy;
        self
    }

    /// The clock; by default the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = clock;
        self
    }

    /// Checks the whole.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no backend, two have one label, or the layout is impossible;
    /// as [`Catalogue::retired`] when the catalogue cannot be read.
    pub fn build(self) -> Result<Store, Error> {
        let mut store = self.0;
        store.retired = Mutex::new(store.catalogue.retired()?);
        if store.backends.is_empty() {
            return Err(Error::Config("a store needs backends".into()));
        }
        let mut labels: Vec<&str> = store
            .backends
            .iter()
            .map(|site| site.backend.id())
            .collect();
        labels.sort_unstable();
        if let Some(twice) = labels.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::Config(format!(
                "two backends are called {}",
                twice[0]
            )));
        }
        if let Some(access) = store.access {
            Layout::try_new(access, store.padding, store.chunk_len)?;
        }
        Ok(store)
    }
}
