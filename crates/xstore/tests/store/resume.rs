//! Puts that stop and are resumed: what is kept, what is dealt again, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use xstore::progress::{Observer, ProgressEvent, Stage, Status};
use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, Error, Freshness, Manifest, ObjectKey, Padding, PutOptions, Receipt,
    Resumption, nothing_more,
};

use crate::world::{CHUNK, World, get, payload, scratch};

/// Plaintext bytes of a segment.
const SEGMENT: usize = 256 * CHUNK;
const DAY_S: u64 = 24 * 3600;

/// Two whole segments and one that is short.
fn genome() -> Vec<u8> {
    payload(2 * SEGMENT + 1000, 1)
}

fn options(resumption: Resumption) -> PutOptions {
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    options.resumption = resumption;
    options
}

async fn resume(world: &World, data: &[u8]) -> Result<Receipt, Error> {
    world.try_put(data, options(Resumption::Resume)).await
}

/// A world in which a put has stopped at effect `stop` of one backend.
async fn stopped_at(world: &World, data: &[u8], at: usize, stop: u64) -> Error {
    world.plans[at].set([Fault::StopAt { effect: stop }]);
    let stopped = world.try_put(data, options(Resumption::Allow)).await;
    world.heal();
    stopped.unwrap_err()
}

/// A world in which two segments are finished and a third is on two backends.
async fn stopped(data: &[u8]) -> World {
    let world = World::new(2, 3);
    stopped_at(&world, data, 0, 3).await;
    assert!(can_resume(&world));
    world
}

fn can_resume(world: &World) -> bool {
    world.store().can_resume(Some("genome"), None).unwrap()
}

/// Segment objects at one backend by what counts in their names, `segment/attempt`.
fn segments(world: &World, at: usize) -> BTreeMap<String, (ObjectKey, Bytes)> {
    let objects = world.objects(at).into_iter();
    let shares = objects.filter(|(key, _)| key.as_str().contains("/s/"));
    let named = shares.map(|(key, bytes)| {
        let name: Vec<&str> = key.as_str().splitn(4, '/').collect();
        (name[3].to_owned(), (key.clone(), bytes))
    });
    named.collect()
}

fn names(world: &World, at: usize) -> Vec<String> {
    segments(world, at).into_keys().collect()
}

async fn restores(world: &World, manifest: &Manifest, data: &[u8]) {
    let (restored, report) = get(&world.store(), manifest).await.unwrap();
    assert!(restored == data);
    assert!(report.faults.is_empty(), "{:?}", report.faults);
}

fn checkpoint(world: &World) -> PathBuf {
    let files = std::fs::read_dir(world.journal.path()).unwrap().flatten();
    let mut paths = files.map(|file| file.path());
    let checkpoint = paths.find(|path| path.extension().is_some_and(|e| e == "checkpoint"));
    checkpoint.unwrap()
}

fn journal(world: &World) -> usize {
    let files = std::fs::read_dir(world.journal.path()).unwrap().flatten();
    let open = files.filter(|file| file.path().extension().is_none_or(|e| e != "lock"));
    open.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_stopped_at_any_effect_goes_on_where_it_stopped() {
    let data = genome();
    // Identity, three segments, index; a manifest that one backend lacks is committed all the same.
    for (stop, at, finished) in [(0, 0, 0), (1, 1, 0), (2, 2, 1), (3, 0, 2), (4, 1, 2)] {
        let what = format!("effect {stop}");
        let world = World::new(2, 3);
        stopped_at(&world, &data, at, stop).await;
        let report = world.store().recover(|_, _| Ok(())).await.unwrap();
        assert!(report.postponed.is_empty(), "{:?}", report.postponed);
        assert_eq!(report.resumable.len(), usize::from(finished > 0), "{what}");
        let before: Vec<_> = (0..3).map(|at| segments(&world, at)).collect();

        world.heal();
        let receipt = resume(&world, &data).await.unwrap();
        assert_eq!(receipt.manifest.body().version, 1, "{what}");
        restores(&world, &receipt.manifest, &data).await;
        let stored: usize = (0..3)
            .flat_map(|at| segments(&world, at))
            .filter(|(name, _)| name != "index")
            .map(|(_, (_, bytes))| bytes.len())
            .sum();
        assert_eq!(receipt.stored_bytes, stored as u64, "{what}");
        for (at, before) in before.iter().enumerate() {
            let mut expected: Vec<String> = (0..3)
                .map(|segment| match segment < finished {
                    true => format!("{segment}/0"),
                    false => format!("{segment}/{}", u8::from(finished > 0)),
                })
                .collect();
            expected.push("index".into());
            assert_eq!(names(&world, at), expected, "{what}, site {at}");
            let after = segments(&world, at);
            for segment in 0..finished {
                let name = format!("{segment}/0");
                assert_eq!(before[&name], after[&name], "{what}, site {at}");
            }
            // New segments, index and manifest; what is finished is not even sent.
            let written = world.plans[at].counts().written_bytes;
            let new = (3 - finished) * SEGMENT;
            assert!(written < (new + SEGMENT / 2) as u64, "{what}: {written}");
        }
        let found = world.store().find_name("genome").await.unwrap();
        assert_eq!(found.freshness, Freshness::Proven, "{what}");
        assert_eq!(journal(&world), 0, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_put_may_stop_and_be_resumed_again() {
    let data = genome();
    let world = World::new(2, 3);
    stopped_at(&world, &data, 1, 2).await;
    // The first effects are removals of what lost.
    world.plans[2].set([Fault::FailEffects {
        effects: 2..u64::MAX,
        kind: BackendErrorKind::QuotaExceeded,
    }]);
    resume(&world, &data).await.unwrap_err();
    world.heal();
    let receipt = resume(&world, &data).await.unwrap();
    restores(&world, &receipt.manifest, &data).await;
    for at in 0..3 {
        assert_eq!(names(&world, at), ["0/0", "1/1", "2/2", "index"]);
    }
    assert_eq!(journal(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_source_is_refused_where_it_matters() {
    let data = genome();
    let world = stopped(&data).await;
    let mut changed = data.clone();
    changed[2 * SEGMENT - 1] ^= 1;
    let short = [SEGMENT, SEGMENT + CHUNK, 2 * SEGMENT - 1, 0];
    let others = short.map(|len| data[..len].to_vec());
    for other in others.iter().chain([&changed]) {
        let error = resume(&world, other).await.unwrap_err();
        assert_eq!(error.code(), "SOURCE_CHANGED", "{} bytes", other.len());
        assert!(error.recovery().contains("without resuming"));
        assert!(can_resume(&world), "the right source may still come");
    }
    // What was not finished may be anything: it is dealt now.
    let longer = [&data[..2 * SEGMENT], &payload(SEGMENT + 5, 9)].concat();
    let receipt = resume(&world, &longer).await.unwrap();
    restores(&world, &receipt.manifest, &longer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_may_end_where_the_finished_segments_end() {
    let data = genome();
    let world = stopped(&data).await;
    let receipt = resume(&world, &data[..2 * SEGMENT]).await.unwrap();
    restores(&world, &receipt.manifest, &data[..2 * SEGMENT]).await;
}

/// How many bytes two attempts have in common at the same place.
fn in_common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).filter(|(a, b)| a == b).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_attempts_of_one_segment_share_no_randomness() {
    let data = genome();
    let mut changed = data.clone();
    changed[2 * SEGMENT + 7] ^= 0xff;
    for again in [&data, &changed] {
        let world = stopped(&data).await;
        let losing: Vec<_> = (1..3)
            .map(|at| segments(&world, at)["2/0"].clone())
            .collect();
        let receipt = resume(&world, again).await.unwrap();
        restores(&world, &receipt.manifest, again).await;
        for (at, (_, losing)) in (1..3).zip(losing) {
            // The XOR of the plaintexts is zero nearly everywhere, and with replayed randomness that
            // of two shares would be too.
            let (_, winning) = &segments(&world, at)["2/1"];
            let common = in_common(&losing[..1000], &winning[..1000]);
            assert!(common < 100, "site {at}: {common} of 1000");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_the_checkpoint_costs_time_and_no_bytes() {
    let data = genome();
    let len = std::fs::metadata(checkpoint(&stopped(&data).await)).unwrap();
    let len = usize::try_from(len.len()).unwrap();
    // The plan; the second segment; the end of the second segment.
    for (at, kept) in [(10, 0), (len - 40, 1), (len - 1, 1)] {
        let world = stopped(&data).await;
        let path = checkpoint(&world);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(can_resume(&world), kept > 0);
        world.store().recover(|_, _| Ok(())).await.unwrap();
        let receipt = resume(&world, &data).await.unwrap();
        restores(&world, &receipt.manifest, &data).await;
        let expected = match kept {
            0 => ["0/0", "1/0", "2/0", "index"],
            _ => ["0/0", "1/1", "2/1", "index"],
        };
        assert_eq!(names(&world, 1), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_put_waits_a_day_and_stands_in_nobodys_way() {
    let data = genome();
    let mut world = stopped(&data).await;
    let other = world.put_named("other", b"bytes").await;
    world.store().delete(&other.manifest).await.unwrap();
    world.now += DAY_S - 1;
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert_eq!(report.resumable.len(), 1);
    assert!(report.recovered.is_empty() && can_resume(&world));
    world.now += 1;
    let report = world.store().recover(|_, _| Ok(())).await.unwrap();
    assert_eq!(report.recovered.len(), 1);
    assert!(report.resumable.is_empty() && !can_resume(&world));
    assert!(world.share_names().is_empty());
    assert_eq!(journal(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_does_not_resume_discards_what_stopped() {
    let data = genome();
    for resumption in [Resumption::Never, Resumption::Allow] {
        let world = stopped(&data).await;
        let receipt = world.try_put(b"new", options(resumption)).await.unwrap();
        restores(&world, &receipt.manifest, b"new").await;
        assert_eq!(world.share_names().len(), 3);
        assert_eq!(journal(&world), 0);
    }
    // One that may not be resumed leaves nothing, and neither does one of which nothing is finished.
    for (resumption, data) in [
        (Resumption::Never, &data[..]),
        (Resumption::Allow, b"short"),
    ] {
        let world = World::new(2, 3);
        world.plans[0].set([Fault::StopAt { effect: 1 }]);
        let stopped = world.try_put(data, options(resumption)).await;
        stopped.unwrap_err();
        world.heal();
        world.store().recover(|_, _| Ok(())).await.unwrap();
        assert!(!can_resume(&world) && world.share_names().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_a_name_is_found_by_its_note() {
    let data = genome();
    let unnamed = |resumption, note: &str| {
        let mut options = options(resumption);
        (options.name, options.note) = (None, Some(note.into()));
        options
    };
    let world = World::new(2, 3);
    world.plans[0].set([Fault::StopAt { effect: 3 }]);
    let allowed = unnamed(Resumption::Allow, "a.xgm");
    world.try_put(&data, allowed).await.unwrap_err();
    world.heal();
    let can_resume = |note| world.store().can_resume(None, note).unwrap();
    assert!(can_resume(Some("a.xgm")) && !can_resume(Some("b.xgm")) && !can_resume(None));
    let other = unnamed(Resumption::Resume, "b.xgm");
    world.try_put(b"other", other).await.unwrap();
    let same = unnamed(Resumption::Resume, "a.xgm");
    let receipt = world.try_put(&data, same).await.unwrap();
    restores(&world, &receipt.manifest, &data).await;
    assert!(!can_resume(Some("a.xgm")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_go_on_is_refused_and_kept() {
    let data = genome();
    let mut world = stopped(&data).await;
    world.padding = Padding::Padme;
    let error = resume(&world, &data).await.unwrap_err();
    assert_eq!(error.code(), "INVALID_CONFIG");
    assert!(error.to_string().contains("discard"), "{error}");
    world.padding = Padding::None;

    let more = World::with_spares(2, 3, 1);
    let backend = std::mem::replace(&mut world.backends[1], Arc::clone(&more.backends[3]));
    let error = resume(&world, &data).await.unwrap_err();
    assert_eq!(error.code(), "INVALID_CONFIG");
    assert!(error.to_string().contains("discard"), "{error}");
    world.backends[1] = backend;

    world.fail(1);
    let error = resume(&world, &data).await.unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
    world.heal();

    // Another installation stores a version meanwhile.
    let ours = std::mem::replace(&mut world.journal, scratch());
    world.put_named("genome", b"theirs").await;
    world.journal = ours;
    let error = resume(&world, &data).await.unwrap_err();
    assert_eq!(error.code(), "CONFLICT");
    assert!(can_resume(&world));
    let receipt = world.try_put(&data, options(Resumption::Allow)).await;
    let manifest = receipt.unwrap().manifest;
    assert_eq!(manifest.body().version, 2);
    restores(&world, &manifest, &data).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_took_or_marked_is_put_from_nothing() {
    let data = genome();
    for marked in [true, false] {
        let world = stopped(&data).await;
        let (key, _) = segments(&world, 2)["0/0"].clone();
        let dealing = key.as_str().strip_suffix("0/0").unwrap();
        if marked {
            let tomb = ObjectKey::try_new(&format!("{dealing}tomb/0")).unwrap();
            world.replace(2, &tomb, &b"tomb"[..]);
        } else {
            for at in 1..3 {
                let keys: Vec<_> = segments(&world, at).into_values().collect();
                keys.iter().for_each(|(key, _)| world.remove(at, key));
            }
        }
        let receipt = resume(&world, &data).await.unwrap();
        restores(&world, &receipt.manifest, &data).await;
        for at in 0..3 {
            assert_eq!(names(&world, at), ["0/0", "1/0", "2/0", "index"]);
        }
        assert_ne!(segments(&world, 2)["0/0"].0, key, "another dealing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_holder_lost_is_recomputed() {
    let data = genome();
    let world = stopped(&data).await;
    let (key, bytes) = segments(&world, 2)["1/0"].clone();
    world.remove(2, &key);
    let receipt = resume(&world, &data).await.unwrap();
    restores(&world, &receipt.manifest, &data).await;
    assert_eq!(segments(&world, 2)["1/0"], (key, bytes), "bit for bit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_keeps_its_index_also_when_it_comes_back() {
    let data = genome();
    let world = World::with_spares(2, 3, 1);
    // Site 1 fails at the second segment and site 3 steps in; then site 0 fails, and nobody is left.
    let refuses = |effects| Fault::FailEffects {
        effects,
        kind: BackendErrorKind::QuotaExceeded,
    };
    world.plans[1].set([refuses(2..u64::MAX)]);
    world.plans[0].set([refuses(3..u64::MAX)]);
    let stopped = world.try_put(&data, options(Resumption::Allow)).await;
    stopped.unwrap_err();
    // Site 1 is back, but its share has gone to site 3, which is away now.
    world.heal();
    world.fail(3);
    let error = resume(&world, &data).await.unwrap_err();
    assert_eq!(error.code(), "INSUFFICIENT_BACKENDS");
    world.heal();
    let receipt = resume(&world, &data).await.unwrap();
    restores(&world, &receipt.manifest, &data).await;
    let body = receipt.manifest.body();
    let held: BTreeSet<_> = body.held.iter().map(|held| held.backend).collect();
    assert_eq!((body.held.len(), held.len()), (4, 4), "one index each");
    let labels: Vec<_> = body.stored().map(|(_, at)| at.label.as_str()).collect();
    assert_eq!(labels, ["site-0", "site-3", "site-2"]);
    assert!(names(&world, 1).is_empty(), "what it was sent is removed");
    assert_eq!(names(&world, 3), ["0/0", "1/0", "2/1", "index"]);
}

#[derive(Default)]
struct Heard(Mutex<Vec<(u8, Status, u64)>>);

impl Observer for Heard {
    fn progress(&self, event: &ProgressEvent) {
        let heard = (event.share_index, event.status, event.bytes_transferred);
        self.0.lock().unwrap().push(heard);
    }

    fn stage(&self, _: Stage) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_of_a_resumed_put_never_goes_back_and_ends_once() {
    let data = genome();
    let world = stopped(&data).await;
    let heard = Arc::new(Heard::default());
    let mut options = options(Resumption::Resume);
    options.observer = Some(Arc::clone(&heard) as _);
    let mut source = &data[..];
    let store = world.store();
    let put = store.put(&mut source, options, &mut nothing_more).await;
    let stored = put.unwrap().stored_bytes;
    let heard = heard.0.lock().unwrap();
    let mut total = 0;
    for share in 0..3 {
        let of_share = heard.iter().filter(|(of, ..)| *of == share);
        let bytes: Vec<u64> = of_share.clone().map(|(.., bytes)| *bytes).collect();
        assert!(bytes.is_sorted(), "{bytes:?}");
        total += bytes.last().unwrap();
        let ends = of_share.filter(|(_, status, _)| *status == Status::Complete);
        assert_eq!(ends.count(), 1);
    }
    assert_eq!(total, stored);
}
