//! `Fake`: a strict stand-in for the part of Google Cloud Storage that a backend uses.
//!
//! It speaks the XML API as the crate `object_store` 0.14 does, over plain HTTP. Strict means that
//! it never ignores what it does not know: an unknown query parameter or `x-goog-` header, or one
//! on a request where it has no effect, is refused by name. Not implemented, and so refused:
//! multipart and resumable uploads, copies, reads of old versions, conditions other than
//! `x-goog-if-generation-match`, checksums sent by the client, and everything about buckets but
//! listings and, by the JSON API, what they do with deleted objects. Uploads need a `Content-Length`.
//!
//! Who calls is proven in either of two ways, and both are checked to the last claim: by an access
//! token that the OAuth endpoint ([`Fake::token_uri`]) gave for a signed assertion, or by a JWT that
//! the service account signed itself (<https://google.aip.dev/auth/4111>), which is what
//! `object_store` sends when it is given a service account.
//!
//! Where it differs from the service: there is one service account; an `ETag` is a digest, but not
//! MD5 (the service promises MD5 for some objects only); a bucket may have a quota, where the
//! service knows quotas of projects only.
//!
//! See <https://cloud.google.com/storage/docs/xml-api/overview>.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

mod account;
mod answer;
mod bucket;
mod jwt;
mod list;
mod request;
mod service;
mod token;

use account::Account;
use bucket::Bucket;
use service::State;

use crate::listener::{Listener, serve_http};
use crate::servers::Server;

/// How the service behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Objects and common prefixes on one page of a listing at most; 1000 by default, as with the
    /// service.
    pub page_len: usize,
    /// How long an access token opens the door; one hour by default.
    pub token_lifetime: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_len: 1000,
            token_lifetime: Duration::from_secs(3600),
        }
    }
}

/// What the service account may do in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Access {
    /// Nothing: every request answers 403.
    Denied,
    /// Read and list.
    Read,
    /// Read, list, write and delete.
    Full,
}

/// Whether a bucket keeps what is deleted or overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Versioning {
    /// Gone is gone.
    Suspended,
    /// It stays as a noncurrent version, which no listing shows and which is paid for.
    Enabled,
}

/// Requests since the start, refused ones included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// `PUT` of an object.
    pub puts: u64,
    /// `GET` of an object.
    pub gets: u64,
    /// `HEAD` of an object.
    pub heads: u64,
    /// `DELETE` of an object.
    pub deletes: u64,
    /// `GET` of a bucket.
    pub lists: u64,
    /// Requests to the token endpoint.
    pub tokens: u64,
    /// Requests of any kind whose answer was an error.
    pub refused: u64,
}

/// A running service, which stops when dropped.
#[derive(Debug)]
pub struct Fake {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// Starts an empty service on a free port of the loopback.
    ///
    /// # Errors
    /// When there is no free port, or when a key of this crate cannot be read.
    pub async fn start(options: Options) -> io::Result<Self> {
        let account = Account::open()?;
        let state = Arc::new(Mutex::new(State::new(account, options)));
        let shared = Arc::clone(&state);
        let listener = Listener::bind(move |stream| {
            let state = Arc::clone(&shared);
            serve_http(stream, move |request| {
                service::answer(Arc::clone(&state), request)
            })
        })
        .await?;
        let fake = Self { listener, state };
        fake.state().token_uri = fake.token_uri();
        Ok(fake)
    }

    /// The URL before `/bucket/object`, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// The URL of the OAuth token endpoint.
    #[must_use]
    pub fn token_uri(&self) -> String {
        format!("{}{}", self.base_url(), service::TOKEN_PATH)
    }

    /// The key file of the service account, with the URLs of this service in it.
    #[must_use]
    pub fn service_account_json(&self) -> String {
        account::key_file(account::PEM, &self.base_url(), &self.token_uri())
    }

    /// A bucket of this service, and who is let in, as it is known of the real servers.
    #[must_use]
    pub fn server(&self, bucket: &str) -> Server {
        let key = "GOOGLE_SERVICE_ACCOUNT_KEY".to_owned();
        Server {
            url: format!("gs://{bucket}/shares?endpoint={}", self.base_url()),
            env: [(key, self.service_account_json())].into(),
        }
    }

    /// The same file with a private key that is not the account's.
    #[must_use]
    pub fn forged_account_json(&self) -> String {
        account::key_file(account::STRANGERS_PEM, &self.base_url(), &self.token_uri())
    }

    /// Creates an empty bucket without versioning, to which the account has full access.
    ///
    /// # Panics
    /// When there is a bucket of this name.
    pub fn create_bucket(&self, name: &str) {
        let before = self
            .state()
            .buckets
            .insert(name.to_owned(), Bucket::default());
        assert!(before.is_none(), "there is a bucket {name} already");
    }

    /// Changes what the account may do in a bucket.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn set_access(&self, bucket: &str, access: Access) {
        self.state().bucket(bucket).access = access;
    }

    /// Switches versioning of a bucket.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn set_versioning(&self, bucket: &str, versioning: Versioning) {
        self.state().bucket(bucket).versioning = versioning;
    }

    /// Refuses uploads that would bring the bucket over this size, noncurrent versions included,
    /// with 403.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn set_quota_bytes(&self, bucket: &str, quota_bytes: u64) {
        self.state().bucket(bucket).quota_bytes = quota_bytes;
    }

    /// The objects of a bucket as a listing shows them.
    ///
    /// # Panics
    /// When there is no such bucket.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> BTreeMap<String, Bytes> {
        self.state().bucket(bucket).contents()
    }

    /// What versioning kept of a bucket, oldest first, names with bytes.
    ///
    /// # Panics
    /// When there is no such bucket.
    #[must_use]
    pub fn noncurrent(&self, bucket: &str) -> Vec<(String, Bytes)> {
        self.state().bucket(bucket).noncurrent()
    }

    /// Changes the bytes of an object and nothing else: generation, `ETag` and time stay, as when a
    /// medium rots.
    ///
    /// # Panics
    /// When there is no such object.
    pub fn corrupt(&self, bucket: &str, object: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let found = self.state().bucket(bucket).corrupt(object, change);
        assert!(found, "there is no object {object} in {bucket}");
    }

    /// Every access token given so far is refused from now on, whatever lifetime it was promised.
    ///
    /// A JWT that the account signed itself ends by its own `exp` only, and so by
    /// [`Fake::set_clock_ahead`].
    pub fn expire_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Sets the clock of the service that far ahead of the machine's.
    pub fn set_clock_ahead(&self, by: Duration) {
        self.state().clock_ahead = by;
    }

    /// Refuses the next requests to objects and buckets with 429.
    pub fn slow_down(&self, requests: u64) {
        self.state().slow_downs = requests;
    }

    /// What was asked for so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
