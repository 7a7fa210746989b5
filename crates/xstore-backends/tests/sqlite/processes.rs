//! Several processes on one file, one of which may be killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use xstore::{BackendErrorKind, Put, StorageBackend};
use xstore_backends::sqlite::SqliteBackend;

use crate::{World, body, key};

#[test]
fn many_may_open_an_empty_file_at_once() {
    for _ in 0..8 {
        let world = World::new();
        std::thread::scope(|scope| {
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| world.open())).collect();
            for opened in opened {
                opened.join().unwrap().unwrap();
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_two_racing_backends_creates_each_object() {
    let world = World::new();
    let backends = [0, 1].map(|_| Arc::new(world.open().unwrap()));
    let mut racers = Vec::new();
    for number in 0..32 {
        for backend in &backends {
            let backend = Arc::clone(backend);
            let key = key(&format!("{number:02}"));
            racers.push(tokio::spawn(async move {
                backend.put_new(&key, body(10_000)).await.unwrap()
            }));
        }
    }
    let mut created = 0;
    for racer in racers {
        created += usize::from(racer.await.unwrap() == Put::Created);
    }
    assert_eq!(created, 32);
    for backend in &backends {
        assert_eq!(backend.list("", None).await.unwrap().keys.len(), 32);
    }
    let [one, other] = backends;
    assert_eq!(one.file_identity(), other.file_identity());
}

#[tokio::test]
async fn who_writes_for_long_is_waited_for_and_not_for_ever() {
    let world = World::new();
    let backend = world.open().unwrap();
    backend.put_new(&key("a"), body(1)).await.unwrap();
    let writer = world.raw();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(backend.head(&key("a")).await.unwrap().len_bytes, 1);
    let error = backend.put_new(&key("b"), body(1)).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Timeout);
    writer.execute_batch("ROLLBACK").unwrap();
    let put = backend.put_new(&key("b"), body(1)).await.unwrap();
    assert_eq!(put, Put::Created);
}

/// Names the file to a process of this test that is killed.
const FILE: &str = "XGENE_TEST_SQLITE_FILE";

#[tokio::test]
async fn what_a_killed_process_had_not_committed_is_not_there() {
    let world = World::new();
    let killed = Killed::wait_until_it_writes(&world);
    let log = world.folder().join("a.db-wal");
    assert!(log.metadata().unwrap().len() > 1 << 20, "it is in the log");
    drop(killed);
    let backend = world.open().unwrap();
    assert_eq!(backend.list("", None).await.unwrap().keys, [key("whole")]);
    let whole = backend.get_range(&key("whole"), 0..u64::MAX).await.unwrap();
    assert_eq!(whole, body(100_000));
    let put = backend.put_new(&key("torn"), body(5)).await.unwrap();
    assert_eq!(put, Put::Created);
    let check = "PRAGMA integrity_check";
    let sound: String = world.raw().query_row(check, (), |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

/// A second process that writes; killed when dropped.
struct Killed(Child);

impl Killed {
    fn wait_until_it_writes(world: &World) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--nocapture"])
            .env(FILE, world.file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut killed = Self(child.unwrap());
        let lines = BufReader::new(killed.0.stdout.take().unwrap()).lines();
        assert!(
            lines
                .map_while(Result::ok)
                .any(|line| line.ends_with("it writes"))
        );
        killed
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The second process: only the test above starts it with a file.
#[tokio::test]
async fn child() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let backend = SqliteBackend::open("q", file.as_ref()).unwrap();
    let whole = backend.put_new(&key("whole"), body(100_000)).await.unwrap();
    assert_eq!(whole, Put::Created);
    // The same statement as a put, held up before it ends; little memory, so that it goes to the log.
    let connection = Connection::open(file).unwrap();
    connection
        .execute_batch("PRAGMA cache_size = 10; BEGIN IMMEDIATE")
        .unwrap();
    for name in ["torn", "other"] {
        let insert = "INSERT INTO objects (name, modified_ms, bytes) VALUES (?1, 0, zeroblob(?2))";
        connection.execute(insert, (name, 2 << 20)).unwrap();
    }
    println!("it writes");
    // Until it is killed.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
