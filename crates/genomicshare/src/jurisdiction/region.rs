//! Where a provider's regions lie, so that what a site says can be held against where its bucket is.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::JurisdictionCode;
use super::tsv::Table;

/// Scheme and region to country. A row that cannot be read is one that a test of this module misses.
static REGIONS: LazyLock<BTreeMap<(&str, &str), JurisdictionCode>> = LazyLock::new(|| {
    let table = Table::read(
        "regions",
        ["scheme", "region", "code"],
        include_bytes!("../../data/regions.tsv"),
    );
    let rows = table.map_or_else(|_| Vec::new(), |table| table.rows);
    let region =
        |[scheme, region, code]: [&'static str; 3]| Some(((scheme, region), code.parse().ok()?));
    rows.into_iter()
        .filter_map(|row| region(row.fields))
        .collect()
});

/// The country in which the region of the provider behind `scheme` (`s3`, `az`, `gs`) lies; `None`
/// for what the table does not know: other providers, new regions, and those of several countries.
#[must_use]
pub fn country_of_region(scheme: &str, region: &str) -> Option<JurisdictionCode> {
    REGIONS.get(&(scheme, region)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read_and_is_of_a_country() {
        let text = include_str!("../../data/regions.tsv");
        let rows = text.lines().skip(2).count();
        assert!(rows > 100);
        assert_eq!(REGIONS.len(), rows);
        for code in REGIONS.values() {
            assert_eq!(code.as_str().len(), 2, "{code}");
        }
    }

    #[test]
    fn regions_lie_in_countries() {
        for (scheme, region, code) in [
            ("s3", "eu-central-1", Some("DE")),
            ("s3", "eu-west-2", Some("GB")),
            ("az", "switzerlandnorth", Some("CH")),
            ("gs", "northamerica-northeast1", Some("CA")),
            ("gs", "eu-central-1", None),
            ("gs", "eu", None),
            ("file", "eu-central-1", None),
        ] {
            let found = country_of_region(scheme, region);
            assert_eq!(
                found.as_ref().map(JurisdictionCode::as_str),
                code,
                "{scheme} {region}"
            );
        }
    }
}
