//! Media that are full or read-only; where nothing can be mounted, each test says that it is skipped.

use std::path::PathBuf;
use std::process::Command;

use xstore::{BackendErrorKind, Put, StorageBackend};
use xstore_backends::sqlite::SqliteBackend;

use crate::medium::Medium;
use crate::{World, body, key};

fn made_empty(medium: &Medium) -> PathBuf {
    let file = medium.path().join("a.db");
    std::fs::File::create(&file).unwrap();
    file
}

#[tokio::test]
async fn a_full_medium_is_a_quota_and_keeps_nothing_of_the_put() {
    let Some(medium) = Medium::mount("sqlite_on_a_full_medium", "size=4m,mode=700") else {
        return;
    };
    let backend = SqliteBackend::open("q", &made_empty(&medium)).unwrap();
    backend.put_new(&key("a"), body(1000)).await.unwrap();
    for _ in 0..2 {
        let error = backend.put_new(&key("b"), body(8 << 20)).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::QuotaExceeded);
        let missing = backend.head(&key("b")).await.unwrap_err();
        assert_eq!(missing.kind, BackendErrorKind::NotFound);
    }
    assert_eq!(
        backend.get_range(&key("a"), 0..9999).await.unwrap(),
        body(1000)
    );
    let fits = backend.put_new(&key("b"), body(500_000)).await.unwrap();
    assert_eq!(
        fits,
        Put::Created,
        "the room of the failed put is free again"
    );
}

/// What is deleted is overwritten, and that is logged before.
#[tokio::test]
async fn a_medium_filled_to_the_last_page_is_usable_once_there_is_room() {
    let Some(medium) = Medium::mount("sqlite_on_a_filled_medium", "size=4m,mode=700") else {
        return;
    };
    let backend = SqliteBackend::open("q", &made_empty(&medium)).unwrap();
    let mut stored = Vec::new();
    let refused = loop {
        let next = key(&format!("{:03}", stored.len()));
        match backend.put_new(&next, body(50_000)).await {
            Ok(_) => stored.push(next),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind, BackendErrorKind::QuotaExceeded);
    assert_eq!(backend.list("", None).await.unwrap().keys, stored);
    medium.remount("size=16m");
    backend.delete(&stored).await.unwrap();
    assert_eq!(backend.erasure().await.unwrap().doubt(), None);
    backend.put_new(&key("z"), body(50_000)).await.unwrap();
    assert_eq!(backend.list("", None).await.unwrap().keys, [key("z")]);
}

/// The log needs a file beside the database, also for those who only read.
#[tokio::test]
async fn a_read_only_medium_is_refused() {
    let Some(medium) = Medium::mount("sqlite_on_a_read_only_medium", "size=4m,mode=700") else {
        return;
    };
    let file = made_empty(&medium);
    drop(SqliteBackend::open("q", &file).unwrap());
    medium.remount("ro");
    let error = SqliteBackend::open("q", &file).unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
}

#[tokio::test]
async fn a_read_only_file_is_read_and_refuses_writes() {
    let world = World::new();
    let backend = world.open().unwrap();
    backend.put_new(&key("a"), body(10)).await.unwrap();
    drop(backend);
    let Some(_mount) = ReadOnly::make("sqlite_in_a_read_only_file", world.file()) else {
        return;
    };
    let backend = world.open().unwrap();
    assert_eq!(backend.get_range(&key("a"), 0..99).await.unwrap(), body(10));
    let error = backend.put_new(&key("b"), body(10)).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
    let error = backend.delete(&[key("a")]).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
    assert_eq!(backend.head(&key("a")).await.unwrap().len_bytes, 10);
}

/// A file mounted over itself, so that not even root may write to it.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn make(test: &str, file: PathBuf) -> Option<Self> {
        if !run(Command::new("mount").arg("--bind").args([&file, &file])) {
            println!("SKIP {test}: mounting a file");
            return None;
        }
        let made = Self(file);
        let options = ["-o", "remount,ro,bind"];
        assert!(run(Command::new("mount").args(options).arg(&made.0)));
        Some(made)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        assert!(run(Command::new("umount").arg("-l").arg(&self.0)));
    }
}

fn run(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
