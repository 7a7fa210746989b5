//! What a manifest says about a shared file: its consent, and where it lies. Nothing of the file
//! itself, not even its format: whatever is computed from a payload stays inside the secret.
//!
//! The document travels as the manifest's extension, under the manifest's signature and its rules
//! of encoding. Reading is permitted by the consent that stands here, never by a file that a
//! requester brings along.

use jiff::Timestamp;
use xstore::cbor::{self, Blob};
use xstore::manifest::ShareEntry;
use xstore::{Manifest, cbor_map};

use crate::consent::{ConsentFields, ConsentRecord};
use crate::error::Error;
use crate::jurisdiction::JurisdictionCode;

/// Version of the document.
const VERSION: u8 = 1;

cbor_map! {
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Document {
        1 => version: u8,
        2 => consent: ConsentDocument,
        3 => jurisdictions: Vec<Placed>,
    }
}

cbor_map! {
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct ConsentDocument {
        1 => subject_id: String,
        2 => purpose: String,
        3 => granted_by: String,
        4 => granted_at: String,
        5 => authorized_jurisdictions: Vec<String>,
        6 => expires_at: Option<String>,
    }
}

cbor_map! {
    /// One jurisdiction that was given a share.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Placed {
        /// ISO 3166 code.
        1 => pub code: String,
        /// Legal zone, at the time of the split.
        2 => pub zone: String,
        /// Regulation, as the operator or the law table named it.
        3 => pub regulation: Option<String>,
    }
}

/// A shared file, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFile {
    /// The consent it was split under.
    pub consent: ConsentRecord,
    /// The jurisdictions that were given a share, by ascending share index.
    pub placed: Vec<Placed>,
}

impl SharedFile {
    /// The document for a manifest's extension.
    #[must_use]
    pub fn to_extension(&self) -> Vec<u8> {
        let fields = self.consent.fields();
        cbor::to_vec(&Document {
            version: VERSION,
            consent: ConsentDocument {
                subject_id: fields.subject_id.clone(),
                purpose: fields.purpose.clone(),
                granted_by: fields.granted_by.clone(),
                granted_at: fields.granted_at.to_string(),
                authorized_jurisdictions: fields
                    .authorized_jurisdictions
                    .iter()
                    .map(|code| code.as_str().to_owned())
                    .collect(),
                expires_at: fields.expires_at.map(|time| time.to_string()),
            },
            jurisdictions: self.placed.clone(),
        })
    }

    /// Reads the document from a manifest whose authenticators were checked.
    ///
    /// # Errors
    /// [`Error::Store`] with `MANIFEST_INVALID` when the manifest is not that of a shared file.
    pub fn from_manifest(manifest: &Manifest) -> Result<Self, Error> {
        let invalid = |reason| Error::Store(xstore::Error::ManifestInvalid(reason));
        let extension = manifest.body().extension.as_ref();
        let Blob(bytes) = extension.ok_or(invalid("it is not that of a shared file"))?;
        let document: Document = cbor::from_slice(bytes)
            .map_err(|_| invalid("its consent document is not in the one form it may have"))?;
        if document.version != VERSION {
            return Err(Error::Store(xstore::Error::Version {
                what: "the consent document",
                version: document.version,
            }));
        }
        let consent = consent(document.consent)
            .ok_or(invalid("its consent is not one that was ever accepted"))?;
        let placed = document.jurisdictions;
        let shares = &manifest.body().shares;
        // A share that no backend took has a jurisdiction, and no place yet.
        let at_home = |(placed, share): (&Placed, &ShareEntry)| {
            let label = share.location.as_ref().map(|at| at.label.as_str());
            label.is_none_or(|label| label == placed.code.as_str())
        };
        let all_at_home = placed.len() == shares.len() && placed.iter().zip(shares).all(at_home);
        let known = |placed: &Placed| placed.code.parse::<JurisdictionCode>().is_ok();
        if !all_at_home || !placed.iter().all(known) {
            return Err(invalid(
                "its jurisdictions are not those that hold its shares",
            ));
        }
        Ok(Self { consent, placed })
    }

    /// Codes of the jurisdictions that hold a share.
    #[must_use]
    pub fn jurisdictions(&self) -> Vec<JurisdictionCode> {
        self.placed
            .iter()
            .filter_map(|placed| placed.code.parse().ok())
            .collect()
    }
}

fn consent(document: ConsentDocument) -> Option<ConsentRecord> {
    let codes = document
        .authorized_jurisdictions
        .iter()
        .map(|code| code.parse().ok());
    ConsentRecord::try_new(ConsentFields {
        subject_id: document.subject_id,
        purpose: document.purpose,
        granted_by: document.granted_by,
        granted_at: time(&document.granted_at)?,
        authorized_jurisdictions: codes.collect::<Option<_>>()?,
        expires_at: match document.expires_at {
            Some(text) => Some(time(&text)?),
            None => None,
        },
    })
    .ok()
}

/// A time in the one form that we write.
fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>()
        .ok()
        .filter(|time| time.to_string() == text)
}
