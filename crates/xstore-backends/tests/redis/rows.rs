//! What stands in the database, and what stays as it was.

use std::time::{Duration, SystemTime};

use xstore::testing::conformance;
use xstore::{BackendErrorKind, Put};
use xstore_backends::credential::Variables;
use xstore_backends::{Source, connect};

use crate::server::PASSWORD;
use crate::{Server, body, key};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_conforms() {
    let Some(server) = Server::start("redis_conforms", "") else {
        return;
    };
    let backend = server.connect();
    conformance::run_all(&backend).await.unwrap();
    let left: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query(&mut server.raw())
        .unwrap();
    assert_eq!(left, [""; 0], "what was deleted leaves nothing");
}

/// A cluster refuses a call whose keys lie in several slots.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_conforms() {
    let Some(server) = Server::start("redis_cluster_conforms", "--cluster-enabled yes") else {
        return;
    };
    server.tell("CLUSTER ADDSLOTSRANGE 0 16383");
    while !format!("{:?}", server.tell("CLUSTER INFO")).contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    conformance::run_all(&server.connect()).await.unwrap();
}

#[tokio::test]
async fn prefixes_and_databases_and_the_keys_of_others_are_apart() {
    let Some(server) = Server::start("redis_prefixes", "") else {
        return;
    };
    let source: Variables = [("REDIS_PASSWORD", PASSWORD)].into_iter().collect();
    let source = Source::Fixed(source);
    let foreign = [
        "a",
        "xgene",
        "{xgene}",
        "{xgene}a",
        "{xgene}names",
        "xgene/a",
    ];
    for name in foreign {
        server.tell(&format!("SET {name} theirs"));
    }
    let options = ["", "?prefix=other", "/1", "/1?prefix=other"];
    let backends = options.map(|options| {
        let url = format!("{}{options}", server.url());
        connect("r", &url, &source).unwrap()
    });
    for (len_bytes, backend) in backends.iter().enumerate() {
        let put = backend.put_new(&key("a"), body(len_bytes)).await.unwrap();
        assert_eq!(put, Put::Created);
    }
    for (len_bytes, backend) in backends.iter().enumerate() {
        let bytes = backend.get_range(&key("a"), 0..99).await.unwrap();
        assert_eq!(bytes, body(len_bytes));
        assert_eq!(backend.list("", None).await.unwrap().keys, [key("a")]);
        backend.delete(&[key("a")]).await.unwrap();
    }
    for name in foreign {
        let told: String = redis::cmd("GET")
            .arg(name)
            .query(&mut server.raw())
            .unwrap();
        assert_eq!(told, "theirs", "{name}");
    }
}

#[tokio::test]
async fn what_others_put_under_our_names_is_no_object() {
    let Some(server) = Server::start("redis_foreign_values", "") else {
        return;
    };
    let backend = server.connect();
    server.tell("SET {xgene}/short 1234567");
    server.tell("LPUSH {xgene}/list 1");
    for name in ["short", "list"] {
        let error = backend.head(&key(name)).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable, "{name}");
        let error = backend.get_range(&key(name), 0..9).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable, "{name}");
        let put = backend.put_new(&key(name), body(1)).await.unwrap();
        assert_eq!(put, Put::AlreadyExists, "{name}");
    }
    // The longest object, and one byte more, which is neither read nor stored.
    server.tell(&format!("SETRANGE {{xgene}}/a {} x", (64 << 20) + 7));
    let whole = backend.get_range(&key("a"), 0..u64::MAX).await.unwrap();
    assert_eq!(whole.len(), 64 << 20);
    server.tell("APPEND {xgene}/a x");
    let error = backend.get_range(&key("a"), 0..9).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    let error = backend.put_new(&key("b"), body((64 << 20) + 1)).await;
    assert_eq!(error.unwrap_err().kind, BackendErrorKind::QuotaExceeded);
}

#[tokio::test]
async fn ages_are_told_by_the_clock_of_the_server() {
    let Some(server) = Server::start("redis_ages", "") else {
        return;
    };
    let now = || {
        let (s, us): (u64, u64) = redis::cmd("TIME").query(&mut server.raw()).unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_millis(s * 1000 + us / 1000)
    };
    let backend = server.connect();
    let before = now();
    backend.put_new(&key("a"), body(0)).await.unwrap();
    let after = now();
    let modified = backend.head(&key("a")).await.unwrap().modified.unwrap();
    assert!(before <= modified && modified <= after);
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let Some(server) = Server::start("redis_scripts", "") else {
        return;
    };
    let backend = server.connect();
    for name in ["a", "b"] {
        let put = backend.put_new(&key(name), body(1)).await.unwrap();
        assert_eq!(put, Put::Created);
        server.tell("SCRIPT FLUSH");
    }
    let keys: Vec<_> = ["a", "b", "c"].map(key).into();
    backend.delete(&keys).await.unwrap();
    assert_eq!(backend.list("", None).await.unwrap().keys, []);
}
