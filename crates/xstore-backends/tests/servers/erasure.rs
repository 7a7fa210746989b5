//! What is kept of deleted bytes is seen: in the answers of S3 and Azure, in the settings of Google.

use bytes::Bytes;
use xstore::{Erasure, ObjectKey, StorageBackend};
use xstore_testkit::gcs::{Access, Versioning};

use crate::world::{BUCKET, Server};

/// What the backend says before and after a deletion.
async fn told(backend: &dyn StorageBackend) -> [Erasure; 2] {
    let key = ObjectKey::try_new("erasure/a").unwrap();
    let before = backend.erasure().await.unwrap();
    backend
        .put_new(&key, Bytes::from_static(b"x"))
        .await
        .unwrap();
    backend.delete(&[key]).await.unwrap();
    [before, backend.erasure().await.unwrap()]
}

#[tokio::test]
async fn s3_tells_by_its_answers() {
    let test = "s3_tells_by_its_answers";
    let Some(mut server) = Server::find(test, "moto").await else {
        return;
    };
    let [before, after] = told(&*server.backend()).await;
    assert!(matches!(before, Erasure::Untold(_)), "{before:?}");
    assert_eq!(after, Erasure::Erases);
    server.url = server.url.replacen("s3://xstore/", "s3://versioned/", 1);
    let [_, after] = told(&*server.backend()).await;
    assert!(
        matches!(after, Erasure::Keeps(why) if why.contains("versions")),
        "{after:?}"
    );
}

#[tokio::test]
async fn azure_tells_by_its_answers() {
    let test = "azure_tells_by_its_answers";
    let Some(server) = Server::find(test, "azurite").await else {
        return;
    };
    let [before, after] = told(&*server.backend()).await;
    assert!(matches!(before, Erasure::Untold(_)), "{before:?}");
    assert_eq!(after, Erasure::Erases);
}

#[tokio::test]
async fn google_tells_by_its_settings() {
    let server = Server::gcs().await;
    let fake = server.fake.as_ref().unwrap();
    let backend = server.backend();
    assert_eq!(told(&*backend).await, [Erasure::Erases; 2]);
    fake.set_versioning(BUCKET, Versioning::Enabled);
    let [_, after] = told(&*backend).await;
    assert!(
        matches!(after, Erasure::Keeps(why) if why.contains("versions")),
        "{after:?}"
    );
    fake.set_access(BUCKET, Access::Denied);
    let denied = backend.erasure().await.unwrap();
    assert!(
        matches!(denied, Erasure::Untold(why) if why.contains("settings")),
        "{denied:?}"
    );
}
