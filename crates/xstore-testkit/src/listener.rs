//! `Listener`: a port of the loopback whose connections are served until it is dropped.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Listener {
    /// Binds a free port and runs `serve` for each connection, all at the same time.
    pub(crate) async fn bind<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let accepting = tokio::spawn(accept(socket, serve)).abort_handle();
        Ok(Self { address, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    /// Ends the connections too: they belong to the task that accepted them.
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<F>(socket: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => {
                // A client that left before it was accepted is not worth a word.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Why an HTTP answer is not given, which closes the connection.
pub(crate) type Closed = Box<dyn Error + Send + Sync>;

/// Answers the requests of one connection until either side closes it.
pub(crate) async fn serve_http<B, F>(stream: TcpStream, answer: impl Fn(Request<Incoming>) -> F)
where
    B: Body<Error: Into<Closed>> + 'static,
    F: Future<Output = Result<Response<B>, Closed>>,
{
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    // How a connection ended is for the client to judge.
    connection.await.ok();
}
