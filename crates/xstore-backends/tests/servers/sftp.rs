//! What SFTP alone has: a server that has to be known, a connection that breaks, files to look at.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use xstore::{BackendErrorKind, ObjectKey, Put, StorageBackend};
use xstore_backends::Source;

use crate::world::Server;

fn key(name: &str) -> ObjectKey {
    ObjectKey::try_new(name).unwrap()
}

fn told(error: xstore::BackendError) -> String {
    error.source.unwrap().to_string()
}

#[tokio::test]
async fn a_server_that_is_not_known_is_told_nothing() {
    let test = "a_server_that_is_not_known_is_told_nothing";
    let Some(server) = Server::find(test, "sftp").await else {
        return;
    };
    let nobody = tempfile::NamedTempFile::new().unwrap();
    let source = server.with("SFTP_KNOWN_HOSTS", nobody.path().to_str().unwrap());
    let error = server
        .backend_of(&source)
        .head(&key("a"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
    let told = told(error);
    assert!(told.contains("not a known one"), "{told}");
}

#[tokio::test]
async fn a_server_with_another_key_is_told_nothing() {
    let test = "a_server_with_another_key_is_told_nothing";
    let Some(server) = Server::find(test, "sftp").await else {
        return;
    };
    // The same name with the key of somebody else.
    let known = std::fs::read_to_string(&server.env["SFTP_KNOWN_HOSTS"]).unwrap();
    let name = known.split(' ').next().unwrap();
    let other = std::fs::read_to_string(format!("{}.pub", server.new_key())).unwrap();
    let hosts = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(hosts.path(), format!("{name} {other}")).unwrap();
    let source = server.with("SFTP_KNOWN_HOSTS", hosts.path().to_str().unwrap());
    let error = server.backend_of(&source).list("", None).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
    let told = told(error);
    assert!(told.contains("another key"), "{told}");
}

#[tokio::test]
async fn a_key_that_was_renewed_is_used() {
    let test = "a_key_that_was_renewed_is_used";
    let Some(server) = Server::find(test, "sftp").await else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |key: &str| {
        let hosts = &server.env["SFTP_KNOWN_HOSTS"];
        let text = format!("SFTP_KEY={key}\nSFTP_KNOWN_HOSTS={hosts}\n");
        std::fs::write(file.path(), text).unwrap();
    };
    write(&server.new_key());
    let backend = server.backend_of(&Source::File(file.path().to_owned()));
    let error = backend.list("", None).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::AuthFailed);
    let told = told(error);
    assert!(told.contains("does not accept the key"), "{told}");
    write(&server.env["SFTP_KEY"]);
    backend.list("x", None).await.unwrap();
}

#[tokio::test]
async fn a_missing_root_is_no_missing_object() {
    let test = "a_missing_root_is_no_missing_object";
    let Some(mut server) = Server::find(test, "sftp").await else {
        return;
    };
    server.url.push_str("/nowhere");
    let backend = server.backend();
    for error in [
        backend.head(&key("a")).await.unwrap_err(),
        backend.put_new(&key("a"), Bytes::new()).await.unwrap_err(),
        backend.list("", None).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, BackendErrorKind::Unavailable);
        let told = told(error);
        assert!(told.contains("root"), "{told}");
    }
}

/// The server's files lie on this computer.
#[tokio::test]
async fn files_and_folders_are_private_and_go() {
    use std::os::unix::fs::PermissionsExt as _;

    let test = "files_and_folders_are_private_and_go";
    let Some(server) = Server::find(test, "sftp").await else {
        return;
    };
    let folder = Path::new(server.folder());
    let name = format!("private{}", std::process::id());
    let one = key(&format!("{name}/a"));
    let backend: Arc<dyn StorageBackend> = server.backend();
    let put = backend.put_new(&one, Bytes::from_static(b"body")).await;
    assert_eq!(put.unwrap(), Put::Created);
    let folder = folder.join(&name);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("a.obj")), 0o600);
    backend.delete(&[one]).await.unwrap();
    assert!(!folder.exists());
}

/// Version 3 has no code for it.
#[tokio::test]
async fn a_full_file_system_is_told_from_a_failure() {
    let test = "a_full_file_system_is_told_from_a_failure";
    let Some(mut server) = Server::find(test, "sftp").await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]);
    let mounted = mount.arg(folder.path()).output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        println!("SKIP {test}: mounting a tmpfs");
        return;
    }
    server.url = server
        .url
        .replace(server.folder(), folder.path().to_str().unwrap());
    let backend = server.backend();
    let refused = backend.put_new(&key("a"), vec![7; 1 << 20].into()).await;
    let put = backend.put_new(&key("a"), vec![7; 1 << 10].into()).await;
    let left = std::fs::read_dir(folder.path().join(".tmp"))
        .unwrap()
        .count();
    let unmounted = Command::new("umount").arg("-l").arg(folder.path()).status();
    assert!(unmounted.unwrap().success());

    let error = refused.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::QuotaExceeded, "{error:?}");
    assert_eq!((put.unwrap(), left), (Put::Created, 0));
}
