//! The command line of Xgene.

use std::process::ExitCode;

use clap::Parser as _;

mod args;
mod codes;
mod commands;
mod demo;
mod failure;
mod progress;
mod session;
mod terminal;

use args::Cli;
use session::Session;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let session = Session::new(&cli.global, commands::payload_on_stdout(&cli.command));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return codes::OTHER.into();
        }
    };
    let result = runtime.block_on(commands::run(cli.command, &session));
    // Input that never ends must not keep the program alive after its result is known.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            session
                .terminal
                .fail(&failure, session.entropy.drawn_bytes());
            failure.exit_code().into()
        }
    }
}
