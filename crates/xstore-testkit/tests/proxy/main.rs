//! The proxy: what passes, and what each fault makes of it.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod passing;
#[cfg(test)]
mod setup;
