//! Checks, benches and generated documents of this workspace, run as `cargo xtask`.
//!
//! What CI does is exactly `cargo xtask ci`, so that a developer can do the same at a desk. Tools that
//! a step needs are installed on demand below the target folder. Nothing global is changed, but that
//! `servers` installs packages of the distribution where it is root.

mod args;
mod bench;
mod ci;
mod codes;
mod document;
mod fuzz;
mod kill;
mod layers;
mod mutants;
mod pattern;
mod planted;
mod process;
mod random;
mod servers;
mod simulate;
mod size;
mod tools;
mod trial;
mod weight;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci [--full] [--without SERVER ...]    every check; --full adds all servers, planted, more kills and
                                        bench; tests of a server left out may skip themselves
  layers                                crates depend downwards only
  codes [--check]                       write docs/errors.md; --check only compares
  weight [--check]                      write docs/weight.md: crates that each backend brings along
  fuzz [--seconds N] [TARGET]           fuzz every target, 20 s each unless told
  simulate [--seeds N] [--from SEED]    the store against faults and crashes drawn from seeds: 100000
  simulate --seed SEED [--trace]        one seed; --trace shows all that happened
  planted [--seconds N]                 every fuzz target must find its planted bug, 120 s each, and
                                        the simulation every planted bug of the store
  mutants MODULE                        small defects in one module, of which tests must notice
                                        90 %; writes the row of docs/assurance.md
  kill [--count N] [--size BYTES] [--seed N] [--operation X]
                                        stop `xgene` at random moments: 200 times, 8MiB;
                                        X: split, get, put, delete, repair, gc or migrate
  servers up|down|status|install [NAME ...]
                                        real servers on free ports of loopback, all of them unless
                                        named: redis, moto, azurite, radosgw, webdav, sftp, s3s-fs;
                                        `up` takes down those of an earlier `up` first
  bench [floors|ours|peers]             the benches of benches/: floors and ours
  bench memory [--size BYTES]           peak memory of split and get of a stream: 10GB
  bench small [--count N]               cost of one object of 1 KiB in a store of many: 100000 in
                                        memory, 10000 on a disk

BYTES takes a unit: kB, MB, GB (powers of 1000) or KiB, MiB, GiB (powers of 1024).";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut args = Args::new(arguments);
    let Some(command) = args.positional() else {
        bail!("no command\n\n{USAGE}");
    };
    let workspace = Workspace::load()?;
    match command.as_str() {
        "ci" => ci::run(&workspace, args),
        "layers" => layers::run(&workspace, args),
        "codes" => codes::DOCUMENT.run(&workspace, args),
        "weight" => weight::DOCUMENT.run(&workspace, args),
        "fuzz" => fuzz::run(&workspace, args),
        "simulate" => simulate::run(&workspace, args),
        "planted" => planted::run(&workspace, args),
        "mutants" => mutants::run(&workspace, args),
        "kill" => kill::run(&workspace, args),
        "servers" => servers::run(&workspace, args),
        "bench" => bench::run(&workspace, args),
        other => bail!("no command {other:?}\n\n{USAGE}"),
    }
}
