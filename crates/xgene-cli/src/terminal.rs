//! What goes to the terminal: sentences for people, or JSON lines for programs.
//!
//! Results go to standard output, everything else to standard error; when the payload itself goes
//! to standard output, so does nothing else.

use std::io::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// Where sentences or JSON lines go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    /// Standard output carries the payload.
    pub(crate) payload_on_stdout: bool,
}

impl Terminal {
    /// A sentence of the result, for people.
    pub(crate) fn say(self, text: &str) {
        if !self.json {
            self.line(text);
        }
    }

    /// A sentence about progress, for people who did not ask for quiet.
    pub(crate) fn note(self, text: &str) {
        if !self.json && !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Something to know that is not an error.
    pub(crate) fn warn(self, text: &str) {
        if self.json {
            self.message("warning", json!({ "message": text }));
        } else {
            eprintln!("warning: {text}");
        }
    }

    /// A JSON line; nothing for people.
    pub(crate) fn message(self, message_type: &str, fields: impl Serialize) {
        if !self.json {
            return;
        }
        let mut line = json!({ "message_type": message_type });
        let fields = serde_json::to_value(fields).unwrap_or(Value::Null);
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        self.line(&line.to_string());
    }

    /// The error that ends the program.
    pub(crate) fn fail(self, failure: &Failure, random_bytes: u64) {
        if self.json {
            self.message(
                "error",
                json!({
                    "code": failure.code,
                    "cause": failure.cause,
                    "message": failure.message,
                    "recovery": failure.recovery,
                    "exit": failure.exit_code(),
                    "random_bytes_drawn": random_bytes,
                }),
            );
        } else {
            eprintln!("error[{}]: {}", failure.code, failure.message);
            eprintln!("  next: {}", failure.recovery);
        }
    }

    /// Writes one line at once; a reader that went away is no error of ours.
    fn line(self, text: &str) {
        let written = if self.payload_on_stdout {
            writeln!(std::io::stderr(), "{text}")
        } else {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{text}").and_then(|()| out.flush())
        };
        let _ = written;
    }
}
