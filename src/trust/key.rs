//! Public keys.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::PublicEncryptingKey,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::registry::Digest;

/// Keys in one PEM text: the present one and those of a rotation.
const KEYS: usize = 8;
/// Bytes of a PEM text.
const PEM: usize = 64 << 10;
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The one length that the key of a curve has: with its full point, and nothing else in it. So a key has one encoding.
static FIXED: &[(&str, usize, &[&dyn VerificationAlgorithm])] = &[
    ("ECDSA P-256", 91, &[&ECDSA_P256_SHA256_ASN1]),
    // cosign 2 hashes by SHA-256 for every curve.
    ("ECDSA P-384", 120, &[&ECDSA_P384_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1]),
    ("Ed25519", 44, &[&ED25519]),
];
static RSA: &[&dyn VerificationAlgorithm] = &[
    &RSA_PKCS1_2048_8192_SHA256,
    &RSA_PKCS1_2048_8192_SHA384,
    &RSA_PKCS1_2048_8192_SHA512,
    &RSA_PSS_2048_8192_SHA256,
    &RSA_PSS_2048_8192_SHA384,
    &RSA_PSS_2048_8192_SHA512,
];

/// A public key of which signatures may be.
#[derive(Clone)]
pub struct Key {
    /// One for each way in which this kind of key signs.
    ways: Vec<ParsedPublicKey>,
    /// Of its `SubjectPublicKeyInfo`.
    digest: Digest,
    algorithm: &'static str,
}

impl Key {
    /// Reads 1 to 8 keys, each a block `PUBLIC KEY` (`SubjectPublicKeyInfo`): ECDSA on P-256 or P-384, Ed25519, or RSA
    /// of 2048 to 8192 bits.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to do. The text repeats nothing of the input: it could be a private key.
    pub fn read_all(pem: &str) -> Result<Vec<Self>, String> {
        if pem.len() > PEM {
            return Err(format!("larger than {} KiB", PEM >> 10));
        }
        let mut keys = Vec::new();
        let mut rest = pem.trim();
        while !rest.is_empty() {
            let body = rest.strip_prefix(BEGIN).ok_or_else(|| wrong_block(rest))?;
            let (body, after) =
                body.split_once(END).ok_or("a block PUBLIC KEY does not end: copy all of it")?;
            if keys.len() == KEYS {
                return Err(format!("more than {KEYS} keys"));
            }
            let body: String = body.split_ascii_whitespace().collect();
            let der = STANDARD.decode(body).map_err(|_| "a block PUBLIC KEY is not base64")?;
            keys.push(Self::from_der(&der)?);
            rest = after.trim_start();
        }
        if keys.is_empty() { Err(wrong_block("")) } else { Ok(keys) }
    }

    fn from_der(der: &[u8]) -> Result<Self, String> {
        for &(algorithm, length, ways) in FIXED {
            // A point alone has other lengths; this begins a SEQUENCE.
            if der.len() == length
                && der.first() == Some(&0x30)
                && let Some(ways) = parsed(ways, der)
            {
                return Ok(Self { ways, digest: Digest::of(der), algorithm });
            }
        }
        let unknown = "it is no key of ECDSA P-256 or P-384 (uncompressed), Ed25519, or RSA of 2048 to 8192 bits";
        let rsa = PublicEncryptingKey::from_der(der).map_err(|_| unknown)?;
        let canonical: PublicKeyX509Der<'_> = rsa.as_der().map_err(|_| unknown)?;
        let ways = parsed(RSA, canonical.as_ref()).ok_or(unknown)?;
        Ok(Self { ways, digest: Digest::of(canonical.as_ref()), algorithm: "RSA" })
    }

    /// Whether a signature of exactly these bytes is this key's.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.ways.iter().any(|way| way.verify_sig(message, signature).is_ok())
    }

    /// The digest of its `SubjectPublicKeyInfo`: its name among keys.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its kind, in words.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// What cosign writes into a bundle to say which key it used. It proves nothing.
    pub(super) fn hint(&self) -> String {
        STANDARD.encode(self.digest.bytes())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.digest)
    }
}

fn parsed(ways: &[&'static dyn VerificationAlgorithm], der: &[u8]) -> Option<Vec<ParsedPublicKey>> {
    ways.iter().map(|way| ParsedPublicKey::new(*way, der).ok()).collect()
}

fn wrong_block(text: &str) -> String {
    let what = if text.contains("PRIVATE KEY") {
        "it is a private key: put the public one here, and take it that the private one is known to others now"
    } else if text.starts_with("-----BEGIN CERTIFICATE") {
        "it is a certificate: this authority needs the key alone (openssl x509 -pubkey -noout)"
    } else if text.starts_with("-----BEGIN RSA PUBLIC") {
        "it is a key in the form of PKCS#1: convert it (openssl rsa -RSAPublicKey_in -pubout)"
    } else {
        "it is no PEM block PUBLIC KEY, as cosign.pub and openssl -pubout have it"
    };
    what.to_owned()
}
