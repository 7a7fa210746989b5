//! What every command needs: terminal, home, random source, clock; and how a store is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use genomicshare::{Endpoint, LawTable, Sites};
use jiff::Timestamp;
use xstore::absent::Absent;
use xstore::entropy::{CountingEntropy, OsEntropy};
use xstore::keys::OwnerKeys;
use xstore::placement::{FailureDomain, THIS_COMPUTER};
use xstore::{
    AccessStructure, BackendError, BackendErrorKind, Happy, Home, Padding, Recovered,
    StorageBackend, Store, StoreBuilder, UnknownMakers,
};
use xstore_backends::{ConnectError, Place};

use crate::args::{Backends, Global, Pad, Transfer};
use crate::backends::Book;
use crate::commands::source::read_bounded;
use crate::credentials;
use crate::failure::Failure;
use crate::meters::Meters;
use crate::size;
use crate::terminal::Terminal;

/// The surroundings of one run.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) terminal: Terminal,
    pub(crate) home: Home,
    /// Every random byte of the program is drawn and counted here.
    pub(crate) entropy: Arc<CountingEntropy<OsEntropy>>,
    /// How every backend is asked.
    pub(crate) transfer: Transfer,
    /// How often every backend is asked.
    pub(crate) meters: Meters,
}

/// A backend to be opened.
struct Target<'a> {
    label: &'a str,
    url: &'a str,
    /// Whose credentials are used where the URL does not say.
    profile: Option<&'a str>,
}

/// Why a backend could not be opened: for people, and as its own answer to every request.
struct Unopened {
    failure: Failure,
    answer: BackendError,
}

/// Backends in the order of the configuration. One that could not be opened keeps its place, so that
/// the labels and shares of the others stay theirs.
#[derive(Default)]
struct Connected {
    backends: Vec<(Arc<dyn StorageBackend>, FailureDomain)>,
    /// Why some could not be opened.
    absent: Vec<Failure>,
}

impl Connected {
    /// The first whose URL or credential leads nowhere, today or later.
    fn misnamed(&self) -> Option<&Failure> {
        let lasting = ["INVALID_CONFIG", "KEY_UNSAFE", "KEY_MISMATCH"];
        let mut absent = self.absent.iter();
        absent.find(|failure| lasting.contains(&failure.code))
    }
}

impl Session {
    pub(crate) fn new(global: &Global, payload_on_stdout: bool) -> Self {
        let terminal = Terminal {
            json: global.json,
            quiet: global.quiet,
            payload_on_stdout,
        };
        let home = Home::new(&global.home.clone().unwrap_or_else(default_home));
        Self {
            terminal,
            home,
            entropy: Arc::new(CountingEntropy::new(OsEntropy)),
            transfer: global.transfer.clone(),
            meters: Meters::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// The owner's keys, made on first use.
    pub(crate) fn keys_or_new(&self) -> Result<Arc<OwnerKeys>, Failure> {
        let (keys, new) = self.home.keys_or_new(&*self.entropy)?;
        if new {
            let path = self.home.root_key_path();
            self.terminal.warn(&format!(
                "a root key was made in {}: back it up with `xgene keys backup`",
                path.display()
            ));
        }
        Ok(Arc::new(keys))
    }

    /// A store over the jurisdictions of `sites`, for writing: all must be there, unless it is to be
    /// degraded.
    pub(crate) async fn writer(
        &self,
        sites: &Sites,
        pad: Pad,
        happy: Happy,
    ) -> Result<Store, Failure> {
        let connected = self.connect_sites(sites, |_| true);
        let refused = match happy {
            Happy::Degraded => connected.misnamed(),
            _ => connected.absent.first(),
        };
        if let Some(refused) = refused {
            return Err(refused.clone());
        }
        self.warn_absent(&connected);
        let share_count = u8::try_from(sites.count()).unwrap_or(u8::MAX);
        let access = access(sites.threshold(), share_count)?;
        let builder = self
            .builder(connected.backends)?
            .keys(self.keys_or_new()?)
            .device(self.home.device(&*self.entropy)?)
            .threshold(access)
            .chunk_len(sites.chunk_len_bytes())
            .padding(padding(pad));
        self.recovered(builder.build()?).await
    }

    /// A store over those jurisdictions of `sites` that `wanted` names, for reading: some may be
    /// absent.
    pub(crate) fn reader(
        &self,
        sites: &Sites,
        wanted: impl Fn(&str) -> bool,
        unknown_makers: UnknownMakers,
    ) -> Result<Store, Failure> {
        let connected = self.connect_sites(sites, wanted);
        self.warn_absent(&connected);
        let builder = self
            .builder(connected.backends)?
            .unknown_makers(unknown_makers);
        let builder = match self.home.keys()? {
            Some(keys) => builder.keys(Arc::new(keys)),
            None => builder,
        };
        Ok(builder.build()?)
    }

    /// As [`Session::reader`] over all of `sites`, for what also writes: its owner's manifests name this
    /// installation, and what earlier runs left is ended first.
    pub(crate) async fn mender(&self, sites: &Sites) -> Result<Store, Failure> {
        let connected = self.connect_sites(sites, |_| true);
        self.warn_absent(&connected);
        let builder = self.builder(connected.backends)?;
        let Some(keys) = self.home.keys()? else {
            // Others repair what is there, and write no manifests.
            return Ok(builder.build()?);
        };
        let builder = builder
            .keys(Arc::new(keys))
            .device(self.home.device(&*self.entropy)?);
        self.recovered(builder.build()?).await
    }

    /// The owner's keys, which are there already: only writing makes new ones.
    pub(crate) fn keys(&self) -> Result<Arc<OwnerKeys>, Failure> {
        let keys = self.home.keys()?.ok_or(xstore::Error::KeyMissing)?;
        Ok(Arc::new(keys))
    }

    /// A store of the owner of `keys` over backends of the command line, in which nothing of earlier
    /// runs is left to do.
    pub(crate) async fn store(
        &self,
        keys: Arc<OwnerKeys>,
        backends: &Backends,
        pad: Pad,
    ) -> Result<Store, Failure> {
        self.recovered(self.unrecovered(keys, backends, pad)?).await
    }

    /// The same store as earlier runs left it.
    pub(crate) fn unrecovered(
        &self,
        keys: Arc<OwnerKeys>,
        backends: &Backends,
        pad: Pad,
    ) -> Result<Store, Failure> {
        let meant = self.meant_by(backends)?;
        if meant.len() < 2 {
            return Err(Failure::usage(
                "a store needs at least two backends: give --backend, or `xgene store backend add`",
            ));
        }
        let count = u8::try_from(meant.len()).unwrap_or(u8::MAX);
        let access = access(backends.threshold, backends.shares.unwrap_or(count))?;
        if meant.iter().any(|(_, url)| url.starts_with("memory:")) {
            return Err(Failure::usage(
                "what is put into memory: ends with the program",
            ));
        }
        let mut connected = Connected::default();
        for (label, url) in &meant {
            let target = Target {
                label,
                url,
                profile: None,
            };
            self.connect(&mut connected, &target, domain_of(url));
        }
        if let Some(misnamed) = connected.misnamed() {
            return Err(Failure::usage(misnamed.message.clone()));
        }
        // Many an operation gets by without some backends, so it decides whether it can.
        self.warn_absent(&connected);
        let chunk_len = chunk_len(&backends.chunk_size)?;
        let builder = self
            .builder(connected.backends)?
            .threshold(access)
            .keys(keys)
            .device(self.home.device(&*self.entropy)?)
            .chunk_len(chunk_len)
            .padding(padding(pad));
        Ok(builder.build()?)
    }

    /// Label and URL of each backend that the command line means.
    pub(crate) fn meant_by(&self, backends: &Backends) -> Result<Vec<(String, String)>, Failure> {
        Book::open(&self.home)?.meant_by(backends)
    }

    /// One backend, asked through the options of the command line.
    pub(crate) fn backend(
        &self,
        label: &str,
        url: &str,
    ) -> Result<Arc<dyn StorageBackend>, Failure> {
        let target = Target {
            label,
            url,
            profile: None,
        };
        let backend = self.open(&target).map_err(|unopened| unopened.failure)?;
        Ok(self.patient(url, backend))
    }

    /// The backend at `url` asked by somebody who is not let in anywhere; `None` where nobody has to
    /// say who asks.
    pub(crate) fn stranger(
        &self,
        label: &str,
        url: &str,
    ) -> Result<Option<Arc<dyn StorageBackend>>, Failure> {
        let refused = |error: ConnectError| Failure::from(&error);
        let mut place = Place::parse(url).map_err(refused)?;
        // Whoever it would be, a stranger asks instead.
        let _ = place.take("credential");
        let Some(source) = place.stranger() else {
            return Ok(None);
        };
        let backend = place.connect(label, &source).map_err(refused)?;
        Ok(Some(self.patient(url, backend)))
    }

    /// The backend as the options of the command line ask it, and counted.
    fn patient(&self, url: &str, backend: Arc<dyn StorageBackend>) -> Arc<dyn StorageBackend> {
        let entropy = Arc::clone(&self.entropy) as _;
        let metered = self.meters.before(backend);
        self.transfer.before(url, metered, entropy)
    }

    fn connect_sites(&self, sites: &Sites, wanted: impl Fn(&str) -> bool) -> Connected {
        let mut connected = Connected::default();
        for site in sites.iter().filter(|site| wanted(site.code.as_str())) {
            let target = Target {
                label: site.code.as_str(),
                url: site.endpoint.url(),
                profile: site.credential.as_deref(),
            };
            self.connect(&mut connected, &target, site.failure_domain(law()));
        }
        connected
    }

    /// Adds the backend at `url`, which is asked through the options of the command line; or what
    /// stands in for it, which needs no patience.
    fn connect(&self, connected: &mut Connected, to: &Target<'_>, domain: FailureDomain) {
        let backend: Arc<dyn StorageBackend> = match self.open(to) {
            Ok(backend) => self.patient(to.url, backend),
            Err(unopened) => {
                connected.absent.push(unopened.failure);
                Arc::new(Absent::new(unopened.answer))
            }
        };
        connected.backends.push((backend, domain));
    }

    fn open(&self, to: &Target<'_>) -> Result<Arc<dyn StorageBackend>, Box<Unopened>> {
        let refused = |error: ConnectError| {
            let failure = Failure::from(&error);
            let answer = error.into_backend(to.label);
            Box::new(Unopened { failure, answer })
        };
        let mut place = Place::parse(to.url).map_err(refused)?;
        let named = place.take("credential");
        let profile = named.as_deref().or(to.profile);
        // Nobody is asked who opens a file.
        let profile = profile.filter(|_| !is_local(place.scheme()));
        let source = credentials::source(&self.home, profile).map_err(|failure| {
            let (kind, cause) = (BackendErrorKind::AuthFailed, failure.message.clone());
            let answer = BackendError::with_source(kind, to.label, cause);
            let failure = failure.of(to.label);
            Box::new(Unopened { failure, answer })
        })?;
        place.connect(to.label, &source).map_err(refused)
    }

    fn warn_absent(&self, connected: &Connected) {
        for absent in &connected.absent {
            self.terminal
                .warn(&format!("{} ({})", absent.message, absent.code));
        }
    }

    fn builder(
        &self,
        backends: Vec<(Arc<dyn StorageBackend>, FailureDomain)>,
    ) -> Result<StoreBuilder, Failure> {
        let mut builder = Store::builder()
            .trusted(self.home.trusted()?)
            .catalogue(Arc::new(self.home.catalogue()))
            .journal(self.home.journal())
            .entropy(Arc::clone(&self.entropy) as _);
        for (backend, domain) in backends {
            builder = builder.backend(backend, domain);
        }
        Ok(builder)
    }

    /// Ends what earlier runs left unfinished, and says so.
    async fn recovered(&self, store: Store) -> Result<Store, Failure> {
        let report = store
            .recover(|manifest, note| match note {
                Some(path) => write_manifest(Path::new(path), manifest.envelope()),
                None => Ok(()),
            })
            .await?;
        for recovered in &report.recovered {
            match recovered {
                Recovered::Finished {
                    manifest,
                    note: Some(path),
                } => self.terminal.warn(&format!(
                    "an earlier run was finished: {path} names object {}",
                    manifest.body().object_id
                )),
                Recovered::Finished {
                    manifest,
                    note: None,
                } => self.terminal.warn(&format!(
                    "an earlier run was finished: object {}",
                    manifest.body().object_id
                )),
                Recovered::Undone => self.terminal.warn("what an earlier run left was removed"),
            }
        }
        if !report.resumable.is_empty() {
            self.terminal.warn(
                "a run that was stopped can go on: give its command again with --resume; \
                 a day after it stopped, what it stored is removed",
            );
        }
        for postponed in &report.postponed {
            self.terminal.warn(&format!(
                "an earlier run cannot be finished yet: {postponed}"
            ));
        }
        Ok(store)
    }
}

/// Writes a manifest file wholly or not at all; one that is there already with the same bytes is
/// well.
pub(crate) fn write_manifest(path: &Path, envelope: &[u8]) -> Result<(), xstore::Error> {
    let there = path
        .metadata()
        .ok()
        .filter(|meta| meta.len() == envelope.len() as u64);
    match there.map(|_| std::fs::read(path)) {
        Some(Ok(there)) if there == envelope => Ok(()),
        _ if path.symlink_metadata().is_ok() => Err(xstore::Error::Conflict(format!(
            "{} is another manifest",
            path.display()
        ))),
        _ => xstore::part_file::write_whole(path, envelope),
    }
}

pub(crate) fn law() -> &'static LawTable {
    LawTable::builtin()
}

/// No sites file is longer: 251 jurisdictions of four kilobytes.
const MAX_SITES_LEN: u64 = 1 << 20;

/// Reads a sites file; relative endpoints are below its folder.
pub(crate) fn read_sites(path: &Path, threshold: Option<u8>) -> Result<Sites, Failure> {
    let bytes = read_bounded(path, MAX_SITES_LEN)?;
    // Only what stands in the file is judged, not the way to it.
    let absolute = std::path::absolute(path).map_err(|error| Failure::input(path, &error))?;
    let folder = std::fs::canonicalize(absolute.parent().unwrap_or(Path::new("/")))
        .map_err(|error| Failure::input(path, &error))?;
    let sites = Sites::from_toml(&bytes, &folder)?;
    match threshold {
        Some(threshold) => Ok(sites.with_threshold(threshold)?),
        None => Ok(sites),
    }
}

/// Schemes without a network behind them.
fn is_local(scheme: &str) -> bool {
    ["file", "memory", "sqlite"].contains(&scheme)
}

/// What is on this computer has nobody named for it; whoever has the credential of a bucket reads all
/// that it opens.
fn domain_of(url: &str) -> FailureDomain {
    let scheme = url.split(':').next().unwrap_or_default();
    if is_local(scheme) {
        return FailureDomain {
            host: Some(THIS_COMPUTER.to_owned()),
            ..Default::default()
        };
    }
    // A URL that cannot be read has its say when it is opened.
    let endpoint = Endpoint::parse(url, Path::new("/")).ok();
    let domain = endpoint.as_ref().map(Endpoint::failure_domain);
    domain.unwrap_or_default()
}

pub(crate) fn access(threshold: u8, share_count: u8) -> Result<AccessStructure, Failure> {
    AccessStructure::try_new(threshold, share_count)
        .map_err(|error| Failure::usage(error.to_string()))
}

const fn padding(pad: Pad) -> Padding {
    match pad {
        Pad::Padme => Padding::Padme,
        Pad::None => Padding::None,
    }
}

/// `64KiB` to `16MiB` in bytes.
fn chunk_len(text: &str) -> Result<u32, Failure> {
    let bytes = size::bytes(text).and_then(|bytes| u32::try_from(bytes).ok());
    bytes.ok_or_else(|| Failure::usage(format!("`{text}` is not a size like 64KiB or 2MiB")))
}

pub(crate) fn default_home() -> PathBuf {
    let config = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty());
    let config = config.map_or_else(
        || {
            let home = std::env::var_os("HOME").unwrap_or_else(|| ".".into());
            PathBuf::from(home).join(".config")
        },
        PathBuf::from,
    );
    config.join("xgene")
}
