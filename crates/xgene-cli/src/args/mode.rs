//! How a payload is protected.

use clap::ValueEnum;

/// Mode of an object, chosen when it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Fewer than k backends learn nothing, whatever they compute; stores n times the size
    Perfect,
    /// Computational: they learn nothing unless they break a cipher; stores n/k times the size
    Short,
}

impl From<Mode> for xstore::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Perfect => Self::Perfect,
            Mode::Short => Self::Short,
        }
    }
}
