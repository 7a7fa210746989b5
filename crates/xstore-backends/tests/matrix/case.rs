//! One cell of the matrix: a committed object, a fault, an operation, and then a world that is well
//! again and must be as if the operation had happened or had not.

use xstore::Manifest;

use crate::fault::Fault;
use crate::judge::Judge;
use crate::operation::Operation;
use crate::world::{Ground, Objects, World};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) ground: Ground,
    pub(crate) fault: Fault,
    pub(crate) operation: Operation,
    /// Threshold, shares and faulty backends.
    pub(crate) setting: (u8, u8, usize),
}

/// The payload of one version: text, so that it would be seen wherever it does not belong.
pub(crate) fn payload(version: &str) -> Vec<u8> {
    let line = |number| format!("{version} genome of nobody, line {number:04}\n");
    (0..40).map(line).collect::<String>().into_bytes()
}

impl Case {
    /// Whether a backend does not say which one it is any more, so that nobody can tell what it has
    /// removed: recovery waits for its identity. A share that is written over another object at a new
    /// backend is written over that.
    pub(crate) const fn loses_identity(self) -> bool {
        match self.fault {
            Fault::ObjectsGone => true,
            Fault::MisdirectedWrite => matches!(self.operation, Operation::Migrate),
            _ => false,
        }
    }

    /// Whether as many shares as are needed are at backends without a fault.
    pub(crate) const fn leaves_threshold(&self) -> bool {
        let (k, n, faulty) = self.setting;
        faulty <= (n - k) as usize
    }

    /// The code in which the operation ends, or `ok`; panics when something must not be.
    pub(crate) async fn run(self) -> &'static str {
        let (k, n, count) = self.setting;
        let world = World::new(self.ground, k, n);
        let (manifest, old) = self.prepare(&world).await;
        let faulty = self.operation.faulty(&world, count);
        self.fault.comes(&world, &faulty, &old).await;
        let ended = self
            .operation
            .run(&world, &manifest, &payload("next"))
            .await;
        let judge = Judge {
            case: self,
            world: &world,
        };
        judge.ended(&ended);
        world.plans.iter().for_each(|plan| plan.set([]));
        judge.after(&manifest, ended.result.is_ok()).await;
        ended.result.map_or_else(|error| error.code(), |()| "ok")
    }

    /// A committed object with an older version, and what the backends held of that.
    async fn prepare(&self, world: &World) -> (Manifest, Vec<Objects>) {
        world.put(&payload("old")).await.unwrap();
        let mut old = Vec::new();
        for at in 0..world.sites.len() {
            old.push(world.objects(at).await);
        }
        if self.operation == Operation::Gc {
            world.put(&payload("middle")).await.unwrap();
        }
        let manifest = world.put(&payload("this")).await.unwrap();
        self.operation.needs(world).await;
        (manifest, old)
    }
}
