//! The verbs, one file each.

use std::path::Path;

use crate::args::{Command, StoreVerb};
use crate::codes::OK;
use crate::failure::Failure;
use crate::session::Session;

pub(crate) mod check;
pub(crate) mod errors;
pub(crate) mod get;
pub(crate) mod inspect;
pub(crate) mod jurisdictions;
pub(crate) mod keys;
pub(crate) mod mend;
pub(crate) mod migrate;
pub(crate) mod modes;
pub(crate) mod plan;
pub(crate) mod refresh;
pub(crate) mod repair;
pub(crate) mod restored;
pub(crate) mod shell;
pub(crate) mod source;
pub(crate) mod split;
pub(crate) mod store;
pub(crate) mod stored;
pub(crate) mod targets;

/// Runs one verb; its exit code when it did its work.
pub(crate) async fn run(command: Command, session: &Session) -> Result<u8, Failure> {
    match command {
        Command::Split(args) => split::run(&args, session).await,
        Command::Get(args) => get::run(&args, session).await,
        Command::Check(args) => check::files(&args, session).await,
        Command::Repair(args) => repair::files(&args, session).await,
        Command::Refresh(args) => refresh::files(&args, session).await,
        Command::Inspect(args) => inspect::run(&args, session),
        Command::Plan(args) => plan::run(&args, session),
        Command::Keys(args) => keys::run(args, session),
        Command::Jurisdictions(args) => jurisdictions::run(&args, session),
        Command::Store(args) => store::run(args, session).await,
        Command::Demo(args) => crate::demo::run(&args, session).await,
        Command::Errors(args) => Ok(errors::run(&args, session)),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args).map(|()| OK),
    }
}

/// Whether the payload itself goes to standard output, so that nothing else may.
pub(crate) fn payload_on_stdout(command: &Command) -> bool {
    let dash = |path: &Option<std::path::PathBuf>| path.as_deref() == Some(Path::new("-"));
    match command {
        Command::Get(args) => dash(&args.output),
        Command::Store(StoreVerb::Get { output, .. }) => dash(output),
        Command::Store(StoreVerb::Cat { .. }) => true,
        _ => false,
    }
}

/// A number of bytes for people.
pub(crate) fn human_bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A table for people: no borders; on a terminal as wide as it, elsewhere one line a row.
pub(crate) fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(header.iter().copied());
    table
}
