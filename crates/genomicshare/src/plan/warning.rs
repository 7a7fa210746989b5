//! What the reader of a plan should know although nothing forbids it.

use std::fmt;

use serde::Serialize;
use xstore::placement::{self, FailureDomain};

use crate::jurisdiction::{JurisdictionCode, LawTable};
use crate::sites::{Site, Sites};

/// One thing to know before splitting. `Display` is the sentence to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Warning {
    /// k or more shares would lie on one computer that nobody is named for.
    Trial,
    /// Every share is needed: losing any one site loses the data.
    NothingToSpare,
    /// Sites without a named operator: nobody says that they are distinct.
    OperatorUnknown {
        /// In the order of the sites.
        codes: Vec<JurisdictionCode>,
    },
    /// The regulation that the sites file states is not the law table's.
    RegulationDiffers {
        /// The site.
        code: JurisdictionCode,
        /// As the sites file states it.
        stated: String,
        /// As the law table states it.
        table: String,
    },
    /// The law table has no row for these.
    LawUnknown {
        /// In the order of the sites.
        codes: Vec<JurisdictionCode>,
    },
    /// The law table marks a part of these rows as unconfirmed.
    LawUnsure {
        /// In the order of the sites.
        codes: Vec<JurisdictionCode>,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trial => {
                f.write_str("all shares are on this computer: a trial, not a protection")
            }
            Self::NothingToSpare => {
                f.write_str("k = n: every share is needed, nothing can be repaired")
            }
            Self::OperatorUnknown { codes } => {
                write!(
                    f,
                    "no operator is named for {codes:?}: that they are distinct is not proven"
                )
            }
            Self::RegulationDiffers {
                code,
                stated,
                table,
            } => {
                write!(
                    f,
                    "{code} is said to be under {stated}, the law table says {table}"
                )
            }
            Self::LawUnknown { codes } => write!(f, "the law table has no row for {codes:?}"),
            Self::LawUnsure { codes } => {
                write!(f, "the law table is not sure of its rows for {codes:?}")
            }
        }
    }
}

pub(super) fn warnings(
    sites: &Sites,
    law: &LawTable,
    held: &[(u8, &FailureDomain)],
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if placement::is_trial(sites.threshold(), held) {
        warnings.push(Warning::Trial);
    }
    if usize::from(sites.threshold()) == sites.count() {
        warnings.push(Warning::NothingToSpare);
    }
    let that = |wanted: &dyn Fn(&Site) -> bool| -> Option<Vec<JurisdictionCode>> {
        let codes: Vec<_> = sites.iter().filter(|s| wanted(s)).map(|s| s.code).collect();
        (!codes.is_empty()).then_some(codes)
    };
    warnings.extend(
        that(&|site| site.operator.is_none()).map(|codes| Warning::OperatorUnknown { codes }),
    );
    warnings.extend(
        sites
            .iter()
            .filter_map(|site| regulation_differs(site, law)),
    );
    warnings.extend(
        that(&|site| law.law_of(site.code).is_none()).map(|codes| Warning::LawUnknown { codes }),
    );
    warnings.extend(
        that(&|site| law.law_of(site.code).is_some_and(|law| law.unsure))
            .map(|codes| Warning::LawUnsure { codes }),
    );
    warnings
}

/// The table may say more than the file, not something else: `GDPR` for `GDPR + BDSG` is the same.
fn regulation_differs(site: &Site, law: &LawTable) -> Option<Warning> {
    let stated = site.regulation.as_deref()?.trim();
    let table = &law.law_of(site.code)?.regulation;
    let agrees = table.to_lowercase().starts_with(&stated.to_lowercase());
    (!agrees).then(|| Warning::RegulationDiffers {
        code: site.code,
        stated: stated.to_owned(),
        table: table.clone(),
    })
}
