//! Without a fault, the server sees what was sent and the client what was answered.

use hyper::Method;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xstore_testkit::gcs::{Fake, Options};
use xstore_testkit::proxy::{Plan, Proxy};

use crate::setup::{BODY, Setup, install_tls};

#[tokio::test]
async fn a_request_passes_as_it_was_sent() {
    let setup = Setup::new([]).await;
    let target = "/b/a%2Fb+c%20d/%C3%A4?list-type=2&prefix=x%2Fy&empty=";
    let put = setup
        .put(target, "body")
        .header("Authorization", "AWS4-HMAC-SHA256 x");
    let answer = put.send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "0");
    let [seen] = &setup.seen()[..] else {
        panic!("not one request");
    };
    assert_eq!(seen.line, format!("PUT {target}"));
    assert_eq!(seen.headers["host"], setup.address());
    assert_eq!(seen.headers["authorization"], "AWS4-HMAC-SHA256 x");
    assert_eq!(seen.headers["content-length"], "4");
    assert_eq!(seen.body, "body");
}

#[tokio::test]
async fn what_has_no_body_stays_without() {
    let setup = Setup::new([]).await;
    let head = setup.request(Method::HEAD, "/o").send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "10");
    let deleted = setup.request(Method::DELETE, "/o").send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    for seen in setup.seen() {
        assert!(!seen.headers.contains_key("transfer-encoding"), "{seen:?}");
    }
}

#[tokio::test]
async fn what_is_about_one_hop_is_not_passed_on() {
    let setup = Setup::new([]).await;
    for _ in 0..2 {
        let delete = setup
            .request(Method::DELETE, "/o")
            .header("Connection", "keep-alive");
        let answer = delete
            .header("Keep-Alive", "timeout=5")
            .send()
            .await
            .unwrap();
        assert!(!answer.headers().contains_key("connection"), "{answer:?}");
    }
    for seen in setup.seen() {
        assert!(!seen.headers.contains_key("connection"), "{seen:?}");
        assert!(!seen.headers.contains_key("keep-alive"), "{seen:?}");
    }
    assert_eq!(setup.proxy.plan().counts().connections, 1);
}

#[tokio::test]
async fn large_bodies_pass_and_are_counted() {
    let setup = Setup::new([]).await;
    let large = "x".repeat(8 << 20);
    setup.put("/large", &large).send().await.unwrap();
    assert_eq!(setup.seen()[0].body, large);
    let got = setup.get("/o").send().await.unwrap();
    assert_eq!(got.text().await.unwrap(), BODY);
    let counts = setup.proxy.plan().counts();
    assert_eq!((counts.requests, counts.connections), (2, 1));
    assert_eq!((counts.by_method["PUT"], counts.by_method["GET"]), (1, 1));
    assert_eq!((counts.written_bytes, counts.read_bytes), (8 << 20, 11));
}

#[tokio::test]
async fn a_chunked_body_passes() {
    let setup = Setup::new([]).await;
    let mut stream = TcpStream::connect(setup.address()).await.unwrap();
    let request = "PUT /o HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
        Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(setup.seen()[0].body, "abcde");
    assert_eq!(setup.seen()[0].headers["host"], "h");
}

#[tokio::test]
async fn the_path_of_the_server_is_part_of_the_url() {
    let proxy = Proxy::start("http://127.0.0.1:1/account", Plan::default())
        .await
        .unwrap();
    assert!(
        proxy.base_url().ends_with("/account"),
        "{}",
        proxy.base_url()
    );
    for url in ["https://127.0.0.1:1", "127.0.0.1:1"] {
        assert!(Proxy::start(url, Plan::default()).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_closes_the_connection() {
    let setup = Setup::new([]).await;
    let proxy = Proxy::start("http://127.0.0.1:1", Plan::default())
        .await
        .unwrap();
    assert!(setup.client.get(proxy.base_url()).send().await.is_err());
}

#[tokio::test]
async fn object_store_works_through_it() {
    install_tls();
    let fake = Fake::start(Options::default()).await.unwrap();
    fake.create_bucket("shares");
    let proxy = Proxy::start(&fake.base_url(), Plan::default())
        .await
        .unwrap();
    let store = GoogleCloudStorageBuilder::new()
        .with_bucket_name("shares")
        .with_service_account_key(fake.service_account_json())
        .with_base_url(&proxy.base_url());
    let store = store.build().unwrap();
    let path = Path::from("a/b");
    store
        .put_opts(&path, "share".into(), PutMode::Create.into())
        .await
        .unwrap();
    assert_eq!(store.get_range(&path, 1..3).await.unwrap(), "ha");
    store.delete(&path).await.unwrap();
    assert_eq!(
        (proxy.plan().counts().requests, fake.counts().refused),
        (3, 0)
    );
}
