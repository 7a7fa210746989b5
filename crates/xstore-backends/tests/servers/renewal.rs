//! Credentials that expire: their source is asked again when they are refused, and once only.

use bytes::Bytes;
use xstore::{BackendErrorKind, ObjectKey};
use xstore_backends::Source;

use crate::world::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_renewed_is_read_again() {
    let server = Server::gcs().await;
    let fake = server.fake.as_ref().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), fake.forged_account_json()).unwrap();
    let backend = server.backend_of(&Source::File(file.path().to_owned()));
    let key = ObjectKey::try_new("a").unwrap();
    let body = Bytes::from_static(b"body");

    let refused = backend.put_new(&key, body.clone()).await.unwrap_err();
    assert_eq!(refused.kind, BackendErrorKind::AuthFailed);
    std::fs::write(file.path(), fake.service_account_json()).unwrap();
    backend.put_new(&key, body.clone()).await.unwrap();
    assert_eq!(backend.get_range(&key, 0..4).await.unwrap(), body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_change_is_not_asked_again() {
    let server = Server::gcs().await;
    let fake = server.fake.as_ref().unwrap();
    let refused = server.stranger().list("", None).await.unwrap_err();
    assert_eq!(refused.kind, BackendErrorKind::AuthFailed);
    assert_eq!(fake.counts().lists, 1);
}
