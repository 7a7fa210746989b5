//! `small`: what one small object costs in a store of many; `cargo xtask bench small` calls it.
//!
//! Arguments: a folder, and ascending counts of objects. Objects of 1 KiB are put, 2-of-3, over three
//! folders below it until there are so many; a store that is there already goes on growing. Then puts
//! and a listing are measured, in turn with the same in a store of a thousand, so that both meet the
//! same load of the machine. Nothing is judged here but that what was put is listed.

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

/// Objects of the store that others are compared with.
const FEW: usize = 1000;

/// Puts that are measured: so many in one store, so many in the other, and again.
const TURNS: usize = 6;
const PUTS_OF_A_TURN: usize = 50;

/// Puts that overlap, where nothing is measured.
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

/// Time by the clock and of the processor; the latter says more on a busy machine.
#[derive(Clone, Copy, Default)]
struct Time {
    clock: Duration,
    processor: Duration,
}

/// A store, and how many objects it has.
struct Growing {
    folder: PathBuf,
    store: Store,
    count: usize,
}

async fn measure(folder: &Path, counts: &[usize]) -> Result<(), Failure> {
    let mut few = Growing::open(&folder.join("few"))?;
    let mut many = Growing::open(&folder.join("many"))?;
    few.fill(FEW).await?;
    for &count in counts {
        many.fill(count).await?;
        let (mut put, mut control) = (Time::default(), Time::default());
        for _ in 0..TURNS {
            control += few.put_some().await?;
            put += many.put_some().await?;
        }
        let puts = TURNS * PUTS_OF_A_TURN;
        println!("{count:>7} objects: put  {}", compared(put, control, puts));
        let control = few.list().await?;
        let list = many.list().await?;
        println!("{:>7}          list {}", "", compared(list, control, 1));
        println!(
            "{:>7}          {:.2} files each, memory {} MiB, peak {} MiB",
            "",
            many.files()? as f64 / (many.count * BACKENDS.len()) as f64,
            memory_mib("VmRSS:"),
            memory_mib("VmHWM:"),
        );
    }
    Ok(())
}

/// Milliseconds for one object, by the clock and of the processor, and the ratios to the `control`.
fn compared(time: Time, control: Time, count: usize) -> String {
    let one = |time: Duration, control: Duration| {
        let (time, control) = (time.as_secs_f64(), control.as_secs_f64());
        format!(
            "{:.2} ms ({:.2})",
            time * 1e3 / count as f64,
            time / control
        )
    };
    let clock = one(time.clock, control.clock);
    let processor = one(time.processor, control.processor);
    format!("{clock}, of the processor {processor}")
}

impl Growing {
    fn open(folder: &Path) -> Result<Self, Failure> {
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
            fs::create_dir_all(&folder)?;
            let backend = FsBackend::open(name, &folder)?;
            builder = builder.backend(Arc::new(backend), FailureDomain::default());
        }
        Ok(Self {
            folder: folder.to_owned(),
            store: builder.build()?,
            // One mark in the catalogue for each.
            count: count_files(&folder.join("home/catalogue"))?.saturating_sub(1),
        })
    }

    async fn fill(&mut self, count: usize) -> Result<(), Failure> {
        let store = &self.store;
        let puts = stream::iter(self.count..count).map(|number| put(store, number));
        puts.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        self.count = self.count.max(count);
        Ok(())
    }

    async fn put_some(&mut self) -> Result<Time, Failure> {
        let start = Start::now();
        for _ in 0..PUTS_OF_A_TURN {
            put(&self.store, self.count).await?;
            self.count += 1;
        }
        Ok(start.elapsed())
    }

    /// Finds the ids of all objects, and reads the manifests of some: what that is for one object.
    async fn list(&self) -> Result<Time, Failure> {
        let start = Start::now();
        let objects = self.store.objects().await?.ids;
        let ids = start.elapsed() / objects.len();
        if objects.len() != self.count {
            return Err(format!("{} of {} objects are listed", objects.len(), self.count).into());
        }
        let start = Start::now();
        let mut listed = 0;
        for object in objects.into_iter().step_by(self.count.div_ceil(LISTED)) {
            self.store
                .listed(object)
                .await?
                .ok_or("an object is gone")?;
            listed += 1;
        }
        let mut time = ids;
        time += start.elapsed() / listed;
        Ok(time)
    }

    fn files(&self) -> io::Result<usize> {
        let mut files = 0;
        for backend in BACKENDS {
            files += count_files(&self.folder.join(backend))?;
        }
        Ok(files)
    }
}

async fn put(store: &Store, number: usize) -> Result<(), Failure> {
    let bytes = number.to_le_bytes().repeat(OBJECT_LEN_BYTES / 8);
    let mut options = PutOptions::default();
    options.name = Some(format!("object-{number}"));
    store.put(&mut &*bytes, options, &mut nothing_more).await?;
    Ok(())
}

impl std::ops::AddAssign for Time {
    fn add_assign(&mut self, other: Self) {
        self.clock += other.clock;
        self.processor += other.processor;
    }
}

impl std::ops::Div<usize> for Time {
    type Output = Self;

    fn div(self, count: usize) -> Self {
        let count = count.max(1) as f64;
        Self {
            clock: self.clock.div_f64(count),
            processor: self.processor.div_f64(count),
        }
    }
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

    fn elapsed(&self) -> Time {
        Time {
            clock: self.clock.elapsed(),
            processor: processor_time().saturating_sub(self.processor),
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

/// Files below a folder, at any depth; none when it is not there.
fn count_files(folder: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut count = 0;
    for entry in entries {
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
