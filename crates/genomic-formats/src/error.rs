//! The one error of this crate: a file that breaks the rules of its own format.

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The integrity report holds at least one finding of level error.
    #[error("integrity errors in the {format} file: {count}, the first is {first}")]
    Invalid {
        /// [`Format::name`](crate::Format::name) of the file.
        format: &'static str,
        /// How many findings of level error there are, 1 or more.
        count: usize,
        /// [`Finding::code`](crate::Finding::code) of the first of them.
        first: &'static str,
    },
}

impl Error {
    /// Stable machine-readable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "FORMAT_INVALID",
        }
    }

    /// What the caller can do now.
    #[must_use]
    pub fn recovery(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => {
                "fetch or write the file again, or accept it as it is, byte for byte"
            }
        }
    }
}
