//! What the law table says of each direction between two sites.
//!
//! A share is still personal data under several of these laws, and a reader brings shares together
//! wherever he sits; so every ordered pair of sites counts, not only the owner's way out.

use std::fmt;

use serde::Serialize;

use crate::jurisdiction::{JurisdictionCode, LawTable, TransferRule, TransferStatus};

/// One direction between two sites in different zones, and one rule for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Transfer {
    /// Where the data lies.
    pub from: JurisdictionCode,
    /// Where it is sent.
    pub to: JurisdictionCode,
    /// The rule; `None` where the table has none, which permits nothing: a transfer tool must then
    /// be named by whoever answers for the data.
    pub rule: Option<TransferRule>,
}

impl Transfer {
    /// Whether the rule forbids it.
    #[must_use]
    pub fn is_prohibited(&self) -> bool {
        self.rule
            .as_ref()
            .is_some_and(|rule| rule.status == TransferStatus::Prohibited)
    }
}

/// `US to CN (28 CFR 202.303)`.
impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)?;
        match &self.rule {
            Some(rule) => write!(f, " ({})", rule.basis),
            None => f.write_str(" (no rule)"),
        }
    }
}

/// Every direction between two of `codes` that leaves a zone, once for each rule.
pub(super) fn between(codes: &[JurisdictionCode], law: &LawTable) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    for &from in codes {
        for &to in codes {
            if law.zone_of(from) == law.zone_of(to) {
                continue;
            }
            let before = transfers.len();
            transfers.extend(law.transfer_rules(from, to).map(|rule| Transfer {
                from,
                to,
                rule: Some(rule.clone()),
            }));
            if transfers.len() == before {
                transfers.push(Transfer {
                    from,
                    to,
                    rule: None,
                });
            }
        }
    }
    transfers
}
