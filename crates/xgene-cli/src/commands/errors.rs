//! `xgene errors`: every error code, what it means and what to do.

use serde_json::json;

use crate::args::Errors;
use crate::codes::{CODES, EXITS, OK};
use crate::commands::table;
use crate::session::Session;

pub(crate) fn run(args: &Errors, session: &Session) -> u8 {
    session
        .terminal
        .message("summary", json!({ "errors": CODES }));
    if args.markdown {
        session.terminal.say(markdown().trim_end());
        return OK;
    }
    let mut rows = table(&["code", "exit", "http", "meaning", "what to do"]);
    for row in CODES {
        let (exit, http) = (row.exit.to_string(), row.http.to_string());
        rows.add_row([row.code, &exit, &http, row.message, row.recovery]);
    }
    session.terminal.say(&rows.to_string());
    let mut exits = table(&["exit", "meaning"]);
    for (exit, meaning) in EXITS {
        exits.add_row([exit.to_string(), meaning.to_owned()]);
    }
    session.terminal.say(&exits.to_string());
    OK
}

fn markdown() -> String {
    let mut text = String::from(
        "# Error codes\n\n\
         Written by `cargo xtask codes`, which prints `xgene errors --markdown`. Codes are never renamed or used again.\n\n\
         | code | category | crate | meaning | what to do | exit | HTTP |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in CODES {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |\n",
            row.code, row.category, row.krate, row.message, row.recovery, row.exit, row.http
        ));
    }
    text.push_str("\n## Exit codes\n\n| exit | meaning |\n|---|---|\n");
    for (exit, meaning) in EXITS {
        text.push_str(&format!("| {exit} | {meaning} |\n"));
    }
    text
}
