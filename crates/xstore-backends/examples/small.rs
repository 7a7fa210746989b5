//! `small`: what one small object costs in a store of many; `cargo xtask bench small` calls it.
//!
//! Arguments: an empty folder, and ascending counts of objects. Objects of 1 KiB are put, 2-of-3, over
//! three folders below it until there are so many; then the last puts and a listing are measured.
//! Nothing is judged here but that what was put is listed.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use xstore::entropy::OsEntropy;
use xstore::placement::FailureDomain;
use xstore::{AccessStructure, Home, PutOptions, Store, nothing_more};
use xstore_backends::fs::FsBackend;

const USAGE: &str = "usage: small FOLDER COUNT...";
const BACKENDS: [&str; 3] = ["a", "b", "c"];
const OBJECT_LEN_BYTES: usize = 1024;

/// Puts that are measured, one after the other; those before them overlap.
const MEASURED: usize = 300;

/// Puts that overlap.
const AT_ONCE: usize = 8;

/// Objects whose manifest is read in a listing; of the others the ids are found.
const LISTED: usize = 300;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or(USAGE)?);
    let counts = arguments.map(|count| count.parse());
    let counts = counts.collect::<Result<Vec<usize>, _>>()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(&folder, &counts))
}

/// What one object costs in a store of some size.
struct Cost {
    put: Time,
    list: Time,
}

/// Time for one object, by the clock and of the processor; the latter says more on a busy machine.
#[derive(Clone, Copy)]
struct Time {
    clock: Duration,
    processor: Duration,
}

async fn measure(folder: &Path, counts: &[usize]) -> Result<(), Failure> {
    let store = open(folder)?;
    let mut first: Option<Cost> = None;
    let mut there = 0;
    for &count in counts {
        fill(&store, there..count.saturating_sub(MEASURED)).await?;
        let begun = count.saturating_sub(MEASURED).max(there)..count;
        let put = put_in_turn(&store, begun).await?;
        there = count;
        let list = list(&store, count).await?;
        let cost = Cost { put, list };
        tell(folder, count, &cost, first.as_ref().unwrap_or(&cost))?;
        first.get_or_insert(cost);
    }
    Ok(())
}

fn tell(folder: &Path, count: usize, cost: &Cost, first: &Cost) -> io::Result<()> {
    let mut files = 0;
    for backend in BACKENDS {
        files += count_files(&folder.join(backend))?;
    }
    println!(
        "{count:>7} objects: put {}, list {}, {:.2} files each, memory {} MiB, peak {} MiB",
        compared(cost.put, first.put),
        compared(cost.list, first.list),
        files as f64 / (count * BACKENDS.len()) as f64,
        memory_mib("VmRSS:"),
        memory_mib("VmHWM:"),
    );
    Ok(())
}

/// Milliseconds by the clock and of the processor, each with its ratio to the `first`.
fn compared(time: Time, first: Time) -> String {
    let one = |time: Duration, first: Duration| {
        let (time, first) = (time.as_secs_f64(), first.as_secs_f64());
        format!("{:.2} ms ({:.2})", time * 1e3, time / first)
    };
    let clock = one(time.clock, first.clock);
    format!("{clock} cpu {}", one(time.processor, first.processor))
}

fn open(folder: &Path) -> Result<Store, Failure> {
    let home = Home::new(&folder.join("home"));
    let (keys, _) = home.keys_or_new(&OsEntropy)?;
    let mut builder = Store::builder()
        .keys(Arc::new(keys))
        .device(home.device(&OsEntropy)?)
        .threshold(AccessStructure::try_new(2, 3)?)
        .catalogue(Arc::new(home.catalogue()))
        .journal(home.journal());
    for name in BACKENDS {
        let folder = folder.join(name);
        fs::create_dir(&folder)?;
        let backend = FsBackend::open(name, &folder)?;
        builder = builder.backend(Arc::new(backend), FailureDomain::default());
    }
    Ok(builder.build()?)
}

async fn fill(store: &Store, numbers: std::ops::Range<usize>) -> Result<(), Failure> {
    let puts = stream::iter(numbers).map(|number| put(store, number));
    puts.buffer_unordered(AT_ONCE).try_collect().await
}

async fn put_in_turn(store: &Store, numbers: std::ops::Range<usize>) -> Result<Time, Failure> {
    let count = numbers.len();
    let start = Start::now();
    for number in numbers {
        put(store, number).await?;
    }
    Ok(start.per_one(count))
}

async fn put(store: &Store, number: usize) -> Result<(), Failure> {
    let bytes = number.to_le_bytes().repeat(OBJECT_LEN_BYTES / 8);
    let mut options = PutOptions::default();
    options.name = Some(format!("object-{number}"));
    store.put(&mut &*bytes, options, &mut nothing_more).await?;
    Ok(())
}

/// Finds the ids of all objects, and reads the manifests of some.
async fn list(store: &Store, count: usize) -> Result<Time, Failure> {
    let start = Start::now();
    let objects = store.objects().await?.ids;
    let ids = start.per_one(count);
    if objects.len() != count {
        return Err(format!("{} of {count} objects are listed", objects.len()).into());
    }
    let start = Start::now();
    let mut listed = 0;
    for object in objects.into_iter().step_by(count.div_ceil(LISTED)) {
        store.listed(object).await?.ok_or("an object is gone")?;
        listed += 1;
    }
    let manifests = start.per_one(listed);
    Ok(Time {
        clock: ids.clock + manifests.clock,
        processor: ids.processor + manifests.processor,
    })
}

struct Start {
    clock: Instant,
    processor: Duration,
}

impl Start {
    fn now() -> Self {
        Self {
            clock: Instant::now(),
            processor: processor_time(),
        }
    }

    fn per_one(&self, count: usize) -> Time {
        let count = count.max(1) as f64;
        let processor = processor_time().saturating_sub(self.processor);
        Time {
            clock: self.clock.elapsed().div_f64(count),
            processor: processor.div_f64(count),
        }
    }
}

/// Time that all threads of this process had, by proc(5), which counts in hundredths of a second; zero
/// where there is none.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may hold anything but the last bracket; user and system time are the
    // 14th and 15th fields.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn count_files(folder: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() {
            count_files(&entry.path())?
        } else {
            1
        };
    }
    Ok(count)
}

/// A line of the status of this process in proc(5), which counts in KiB; 0 where there is none.
fn memory_mib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() / 1024
}
