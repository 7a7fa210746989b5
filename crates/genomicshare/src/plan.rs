//! What a split would do, said before it is done: who holds what, who could read, what forbids it.
//!
//! A plan reads no file and contacts nobody. It is computed from the sites, the consent, the law
//! tables and the clock, so that the same inputs always give the same plan.

pub(crate) mod coalition;
mod transfer;
mod warning;

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use xstore::placement::{self, FailureDomain};

pub use coalition::{Coalition, Holder};
pub use transfer::Transfer;
pub use warning::Warning;

use crate::authorize::{self, Request, Use};
use crate::consent::{Assurance, ConsentRecord};
use crate::error::{Error, Refusal};
use crate::jurisdiction::{JurisdictionCode, LawTable, TransferStatus, Zone};
use crate::sites::{Site, Sites};

/// What splitting over some sites would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// Shares needed to read.
    pub threshold: u8,
    /// Length of a chunk of payload, in bytes.
    pub chunk_len_bytes: u32,
    /// Every share, in the order of its index.
    pub shares: Vec<PlannedShare>,
    /// The fewest holders who could read together.
    pub smallest_coalition: Coalition,
    /// Sites that may be lost without losing data: n - k.
    pub survivable_losses: usize,
    /// Payload in bytes, where it is known.
    pub payload_len_bytes: Option<u64>,
    /// n times the payload, in bytes, at most `u64::MAX`; padding and tags come on top.
    pub stored_len_bytes: Option<u64>,
    /// What short mode, which is computational, would store instead: n/k times the payload.
    pub short_stored_len_bytes: Option<u64>,
    /// Who enforces consent when somebody reads.
    pub enforcement: Enforcement,
    /// How far the consent is proven, where there is one.
    pub assurance: Option<Assurance>,
    /// Every direction between two sites in different zones and what the law table says of it.
    pub transfers: Vec<Transfer>,
    /// Review date of the law tables, where they state one.
    #[serde(serialize_with = "as_text")]
    pub law_reviewed_on: Option<jiff::civil::Date>,
    /// What the reader of the plan should know and nothing forbids.
    pub warnings: Vec<Warning>,
    /// Everything that forbids the split.
    pub refusals: Vec<Refusal>,
}

/// One share and the place it would go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedShare {
    /// Share index, from 0.
    pub index: u8,
    /// Jurisdiction.
    pub code: JurisdictionCode,
    /// Its name.
    pub name: String,
    /// Its regulation: the operator's word, else the law table's.
    pub regulation: Option<String>,
    /// Its legal zone.
    pub zone: Zone,
    /// Host and path, without the query.
    pub endpoint: String,
    /// Who runs it.
    pub operator: Option<String>,
    /// The provider's region.
    pub region: Option<String>,
    /// Whether the law table marks a part of its row as unconfirmed.
    pub law_unsure: bool,
}

/// Who stops a reader whose consent has ended or whose request goes too far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Enforcement {
    /// This software in the reader's hands; who holds the credentials of k sites can do without it.
    ClientOnly,
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientOnly => "enforced by our client only",
        })
    }
}

/// Says what splitting `payload_len_bytes` over `sites` would mean at the time `now`.
#[must_use]
pub fn plan(
    sites: &Sites,
    consent: Option<&ConsentRecord>,
    law: &LawTable,
    payload_len_bytes: Option<u64>,
    now: Timestamp,
) -> Plan {
    let domains: Vec<FailureDomain> = sites.iter().map(|site| site.failure_domain(law)).collect();
    let held: Vec<(u8, &FailureDomain)> = (0..).zip(&domains).collect();
    let share_count = sites.count();
    let transfers = transfer::between(&sites.codes(), law);
    Plan {
        threshold: sites.threshold(),
        chunk_len_bytes: sites.chunk_len_bytes(),
        shares: (0..)
            .zip(sites.iter())
            .map(|(index, site)| share(index, site, law))
            .collect(),
        smallest_coalition: coalition::smallest(sites.threshold(), &held),
        survivable_losses: share_count - usize::from(sites.threshold()),
        payload_len_bytes,
        stored_len_bytes: payload_len_bytes.map(|len| len.saturating_mul(share_count as u64)),
        short_stored_len_bytes: payload_len_bytes.map(|len| {
            len.div_ceil(sites.threshold().into())
                .saturating_mul(share_count as u64)
        }),
        enforcement: Enforcement::ClientOnly,
        assurance: consent.map(ConsentRecord::assurance),
        law_reviewed_on: law.reviewed_on(),
        warnings: warning::warnings(sites, law, &held),
        refusals: refusals(sites, consent, &held, &transfers, now),
        transfers,
    }
}

impl Plan {
    /// Whether the split may go ahead.
    ///
    /// # Errors
    /// [`Error::Refused`] with the first of [`Plan::refusals`]: consent, then quorum, then transfer
    /// rules.
    pub fn verdict(&self) -> Result<(), Error> {
        match self.refusals.first() {
            None => Ok(()),
            Some(refusal) => Err(refusal.clone().into()),
        }
    }

    /// Transfers that are allowed once something is done first: an authority asked or told, or a
    /// condition met.
    pub fn conditions(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.iter().filter(|transfer| {
            transfer
                .rule
                .as_ref()
                .is_some_and(|rule| match rule.status {
                    TransferStatus::Authorisation
                    | TransferStatus::Notify
                    | TransferStatus::Conditional => true,
                    TransferStatus::Adequate | TransferStatus::Prohibited => false,
                })
        })
    }
}

fn share(index: u8, site: &Site, law: &LawTable) -> PlannedShare {
    let row = law.law_of(site.code);
    PlannedShare {
        index,
        code: site.code,
        name: site
            .name
            .clone()
            .unwrap_or_else(|| law.name_of(site.code).to_owned()),
        regulation: site
            .regulation
            .clone()
            .or_else(|| row.map(|law| law.regulation.clone())),
        zone: law.zone_of(site.code),
        endpoint: site.endpoint.label(),
        operator: site.operator.clone(),
        region: site.region.clone(),
        law_unsure: row.is_some_and(|law| law.unsure),
    }
}

fn refusals(
    sites: &Sites,
    consent: Option<&ConsentRecord>,
    held: &[(u8, &FailureDomain)],
    transfers: &[Transfer],
    now: Timestamp,
) -> Vec<Refusal> {
    let mut refusals = consent.map_or_else(Vec::new, |consent| {
        let usage = Use::Deposit {
            jurisdictions: sites.codes(),
        };
        // The object does not exist yet; consent does not depend on its identity.
        let request = Request {
            object_id: None,
            usage: &usage,
            purpose: None,
        };
        authorize::refusals(consent, request, now)
    });
    let threshold = sites.threshold();
    let findings = placement::check(threshold, held);
    if !findings.is_empty() {
        refusals.push(Refusal::ZoneQuorum {
            threshold,
            findings,
        });
    }
    let prohibited: Vec<Transfer> = transfers
        .iter()
        .filter(|t| t.is_prohibited())
        .cloned()
        .collect();
    if !prohibited.is_empty() {
        refusals.push(Refusal::PlacementForbidden {
            transfers: prohibited,
        });
    }
    refusals
}

fn as_text<S: serde::Serializer>(
    date: &Option<jiff::civil::Date>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => serializer.collect_str(date),
        None => serializer.serialize_none(),
    }
}
