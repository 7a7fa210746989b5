//! `xgene store backend test`: what a backend does with objects, with strangers and with time.

use genomicshare::{Endpoint, country_of_region};
use serde_json::json;
use xstore::clock::SystemClock;
use xstore::probe::{ProbeReport, probe};
use xstore::{BackendErrorKind, ObjectKey, StorageBackend as _};

use crate::args::Backends;
use crate::codes::OK;
use crate::commands::human_bytes;
use crate::failure::Failure;
use crate::session::Session;

/// A collector compares ages; clocks that are further apart than this stop it.
const SKEW_S_MAX: i64 = 300;

/// One backend and what it did.
pub(super) struct Tried {
    label: String,
    report: ProbeReport,
    strangers: Strangers,
    /// The provider's region and the country it lies in.
    region: Option<(String, Option<String>)>,
}

/// What it answers to credentials that are not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strangers {
    Refused,
    Admitted,
    /// It has no credentials, or nothing that is surely wrong.
    NotTried,
}

pub(super) async fn run(backends: &Backends, session: &Session) -> Result<u8, Failure> {
    let meant = session.meant_by(backends)?;
    if meant.is_empty() {
        return Err(Failure::usage("give --backend, or add backends first"));
    }
    let mut unusable = Ok(());
    for (label, url) in &meant {
        let tried = one(label, url, session).await?;
        tried.tell(session);
        unusable = unusable.and(tried.require_usable());
    }
    unusable.map(|()| OK)
}

/// Tries one backend out.
pub(super) async fn one(label: &str, url: &str, session: &Session) -> Result<Tried, Failure> {
    let backend = session.backend(label, url)?;
    let report = probe(&*backend, &*session.entropy, &SystemClock).await?;
    let endpoint = Endpoint::parse(url, std::path::Path::new("/")).ok();
    let region = endpoint.as_ref().and_then(|endpoint| {
        let region = endpoint.region()?;
        let country = country_of_region(endpoint.scheme(), region);
        // Another server's region is only a name.
        let country = country.filter(|_| endpoint.host().is_none());
        Some((region.to_owned(), country.map(|code| code.to_string())))
    });
    Ok(Tried {
        label: label.to_owned(),
        report,
        strangers: strangers(label, url, session).await?,
        region,
    })
}

/// Asks for an object with credentials that cannot be right.
async fn strangers(label: &str, url: &str, session: &Session) -> Result<Strangers, Failure> {
    let Some(stranger) = session.stranger(label, url)? else {
        return Ok(Strangers::NotTried);
    };
    let Some(key) = ObjectKey::try_new("probe/stranger") else {
        return Ok(Strangers::NotTried);
    };
    Ok(match stranger.get_range(&key, 0..1).await {
        Err(error) if error.kind == BackendErrorKind::AuthFailed => Strangers::Refused,
        Err(error) if error.kind != BackendErrorKind::NotFound => {
            return Err(xstore::Error::from(error).into());
        }
        _ => Strangers::Admitted,
    })
}

impl Tried {
    /// What to know about it that is not as it should be.
    pub(super) fn findings(&self) -> Vec<String> {
        let broken = self.report.checks.iter().filter_map(|check| {
            let how = check.broken.as_ref()?;
            Some(format!("not true that it {}: {how}", check.property.name()))
        });
        let mut findings: Vec<String> = broken.collect();
        if let Some(why) = self.report.erasure.doubt() {
            findings.push(format!("erasure is unproven: {why}"));
        }
        if self.strangers == Strangers::Admitted {
            findings.push("it lets in whoever asks, with wrong credentials too".to_owned());
        }
        match self.report.clock_skew_s {
            None => findings.push("it tells no time, so nothing is collected there".to_owned()),
            Some(skew_s) if skew_s.abs() > SKEW_S_MAX => {
                findings.push(format!("its clock and ours are {} s apart", skew_s.abs()));
            }
            Some(_) => {}
        }
        findings
    }

    /// An error when a store cannot use it.
    pub(super) fn require_usable(&self) -> Result<(), Failure> {
        if self.report.is_usable() {
            return Ok(());
        }
        Err(Failure::new(
            "BACKEND_UNAVAILABLE",
            format!("{} does not keep what is needed of a backend", self.label),
            "use another server; what it did is named above",
        ))
    }

    pub(super) fn tell(&self, session: &Session) {
        let report = &self.report;
        let millis = report.latency.as_secs_f64() * 1000.0;
        let region = self.region.as_ref();
        session.terminal.message(
            "backend",
            json!({
                "label": self.label,
                "usable": report.is_usable(),
                "checks": report.checks.iter().map(|check| json!({
                    "property": check.property.name(),
                    "needed": check.property.is_needed(),
                    "broken": check.broken,
                })).collect::<Vec<_>>(),
                "erasure_unproven": report.erasure.doubt(),
                "strangers_refused": match self.strangers {
                    Strangers::Refused => Some(true),
                    Strangers::Admitted => Some(false),
                    Strangers::NotTried => None,
                },
                "clock_skew_s": report.clock_skew_s,
                "region": region.map(|(name, _)| name),
                "country": region.and_then(|(_, country)| country.as_ref()),
                "latency_ms": millis,
                "write_bytes_per_s": report.write_bytes_per_s,
                "read_bytes_per_s": report.read_bytes_per_s,
            }),
        );
        let place = match region {
            Some((name, Some(country))) => format!(", region {name} in {country}"),
            Some((name, None)) => format!(", region {name}"),
            None => String::new(),
        };
        session.terminal.say(&format!(
            "{}: {millis:.1} ms, writes {}/s, reads {}/s{place}",
            self.label,
            human_bytes(report.write_bytes_per_s),
            human_bytes(report.read_bytes_per_s),
        ));
        for check in report.checks.iter().filter(|check| check.broken.is_none()) {
            session
                .terminal
                .say(&format!("  it {}", check.property.name()));
        }
        if self.strangers == Strangers::Refused {
            session.terminal.say("  it refuses wrong credentials");
        }
        for finding in self.findings() {
            session.terminal.say(&format!("  but {finding}"));
        }
    }
}
