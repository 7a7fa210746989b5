//! Every feature compiles without the others, so that a user may choose.

use anyhow::Result;
use cargo_metadata::Package;

use crate::process;
use crate::workspace::Workspace;

/// The crate whose features are checked in every combination: it is the one used without `std`.
const ALL_COMBINATIONS: &str = "xorida-core";

/// Features that are no choice of a user: the sum of others, and the deliberate defects of fuzzing.
const NOT_COMBINED: [&str; 2] = ["default", "planted"];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut count = 0;
    for package in workspace.crates() {
        for set in sets(package) {
            check(workspace, package.name.as_str(), &set)?;
            count += 1;
        }
    }
    println!("{count} sets of features");
    Ok(())
}

fn check(workspace: &Workspace, package: &str, features: &str) -> Result<()> {
    let args = [
        "check",
        "--quiet",
        "--package",
        package,
        "--no-default-features",
    ];
    let mut command = process::cargo(workspace, args);
    process::run(command.args(["--features", features]))
}

fn sets(package: &Package) -> Vec<String> {
    let names = package.features.keys().map(String::as_str);
    let chosen: Vec<&str> = names.filter(|name| !NOT_COMBINED.contains(name)).collect();
    if package.name.as_str() == ALL_COMBINATIONS {
        combinations(&chosen)
    } else {
        one_by_one(&chosen)
    }
}

/// All subsets, the empty one first, each as cargo takes it: joined by commas.
fn combinations(features: &[&str]) -> Vec<String> {
    let mut sets = vec![String::new()];
    for feature in features {
        let with: Vec<String> = sets.iter().map(|set| joined(set, feature)).collect();
        sets.extend(with);
    }
    sets
}

fn one_by_one(features: &[&str]) -> Vec<String> {
    let alone = features.iter().map(|feature| (*feature).to_owned());
    std::iter::once(String::new()).chain(alone).collect()
}

fn joined(set: &str, feature: &str) -> String {
    if set.is_empty() {
        feature.to_owned()
    } else {
        format!("{set},{feature}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_the_powerset() {
        let sets = combinations(&["alloc", "integrity", "std"]);
        assert_eq!(
            sets,
            [
                "",
                "alloc",
                "integrity",
                "alloc,integrity",
                "std",
                "alloc,std",
                "integrity,std",
                "alloc,integrity,std",
            ]
        );
    }

    #[test]
    fn one_by_one_begins_without_any() {
        assert_eq!(one_by_one(&["fs", "s3"]), ["", "fs", "s3"]);
    }
}
