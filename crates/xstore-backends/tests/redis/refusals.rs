//! What a server refuses, and which kind of trouble that is.

use xstore::{BackendErrorKind, Put};
use xstore_backends::{Source, connect};

use crate::server::PASSWORD;
use crate::{Server, body, key};

#[tokio::test]
async fn a_wrong_or_missing_password_is_refused_and_not_repeated() {
    let Some(server) = Server::start("redis_password", "") else {
        return;
    };
    for variables in [
        &[][..],
        &[("REDIS_PASSWORD", "secret")],
        &[("REDIS_USERNAME", "secret"), ("REDIS_PASSWORD", PASSWORD)],
    ] {
        let backend = server.connect_as(variables);
        let error = backend.list("", None).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::AuthFailed, "{error:?}");
        let told = format!("{error:?} {backend:?}");
        assert!(
            !told.contains("secret") && !told.contains("127.0.0.1"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_password_that_changed_is_read_again() {
    let Some(server) = Server::start("redis_new_password", "") else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "REDIS_PASSWORD=old").unwrap();
    let source = Source::File(file.path().to_owned());
    let backend = connect("r", &server.url(), &source).unwrap();
    let error = backend.list("", None).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
    std::fs::write(file.path(), format!("REDIS_PASSWORD={PASSWORD}")).unwrap();
    backend.list("", None).await.unwrap();
    std::fs::remove_file(file.path()).unwrap();
    backend.list("", None).await.unwrap();
    server.tell("CLIENT KILL TYPE normal SKIPME yes");
    // The line that was cut shows first.
    let error = backend.list("", None).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    let error = backend.list("", None).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
}

#[tokio::test]
async fn a_user_without_the_rights_is_refused() {
    let Some(server) = Server::start("redis_rights", "") else {
        return;
    };
    server.connect().put_new(&key("a"), body(9)).await.unwrap();
    server.tell("ACL SETUSER reader on >pass ~* +@read +multi +exec");
    server.tell("ACL SETUSER nameless on >pass ~* +@all -zadd -del");
    server.tell("ACL SETUSER valueless on >pass ~* +@all -set -del");
    for user in ["reader", "nameless", "valueless"] {
        let backend = server.connect_as(&[("REDIS_USERNAME", user), ("REDIS_PASSWORD", "pass")]);
        assert_eq!(backend.get_range(&key("a"), 0..99).await.unwrap(), body(9));
        assert_eq!(backend.head(&key("a")).await.unwrap().len_bytes, 9);
        assert_eq!(backend.list("", None).await.unwrap().keys, [key("a")]);
        let error = backend.put_new(&key("b"), body(1)).await.unwrap_err();
        assert_eq!(
            error.kind,
            BackendErrorKind::AuthFailed,
            "{user}: {error:?}"
        );
        let error = backend.delete(&[key("a")]).await.unwrap_err();
        assert_eq!(
            error.kind,
            BackendErrorKind::AuthFailed,
            "{user}: {error:?}"
        );
        assert_eq!(backend.head(&key("a")).await.unwrap().len_bytes, 9);
    }
    let owner = server.connect();
    let put = owner.put_new(&key("b"), body(1)).await.unwrap();
    assert_eq!(
        put,
        Put::Created,
        "nothing of the refused put is in its way"
    );
}

#[tokio::test]
async fn a_full_server_is_a_quota_and_keeps_nothing_of_the_put() {
    let options = "--maxmemory 24mb --maxmemory-policy noeviction";
    let Some(server) = Server::start("redis_full", options) else {
        return;
    };
    let backend = server.connect();
    let mut stored = Vec::new();
    let refused = loop {
        let next = key(&format!("{:02}", stored.len()));
        match backend.put_new(&next, body(1 << 20)).await {
            Ok(_) => stored.push(next),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind, BackendErrorKind::QuotaExceeded);
    assert_eq!(backend.list("", None).await.unwrap().keys, stored);
    let again = backend.put_new(&stored[0], body(1)).await.unwrap();
    assert_eq!(again, Put::AlreadyExists);
    backend.delete(&stored).await.unwrap();
    let put = backend.put_new(&key("z"), body(1 << 20)).await.unwrap();
    assert_eq!(put, Put::Created, "what is deleted makes room");
}

#[tokio::test]
async fn a_server_that_throws_keys_away_is_refused() {
    let options = "--maxmemory 24mb --maxmemory-policy allkeys-lru";
    let Some(server) = Server::start("redis_cache", options) else {
        return;
    };
    let backend = server.connect();
    let error = backend.put_new(&key("a"), body(1)).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    server.tell("CONFIG SET maxmemory-policy volatile-lru");
    let put = backend.put_new(&key("a"), body(1)).await.unwrap();
    assert_eq!(put, Put::Created);
}

#[tokio::test]
async fn a_replica_is_unavailable_until_it_takes_over() {
    let Some(server) = Server::start("redis_replica", "") else {
        return;
    };
    let backend = server.connect();
    backend.put_new(&key("a"), body(9)).await.unwrap();
    server.tell("REPLICAOF 127.0.0.1 1");
    let error = backend.put_new(&key("b"), body(9)).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable, "{error:?}");
    assert_eq!(backend.head(&key("a")).await.unwrap().len_bytes, 9);
    server.tell("REPLICAOF NO ONE");
    let put = backend.put_new(&key("b"), body(9)).await.unwrap();
    assert_eq!(put, Put::Created);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable() {
    let Some(server) = Server::start("redis_database", "--databases 2") else {
        return;
    };
    let variables = [("REDIS_PASSWORD", PASSWORD)].into_iter().collect();
    let url = format!("{}/2", server.url());
    let backend = connect("r", &url, &Source::Fixed(variables)).unwrap();
    let error = backend.list("", None).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable, "{error:?}");
}
