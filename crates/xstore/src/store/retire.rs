//! retire: a backend that is gone no longer claims anything; the owner says so, and why.
//!
//! Nobody can tell from outside whether a backend is away or gone. While it may come back, gc deletes
//! nothing that it might need, and a repair leaves its shares to it. Once it is retired its shares
//! count as lost, so that a repair places them elsewhere, and nobody waits for it, reads it or writes
//! to it any more, also if it comes back. It stays a holder of what it was sent: placement counts its
//! zone, operator, credential and host for ever. The record is the client's own, with time and reason.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use crate::backend::{BackendError, BackendErrorKind};
use crate::catalogue::Retired;
use crate::error::Error;
use crate::ids::{BackendUid, StoreTag};
use crate::manifest::Manifest;
use crate::names;
use crate::placement::FailureDomain;
use crate::store::listing::Pages;
use crate::store::sites::{Site, Sites};
use crate::store::{Effects, Store};

/// What happens with a backend that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfItAnswers {
    /// It is not retired.
    #[default]
    Refuse,
    /// It is retired all the same: its owner has lost control of it.
    Retire,
}

/// A backend that this client or a manifest knows.
#[derive(Debug)]
pub struct Member {
    /// What it is called: here, or else in the manifest that names it.
    pub label: String,
    /// Its identity, where it is known.
    pub backend: Option<BackendUid>,
    /// What is known of it.
    pub state: MemberState,
}

/// What is known of a backend.
#[derive(Debug)]
#[non_exhaustive]
pub enum MemberState {
    /// It answers.
    Answers,
    /// It answers, and was never given anything.
    New,
    /// It is configured and does not answer.
    Silent(BackendError),
    /// A manifest names it, and none of the configured backends is it.
    Missing,
    /// Its owner has said that it is gone.
    Retired(Retired),
}

/// What manifests say of a backend.
struct Claim {
    label: String,
    domain: FailureDomain,
}

impl Store {
    /// Every backend that is configured, that a manifest names or that was retired. Reads all
    /// manifests at all backends that answer.
    ///
    /// # Errors
    /// [`Error::KeyMissing`]; [`Error::Backend`] when a listing breaks off.
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        let tag = self.keys()?.store_tag();
        let sites = self.sites(tag).await;
        let mut claims = self.claims(&sites, tag).await?;
        let mut members = Vec::new();
        for site in &sites.known {
            claims.remove(&site.uid);
            members.push(member(site.label(), Some(site.uid), MemberState::Answers));
        }
        for stranger in &sites.strangers {
            members.push(member(stranger.backend.id(), None, MemberState::New));
        }
        for failure in sites.failures {
            let label = failure.backend.clone();
            let mut claimed = claims.iter().filter(|(_, claim)| claim.label == label);
            let uid = claimed.next().map(|(uid, _)| *uid);
            uid.and_then(|uid| claims.remove(&uid));
            members.push(member(&label, uid, MemberState::Silent(failure)));
        }
        for retired in self.retired() {
            let (label, uid) = (retired.label.clone(), retired.backend);
            members.push(member(&label, Some(uid), MemberState::Retired(retired)));
        }
        let missing = claims.iter();
        members.extend(
            missing.map(|(uid, claim)| member(&claim.label, Some(*uid), MemberState::Missing)),
        );
        Ok(members)
    }

    /// Ends the claim of the backend that is called `label`, or has it as its identity, for ever. It
    /// is to be left out of this store from now on.
    ///
    /// # Errors
    /// [`Error::KeyMissing`]; [`Error::Config`] when no backend is called so, or several that do not
    /// answer are; [`Error::Conflict`] when it answers and is not to be retired then;
    /// [`Error::Backend`] when a listing breaks off, [`Error::Output`] when it cannot be remembered.
    pub async fn retire(
        &self,
        label: &str,
        reason: &str,
        if_it_answers: IfItAnswers,
        effects: Effects,
    ) -> Result<Retired, Error> {
        let tag = self.keys()?.store_tag();
        let sites = self.sites(tag).await;
        let claims = self.claims(&sites, tag).await?;
        let called = |uid: BackendUid, known: &str| {
            label == known || BackendUid::from_hex(label) == Some(uid)
        };
        let claims = claims.into_iter();
        let named: Vec<_> = claims
            .filter(|(uid, claim)| called(*uid, &claim.label))
            .collect();
        let mut earlier = self.retired().into_iter();
        if named.is_empty()
            && let Some(retired) = earlier.find(|one| called(one.backend, &one.label))
        {
            return Ok(retired);
        }
        let answers = |uid: BackendUid| sites.known.iter().any(|site| site.uid == uid);
        let (uid, claim) = match if_it_answers {
            IfItAnswers::Retire => only(label, named)?,
            IfItAnswers::Refuse if named.is_empty() => only(label, named)?,
            IfItAnswers::Refuse => {
                let gone = named.into_iter().filter(|(uid, _)| !answers(*uid));
                let gone: Vec<_> = gone.collect();
                if gone.is_empty() {
                    return Err(Error::Conflict(format!(
                        "{label} answers, so it is not gone"
                    )));
                }
                only(label, gone)?
            }
        };
        let retired = Retired {
            backend: uid,
            label: claim.label,
            zone: claim.domain.zone,
            operator: claim.domain.operator,
            credential: claim.domain.credential,
            host: claim.domain.host,
            at_unix_s: self.clock.now_unix_s(),
            reason: reason.to_owned(),
        };
        if effects == Effects::Apply {
            self.catalogue.retire(retired.clone())?;
            let mut all = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(retired.clone());
        }
        Ok(retired)
    }

    /// What was retired.
    pub(crate) fn retired(&self) -> Vec<Retired> {
        let retired = self.retired.lock();
        retired.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a backend was retired.
    pub(crate) fn is_retired(&self, backend: BackendUid) -> bool {
        let retired = self.retired.lock();
        let retired = retired.unwrap_or_else(PoisonError::into_inner);
        retired.iter().any(|retired| retired.backend == backend)
    }

    /// Refuses to write to a backend that was retired.
    pub(crate) fn refuse_retired(&self, label: &str, uid: BackendUid) -> Result<(), BackendError> {
        if !self.is_retired(uid) {
            return Ok(());
        }
        let cause = "its owner has said that it is gone";
        let kind = BackendErrorKind::Unavailable;
        Err(BackendError::with_source(kind, label, cause))
    }

    /// Backends that answer, or that a manifest at one of them names as a holder, now or once.
    async fn claims(
        &self,
        sites: &Sites,
        tag: StoreTag,
    ) -> Result<BTreeMap<BackendUid, Claim>, Error> {
        let mut claims = BTreeMap::new();
        for site in &sites.known {
            self.claims_at(site, tag, &mut claims).await?;
        }
        for site in &sites.known {
            let (label, domain) = (site.label().to_owned(), site.attached.domain.clone());
            claims.insert(site.uid, Claim { label, domain });
        }
        claims.retain(|uid, _| !self.is_retired(*uid));
        Ok(claims)
    }

    async fn claims_at(
        &self,
        site: &Site,
        tag: StoreTag,
        claims: &mut BTreeMap<BackendUid, Claim>,
    ) -> Result<(), BackendError> {
        let (backend, start) = (&*site.attached.backend, names::manifests(tag));
        let mut pages = Pages::new(backend, &start);
        while let Some(keys) = pages.next().await? {
            for key in keys {
                let manifest = self.own_manifest(backend, &key).await?;
                manifest.iter().for_each(|manifest| note(manifest, claims));
            }
        }
        Ok(())
    }
}

/// The only one of `named`.
fn only(label: &str, mut named: Vec<(BackendUid, Claim)>) -> Result<(BackendUid, Claim), Error> {
    match (named.pop(), &named[..]) {
        (Some(only), []) => Ok(only),
        (None, _) => {
            let cause = "is neither a backend of this store nor named by a manifest";
            Err(Error::Config(format!("{label} {cause}")))
        }
        (Some((uid, _)), others) => {
            let others = others.iter().map(|(uid, _)| *uid);
            let all: Vec<String> = others.chain([uid]).map(|uid| uid.to_string()).collect();
            Err(Error::Config(format!(
                "several backends are called {label}: give one of the identities {}",
                all.join(", ")
            )))
        }
    }
}

/// Notes the backends of a manifest; one that only held something once has its identity for a label.
fn note(manifest: &Manifest, claims: &mut BTreeMap<BackendUid, Claim>) {
    let body = manifest.body();
    for held in &body.held {
        claims.entry(held.backend).or_insert_with(|| Claim {
            label: held.backend.to_string(),
            domain: FailureDomain::default(),
        });
    }
    for (_, at) in body.stored() {
        let (label, domain) = (at.label.clone(), at.failure_domain());
        claims.insert(at.backend, Claim { label, domain });
    }
}

fn member(label: &str, backend: Option<BackendUid>, state: MemberState) -> Member {
    let label = label.to_owned();
    Member {
        label,
        backend,
        state,
    }
}
