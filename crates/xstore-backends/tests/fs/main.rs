//! What `FsBackend` promises beyond the contract.

#[cfg(test)]
mod folder;
#[cfg(test)]
mod media;
#[cfg(test)]
mod medium;
