//! What an operation tells while it runs under faults: bytes never go down, and a share that began
//! ends exactly once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use xstore::progress::{Observer, ProgressEvent, Status};
use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, CheckOptions, Error, GetOptions, Manifest, MigrateOptions, PutOptions,
    RefreshOptions, RepairOptions, Subset, nothing_more,
};

use crate::world::{CHUNK, World, payload};

#[derive(Default)]
struct Recorder(Mutex<Vec<ProgressEvent>>);

impl Observer for Recorder {
    fn progress(&self, event: &ProgressEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Recorder {
    /// Every share that began, by its number: bytes ascend, and there is one end, which is the last.
    fn judge(&self, what: &str) -> usize {
        let events = self.0.lock().unwrap();
        let mut shares: BTreeMap<u8, Vec<&ProgressEvent>> = BTreeMap::new();
        for event in events.iter() {
            shares.entry(event.share_index).or_default().push(event);
        }
        let ends =
            |event: &&ProgressEvent| matches!(event.status, Status::Complete | Status::Failed);
        for (index, events) in &shares {
            let bytes = events.iter().map(|event| event.bytes_transferred);
            assert!(bytes.is_sorted(), "{what}, share {index}: {events:?}");
            let at = events.iter().position(ends);
            assert_eq!(
                at,
                Some(events.len() - 1),
                "{what}, share {index}: {events:?}"
            );
        }
        shares.len()
    }
}

impl Recorder {
    /// How many ends were bad ones.
    fn failed(&self) -> usize {
        let events = self.0.lock().unwrap();
        let failed = events.iter().filter(|event| event.status == Status::Failed);
        failed.count()
    }
}

const ALL: std::ops::Range<u64> = 0..u64::MAX;

/// A sample of the faults of docs/fault-matrix.md, by number.
fn fault(number: usize, calls_before: u64) -> Option<Vec<Fault>> {
    let from = calls_before..u64::MAX;
    let fault = match number {
        0 => return Some(Vec::new()),
        1 => Fault::FailCalls {
            calls: from,
            kind: BackendErrorKind::Unavailable,
        },
        2 => Fault::FailEffects {
            effects: from,
            kind: BackendErrorKind::QuotaExceeded,
        },
        3 => Fault::LoseAnswers {
            effects: from,
            kind: BackendErrorKind::Timeout,
        },
        4 => Fault::LoseEffects { effects: from },
        5 => Fault::BreakWrites {
            effects: from,
            len_bytes: 40,
            kind: BackendErrorKind::Unavailable,
        },
        6 => Fault::FlipBit {
            prefix: String::new(),
            offset_bytes: 70,
            bit: 1,
        },
        7 => Fault::Truncate {
            prefix: String::new(),
            len_bytes: 80,
        },
        8 => Fault::ReadStale,
        9 => Fault::MisdirectWrites { effects: from },
        10 => Fault::Delay {
            calls: ALL,
            by: Duration::from_millis(3),
        },
        _ => return None,
    };
    Some(vec![fault])
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Put,
    Get,
    Check,
    Repair,
    Refresh,
    Migrate,
}

impl Operation {
    async fn run(
        self,
        world: &World,
        manifest: &Manifest,
        recorder: &Arc<Recorder>,
    ) -> Result<(), Error> {
        let (store, observer) = (world.store(), Some(Arc::clone(recorder) as _));
        match self {
            Self::Put => {
                let mut options = PutOptions::default();
                options.observer = observer;
                let data = payload(3 * CHUNK, 3);
                let mut source = &data[..];
                let put = store.put(&mut source, options, &mut nothing_more).await;
                put.map(|_| ())
            }
            Self::Get => {
                let mut options = GetOptions::default();
                options.observer = observer;
                store
                    .get(manifest, &mut Vec::new(), &options)
                    .await
                    .map(|_| ())
            }
            Self::Check => {
                let mut options = CheckOptions::default();
                options.data = Some(Subset::All);
                options.observer = observer;
                store.check(manifest, &options).await.map(|_| ())
            }
            Self::Repair => {
                let mut options = RepairOptions::default();
                options.data = Some(Subset::All);
                options.observer = observer;
                store.repair(manifest, &options).await.map(|_| ())
            }
            Self::Refresh => {
                let mut options = RefreshOptions::default();
                options.observer = observer;
                store.refresh(manifest, &options).await.map(|_| ())
            }
            Self::Migrate => {
                let mut options = MigrateOptions::default();
                options.observer = observer;
                let (from, to) = ("site-0", "site-3");
                let moved = store.migrate(manifest, from, to, &options).await;
                moved.map(|_| ())
            }
        }
    }
}

#[tokio::test]
async fn every_share_that_began_ends_once_whatever_happens() {
    let data = payload(3 * CHUNK, 1);
    let (mut cases, mut shares) = (0, 0);
    for operation in [
        Operation::Put,
        Operation::Get,
        Operation::Check,
        Operation::Repair,
        Operation::Refresh,
        Operation::Migrate,
    ] {
        for number in 0.. {
            let Some(_) = fault(number, 0) else { break };
            for (faulty, calls_before) in [(1, 0), (2, 0), (1, 3), (2, 3)] {
                let world = World::with_spares(2, 3, 1);
                let manifest = world.put_named("genome", &data).await.manifest;
                if matches!(operation, Operation::Repair) {
                    let lost = world.share_names().into_iter();
                    let mut lost = lost.filter(|key| world.objects(0).contains_key(key));
                    world.remove(0, &lost.next().unwrap());
                }
                for at in 0..faulty {
                    world.plans[at].set(fault(number, calls_before).unwrap());
                }
                let recorder = Arc::new(Recorder::default());
                let _ = operation.run(&world, &manifest, &recorder).await;
                let what = format!("{operation:?}, fault {number}, {faulty} from {calls_before}");
                shares += recorder.judge(&what);
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 264);
    assert!(shares > 200, "{shares} shares began");
}

/// Whatever ends a put or a get after its bytes have moved ends its shares too.
#[tokio::test]
async fn a_caller_that_refuses_ends_the_shares_too() {
    let world = World::new(2, 3);
    let recorder = Arc::new(Recorder::default());
    let mut options = PutOptions::default();
    options.observer = Some(Arc::clone(&recorder) as _);
    let mut refuse = |_: &Manifest| Err(Error::Config("no".into()));
    let data = payload(100, 1);
    let mut source = &data[..];
    let put = world.store().put(&mut source, options, &mut refuse).await;
    put.unwrap_err();
    assert_eq!((recorder.judge("put"), recorder.failed()), (3, 3));

    let manifest = world.put_named("genome", &data).await.manifest;
    let recorder = Arc::new(Recorder::default());
    let mut options = GetOptions::default();
    options.observer = Some(Arc::clone(&recorder) as _);
    let asked = std::sync::atomic::AtomicBool::new(false);
    options.guard = Some(Arc::new(move || {
        if asked.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Err("no longer".into());
        }
        Ok(())
    }));
    let store = world.store();
    let error = store.get(&manifest, &mut Vec::new(), &options).await;
    assert_eq!(error.unwrap_err().code(), "REFUSED");
    assert_eq!((recorder.judge("get"), recorder.failed()), (1, 1));
}
