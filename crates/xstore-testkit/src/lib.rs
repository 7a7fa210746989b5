//! Servers and faults for the tests of storage backends. A dev-dependency only: it reaches no user.
//!
//! Everything listens on the loopback, on a port that the system picks, and stops when dropped.
//! What a test asks for in vain ends in a panic that says so, since nobody could handle an error.
//!
//! - [`gcs`]: a strict stand-in for Google Cloud Storage, which cannot be run locally;
//! - [`proxy`]: a reverse proxy in front of any server that speaks HTTP/1.1, with faults;
//! - [`silent`]: a server that accepts and never answers;
//! - [`servers`]: finds the real servers that `cargo xtask servers up` started.

pub mod gcs;
mod listener;
pub mod proxy;
pub mod servers;
pub mod silent;
