//! What must hold in every cell, during the fault and after it.

use xstore::ids::hex;
use xstore::{
    CheckOptions, CheckReport, Error, GetOptions, Health, Manifest, RepairOptions, Subset,
};

use crate::case::{Case, payload};
use crate::operation::{Ended, Operation, RANGE};
use crate::world::{ROOT_KEY, World};

/// Codes that a fault may end in. Anything else would be a reader's or a writer's own mistake.
const EXPLAINED: [&str; 14] = [
    "BACKEND_UNAVAILABLE",
    "BACKEND_TIMEOUT",
    "BACKEND_AUTH_FAILED",
    "BACKEND_QUOTA_EXCEEDED",
    "RATE_LIMITED",
    "INSUFFICIENT_BACKENDS",
    "INSUFFICIENT_SHARES",
    "SHARE_UPLOAD_FAILED",
    "OBJECT_NOT_FOUND",
    "CONFLICT",
    "ROLLBACK_DETECTED",
    "FORK_DETECTED",
    "MANIFEST_INVALID",
    "INVALID_CONFIG",
];

/// What the object may be once all is well again.
#[derive(Debug, PartialEq, Eq)]
enum State {
    There(Vec<u8>),
    Gone,
    /// Too few shares or manifests are left of it.
    Lost(&'static str),
}

pub(crate) struct Judge<'a> {
    pub(crate) case: Case,
    pub(crate) world: &'a World,
}

impl Judge<'_> {
    /// I1, I2, I4 and I6: bytes, availability, codes and secrets while the fault lasts.
    pub(crate) fn ended(&self, ended: &Ended) {
        let case = self.case;
        let this = payload("this");
        let whole = match case.operation {
            Operation::GetRange => &this[range()],
            _ => &this,
        };
        assert!(whole.starts_with(&ended.released), "{case:?}: wrong bytes");
        match &ended.result {
            Ok(()) if case.operation.reads() => assert!(ended.released == whole, "{case:?}"),
            Ok(()) => {}
            Err(error) => {
                let must = case.operation.reads() && case.leaves_threshold();
                assert!(!must, "{case:?}: {error:?}");
                assert!(EXPLAINED.contains(&error.code()), "{case:?}: {error:?}");
                self.tells_nothing(error);
            }
        }
    }

    /// I6: an error with all its causes has no secret and no part of the payload in it.
    fn tells_nothing(&self, error: &Error) {
        let mut text = format!("{error:?} {error} {}", error.recovery());
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text += &format!(" {cause}");
            source = cause.source();
        }
        let root_key = hex(&ROOT_KEY[..8]);
        for secret in ["genome of nobody", &root_key] {
            assert!(!text.contains(secret), "{:?}: {text}", self.case);
        }
    }

    /// I2, I3, I5 and I8: the state once nothing fails any more.
    pub(crate) async fn after(&self, manifest: &Manifest, acknowledged: bool) {
        let case = self.case;
        self.recover().await;
        let state = self.state().await;
        let (this, next) = (payload("this"), payload("next"));
        let allowed = match case.operation {
            Operation::Put if acknowledged => vec![State::There(next)],
            Operation::Put => vec![State::There(this), State::There(next)],
            Operation::Delete if acknowledged => vec![State::Gone],
            Operation::Delete => vec![State::There(this), State::Gone],
            _ => vec![State::There(this)],
        };
        if let State::Lost(code) = state {
            let may = case.fault.destroys() && !case.leaves_threshold();
            assert!(may, "{case:?}: {code} although k shares are intact");
            return;
        }
        assert!(allowed.contains(&state), "{case:?}: {state:?}");
        self.took_nothing(manifest).await;
        self.repeat(manifest, &state).await;
        self.end().await;
    }

    /// I5: what only looks or mends leaves no share worse than it was.
    async fn took_nothing(&self, manifest: &Manifest) {
        let case = self.case;
        let lost = match case.operation {
            Operation::Put | Operation::Migrate | Operation::Delete => return,
            Operation::Repair => 1,
            _ => 0,
        };
        if case.fault.destroys() {
            return;
        }
        let checked = self.checked(manifest).await;
        let before = self.world.access.share_count() - lost;
        assert!(checked.least_good >= before, "{case:?}: {checked:?}");
    }

    async fn checked(&self, manifest: &Manifest) -> CheckReport {
        let mut options = CheckOptions::default();
        options.data = Some(Subset::All);
        let checked = self.world.store().check(manifest, &options).await;
        checked.unwrap()
    }

    /// Recovery ends everything, and a second one has nothing to do.
    async fn recover(&self) {
        let (case, store) = (self.case, self.world.store());
        let first = store.recover(|_, _| Ok(())).await.unwrap();
        if case.loses_identity() {
            let named = |error: &Error| matches!(error, Error::InsufficientBackends { failures, .. } if !failures.is_empty());
            assert!(first.postponed.iter().all(named), "{case:?}: {first:?}");
            return;
        }
        assert!(first.postponed.is_empty(), "{case:?}: {first:?}");
        let again = store.recover(|_, _| Ok(())).await.unwrap();
        assert!(again.recovered.is_empty(), "{case:?}: {again:?}");
    }

    async fn state(&self) -> State {
        let store = self.world.store();
        let mut bytes = Vec::new();
        let read = async {
            let found = store.find_name("genome").await?;
            let options = GetOptions::default();
            store.get(&found.manifest, &mut bytes, &options).await
        };
        match read.await {
            Ok(_) => State::There(bytes),
            Err(error) if error.code() == "OBJECT_NOT_FOUND" => State::Gone,
            Err(error) => State::Lost(error.code()),
        }
    }

    /// I8: once more without the fault, from whatever is there now.
    async fn repeat(&self, manifest: &Manifest, state: &State) {
        let (case, world) = (self.case, self.world);
        let found = world.store().find_name("genome").await;
        let newest = found.map_or_else(|_| manifest.clone(), |found| found.manifest);
        let moved = newest.hash() != manifest.hash() && case.operation == Operation::Migrate;
        if *state == State::Gone || moved {
            return;
        }
        let ended = case.operation.run(world, &newest, &payload("next")).await;
        let may = case.fault.destroys();
        assert!(may || ended.result.is_ok(), "{case:?}: {:?}", ended.result);
    }

    /// A repair makes the object whole, nothing of it is left after a deletion, and what backends hold
    /// was never readable (I9).
    async fn end(&self) {
        let (case, world) = (self.case, self.world);
        let store = world.store();
        if let Ok(found) = store.find_name("genome").await {
            let mut options = RepairOptions::default();
            options.data = Some(Subset::All);
            store.repair(&found.manifest, &options).await.unwrap();
            let found = store.find_name("genome").await.unwrap().manifest;
            let checked = self.checked(&found).await;
            assert_eq!(checked.health(), Health::Whole, "{case:?}: {checked:?}");
            let deleted = store.delete(&found).await.unwrap();
            let pending = !deleted.pending.is_empty() && !case.loses_identity();
            assert!(!pending, "{case:?}: {deleted:?}");
        }
        self.recover().await;
        for at in 0..world.sites.len() {
            for (key, bytes) in world.objects(at).await {
                let waits = case.fault.hides_shares() || case.loses_identity();
                let orphan = key.as_str().contains("/s/") && !waits;
                assert!(!orphan, "{case:?}: {key} is left at {at}");
                let secret = b"genome of nobody";
                let told = bytes.windows(secret.len()).any(|part| part == secret);
                assert!(!told, "{case:?}: {key}");
            }
        }
    }
}

fn range() -> std::ops::Range<usize> {
    let offset = |at| usize::try_from(at).unwrap();
    offset(RANGE.start)..offset(RANGE.end)
}
