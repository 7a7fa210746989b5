//! An installation of the owner: a store that is lost in a crash, a catalogue and a journal that
//! are not.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xorida_core::{AccessStructure, Padding};

use crate::catalogue::{Catalogue as _, MemoryCatalogue};
use crate::error::Error;
use crate::ids::{DeviceId, MakerKey, ManifestHash, ObjectId};
use crate::journal::Journal;
use crate::keys::OwnerKeys;
use crate::manifest::Manifest;
use crate::placement::FailureDomain;
use crate::store::{RecoveryReport, Store};
use crate::testing::power::Watched;
use crate::testing::simulation::backend::{SimulatedBackend, Wire};
use crate::testing::simulation::model::Object;
use crate::testing::simulation::network::Network;
use crate::testing::simulation::operation::CHUNK_LEN;
use crate::testing::simulation::random::{Random, SeededEntropy};

/// What all clients of a run have in common.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) network: Arc<Network>,
    pub(super) backends: Vec<Arc<SimulatedBackend>>,
    pub(super) keys: Arc<OwnerKeys>,
    pub(super) access: AccessStructure,
    pub(super) padding: Padding,
}

/// What outlives a crash, and the store that does not.
#[derive(Debug)]
pub(super) struct Client {
    durable: Durable,
    pub(super) store: Store,
    /// Whether this run of the client still goes on.
    alive: Arc<AtomicBool>,
    /// Whether its machine sleeps.
    pub(super) asleep: Arc<AtomicBool>,
    /// Manifests that recovery has committed, told before the journal forgot them.
    finished: Mutex<Vec<Manifest>>,
    /// The marks that the catalogue had, to see that they never go back.
    pub(super) marks: HashMap<Object, (MakerKey, u64, ManifestHash)>,
}

#[derive(Debug)]
struct Durable {
    device: DeviceId,
    journal: Journal,
    entropy: Arc<SeededEntropy>,
    /// The folder of the journal.
    power: Watched,
    catalogue: Arc<MemoryCatalogue>,
}

impl Client {
    pub(super) fn start(
        number: u8,
        setting: &Setting,
        folder: &Path,
        random: Random,
    ) -> Result<Self, Error> {
        let durable = Durable {
            device: DeviceId([number; 16]),
            journal: Journal::new(&folder.join(number.to_string())),
            power: Watched::new(&folder.join(number.to_string())),
            entropy: Arc::new(SeededEntropy::new(random)),
            catalogue: Arc::default(),
        };
        let asleep = Arc::default();
        let (store, alive) = durable.open(setting, &asleep)?;
        Ok(Self {
            durable,
            store,
            alive,
            asleep,
            finished: Mutex::default(),
            marks: HashMap::new(),
        })
    }

    /// Stops whatever is under way, and begins anew with what is on disk after a power cut.
    pub(super) fn restart(&mut self, setting: &Setting) -> Result<(), Error> {
        self.alive.store(false, Ordering::Relaxed);
        self.durable.power.cut();
        (self.store, self.alive) = self.durable.open(setting, &self.asleep)?;
        Ok(())
    }

    /// Recovers, and keeps in mind what was committed even if the client stops meanwhile.
    pub(super) async fn recover(&self) -> Result<RecoveryReport, Error> {
        let remember = |manifest: &Manifest, _: Option<&str>| {
            self.finished().push(manifest.clone());
            Ok(())
        };
        self.store.recover(remember).await
    }

    /// What recovery has committed since this was last asked.
    pub(super) fn take_finished(&self) -> Vec<Manifest> {
        std::mem::take(&mut self.finished())
    }

    fn finished(&self) -> MutexGuard<'_, Vec<Manifest>> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client remembers of an object, under the latest key that it has seen.
    pub(super) fn mark(
        &self,
        setting: &Setting,
        id: ObjectId,
    ) -> Option<(MakerKey, u64, ManifestHash)> {
        setting.keys.makers().find_map(|maker| {
            let mark = self.durable.catalogue.mark(maker, id).ok().flatten()?;
            Some((maker, mark.version, mark.hash))
        })
    }
}

impl Durable {
    fn open(
        &self,
        setting: &Setting,
        asleep: &Arc<AtomicBool>,
    ) -> Result<(Store, Arc<AtomicBool>), Error> {
        let alive = Arc::new(AtomicBool::new(true));
        let mut builder = Store::builder()
            .threshold(setting.access)
            .padding(setting.padding)
            .chunk_len(u32::try_from(CHUNK_LEN).unwrap_or(u32::MAX))
            .keys(Arc::clone(&setting.keys))
            .device(self.device)
            .journal(self.journal.clone())
            .entropy(Arc::clone(&self.entropy) as _)
            .clock(Arc::clone(&setting.network) as _)
            .catalogue(Arc::clone(&self.catalogue) as _);
        for backend in &setting.backends {
            let (backend, alive) = (Arc::clone(backend), Arc::clone(&alive));
            let asleep = Arc::clone(asleep);
            let wire = Wire {
                backend,
                alive,
                asleep,
            };
            builder = builder.backend(Arc::new(wire), FailureDomain::default());
        }
        Ok((builder.build()?, alive))
    }
}
