//! A service with one bucket, and clients of it.

use std::sync::Once;

use object_store::RetryConfig;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use reqwest::Client;
use xstore_testkit::gcs::{Fake, Options};

pub(crate) const BUCKET: &str = "shares";

pub(crate) async fn fake() -> Fake {
    fake_with(Options::default()).await
}

/// A service with one bucket.
pub(crate) async fn fake_with(options: Options) -> Fake {
    install_tls();
    let fake = Fake::start(options).await.unwrap();
    fake.create_bucket(BUCKET);
    fake
}

/// `reqwest` without a default provider takes the one of the process, even for plain HTTP.
fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .unwrap();
    });
}

pub(crate) fn builder(key_file: &str) -> GoogleCloudStorageBuilder {
    let no_retries = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };
    GoogleCloudStorageBuilder::new()
        .with_bucket_name(BUCKET)
        .with_service_account_key(key_file)
        .with_retry(no_retries)
}

pub(crate) fn store(fake: &Fake) -> GoogleCloudStorage {
    builder(&fake.service_account_json()).build().unwrap()
}

/// A client without certificates: there is no TLS here, and reading them takes longer than a test.
pub(crate) fn client() -> Client {
    Client::builder().tls_certs_only([]).build().unwrap()
}
