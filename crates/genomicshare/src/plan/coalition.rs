//! The fewest holders whose shares together reach the threshold.
//!
//! Each value of a label (one zone, one operator, one credential, one host) reaches some of the
//! shares; sought are the fewest values that reach k together. That is the partial set cover
//! problem, so the search is bounded: it answers exactly for the sizes people use and says so when
//! it had to stop.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use xstore::placement::{DomainLabel, FailureDomain};

/// Steps of the search after which the best answer so far is given.
const STEPS_MAX: u32 = 200_000;

/// The fewest holders found who reach the threshold together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Coalition {
    /// Who must work together. One member means that this one can read alone.
    pub holders: Vec<Holder>,
    /// Whether no smaller coalition exists; `false` when the search was cut short.
    pub proven_smallest: bool,
}

/// One label value and what it reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Holder {
    /// Which label.
    #[serde(serialize_with = "label_word")]
    pub label: DomainLabel,
    /// Its value.
    pub value: String,
    /// Indices of the shares it reaches, ascending.
    pub shares: Vec<u8>,
}

fn label_word<S: Serializer>(label: &DomainLabel, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(label)
}

/// One bit for each share index.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct ShareSet([u128; 2]);

impl ShareSet {
    fn insert(&mut self, index: u8) {
        self.0[usize::from(index / 128)] |= 1 << (index % 128);
    }

    fn contains(self, index: u8) -> bool {
        self.0[usize::from(index / 128)] >> (index % 128) & 1 == 1
    }

    fn union(self, other: Self) -> Self {
        Self([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    fn count(self) -> u32 {
        self.0[0].count_ones() + self.0[1].count_ones()
    }
}

/// One label value among the candidates of the search.
struct Candidate<'a> {
    label: DomainLabel,
    value: &'a str,
    reach: ShareSet,
}

/// The smallest coalition over the labels that `held` states. Values that reach the same shares are
/// one candidate: the first label in the order zone, operator, credential, host.
pub(super) fn smallest(threshold: u8, held: &[(u8, &FailureDomain)]) -> Coalition {
    let candidates = candidates(held);
    let mut search = Search {
        candidates: &candidates,
        needed: u32::from(threshold),
        best: greedy(&candidates, u32::from(threshold)),
        steps_left: STEPS_MAX,
    };
    search.extend(0, ShareSet::default(), &mut Vec::new());
    Coalition {
        proven_smallest: search.steps_left > 0,
        holders: search
            .best
            .iter()
            .map(|at| holder(&candidates[*at]))
            .collect(),
    }
}

/// Widest reach first, then by label and value, so that the answer is always the same.
fn candidates<'a>(held: &[(u8, &'a FailureDomain)]) -> Vec<Candidate<'a>> {
    let mut reach: BTreeMap<(DomainLabel, &str), ShareSet> = BTreeMap::new();
    for (index, domain) in held {
        for label in domain.labels() {
            reach.entry(label).or_default().insert(*index);
        }
    }
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for ((label, value), reach) in reach {
        if candidates.iter().all(|known| known.reach != reach) {
            candidates.push(Candidate {
                label,
                value,
                reach,
            });
        }
    }
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.reach.count()));
    candidates
}

/// Always the candidate that adds most: a coalition, though not always a smallest one.
fn greedy(candidates: &[Candidate<'_>], needed: u32) -> Vec<usize> {
    let (mut chosen, mut covered) = (Vec::new(), ShareSet::default());
    while covered.count() < needed {
        let gain = |at: &usize| covered.union(candidates[*at].reach).count();
        // The first of equals, as in the search.
        let Some(best) = (0..candidates.len()).rev().max_by_key(gain) else {
            break;
        };
        if gain(&best) == covered.count() {
            break;
        }
        covered = covered.union(candidates[best].reach);
        chosen.push(best);
    }
    chosen
}

/// Depth-first branch and bound over the candidates in their order.
struct Search<'a> {
    candidates: &'a [Candidate<'a>],
    needed: u32,
    best: Vec<usize>,
    steps_left: u32,
}

impl Search<'_> {
    fn extend(&mut self, from: usize, covered: ShareSet, chosen: &mut Vec<usize>) {
        if covered.count() >= self.needed {
            if chosen.len() < self.best.len() {
                self.best.clone_from(chosen);
            }
            return;
        }
        for at in from..self.candidates.len() {
            // No later candidate reaches more than this one does.
            let widest = self.candidates[at].reach.count();
            let missing = (self.needed - covered.count()).div_ceil(widest) as usize;
            if chosen.len() + missing >= self.best.len() || self.steps_left == 0 {
                return;
            }
            self.steps_left -= 1;
            chosen.push(at);
            self.extend(at + 1, covered.union(self.candidates[at].reach), chosen);
            chosen.pop();
        }
    }
}

fn holder(candidate: &Candidate<'_>) -> Holder {
    Holder {
        label: candidate.label,
        value: candidate.value.to_owned(),
        shares: (0..=u8::MAX)
            .filter(|index| candidate.reach.contains(*index))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(zone: &str, operator: &str) -> FailureDomain {
        FailureDomain {
            zone: Some(zone.to_owned()),
            operator: Some(operator.to_owned()),
            ..FailureDomain::default()
        }
    }

    fn of(threshold: u8, domains: &[FailureDomain]) -> Coalition {
        let held: Vec<(u8, &FailureDomain)> = (0..).zip(domains).collect();
        smallest(threshold, &held)
    }

    #[test]
    fn distinct_sites_need_k_holders() {
        let sites = [domain("EEA", "a"), domain("CA", "b"), domain("JP", "c")];
        let found = of(2, &sites);
        assert_eq!((found.holders.len(), found.proven_smallest), (2, true));
    }

    #[test]
    fn one_operator_over_two_zones_reads_alone() {
        let sites = [domain("EEA", "a"), domain("CA", "a"), domain("JP", "c")];
        let found = of(2, &sites);
        assert_eq!(found.holders.len(), 1);
        assert_eq!(found.holders[0].value, "a");
        assert_eq!(found.holders[0].shares, [0, 1]);
    }

    #[test]
    fn the_search_beats_the_greedy_choice() {
        // Greedy takes zone W (4 shares) and then needs both operators; the operators alone do.
        let sites = [
            domain("W", "x"),
            domain("W", "x"),
            domain("W", "y"),
            domain("W", "y"),
            domain("P", "x"),
            domain("Q", "y"),
        ];
        let held: Vec<(u8, &FailureDomain)> = (0..).zip(&sites).collect();
        assert_eq!(greedy(&candidates(&held), 6).len(), 3);
        let found = of(6, &sites);
        assert_eq!((found.holders.len(), found.proven_smallest), (2, true));
    }

    #[test]
    fn the_answer_is_the_smallest_of_all_subsets() {
        // Every assignment of 5 shares to 2 operators, under 3 zones, against plain enumeration.
        for bits in 0..32_u32 {
            let sites: Vec<FailureDomain> = (0..5)
                .map(|i| {
                    domain(
                        ["A", "B", "C"][i % 3],
                        if bits >> i & 1 == 0 { "x" } else { "y" },
                    )
                })
                .collect();
            let held: Vec<(u8, &FailureDomain)> = (0..).zip(&sites).collect();
            let all = candidates(&held);
            for threshold in 2..=5 {
                let least = (0..1_u32 << all.len())
                    .filter(|set| {
                        let union = (0..all.len())
                            .filter(|at| set >> at & 1 == 1)
                            .fold(ShareSet::default(), |sum, at| sum.union(all[at].reach));
                        union.count() >= u32::from(threshold)
                    })
                    .map(u32::count_ones)
                    .min();
                let found = of(threshold, &sites);
                assert_eq!(
                    u32::try_from(found.holders.len()).ok(),
                    least,
                    "{bits} {threshold}"
                );
            }
        }
    }

    #[test]
    fn the_largest_structure_is_answered_at_once() {
        let sites: Vec<FailureDomain> = (0..251)
            .map(|i| domain(&format!("Z{i}"), &format!("O{}", i / 2)))
            .collect();
        let found = of(126, &sites);
        assert_eq!((found.holders.len(), found.proven_smallest), (63, true));
    }
}
