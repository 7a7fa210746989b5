//! `cargo xtask mutants MODULE`: how many small defects in one module the tests of its crate notice.
//!
//! Coverage says that a line ran; a caught mutant says that a test depends on it. One module at a time,
//! because each mutant costs a build and a run of the tests.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::process;
use crate::tools::CARGO_MUTANTS;
use crate::workspace::Workspace;

const DOCUMENT: &str = "docs/assurance.md";

/// The least part of the viable mutants that a test must notice.
const PERCENT_CAUGHT_MIN: usize = 90;

/// Time limit of a mutant's tests, in what they take without one: only what never ends runs into it.
const TIMEOUT_FACTOR: &str = "5";

/// A part of the system that others rely on.
#[derive(Debug)]
struct Module {
    name: &'static str,
    package: &'static str,
    /// From the root of the workspace; the folder of the same name belongs to it.
    file: &'static str,
    /// Which tests are asked, as the test programs take it; all of them where there is nothing.
    asked: &'static [&'static str],
}

const MODULES: [Module; 8] = [
    Module::of_xstore("manifest", "crates/xstore/src/manifest.rs", &[]),
    Module::of_xstore("segment", "crates/xstore/src/segment.rs", &[]),
    Module::of_xstore(
        "journal",
        "crates/xstore/src/journal.rs",
        &["journal", "crash", "resume", "stops::a_put", "races"],
    ),
    Module::of_xstore(
        "gc",
        "crates/xstore/src/store/gc.rs",
        &["gc::", "--skip", "model::"],
    ),
    Module::of_xstore("placement", "crates/xstore/src/placement.rs", &[]),
    Module::of_xstore("catalogue", "crates/xstore/src/catalogue.rs", &[]),
    Module::of_xstore("geometry", "crates/xstore/src/geometry.rs", &[]),
    Module::of_xstore("chunk", "crates/xstore/src/chunk.rs", &[]),
];

impl Module {
    const fn of_xstore(
        name: &'static str,
        file: &'static str,
        asked: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            package: "xstore",
            file,
            asked,
        }
    }

    fn named(name: &str) -> Result<&'static Self> {
        let names = MODULES.map(|module| module.name).join(", ");
        MODULES
            .iter()
            .find(|module| module.name == name)
            .with_context(|| format!("no module {name:?}; there are {names}"))
    }
}

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let module = Module::named(&args.positional().context("mutants of which MODULE?")?)?;
    args.finish()?;
    if !workspace.root().join(module.file).exists() {
        bail!("{}: {} does not exist", module.name, module.file);
    }
    let outcome = mutate(workspace, module)?;
    println!("{outcome}");
    for mutant in outcome.unnoticed() {
        println!("  {mutant}");
    }
    let row = outcome.row(module.name, &today());
    println!("{row}");
    record(workspace, module.name, &row)?;
    if outcome.percent() < PERCENT_CAUGHT_MIN {
        bail!("{}: less than {PERCENT_CAUGHT_MIN} % caught", module.name);
    }
    Ok(())
}

/// The unit tests first: they are one build of four and notice most. What they leave, the integration
/// tests are asked about. Neither needs optimisation as much as a quick build.
fn mutate(workspace: &Workspace, module: &Module) -> Result<Outcome> {
    println!("{}: unit tests", module.name);
    let unit = pass(workspace, module, "--lib", &[])?;
    println!("{}: integration tests, for what those missed", module.name);
    let all = pass(workspace, module, "--test=*", &["--iterate"])?;
    let outcome = Outcome {
        caught: [unit.caught, all.caught].concat(),
        unviable: [unit.unviable, all.unviable].concat(),
        missed: all.missed,
        timed_out: all.timed_out,
    };
    if outcome.viable() == 0 {
        bail!("{}: no mutant was tested", module.name);
    }
    Ok(outcome)
}

/// Works on copies in temporary folders, each with builds of its own, as many at a time as there are
/// cores: what a mutant costs is mostly one crate compiled on one core. The deliberate defects of
/// `planted` are not compiled in, so no test can notice what becomes of them.
fn pass(
    workspace: &Workspace,
    module: &Module,
    targets: &str,
    options: &[&str],
) -> Result<Outcome> {
    let folder = workspace.scratch("mutants").join(module.name);
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let jobs = available_parallelism().map_or(1, usize::from);
    let mut command = Command::new(CARGO_MUTANTS.ensure(workspace)?);
    command
        .arg(CARGO_MUTANTS.subcommand())
        .args(["--no-config", "--no-shuffle"])
        .args(["--jobs", &jobs.to_string()])
        .args(["--timeout-multiplier", TIMEOUT_FACTOR])
        .args(["--exclude-re", r"\bplanted\b"])
        .args(["--file", module.file])
        .args(["--file", &module.file.replace(".rs", "/**/*.rs")])
        .args(["--package", module.package])
        .args(["--test-package", module.package])
        .arg(format!("--cargo-arg={targets}"))
        .arg("--cargo-arg=--config")
        .arg(format!(
            "--cargo-arg=profile.dev.package.{}.opt-level=0",
            module.package
        ))
        .args(options)
        .arg("--output")
        .arg(&folder)
        // Through cargo to the test programs.
        .args(["--", "--"])
        .args(module.asked)
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(workspace.root())
        .stdin(Stdio::null());
    let status = command
        .status()
        .with_context(|| format!("cannot start: {}", process::line(&command)))?;
    // 2: some were missed, 3: some ran into the time limit. Both are judged by the caller.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        process::require_success(&command, status)?;
    }
    Outcome::read(&folder.join("mutants.out"))
}

/// The mutants of one run by what became of them.
#[derive(Debug)]
struct Outcome {
    caught: Vec<String>,
    missed: Vec<String>,
    /// Did not compile, and so says nothing about the tests.
    unviable: Vec<String>,
    timed_out: Vec<String>,
}

impl Outcome {
    fn read(folder: &Path) -> Result<Self> {
        let list = |name| lines(&folder.join(name));
        Ok(Self {
            caught: list("caught.txt")?,
            missed: list("missed.txt")?,
            unviable: list("unviable.txt")?,
            timed_out: list("timeout.txt")?,
        })
    }

    fn viable(&self) -> usize {
        self.caught.len() + self.missed.len() + self.timed_out.len()
    }

    /// Caught of the viable ones, rounded down. No assertion notices a mutant that never ends.
    fn percent(&self) -> usize {
        100 * self.caught.len() / self.viable()
    }

    fn unnoticed(&self) -> impl Iterator<Item = &String> {
        self.missed.iter().chain(&self.timed_out)
    }

    fn row(&self, module: &str, date: &str) -> String {
        let (viable, caught, percent) = (self.viable(), self.caught.len(), self.percent());
        format!("| {module} | {viable} | {caught} ({percent} %) | {date} |")
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} mutants, {} caught, {} missed, {} unviable, {} timed out: {} % caught",
            self.viable() + self.unviable.len(),
            self.caught.len(),
            self.missed.len(),
            self.unviable.len(),
            self.timed_out.len(),
            self.percent()
        )
    }
}

fn lines(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// Puts the row of a module into the document, in place of its last one.
fn record(workspace: &Workspace, module: &str, row: &str) -> Result<()> {
    let path = workspace.root().join(DOCUMENT);
    let name = || format!("{}", path.display());
    let document = fs::read_to_string(&path).with_context(name)?;
    fs::write(&path, with_row(&document, module, row)?).with_context(name)
}

/// `document` with `row` among the rows of its table, which are sorted.
fn with_row(document: &str, module: &str, row: &str) -> Result<String> {
    let rule = "|---|---|---|---|\n";
    let (head, rest) = document
        .split_once(rule)
        .with_context(|| format!("{DOCUMENT} has no table of four columns"))?;
    let (table, tail) = rest.split_at(rest.find("\n\n").map_or(rest.len(), |end| end + 1));
    let own = format!("| {module} |");
    let mut rows: Vec<&str> = table
        .lines()
        .filter(|line| !line.starts_with(&own))
        .collect();
    rows.push(row);
    rows.sort_unstable();
    Ok(format!("{head}{rule}{}\n{tail}", rows.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(caught: usize, missed: usize, timed_out: usize) -> Outcome {
        let mutants = |count| vec!["src/a.rs:1:1: replace + with -".to_owned(); count];
        Outcome {
            caught: mutants(caught),
            missed: mutants(missed),
            unviable: mutants(3),
            timed_out: mutants(timed_out),
        }
    }

    #[test]
    fn only_caught_mutants_count_and_unviable_ones_do_not() {
        let outcome = outcome(17, 2, 1);
        assert_eq!(
            outcome.to_string(),
            "23 mutants, 17 caught, 2 missed, 3 unviable, 1 timed out: 85 % caught"
        );
        assert_eq!(outcome.unnoticed().count(), 3);
        assert_eq!(
            outcome.row("chunk", "2026-01-02"),
            "| chunk | 20 | 17 (85 %) | 2026-01-02 |"
        );
    }

    #[test]
    fn a_share_below_the_floor_is_not_rounded_up_to_it() {
        assert_eq!(outcome(899, 101, 0).percent(), 89);
        assert_eq!(outcome(900, 100, 0).percent(), 90);
    }

    #[test]
    fn a_row_replaces_the_one_of_its_module_only() {
        let document = "text\n\n| a | b | c | d |\n|---|---|---|---|\n| chunk | 1 | 1 | x |\n| gc | 2 | 2 | x |\n\nmore\n";
        let replaced = with_row(document, "gc", "| gc | 3 | 3 | y |").unwrap();
        assert_eq!(
            replaced,
            document.replace("| gc | 2 | 2 | x |", "| gc | 3 | 3 | y |")
        );
        let added = with_row(document, "geometry", "| geometry | 4 | 4 | y |").unwrap();
        assert_eq!(
            added,
            document.replace("\n\nmore", "\n| geometry | 4 | 4 | y |\n\nmore")
        );
        assert!(with_row("no table", "gc", "").is_err());
    }

    #[test]
    fn the_first_row_of_a_table_at_the_end_is_taken() {
        let empty = "| a | b | c | d |\n|---|---|---|---|\n";
        assert_eq!(
            with_row(empty, "gc", "| gc |").unwrap(),
            format!("{empty}| gc |\n")
        );
    }

    #[test]
    fn a_run_that_left_nothing_is_an_error() {
        assert!(Outcome::read(Path::new("no such folder")).is_err());
    }

    #[test]
    fn modules_are_found_by_name() {
        assert_eq!(Module::named("journal").unwrap().package, "xstore");
        assert!(Module::named("jurnal").is_err());
    }
}
