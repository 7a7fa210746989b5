//! Lines that break, and servers that are gone, silent or something else.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use xstore::timeout::{Timeout, TimeoutOptions};
use xstore::{BackendErrorKind, Put, StorageBackend};
use xstore_backends::{Source, connect};

use crate::server::free_port;
use crate::{Server, body, key};

#[tokio::test]
async fn what_was_stored_survives_a_killed_server_and_the_line_is_made_anew() {
    let options = "--appendonly yes --appendfsync always";
    let Some(mut server) = Server::start("redis_killed", options) else {
        return;
    };
    let backend = server.connect();
    for name in ["a", "b"] {
        backend.put_new(&key(name), body(100_000)).await.unwrap();
    }
    backend.delete(&[key("b")]).await.unwrap();
    let modified = backend.head(&key("a")).await.unwrap().modified;
    server.kill();
    for _ in 0..2 {
        let error = backend.head(&key("a")).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable, "{error:?}");
    }
    server.start_again();
    let found = backend.head(&key("a")).await.unwrap();
    assert_eq!((found.len_bytes, found.modified), (100_000, modified));
    assert_eq!(backend.list("", None).await.unwrap().keys, [key("a")]);
    let put = backend.put_new(&key("a"), body(1)).await.unwrap();
    assert_eq!(put, Put::AlreadyExists);
}

#[tokio::test]
async fn nobody_at_the_port_is_unavailable() {
    let backend = connect_to(free_port());
    let error = backend.head(&key("a")).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("127.0.0.1"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = tokio::spawn(async move {
        let mut accepted = Vec::new();
        loop {
            accepted.push(listener.accept().await.unwrap());
        }
    });
    let mut options = TimeoutOptions::default();
    options.floor = Duration::from_millis(200);
    let backend = Timeout::new(connect_to(port), options);
    for _ in 0..2 {
        let error = backend.head(&key("a")).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Timeout);
    }
    silent.abort();
}

#[tokio::test]
async fn a_server_of_another_kind_is_unavailable() {
    for answer in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "+OK\r\n+OK\r\n+OK\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*1\r\n",
        "*100000000\r\n",
        "*4611686018427387904\r\n",
        "$9223372036854775807\r\n",
        "*-2\r\n",
        "%4611686018427387904\r\n",
        "-\r\n",
        "",
    ] {
        let backend = connect_to(answering(answer).await);
        let error = backend.head(&key("a")).await.unwrap_err();
        assert_eq!(
            error.kind,
            BackendErrorKind::Unavailable,
            "{answer}: {error:?}"
        );
    }
}

/// The port of a server that answers whatever it is asked with `answer`, and hangs up.
async fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut line, _) = listener.accept().await.unwrap();
            let _ = line.read(&mut [0; 64]).await;
            let _ = line.write_all(answer.as_bytes()).await;
        }
    });
    port
}

fn connect_to(port: u16) -> Arc<dyn StorageBackend> {
    let url = format!("redis://127.0.0.1:{port}");
    connect("r", &url, &Source::default()).unwrap()
}
