//! The command line of Xgene.

use std::process::ExitCode;

use clap::Parser as _;

mod args;
mod backends;
mod codes;
mod commands;
mod credentials;
mod demo;
mod failure;
mod meters;
mod progress;
mod session;
mod size;
mod terminal;
mod transfer;

use args::Cli;
use session::Session;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return usage(&error),
        // Help or version, which were asked for.
        Err(asked) => asked.exit(),
    };
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

/// A command line that cannot be read has the code, the sentence and the next step of any failure.
fn usage(error: &clap::Error) -> ExitCode {
    let rendered = error.render().to_string();
    let first = rendered.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let failure = failure::Failure::usage(first.split_whitespace().collect::<Vec<_>>().join(" "));
    let json = std::env::args_os().any(|argument| argument == "--json");
    let terminal = terminal::Terminal {
        json,
        quiet: false,
        payload_on_stdout: false,
    };
    terminal.fail(&failure, 0);
    failure.exit_code().into()
}
