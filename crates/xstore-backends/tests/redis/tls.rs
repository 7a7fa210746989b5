//! `rediss://`: certificates are checked against those that this computer trusts.

use std::path::Path;
use std::process::Command;

use xstore::{BackendErrorKind, Put};
use xstore_backends::credential::Variables;
use xstore_backends::{Source, connect};

use crate::server::{PASSWORD, free_port};
use crate::{Server, body, key};

/// Names the port to a process of this test.
const PORT: &str = "XGENE_TEST_REDIS_TLS_PORT";

/// What is trusted is a matter of the process, so that each case is one.
#[test]
fn only_a_trusted_certificate_is_spoken_to() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, secret_key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    if !make_certificate(&cert, &secret_key) {
        println!("SKIP only_a_trusted_certificate_is_spoken_to: no program openssl");
        return;
    }
    let port = free_port().to_string();
    let (cert, secret_key) = (cert.display().to_string(), secret_key.display().to_string());
    let options = format!(
        "--tls-port {port} --tls-cert-file {cert} --tls-key-file {secret_key} --tls-auth-clients no"
    );
    let Some(_server) = Server::start("redis_tls", &options) else {
        return;
    };
    let other = folder.path().join("other.pem");
    assert!(make_certificate(&other, &folder.path().join("other.key")));
    for (trusted, case) in [(Path::new(&cert), "trusted"), (&other, "untrusted")] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("tls::{case}")])
            .env(PORT, &port)
            .env("SSL_CERT_FILE", trusted)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stdout);
        assert!(told.contains("1 passed"), "{case}: {told}");
    }
}

fn make_certificate(cert: &Path, secret_key: &Path) -> bool {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "30", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(secret_key)
        .arg("-out")
        .arg(cert)
        .output();
    made.is_ok_and(|output| output.status.success())
}

/// The backend at `host`, in a process that the test above has started with a port; else none.
fn connected(host: &str) -> Option<std::sync::Arc<dyn xstore::StorageBackend>> {
    let port = std::env::var(PORT).ok()?;
    let variables: Variables = [("REDIS_PASSWORD", PASSWORD)].into_iter().collect();
    let url = format!("rediss://{host}:{port}");
    Some(connect("r", &url, &Source::Fixed(variables)).unwrap())
}

#[tokio::test]
async fn trusted() {
    let (Some(named), Some(other)) = (connected("localhost"), connected("127.0.0.1")) else {
        return;
    };
    let put = named.put_new(&key("a"), body(1)).await;
    assert_eq!(put.unwrap(), Put::Created);
    let error = other.head(&key("a")).await.unwrap_err();
    assert_eq!(
        error.kind,
        BackendErrorKind::Unavailable,
        "it is another name"
    );
}

#[tokio::test]
async fn untrusted() {
    let Some(named) = connected("localhost") else {
        return;
    };
    let error = named.head(&key("a")).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    assert!(format!("{error:?}").contains("certificate"), "{error:?}");
}
