//! Places under one law: ISO codes, the legal zones they belong to, and what is known of their law.
//!
//! A zone is not a country code. Courts of Germany and of France reach each other's evidence under
//! one regulation, so two shares in `DE` and `FR` are two shares in one zone, `EEA`.

mod law;
mod read;
mod region;
mod tsv;

use std::fmt;
use std::str::FromStr;

pub use law::{Law, LawTable, LawTableFiles, TransferRule, TransferStatus, Zone};
pub use region::country_of_region;

/// An ISO 3166-1 alpha-2 code such as `DE`, or an ISO 3166-2 subdivision such as `CA-QC` where the
/// law differs below the state. Upper case only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JurisdictionCode {
    /// From the code list itself, so that a value is always a listed code.
    code: &'static str,
    country: &'static str,
    name: &'static str,
}

/// A text that is not a listed code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 3166-1 alpha-2 or ISO 3166-2 code in upper case")]
pub struct UnknownCode;

impl JurisdictionCode {
    /// The code as ISO writes it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.code
    }

    /// The ISO 3166-1 alpha-2 code of the country: `CA` for `CA-QC`.
    #[must_use]
    pub fn country(&self) -> &'static str {
        self.country
    }

    /// Name of the country or of the subdivision in the ISO list.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The listed code that a misspelt one probably means: other case, blanks, `_` for `-`, and the
    /// two country codes that people write although ISO does not.
    #[must_use]
    pub fn meant_by(text: &str) -> Option<Self> {
        if text.len() > 16 {
            return None;
        }
        let normal = text.trim().to_ascii_uppercase().replace('_', "-");
        match normal.as_str() {
            "UK" => "GB".parse().ok(),
            "EL" => "GR".parse().ok(),
            other => other.parse().ok(),
        }
    }

    /// Every ISO 3166-1 country, in the order of the list.
    pub fn countries() -> impl Iterator<Item = Self> {
        rust_iso3166::ALL.iter().map(|country| Self {
            code: country.alpha2,
            country: country.alpha2,
            name: country.name,
        })
    }
}

impl FromStr for JurisdictionCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        if let Some(country) = rust_iso3166::from_alpha2(text) {
            return Ok(Self {
                code: country.alpha2,
                country: country.alpha2,
                name: country.name,
            });
        }
        let part = rust_iso3166::iso3166_2::from_code(text).ok_or(UnknownCode)?;
        Ok(Self {
            code: part.code,
            country: part.country_code,
            name: part.name,
        })
    }
}

impl fmt::Display for JurisdictionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code)
    }
}

impl fmt::Debug for JurisdictionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl serde::Serialize for JurisdictionCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subdivision_knows_its_country() {
        let quebec: JurisdictionCode = "CA-QC".parse().expect("listed");
        assert_eq!((quebec.country(), quebec.as_str()), ("CA", "CA-QC"));
        for country in rust_iso3166::ALL {
            for part in country.subdivisions().unwrap_or_default() {
                let code: JurisdictionCode = part.code.parse().expect("listed");
                assert_eq!(code.country(), country.alpha2, "{code}");
            }
        }
    }

    #[test]
    fn only_upper_case_listed_codes_are_read() {
        for bad in [
            "XX", "de", "", " DE", "DEU", "276", "US-ZZ", "EU", "UK", "D\u{415}",
        ] {
            assert_eq!(bad.parse::<JurisdictionCode>(), Err(UnknownCode), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_code_is_recognised() {
        for (text, code) in [
            ("de", "DE"),
            (" us_il ", "US-IL"),
            ("uk", "GB"),
            ("EL", "GR"),
        ] {
            let meant = JurisdictionCode::meant_by(text).map(|code| code.as_str());
            assert_eq!(meant, Some(code), "{text}");
        }
        assert_eq!(JurisdictionCode::meant_by("XX"), None);
        assert_eq!(JurisdictionCode::meant_by(&"D".repeat(1 << 20)), None);
    }
}
