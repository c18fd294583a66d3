//! What the functions of this folder refuse. The texts are fixed: no key, no password and no data gets into them.

use crate::Failure;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the data is not DER: it is cut short, or is something else")]
    Asn1,
    #[error("a PEM header must not contain a colon")]
    PemHeader,
    #[error("the text has no PEM block")]
    NoPem,
    #[error("error filtering pem: found junk: the text holds no block that is well formed")]
    PemJunk,
    #[error("a certificate cannot be parsed: it is not X.509, or is damaged")]
    Certificate,
    #[error("a certificate bag must hold exactly one certificate")]
    CertificateBag,
    #[error("found multiple leaf or disjunct certificates: give one chain")]
    DisjunctChain,
    #[error("no leaf certificate found: every certificate signs another, or there is none")]
    NoLeaf,
    #[error("constructing chain resulted in cycle: certificates sign one another")]
    ChainCycle,
    #[error("the private key cannot be parsed: it must be unencrypted PKCS#1, PKCS#8 or SEC 1")]
    PrivateKey,
    #[error("the key's curve is not supported: use P-256, P-384 or P-521")]
    Curve,
    #[error("an RSA key with more than two primes is not supported")]
    RsaPrimes,
    #[error("the RSA key is too large: 8192 bits at most")]
    RsaSize,
    #[error("the RSA key is too small to work with: 2048 bits at least")]
    RsaWeak,
    #[error("the private key is not an RSA key")]
    NotRsa,
    #[error("the data cannot be decrypted with this RSA key and hash")]
    RsaDecrypt,
    #[error("decryption scheme is not supported: use None or RSA-OAEP")]
    RsaScheme,
    #[error("the data is not a PKCS#12 file: it may still be base64 (b64dec) or be cut short")]
    Pkcs12,
    #[error("the PKCS#12 file is of a version, content or algorithm that is not supported")]
    Pkcs12Unsupported,
    #[error("the PKCS#12 file has no MAC, so it takes no password")]
    Pkcs12NoMac,
    #[error("the PKCS#12 file does not open: the password is wrong, or the file is damaged")]
    Pkcs12Password,
    #[error("the password has a character that PKCS#12 cannot hold")]
    PasswordCharacter,
    #[error("the PKCS#12 file has more than one private key")]
    Pkcs12Keys,
    #[error("the PKCS#12 file has no certificate")]
    NoCertificate,
    #[error("the PKCS#12 file has no private key")]
    NoKey,
    #[error("the JSON Web Key cannot be read: it must be one JSON object of type RSA, EC or OKP")]
    Jwk,
    #[error("the JSON Web Key is a private key: give a public one, or use jwkPrivateKeyPem")]
    JwkPrivate,
    #[error("the JSON Web Key is a public key: jwkPrivateKeyPem needs a private one")]
    JwkPublic,
    #[error("the text is not base64")]
    Base64,
    #[error("the text is not whole AES blocks behind an initialisation vector")]
    AesBlocks,
    #[error("the text cannot be decrypted with this password")]
    AesPassword,
    #[error("DSA keys are not supported: use rsa, ecdsa or ed25519")]
    Dsa,
    #[error("PEM data is not a private key")]
    NotPrivateKey,
    #[error("the key cannot sign: RSA of 2048 bits or more, ECDSA and Ed25519 keys can")]
    CannotSign,
    #[error("the CA's key does not belong to its certificate")]
    ForeignKey,
    #[error("an address or name in the list is not a string")]
    NotString,
    #[error("an address in the list is neither IPv4 nor IPv6")]
    Address,
    #[error("a name for the certificate has characters that it cannot hold")]
    Name,
    #[error("the certificate's time of validity is out of range")]
    Validity,
    #[error("the length must not be negative")]
    Length,
    #[error(
        "the value given as CA is not one that genCA, genSelfSignedCert or buildCustomCert returned"
    )]
    NotCertificateValue,
    #[error(transparent)]
    Rendering(#[from] Stop),
}

/// A bound that was reached, or a source that failed: passed on as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Stop(pub Failure);

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Rendering(Stop(failure))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Rendering(Stop(failure)) => failure,
            other => Self::function(other.to_string()),
        }
    }
}
