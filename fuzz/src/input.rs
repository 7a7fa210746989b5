//! Outside bytes as they stand, or a plan for making valid ones.

use arbitrary::{Arbitrary, Unstructured};

/// First byte of an input whose rest goes to the parser as it stands; any even one does.
pub const RAW: u8 = 0;
/// First byte of an input whose rest is a plan; any odd one does.
pub const PLANNED: u8 = 1;

/// One input of a target.
#[derive(Debug)]
pub enum Input<'a, Plan> {
    /// Bytes for the parser.
    Raw(&'a [u8]),
    /// How to make a valid document, and what to change in it.
    Planned(Plan),
}

/// Reads an input; `None` when it is too short to be one.
pub fn read<'a, Plan: Arbitrary<'a>>(data: &'a [u8]) -> Option<Input<'a, Plan>> {
    let (choice, rest) = data.split_first()?;
    if choice % 2 == RAW {
        return Some(Input::Raw(rest));
    }
    Plan::arbitrary_take_rest(Unstructured::new(rest))
        .ok()
        .map(Input::Planned)
}
