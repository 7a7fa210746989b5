//! `FsBackend` on media that are full or read-only: small file systems in memory, where the test
//! may mount them (Linux, as root); elsewhere each test says that it is skipped.

use std::path::Path;

use bytes::Bytes;
use xstore::{BackendErrorKind, ObjectKey, Put, StorageBackend};
use xstore_backends::fs::FsBackend;

use crate::medium::Medium;

fn key(name: &str) -> ObjectKey {
    ObjectKey::try_new(name).unwrap()
}

fn body(len_bytes: usize) -> Bytes {
    vec![7; len_bytes].into()
}

fn staged_count(root: &Path) -> usize {
    std::fs::read_dir(root.join(".tmp")).unwrap().count()
}

#[tokio::test]
async fn a_full_medium_is_a_quota_and_keeps_nothing_of_the_put() {
    let Some(medium) = Medium::mount("a_full_medium", "size=1m,mode=700") else {
        return;
    };
    let backend = FsBackend::open("f", medium.path()).unwrap();
    let small = backend.put_new(&key("a/small"), body(1000)).await.unwrap();
    assert_eq!(small, Put::Created);

    let error = backend.put_new(&key("b/large"), body(2 << 20)).await;
    assert_eq!(error.unwrap_err().kind, BackendErrorKind::QuotaExceeded);
    let missing = backend.head(&key("b/large")).await.unwrap_err();
    assert_eq!(missing.kind, BackendErrorKind::NotFound);
    assert_eq!(staged_count(medium.path()), 0);
    assert!(!medium.path().join("b").exists());

    let page = backend.list("", None).await.unwrap();
    assert_eq!(page.keys, [key("a/small")]);
    let next = backend
        .put_new(&key("b/fits"), body(900_000))
        .await
        .unwrap();
    assert_eq!(
        next,
        Put::Created,
        "the room of the failed put is free again"
    );
}

#[tokio::test]
async fn no_room_for_names_is_a_quota_too() {
    let Some(medium) = Medium::mount("no_room_for_names", "nr_inodes=8,mode=700") else {
        return;
    };
    let backend = FsBackend::open("f", medium.path()).unwrap();
    let error = backend.put_new(&key("a/b/c/d/e/f/g/h/i"), body(1)).await;
    assert_eq!(error.unwrap_err().kind, BackendErrorKind::QuotaExceeded);
    assert_eq!(staged_count(medium.path()), 0);
    assert_eq!(backend.list("", None).await.unwrap().keys, []);
}

#[tokio::test]
async fn a_read_only_medium_is_read_and_refuses_writes() {
    let Some(medium) = Medium::mount("a_read_only_medium", "size=1m,mode=700") else {
        return;
    };
    let writer = FsBackend::open("f", medium.path()).unwrap();
    writer.put_new(&key("a"), body(10)).await.unwrap();
    drop(writer);
    std::fs::write(medium.path().join(".tmp/1-2-3"), "leftover").unwrap();
    medium.remount("ro");

    let backend = FsBackend::open("f", medium.path()).unwrap();
    assert_eq!(backend.get_range(&key("a"), 0..99).await.unwrap(), body(10));
    let put = backend.put_new(&key("b"), body(10)).await.unwrap_err();
    assert_eq!(put.kind, BackendErrorKind::AuthFailed);
    let deleted = backend.delete(&[key("a")]).await.unwrap_err();
    assert_eq!(deleted.kind, BackendErrorKind::AuthFailed);
    assert_eq!(backend.head(&key("a")).await.unwrap().len_bytes, 10);
}

#[tokio::test]
async fn an_empty_read_only_medium_opens() {
    let Some(medium) = Medium::mount("an_empty_read_only_medium", "ro,mode=700") else {
        return;
    };
    let backend = FsBackend::open("f", medium.path()).unwrap();
    assert_eq!(backend.list("", None).await.unwrap().keys, []);
    let put = backend.put_new(&key("a"), body(1)).await.unwrap_err();
    assert_eq!(put.kind, BackendErrorKind::AuthFailed);
}

/// The folder below a mount point must not pass for the empty medium.
#[tokio::test]
async fn an_unmounted_medium_is_unavailable() {
    let Some(medium) = Medium::mount("an_unmounted_medium", "size=1m,mode=700") else {
        return;
    };
    let root = medium.path().join("xgene");
    std::fs::create_dir(&root).unwrap();
    let backend = FsBackend::open("f", &root).unwrap();
    backend.put_new(&key("a"), body(1)).await.unwrap();
    drop(medium);
    let missing = backend.head(&key("b")).await.unwrap_err();
    assert_eq!(missing.kind, BackendErrorKind::Unavailable);
    let listed = backend.list("", None).await.unwrap_err();
    assert_eq!(listed.kind, BackendErrorKind::Unavailable);
    assert!(FsBackend::open("f", &root).is_err());
}
