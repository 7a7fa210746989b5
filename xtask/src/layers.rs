//! `cargo xtask layers`: crates depend downwards only.
//!
//! The rule is a pure function over the declared dependencies (normal and build). Dev-dependencies
//! are free, since they reach no user. `xtask` itself stands outside.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use cargo_metadata::{DependencyKind, Package};

use crate::args::Args;
use crate::process;
use crate::workspace::Workspace;

/// Layer of every crate that exists or is planned; a crate that is not named here is refused.
const LAYERS: [(&str, u8); 14] = [
    ("xorida-core", 1),
    ("genomic-formats", 1),
    ("xstore", 2),
    ("xproof", 2),
    ("securegenomics", 2),
    ("genomicshare", 3),
    ("xstore-backends", 3),
    ("xstore-testkit", 3), // reaches no user, see TESTS_ONLY
    ("securegenomics-study", 3),
    ("securegenomics-fhe", 3),
    ("securegenomics-prio", 3),
    ("xgene-client", 4),
    ("xgene-server", 4),
    ("xgene-cli", 5),
];

/// Arrows that point down and are refused all the same, each with its reason.
const REFUSED: [(&str, &str, &str); 4] = [
    ("xstore", "genomic-formats", "storage knows no genomics"),
    (
        "xproof",
        "genomic-formats",
        "proofs know bytes and roots only",
    ),
    (
        "xstore-backends",
        "genomic-formats",
        "a backend knows no genomics",
    ),
    (
        "xstore-backends",
        "xorida-core",
        "a backend sees no plaintext",
    ),
];

/// Providers are chosen by the apps; libraries below them take the backend trait.
const APPS_ONLY: &str = "xstore-backends";
const LOWEST_APP_LAYER: u8 = 4;

/// Servers and faults for tests: nothing that a user gets may link it.
const TESTS_ONLY: &str = "xstore-testkit";

/// `no_std` bytes and algebra: nothing here may reach `xorida-core`, at any depth.
const KEPT_OUT_OF_CORE: [&str; 3] = ["serde", "tokio", "getrandom"];

/// A crate and the names of what it links or builds with.
#[derive(Debug)]
struct Arrows<'a> {
    from: &'a str,
    to: Vec<&'a str>,
}

pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<()> {
    args.finish()?;
    let arrows: Vec<Arrows<'_>> = workspace.crates().map(arrows_of).collect();
    let mut found: Vec<String> = arrows.iter().flat_map(violations).collect();
    found.extend(kept_out(&core_tree(workspace)?));
    if !found.is_empty() {
        bail!("layers:\n  {}", found.join("\n  "));
    }
    let count: usize = arrows.iter().map(|arrows| arrows.to.len()).sum();
    println!(
        "{} crates, {count} declared dependencies, none of ours upwards",
        arrows.len()
    );
    Ok(())
}

fn arrows_of(package: &Package) -> Arrows<'_> {
    let linked = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str());
    Arrows {
        from: package.name.as_str(),
        to: linked.collect(),
    }
}

/// What `xorida-core` links with every feature on, one crate name per line.
fn core_tree(workspace: &Workspace) -> Result<String> {
    let args = [
        "tree",
        "--package=xorida-core",
        "--edges=normal,build",
        "--all-features",
        "--prefix=none",
        "--format={lib}",
    ];
    process::stdout(&mut process::cargo(workspace, args))
}

fn kept_out(tree: &str) -> Vec<String> {
    let linked: BTreeSet<&str> = tree.split_whitespace().collect();
    let refused = KEPT_OUT_OF_CORE
        .iter()
        .filter(|name| linked.contains(*name));
    refused
        .map(|name| format!("xorida-core links {name}"))
        .collect()
}

fn violations(arrows: &Arrows<'_>) -> Vec<String> {
    let from = arrows.from;
    let Some(layer) = layer_of(from) else {
        return vec![format!(
            "{from} has no layer: name it in xtask/src/layers.rs"
        )];
    };
    arrows
        .to
        .iter()
        .filter_map(|to| Some((*to, layer_of(to)?)))
        .filter_map(|(to, below)| {
            let reason = objection((from, layer), (to, below))?;
            Some(format!("{from} (L{layer}) -> {to} (L{below}): {reason}"))
        })
        .collect()
}

/// Why the arrow between two layered crates is refused, if it is.
fn objection((from, layer): (&str, u8), (to, below): (&str, u8)) -> Option<&'static str> {
    if below >= layer {
        return Some("arrows point strictly down");
    }
    if to == TESTS_ONLY {
        return Some("it is for tests: a dev-dependency only");
    }
    if to == APPS_ONLY && layer < LOWEST_APP_LAYER {
        return Some("only the apps choose providers");
    }
    REFUSED
        .iter()
        .find(|(source, target, _)| (*source, *target) == (from, to))
        .map(|(_, _, reason)| *reason)
}

fn layer_of(name: &str) -> Option<u8> {
    let row = LAYERS.iter().find(|(listed, _)| *listed == name)?;
    Some(row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &[&str]) -> Vec<String> {
        violations(&Arrows {
            from,
            to: to.to_vec(),
        })
    }

    #[test]
    fn downward_arrows_and_foreign_crates_pass() {
        let none: [String; 0] = [];
        assert_eq!(
            check("genomicshare", &["xstore", "genomic-formats", "serde"]),
            none
        );
        assert_eq!(
            check("xgene-cli", &["xstore-backends", "genomicshare", "clap"]),
            none
        );
        assert_eq!(check("xgene-server", &["xstore-backends"]), none);
    }

    #[test]
    fn upward_and_level_arrows_are_refused() {
        for (from, to) in [
            ("xorida-core", "xstore"),
            ("xstore", "genomicshare"),
            ("xorida-core", "genomic-formats"),
            ("xproof", "xstore"),
            ("genomicshare", "xstore-backends"),
            ("xgene-server", "xgene-cli"),
        ] {
            let found = check(from, &["serde", to]);
            assert_eq!(found.len(), 1, "{from} -> {to}");
            assert!(found[0].contains("strictly down"), "{}", found[0]);
        }
    }

    #[test]
    fn some_downward_arrows_are_refused_with_their_reason() {
        let found = check("xstore", &["genomic-formats", "xorida-core"]);
        assert_eq!(
            found,
            ["xstore (L2) -> genomic-formats (L1): storage knows no genomics"]
        );
    }

    #[test]
    fn providers_stay_with_the_apps_whatever_the_layers_say() {
        assert!(objection(("study", 3), (APPS_ONLY, 2)).is_some());
        assert!(objection(("study", LOWEST_APP_LAYER), (APPS_ONLY, 2)).is_none());
    }

    #[test]
    fn no_crate_links_what_is_for_tests() {
        let found = check("xgene-cli", &[TESTS_ONLY]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("dev-dependency"), "{}", found[0]);
    }

    #[test]
    fn a_crate_without_a_layer_is_refused() {
        assert_eq!(check("helpers", &[]).len(), 1);
    }

    #[test]
    fn the_core_is_checked_at_every_depth() {
        let tree = "xorida_core\nsha2\ndigest\n\nrand_core\n";
        assert!(kept_out(tree).is_empty());
        let tree = format!("{tree}getrandom\nserde_core\n");
        assert_eq!(kept_out(&tree), ["xorida-core links getrandom"]);
    }

    #[test]
    fn every_rule_names_crates_of_the_table() {
        for (from, to, _) in REFUSED {
            assert!(layer_of(from) > layer_of(to), "{from} -> {to}");
        }
    }
}
