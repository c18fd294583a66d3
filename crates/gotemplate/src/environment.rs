//! What a template may not make by itself: time and randomness.

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::error::Failure;

/// Handed in by the caller of a rendering.
///
/// Tests hand in a fixed clock and a counter, so that what they render can be compared.
pub trait Environment {
    /// The current time.
    fn now(&mut self) -> Timestamp;

    /// Fills the buffer with random bytes fit for keys and passwords.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure>;

    /// Makes a private key, as PKCS#8 in DER.
    fn private_key(&mut self, kind: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure>;
}

/// Kinds of private keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of so many bits.
    Rsa(u32),
    /// ECDSA on the curve P-256.
    EcdsaP256,
    /// Ed25519.
    Ed25519,
}
