//! Three clouds, each behind a proxy that makes things go wrong, and a home that knows them.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use tempfile::TempDir;
use xstore::{ObjectKey, StorageBackend};
use xstore_backends::{Place, Source};
use xstore_testkit::gcs::{Fake, Options};
use xstore_testkit::proxy::{Fault, Plan, Proxy, Rule};
use xstore_testkit::servers::{self, Server};

use crate::world::{Run, World};

type Variables = BTreeMap<String, String>;

/// One provider. Its label is the name of its profile, too.
pub(super) struct Cloud {
    pub(super) label: &'static str,
    /// Where it really is.
    url: String,
    /// Who is let in.
    pub(super) variables: Variables,
    /// Who is not.
    strangers: Variables,
    proxy: Proxy,
}

/// All of them; `world` is the folder that `xgene` runs in.
pub(super) struct Clouds {
    pub(super) world: World,
    pub(super) each: Vec<Cloud>,
    /// Runs as long as it is kept.
    _fake: Fake,
}

impl Cloud {
    async fn new(
        label: &'static str,
        url: String,
        variables: Variables,
        strangers: Variables,
    ) -> Self {
        let (_, endpoint) = url.split_once("endpoint=").unwrap();
        Self {
            label,
            proxy: Proxy::start(endpoint, Plan::default()).await.unwrap(),
            url,
            variables,
            strangers,
        }
    }

    /// The URL that leads there by way of `endpoint`.
    pub(super) fn url_by(&self, endpoint: &str) -> String {
        let (place, _) = self.url.split_once("endpoint=").unwrap();
        format!("{place}endpoint={endpoint}")
    }

    pub(super) fn url(&self) -> String {
        self.url_by(&self.proxy.base_url())
    }

    pub(super) fn plan(&self) -> &Plan {
        self.proxy.plan()
    }

    /// The provider itself, without a proxy.
    fn backend(&self) -> Arc<dyn StorageBackend> {
        let given = self.variables.iter();
        let variables = given.map(|(name, value)| (&**name, &**value)).collect();
        let place = Place::parse(&self.url).unwrap();
        place
            .connect(self.label, &Source::Fixed(variables))
            .unwrap()
    }

    /// Changes one byte of the only share that is there.
    pub(super) async fn corrupt(&self) {
        let backend = self.backend();
        let page = backend.list("", None).await.unwrap();
        assert_eq!(page.next, None);
        let is_share = |key: &&ObjectKey| key.as_str().contains("/s/");
        let shares: Vec<&ObjectKey> = page.keys.iter().filter(is_share).collect();
        let [share] = shares[..] else {
            panic!("{shares:?}");
        };
        let mut bytes = backend
            .get_range(share, 0..u64::MAX)
            .await
            .unwrap()
            .to_vec();
        bytes[100] ^= 1;
        backend.delete(std::slice::from_ref(share)).await.unwrap();
        backend.put_new(share, bytes.into()).await.unwrap();
    }
}

impl Clouds {
    /// Two that run as servers, and our own stand-in; `None` and a word when one was not started.
    pub(super) async fn start(test: &str) -> Option<Self> {
        let s3 = servers::get("radosgw").or_else(|| servers::or_skip(test, "moto"))?;
        let azure = servers::or_skip(test, "azurite")?;
        let world = World {
            folder: tempfile::tempdir().unwrap(),
            codes: Vec::new(),
        };
        std::fs::create_dir(world.path("home")).unwrap();
        let fake = Fake::start(Options::default()).await.unwrap();
        fake.create_bucket("xstore");
        let account = |json: String| -> Variables {
            [("GOOGLE_SERVICE_ACCOUNT_KEY".to_owned(), json)].into()
        };
        let url = |server: &Server| own(&server.url, &world.folder);
        let google = format!("gs://xstore/shares?endpoint={}", fake.base_url());
        let wrong = |server: &Server, name: &str, value: &str| {
            let mut variables = server.env.clone();
            let right = variables.insert(name.to_owned(), value.to_owned());
            assert!(right.is_some(), "{name}");
            variables
        };
        let each = vec![
            Cloud::new(
                "amazon",
                url(&s3),
                s3.env.clone(),
                wrong(&s3, "AWS_SECRET_ACCESS_KEY", "wrong"),
            )
            .await,
            Cloud::new(
                "azure",
                url(&azure),
                azure.env.clone(),
                wrong(&azure, "AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc="),
            )
            .await,
            Cloud::new(
                "google",
                google,
                account(fake.service_account_json()),
                account(fake.forged_account_json()),
            )
            .await,
        ];
        Some(Self {
            world,
            each,
            _fake: fake,
        })
    }

    /// As [`Clouds::start`], with a label and a profile for each.
    pub(super) async fn start_named(test: &str) -> Option<Self> {
        let clouds = Self::start(test).await?;
        clouds.allow_all_but(None);
        for cloud in &clouds.each {
            clouds.name(cloud, &cloud.url());
        }
        Some(clouds)
    }

    /// Keeps `url`, with the profile of `cloud`, under its label.
    pub(super) fn name(&self, cloud: &Cloud, url: &str) {
        let url = format!("{url}&credential={}", cloud.label);
        let book = self.world.path("home/backends.toml");
        let before = std::fs::read_to_string(&book).unwrap_or_default();
        assert!(!before.contains(cloud.label));
        let add = ["store", "backend", "add", cloud.label, &url, "--untested"];
        self.world.run(&add).expect_ok();
    }

    /// Writes the profiles, of which that of `stranger` opens nothing.
    pub(super) fn allow_all_but(&self, stranger: Option<&str>) {
        let profiles = self.each.iter().map(|cloud| {
            let variables = if stranger == Some(cloud.label) {
                &cloud.strangers
            } else {
                &cloud.variables
            };
            // JSON's strings are TOML's, too.
            let lines = variables
                .iter()
                .map(|(name, value)| format!("{name} = {}\n", serde_json::json!(value)));
            format!("[{}]\n{}", cloud.label, lines.collect::<String>())
        });
        let path = self
            .world
            .write("home/credentials.toml", profiles.collect::<String>());
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    /// `xgene store` over the clouds that were named, without patience.
    pub(super) fn store(&self, args: &[&str]) -> Run {
        let all = [&["store"], args, &["--retries", "0"]].concat();
        tokio::task::block_in_place(|| self.world.run(&all))
    }

    /// From now on nobody else's first answer comes before that of cloud `first`, which else might not
    /// be waited for. Nothing goes wrong at that one yet.
    pub(super) fn hear_first(&self, first: usize) {
        let plan = self.each[first].plan().clone();
        plan.set([]);
        let others = self.each.iter().enumerate().filter(|(at, _)| *at != first);
        for (_, cloud) in others {
            let plan = plan.clone();
            let wait = Rule::new(Fault::WaitFor { plan, ended: 1 });
            cloud.plan().set([wait.requests(0..1)]);
        }
    }

    /// Lets everything pass.
    pub(super) fn heal(&self) {
        self.each.iter().for_each(|cloud| cloud.plan().set([]));
    }
}

/// A place of its own for each test, named after its folder: servers outlive tests.
fn own(url: &str, folder: &TempDir) -> String {
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    url.replacen("/shares", &format!("/shares/{name}"), 1)
}
