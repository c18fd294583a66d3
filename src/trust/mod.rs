//! Whether an image is signed by whom a policy asks for.
//!
//! Pure: bytes, a policy and a time in, a judgement out. Nothing is read from here, neither from a registry nor from a
//! clock. Every byte of a signature counts as an attacker's until a key of the policy has shown otherwise; each step
//! that does not hold refuses with a reason of its own, and no step can be left out by a setting of what is verified.
//!
//! Two formats are known: the bundles of cosign 3 ([`bundle`], after the bundle format of Sigstore and DSSE) and the
//! simple signing of cosign 1 and 2 ([`legacy`], after the signature format of containers/image). Signatures are by
//! keys. What needs a transparency log or a certificate is refused when the policy is compiled: nothing is accepted that
//! was not checked.

pub mod bundle;
mod file;
#[cfg(test)]
mod hostile_tests;
mod json;
mod judge;
mod key;
pub mod legacy;
mod policy;
mod reason;
#[cfg(test)]
mod signer;

pub use judge::{Candidate, Judgement, Trial, judge};
pub use key::Key;
pub use policy::{Format, Policy, PolicyError};
pub use reason::{Reason, Refusal};
