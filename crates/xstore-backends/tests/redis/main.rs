//! The Redis backend against a real server, which each test starts for itself.

#[cfg(test)]
mod lines;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tls;

#[cfg(test)]
use self::server::{Server, body, key};
