//! `gs://`: Google Cloud Storage.

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use object_store::client::{HttpClient, HttpConnector as _, HttpRequestBody};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey as Key};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde::Deserialize;
use xstore::Erasure;

use crate::cloud::answers::Provider;
use crate::cloud::{
    Client, Cloud, Page, Remote, TapConnector, client_options, malformed, no_retries, page_of,
    refused, unusable,
};
use crate::credential::{Source, Variables};
use crate::url::{ConnectError, Place};

const SERVICE: &str = "https://storage.googleapis.com";

/// The settings of a bucket are shorter.
const SETTINGS_LEN_BYTES_MAX: usize = 64 << 10;

/// Who asks: a service account, the credentials that `gcloud` leaves, a token, or an instance.
const VARIABLES: [(&str, Key); 5] = [
    ("GOOGLE_SERVICE_ACCOUNT", Key::ServiceAccount),
    ("GOOGLE_SERVICE_ACCOUNT_PATH", Key::ServiceAccount),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", Key::ServiceAccountKey),
    (
        "GOOGLE_APPLICATION_CREDENTIALS",
        Key::ApplicationCredentials,
    ),
    ("GOOGLE_BEARER_TOKEN", Key::BearerToken),
];

pub(crate) fn connect(
    id: &str,
    mut place: Place,
    source: &Source,
) -> Result<Cloud<Gcs>, ConnectError> {
    let remote = Remote::take(&mut place, "a bucket")?;
    place.finish()?;
    let prefix = Place::prefix(&remote.segments)?;
    let label = id.to_owned();
    Cloud::new(id, Provider::Gcs, &prefix, source, move |source| {
        let variables = source.read().map_err(|why| unusable(&label, why))?;
        client(&label, &remote, &variables)
    })
}

fn client(id: &str, remote: &Remote, variables: &Variables) -> Result<Gcs, ConnectError> {
    let bucket = &*remote.authority;
    let endpoint = remote.endpoint.as_ref();
    let service = endpoint.map_or(SERVICE, |endpoint| &endpoint.url);
    let options = client_options(endpoint);
    // A service account's file may name a server of its own, which is not for it to say.
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_base_url(service)
        .with_retry(no_retries())
        .with_client_options(options.clone())
        .with_http_connector(TapConnector::default());
    for (name, key) in VARIABLES {
        if let Some(value) = variables.value(name) {
            builder = builder.with_config(key, value);
        }
    }
    let made = builder.build().and_then(|client| {
        let http = TapConnector::default().connect(&options)?;
        Ok((client, http))
    });
    let given = VARIABLES.iter().map(|(name, _)| *name);
    let given = given.filter(|name| variables.value(name).is_some());
    let (client, http) = made.map_err(|_| unusable(id, malformed(given)))?;
    Ok(Gcs {
        client,
        http,
        settings_url: format!(
            "{service}/storage/v1/b/{bucket}?fields=versioning,softDeletePolicy,retentionPolicy"
        ),
    })
}

/// The library's client, and what one request takes that it does not make.
#[derive(Debug)]
pub(crate) struct Gcs {
    client: GoogleCloudStorage,
    http: HttpClient,
    settings_url: String,
}

/// The part of a bucket's settings that says what a deletion does; resource `Bucket` of the JSON API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    versioning: Option<Versioning>,
    soft_delete_policy: Option<SoftDeletePolicy>,
    retention_policy: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Versioning {
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SoftDeletePolicy {
    /// A number in quotes, as the JSON API writes 64 bits; 0 where nothing is kept.
    retention_duration_seconds: Option<String>,
}

impl Settings {
    fn erasure(&self) -> Erasure {
        let policy = self.soft_delete_policy.as_ref();
        let kept = policy.and_then(|policy| policy.retention_duration_seconds.as_deref());
        if self
            .versioning
            .as_ref()
            .is_some_and(|versioning| versioning.enabled)
        {
            Erasure::Keeps("it keeps earlier versions of its objects")
        } else if self.retention_policy.is_some() {
            Erasure::Keeps("a retention policy keeps its objects")
        } else if kept.is_some_and(|seconds| seconds != "0") {
            Erasure::Keeps("it keeps deleted objects for a while")
        } else {
            Erasure::Erases
        }
    }
}

#[async_trait]
impl Client for Gcs {
    fn objects(&self) -> &dyn ObjectStore {
        &self.client
    }

    async fn page(&self, prefix: &str, token: Option<String>) -> object_store::Result<Page> {
        page_of(&self.client, prefix, token).await
    }

    async fn delete(&self, path: &Path) -> object_store::Result<()> {
        self.client.delete(path).await
    }

    /// Answers to deletions say nothing, and new buckets keep deleted objects for seven days; so the
    /// settings are looked at, which takes the permission `storage.buckets.get`.
    async fn erasure(&self) -> object_store::Result<Option<Erasure>> {
        let credential = self.client.credentials().get_credential().await?;
        let mut request = Request::new(HttpRequestBody::empty());
        *request.uri_mut() = self
            .settings_url
            .parse()
            .map_err(|_| refused("the address of the bucket is not one"))?;
        let mut token = HeaderValue::try_from(format!("Bearer {}", credential.bearer))
            .map_err(|_| refused("the token is not one"))?;
        token.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, token);
        let answer = self.http.execute(request).await;
        let answer = answer.map_err(|error| object_store::Error::Generic {
            store: "GCS",
            source: Box::new(error),
        })?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => {
                let why = "the credential may not look at the settings of the bucket";
                return Ok(Some(Erasure::Untold(why)));
            }
            _ => return Err(refused("the settings of the bucket were not shown")),
        }
        let body = Limited::new(answer.into_body(), SETTINGS_LEN_BYTES_MAX);
        let body = body.collect().await;
        let settings = body
            .ok()
            .and_then(|body| serde_json::from_slice::<Settings>(&body.to_bytes()).ok())
            .ok_or_else(|| refused("the settings of the bucket are not readable"))?;
        Ok(Some(settings.erasure()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_tell_what_a_deletion_does() {
        for (text, expected) in [
            ("{}", "Erases"),
            (r#"{"versioning":{"enabled":false}}"#, "Erases"),
            (
                r#"{"softDeletePolicy":{"retentionDurationSeconds":"0"}}"#,
                "Erases",
            ),
            (r#"{"versioning":{"enabled":true}}"#, "earlier versions"),
            (
                r#"{"softDeletePolicy":{"retentionDurationSeconds":"604800"}}"#,
                "a while",
            ),
            (
                r#"{"retentionPolicy":{"retentionPeriod":"3600"}}"#,
                "retention policy",
            ),
        ] {
            let settings: Settings = serde_json::from_str(text).unwrap();
            let told = format!("{:?}", settings.erasure());
            assert!(told.contains(expected), "{text}: {told}");
        }
    }
}
