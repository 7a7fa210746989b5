//! Consented sharing of genomic files, one share per legal jurisdiction.
//!
//! This crate joins storage, formats, consent and law. What it decides, it decides before any
//! random byte is drawn: a file is split only against an [`Authorization`], and an `Authorization`
//! is made only by [`authorize()`] from a consent record that covers every target.
//!
//! It is not legal advice and does not make anybody comply with anything. Consent records of five
//! or six fields carry no signature: that they are true is [asserted by the operator](Assurance).
//! Perfect secrecy against fewer than the threshold of sites is a property of the scheme below,
//! given uniform random bytes that are never reused; with the operating system's generator behind
//! it, it is 256-bit computational.
//!
//! | feature | default | meaning |
//! |---|---|---|
//! | `planted` | off | compiles one deliberate defect, so that `cargo xtask planted` can prove that the tests find it |

pub mod authorize;
mod config_problem;
pub mod consent;
pub mod deposit;
pub mod error;
pub mod jurisdiction;
pub mod plan;
pub mod refresh;
mod refusal;
pub mod repair;
pub mod retrieve;
pub mod shared;
pub mod sites;

pub use authorize::{Authorization, Request, Use, authorize};
pub use consent::{Assurance, ConsentFields, ConsentRecord};
pub use deposit::{Damaged, DepositOptions, Deposited, Destination, deposit};
pub use error::{ConfigProblem, ConfigReason, ConsentProblem, ConsentReason, Error, Refusal};
pub use jurisdiction::{JurisdictionCode, Law, LawTable, LawTableFiles, Zone, country_of_region};
pub use plan::{Plan, plan};
pub use refresh::refresh;
pub use repair::repair;
pub use retrieve::{Now, retrieve, salvage};
pub use shared::{Placed, SharedFile};
pub use sites::{Endpoint, Site, Sites};
