//! Deposit and retrieve: what an authorisation permits, for how long, and what the manifest says.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use genomicshare::{
    Authorization, ConsentRecord, DepositOptions, Destination, Error, JurisdictionCode, LawTable,
    Request, SharedFile, Sites, Use, authorize, deposit, repair, retrieve, salvage,
};
use jiff::Timestamp;
use xstore::entropy::{CountingEntropy, OsEntropy};
use xstore::keys::{OwnerKeys, RootKey};
use xstore::memory::MemoryBackend;
use xstore::placement::FailureDomain;
use xstore::{
    AccessStructure, Manifest, ObjectKey, Padding, RepairOptions, StorageBackend, Store,
    nothing_more,
};

const NOW: &str = "2026-11-21T12:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn consent(expires_at: &str) -> ConsentRecord {
    let json = format!(
        r#"{{"subjectId": "SUBJ-001", "purpose": "rare-disease-research", "grantedBy": "patient",
            "grantedAt": "2026-04-10T00:00:00Z", "authorizedJurisdictions": ["DE", "CA", "JP"],
            "expiresAt": "{expires_at}"}}"#
    );
    ConsentRecord::from_json(json.as_bytes()).unwrap()
}

fn sites() -> Sites {
    let text = "threshold = 2\n".to_owned()
        + &["DE", "CA", "JP"]
            .map(|code| format!("[[jurisdiction]]\ncode = \"{code}\"\nendpoint = \"./{code}\"\n"))
            .concat();
    Sites::from_toml(text.as_bytes(), std::path::Path::new("/srv")).unwrap()
}

struct World {
    store: Store,
    entropy: Arc<CountingEntropy<OsEntropy>>,
    backends: Vec<Arc<MemoryBackend>>,
}

impl World {
    fn new() -> Self {
        let entropy = Arc::new(CountingEntropy::new(OsEntropy));
        let backends: Vec<_> = ["DE", "CA", "JP"]
            .map(|code| Arc::new(MemoryBackend::new(code)))
            .into();
        let mut builder = Store::builder()
            .keys(Arc::new(OwnerKeys::derive(&RootKey::from_bytes([7; 32]))))
            .threshold(AccessStructure::try_new(2, 3).unwrap())
            .chunk_len(64 << 10)
            .padding(Padding::Padme)
            .entropy(Arc::clone(&entropy) as _);
        for backend in &backends {
            builder = builder.backend(Arc::clone(backend) as _, FailureDomain::default());
        }
        Self {
            store: builder.build().unwrap(),
            entropy,
            backends,
        }
    }

    fn stored(&self) -> usize {
        self.backends
            .iter()
            .map(|backend| backend.snapshot().len())
            .sum()
    }

    async fn deposit(
        &self,
        permit: Authorization,
        mut data: &[u8],
        now: Timestamp,
    ) -> Result<Manifest, Error> {
        let sites = sites();
        let destination = Destination {
            sites: &sites,
            law: LawTable::builtin(),
        };
        let now: genomicshare::Now = Arc::new(move || now);
        let options = DepositOptions::default();
        deposit(
            &self.store,
            permit,
            destination,
            &mut data,
            now,
            options,
            &mut nothing_more,
        )
        .await
        .map(|deposited| deposited.receipt.manifest)
    }
}

fn codes(codes: &[&str]) -> Vec<JurisdictionCode> {
    codes.iter().map(|code| code.parse().unwrap()).collect()
}

fn permit(consent: &ConsentRecord, usage: &Use, object_id: Option<[u8; 32]>) -> Authorization {
    authorize(
        consent,
        Request {
            object_id,
            usage,
            purpose: None,
        },
        time(NOW),
    )
    .unwrap()
}

fn permit_deposit(consent: &ConsentRecord) -> Authorization {
    permit(
        consent,
        &Use::Deposit {
            jurisdictions: codes(&["DE", "CA", "JP"]),
        },
        None,
    )
}

fn permit_retrieval(consent: &ConsentRecord, manifest: &Manifest) -> Authorization {
    let object_id = Some(manifest.body().object_id.0);
    permit(
        consent,
        &Use::Retrieve {
            from: codes(&["DE", "CA", "JP"]),
        },
        object_id,
    )
}

fn at(text: &str) -> genomicshare::Now {
    let now = time(text);
    Arc::new(move || now)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deposited_is_retrieved_under_the_consent_in_the_manifest() {
    let world = World::new();
    let consent = consent("2027-04-10T00:00:00Z");
    let data = vec![7; 200_000];
    let manifest = world
        .deposit(permit_deposit(&consent), &data, time(NOW))
        .await
        .unwrap();
    let shared = SharedFile::from_manifest(&manifest).unwrap();
    assert_eq!(
        shared.consent, consent,
        "the consent travels in the signed manifest"
    );
    assert_eq!(shared.jurisdictions(), codes(&["DE", "CA", "JP"]));
    let permit = permit_retrieval(&shared.consent, &manifest);
    let mut out = Vec::new();
    retrieve(&world.store, permit, &manifest, &mut out, at(NOW), None)
        .await
        .unwrap();
    assert_eq!(out, data);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_for_something_else_draws_and_writes_nothing() {
    let world = World::new();
    let consent = consent("2027-04-10T00:00:00Z");
    let retrieval = permit(
        &consent,
        &Use::Retrieve {
            from: codes(&["DE"]),
        },
        Some([1; 32]),
    );
    let fewer = permit(
        &consent,
        &Use::Deposit {
            jurisdictions: codes(&["DE", "CA"]),
        },
        None,
    );
    let order = codes(&["CA", "DE", "JP"]);
    let reordered = permit(
        &consent,
        &Use::Deposit {
            jurisdictions: order,
        },
        None,
    );
    for wrong in [retrieval, fewer, reordered] {
        let error = world
            .deposit(wrong, b"genome", time(NOW))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "INVALID_CONFIG");
    }
    let late = permit_deposit(&consent);
    let error = world
        .deposit(late, b"genome", time("2026-11-21T12:15:00Z"))
        .await
        .unwrap_err();
    assert_eq!(
        error.code(),
        "CONSENT_EXPIRED",
        "an authorisation holds for a quarter of an hour"
    );
    assert_eq!((world.entropy.drawn_bytes(), world.stored()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_for_another_object_or_use_releases_nothing() {
    let world = World::new();
    let consent = consent("2027-04-10T00:00:00Z");
    let one = world
        .deposit(permit_deposit(&consent), b"one", time(NOW))
        .await
        .unwrap();
    let other = world
        .deposit(permit_deposit(&consent), b"other", time(NOW))
        .await
        .unwrap();
    for wrong in [permit_retrieval(&consent, &other), permit_deposit(&consent)] {
        let mut out = Vec::new();
        let read = retrieve(&world.store, wrong, &one, &mut out, at(NOW), None).await;
        assert_eq!(read.unwrap_err().code(), "INVALID_CONFIG");
        assert!(out.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_good_is_released_under_the_same_authorization() {
    let world = World::new();
    let consent = consent("2027-04-10T00:00:00Z");
    let one = world
        .deposit(permit_deposit(&consent), b"one", time(NOW))
        .await
        .unwrap();
    let mut out = Vec::new();
    let wrong = permit_deposit(&consent);
    let read = salvage(&world.store, wrong, &one, &mut out, at(NOW), None).await;
    assert_eq!(read.unwrap_err().code(), "INVALID_CONFIG");
    assert!(out.is_empty());
    let late = "2026-11-21T12:15:00Z";
    let permit = permit_retrieval(&consent, &one);
    let read = salvage(&world.store, permit, &one, &mut out, at(late), None).await;
    assert_eq!(read.unwrap_err().code(), "CONSENT_EXPIRED");
    assert!(out.is_empty());
    let permit = permit_retrieval(&consent, &one);
    let read = salvage(&world.store, permit, &one, &mut out, at(NOW), None).await;
    assert_eq!((read.unwrap().lost, out), (Vec::new(), b"one".to_vec()));
}

/// The consent ends between two releases of bytes: the stream stops there.
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_ends_stops_the_stream() {
    let world = World::new();
    let consent = consent("2026-11-21T12:00:10Z");
    let data = vec![7; 10 * (64 << 10)];
    let manifest = world
        .deposit(permit_deposit(&consent), &data, time(NOW))
        .await
        .unwrap();
    let start = time(NOW).as_second();
    let seconds = Arc::new(AtomicI64::new(start));
    let clock = Arc::clone(&seconds);
    let now: genomicshare::Now =
        Arc::new(move || Timestamp::from_second(clock.fetch_add(2, Ordering::Relaxed)).unwrap());
    let mut out = Vec::new();
    let permit = permit_retrieval(&consent, &manifest);
    let error = retrieve(&world.store, permit, &manifest, &mut out, now, None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "CONSENT_EXPIRED");
    assert!(
        !out.is_empty() && out.len() < data.len(),
        "{} bytes",
        out.len()
    );
}

/// Who repairs holds k shares: no use, no object and no time but those of a reader will do.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_has_the_rights_of_a_retrieval() {
    let world = World::new();
    let consent = consent("2026-11-21T12:10:00Z");
    let manifest = world
        .deposit(permit_deposit(&consent), b"one", time(NOW))
        .await
        .unwrap();
    let lost = world.backends[1].snapshot();
    let share = |key: &&ObjectKey| key.as_str().contains("/s/");
    let keys: Vec<_> = lost.keys().filter(share).cloned().collect();
    world.backends[1].delete(&keys).await.unwrap();
    let run = |permit, now| {
        let options = RepairOptions::default();
        repair(&world.store, permit, &manifest, at(now), options)
    };
    let late = run(
        permit_retrieval(&consent, &manifest),
        "2026-11-21T12:10:00Z",
    );
    assert_eq!(late.await.unwrap_err().code(), "CONSENT_EXPIRED");
    let other = run(permit_deposit(&consent), NOW);
    assert_eq!(other.await.unwrap_err().code(), "INVALID_CONFIG");
    // The clock runs on with each look at it: this consent ends when shares are to be combined.
    let seconds = AtomicI64::new(time("2026-11-21T12:09:56Z").as_second());
    let now: genomicshare::Now =
        Arc::new(move || Timestamp::from_second(seconds.fetch_add(2, Ordering::Relaxed)).unwrap());
    let permission = permit_retrieval(&consent, &manifest);
    let options = RepairOptions::default();
    let ends = repair(&world.store, permission, &manifest, now, options);
    assert_eq!(ends.await.unwrap_err().code(), "CONSENT_EXPIRED");
    assert!(world.backends[1].snapshot() != lost, "nothing is written");
    let report = run(permit_retrieval(&consent, &manifest), NOW).await;
    assert_eq!(report.unwrap().remaining, []);
    assert!(world.backends[1].snapshot() == lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_refused_at_its_end_and_leaves_nothing() {
    let world = World::new();
    let consent = consent("2027-04-10T00:00:00Z");
    let ids = world.stored();
    let cut = b"##fileformat=VCFv4.3\nno column line\n";
    let error = world
        .deposit(permit_deposit(&consent), cut, time(NOW))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "FORMAT_INVALID");
    assert_eq!(
        world.stored(),
        ids + 3,
        "the identity of each backend, and no share"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_of_100_gb_with_its_consent_is_under_4_kib() {
    let world = World::new();
    let consent = consent("2027-04-10T00:00:00Z");
    let small = world
        .deposit(permit_deposit(&consent), b"genome", time(NOW))
        .await
        .unwrap();
    let mut body = small.body().clone();
    (body.chunk_len, body.chunks_per_segment) = (2 << 20, 8);
    body.padded_len = xstore::geometry::padme(100_000_000_000);
    body.chunks = body.geometry().unwrap().chunks();
    let keys = OwnerKeys::derive(&RootKey::from_bytes([7; 32]));
    let manifest = Manifest::seal(body, &keys).unwrap();
    println!(
        "{} bytes for {} chunks",
        manifest.envelope().len(),
        manifest.body().chunks
    );
    assert!(manifest.envelope().len() < 4096);
    assert!(manifest.body().chunks > 47_000);
}

/// The three names that sharing has of its own; every other code passes unchanged.
#[test]
fn codes_of_storage_are_mapped_and_only_mapped() {
    for (error, code, cause) in [
        (
            xstore::Error::PayloadHmac,
            "HMAC_FAILED",
            Some("PAYLOAD_HMAC_FAILED"),
        ),
        (
            xstore::Error::Padding,
            "RECONSTRUCT_FAILED",
            Some("PADDING_INVALID"),
        ),
        (
            xstore::Error::Reconstruction { chunk: 0 },
            "RECONSTRUCT_FAILED",
            Some("RECONSTRUCTION_FAILED"),
        ),
        (
            xstore::Error::Random(xstore::entropy::EntropyFailed),
            "SPLIT_FAILED",
            None,
        ),
        (xstore::Error::KeyMissing, "KEY_MISSING", None),
    ] {
        let error = Error::from(error);
        assert_eq!((error.code(), error.cause()), (code, cause));
    }
}

/// The consent ends while the source is read: nothing of the file becomes visible.
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_ends_while_splitting_leaves_nothing() {
    let world = World::new();
    let consent = consent("2026-11-21T12:00:10Z");
    let seconds = Arc::new(AtomicI64::new(time(NOW).as_second()));
    let now: genomicshare::Now =
        Arc::new(move || Timestamp::from_second(seconds.fetch_add(1, Ordering::Relaxed)).unwrap());
    let sites = sites();
    let destination = Destination {
        sites: &sites,
        law: LawTable::builtin(),
    };
    let (mut source, options) = (tokio::io::repeat(7), DepositOptions::default());
    let permit = permit_deposit(&consent);
    let end = &mut nothing_more;
    let split = deposit(
        &world.store,
        permit,
        destination,
        &mut source,
        now,
        options,
        end,
    );
    assert_eq!(split.await.unwrap_err().code(), "CONSENT_EXPIRED");
    assert_eq!(
        world.stored(),
        3,
        "the identity of each backend, and no share"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_for_fewer_jurisdictions_does_not_read_the_others() {
    let world = World::new();
    let consent = consent("2027-04-10T00:00:00Z");
    let manifest = world
        .deposit(permit_deposit(&consent), b"genome", time(NOW))
        .await
        .unwrap();
    let id = Some(manifest.body().object_id.0);
    let two = permit(
        &consent,
        &Use::Retrieve {
            from: codes(&["DE", "CA"]),
        },
        id,
    );
    let mut out = Vec::new();
    let read = retrieve(&world.store, two, &manifest, &mut out, at(NOW), None).await;
    assert_eq!(read.unwrap_err().code(), "INVALID_CONFIG");
    assert!(out.is_empty());
}
