//! The file: which are taken, which are refused, and what is left in them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use xstore::{BackendErrorKind, Erasure, StorageBackend};

use crate::{World, body, key};

#[tokio::test]
async fn an_empty_file_becomes_a_database_and_a_missing_one_is_not_made() {
    let world = World::new();
    let backend = world.open().unwrap();
    backend.put_new(&key("a"), body(9)).await.unwrap();
    drop(backend);
    let backend = world.open().unwrap();
    assert_eq!(backend.get_range(&key("a"), 0..99).await.unwrap(), body(9));
    drop(backend);

    std::fs::remove_file(world.file()).unwrap();
    let error = world.open().unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    assert!(!world.file().exists());
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_is() {
    let databases = [
        "CREATE TABLE t (a); INSERT INTO t VALUES (1)",
        "PRAGMA application_id = 1; CREATE TABLE objects (a)",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 0x5867656e; PRAGMA user_version = 2",
    ];
    for sql in databases {
        let world = World::new();
        world.raw().execute_batch(sql).unwrap();
        refused_untouched(&world, sql);
    }
    let world = World::new();
    std::fs::write(world.file(), "chr1\t1\t.\tA\tC\n".repeat(500)).unwrap();
    refused_untouched(&world, "no database");
}

fn refused_untouched(world: &World, what: &str) {
    let before = std::fs::read(world.file()).unwrap();
    let error = world.open().unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable, "{what}");
    assert!(std::fs::read(world.file()).unwrap() == before, "{what}");
    let beside = std::fs::read_dir(world.folder()).unwrap().count();
    assert_eq!(beside, 1, "{what}: no log is left");
}

#[test]
fn what_everybody_may_write_is_refused() {
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let world = World::new();
    set_mode(&world.file(), 0o602);
    let error = world.open().unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
    set_mode(&world.file(), 0o600);
    set_mode(world.folder(), 0o1777);
    let error = world.open().unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
    set_mode(world.folder(), 0o700);
    world.open().unwrap();
}

#[test]
fn a_folder_is_no_file() {
    let world = World::new();
    std::fs::remove_file(world.file()).unwrap();
    std::fs::create_dir(world.file()).unwrap();
    let error = world.open().unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
}

#[tokio::test]
async fn a_file_that_is_gone_takes_nothing_more() {
    let world = World::new();
    let backend = world.open().unwrap();
    std::fs::remove_file(world.file()).unwrap();
    for _ in 0..2 {
        let error = backend.put_new(&key("a"), body(1)).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable);
        let error = backend.head(&key("a")).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable);
        // Another one in its place is no better.
        std::fs::File::create(world.file()).unwrap();
    }
}

#[tokio::test]
async fn deleted_bytes_are_in_neither_the_file_nor_the_log() {
    let world = World::new();
    let backend = world.open().unwrap();
    let bytes = Bytes::from("deleted and gone ".repeat(5000));
    backend.put_new(&key("a"), bytes).await.unwrap();
    backend.put_new(&key("b"), body(10)).await.unwrap();
    assert!(is_on_disk(&world));
    backend.delete(&[key("a")]).await.unwrap();
    assert_eq!(backend.erasure().await.unwrap(), Erasure::Erases);
    assert!(!is_on_disk(&world));
    assert_eq!(backend.head(&key("b")).await.unwrap().len_bytes, 10);
}

/// Whether the bytes above stand in any file of the folder.
fn is_on_disk(world: &World) -> bool {
    let files = std::fs::read_dir(world.folder()).unwrap();
    let mut files = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let needle = b"deleted and gone";
    files.any(|file| file.windows(needle.len()).any(|part| part == needle))
}

#[tokio::test]
async fn erasure_is_untold_while_somebody_reads_the_log() {
    let world = World::new();
    let backend = world.open().unwrap();
    backend.put_new(&key("a"), body(10)).await.unwrap();
    let reader = world.raw();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM objects")
        .unwrap();
    backend.delete(&[key("a")]).await.unwrap();
    let told = backend.erasure().await.unwrap();
    assert!(matches!(told, Erasure::Untold(_)), "{told:?}");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(backend.erasure().await.unwrap(), Erasure::Erases);
}

#[tokio::test]
async fn damage_is_unavailable_and_no_other_bytes() {
    let world = World::new();
    let backend = world.open().unwrap();
    for name in ["a", "b", "c"] {
        backend.put_new(&key(name), body(100_000)).await.unwrap();
    }
    drop(backend);
    // The first page is left, so that the file is still a database.
    let mut file = std::fs::read(world.file()).unwrap();
    file[4096..].fill(0xff);
    std::fs::write(world.file(), file).unwrap();
    let backend = world.open().unwrap();
    for error in [
        backend.get_range(&key("b"), 0..9).await.unwrap_err(),
        backend.head(&key("b")).await.unwrap_err(),
        backend.list("", None).await.unwrap_err(),
        backend.put_new(&key("d"), body(1)).await.unwrap_err(),
        backend.delete(&[key("a")]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, BackendErrorKind::Unavailable, "{error:?}");
    }
}

/// A schema of somebody else's must run no code here.
#[tokio::test]
async fn a_planted_trigger_is_not_run() {
    let world = World::new();
    drop(world.open().unwrap());
    let trigger = "CREATE TRIGGER t AFTER INSERT ON objects BEGIN DELETE FROM objects; END";
    world.raw().execute_batch(trigger).unwrap();
    let backend = world.open().unwrap();
    backend.put_new(&key("a"), body(1)).await.unwrap();
    assert_eq!(backend.head(&key("a")).await.unwrap().len_bytes, 1);
}

#[tokio::test]
async fn an_object_that_is_too_long_is_not_stored() {
    let world = World::new();
    let backend = world.open().unwrap();
    let error = backend.put_new(&key("a"), body((64 << 20) + 1)).await;
    assert_eq!(error.unwrap_err().kind, BackendErrorKind::QuotaExceeded);
    assert_eq!(backend.list("", None).await.unwrap().keys, []);
}

#[tokio::test]
async fn negative_numbers_of_somebody_else_are_no_answers() {
    let world = World::new();
    let backend = world.open().unwrap();
    let row = "INSERT INTO objects (name, modified_ms, bytes) VALUES ('a', -1, x'00')";
    world.raw().execute_batch(row).unwrap();
    let error = backend.head(&key("a")).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
}
