//! `webdav+https://`: folders of a WebDAV server (RFC 4918).
//!
//! An object is put under a temporary name and moved to its own with `Overwrite: F`, which a server
//! has to refuse when the name is taken (section 9.9.3). A PUT straight to the name would do on
//! servers that heed `If-None-Match` and write to the side; many do only one of both, and none tells.
//! The requests are made here, because libraries make others: OpenDAL moves with `Overwrite: T` and
//! puts without a condition, and `object_store` does not put with one.
//!
//! Two things WebDAV does not have. Nothing asks for a sync, so that nobody knows what survives a
//! loss of power. And a folder is deleted with all that is in it, also what came a moment ago:
//! folders that are empty stay.

use std::ops::Range;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, RANGE};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use object_store::client::{HttpClient, HttpConnector as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use xstore::{BackendError, BackendErrorKind, Capabilities, Put};
use zeroize::Zeroizing;

use crate::cloud::answers::{Means, Provider};
use crate::cloud::{
    Endpoint, Refusal, Session, TapConnector, client_options, malformed, refused, unusable,
};
use crate::credential::{Source, Variables};
use crate::tree::{Item, OBJECT_LEN_BYTES_MAX, Objects, Tree};
use crate::url::{ConnectError, Place, Reason};

mod multistatus;

use multistatus::Found;

/// Who asks: a user with a password, or a token (RFC 6750), or nobody.
const VARIABLES: [&str; 3] = ["WEBDAV_USERNAME", "WEBDAV_PASSWORD", "WEBDAV_TOKEN"];

/// What stays as it is in a path: the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The properties that are asked for.
const PROPERTIES: &str = "<?xml version=\"1.0\"?><propfind xmlns=\"DAV:\"><prop><resourcetype/>\
                          <getcontentlength/><getlastmodified/></prop></propfind>";

const DESTINATION: HeaderName = HeaderName::from_static("destination");
const DEPTH: HeaderName = HeaderName::from_static("depth");
const OVERWRITE: HeaderName = HeaderName::from_static("overwrite");

pub(crate) fn connect(
    id: &str,
    mut place: Place,
    source: &Source,
) -> Result<Objects<WebDav>, ConnectError> {
    let scheme = place.scheme().trim_start_matches("webdav+");
    let server = format!("{scheme}://{}", place.authority("a host")?);
    let endpoint = Endpoint::at(&server, &mut place)?;
    let folder = place.segments()?;
    place.finish()?;
    let root: String = folder
        .iter()
        .map(|name| format!("/{}", encoded(name)))
        .collect();
    let root = [&*endpoint.url, &root].concat();
    if root.parse::<http::Uri>().is_err() {
        return Err(Reason::new("what stands behind :// is not a host").into());
    }
    let label = id.to_owned();
    let session = Session::new(Provider::WebDav, source, move |source| {
        let variables = source.read().map_err(|why| unusable(&label, why))?;
        Client::new(&label, &endpoint, &variables)
    })?;
    Ok(Objects::new(WebDav {
        id: id.to_owned(),
        root,
        folder,
        session,
    }))
}

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

/// One folder of a server.
#[derive(Debug)]
pub(crate) struct WebDav {
    id: String,
    /// URL of the folder, without a slash at its end.
    root: String,
    /// Names of the folders that lead to it.
    folder: Vec<String>,
    session: Session<Client>,
}

/// Speaks in the name of somebody.
#[derive(Debug)]
struct Client {
    http: HttpClient,
    authorization: Option<HeaderValue>,
}

/// A request, which may have to be made twice.
#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    url: String,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
}

impl Request {
    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An answer that says yes.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl WebDav {
    /// A request for `path` below the root, which ends with a slash where it names a folder.
    fn request(&self, method: &'static str, path: &str) -> Request {
        Request {
            method,
            url: self.url(path),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    fn url(&self, path: &str) -> String {
        let names: Vec<String> = path.split('/').map(encoded).collect();
        format!("{}/{}", self.root, names.join("/"))
    }

    async fn send(&self, request: Request) -> Result<Answer, Refusal> {
        let sent = self.session.ask(|client| {
            let request = request.clone();
            async move { client.send(request).await }
        });
        sent.await.map(|(answer, _)| answer)
    }

    async fn ask(&self, request: Request) -> Result<Answer, BackendError> {
        let answer = self.send(request).await;
        answer.map_err(|refusal| refusal.of_backend(&self.id))
    }

    /// What stands at `path`, and below it where `depth` is 1.
    async fn found(&self, path: &str, depth: &str) -> Result<Vec<Found>, BackendError> {
        let mut request = self
            .request("PROPFIND", path)
            .with(DEPTH, depth)
            .with(CONTENT_TYPE, "application/xml");
        request.body = Bytes::from_static(PROPERTIES.as_bytes());
        let answer = self.ask(request).await?;
        let found = multistatus::parse(&answer.body);
        found.map_err(|why| BackendError::with_source(BackendErrorKind::Unavailable, &self.id, why))
    }

    fn elsewhere(&self) -> BackendError {
        let why = "the server names other paths than those that it was asked for";
        BackendError::with_source(BackendErrorKind::Unavailable, &self.id, why)
    }

    /// Names of the folders, from the server's root on, and of what is asked for in them.
    fn names<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let below = path.split('/').filter(|name| !name.is_empty());
        self.folder.iter().map(String::as_str).chain(below)
    }
}

impl Client {
    fn new(id: &str, endpoint: &Endpoint, variables: &Variables) -> Result<Self, ConnectError> {
        let given = || {
            VARIABLES
                .into_iter()
                .filter(|name| variables.value(name).is_some())
        };
        let authorization = authorization(variables).map(|text| {
            let value = HeaderValue::from_str(&text);
            value.map_err(|_| unusable(id, malformed(given())))
        });
        let mut authorization = authorization.transpose()?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        let http = TapConnector::default().connect(&client_options(Some(endpoint)));
        let http = http.map_err(|_| unusable(id, "there is no TLS on this machine"))?;
        Ok(Self {
            http,
            authorization,
        })
    }

    async fn send(&self, request: Request) -> object_store::Result<Answer> {
        let mut made = http::Request::builder()
            .method(request.method)
            .uri(request.url);
        for (name, value) in request.headers {
            made = made.header(name, value);
        }
        if let Some(value) = &self.authorization {
            made = made.header(AUTHORIZATION, value);
        }
        let made = made.body(request.body.into());
        let made = made.map_err(|_| refused("the request cannot be made"))?;
        let response = self.http.execute(made).await.map_err(generic)?;
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            return Err(refused("the server says no"));
        }
        let len_bytes_max = usize::try_from(OBJECT_LEN_BYTES_MAX).unwrap_or(usize::MAX);
        let body = Limited::new(body, len_bytes_max).collect().await;
        Ok(Answer {
            status: parts.status,
            body: body.map_err(generic)?.to_bytes(),
        })
    }
}

fn authorization(variables: &Variables) -> Option<Zeroizing<String>> {
    if let Some(token) = variables.value("WEBDAV_TOKEN") {
        return Some(Zeroizing::new(format!("Bearer {token}")));
    }
    let user = variables.value("WEBDAV_USERNAME")?;
    let password = variables.value("WEBDAV_PASSWORD").unwrap_or_default();
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
    Some(Zeroizing::new(format!("Basic {}", *encoded)))
}

fn generic(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic {
        store: "WebDAV",
        source: error.into(),
    }
}

/// With the slash at its end by which a folder is asked for.
fn as_folder(path: &str) -> String {
    let slash = if path.is_empty() { "" } else { "/" };
    format!("{path}{slash}")
}

/// `None` where the range starts so late that servers cannot count so far.
fn byte_range(range: &Range<u64>) -> Option<String> {
    let (start, last) = (i64::try_from(range.start).ok()?, range.end - 1);
    Some(match i64::try_from(last) {
        Ok(last) => format!("bytes={start}-{last}"),
        Err(_) => format!("bytes={start}-"),
    })
}

/// What was asked for: a server may answer with the whole object instead.
fn part(answer: Answer, range: &Range<u64>) -> Bytes {
    let len_bytes = answer.body.len();
    let at = |offset: u64| usize::try_from(offset).map_or(len_bytes, |at| at.min(len_bytes));
    if answer.status == StatusCode::PARTIAL_CONTENT {
        return answer.body.slice(..at(range.end - range.start));
    }
    answer.body.slice(at(range.start)..at(range.end))
}

fn item(found: &Found, name: &str) -> Item {
    Item {
        name: name.to_owned(),
        kind: found.kind,
        len_bytes: found.len_bytes,
        modified: found.modified,
    }
}

#[async_trait]
impl Tree for WebDav {
    fn id(&self) -> &str {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, false)
    }

    async fn items(&self, folder: &str) -> Result<Vec<Item>, BackendError> {
        let found = self.found(&as_folder(folder), "1").await?;
        let above: Vec<String> = self.names(folder).map(str::to_owned).collect();
        let mut items = Vec::new();
        for found in &found {
            match found.names.strip_prefix(above.as_slice()) {
                // The folder itself.
                Some([]) => {}
                Some([name]) => items.push(item(found, name)),
                // A proxy that changes paths would hide every object.
                _ => return Err(self.elsewhere()),
            }
        }
        Ok(items)
    }

    async fn item(&self, path: &str) -> Result<Item, BackendError> {
        let found = self.found(path, "0").await?;
        match &*found {
            [found] if self.names(path).eq(&found.names) => Ok(item(found, path)),
            _ => Err(self.elsewhere()),
        }
    }

    async fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, BackendError> {
        let Some(asked) = byte_range(&range) else {
            return self.item(path).await.map(|_| Bytes::new());
        };
        let request = self.request("GET", path).with(RANGE, asked);
        match self.send(request).await {
            Ok(answer) => Ok(part(answer, &range)),
            Err(refusal) if refusal.means() == Means::EndsBefore => Ok(Bytes::new()),
            Err(refusal) => Err(refusal.of_backend(&self.id)),
        }
    }

    /// The condition keeps off a writer elsewhere that came to the same name.
    async fn write(&self, path: &str, bytes: Bytes) -> Result<(), BackendError> {
        let mut request = self.request("PUT", path).with(IF_NONE_MATCH, "*");
        request.body = bytes;
        self.ask(request).await.map(drop)
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Put, BackendError> {
        let request = self
            .request("MOVE", from)
            .with(DESTINATION, self.url(to))
            .with(OVERWRITE, "F");
        match self.send(request).await {
            Ok(_) => Ok(Put::Created),
            Err(refusal) if refusal.means() == Means::Taken => Ok(Put::AlreadyExists),
            Err(refusal) => Err(refusal.of_backend(&self.id)),
        }
    }

    async fn make_folder(&self, path: &str) -> Result<(), BackendError> {
        match self.send(self.request("MKCOL", &as_folder(path))).await {
            // Section 9.3.1: something has this name.
            Err(refusal) if refusal.has_status(405) => Ok(()),
            Err(refusal) => Err(refusal.of_backend(&self.id)),
            Ok(_) => Ok(()),
        }
    }

    async fn remove(&self, path: &str) -> Result<(), BackendError> {
        self.ask(self.request("DELETE", path)).await.map(drop)
    }

    /// No server can be asked to delete a folder only if it is empty.
    async fn remove_if_empty(&self, _: &str) -> Result<bool, BackendError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(url: &str) -> Result<Objects<WebDav>, ConnectError> {
        connect("b", Place::parse(url).unwrap(), &Source::default())
    }

    #[test]
    fn passwords_leave_this_computer_with_tls_only() {
        for good in [
            "webdav+https://dav.lab",
            "webdav+https://dav.lab:8443/remote.php/dav/files/a%20b/",
            "webdav+http://127.0.0.1:8080/shares",
            "webdav+http://dav.lab/shares?allow-plaintext=true",
        ] {
            assert!(connected(good).is_ok(), "{good}");
        }
        for bad in [
            "webdav+http://dav.lab/shares",
            "webdav+https:///shares",
            "webdav+https://dav lab/",
            "webdav+https://dav.lab/a/../b",
            "webdav+https://dav.lab/?region=x",
            "webdav+https://dav.lab/?endpoint=https://x",
        ] {
            let error = connected(bad).expect_err(bad);
            assert_eq!(error.code(), "INVALID_CONFIG", "{error}");
        }
    }

    #[test]
    fn a_token_goes_before_a_password() {
        let variables = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Variables>();
        let mut given = vec![
            ("WEBDAV_USERNAME", "Aladdin"),
            ("WEBDAV_PASSWORD", "open sesame"),
        ];
        // The example of RFC 7617.
        let basic = authorization(&variables(&given)).unwrap();
        assert_eq!(*basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        given.push(("WEBDAV_TOKEN", "t"));
        assert_eq!(*authorization(&variables(&given)).unwrap(), "Bearer t");
        assert!(authorization(&Variables::default()).is_none());
    }

    #[test]
    fn ranges_are_asked_for_as_far_as_servers_count() {
        assert_eq!(byte_range(&(0..1)).unwrap(), "bytes=0-0");
        assert_eq!(byte_range(&(7..u64::MAX)).unwrap(), "bytes=7-");
        assert_eq!(byte_range(&(u64::MAX - 1..u64::MAX)), None);
    }

    #[test]
    fn of_a_whole_object_the_range_is_taken() {
        let answer = |status| Answer {
            status,
            body: Bytes::from_static(b"0123456789"),
        };
        assert_eq!(part(answer(StatusCode::OK), &(8..20)), "89");
        assert_eq!(part(answer(StatusCode::OK), &(20..30)), "");
        assert_eq!(part(answer(StatusCode::PARTIAL_CONTENT), &(70..73)), "012");
    }
}
