//! Media that are full or read-only, and a program that may open few files: each operation ends in
//! its code, leaves nothing by half, and goes through once there is room again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::store::store;
use crate::world::{Run, World, payload};

/// A small file system; not every machine lets us mount one.
struct Medium(PathBuf);

impl Medium {
    /// `None`, with a line that says so, where nothing can be mounted.
    fn mount(test: &str, at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        if mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at) {
            return Some(Self(at.to_owned()));
        }
        println!("SKIP {test}: mounting a tmpfs");
        None
    }

    fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0));
    }

    /// Takes all room but so many pages, until the file returned is removed.
    fn fill(&self, spare_pages: usize) -> PathBuf {
        const PAGE: usize = 4096;
        let filler = self.0.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        while std::io::Write::write_all(&mut file, &[1; PAGE]).is_ok() {}
        let pages = file.metadata().unwrap().len() / PAGE as u64;
        file.set_len((pages - spare_pages as u64) * PAGE as u64)
            .unwrap();
        filler
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let output = Command::new("mount").args(arguments).arg(at).output();
    output.is_ok_and(|output| output.status.success())
}

/// Nothing is stored but what `objects` need, nothing is half-written, and nothing is left to recover.
fn expect_tidy(world: &World, objects: usize) {
    assert_eq!(world.shares().len(), objects * 3, "{:?}", world.shares());
    let staged = world.stored().into_iter();
    let staged: Vec<_> = staged
        .filter(|file| file.to_string_lossy().contains("/.tmp/"))
        .collect();
    assert!(staged.is_empty(), "{staged:?}");
    let journal = fs::read_dir(world.path("home/journal")).unwrap();
    assert_eq!(journal.count(), 0);
    let collected = store(world, &["gc", "--dry-run"]).expect_ok().text();
    assert!(collected.contains("each is needed"), "{collected}");
}

#[test]
fn a_full_disk_and_a_read_only_folder_have_their_own_codes() {
    let world = World::new(2, 3);
    world.write("file", payload(4 << 20));
    let at = world.path("JP");
    let Some(disk) = Medium::mount("a_full_disk", &at, "size=1m,mode=700") else {
        return;
    };
    world.split("file").expect_code("BACKEND_QUOTA_EXCEEDED", 7);
    assert!(world.shares().is_empty(), "{:?}", world.shares());
    assert!(!world.path("file.xgm").exists());
    disk.remount("ro");
    world.split("file").expect_code("BACKEND_AUTH_FAILED", 6);
    disk.remount("rw,size=64m");
    world.split("file").expect_ok();

    let out = world.path("small");
    let disk = Medium::mount("a_full_disk", &out, "size=1m").unwrap();
    let get = ["get", "file.xgm", "-o", "small/out"];
    world.run(&get).expect_code("OUTPUT_FAILED", 1);
    let left = fs::read_dir(&out).unwrap().count();
    assert_eq!(left, 0, "nothing half-written");
    disk.remount("size=64m");
    world.run(&get).expect_ok();
    assert!(fs::read(out.join("out")).unwrap() == payload(4 << 20));
}

/// The one share at a jurisdiction.
fn share_at(world: &World, code: &str) -> PathBuf {
    let folder = world.path(code);
    let mut shares = world.shares().into_iter();
    shares.find(|share| share.starts_with(&folder)).unwrap()
}

const PUT: [&str; 5] = ["put", "genome", "file", "--shares", "3"];

fn expect_whole(world: &World) {
    let genome = store(world, &["cat", "genome"]).expect_ok();
    assert!(genome.stdout == fs::read(world.path("file")).unwrap());
    expect_tidy(world, 1);
}

#[test]
fn put_and_repair_wait_for_room() {
    let world = World::new(2, 3);
    world.write("file", payload(4 << 20));
    let Some(disk) = Medium::mount("put_and_repair", &world.path("DE"), "size=1m,mode=700") else {
        return;
    };
    let quota = |run: Run| run.expect_code("BACKEND_QUOTA_EXCEEDED", 7);
    quota(store(&world, &PUT));
    expect_tidy(&world, 0);
    disk.remount("size=64m");
    store(&world, &PUT).expect_ok();
    expect_whole(&world);

    fs::remove_file(share_at(&world, "DE")).unwrap();
    let filler = disk.fill(8);
    quota(store(&world, &["repair", "genome"]));
    assert_eq!(world.shares().len(), 2);
    fs::remove_file(filler).unwrap();
    store(&world, &["repair", "genome"]).expect_ok();
    expect_whole(&world);
}

#[test]
fn a_migration_waits_for_room_and_leave() {
    let world = World::new(2, 4);
    world.write("file", payload(4 << 20));
    let Some(disk) = Medium::mount("a_migration", &world.path("BR"), "size=1m,mode=700") else {
        return;
    };
    let migrate = [
        "migrate", "genome", "--from", "backend1", "--to", "backend4",
    ];
    store(&world, &PUT).expect_ok();
    store(&world, &migrate).expect_code("BACKEND_QUOTA_EXCEEDED", 7);
    expect_whole(&world);
    disk.remount("ro");
    store(&world, &migrate).expect_code("BACKEND_AUTH_FAILED", 6);
    disk.remount("rw,size=64m");
    store(&world, &migrate).expect_ok();
    // What came before the version that counted the new holder is of no use any more.
    store(&world, &["gc", "--no-brake"]).expect_ok();
    expect_whole(&world);
    assert!(share_at(&world, "BR").exists());
}

/// However much room is left for the journal and the catalogue.
#[test]
fn a_put_without_room_at_home_is_finished_or_undone_later() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    let Some(disk) = Medium::mount("no_room_at_home", &world.path("home"), "size=1m,mode=700")
    else {
        return;
    };
    store(&world, &PUT).expect_ok();
    let (mut objects, mut refused) = (1, 0);
    for pages in 0..6 {
        let filler = disk.fill(pages);
        let name = format!("object-{pages}");
        let put = store(&world, &["put", &name, "file"]);
        let acknowledged = put.exit == 0;
        if !acknowledged {
            put.expect_code("OUTPUT_FAILED", 1);
            refused += 1;
        }
        fs::remove_file(filler).unwrap();
        let stands = store(&world, &["stat", &name]).exit == 0;
        assert!(stands || !acknowledged, "{pages}");
        objects += usize::from(stands);
        expect_tidy(&world, objects);
    }
    assert!(refused > 2, "{refused}");
}

#[test]
fn a_read_only_backend_is_read_and_refuses_changes() {
    let world = World::new(2, 3);
    world.write("file", payload(1000));
    let Some(disk) = Medium::mount("read_only", &world.path("DE"), "size=1m,mode=700") else {
        return;
    };
    store(&world, &PUT).expect_ok();
    let share = share_at(&world, "DE");
    let bytes = fs::read(&share).unwrap();
    fs::remove_file(&share).unwrap();
    disk.remount("ro");
    let refused = |args: &[&str]| store(&world, args).expect_code("BACKEND_AUTH_FAILED", 6);
    refused(&["put", "other", "file"]);
    refused(&["repair", "genome"]);
    store(&world, &["cat", "genome"]).expect_ok();
    store(&world, &["ls"]).expect_ok();
    disk.remount("rw");
    fs::create_dir_all(share.parent().unwrap()).unwrap();
    fs::write(&share, bytes).unwrap();
    expect_whole(&world);

    disk.remount("ro");
    let deleted = store(&world, &["rm", "genome"]);
    assert_eq!(deleted.exit, 3, "{}", deleted.stderr);
    disk.remount("rw");
    store(&world, &["ls"]).expect_ok();
    expect_tidy(&world, 0);
}

/// With too few files at once, a run works or ends in a code; no run panics or harms the object.
#[test]
fn sixteen_open_files_are_enough_or_refused() {
    let world = World::new(2, 3);
    world.write("file", payload(1 << 20));
    world.split("file").expect_ok();
    store(&world, &PUT).expect_ok();
    let few = |count: &str, args: &[&str]| {
        let limited = ["-c", "ulimit -n \"$0\"; exec \"$@\"", count];
        let mut command = Command::new("sh");
        let xgene = world.command(args);
        command.args(limited).arg(xgene.get_program());
        command
            .args(xgene.get_args())
            .current_dir(world.folder.path());
        command.env_clear().env("XGENE_HOME", world.path("home"));
        let run = Run::of(command.output().unwrap());
        // A repair that reaches some of the backends says so.
        if ![0, 3].contains(&run.exit) {
            let is_code = run.stderr.contains("error[") && run.stderr.contains("\n  next: ");
            assert!(is_code, "{args:?}: {}", run.stderr);
        }
        assert!(!run.stderr.contains("panicked"), "{args:?}: {}", run.stderr);
    };
    let folders = world.codes.iter().map(|code| world.path(code));
    let urls: Vec<String> = folders
        .map(|at| format!("--backend=file://{}", at.display()))
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    for count in ["6", "16"] {
        let split = [
            "split",
            "file",
            "--sites",
            "sites.toml",
            "--consent",
            "consent.json",
        ];
        few(
            count,
            &[&split[..], &["-o", &format!("{count}.xgm")]].concat(),
        );
        few(count, &["get", "file.xgm", "-o", &format!("out-{count}")]);
        few(count, &["check", "file.xgm", "--read-data"]);
        for verb in [
            &["put", "genome", "file"][..],
            &["check", "--read-data"],
            &["repair"],
            &["gc"],
        ] {
            few(count, &[&["store"], verb, &urls].concat());
        }
    }
    world.run(&["get", "file.xgm", "-o", "out"]).expect_ok();
    assert!(fs::read(world.path("out")).unwrap() == payload(1 << 20));
    store(&world, &["check", "--read-data"]).expect_ok();
    assert_eq!(fs::read_dir(world.path("home/journal")).unwrap().count(), 0);
}
