//! Runs that were stopped half-way, and go on with `--resume`.
//!
//! What stops is made by the library over the same home and folders, because only there a backend
//! can be made to fail at a chosen effect.

use std::sync::Arc;

use xstore::entropy::OsEntropy;
use xstore::placement::FailureDomain;
use xstore::testing::{Fault, FaultyBackend, Plan};
use xstore::{AccessStructure, Home, Padding, PutOptions, Resumption, Store, nothing_more};

use crate::store::store;
use crate::world::{Run, World, payload};

/// A second segment begins after this many bytes.
const SEGMENT: usize = 16 << 20;

/// Stops a put of the first two segments' worth of `data` when one of them is finished.
fn stop(world: &World, label: impl Fn(usize) -> String, options: PutOptions, data: &[u8]) {
    let home = Home::new(&world.path("home"));
    let (keys, _) = home.keys_or_new(&OsEntropy).unwrap();
    let mut builder = Store::builder()
        .threshold(AccessStructure::try_new(2, 3).unwrap())
        .chunk_len(64 << 10)
        .padding(match options.name {
            Some(_) => Padding::None,
            None => Padding::Padme,
        })
        .keys(Arc::new(keys))
        .device(home.device(&OsEntropy).unwrap())
        .catalogue(Arc::new(home.catalogue()))
        .journal(home.journal());
    for (at, code) in world.codes.iter().enumerate() {
        let url = format!("file://{}", world.path(code).display());
        let folder =
            xstore_backends::connect(&label(at), &url, &xstore_backends::Source::default())
                .unwrap();
        let faults = [Fault::StopAt { effect: 2 }];
        let plan = Plan::new(if at == 0 { &faults[..] } else { &[] });
        let backend = FaultyBackend::new(folder, plan);
        builder = builder.backend(Arc::new(backend), FailureDomain::default());
    }
    let store = builder.build().unwrap();
    let put = async {
        let mut source = data;
        store
            .put(&mut source, options, &mut nothing_more)
            .await
            .unwrap_err()
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(put);
}

fn stop_store_put(world: &World, data: &[u8]) {
    let mut options = PutOptions::default();
    options.name = Some("a".into());
    options.resumption = Resumption::Allow;
    stop(world, |at| format!("backend{}", at + 1), options, data);
    assert!(!world.shares().is_empty());
}

const PUT: [&str; 5] = ["put", "a", "file", "--chunk-size", "64KiB"];

fn resume(world: &World) -> Run {
    store(world, &[&PUT[..], &["--resume"]].concat())
}

#[test]
fn a_put_goes_on_where_it_stopped_and_only_with_the_same_file() {
    let world = World::new(2, 3);
    let data = payload(SEGMENT + 1000);
    stop_store_put(&world, &data);
    let kept = world.shares();

    let ls = store(&world, &["ls"]).expect_ok();
    assert!(ls.stderr.contains("--resume"), "{}", ls.stderr);
    world.write("file", &data[1..]);
    resume(&world).expect_code("SOURCE_CHANGED", 14);
    assert!(world.shares().iter().any(|path| kept.contains(path)));

    world.write("file", &data);
    std::fs::rename(world.path("CA"), world.path("gone")).unwrap();
    let refused = resume(&world).expect_code("INSUFFICIENT_BACKENDS", 9);
    assert!(
        refused.stderr.contains("with --resume it goes on"),
        "{}",
        refused.stderr
    );
    std::fs::rename(world.path("gone"), world.path("CA")).unwrap();

    resume(&world).expect_ok();
    let out = store(&world, &["cat", "a"]).expect_ok();
    assert!(out.stdout == data);
    let segments = |paths: &[std::path::PathBuf]| {
        let first = paths.iter().filter(|path| path.ends_with("0/0.obj"));
        first.cloned().collect::<Vec<_>>()
    };
    assert_eq!(segments(&kept).len(), 3);
    assert_eq!(
        segments(&kept),
        segments(&world.shares()),
        "the first stays"
    );
    assert_eq!(world.shares().len(), 3 * 3, "two segments and an index");
}

#[test]
fn without_resume_it_starts_anew_and_standard_input_cannot_go_on() {
    let world = World::new(2, 3);
    stop_store_put(&world, &payload(SEGMENT + 1000));
    let file = world.write("file", b"other");
    let args = ["store", "put", "a", "-", "--resume"];
    world
        .run_with(&args, &file)
        .expect_code("INVALID_CONFIG", 2);
    store(&world, &PUT).expect_ok();
    assert_eq!(world.shares().len(), 3);
    assert_eq!(store(&world, &["cat", "a"]).expect_ok().stdout, b"other");
    // With nothing to go on with, it is a put like any other.
    resume(&world).expect_ok();
}

#[test]
fn a_split_asks_the_consent_again_and_goes_on() {
    let world = World::new(2, 3);
    let data = payload(SEGMENT + 1000);
    world.write("file", &data);
    let mut options = PutOptions::default();
    options.note = Some(world.path("file.xgm").display().to_string());
    options.resumption = Resumption::Allow;
    stop(&world, |at| world.codes[at].to_owned(), options, &data);
    let kept = world.shares();

    let split = [
        "split",
        "file",
        "--sites",
        "sites.toml",
        "--consent",
        "consent.json",
        "--resume",
    ];
    world.consent(&["DE"], "2099-01-01T00:00:00Z");
    world.run(&split).expect_code("JURISDICTION_MISMATCH", 15);
    assert_eq!(kept, world.shares(), "nothing is touched");
    world.consent(&world.codes, "2099-01-01T00:00:00Z");
    world.run(&split).expect_ok();
    let stays = |path: &&std::path::PathBuf| path.ends_with("0/0.obj") && kept.contains(path);
    assert_eq!(world.shares().iter().filter(stays).count(), 3);
    world.run(&["get", "file.xgm", "-o", "out"]).expect_ok();
    assert!(std::fs::read(world.path("out")).unwrap() == data);
}
