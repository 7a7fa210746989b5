//! Pure rules of placement: no zone, operator, credential or host may be able to read alone.
//!
//! A threshold counts backends, an attacker counts what one court, one company, one login or one
//! machine reaches. The labels below name those, and [`check`] refuses a placement in which one of
//! them would hold `k` or more shares. Every index ever sent counts, deleted or not: nobody can
//! prove that a copy was not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Who can reach the shares at one backend. `None` means not stated: then nothing is proven about
/// that label and the rule cannot apply to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureDomain {
    /// Legal zone, such as `EEA` or `CA`.
    pub zone: Option<String>,
    /// Organisation that runs the backend.
    pub operator: Option<String>,
    /// Source of the credential (profile, account), never the credential.
    pub credential: Option<String>,
    /// Machine, or [`THIS_COMPUTER`].
    pub host: Option<String>,
}

/// Host label of a folder whose operator nobody named. All such folders together are a trial, not a
/// protection: allowed, and said on every plan and in the manifest.
pub const THIS_COMPUTER: &str = "this computer";

/// Which of the four labels a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainLabel {
    /// Legal zone.
    Zone,
    /// Operator.
    Operator,
    /// Credential source.
    Credential,
    /// Host.
    Host,
}

impl fmt::Display for DomainLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zone => "zone",
            Self::Operator => "operator",
            Self::Credential => "credential",
            Self::Host => "host",
        })
    }
}

/// One label value that reaches the threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumFinding {
    /// Which label.
    pub label: DomainLabel,
    /// Its value.
    pub value: String,
    /// How many distinct share indices it would hold.
    pub holds: usize,
}

impl FailureDomain {
    /// The four labels that are stated, in a fixed order.
    pub fn labels(&self) -> impl Iterator<Item = (DomainLabel, &str)> {
        [
            (DomainLabel::Zone, &self.zone),
            (DomainLabel::Operator, &self.operator),
            (DomainLabel::Credential, &self.credential),
            (DomainLabel::Host, &self.host),
        ]
        .into_iter()
        .filter_map(|(label, value)| value.as_deref().map(|v| (label, v)))
    }

    /// Whether this is a folder of a computer that nobody is named for.
    #[must_use]
    pub fn is_this_computer(&self) -> bool {
        self.host.as_deref() == Some(THIS_COMPUTER)
    }
}

/// Label values that hold, or ever held, `threshold` or more distinct share indices.
///
/// `held` is every (share index, failure domain) ever sent in one generation. The host label
/// [`THIS_COMPUTER`] is the one exception: it is reported by [`is_trial`], not refused.
#[must_use]
pub fn check(threshold: u8, held: &[(u8, &FailureDomain)]) -> Vec<QuorumFinding> {
    let mut indices: BTreeMap<(DomainLabel, &str), BTreeSet<u8>> = BTreeMap::new();
    for (index, domain) in held {
        for (label, value) in domain.labels() {
            if (label, value) != (DomainLabel::Host, THIS_COMPUTER) {
                indices.entry((label, value)).or_default().insert(*index);
            }
        }
    }
    indices
        .into_iter()
        .filter(|(_, held)| held.len() >= usize::from(threshold))
        .map(|((label, value), held)| QuorumFinding {
            label,
            value: value.to_owned(),
            holds: held.len(),
        })
        .collect()
}

/// The most of `backends`, and no more than `count`, that [`check`] lets hold a share each; earlier
/// ones are preferred.
///
/// All selections are tried as long as there are few; of many, the best of the first ones.
#[must_use]
pub fn choose(threshold: u8, count: usize, backends: &[&FailureDomain]) -> Vec<usize> {
    let mut best = Vec::new();
    let mut steps = 1 << 16;
    extend(
        threshold,
        count,
        backends,
        &mut Vec::new(),
        &mut best,
        &mut steps,
    );
    best
}

/// Tries `chosen` with every later backend, the nearest first, and keeps the longest selection.
fn extend(
    threshold: u8,
    count: usize,
    backends: &[&FailureDomain],
    chosen: &mut Vec<usize>,
    best: &mut Vec<usize>,
    steps: &mut u32,
) {
    if chosen.len() > best.len() {
        best.clone_from(chosen);
    }
    let next = chosen.last().map_or(0, |last| last + 1);
    for at in next..backends.len() {
        let reachable = chosen.len() + (backends.len() - at);
        if best.len() == count || reachable <= best.len() || *steps == 0 {
            return;
        }
        *steps -= 1;
        chosen.push(at);
        let held = (0..).zip(chosen.iter().map(|at| backends[*at]));
        if check(threshold, &held.collect::<Vec<_>>()).is_empty() {
            extend(threshold, count, backends, chosen, best, steps);
        }
        chosen.pop();
    }
}

/// Whether `threshold` or more shares lie on a computer that nobody is named for: a trial, not a
/// protection.
#[must_use]
pub fn is_trial(threshold: u8, held: &[(u8, &FailureDomain)]) -> bool {
    let here: BTreeSet<u8> = held
        .iter()
        .filter(|(_, d)| d.is_this_computer())
        .map(|(index, _)| *index)
        .collect();
    here.len() >= usize::from(threshold)
}

/// Copies of a manifest that must be durable before a put is acknowledged:
/// `max(floor(n/2) + 1, n - k + 1)`, so that any k backends, and any n - W + 1, hold one.
#[must_use]
pub fn write_quorum(threshold: u8, share_count: u8) -> usize {
    let (k, n) = (usize::from(threshold), usize::from(share_count));
    (n / 2 + 1).max((n + 1).saturating_sub(k))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(zone: &str) -> FailureDomain {
        FailureDomain {
            zone: Some(zone.into()),
            ..FailureDomain::default()
        }
    }

    #[test]
    fn one_zone_with_k_shares_is_found() {
        let (de, fr, us) = (zone("EEA"), zone("EEA"), zone("US"));
        let found = check(2, &[(0, &de), (1, &fr), (2, &us)]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].label, found[0].value.as_str(), found[0].holds),
            (DomainLabel::Zone, "EEA", 2)
        );
        assert!(check(3, &[(0, &de), (1, &fr), (2, &us)]).is_empty());
    }

    #[test]
    fn a_refusal_names_who_could_read() {
        let one = FailureDomain {
            zone: Some("EEA".into()),
            operator: Some("clinic".into()),
            credential: Some("backup".into()),
            host: Some("nas".into()),
        };
        let refusal = crate::Error::ZoneQuorum(check(2, &[(0, &one), (1, &one)]));
        assert_eq!(
            refusal.to_string(),
            "one party could read alone: zone EEA would hold 2 shares, operator clinic would hold 2 \
             shares, credential backup would hold 2 shares, host nas would hold 2 shares"
        );
    }

    #[test]
    fn the_same_index_twice_counts_once() {
        let (a, b) = (zone("US"), zone("US"));
        assert!(check(2, &[(0, &a), (0, &b)]).is_empty());
    }

    #[test]
    fn this_computer_is_a_trial_and_not_a_refusal() {
        let here = FailureDomain {
            host: Some(THIS_COMPUTER.into()),
            ..FailureDomain::default()
        };
        let held = [(0, &here), (1, &here), (2, &here)];
        assert!(check(2, &held).is_empty());
        assert!(is_trial(2, &held));
        assert!(!is_trial(2, &held[..1]));
        let (named, unnamed) = (zone("EEA"), FailureDomain::default());
        assert!(!is_trial(2, &[(0, &here), (1, &named), (2, &unnamed)]));
    }

    #[test]
    fn the_first_selection_that_holds_is_chosen() {
        let [eea, eea2, us, ca] = ["EEA", "EEA", "US", "CA"].map(zone);
        let all = [&eea, &eea2, &us, &ca];
        assert_eq!(choose(2, 3, &all), [0, 2, 3]);
        assert_eq!(choose(3, 3, &all), [0, 1, 2]);
        assert_eq!(choose(2, 2, &all), [0, 2]);
        assert_eq!(choose(2, 4, &all), [0, 2, 3], "no four of them hold");
        assert!(choose(2, 3, &[]).is_empty());
        // The first in order stands in the way of two others.
        let operated = |zone: &str, operator: &str| FailureDomain {
            zone: Some(zone.into()),
            operator: Some(operator.into()),
            ..FailureDomain::default()
        };
        let (a, b, c) = (
            operated("US", "x"),
            operated("US", "y"),
            operated("CA", "x"),
        );
        assert_eq!(choose(2, 2, &[&a, &b, &c]), [1, 2]);
    }

    #[test]
    fn a_hundred_backends_are_chosen_from_in_no_time() {
        let zones: Vec<FailureDomain> = (0..100).map(|i| zone(&format!("{}", i / 2))).collect();
        let all: Vec<&FailureDomain> = zones.iter().collect();
        assert_eq!(choose(2, 40, &all).len(), 40);
        assert_eq!(choose(2, 60, &all).len(), 50);
    }

    #[test]
    fn quorums_meet_in_at_least_one_backend() {
        // The table of docs/formats/manifest.md, and the property it exists for.
        let expected = [
            (2, 2, 2),
            (2, 3, 2),
            (3, 3, 2),
            (2, 4, 3),
            (3, 5, 3),
            (2, 5, 4),
            (4, 6, 4),
            (2, 6, 5),
        ];
        for (k, n, w) in expected {
            assert_eq!(write_quorum(k, n), w, "k={k} n={n}");
        }
        for n in 2..=251u8 {
            for k in 2..=n {
                let w = write_quorum(k, n);
                assert!(
                    w + usize::from(k) > usize::from(n),
                    "any k backends hold a copy"
                );
                assert!(2 * w > usize::from(n), "two writers meet");
            }
        }
    }
}
