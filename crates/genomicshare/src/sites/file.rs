//! The TOML form of a sites file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{
    CHUNK_LEN_BYTES_DEFAULT, CHUNK_LEN_BYTES_MAX, CHUNK_LEN_BYTES_MIN, Endpoint, SITE_COUNT_MAX,
    SITE_COUNT_MIN, Site, Sites, checked_threshold,
};
use crate::error::{ConfigProblem, ConfigReason, Error};
use crate::jurisdiction::{JurisdictionCode, country_of_region};

/// The longest sites file accepted, in bytes: 251 sites of 4 KiB.
const FILE_LEN_BYTES_MAX: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    threshold: i64,
    chunk_size: Option<String>,
    #[serde(default)]
    jurisdiction: Vec<SiteText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteText {
    code: String,
    name: Option<String>,
    regulation: Option<String>,
    endpoint: String,
    operator: Option<String>,
    credential: Option<String>,
    region: Option<String>,
}

pub(super) fn read(bytes: &[u8], base: &Path) -> Result<Sites, Error> {
    let file = parse(bytes)?;
    let count = file.jurisdiction.len();
    let mut problems = Vec::new();
    problems.extend(count_problem(count));
    let threshold = kept(checked_threshold(file.threshold, count), &mut problems);
    let chunk_len_bytes = kept(chunk_len(file.chunk_size.as_deref()), &mut problems);
    let sites: Vec<Site> = file
        .jurisdiction
        .into_iter()
        .enumerate()
        .filter_map(|(at, text)| site(at, text, base, &mut problems))
        .collect();
    problems.extend(duplicate_problems(&sites));
    match (threshold, chunk_len_bytes) {
        (Some(threshold), Some(chunk_len_bytes)) if problems.is_empty() => Ok(Sites {
            threshold,
            chunk_len_bytes,
            sites,
        }),
        _ => Err(Error::Config(problems)),
    }
}

fn parse(bytes: &[u8]) -> Result<FileText, ConfigProblem> {
    let whole = |reason| ConfigProblem::new("sites file", reason);
    if bytes.len() > FILE_LEN_BYTES_MAX {
        return Err(whole(ConfigReason::TooLarge {
            limit_bytes: FILE_LEN_BYTES_MAX,
        }));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| whole(ConfigReason::NotText))?;
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let place = before.map_or_else(
            || "sites file".to_owned(),
            |before| format!("sites file, line {}", before.matches('\n').count() + 1),
        );
        let message = error.message().replace(char::is_control, " ");
        ConfigProblem::new(place, ConfigReason::Toml { message })
    })
}

fn count_problem(count: usize) -> Option<ConfigProblem> {
    (!(SITE_COUNT_MIN..=SITE_COUNT_MAX).contains(&count)).then(|| {
        let (min, max) = (SITE_COUNT_MIN, SITE_COUNT_MAX);
        ConfigProblem::new(
            "jurisdiction",
            ConfigReason::JurisdictionCount { min, max, count },
        )
    })
}

/// The value, or its problem noted and the reading goes on.
fn kept<T>(read: Result<T, ConfigProblem>, problems: &mut Vec<ConfigProblem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

fn chunk_len(text: Option<&str>) -> Result<u32, ConfigProblem> {
    let Some(text) = text else {
        return Ok(CHUNK_LEN_BYTES_DEFAULT);
    };
    parse_chunk_len(text).ok_or_else(|| {
        ConfigProblem::new(
            "chunk_size",
            ConfigReason::ChunkLen {
                text: text.to_owned(),
            },
        )
    })
}

/// `64KiB`, `2MiB` or `2 MiB`.
fn parse_chunk_len(text: &str) -> Option<u32> {
    let (digits, unit_bytes) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(digits), _) => (digits, 1024),
        (_, Some(digits)) => (digits, 1024 * 1024),
        _ => return None,
    };
    let digits = digits.trim_end();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let len_bytes = digits.parse::<u32>().ok()?.checked_mul(unit_bytes)?;
    let fits = (CHUNK_LEN_BYTES_MIN..=CHUNK_LEN_BYTES_MAX).contains(&len_bytes);
    (fits && len_bytes.is_power_of_two()).then_some(len_bytes)
}

/// One site, or `None` and every problem of it noted.
fn site(at: usize, text: SiteText, base: &Path, problems: &mut Vec<ConfigProblem>) -> Option<Site> {
    let code: Option<JurisdictionCode> = text.code.parse().ok();
    let place = match code {
        Some(code) => format!("jurisdiction {} ({code})", at + 1),
        None => format!("jurisdiction {}", at + 1),
    };
    let mut note = |key: &str, reason| {
        problems.push(ConfigProblem::new(format!("{place}, {key}"), reason));
    };
    if code.is_none() {
        let meant = JurisdictionCode::meant_by(&text.code);
        note(
            "code",
            ConfigReason::UnknownCode {
                text: text.code,
                meant,
            },
        );
    }
    for (key, value) in [
        ("name", &text.name),
        ("regulation", &text.regulation),
        ("operator", &text.operator),
        ("credential", &text.credential),
        ("region", &text.region),
    ] {
        if let Some(reason) = value.as_deref().and_then(name_problem) {
            note(key, reason);
        }
    }
    let endpoint = Endpoint::parse(&text.endpoint, base)
        .map_err(|reason| note("endpoint", ConfigReason::Endpoint(reason)))
        .ok();
    let (code, endpoint) = (code?, endpoint?);
    let region = region(text.region, &endpoint, code)
        .map_err(|reason| note("region", reason))
        .ok()?;
    Some(Site {
        code,
        name: text.name,
        regulation: text.regulation,
        endpoint,
        operator: text.operator,
        credential: text.credential,
        region,
    })
}

/// The region under its own key or in the endpoint, which must lie where the site says it does.
fn region(
    named: Option<String>,
    endpoint: &Endpoint,
    code: JurisdictionCode,
) -> Result<Option<String>, ConfigReason> {
    let region = match (named, endpoint.region()) {
        (Some(named), Some(of_endpoint)) if named != of_endpoint => {
            return Err(ConfigReason::RegionTwice {
                endpoint: of_endpoint.to_owned(),
            });
        }
        (named, of_endpoint) => named.or_else(|| of_endpoint.map(str::to_owned)),
    };
    let country = match &region {
        // What another server calls its region says nothing about where it is.
        Some(region) if endpoint.host().is_none() => country_of_region(endpoint.scheme(), region),
        _ => None,
    };
    match (region, country) {
        (Some(region), Some(country)) if country.as_str() != code.country() => {
            Err(ConfigReason::RegionElsewhere { region, country })
        }
        (region, _) => Ok(region),
    }
}

fn name_problem(text: &str) -> Option<ConfigReason> {
    if text.trim().is_empty() {
        Some(ConfigReason::Empty)
    } else {
        text.contains(char::is_control)
            .then_some(ConfigReason::ControlCharacter)
    }
}

fn duplicate_problems(sites: &[Site]) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let (mut codes, mut places) = (BTreeMap::new(), BTreeMap::new());
    for site in sites {
        let code = site.code;
        if codes.insert(code, ()).is_some() {
            let what = code.to_string();
            problems.push(ConfigProblem::new(
                "jurisdiction, code",
                ConfigReason::Duplicate { what },
            ));
        }
        if let Some(other) = places.insert(site.endpoint.identity(), code) {
            problems.push(ConfigProblem::new(
                format!("jurisdiction ({code}), endpoint"),
                ConfigReason::SameEndpoint { other },
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_lengths_are_powers_of_two_with_a_unit() {
        for (text, len_bytes) in [
            ("64KiB", 65_536),
            ("2MiB", 2_097_152),
            ("2 MiB", 2_097_152),
            ("16MiB", 16_777_216),
            ("1024KiB", 1_048_576),
        ] {
            assert_eq!(parse_chunk_len(text), Some(len_bytes), "{text}");
        }
        for bad in [
            "0MiB",
            "0",
            "",
            "MiB",
            "32KiB",
            "32MiB",
            "3MiB",
            "65KiB",
            "2MB",
            "2mib",
            "2097152",
            "+2MiB",
            "-2MiB",
            "2.0MiB",
            "99999999999MiB",
            "4294967296KiB",
        ] {
            assert_eq!(parse_chunk_len(bad), None, "{bad}");
        }
    }
}
