//! What the fuzz targets share: how an input is read, and how a valid document is damaged.
//!
//! A target that only throws bytes at a parser seldom gets past a magic, a length or a signature. So
//! the first byte of every input chooses: even, and the rest goes to the parser as it stands; odd,
//! and the rest is a plan from which the target builds a valid document and then changes one thing.

mod damage;
mod input;

pub use damage::Damage;
pub use input::{Input, PLANNED, RAW, read};
