//! First whether a server is honest, then the contract: what a lax server cannot prove is left out
//! for it, and said so.

use xstore::testing::conformance as suite;
use xstore::{BackendErrorKind, ObjectKey, StorageBackend};

use crate::world::Server;

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of 32 that create one name at once it lets one win.
    Honest,
    /// It looks before it writes: under load several of them win.
    Racy,
    /// It looks before it writes, and keeps objects as files: no races, and no name that is also
    /// the start of another.
    Lax,
}

/// A server that lets anybody in proves nothing by letting us in.
async fn refuses_strangers(server: &Server) {
    let key = ObjectKey::try_new("honesty/a").unwrap();
    let admitted = server.stranger().get_range(&key, 0..1).await;
    assert_eq!(admitted.unwrap_err().kind, BackendErrorKind::AuthFailed);
}

async fn conforms(test: &str, name: &str, known: Kind) {
    let Some(server) = Server::find(test, name).await else {
        return;
    };
    refuses_strangers(&server).await;
    let backend = server.backend();
    match known {
        Kind::Honest => {
            suite::create_race_has_one_winner(&backend, 32)
                .await
                .unwrap();
            suite::run_all(&backend).await.unwrap();
        }
        Kind::Racy => {
            println!("LAX {test}: {name} proves nothing of races");
            check_without_races(&*backend).await.unwrap();
        }
        Kind::Lax => {
            println!("LAX {test}: {name} proves nothing of races and of names below names");
            check_lax(&*backend).await.unwrap();
        }
    }
}

async fn check_without_races(backend: &dyn StorageBackend) -> Result<(), suite::Violation> {
    suite::objects_round_trip(backend).await?;
    suite::missing_objects_are_not_found(backend).await?;
    suite::delete_is_idempotent(backend).await?;
    suite::list_matches_any_prefix(backend).await?;
    check_lax(backend).await
}

async fn check_lax(backend: &dyn StorageBackend) -> Result<(), suite::Violation> {
    suite::large_object_round_trips(backend).await?;
    suite::names_are_never_overwritten(backend).await?;
    suite::ranges_are_clamped(backend).await?;
    suite::list_pages_every_key_once(backend).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn gcs_conforms() {
    conforms("gcs_conforms", "gcs", Kind::Honest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moto_conforms() {
    conforms("moto_conforms", "moto", Kind::Racy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn radosgw_conforms() {
    conforms("radosgw_conforms", "radosgw", Kind::Honest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn azurite_conforms() {
    conforms("azurite_conforms", "azurite", Kind::Honest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3s_fs_conforms_as_far_as_it_can() {
    conforms("s3s_fs_conforms_as_far_as_it_can", "s3s-fs", Kind::Lax).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn webdav_conforms() {
    conforms("webdav_conforms", "webdav", Kind::Honest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sftp_conforms() {
    conforms("sftp_conforms", "sftp", Kind::Honest).await;
}
