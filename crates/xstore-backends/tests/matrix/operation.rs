//! The operations of the matrix, and what each needs before it and leaves after it.

use xstore::{
    Brake, CheckOptions, Error, GcOptions, GetOptions, Manifest, MigrateOptions, RepairOptions,
    Subset,
};

use crate::world::World;

/// Part of the object that a ranged read asks for.
pub(crate) const RANGE: std::ops::Range<u64> = 100..1100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    Get,
    GetRange,
    Check,
    Repair,
    Migrate,
    Delete,
    List,
    Gc,
}

/// What an operation gave, whether it ended well or not.
pub(crate) struct Ended {
    pub(crate) result: Result<(), Error>,
    /// Bytes of the object that were released.
    pub(crate) released: Vec<u8>,
}

impl Operation {
    pub(crate) const ALL: [Self; 9] = [
        Self::Put,
        Self::Get,
        Self::GetRange,
        Self::Check,
        Self::Repair,
        Self::Migrate,
        Self::Delete,
        Self::List,
        Self::Gc,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::GetRange => "get_range",
            Self::Check => "check",
            Self::Repair => "repair",
            Self::Migrate => "migrate",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Gc => "gc",
        }
    }

    /// Whether it gives bytes back, which any k good shares must be enough for.
    pub(crate) const fn reads(self) -> bool {
        matches!(self, Self::Get | Self::GetRange)
    }

    /// Faulty backends: that to which a share moves is the first of them.
    pub(crate) fn faulty(self, world: &World, count: usize) -> Vec<usize> {
        let spare = world.sites.len() - 1;
        match self {
            Self::Migrate => [spare].into_iter().chain(0..spare).take(count).collect(),
            _ => (0..count).collect(),
        }
    }

    /// Makes work for it: a share that is lost.
    pub(crate) async fn needs(self, world: &World) {
        if self == Self::Repair {
            let mut objects = world.objects(0).await;
            objects.retain(|key, _| !key.as_str().contains("/s/"));
            world.replace(0, objects).await;
        }
    }

    /// Runs it on the object of `manifest`; a put stores `payload`.
    pub(crate) async fn run(self, world: &World, manifest: &Manifest, payload: &[u8]) -> Ended {
        let mut released = Vec::new();
        let result = self.apply(world, manifest, payload, &mut released).await;
        Ended { result, released }
    }

    async fn apply(
        self,
        world: &World,
        manifest: &Manifest,
        payload: &[u8],
        released: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let store = world.store();
        match self {
            Self::Put => world.put(payload).await.map(|_| ()),
            Self::Get => {
                let found = store.find_file(manifest.envelope()).await?;
                let options = GetOptions::default();
                let read = store.get(&found.manifest, released, &options).await;
                read.map(|_| ())
            }
            Self::GetRange => {
                let options = GetOptions::default();
                let read = store.get_range(manifest, RANGE, released, &options).await;
                read.map(|_| ())
            }
            Self::Check => {
                let mut options = CheckOptions::default();
                options.data = Some(Subset::All);
                store.check(manifest, &options).await.map(|_| ())
            }
            Self::Repair => {
                let mut options = RepairOptions::default();
                options.data = Some(Subset::All);
                store.repair(manifest, &options).await.map(|_| ())
            }
            Self::Migrate => {
                let (from, to) = ("site-0", format!("site-{}", world.sites.len() - 1));
                let options = MigrateOptions::default();
                let moved = store.migrate(manifest, from, &to, &options).await;
                moved.map(|_| ())
            }
            Self::Delete => store.delete(manifest).await.map(|_| ()),
            Self::List => store.list().await.map(|_| ()),
            Self::Gc => {
                let mut options = GcOptions::default();
                options.brake = Brake::Lifted;
                store.gc(&options).await.map(|_| ())
            }
        }
    }
}
