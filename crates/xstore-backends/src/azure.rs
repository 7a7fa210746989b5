//! `az://account/container`: Azure Blob Storage.

use async_trait::async_trait;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request};
use object_store::azure::{
    AzureAuthorizer, AzureConfigKey as Key, MicrosoftAzure, MicrosoftAzureBuilder,
};
use object_store::client::{HttpClient, HttpConnector as _, HttpRequestBody};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use xstore::Erasure;

use crate::cloud::answers::Provider;
use crate::cloud::{
    Client, Cloud, Page, Remote, TapConnector, client_options, malformed, no_retries, page_of,
    refused, unusable,
};
use crate::credential::{Source, Variables};
use crate::url::{ConnectError, Place, Reason};

/// Who asks: an account key, a shared access signature, a token, an application with its secret, a
/// workload with its token, or an instance.
const VARIABLES: [(&str, Key); 13] = [
    ("AZURE_STORAGE_ACCOUNT_KEY", Key::AccessKey),
    ("AZURE_STORAGE_SAS_TOKEN", Key::SasKey),
    ("AZURE_STORAGE_TOKEN", Key::Token),
    ("AZURE_CLIENT_ID", Key::ClientId),
    ("AZURE_CLIENT_SECRET", Key::ClientSecret),
    ("AZURE_TENANT_ID", Key::AuthorityId),
    ("AZURE_AUTHORITY_HOST", Key::AuthorityHost),
    ("AZURE_FEDERATED_TOKEN_FILE", Key::FederatedTokenFile),
    ("AZURE_MSI_ENDPOINT", Key::MsiEndpoint),
    ("IDENTITY_ENDPOINT", Key::MsiEndpoint),
    ("AZURE_OBJECT_ID", Key::ObjectId),
    ("AZURE_MSI_RESOURCE_ID", Key::MsiResourceId),
    ("AZURE_USE_AZURE_CLI", Key::UseAzureCli),
];

/// Where the container is.
#[derive(Debug)]
struct Container {
    remote: Remote,
    name: String,
}

pub(crate) fn connect(
    id: &str,
    mut place: Place,
    source: &Source,
) -> Result<Cloud<Azure>, ConnectError> {
    let remote = Remote::take(&mut place, "an account")?;
    place.finish()?;
    let Some((name, below)) = remote.segments.split_first() else {
        return Err(Reason::new("az://account/ is followed by a container").into());
    };
    let prefix = Place::prefix(below)?;
    let name = Place::prefix(std::slice::from_ref(name))?;
    let container = Container { remote, name };
    let label = id.to_owned();
    Cloud::new(id, Provider::Azure, &prefix, source, move |source| {
        let variables = source.read().map_err(|why| unusable(&label, why))?;
        container.client(&label, &variables)
    })
}

impl Container {
    fn client(&self, id: &str, variables: &Variables) -> Result<Azure, ConnectError> {
        let (account, name) = (&*self.remote.authority, &*self.name);
        let service = match &self.remote.endpoint {
            Some(endpoint) => endpoint.url.clone(),
            None => format!("https://{account}.blob.core.windows.net"),
        };
        let options = client_options(self.remote.endpoint.as_ref());
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(account)
            .with_container_name(name)
            .with_endpoint(service.clone())
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
        Ok(Azure {
            client,
            http,
            account: account.to_owned(),
            container_url: format!("{service}/{name}"),
        })
    }
}

/// The library's client, and what one request takes that it does not make.
#[derive(Debug)]
pub(crate) struct Azure {
    client: MicrosoftAzure,
    http: HttpClient,
    account: String,
    container_url: String,
}

#[async_trait]
impl Client for Azure {
    fn objects(&self) -> &dyn ObjectStore {
        &self.client
    }

    /// The library leaves out the object whose whole name is `prefix`; it would be the first.
    async fn page(&self, prefix: &str, token: Option<String>) -> object_store::Result<Page> {
        let mut first = None;
        if token.is_none() && !prefix.is_empty() && !prefix.ends_with('/') {
            let path = Path::from(prefix);
            first = match self.client.head(&path).await {
                Ok(_) => Some(path),
                Err(object_store::Error::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
        }
        let (names, next) = page_of(&self.client, prefix, token).await?;
        Ok((first.into_iter().chain(names).collect(), next))
    }

    /// "Delete Blob", since the library deletes by "Blob Batch" only: that needs rights for the whole
    /// account with some signatures, and the answer for one object is out of sight of the tap.
    async fn delete(&self, path: &Path) -> object_store::Result<()> {
        let credential = self.client.credentials().get_credential().await?;
        // A key of ours has no character that would be encoded.
        let mut request = Request::new(HttpRequestBody::empty());
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = format!("{}/{path}", self.container_url)
            .parse()
            .map_err(|_| refused("the address of the object is not one"))?;
        request
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        AzureAuthorizer::new(&credential, &self.account).try_authorize(&mut request)?;
        let answer = self.http.execute(request).await;
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(_) => Err(refused("the object was not deleted")),
            Err(error) => Err(object_store::Error::Generic {
                store: "MicrosoftAzure",
                source: Box::new(error),
            }),
        }
    }

    async fn erasure(&self) -> object_store::Result<Option<Erasure>> {
        Ok(None)
    }
}
