//! What `object_store` sees.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion,
};
use xstore_testkit::gcs::{Access, Options, Versioning};

use super::setup::{BUCKET, builder, fake, fake_with, store};

/// Every character that a URL or XML treats in its own way.
const HARD_NAME: &str = "a b/c+d%25%2F/\u{e4}\u{1f9ec}/&<>'\"?#=;";

async fn names(store: &dyn ObjectStore, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(Path::from);
    let objects: Vec<_> = store.list(prefix.as_ref()).try_collect().await.unwrap();
    objects
        .into_iter()
        .map(|object| object.location.to_string())
        .collect()
}

#[tokio::test]
async fn an_object_comes_back_whole_and_in_parts() {
    let fake = fake().await;
    let store = store(&fake);
    let path = Path::parse(HARD_NAME).unwrap();
    let put = store.put(&path, "0123456789".into()).await.unwrap();

    let got = store.get(&path).await.unwrap();
    assert_eq!(got.meta.e_tag, put.e_tag);
    assert_eq!(got.meta.version, put.version);
    assert_eq!(&got.bytes().await.unwrap()[..], b"0123456789");
    assert_eq!(&store.get_range(&path, 2..5).await.unwrap()[..], b"234");
    for (range, expected) in [
        (GetRange::Suffix(3), "789"),
        (GetRange::Suffix(30), "0123456789"),
        (GetRange::Offset(8), "89"),
        (GetRange::Bounded(8..100), "89"),
    ] {
        let options = GetOptions::new().with_range(Some(range.clone()));
        let part = store.get_opts(&path, options).await.unwrap();
        assert_eq!(part.meta.size, 10, "{range:?}");
        assert_eq!(part.bytes().await.unwrap(), expected, "{range:?}");
    }
    let head = store.head(&path).await.unwrap();
    assert_eq!((head.size, head.e_tag), (10, put.e_tag));
    let written_s = u64::try_from(head.last_modified.timestamp()).unwrap();
    let now_s = UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!((now_s - 600..=now_s).contains(&written_s), "{written_s}");

    assert_eq!(fake.objects(BUCKET).keys().collect::<Vec<_>>(), [HARD_NAME]);
    assert_eq!(names(&store, None).await, [HARD_NAME]);
    store.delete(&path).await.unwrap();
    assert!(fake.objects(BUCKET).is_empty());
    for error in [
        store.get(&path).await.unwrap_err(),
        store.head(&path).await.unwrap_err(),
        store.delete(&path).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_range_behind_the_end_is_refused() {
    let fake = fake().await;
    let store = store(&fake);
    let path = Path::from("short");
    store.put(&path, "0123".into()).await.unwrap();
    let error = store.get_range(&path, 4..5).await.unwrap_err();
    assert!(error.to_string().contains("416"), "{error}");
    store.put(&path, "".into()).await.unwrap();
    let error = store.get_range(&path, 0..1).await.unwrap_err();
    assert!(error.to_string().contains("InvalidRange"), "{error}");
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "");
}

#[tokio::test]
async fn of_a_race_to_create_one_wins() {
    let fake = fake().await;
    let store = Arc::new(store(&fake));
    let puts = (0..32).map(|number: u32| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let payload = number.to_string().into();
            store
                .put_opts(&Path::from("once"), payload, PutMode::Create.into())
                .await
        })
    });
    let outcomes: Vec<_> = join_all(puts)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let won = |outcome: &Result<_, Error>| outcome.is_ok();
    let winner = outcomes.iter().position(won).unwrap();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        if number != winner {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
        }
    }
    assert_eq!(fake.objects(BUCKET)["once"], winner.to_string());
    assert_eq!((fake.counts().puts, fake.counts().refused), (32, 31));
}

#[tokio::test]
async fn an_update_needs_the_generation_that_is_there() {
    let fake = fake().await;
    let store = store(&fake);
    let path = Path::from("changing");
    let first = store.put(&path, "1".into()).await.unwrap();
    let update = |put: &object_store::PutResult| {
        PutMode::Update(UpdateVersion {
            e_tag: None,
            version: put.version.clone(),
        })
        .into()
    };
    let second = store
        .put_opts(&path, "2".into(), update(&first))
        .await
        .unwrap();
    let error = store
        .put_opts(&path, "3".into(), update(&first))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Precondition { .. }), "{error}");
    store
        .put_opts(&path, "3".into(), update(&second))
        .await
        .unwrap();
    assert_eq!(fake.objects(BUCKET)["changing"], "3");
}

#[tokio::test]
async fn listings_are_whole_at_every_page_size() {
    let all = ["a", "a/1", "a/1/x", "a/2", "a0", "b/1", "b/2", "c"];
    for page_len in 1..=all.len() + 1 {
        let mut options = Options::default();
        options.page_len = page_len;
        let fake = fake_with(options).await;
        let store = store(&fake);
        for name in all {
            store.put(&Path::from(name), name.into()).await.unwrap();
        }
        assert_eq!(names(&store, None).await, all);
        let pages = all.len().div_ceil(page_len) as u64;
        assert_eq!(fake.counts().lists, pages);
        assert_eq!(names(&store, Some("a")).await, ["a/1", "a/1/x", "a/2"]);
        assert_eq!(names(&store, Some("none")).await, [""; 0]);

        let after = store.list_with_offset(None, &Path::from("a/2"));
        let after: Vec<_> = after.try_collect().await.unwrap();
        assert_eq!(after.len(), 4);

        let top = store.list_with_delimiter(None).await.unwrap();
        let prefixes: BTreeSet<_> = top.common_prefixes.iter().map(Path::as_ref).collect();
        assert_eq!(prefixes, BTreeSet::from(["a", "b"]));
        let objects: Vec<_> = top
            .objects
            .iter()
            .map(|object| object.location.as_ref())
            .collect();
        assert_eq!(objects, ["a", "a0", "c"]);
        let below = store
            .list_with_delimiter(Some(&Path::from("a")))
            .await
            .unwrap();
        assert_eq!(below.common_prefixes, [Path::from("a/1")]);
        assert_eq!(below.objects.len(), 2);
    }
}

#[tokio::test]
async fn buckets_open_only_to_whom_they_are_granted() {
    let fake = fake().await;
    let store = store(&fake);
    let path = Path::from("granted");
    store.put(&path, "1".into()).await.unwrap();

    fake.set_access(BUCKET, Access::Read);
    store.get(&path).await.unwrap();
    let error = store.put(&path, "2".into()).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
    let error = store.delete(&path).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");

    fake.set_access(BUCKET, Access::Denied);
    let error = store.get(&path).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
    assert_eq!(fake.objects(BUCKET)["granted"], "1");

    let elsewhere = builder(&fake.service_account_json()).with_bucket_name("elsewhere");
    let error = elsewhere.build().unwrap().get(&path).await.unwrap_err();
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn versioning_keeps_what_is_deleted_and_overwritten() {
    let fake = fake().await;
    let store = store(&fake);
    let path = Path::from("kept");
    store.put(&path, "0".into()).await.unwrap();
    store.delete(&path).await.unwrap();
    assert_eq!(fake.noncurrent(BUCKET), []);

    fake.set_versioning(BUCKET, Versioning::Enabled);
    store.put(&path, "1".into()).await.unwrap();
    store.put(&path, "2".into()).await.unwrap();
    store.delete(&path).await.unwrap();
    assert!(fake.objects(BUCKET).is_empty());
    let kept = ["1", "2"].map(|bytes| ("kept".to_owned(), bytes.into()));
    assert_eq!(fake.noncurrent(BUCKET), kept);
    // What is gone from the listing can be created anew.
    store
        .put_opts(&path, "3".into(), PutMode::Create.into())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_quota_counts_what_is_stored_in_the_end() {
    let fake = fake().await;
    let store = store(&fake);
    fake.set_quota_bytes(BUCKET, 10);
    store.put(&Path::from("a"), "1234567".into()).await.unwrap();
    store
        .put(&Path::from("a"), "12345678".into())
        .await
        .unwrap();
    let error = store.put(&Path::from("b"), "123".into()).await.unwrap_err();
    assert!(error.to_string().contains("QuotaExceeded"), "{error}");
    store.put(&Path::from("b"), "12".into()).await.unwrap();
    fake.set_versioning(BUCKET, Versioning::Enabled);
    store.put(&Path::from("b"), "".into()).await.unwrap();
    let error = store.put(&Path::from("b"), "1".into()).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
}

#[tokio::test]
async fn rot_changes_bytes_and_nothing_else() {
    let fake = fake().await;
    let store = store(&fake);
    let path = Path::from("rotten");
    let put = store.put(&path, "sound".into()).await.unwrap();
    fake.corrupt(BUCKET, "rotten", |bytes| bytes[0] ^= b's' ^ b'r');
    let got = store.get(&path).await.unwrap();
    assert_eq!(
        (&got.meta.e_tag, &got.meta.version),
        (&put.e_tag, &put.version)
    );
    assert_eq!(got.bytes().await.unwrap(), "round");
}

#[tokio::test]
async fn requests_are_slowed_down_and_counted() {
    let fake = fake().await;
    let store = store(&fake);
    let path = Path::from("slow");
    fake.slow_down(1);
    let error = store.put(&path, "1".into()).await.unwrap_err();
    assert!(error.to_string().contains("429"), "{error}");
    store.put(&path, "1".into()).await.unwrap();
    store.head(&path).await.unwrap();
    store.get(&path).await.unwrap();
    names(&store, None).await;
    store.delete(&path).await.unwrap();
    let counts = fake.counts();
    assert_eq!((counts.puts, counts.heads, counts.gets), (2, 1, 1));
    assert_eq!((counts.lists, counts.deletes, counts.refused), (1, 1, 1));
}

#[tokio::test]
async fn what_is_not_implemented_is_refused() {
    let fake = fake().await;
    let store = store(&fake);
    let path = Path::from("whole");
    store.put(&path, "1".into()).await.unwrap();
    for error in [
        store.put_multipart(&path).await.map(drop).unwrap_err(),
        store.copy(&path, &Path::from("copy")).await.unwrap_err(),
        conditional(&store, &path).await,
    ] {
        assert!(error.to_string().contains("501"), "{error}");
    }
    assert_eq!(fake.objects(BUCKET).len(), 1);
}

async fn conditional(store: &dyn ObjectStore, path: &Path) -> Error {
    let options = GetOptions::new().with_if_match(Some("\"x\"".to_owned()));
    store.get_opts(path, options).await.unwrap_err()
}

#[tokio::test]
async fn a_dropped_service_is_gone() {
    let fake = fake().await;
    let store = store(&fake);
    let path = Path::from("gone");
    store.put(&path, "1".into()).await.unwrap();
    drop(fake);
    // The task that serves ends with its next turn, after which no connection is open.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(store.get(&path).await.is_err());
}
