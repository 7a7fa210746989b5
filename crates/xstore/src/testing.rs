//! Tools for the tests of those who write a backend or stand on one: feature `testing`.
//!
//! [`conformance`] runs the contract of [`crate::backend::StorageBackend`] against a backend;
//! [`FaultyBackend`] misbehaves by a script, so that whatever stands above can be shown to hold;
//! [`simulation`] lets many backends misbehave at random, the same way for the same seed.

pub mod conformance;
mod fault;
mod faulty;
pub mod faulty_dealer;
pub(crate) mod power;
pub mod simulation;

pub use fault::{Counts, Fault, Plan};
pub use faulty::FaultyBackend;
