//! What each provider's answers become, through its own library: every row of the table that decides,
//! answered by a server that says just that, and the document made from the table.
#![cfg(all(feature = "s3", feature = "azure", feature = "gcs", feature = "webdav"))]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use xstore::{BackendErrorKind, ObjectKey, Put, StorageBackend};
use xstore_backends::cloud::answers::{Means, Provider, ROWS, Row};
use xstore_backends::credential::Variables;
use xstore_backends::{Source, connect};

const EVERY_PROVIDER: [Provider; 4] = [
    Provider::S3,
    Provider::Azure,
    Provider::Gcs,
    Provider::WebDav,
];

/// Answers every request of every connection with `answer`.
async fn server(answer: String) -> String {
    server_of(vec![("", answer)]).await
}

/// Answers each request with the first answer for its method.
async fn server_of(answers: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answers.clone()));
        }
    });
    format!("http://{address}")
}

async fn serve(mut stream: TcpStream, answers: Vec<(&'static str, String)>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let fits = |(method, _): &&(&str, String)| head.starts_with(method.as_bytes());
    let answer = answers.iter().find(fits).map(|(_, answer)| answer);
    stream.write_all(answer.unwrap().as_bytes()).await?;
    // What is left of a body is read, or closing would reset the connection.
    stream.shutdown().await?;
    while stream.read_buf(&mut head).await? > 0 {}
    Ok(())
}

fn answer(provider: Provider, status: u16, code: &str, headers: &str) -> String {
    let token_endpoint = code.starts_with(|c: char| c.is_ascii_lowercase());
    let body = match provider {
        _ if code.is_empty() => String::new(),
        _ if token_endpoint => format!(r#"{{"error":"{code}"}}"#),
        Provider::Azure => String::new(),
        _ => format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"),
    };
    let azure = match provider {
        Provider::Azure if !code.is_empty() => format!("x-ms-error-code: {code}\r\n"),
        _ => String::new(),
    };
    let len_bytes = body.len();
    format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {len_bytes}\r\nConnection: close\r\n{azure}{headers}\r\n{body}"
    )
}

/// What a provider answers for this row: to the request that the row is about, while those that lead
/// to it or come after it succeed.
fn answers(provider: Provider, row: &Row) -> Vec<(&'static str, String)> {
    let mut answers = vec![("", answer(provider, row.status, row.code, ""))];
    if provider != Provider::WebDav {
        return answers;
    }
    let created = "HTTP/1.1 201 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let body = "<multistatus xmlns=\"DAV:\"><response><href>/shares/</href><propstat><prop>\
                <resourcetype><collection/></resourcetype></prop></propstat></response></multistatus>";
    let len_bytes = body.len();
    let root =
        format!("HTTP/1.1 207 x\r\nContent-Length: {len_bytes}\r\nConnection: close\r\n\r\n{body}");
    match row.means {
        Means::Taken => answers.insert(0, ("PUT ", created.to_owned())),
        Means::Absent => answers.insert(0, ("PROPFIND ", root)),
        Means::EndsBefore | Means::Trouble(_) => {}
    }
    answers
}

fn backend(provider: Provider, server: &str) -> Arc<dyn StorageBackend> {
    let (url, variables): (_, &[(&str, &str)]) = match provider {
        Provider::S3 => (
            format!("s3://bucket/shares?endpoint={server}"),
            &[
                ("AWS_ACCESS_KEY_ID", "key"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
            ],
        ),
        Provider::Azure => (
            format!("az://account/container/shares?endpoint={server}/account"),
            &[("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")],
        ),
        Provider::WebDav => (
            format!("webdav+{server}/shares"),
            &[("WEBDAV_TOKEN", "token")],
        ),
        _ => (
            format!("gs://bucket/shares?endpoint={server}"),
            &[("GOOGLE_BEARER_TOKEN", "token")],
        ),
    };
    let variables: Variables = variables.iter().copied().collect();
    connect("b", &url, &Source::Fixed(variables)).unwrap()
}

fn key() -> ObjectKey {
    ObjectKey::try_new("a/b").unwrap()
}

async fn check(provider: Provider, row: &Row) {
    let server = server_of(answers(provider, row)).await;
    let backend = backend(provider, &server);
    match row.means {
        Means::Taken => {
            let put = backend.put_new(&key(), Bytes::from_static(b"x")).await;
            assert_eq!(put.unwrap(), Put::AlreadyExists, "{provider:?} {row:?}");
        }
        Means::EndsBefore => {
            let read = backend.get_range(&key(), 5..9).await.unwrap();
            assert!(read.is_empty(), "{provider:?} {row:?}");
        }
        Means::Absent => {
            let read = backend.get_range(&key(), 5..9).await.unwrap_err();
            assert_eq!(
                read.kind,
                BackendErrorKind::NotFound,
                "{provider:?} {row:?}"
            );
            backend.delete(&[key()]).await.unwrap();
        }
        Means::Trouble(kind) => {
            for error in [
                backend.get_range(&key(), 5..9).await.unwrap_err(),
                backend.put_new(&key(), Bytes::new()).await.unwrap_err(),
                backend.list("", None).await.unwrap_err(),
                backend.delete(&[key()]).await.unwrap_err(),
            ] {
                assert_eq!(error.kind, kind, "{provider:?} {row:?} {error:?}");
                let told = error.source.unwrap().to_string();
                assert!(told.contains(row.why) && told.contains(row.code), "{told}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_becomes_its_code() {
    for row in ROWS {
        match row.provider {
            Some(provider) => check(provider, row).await,
            None => {
                for provider in EVERY_PROVIDER {
                    // Unless a row of its own speaks of the same answer.
                    if Row::of(provider, row.status, row.code) == Some(row) {
                        check(provider, row).await;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_nobody_expects_is_unavailable() {
    for provider in EVERY_PROVIDER {
        let server = server(answer(provider, 418, "Teapot", "")).await;
        let error = backend(provider, &server).head(&key()).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable, "{provider:?}");
    }
}

#[tokio::test]
async fn the_wait_that_is_asked_for_is_told() {
    for provider in EVERY_PROVIDER {
        let answer = answer(provider, 503, "SlowDown", "Retry-After: 7\r\n");
        let server = server(answer).await;
        let error = backend(provider, &server)
            .get_range(&key(), 0..1)
            .await
            .unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::RateLimited, "{provider:?}");
        assert_eq!(
            error.retry_after,
            Some(Duration::from_secs(7)),
            "{provider:?}"
        );
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for provider in EVERY_PROVIDER {
        let backend = backend(provider, &format!("http://{address}"));
        let error = backend.head(&key()).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable, "{provider:?}");
        let told = error.source.unwrap().to_string();
        assert!(told.contains("refused"), "{told}");
    }
}

/// HEAD has no body, so that 404 alone may be the object or the bucket: a read tells which.
#[tokio::test]
async fn head_of_a_missing_bucket_is_not_a_missing_object() {
    let server = server(answer(Provider::S3, 404, "NoSuchBucket", "")).await;
    let error = backend(Provider::S3, &server)
        .head(&key())
        .await
        .unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
}

#[tokio::test]
async fn a_body_that_is_cut_or_endless_is_no_object() {
    let dates =
        "Last-Modified: Tue, 01 Dec 2026 10:00:00 GMT\r\nETag: \"x\"\r\nx-goog-generation: 1\r\n";
    for (len_bytes, body) in [(9, "short"), (1_u64 << 40, "endless")] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {len_bytes}\r\nConnection: close\r\n{dates}\r\n{body}"
        );
        for provider in EVERY_PROVIDER {
            let server = server(answer.clone()).await;
            let backend = backend(provider, &server);
            let error = backend.get_range(&key(), 0..u64::MAX).await.unwrap_err();
            assert_eq!(error.kind, BackendErrorKind::Unavailable, "{provider:?}");
        }
    }
}

const DOCUMENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/provider-answers.md"
);

const HEAD: &str = "\
# Answers of providers

Written by `XGENE_GOLDEN=write cargo test -p xstore-backends --all-features --test answers`, which compares it without that
variable, and puts every row through the provider's own library against a server that answers so. The first row that
fits decides; a row without a code speaks of all others. What no row speaks of is BACKEND_UNAVAILABLE, and so is a
connection that fails or breaks off; one that stays silent is BACKEND_TIMEOUT. `Retry-After` is kept with every error.

| provider | status | its code | our code | why |
|---|---|---|---|---|
";

#[test]
fn the_document_is_the_table() {
    assert!(ROWS.len() >= 40);
    let mut text = HEAD.to_owned();
    for row in ROWS {
        let provider = row.provider.map_or("any", Provider::name);
        let (status, code, why) = (row.status, row.code, row.why);
        let ours = row.means.code();
        writeln!(text, "| {provider} | {status} | {code} | {ours} | {why} |").unwrap();
    }
    if std::env::var_os("XGENE_GOLDEN").is_some_and(|mode| mode == "write") {
        std::fs::write(DOCUMENT, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(DOCUMENT).unwrap(), text);
}
