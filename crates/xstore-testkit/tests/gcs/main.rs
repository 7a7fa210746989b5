//! The fake of Google Cloud Storage, driven by `object_store`, by JWTs made for the purpose and by
//! requests that no client would send.

#[cfg(test)]
mod client;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod setup;
