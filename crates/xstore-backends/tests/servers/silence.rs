//! Servers that accept and never answer: the wait in front ends it, and says so.

use std::time::Duration;

use xstore::timeout::{Timeout, TimeoutOptions};
use xstore::{BackendErrorKind, ObjectKey, StorageBackend as _};
use xstore_backends::{Place, Source};
use xstore_testkit::silent::Silent;

async fn ends_in_timeout(url: &str, source: &Source) {
    let backend = Place::parse(url).unwrap().connect("b", source).unwrap();
    let mut options = TimeoutOptions::default();
    options.floor = Duration::from_millis(200);
    let backend = Timeout::new(backend, options);
    let key = ObjectKey::try_new("a").unwrap();
    for error in [
        backend.head(&key).await.unwrap_err(),
        backend.list("", None).await.unwrap_err(),
        backend
            .put_new(&key, vec![7; 1000].into())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind, BackendErrorKind::Timeout, "{error:?}");
    }
}

#[tokio::test]
async fn a_silent_webdav_server_ends_in_timeout() {
    let silent = Silent::start().await.unwrap();
    let url = format!("webdav+http://{}/shares", silent.address());
    ends_in_timeout(&url, &Source::default()).await;
}

#[tokio::test]
async fn a_silent_sftp_server_ends_in_timeout() {
    let silent = Silent::start().await.unwrap();
    let url = format!("sftp://nobody@{}/shares", silent.address());
    ends_in_timeout(&url, &Source::default()).await;
}
