//! `xgene demo`: the main job on made-up data, each claim asserted.
//!
//! It calls the same functions as the verbs. A claim that does not hold ends it with `DEMO_FAILED`,
//! so a demo that passes has shown what it says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use xstore::Home;

use crate::args::{Demo, Get, Mode, Pad, Plan, Repair, Repairing, Resume, SharedFiles, Split};
use crate::codes::OK;
use crate::commands::{get, plan, repair, split};
use crate::failure::Failure;
use crate::meters::Meters;
use crate::session::Session;

const CODES: [&str; 3] = ["DE", "CA", "JP"];

/// Runs all steps in a folder of its own.
pub(crate) async fn run(args: &Demo, session: &Session) -> Result<u8, Failure> {
    let folder = match &args.keep {
        Some(folder) => Folder::kept(folder)?,
        None => Folder::temporary(session)?,
    };
    let stage = Stage::prepare(folder.path(), session)?;
    for step in STEPS {
        session.terminal.say(&format!("\n== {}", step.claim));
        step.play(&stage).await?;
        session
            .terminal
            .message("claim", json!({ "claim": step.claim, "holds": true }));
    }
    session.terminal.say(
        "\nAll claims hold. On your own file:\n  \
         1. write a sites.toml and a consent.json like those in examples/trial\n  \
         2. xgene plan --sites sites.toml --consent consent.json FILE\n  \
         3. xgene split FILE --sites sites.toml --consent consent.json\n  \
         4. xgene get FILE.xgm",
    );
    if args.keep.is_some() {
        session.terminal.say(&format!(
            "everything is kept in {}",
            folder.path().display()
        ));
    }
    Ok(OK)
}

/// One thing that the demo shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    claim: &'static str,
    act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Plan,
    Refuse,
    Split,
    Restore,
    Lose,
    Tamper,
    Alone,
}

const STEPS: [Step; 7] = [
    Step {
        claim: "A plan says who would hold what, before anything is written",
        act: Act::Plan,
    },
    Step {
        claim: "Without consent for every jurisdiction nothing is drawn or written",
        act: Act::Refuse,
    },
    Step {
        claim: "With consent a cohort is split over Germany, Canada and Japan",
        act: Act::Split,
    },
    Step {
        claim: "Any two restore it, byte for byte",
        act: Act::Restore,
    },
    Step {
        claim: "Losing one jurisdiction loses nothing, and its share is made again, bit for bit",
        act: Act::Lose,
    },
    Step {
        claim: "A tampered share is named and replaced",
        act: Act::Tamper,
    },
    Step {
        claim: "One jurisdiction alone can read nothing",
        act: Act::Alone,
    },
];

impl Step {
    async fn play(self, stage: &Stage) -> Result<(), Failure> {
        match self.act {
            Act::Plan => stage.plan(),
            Act::Refuse => stage.refuse().await,
            Act::Split => stage.split().await,
            Act::Restore => stage.restore().await,
            Act::Lose => stage.lose().await,
            Act::Tamper => stage.tamper().await,
            Act::Alone => stage.alone().await,
        }
    }
}

/// Where the demo plays: a cohort, three jurisdictions, a consent, and a home of its own.
struct Stage {
    folder: PathBuf,
    session: Session,
}

impl Stage {
    fn prepare(folder: &Path, session: &Session) -> Result<Self, Failure> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| Failure::output(&path, &error))
        };
        for code in CODES {
            let path = folder.join("shares").join(code);
            std::fs::create_dir_all(&path).map_err(|error| Failure::output(&path, &error))?;
        }
        let jurisdictions: String = CODES
            .iter()
            .map(|code| {
                format!("[[jurisdiction]]\ncode = \"{code}\"\nendpoint = \"./shares/{code}\"\n")
            })
            .collect();
        write("sites.toml", &format!("threshold = 2\n{jurisdictions}"))?;
        write("consent.json", &consent(&CODES))?;
        write("consent-without-japan.json", &consent(&CODES[..2]))?;
        write("cohort.vcf", &cohort(100, 2000))?;
        // A home and a counter of its own: the demo leaves the user's keys alone.
        let session = Session {
            terminal: session.terminal,
            home: Home::new(&folder.join("home")),
            entropy: std::sync::Arc::default(),
            transfer: session.transfer.clone(),
            meters: Meters::default(),
        };
        Ok(Self {
            folder: folder.to_owned(),
            session,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn split_args(&self, consent: &str) -> Split {
        Split {
            file: self.path("cohort.vcf"),
            sites: self.path("sites.toml"),
            consent: self.path(consent),
            threshold: None,
            output: None,
            pad: Pad::Padme,
            mode: Mode::Perfect,
            allow_invalid: false,
            allow_degraded: false,
            resume: Resume::default(),
            dry_run: false,
        }
    }

    fn repair_args(&self) -> Repair {
        Repair {
            files: SharedFiles {
                manifests: vec![self.path("cohort.vcf.xgm")],
                sites: None,
            },
            repairing: Repairing::default(),
        }
    }

    async fn get(&self, from: &[&str]) -> Result<u8, Failure> {
        let args = Get {
            manifest: self.path("cohort.vcf.xgm"),
            sites: None,
            from: from.iter().map(ToString::to_string).collect(),
            purpose: None,
            output: Some(self.path("restored.vcf")),
            force: true,
            accept_unsigned: false,
            partial: false,
        };
        get::run(&args, &self.session).await
    }

    fn plan(&self) -> Result<(), Failure> {
        let args = Plan {
            sites: self.path("sites.toml"),
            consent: Some(self.path("consent.json")),
            threshold: None,
            file: Some(self.path("cohort.vcf")),
        };
        plan::run(&args, &self.session).map(|_| ())
    }

    async fn refuse(&self) -> Result<(), Failure> {
        let result = split::run(
            &self.split_args("consent-without-japan.json"),
            &self.session,
        )
        .await;
        let Err(refusal) = result else {
            return claim(false, "the split was not refused");
        };
        self.session
            .terminal
            .say(&format!("refused: {} [{}]", refusal.message, refusal.code));
        claim(
            refusal.code == "JURISDICTION_MISMATCH",
            "it was refused for another reason",
        )?;
        claim(
            refusal.message.contains("JP"),
            "the missing jurisdiction was not named",
        )?;
        claim(
            self.session.entropy.drawn_bytes() == 0,
            "random bytes were drawn",
        )?;
        claim(self.share_files().is_empty(), "something was written")?;
        claim(!self.path("home").exists(), "a key was made")
    }

    async fn split(&self) -> Result<(), Failure> {
        split::run(&self.split_args("consent.json"), &self.session).await?;
        claim(
            self.share_files().len() == CODES.len(),
            "not every jurisdiction has one share",
        )
    }

    async fn restore(&self) -> Result<(), Failure> {
        for pair in [["DE", "CA"], ["DE", "JP"], ["CA", "JP"]] {
            self.get(&pair).await?;
            self.expect_restored()?;
        }
        Ok(())
    }

    async fn lose(&self) -> Result<(), Failure> {
        let (here, away) = (self.path("shares/CA"), self.path("shares-of-CA"));
        rename(&here, &away)?;
        self.get(&[]).await?;
        self.expect_restored()?;
        std::fs::create_dir(&here).map_err(|error| Failure::output(&here, &error))?;
        let exit = repair::files(&self.repair_args(), &self.session).await?;
        claim(exit == OK, "something was not repaired")?;
        let (lost, repaired) = (files(&away), files(&here));
        claim(
            !lost.is_empty() && lost == repaired,
            "the repaired site is not the lost one",
        )
    }

    /// Flips one bit in the German share; the read names Germany and is right all the same.
    async fn tamper(&self) -> Result<(), Failure> {
        let files = self.share_files();
        let german = files
            .iter()
            .find(|path| path.starts_with(self.path("shares/DE")));
        let Some(path) = german else {
            return claim(false, "there is no German share");
        };
        let failed = |error: std::io::Error| Failure::output(path, &error);
        let mut bytes = std::fs::read(path).map_err(failed)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, &bytes).map_err(failed)?;
        self.get(&[]).await?;
        self.expect_restored()?;
        // With one other share too few are good: now the error must name the tampered one.
        let alone = self.get(&["DE", "CA"]).await;
        bytes[middle] ^= 1;
        std::fs::write(path, &bytes).map_err(failed)?;
        let Err(failure) = alone else {
            return claim(false, "the tampered share was not noticed");
        };
        self.session
            .terminal
            .say(&format!("named: {} [{}]", failure.message, failure.code));
        claim(
            failure.code == "INSUFFICIENT_SHARES",
            "it was noticed for another reason",
        )?;
        claim(
            failure.message.contains("DE, segment 0"),
            "the tampered share was not named",
        )
    }

    async fn alone(&self) -> Result<(), Failure> {
        for code in CODES {
            let _ = std::fs::remove_file(self.path("restored.vcf"));
            let Err(failure) = self.get(&[code]).await else {
                return claim(false, "one jurisdiction read the file");
            };
            claim(
                failure.code == "INSUFFICIENT_SHARES",
                "it failed for another reason",
            )?;
            claim(!self.path("restored.vcf").exists(), "something was written")?;
        }
        Ok(())
    }

    fn expect_restored(&self) -> Result<(), Failure> {
        let read = |name: &str| std::fs::read(self.path(name)).unwrap_or_default();
        let (before, after) = (read("cohort.vcf"), read("restored.vcf"));
        claim(
            !before.is_empty() && before == after,
            "the restored file is not the one split",
        )
    }

    /// Segment files of all jurisdictions.
    fn share_files(&self) -> Vec<PathBuf> {
        let stored = files(&self.path("shares")).into_keys();
        let paths = stored.map(|path| self.path("shares").join(path));
        paths
            .filter(|path| path.to_string_lossy().contains("/s/"))
            .collect()
    }
}

/// Every file below `root`, by its path from there.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut folders, mut files) = (vec![root.to_owned()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(below) = path.strip_prefix(root) {
                files.insert(below.to_owned(), std::fs::read(&path).unwrap_or_default());
            }
        }
    }
    files
}

fn claim(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    let message = format!("a claim of the demo does not hold: {otherwise}");
    Err(Failure::new(
        "DEMO_FAILED",
        message,
        "report this to the maintainers",
    ))
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::rename(from, to).map_err(|error| Failure::output(to, &error))
}

fn consent(codes: &[&str]) -> String {
    format!(
        "{{\"subjectId\": \"COHORT-1\", \"purpose\": \"rare-disease-research\", \
         \"grantedBy\": \"institution\", \"grantedAt\": \"2026-04-10T00:00:00Z\", \
         \"authorizedJurisdictions\": [\"{}\"]}}\n",
        codes.join("\", \"")
    )
}

/// A made-up cohort: the same text at every run.
fn cohort(samples: usize, variants: usize) -> String {
    let mut text = String::from(
        "##fileformat=VCFv4.3\n##contig=<ID=chr22,length=50818468>\n\
         ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n\
         #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT",
    );
    for sample in 0..samples {
        let _ = write!(text, "\tDEMO{sample:04}");
    }
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: u64| {
        // xorshift64: made-up genotypes need no more.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for variant in 0..variants {
        let position = 16_000_000 + variant * 731;
        let _ = write!(text, "\nchr22\t{position}\t.\tA\tG\t.\tPASS\t.\tGT");
        let frequency = 1 + next(50);
        for _ in 0..samples {
            let mut allele = || u8::from(next(100) < frequency);
            let _ = write!(text, "\t{}/{}", allele(), allele());
        }
    }
    text.push('\n');
    text
}

/// A folder that goes with the demo, or one that the user keeps.
enum Folder {
    Temporary(PathBuf),
    Kept(PathBuf),
}

impl Folder {
    /// A new folder with an unpredictable name; the demo's own counter starts only after it.
    fn temporary(session: &Session) -> Result<Self, Failure> {
        let name: [u8; 8] =
            xstore::entropy::draw(&*session.entropy).map_err(xstore::Error::from)?;
        let path = std::env::temp_dir().join(format!("xgene-demo-{}", xstore::ids::hex(&name)));
        std::fs::create_dir(&path).map_err(|error| Failure::output(&path, &error))?;
        Ok(Self::Temporary(path))
    }

    /// A folder of the user's, which must have nothing in it that could be written over.
    fn kept(folder: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::output(folder, &error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        if std::fs::read_dir(folder).map_err(failed)?.next().is_some() {
            let message = format!("{} is not empty", folder.display());
            return Err(Failure::new("CONFLICT", message, "choose an empty folder"));
        }
        Ok(Self::Kept(folder.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(path) | Self::Kept(path) => path,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Self::Temporary(path) = self {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    /// Plays all steps, with somebody at work between them.
    async fn play(behind_its_back: impl Fn(&Stage, Act)) -> Result<(), Failure> {
        let folder = tempfile::tempdir().unwrap();
        let args = Cli::try_parse_from(["xgene", "demo", "--quiet"]).unwrap();
        let session = Session::new(&args.global, false);
        let stage = Stage::prepare(folder.path(), &session).unwrap();
        for step in STEPS {
            behind_its_back(&stage, step.act);
            step.play(&stage).await?;
        }
        Ok(())
    }

    fn damage(path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_claim_holds() {
        play(|_, _| ()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_share_damaged_behind_its_back_makes_it_fail() {
        let failure = play(|stage, act| {
            if act == Act::Restore {
                damage(&stage.share_files()[0]);
            }
        });
        assert_eq!(failure.await.unwrap_err().code, "INSUFFICIENT_SHARES");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_changed_behind_its_back_makes_it_fail() {
        let failure = play(|stage, act| {
            if act == Act::Restore {
                std::fs::write(stage.path("cohort.vcf"), "another file").unwrap();
            }
        });
        assert_eq!(failure.await.unwrap_err().code, "DEMO_FAILED");
    }
}
