//! Checks of calls at the same time, run as tasks of their own.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{Area, Violation, expect_eq, list_all, read};
use crate::backend::{ObjectKey, Put, StorageBackend};

/// Rounds of each race; one lucky round proves little.
const ROUND_COUNT: usize = 4;

/// Of `racer_count` tasks that create one name with different bytes, exactly one wins, and its
/// bytes are stored.
///
/// A backend whose capabilities do not claim create-if-absent may report several winners; the
/// object must still hold the bytes of one of them, whole.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn create_race_has_one_winner(
    backend: &Arc<dyn StorageBackend>,
    racer_count: usize,
) -> Result<(), Violation> {
    let area = Area::new("race");
    for round in 0..ROUND_COUNT {
        let key = area.key(&format!("r{round}/object"))?;
        let winners = race(backend, &key, racer_count).await?;
        if backend.capabilities().create_if_absent {
            expect_eq(winners.len(), 1, "a create race has exactly one winner")?;
        }
        let stored = read(backend.as_ref(), &key).await?;
        let by_a_winner = winners.iter().any(|&racer| body(racer) == stored);
        expect_eq(by_a_winner, true, "the bytes of a winner are stored")?;
    }
    area.clean(backend.as_ref()).await
}

/// Numbers of the racers that were told [`Put::Created`].
async fn race(
    backend: &Arc<dyn StorageBackend>,
    key: &ObjectKey,
    racer_count: usize,
) -> Result<Vec<usize>, Violation> {
    let start = Arc::new(Barrier::new(racer_count));
    let mut racers = JoinSet::new();
    for racer in 0..racer_count {
        let (backend, key, start) = (Arc::clone(backend), key.clone(), Arc::clone(&start));
        racers.spawn(async move {
            let bytes = body(racer);
            start.wait().await;
            backend.put_new(&key, bytes).await.map(|put| (racer, put))
        });
    }
    let mut winners = Vec::new();
    for answer in racers.join_all().await {
        if let (racer, Put::Created) = answer? {
            winners.push(racer);
        }
    }
    Ok(winners)
}

/// Bytes that differ by racer in content and length.
fn body(racer: usize) -> Bytes {
    format!("racer {racer} ").repeat(racer + 1).into()
}

/// Puts and deletes side by side under one prefix leave exactly what was put and not deleted.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn puts_and_deletes_do_not_disturb(
    backend: &Arc<dyn StorageBackend>,
) -> Result<(), Violation> {
    const TASK_COUNT: usize = 16;
    let area = Area::new("churn");
    for round in 0..ROUND_COUNT {
        let mut tasks = JoinSet::new();
        let mut kept = Vec::new();
        for task in 0..TASK_COUNT {
            // Neighbours share their directory, if the backend has such a thing.
            let folder = format!("r{round}/f{}/g", task / 4);
            let gone = area.key(&format!("{folder}/gone{task:02}"))?;
            tasks.spawn(put_and_delete(Arc::clone(backend), gone));
            if task % 4 == 3 {
                let stays = area.key(&format!("{folder}/stays{task:02}"))?;
                kept.push(stays.clone());
                tasks.spawn(put_once(Arc::clone(backend), stays));
            }
        }
        for answer in tasks.join_all().await {
            answer?;
        }
        kept.sort();
        let listed = list_all(backend.as_ref(), &format!("{}/r{round}/", area.prefix)).await?;
        expect_eq(listed, kept, "only what was not deleted is left")?;
    }
    area.clean(backend.as_ref()).await
}

async fn put_and_delete(backend: Arc<dyn StorageBackend>, key: ObjectKey) -> Result<(), Violation> {
    put_once(Arc::clone(&backend), key.clone()).await?;
    Ok(backend.delete(&[key]).await?)
}

async fn put_once(backend: Arc<dyn StorageBackend>, key: ObjectKey) -> Result<(), Violation> {
    let put = backend.put_new(&key, Bytes::from_static(b"object")).await?;
    expect_eq(put, Put::Created, "a free name is created")
}
