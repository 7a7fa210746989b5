//! `s3://`: Amazon S3, and every server that speaks as it does.
//!
//! URLs say where, and only they: of the variables that the provider's tools read, those that would
//! send requests elsewhere are left out.

use async_trait::async_trait;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey as Key};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use xstore::Erasure;

use crate::cloud::answers::Provider;
use crate::cloud::{
    Client, Cloud, Page, Remote, TapConnector, client_options, malformed, no_retries, page_of,
    unusable,
};
use crate::credential::{Source, Variables};
use crate::url::{ConnectError, Place, Reason};

/// Who asks: a key, a role with a token of its workload, a container or an instance.
const VARIABLES: [(&str, Key); 11] = [
    ("AWS_ACCESS_KEY_ID", Key::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", Key::SecretAccessKey),
    ("AWS_SESSION_TOKEN", Key::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", Key::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", Key::RoleArn),
    ("AWS_ROLE_SESSION_NAME", Key::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", Key::StsEndpoint),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        Key::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        Key::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        Key::ContainerAuthorizationTokenFile,
    ),
    ("AWS_METADATA_ENDPOINT", Key::MetadataEndpoint),
];

/// Where the bucket is.
#[derive(Debug)]
struct Bucket {
    remote: Remote,
    /// Of the URL; else the variables may name one.
    region: Option<String>,
    /// Whether the endpoint's host names the bucket already.
    virtual_hosted: bool,
}

pub(crate) fn connect(
    id: &str,
    mut place: Place,
    source: &Source,
) -> Result<Cloud<S3>, ConnectError> {
    let bucket = Bucket {
        remote: Remote::take(&mut place, "a bucket")?,
        region: place.take("region"),
        virtual_hosted: place.take_flag("virtual-hosted")?,
    };
    place.finish()?;
    let prefix = Place::prefix(&bucket.remote.segments)?;
    let label = id.to_owned();
    Cloud::new(id, Provider::S3, &prefix, source, move |source| {
        let variables = source.read().map_err(|why| unusable(&label, why))?;
        bucket.client(&label, &variables)
    })
}

impl Bucket {
    fn client(&self, id: &str, variables: &Variables) -> Result<S3, ConnectError> {
        let name = &*self.remote.authority;
        let endpoint = self.remote.endpoint.as_ref();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(self.region(variables)?)
            .with_disable_bulk_delete(true)
            .with_retry(no_retries())
            .with_client_options(client_options(endpoint))
            .with_http_connector(TapConnector::default());
        builder = match endpoint {
            Some(endpoint) => builder
                .with_endpoint(&endpoint.url)
                .with_virtual_hosted_style_request(self.virtual_hosted),
            // The certificate for all buckets does not cover names with a dot in them.
            None => builder.with_virtual_hosted_style_request(!name.contains('.')),
        };
        for (name, key) in VARIABLES {
            if let Some(value) = variables.value(name) {
                builder = builder.with_config(key, value);
            }
        }
        let given = VARIABLES.iter().map(|(name, _)| *name);
        let given = given.filter(|name| variables.value(name).is_some());
        let client = builder.build();
        client.map(S3).map_err(|_| unusable(id, malformed(given)))
    }

    /// Amazon's endpoints are named by their region; other servers mostly do not mind.
    fn region(&self, variables: &Variables) -> Result<String, ConnectError> {
        let region = self
            .region
            .as_deref()
            .or_else(|| variables.value("AWS_REGION"))
            .or_else(|| variables.value("AWS_DEFAULT_REGION"));
        match (region, &self.remote.endpoint) {
            (Some(region), _) => Ok(region.to_owned()),
            (None, Some(_)) => Ok("us-east-1".to_owned()),
            (None, None) => Err(Reason::new("region=NAME says where the bucket is").into()),
        }
    }
}

/// The library's client.
#[derive(Debug)]
pub(crate) struct S3(AmazonS3);

#[async_trait]
impl Client for S3 {
    fn objects(&self) -> &dyn ObjectStore {
        &self.0
    }

    async fn page(&self, prefix: &str, token: Option<String>) -> object_store::Result<Page> {
        page_of(&self.0, prefix, token).await
    }

    /// One request for each object: its answer tells whether the bucket keeps versions, and which
    /// object it was that could not be deleted. Amazon charges nothing for deletions.
    async fn delete(&self, path: &Path) -> object_store::Result<()> {
        self.0.delete(path).await
    }

    async fn erasure(&self) -> object_store::Result<Option<Erasure>> {
        Ok(None)
    }
}
