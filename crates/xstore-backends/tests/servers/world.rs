//! A server, and how a backend gets to it.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use xstore::StorageBackend;
use xstore_backends::credential::Variables;
use xstore_backends::{Place, Source};
use xstore_testkit::gcs::{Fake, Options};
use xstore_testkit::proxy::{Plan, Proxy};
use xstore_testkit::servers;

/// Where a server is and who is let in.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) env: BTreeMap<String, String>,
    /// Ours stops when it is dropped.
    pub(crate) fake: Option<Fake>,
    /// For keys of strangers.
    folder: TempDir,
}

/// Bucket of the stand-in.
pub(crate) const BUCKET: &str = "xstore";

impl Server {
    /// The server called `name`; `None`, and said so, when it was not started.
    pub(crate) async fn find(test: &str, name: &str) -> Option<Self> {
        if name == "gcs" {
            return Some(Self::gcs().await);
        }
        let server = servers::or_skip(test, name)?;
        Some(Self {
            url: server.url,
            env: server.env,
            fake: None,
            folder: tempfile::tempdir().unwrap(),
        })
    }

    /// The stand-in, with pages so short that every listing has several.
    pub(crate) async fn gcs() -> Self {
        let mut options = Options::default();
        options.page_len = 100;
        let fake = Fake::start(options).await.unwrap();
        fake.create_bucket(BUCKET);
        let servers::Server { url, env, .. } = fake.server(BUCKET);
        Self {
            url,
            env,
            fake: Some(fake),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn variables(&self) -> Variables {
        self.env
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect()
    }

    pub(crate) fn backend(&self) -> Arc<dyn StorageBackend> {
        self.backend_of(&Source::Fixed(self.variables()))
    }

    pub(crate) fn backend_of(&self, source: &Source) -> Arc<dyn StorageBackend> {
        let place = Place::parse(&self.url).unwrap();
        place.connect("b", source).unwrap()
    }

    /// A proxy in front of it, and a backend that goes there.
    pub(crate) async fn proxied(&self) -> (Proxy, Arc<dyn StorageBackend>) {
        let (_, endpoint) = self.url.split_once("endpoint=").unwrap();
        let proxy = Proxy::start(endpoint, Plan::default()).await.unwrap();
        let url = self.url.replace(endpoint, &proxy.base_url());
        let source = Source::Fixed(self.variables());
        let backend = Place::parse(&url).unwrap().connect("b", &source);
        (proxy, backend.unwrap())
    }

    /// As [`Server::backend`], with a label of its own.
    pub(crate) fn backend_called(&self, label: &str) -> Arc<dyn StorageBackend> {
        let place = Place::parse(&self.url).unwrap();
        place
            .connect(label, &Source::Fixed(self.variables()))
            .unwrap()
    }

    /// Asked with credentials that were given to nobody.
    pub(crate) fn stranger(&self) -> Arc<dyn StorageBackend> {
        let source = Place::parse(&self.url).unwrap().stranger();
        let source = source.unwrap_or_else(|| self.with("SFTP_KEY", &self.new_key()));
        self.backend_of(&source)
    }

    /// The credentials with another value for one of them.
    pub(crate) fn with(&self, name: &str, value: &str) -> Source {
        let mut env = self.env.clone();
        env.insert(name.to_owned(), value.to_owned());
        Source::Fixed(env.into_iter().collect())
    }

    /// The folder in the URL of a server that keeps its files on this computer.
    pub(crate) fn folder(&self) -> &str {
        let (_, place) = self.url.split_once("://").unwrap();
        &place[place.find('/').unwrap()..]
    }

    /// The path of a private key that no server knows.
    pub(crate) fn new_key(&self) -> String {
        let path = self.folder.path().join("key").display().to_string();
        let mut command = Command::new("ssh-keygen");
        let made = command.args(["-q", "-t", "ed25519", "-N", "", "-f", &path]);
        assert!(made.status().unwrap().success());
        path
    }
}
