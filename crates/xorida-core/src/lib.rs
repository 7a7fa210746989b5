//! Perfect k-of-n threshold secret sharing by XOR alone.
//!
//! A secret is dealt into n shares, each as long as the padded secret. Any k of them give it
//! back, and give back every other share bit for bit; k - 1 say nothing. There are no tables and
//! no multiplications, so it runs in constant time on any processor.
//!
//! This crate knows bytes and randomness. It does no I/O, has no clock and no random source of
//! its own, and by default allocates nothing: callers give buffers, `*_len` functions size them.
//!
//! # Example
//!
//! ```
//! use rand_chacha::ChaCha20Rng;
//! use rand_chacha::rand_core::SeedableRng;
//! use xorida_core::{
//!     AccessStructure, Error, Recovery, Target, VerifiedShare, deal, deal_scratch_len, pad, unpad,
//! };
//!
//! let access = AccessStructure::try_new(2, 3)?;
//! let secret = b"GATTACA";
//! let mut padded = vec![0; access.padded_len(secret.len())];
//! padded[..secret.len()].copy_from_slice(secret);
//! pad(access, &mut padded, secret.len())?;
//!
//! // Seed it from the operating system, not like this.
//! let mut rng = ChaCha20Rng::from_seed([7; 32]);
//! let mut scratch = vec![0; deal_scratch_len(access)];
//! let mut shares = vec![vec![0; padded.len()]; 3];
//! let mut slices: Vec<&mut [u8]> = shares.iter_mut().map(Vec::as_mut_slice).collect();
//! deal(access, &padded, &mut rng, &mut scratch, &mut slices)?;
//!
//! // Shares 0 and 2 are enough. Authenticate shares that come from elsewhere: see `integrity`.
//! let [first, _, third] = [0, 1, 2].map(|at| access.indices().nth(at).unwrap());
//! let recovery = Recovery::try_new(access, &[first, third], Target::Secret)?;
//! let held = [
//!     VerifiedShare::assume_authentic(first, &shares[0]),
//!     VerifiedShare::assume_authentic(third, &shares[2]),
//! ];
//! let mut restored = vec![0; padded.len()];
//! recovery.run(&held, &mut vec![0; recovery.scratch_len()], &mut restored)?;
//! assert_eq!(unpad(access, &restored)?, secret);
//! # Ok::<(), Error>(())
//! ```
//!
//! # Security
//! Secrecy is perfect if the random bytes are uniform and never used twice; with a generator
//! expanded from a 256-bit seed it is that of the generator. Sharing alone authenticates
//! nothing: whoever changes a share changes the secret. Module `integrity` has tags for that,
//! whose hiding rests on HMAC-SHA256.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `integrity` | yes | salted tags, Merkle roots, share files |
//! | `alloc` | no | owned shares, dealing and combining of share files |
//! | `std` | no | `alloc`, and `std::error::Error` chains |
//! | `planted` | no | one deliberate defect, for `cargo xtask planted` only |
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod access;
pub mod dealer;
pub mod error;
#[cfg(feature = "integrity")]
pub mod integrity;
mod kernel;
#[cfg(feature = "integrity")]
pub mod merkle;
pub mod padding;
pub mod reconstruct;
pub mod scheme;
pub mod share;
#[cfg(feature = "integrity")]
pub mod wire;

pub use access::{AccessStructure, Scheme};
pub use dealer::{deal, deal_scratch_len};
pub use error::Error;
#[cfg(feature = "integrity")]
pub use integrity::{
    CONTEXT_LEN, Kind, Mode, Padding, SALT_LEN, SEED_LEN, Salt, Seed, ShareContext, Suffix,
    TAG_LEN, Tag, verify,
};
#[cfg(feature = "integrity")]
pub use merkle::{MerkleTree, Root, root_from_path, root_of_segments};
pub use padding::{pad, unpad};
pub use reconstruct::{Decoder, Recovery, Target, VerifiedShare};
#[cfg(feature = "alloc")]
pub use share::Share;
pub use share::ShareIndex;
#[cfg(feature = "integrity")]
pub use wire::ShareFile;
#[cfg(all(feature = "integrity", feature = "alloc"))]
pub use wire::{combine_files, deal_files};
