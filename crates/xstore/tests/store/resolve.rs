//! Two installations wrote one version: nothing is lost, both can be read, and the owner says which
//! one counts.

use std::sync::Arc;

use tempfile::TempDir;
use xstore::catalogue::MemoryCatalogue;
use xstore::clock::FixedClock;
use xstore::ids::{DeviceId, ManifestHash, ObjectId};
use xstore::journal::Journal;
use xstore::placement::FailureDomain;
use xstore::testing::Fault;
use xstore::{
    BackendErrorKind, Effects, Error, Happy, Manifest, PutOptions, ResolveReport, StorageBackend,
    Store, nothing_more,
};

use crate::world::{CHUNK, NOW, World, get, scratch};

/// The second installation, with a memory and a journal of its own.
struct Other {
    store: Store,
    _journal: TempDir,
}

impl Other {
    fn new(world: &World) -> Self {
        let journal = scratch();
        let mut builder = Store::builder()
            .chunk_len(u32::try_from(CHUNK).unwrap())
            .threshold(world.access)
            .keys(Arc::clone(&world.keys))
            .catalogue(Arc::new(MemoryCatalogue::default()))
            .device(DeviceId([2; 16]))
            .journal(Journal::new(journal.path()))
            .clock(Arc::new(FixedClock(NOW)));
        for backend in &world.backends {
            let backend: Arc<dyn StorageBackend> = Arc::clone(backend) as _;
            builder = builder.backend(backend, FailureDomain::default());
        }
        Self {
            store: builder.build().unwrap(),
            _journal: journal,
        }
    }
}

fn named() -> PutOptions {
    let mut options = PutOptions::default();
    options.name = Some("genome".into());
    options.happy = Happy::Degraded;
    options
}

/// The next manifest of the first installation reaches the first backend only.
fn strand(world: &World, effects_before: u64) {
    for plan in &world.plans[1..] {
        plan.set([Fault::FailEffects {
            effects: effects_before..u64::MAX,
            kind: BackendErrorKind::Unavailable,
        }]);
    }
}

/// Version 2 twice: `ours` is at the first backend, `theirs` at the two others and acknowledged.
struct Contest {
    world: World,
    other: Other,
    object: ObjectId,
    ours: Manifest,
    theirs: Manifest,
}

impl Contest {
    async fn of_puts() -> Self {
        let world = World::new(2, 3);
        let object = world.put_named("genome", b"first").await.manifest;
        strand(&world, 1);
        let stranded = world.try_put(b"ours", named()).await.unwrap_err();
        assert_eq!(stranded.code(), "INSUFFICIENT_BACKENDS");
        world.heal();
        world.fail(0);
        let other = Other::new(&world);
        let mut source: &[u8] = b"theirs";
        let mut last = nothing_more;
        let put = other.store.put(&mut source, named(), &mut last);
        put.await.unwrap();
        Self::over(world, other, object.body().object_id).await
    }

    async fn of_renewals() -> Self {
        let world = World::new(2, 3);
        let first = world.put_named("genome", b"both").await.manifest;
        strand(&world, 0);
        let ours = world.store().renew(&first, Some(1), Effects::Apply).await;
        assert_eq!(ours.unwrap_err().code(), "INSUFFICIENT_BACKENDS");
        world.heal();
        world.fail(0);
        let other = Other::new(&world);
        let theirs = other.store.renew(&first, Some(2), Effects::Apply).await;
        theirs.unwrap();
        Self::over(world, other, first.body().object_id).await
    }

    async fn over(world: World, other: Other, object: ObjectId) -> Self {
        world.heal();
        let mut siblings = other.store.siblings(object).await.unwrap();
        assert_eq!(siblings.len(), 2);
        siblings.sort_by_key(|sibling| sibling.body().device);
        let (theirs, ours) = (siblings.remove(1), siblings.remove(0));
        Self {
            world,
            other,
            object,
            ours,
            theirs,
        }
    }

    async fn resolve(&self, keep: &Manifest) -> Result<ResolveReport, Error> {
        let store = self.world.store();
        store
            .resolve(self.object, keep.hash(), Effects::Apply)
            .await
    }

    /// Both installations end what they left unfinished; the order does not matter. What they were
    /// told is committed.
    async fn recover(&self) -> Vec<ManifestHash> {
        let store = self.world.store();
        let mut told = Vec::new();
        for store in [&store, &self.other.store, &store, &self.other.store] {
            let tell = |manifest: &Manifest, _: Option<&str>| {
                told.push(manifest.hash());
                Ok(())
            };
            store.recover(tell).await.unwrap();
        }
        let last = store.recover(|_, _| Ok(())).await.unwrap();
        assert!(last.postponed.is_empty(), "{:?}", last.postponed);
        told
    }

    /// Both installations read this, and no share of anything else is left.
    async fn expect_settled(&self, data: &[u8], shares: usize, what: &str) {
        let found = self.other.store.find_name("genome").await.unwrap().manifest;
        for store in [&self.world.store(), &self.other.store] {
            let manifest = store.find_name("genome").await.unwrap().manifest;
            assert_eq!(manifest.hash(), found.hash(), "{what}");
            assert_eq!(get(store, &manifest).await.unwrap().0, data, "{what}");
        }
        assert_eq!(self.world.share_names().len(), shares, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_are_named_and_read_and_hide_no_other_object() {
    let contest = Contest::of_puts().await;
    contest.world.heal();
    let store = &contest.other.store;
    let mut source: &[u8] = b"fine";
    let mut options = PutOptions::default();
    options.name = Some("fine".into());
    let fine = store.put(&mut source, options, &mut nothing_more).await;
    let error = store.find_name("genome").await.unwrap_err();
    assert_eq!(error.code(), "CONFLICT");
    for (sibling, data) in [(&contest.ours, "ours"), (&contest.theirs, "theirs")] {
        assert!(
            error.to_string().contains(&sibling.hash().to_string()),
            "{error}"
        );
        assert_eq!(get(store, sibling).await.unwrap().0, data.as_bytes());
    }
    let listing = store.list().await.unwrap();
    let listed = listing.objects[0].manifest.hash();
    assert_eq!(
        (listing.objects.len(), listed),
        (1, fine.unwrap().manifest.hash())
    );
    let [failed] = &listing.failed[..] else {
        panic!("{:?}", listing.failed)
    };
    let failed = (failed.name.as_deref(), failed.error.code());
    assert_eq!(failed, (Some("genome"), "CONFLICT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_is_kept_counts_and_the_shares_of_the_other_go() {
    for keep_ours in [true, false] {
        let contest = Contest::of_puts().await;
        let (keep, data, shares) = if keep_ours {
            (&contest.ours, b"ours".as_slice(), 3)
        } else {
            (&contest.theirs, b"theirs".as_slice(), 2)
        };
        let before = contest.world.share_names();
        let preview = contest.world.store();
        let preview = preview.resolve(contest.object, keep.hash(), Effects::Preview);
        assert_eq!(preview.await.unwrap().given_up.len(), 1);
        assert_eq!(contest.world.share_names(), before);
        let report = contest.resolve(keep).await.unwrap();
        assert!(report.pending.is_empty(), "{:?}", report.pending);
        let body = report.manifest.body();
        assert_eq!((body.version, body.previous), (3, Some(keep.hash())));
        // What was not acknowledged and is given up never was committed.
        let told = contest.recover().await;
        assert_eq!(told.contains(&contest.ours.hash()), keep_ours);
        contest
            .expect_settled(data, shares, &format!("{keep_ours}"))
            .await;
        let again = contest.resolve(&report.manifest).await.unwrap();
        assert_eq!(again.manifest.hash(), report.manifest.hash());
        let gone = contest.resolve(keep).await.unwrap_err();
        assert_eq!(gone.code(), "INVALID_CONFIG");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_dealing_no_share_is_removed() {
    for keep_ours in [true, false] {
        let contest = Contest::of_renewals().await;
        let keep = if keep_ours {
            &contest.ours
        } else {
            &contest.theirs
        };
        let report = contest.resolve(keep).await.unwrap();
        assert_eq!(report.manifest.body().superseded, None);
        assert_eq!(report.manifest.body().held.len(), 3);
        contest.recover().await;
        contest
            .expect_settled(b"both", 3, &format!("{keep_ours}"))
            .await;
    }
}

/// What an acknowledged writer removed is not given up for: the other one is the only good one.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_not_kept() {
    let contest = Contest::of_puts().await;
    let theirs = contest.theirs.body();
    let (_, at) = theirs.stored().next().unwrap();
    let prefix = at.share_prefix.to_string();
    for site in 0..3 {
        let names = contest.world.objects(site).into_keys();
        for name in names.filter(|name| name.as_str().contains(&prefix)) {
            contest.world.remove(site, &name);
        }
    }
    let error = contest.resolve(&contest.theirs).await.unwrap_err();
    assert_eq!(error.code(), "CONFLICT");
    let unknown = contest.world.store();
    let unknown = unknown.resolve(contest.object, ManifestHash([0; 32]), Effects::Apply);
    assert_eq!(unknown.await.unwrap_err().code(), "INVALID_CONFIG");
    contest.resolve(&contest.ours).await.unwrap();
    contest.recover().await;
    contest.expect_settled(b"ours", 3, "ours").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolution_stopped_at_any_effect_is_finished() {
    for at in 0..3 {
        for stop in 0..3 {
            let contest = Contest::of_puts().await;
            contest.world.plans[at].set([Fault::StopAt { effect: stop }]);
            let outcome = contest.resolve(&contest.ours).await;
            contest.world.heal();
            contest.recover().await;
            let what = format!("site {at}, effect {stop}: {outcome:?}");
            contest.expect_settled(b"ours", 3, &what).await;
        }
    }
}

/// It is committed on W of both sets, so with one of theirs down it waits for the next run.
#[tokio::test(flavor = "multi_thread")]
async fn backends_that_are_down_refuse_or_postpone_it() {
    for down in [&[1][..], &[2], &[0, 1], &[1, 2]] {
        let contest = Contest::of_puts().await;
        down.iter().for_each(|&at| contest.world.fail(at));
        let error = contest.resolve(&contest.ours).await.unwrap_err();
        assert_eq!(error.code(), "INSUFFICIENT_BACKENDS", "{down:?}");
        contest.world.heal();
        if down.len() == 1 {
            contest.recover().await;
            contest
                .expect_settled(b"ours", 3, &format!("{down:?}"))
                .await;
        } else {
            let store = contest.world.store();
            assert_eq!(store.siblings(contest.object).await.unwrap().len(), 2);
        }
    }
}
