//! The folder and what others may do to it: links, modes, lost roots, leftovers of crashes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::JoinSet;
use xstore::{BackendError, BackendErrorKind, ObjectKey, Put, StorageBackend};
use xstore_backends::fs::{FsBackend, ObjectPath};

const BODY: Bytes = Bytes::from_static(b"some bytes");

fn key(name: &str) -> ObjectKey {
    ObjectKey::try_new(name).unwrap()
}

fn fixture() -> (TempDir, FsBackend) {
    let folder = tempfile::tempdir().unwrap();
    let backend = FsBackend::open("f", folder.path()).unwrap();
    (folder, backend)
}

/// Everything below `folder`, relative to it, without the folder of temporary files.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(folder).unwrap().to_owned());
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path);
            }
        }
    }
    found.retain(|path| path != Path::new(".tmp"));
    found.sort();
    found
}

fn polled_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn cause(error: &BackendError) -> String {
    error.source.as_ref().unwrap().to_string()
}

#[tokio::test]
async fn a_missing_root_is_never_created() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("mnt/backup");
    let error = FsBackend::open("f", &missing).unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    assert!(cause(&error).contains("never created"), "{error:?}");
    assert!(tree(folder.path()).is_empty());
}

#[tokio::test]
async fn a_root_that_is_a_file_is_unavailable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = FsBackend::open("f", file.path()).unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    assert!(cause(&error).contains("not a folder"), "{error:?}");
}

#[tokio::test]
async fn a_root_that_everybody_may_change_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, refused) in [(0o777, true), (0o1777, false), (0o755, false)] {
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
        match FsBackend::open("f", folder.path()) {
            Err(error) => {
                assert!(refused, "{mode:o}: {error:?}");
                assert_eq!(error.kind, BackendErrorKind::AuthFailed);
                assert!(cause(&error).contains("chmod"), "{error:?}");
            }
            Ok(_) => assert!(!refused, "{mode:o}"),
        }
    }
}

/// Below a root that is gone or replaced, nothing counts as absent, listed or deleted.
#[tokio::test]
async fn a_root_that_vanishes_is_unavailable_and_not_empty() {
    for is_replaced in [false, true] {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("root");
        fs::create_dir(&root).unwrap();
        let backend = FsBackend::open("f", &root).unwrap();
        backend.put_new(&key("a/b"), BODY).await.unwrap();
        fs::remove_dir_all(&root).unwrap();
        if is_replaced {
            fs::create_dir(&root).unwrap();
        }
        let kinds = [
            backend.get_range(&key("a/b"), 0..1).await.unwrap_err().kind,
            backend.head(&key("a/b")).await.unwrap_err().kind,
            backend.list("", None).await.unwrap_err().kind,
            backend.delete(&[key("a/b")]).await.unwrap_err().kind,
            backend.put_new(&key("a/c"), BODY).await.unwrap_err().kind,
        ];
        assert_eq!(kinds, [BackendErrorKind::Unavailable; 5], "{is_replaced}");
        assert_eq!(root.exists(), is_replaced, "the root is not made again");
    }
}

#[tokio::test]
async fn created_files_and_folders_are_private() {
    let (folder, backend) = fixture();
    backend.put_new(&key("a/b/c"), BODY).await.unwrap();
    for name in tree(folder.path()) {
        let metadata = fs::metadata(folder.path().join(&name)).unwrap();
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.mode() & 0o7777, expected, "{name:?}");
    }
    let staging = fs::metadata(folder.path().join(".tmp")).unwrap();
    assert_eq!(staging.mode() & 0o7777, 0o700);
}

/// A link in the place of each name on the way to an object is refused, wherever it leads.
#[tokio::test]
async fn planted_links_are_never_followed() {
    let path = ["a", "a/b", "a/b/c.obj"];
    for planted in path {
        let outside = tempfile::tempdir().unwrap();
        // A complete copy of what the key would lead to, so that a followed link would succeed.
        fs::create_dir_all(outside.path().join("a/b")).unwrap();
        fs::write(outside.path().join("a/b/c.obj"), "outside").unwrap();
        let before = tree(outside.path());

        let (folder, backend) = fixture();
        let link = folder.path().join(planted);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(outside.path().join(planted), &link).unwrap();

        let object = key("a/b/c");
        let got = backend.get_range(&object, 0..9).await.unwrap_err();
        assert_eq!(got.kind, BackendErrorKind::Unavailable, "{planted}");
        let head = backend.head(&object).await.unwrap_err();
        assert_eq!(head.kind, BackendErrorKind::Unavailable, "{planted}");
        let list = backend.list("", None).await.unwrap_err();
        assert_eq!(list.kind, BackendErrorKind::Unavailable, "{planted}");
        match backend.put_new(&object, BODY).await {
            Err(error) => assert_eq!(error.kind, BackendErrorKind::Unavailable),
            Ok(put) => assert_eq!(put, Put::AlreadyExists, "{planted}"),
        }
        let deleted = backend.delete(&[object]).await;
        assert_eq!(deleted.is_ok(), planted == path[2], "only the link itself");

        assert_eq!(tree(outside.path()), before, "{planted}");
        let content = fs::read(outside.path().join("a/b/c.obj")).unwrap();
        assert_eq!(content, b"outside", "{planted}");
    }
}

#[tokio::test]
async fn a_planted_staging_folder_is_never_followed() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("1-2-3"), "looks like a leftover").unwrap();
    symlink(outside.path(), folder.path().join(".tmp")).unwrap();
    let backend = FsBackend::open("f", folder.path()).unwrap();
    let error = backend.put_new(&key("a"), BODY).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    assert_eq!(tree(outside.path()), [Path::new("1-2-3")]);
    assert_eq!(tree(folder.path()), [] as [&Path; 0]);
}

/// A pipe would hold up a careless reader for ever, a folder would confuse it.
#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder.obj")).unwrap();
    let mut names = vec!["folder"];
    let pipe = folder.path().join("pipe.obj");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    if made.is_ok_and(|status| status.success()) {
        names.push("pipe");
    } else {
        println!("SKIP what_is_no_file_is_refused_at_once: mkfifo");
    }
    for name in names {
        let (sender, receiver) = mpsc::channel();
        let backend = FsBackend::open("f", folder.path()).unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let answer = runtime
                .unwrap()
                .block_on(backend.get_range(&key(name), 0..1));
            sender.send(answer.map_err(|error| error.kind))
        });
        let answer = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(answer, Err(BackendErrorKind::Unavailable), "{name}");
    }
}

#[tokio::test]
async fn names_of_others_are_passed_over() {
    let (folder, backend) = fixture();
    backend.put_new(&key("a/b"), BODY).await.unwrap();
    for name in ["README.txt", "a/Thumbs.db", "a/notes", "..x", ".hidden"] {
        fs::write(folder.path().join(name), "not ours").unwrap();
    }
    fs::create_dir_all(folder.path().join("lost+found/x")).unwrap();
    let page = backend.list("", None).await.unwrap();
    assert_eq!((page.keys, page.next), (vec![key("a/b")], None));
    backend.delete(&[key("a/b")]).await.unwrap();
    assert!(folder.path().join("a/notes").exists());
}

/// A folder holds as many names as a store has objects, and most listings are of one of them.
#[tokio::test]
async fn a_listing_under_a_whole_segment_looks_at_no_other() {
    let (folder, backend) = fixture();
    backend.put_new(&key("a/b/c"), BODY).await.unwrap();
    symlink("elsewhere", folder.path().join("a/x.obj")).unwrap();
    let page = backend.list("a/b/", None).await.unwrap();
    assert_eq!(page.keys, [key("a/b/c")]);
    assert!(backend.list("a/", None).await.is_err());
    symlink("elsewhere", folder.path().join("a/y")).unwrap();
    assert!(backend.list("a/y/", None).await.is_err());
    assert_eq!(backend.list("a/z/", None).await.unwrap().keys, []);
}

#[tokio::test]
async fn a_folder_of_more_names_than_a_page_holds_is_listed_in_order() {
    let (folder, backend) = fixture();
    let mut expected = Vec::new();
    fs::create_dir(folder.path().join("a")).unwrap();
    for number in (0..2500).rev() {
        let name = folder.path().join(format!("a/{number:04}"));
        // Before any object there are more empty folders than a page holds names.
        if number < 1200 {
            fs::create_dir(name).unwrap();
        } else {
            fs::write(name.with_extension("obj"), "").unwrap();
            expected.push(key(&format!("a/{number:04}")));
        }
    }
    expected.reverse();
    let first = backend.list("a/", None).await.unwrap();
    let rest = backend.list("a/", first.next.as_deref()).await.unwrap();
    assert_eq!((first.keys.len(), rest.next), (1000, None));
    assert!([first.keys, rest.keys].concat() == expected);
}

/// A tree planted deeper than any key reaches does not lead the walk astray.
#[tokio::test]
async fn folders_deeper_than_any_key_are_not_walked() {
    let (folder, backend) = fixture();
    let deep: PathBuf = std::iter::repeat_n("d", 400).collect();
    let deep = folder.path().join(deep);
    fs::create_dir_all(&deep).unwrap();
    // The walk would stop with an error here if it came this far.
    symlink("nowhere", deep.join("x.obj")).unwrap();
    assert_eq!(backend.list("", None).await.unwrap().keys, []);
}

/// Each delete finds the folders empty now and then and removes them below somebody's put.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn puts_hold_while_deletes_remove_their_folders() {
    let (folder, backend) = fixture();
    let backend = Arc::new(backend);
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        let (backend, own) = (Arc::clone(&backend), key(&format!("r/x/y/{task}")));
        tasks.spawn(async move {
            for _ in 0..200 {
                let put = backend.put_new(&own, BODY).await;
                assert_eq!(put.unwrap(), Put::Created);
                assert_eq!(backend.get_range(&own, 0..99).await.unwrap(), BODY);
                backend.delete(std::slice::from_ref(&own)).await.unwrap();
                backend.list("r/", None).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(tree(folder.path()), [] as [&Path; 0]);
}

#[tokio::test]
async fn leftovers_of_a_crash_are_swept_by_the_next_open() {
    let (folder, backend) = fixture();
    backend.put_new(&key("a"), BODY).await.unwrap();
    let leftover = folder.path().join(".tmp/1f4-0-18a3b");
    fs::write(&leftover, "half an obj").unwrap();
    let page = backend.list("", None).await.unwrap();
    assert_eq!(page.keys, [key("a")], "a leftover is no object");
    let again = FsBackend::open("f", folder.path()).unwrap();
    assert!(!leftover.exists());
    assert_eq!(again.get_range(&key("a"), 0..99).await.unwrap(), BODY);
}

/// What a time-out above does to a put: nobody waits for it any more.
#[test]
fn a_put_that_is_given_up_is_whole_or_absent() {
    let (folder, backend) = fixture();
    let long = Bytes::from(vec![7; 8 << 20]);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    runtime.block_on(async {
        for number in 0..10 {
            let key = key(&format!("n/{number}"));
            let mut put = backend.put_new(&key, long.clone());
            // The first look starts it on its thread.
            assert!(polled_once(put.as_mut()).is_pending());
            drop(put);
            if let Ok(bytes) = backend.get_range(&key, 0..u64::MAX).await {
                assert_eq!(bytes.len(), long.len());
            }
        }
    });
    // Waits for the threads.
    drop(runtime);
    let files = tree(folder.path());
    let whole = |path: &&PathBuf| folder.path().join(path).metadata().unwrap().len() == 8 << 20;
    assert_eq!(files.iter().filter(whole).count(), 10, "{files:?}");
    assert!(
        !files.iter().any(|path| path.starts_with(".tmp")),
        "{files:?}"
    );
}

/// Puts through one handle stand although others open and sweep the same folder all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn opens_do_not_sweep_what_is_being_written() {
    let (folder, backend) = fixture();
    let path = folder.path().to_owned();
    let (stop, stopped) = mpsc::channel::<()>();
    let sweeper = std::thread::spawn(move || {
        let mut open_count = 0_u32;
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            FsBackend::open("other", &path).unwrap();
            open_count += 1;
        }
        open_count
    });
    for number in 0..200 {
        let put = backend.put_new(&key(&format!("n/{number}")), BODY).await;
        assert_eq!(put.unwrap(), Put::Created);
    }
    stop.send(()).unwrap();
    assert!(sweeper.join().unwrap() > 0);
    assert_eq!(backend.list("n/", None).await.unwrap().keys.len(), 200);
}

#[tokio::test]
async fn two_opens_of_one_root_are_one_place() {
    let (folder, one) = fixture();
    let link = tempfile::tempdir().unwrap();
    let alias = link.path().join("alias");
    symlink(folder.path(), &alias).unwrap();
    let other = FsBackend::open("other", &alias).unwrap();
    assert_eq!(one.root_identity(), other.root_identity());
    assert_ne!(one.root_identity(), fixture().1.root_identity());

    assert_eq!(one.put_new(&key("a"), BODY).await.unwrap(), Put::Created);
    let put = other.put_new(&key("a"), BODY).await.unwrap();
    assert_eq!(put, Put::AlreadyExists);
    assert_eq!(other.get_range(&key("a"), 0..99).await.unwrap(), BODY);
}

#[test]
fn paths_of_keys_never_leave_the_root() {
    let long = "z".repeat(ObjectKey::MAX_LEN);
    let deep = "a/".repeat(ObjectKey::MAX_LEN / 2 - 1) + "aa";
    for name in ["a", "a/b", "tmp", "0/obj/1", &long, &deep] {
        let path = ObjectPath::new(&key(name));
        for part in path.folders.iter().chain([&path.file]) {
            assert!(!part.is_empty() && part.len() <= 255, "{part}");
            assert!(
                !part.contains(['/', '\0']) && !part.starts_with('.'),
                "{part}"
            );
        }
    }
}
