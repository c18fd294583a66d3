//! Keys, certificates, containers and hashes: functions that the External Secrets Operator adds, and sprig's group of cryptography.
//!
//! Pure: bytes in, bytes out. Time, randomness and new keys come from the [`Environment`](crate::Environment); work that
//! takes milliseconds is accounted for before it is done. Secrets are wiped when they are dropped, and no error names one.

mod aes;
mod certificate;
mod chain;
mod der;
mod digests;
mod error;
mod issue;
mod jwk;
mod made;
mod names;
mod natural;
mod oid;
mod passwords;
mod pem;
mod pkcs12;
mod private_key;
mod rsa;
mod subject;
mod table;

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use zeroize::Zeroizing;

use error::Error;
pub(crate) use table::FUNCTIONS;

/// Bytes that are wiped when they are dropped.
type Bytes = Zeroizing<Vec<u8>>;

/// What it takes to check a private key, in steps.
const KEY_STEPS: usize = 4000;

// What slow operations count for, about 60 ms of one core each.

/// bcrypt at Go's default cost.
const SLOW_BCRYPT: u64 = 1;
/// scrypt as `derivePassword` uses it.
const SLOW_SCRYPT: u64 = 3;
/// An RSA key of 2048 bits; twice the bits take eight times as long.
const SLOW_RSA_2048: u64 = 2;

/// Go's decoder does not look at the unused bits of the last character.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

fn base64_text(bytes: &[u8]) -> Bytes {
    let mut text = Bytes::new(vec![0; bytes.len().div_ceil(3) * 4]);
    let _ = STANDARD.encode_slice(bytes, &mut text); // the length is exact
    text
}

/// Line ends do not count, as in Go.
fn from_base64(text: &[u8]) -> Result<Bytes, Error> {
    let mut dense = Bytes::new(Vec::with_capacity(text.len()));
    dense.extend(text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    let mut bytes = Bytes::new(Vec::with_capacity(dense.len() / 4 * 3 + 3));
    LENIENT.decode_vec(&dense[..], &mut bytes).map_err(|_| Error::Base64)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod fixture_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod function_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::unwrap_in_result, clippy::panic)]
mod testing;
