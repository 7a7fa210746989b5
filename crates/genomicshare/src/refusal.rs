//! Refusals by consent or by placement: the inputs are sound and the answer is no.

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use xstore::placement::QuorumFinding;

use crate::JurisdictionCode;
use crate::error::{listed, shown_time};
use crate::plan::Transfer;

/// Why consent or placement law forbids what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The record says that consent begins later than the clock allows.
    #[error("consent is granted from {}, and it is {}", shown_time(.granted_at), shown_time(.now))]
    ConsentNotYetGranted {
        /// Begin of the consent.
        granted_at: Timestamp,
        /// Time of the request.
        now: Timestamp,
    },
    /// The consent has ended.
    #[error("consent ended at {}, and it is {}", shown_time(.expired_at), shown_time(.now))]
    ConsentExpired {
        /// First instant at which the consent no longer holds.
        expired_at: Timestamp,
        /// Time of the request.
        now: Timestamp,
    },
    /// A permission given earlier no longer holds, or the clock was set back.
    #[error(
        "the authorisation holds from {} until {}, and it is {}",
        shown_time(.from), shown_time(.until), shown_time(.now)
    )]
    AuthorizationLapsed {
        /// When it was given.
        from: Timestamp,
        /// First instant at which it no longer holds.
        until: Timestamp,
        /// Time of the check.
        now: Timestamp,
    },
    /// The request names another purpose than the consent.
    #[error("the purpose asked for is not the purpose consented to")]
    PurposeNotPermitted,
    /// Jurisdictions that the consent does not cover, all of them.
    #[error("consent does not cover {}", codes(.missing))]
    JurisdictionMismatch {
        /// In the order of the request.
        missing: Vec<JurisdictionCode>,
    },
    /// One zone, operator, credential or host would hold enough shares to read alone.
    #[error("one holder would have the {threshold} shares needed to read: {}", quorums(.findings))]
    ZoneQuorum {
        /// Shares needed to read.
        threshold: u8,
        /// Every label that reaches it.
        findings: Vec<QuorumFinding>,
    },
    /// A rule of the law table prohibits a transfer between two of the sites.
    #[error("transfer is prohibited: {}", listed(.transfers))]
    PlacementForbidden {
        /// Every prohibited direction.
        transfers: Vec<Transfer>,
    },
}

impl Refusal {
    /// Stable machine-readable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ConsentNotYetGranted { .. } => "CONSENT_INVALID",
            Self::ConsentExpired { .. } | Self::AuthorizationLapsed { .. } => "CONSENT_EXPIRED",
            Self::PurposeNotPermitted => "PURPOSE_NOT_PERMITTED",
            Self::JurisdictionMismatch { .. } => "JURISDICTION_MISMATCH",
            Self::ZoneQuorum { .. } => "ZONE_QUORUM",
            Self::PlacementForbidden { .. } => "PLACEMENT_FORBIDDEN",
        }
    }

    /// What the caller can do now, in one sentence.
    #[must_use]
    pub fn recovery(&self) -> &'static str {
        match self {
            Self::ConsentNotYetGranted { .. } => {
                "check grantedAt and this computer's clock, or wait until the consent begins"
            }
            Self::ConsentExpired { .. } => "ask the person who consented for a new consent",
            Self::AuthorizationLapsed { .. } => "check this computer's clock and authorise again",
            Self::PurposeNotPermitted => "ask for the purpose the consent names, byte for byte",
            Self::JurisdictionMismatch { .. } => {
                "obtain a consent that names these jurisdictions, or leave them out"
            }
            Self::ZoneQuorum { .. } => {
                "use sites in other legal zones under other operators, or raise the threshold"
            }
            Self::PlacementForbidden { .. } => "leave out one of the two sites of each direction",
        }
    }
}

/// Code, message and recovery: what `--json` shows.
impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Refusal", 3)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("message", &self.to_string())?;
        fields.serialize_field("recovery", self.recovery())?;
        fields.end()
    }
}

fn codes(codes: &[JurisdictionCode]) -> String {
    let words: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    words.join(", ")
}

fn quorums(findings: &[QuorumFinding]) -> String {
    let words: Vec<String> = findings
        .iter()
        .map(|found| format!("{} {} holds {}", found.label, found.value, found.holds))
        .collect();
    words.join("; ")
}
