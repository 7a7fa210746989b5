//! `Proxy`: stands in front of any server that speaks HTTP/1.1 and makes things go wrong.
//!
//! It is a reverse proxy: the client is given the proxy's URL, and what it sends is passed on as it
//! was sent, `Host` and target included, so that a signature over them still holds as long as the
//! server checks it against the request (as those that sign AWS SigV4 requests do). Only
//! `Connection` and `Keep-Alive`, which are about one hop, are not passed on. Bodies are streamed.
//!
//! What goes wrong is up to the [`Plan`], which may change at any time. The words are those of
//! `xstore::testing`, where the same faults happen without a network.

use std::io;

use crate::listener::{Listener, serve_http};

mod body;
mod forward;
mod plan;

use forward::Upstream;
/// Which requests a [`Rule`] is for.
pub use hyper::Method;
pub use plan::{Counts, Ending, Fault, Plan, Rule};

/// A running proxy, which stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    listener: Listener,
    /// What follows host and port in the URL of the server.
    path: String,
    plan: Plan,
}

impl Proxy {
    /// Starts a proxy on a free port of the loopback, in front of the server at `base_url`, which
    /// has the form `http://HOST:PORT` with or without a path.
    ///
    /// # Errors
    /// `InvalidInput` when the URL has another form, and others when there is no free port.
    pub async fn start(base_url: &str, plan: Plan) -> io::Result<Self> {
        let after_scheme = base_url.strip_prefix("http://");
        let after_scheme = after_scheme.ok_or(io::ErrorKind::InvalidInput)?;
        let start_of_path = after_scheme.find('/').unwrap_or(after_scheme.len());
        let (host_and_port, path) = after_scheme.split_at(start_of_path);
        let upstream = Upstream::new(host_and_port, plan.clone());
        let listener = Listener::bind(move |stream| {
            let upstream = upstream.clone();
            async move {
                if upstream.plan().lets_connect() {
                    serve_http(stream, move |request| upstream.clone().answer(request)).await;
                }
            }
        });
        Ok(Self {
            listener: listener.await?,
            path: path.to_owned(),
            plan,
        })
    }

    /// The URL that takes the place of the server's.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.listener.address(), self.path)
    }

    /// What goes wrong.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}
