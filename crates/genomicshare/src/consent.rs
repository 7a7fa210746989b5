//! The consent record: who agreed to what, where, and until when.
//!
//! The six fields are those that researchers already exchange as JSON. They carry no signature, so
//! the record proves nothing by itself: see [`Assurance`]. A value of [`ConsentRecord`] is always
//! complete and consistent; whether it permits one request at one time is decided by
//! [`authorize`](crate::authorize::authorize).

mod json;
pub(crate) mod problem;

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use crate::error::{ConsentProblem, ConsentReason, Error};
use crate::jurisdiction::JurisdictionCode;

/// The longest record accepted by [`ConsentRecord::from_json`], in bytes.
pub const RECORD_LEN_BYTES_MAX: usize = 64 * 1024;

/// What a consent record says, not yet checked.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentFields {
    /// Pseudonym of the person whose genome it is.
    pub subject_id: String,
    /// What the data may be used for; free text, which matches only itself.
    pub purpose: String,
    /// Who consented: the patient, a guardian, an institution.
    pub granted_by: String,
    /// First instant of the consent.
    pub granted_at: Timestamp,
    /// Jurisdictions that may hold a share. Exact codes: `US` does not cover `US-IL`.
    pub authorized_jurisdictions: Vec<JurisdictionCode>,
    /// First instant at which the consent no longer holds; without one it does not end.
    pub expires_at: Option<Timestamp>,
}

/// A complete and consistent consent record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRecord(ConsentFields);

/// How far a consent record is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Assurance {
    /// The record is unsigned: it is as true as the operator who handed it in.
    AssertedByOperator,
}

impl ConsentRecord {
    /// Checks the fields of a record that was decoded elsewhere, such as from a manifest.
    ///
    /// # Errors
    /// [`Error::Consent`] with every problem found: an empty text, a control character, no
    /// jurisdiction, one listed twice, an end that is not after the beginning.
    pub fn try_new(fields: ConsentFields) -> Result<Self, Error> {
        let problems = problems_of(&fields);
        if problems.is_empty() {
            Ok(Self(fields))
        } else {
            Err(Error::Consent(problems))
        }
    }

    /// Reads the JSON form: `subjectId`, `purpose`, `grantedBy`, `grantedAt`,
    /// `authorizedJurisdictions` and, optionally, `expiresAt`; times are RFC 3339.
    ///
    /// # Errors
    /// [`Error::Consent`] with every problem found: not JSON (RFC 8259), longer than
    /// [`RECORD_LEN_BYTES_MAX`], a field that is missing, unknown, doubled, empty or of another
    /// type, and all that [`ConsentRecord::try_new`] refuses.
    ///
    /// # Examples
    /// ```
    /// use genomicshare::ConsentRecord;
    ///
    /// let consent = ConsentRecord::from_json(
    ///     br#"{"subjectId": "SUBJ-001", "purpose": "rare-disease-research",
    ///          "grantedBy": "patient", "grantedAt": "2026-04-10T00:00:00Z",
    ///          "authorizedJurisdictions": ["DE", "CA", "JP"]}"#,
    /// )?;
    /// assert_eq!(consent.fields().authorized_jurisdictions.len(), 3);
    ///
    /// let error = ConsentRecord::from_json(b"{}").unwrap_err();
    /// assert_eq!(error.code(), "CONSENT_INVALID");
    /// # Ok::<(), genomicshare::Error>(())
    /// ```
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        Self::try_new(json::read(bytes)?)
    }

    /// The JSON form, one field per line; [`ConsentRecord::from_json`] reads back an equal record.
    /// Times are written in UTC with as many fractional digits as they need.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::write(&self.0)
    }

    /// What the record says.
    #[must_use]
    pub fn fields(&self) -> &ConsentFields {
        &self.0
    }

    /// How far the record is proven.
    #[must_use]
    pub fn assurance(&self) -> Assurance {
        Assurance::AssertedByOperator
    }
}

/// Names no person: subject, purpose and grantor are shown by length only.
impl fmt::Debug for ConsentFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentFields")
            .field("subject_id_len_bytes", &self.subject_id.len())
            .field("purpose_len_bytes", &self.purpose.len())
            .field("granted_by_len_bytes", &self.granted_by.len())
            .field("granted_at", &self.granted_at)
            .field("authorized_jurisdictions", &self.authorized_jurisdictions)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AssertedByOperator => "asserted by the operator",
        })
    }
}

fn problems_of(fields: &ConsentFields) -> Vec<ConsentProblem> {
    let mut problems = Vec::new();
    for (name, text) in [
        ("subjectId", &fields.subject_id),
        ("purpose", &fields.purpose),
        ("grantedBy", &fields.granted_by),
    ] {
        problems.extend(text_problem(name, text));
    }
    problems.extend(jurisdiction_problems(&fields.authorized_jurisdictions));
    problems.extend(period_problem(fields.granted_at, fields.expires_at));
    problems
}

fn text_problem(name: &str, text: &str) -> Option<ConsentProblem> {
    let reason = if text.trim().is_empty() {
        ConsentReason::Empty
    } else if text.chars().any(char::is_control) {
        ConsentReason::ControlCharacter
    } else {
        return None;
    };
    Some(ConsentProblem::new(name, reason))
}

fn jurisdiction_problems(codes: &[JurisdictionCode]) -> Vec<ConsentProblem> {
    if codes.is_empty() {
        return vec![ConsentProblem::new(
            "authorizedJurisdictions",
            ConsentReason::Empty,
        )];
    }
    let mut seen = BTreeSet::new();
    codes
        .iter()
        .enumerate()
        .filter(|(_, code)| !seen.insert(**code))
        .map(|(at, code)| {
            ConsentProblem::new(
                format!("authorizedJurisdictions[{at}]"),
                ConsentReason::DuplicateCode { code: *code },
            )
        })
        .collect()
}

fn period_problem(granted_at: Timestamp, expires_at: Option<Timestamp>) -> Option<ConsentProblem> {
    (expires_at? <= granted_at)
        .then(|| ConsentProblem::new("expiresAt", ConsentReason::NotAfterGrant))
}
