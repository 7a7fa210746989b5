//! One shape for every error that a person or a script gets to see.

use std::error::Error as StdError;
use std::path::Path;

use crate::codes::exit_code;

/// An error at the surface: its code, one sentence, what to do next.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    /// The code of the layer below, where it has another.
    pub(crate) cause: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) recovery: String,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: String, recovery: &str) -> Self {
        Self {
            code,
            cause: None,
            message,
            recovery: recovery.to_owned(),
        }
    }

    /// The command line or configuration cannot work.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(
            "INVALID_CONFIG",
            message.into(),
            "correct it; `xgene help` shows the options",
        )
    }

    /// A file of the command line cannot be read.
    pub(crate) fn input(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("cannot read {}: {error}", path.display());
        Self::new(
            "INPUT_UNREADABLE",
            message,
            "check that it exists and can be read",
        )
    }

    pub(crate) fn output(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("cannot write {}: {error}", path.display());
        Self::new(
            "OUTPUT_FAILED",
            message,
            "check free space and permissions where it goes",
        )
    }

    /// The same of one thing among several, which the message names.
    pub(crate) fn of(self, name: &str) -> Self {
        let message = format!("{name}: {}", self.message);
        Self { message, ..self }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        exit_code(self.code)
    }
}

/// The message with its causes: each says only its own part.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<xstore::Error> for Failure {
    fn from(error: xstore::Error) -> Self {
        Self::new(error.code(), chain(&error), error.recovery())
    }
}

impl From<genomicshare::Error> for Failure {
    fn from(error: genomicshare::Error) -> Self {
        let cause = error.cause();
        Self {
            cause,
            ..Self::new(error.code(), chain(&error), error.recovery())
        }
    }
}

impl From<&xstore_backends::ConnectError> for Failure {
    fn from(error: &xstore_backends::ConnectError) -> Self {
        Self::new(error.code(), chain(error), error.recovery())
    }
}

impl From<genomic_formats::Error> for Failure {
    fn from(error: genomic_formats::Error) -> Self {
        Self::new(error.code(), chain(&error), error.recovery())
    }
}
