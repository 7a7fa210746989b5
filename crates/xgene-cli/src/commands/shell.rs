//! `xgene completions` and `xgene man`.

use std::io::Write as _;
use std::path::Path;

use clap::CommandFactory as _;

use crate::args::{Cli, Completions, Man};
use crate::codes::OK;
use crate::failure::Failure;

pub(crate) fn completions(args: &Completions) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "xgene", &mut script);
    let written = std::io::stdout().write_all(&script);
    written.map_err(|error| Failure::output(Path::new("-"), &error))?;
    Ok(OK)
}

pub(crate) fn man(args: &Man) -> Result<(), Failure> {
    let command = Cli::command().disable_help_subcommand(true);
    match &args.output {
        Some(folder) => std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command, folder))
            .map_err(|error| Failure::output(folder, &error)),
        None => {
            let written = clap_mangen::Man::new(command).render(&mut std::io::stdout());
            written.map_err(|error| Failure::output(Path::new("-"), &error))
        }
    }
}
