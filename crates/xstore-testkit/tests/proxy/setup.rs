//! A small server that remembers what it was sent, with a proxy in front of it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, Once};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use reqwest::{Client, RequestBuilder};
use tokio::net::TcpListener;
use xstore_testkit::proxy::{Plan, Proxy, Rule};

/// What the server answers to a GET.
pub(crate) const BODY: &str = "0123456789";

/// A request as it reached the server.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) struct Setup {
    pub(crate) proxy: Proxy,
    pub(crate) client: Client,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Setup {
    pub(crate) async fn new(rules: impl Into<Vec<Rule>>) -> Self {
        install_tls();
        let seen = Arc::default();
        let server = start(Arc::clone(&seen)).await;
        Self {
            proxy: Proxy::start(&server, Plan::new(rules)).await.unwrap(),
            client: client(),
            seen,
        }
    }

    pub(crate) fn request(&self, method: Method, target: &str) -> RequestBuilder {
        let url = format!("{}{target}", self.proxy.base_url());
        self.client.request(method, url)
    }

    pub(crate) fn get(&self, target: &str) -> RequestBuilder {
        self.request(Method::GET, target)
    }

    pub(crate) fn put(&self, target: &str, body: &str) -> RequestBuilder {
        self.request(Method::PUT, target).body(body.to_owned())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Host and port of the proxy.
    pub(crate) fn address(&self) -> String {
        self.proxy.base_url().replace("http://", "")
    }
}

/// `reqwest` without a default provider takes the one of the process, even for plain HTTP.
pub(crate) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let provider = rustls::crypto::ring::default_provider();
        provider.install_default().unwrap();
    });
}

/// Starts the server, which lives as long as the test's runtime.
async fn start(seen: Arc<Mutex<Vec<Seen>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let seen = Arc::clone(&seen);
            let service = service_fn(move |request| answer(Arc::clone(&seen), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    format!("http://{address}")
}

/// GET is answered with [`BODY`], DELETE with the end of the connection, and anything else but HEAD
/// with the number of the request.
async fn answer(
    seen: Arc<Mutex<Vec<Seen>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        // The client left; nobody reads this.
        return Ok(Response::default());
    };
    let mut seen = seen.lock().unwrap();
    let number = seen.len();
    seen.push(Seen {
        line: format!("{} {}", parts.method, parts.uri),
        headers: parts.headers,
        body: body.to_bytes(),
    });
    let answer = match parts.method {
        Method::GET => Response::new(Full::from(BODY)),
        Method::HEAD => {
            let head = Response::builder().header(CONTENT_LENGTH, BODY.len());
            head.body(Full::default()).unwrap()
        }
        Method::DELETE => {
            let gone = Response::builder().status(204).header(CONNECTION, "close");
            gone.body(Full::default()).unwrap()
        }
        _ => Response::new(Full::from(number.to_string())),
    };
    Ok(answer)
}

/// A client without certificates: there is no TLS here, and reading them takes longer than a test.
pub(crate) fn client() -> Client {
    Client::builder().tls_certs_only([]).build().unwrap()
}
