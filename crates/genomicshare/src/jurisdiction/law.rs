//! What is known of each place's law: its regulation, its zone, and the rules between places.
//!
//! The tables are data with a review date, written by engineers, and not legal advice. An operator
//! whose lawyers know better replaces them at run time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use super::{JurisdictionCode, read};
use crate::error::Error;

/// A legal zone: everything that one court order or one regulation reaches. Named by the zones
/// table, such as `EEA`, or by the country's own code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Zone(pub(super) String);

/// One row of the jurisdictions table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Law {
    /// Usual name of the place.
    pub name: String,
    /// The data protection law.
    pub regulation: String,
    /// What it and its neighbours say of genomic data.
    pub genomic_provisions: String,
    /// What it says of transfers abroad.
    pub transfer_rule: String,
    /// Whether the row itself says that a part of it was not confirmed.
    pub unsure: bool,
}

/// One row of the table of rules between places.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TransferRule {
    /// What the rule means for a transfer.
    pub status: TransferStatus,
    /// The decision, regulation or section it rests on.
    pub basis: String,
    /// Limits of the rule; may be empty.
    pub note: String,
    #[serde(skip)]
    pub(super) from: Place,
    #[serde(skip)]
    pub(super) to: Place,
}

/// What a rule means for a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TransferStatus {
    /// Recognised as adequate; the note may limit it to certain importers.
    Adequate,
    /// Forbidden, encrypted or not.
    Prohibited,
    /// Allowed after an authority permits it.
    Authorisation,
    /// Allowed after an authority is told.
    Notify,
    /// Allowed when named conditions are met.
    Conditional,
}

/// One side of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    Zone(Zone),
    Code(JurisdictionCode),
}

/// The bytes of the three tables.
#[derive(Debug, Clone, Copy)]
pub struct LawTableFiles<'a> {
    /// `code name regulation genomic_provisions transfer_rule`.
    pub jurisdictions: &'a [u8],
    /// `from to status basis note`; a side is a code, a zone or `*`.
    pub transfers: &'a [u8],
    /// `zone code note`; codes not listed are their country's own zone.
    pub zones: &'a [u8],
}

/// The three tables together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LawTable {
    pub(super) reviewed_on: Option<jiff::civil::Date>,
    pub(super) laws: BTreeMap<JurisdictionCode, Law>,
    pub(super) zones: BTreeMap<JurisdictionCode, Zone>,
    pub(super) rules: Vec<TransferRule>,
}

static BUILTIN: LazyLock<LawTable> = LazyLock::new(|| {
    let files = LawTableFiles {
        jurisdictions: include_bytes!("../../data/jurisdictions.tsv"),
        transfers: include_bytes!("../../data/adequacy_edges.tsv"),
        zones: include_bytes!("../../data/zones.tsv"),
    };
    #[expect(
        clippy::expect_used,
        reason = "constant input, parsed by the tests of this crate"
    )]
    LawTable::from_tsv(files).expect("the tables of this crate are valid")
});

impl LawTable {
    /// The tables that this version of the crate carries.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Reads tables that replace the built-in ones.
    ///
    /// # Errors
    /// [`Error::Config`] with the table and line of every problem: not UTF-8, longer than 1 MiB, a
    /// wrong heading or number of columns, an unknown code, place or status, a row that stands
    /// twice.
    pub fn from_tsv(files: LawTableFiles<'_>) -> Result<Self, Error> {
        read::tables(files)
    }

    /// The oldest review date of the three tables; `None` when one of them states none.
    #[must_use]
    pub fn reviewed_on(&self) -> Option<jiff::civil::Date> {
        self.reviewed_on
    }

    /// The law of a place: its own row, or its country's. `None` when the table has neither.
    #[must_use]
    pub fn law_of(&self, code: JurisdictionCode) -> Option<&Law> {
        self.laws
            .get(&code)
            .or_else(|| self.laws.get(&country_of(code)?))
    }

    /// The legal zone of a place; every place has one.
    #[must_use]
    pub fn zone_of(&self, code: JurisdictionCode) -> Zone {
        self.zones
            .get(&code)
            .or_else(|| self.zones.get(&country_of(code)?))
            .cloned()
            .unwrap_or_else(|| Zone(code.country().to_owned()))
    }

    /// Name of a place: from the table, or from the ISO list.
    #[must_use]
    pub fn name_of(&self, code: JurisdictionCode) -> &str {
        self.laws.get(&code).map_or(code.name(), |law| &law.name)
    }

    /// Every rule for data that lies at `from` and is sent to `to`, in the order of the table.
    /// Nothing within one zone: there the data does not leave.
    pub fn transfer_rules(
        &self,
        from: JurisdictionCode,
        to: JurisdictionCode,
    ) -> impl Iterator<Item = &TransferRule> {
        let (from_zone, to_zone) = (self.zone_of(from), self.zone_of(to));
        let leaves = from_zone != to_zone;
        self.rules.iter().filter(move |rule| {
            leaves && rule.from.contains(from, &from_zone) && rule.to.contains(to, &to_zone)
        })
    }
}

impl Zone {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for TransferStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Adequate => "adequate",
            Self::Prohibited => "prohibited",
            Self::Authorisation => "authorisation",
            Self::Notify => "notify",
            Self::Conditional => "conditional",
        })
    }
}

impl Place {
    fn contains(&self, code: JurisdictionCode, zone: &Zone) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Zone(named) => named == zone,
            Self::Code(named) => {
                *named == code
                    || named.as_str() == code.country()
                    || named.as_str() == zone.as_str()
            }
        }
    }
}

fn country_of(code: JurisdictionCode) -> Option<JurisdictionCode> {
    code.country().parse().ok()
}
