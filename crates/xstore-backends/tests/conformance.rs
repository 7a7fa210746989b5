//! The contract of `StorageBackend`, run against every backend of this crate.

use xstore::testing::conformance;
use xstore_backends::{Source, connect};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_conforms() {
    let backend = connect("memory", "memory:", &Source::default()).unwrap();
    conformance::run_all(&backend).await.unwrap();
}

#[cfg(feature = "fs")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fs_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let backend = connect("fs", &url, &Source::default()).unwrap();
    conformance::run_all(&backend).await.unwrap();

    let left = std::fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".tmp"], "deleted objects leave no folders");
    let staged = std::fs::read_dir(folder.path().join(".tmp")).unwrap();
    assert_eq!(staged.count(), 0, "puts leave no temporary files");
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.db");
    std::fs::File::create(&file).unwrap();
    let url = format!("sqlite://{}", file.display());
    let backend = connect("sqlite", &url, &Source::default()).unwrap();
    conformance::run_all(&backend).await.unwrap();
}
