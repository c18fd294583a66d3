//! SSH keys as OpenSSH writes them: `PROTOCOL.key` of its sources, and RFC 4253, section 6.6, RFC 5656 and RFC 8709
//! for the public part.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// Characters of a line of the private key.
const LINE: usize = 64;
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// The private part is padded to a multiple of this.
const BLOCK: usize = 8;

/// The numbers of a key, as unsigned big-endian bytes.
pub(super) enum Key {
    /// RSA.
    Rsa {
        modulus: Vec<u8>,
        /// Public exponent.
        public: Vec<u8>,
        /// Private exponent.
        private: Zeroizing<Vec<u8>>,
        /// Inverse of the second prime modulo the first.
        inverse: Zeroizing<Vec<u8>>,
        primes: [Zeroizing<Vec<u8>>; 2],
    },
    /// A point of a curve, uncompressed.
    Ecdsa { curve: &'static str, point: Vec<u8>, scalar: Zeroizing<Vec<u8>> },
    /// Ed25519.
    Ed25519 { public: Vec<u8>, seed: Zeroizing<Vec<u8>> },
}

/// Bytes with lengths before them.
#[derive(Default)]
struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn string(&mut self, bytes: &[u8]) {
        self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(bytes);
    }

    /// A number without leading zeros, and with one where its first bit would mean that it is negative.
    fn integer(&mut self, bytes: &[u8]) {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let mut digits = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
        if bytes.get(start).is_some_and(|first| first & 0x80 != 0) {
            digits.push(0);
        }
        digits.extend_from_slice(&bytes[start..]);
        self.string(&digits);
    }
}

impl Key {
    /// Name of its algorithm.
    fn algorithm(&self) -> String {
        match self {
            Self::Rsa { .. } => "ssh-rsa".to_owned(),
            Self::Ecdsa { curve, .. } => format!("ecdsa-sha2-{curve}"),
            Self::Ed25519 { .. } => "ssh-ed25519".to_owned(),
        }
    }

    fn public_blob(&self) -> Buffer {
        let mut blob = Buffer::default();
        blob.string(self.algorithm().as_bytes());
        match self {
            Self::Rsa { modulus, public, .. } => {
                blob.integer(public);
                blob.integer(modulus);
            }
            Self::Ecdsa { curve, point, .. } => {
                blob.string(curve.as_bytes());
                blob.string(point);
            }
            Self::Ed25519 { public, .. } => blob.string(public),
        }
        blob
    }

    /// The line of `authorized_keys`.
    pub(super) fn public(&self, comment: &str) -> String {
        let blob = STANDARD.encode(&*self.public_blob().0);
        let space = if comment.is_empty() { "" } else { " " };
        format!("{} {blob}{space}{comment}\n", self.algorithm())
    }

    /// The private key, without a passphrase. `check` is any number; it shows a reader that nothing is encrypted.
    pub(super) fn private(&self, comment: &str, check: u32) -> Zeroizing<Vec<u8>> {
        let mut secret = Buffer::default();
        secret.number(check);
        secret.number(check);
        secret.string(self.algorithm().as_bytes());
        match self {
            Self::Rsa { modulus, public, private, inverse, primes: [first, second] } => {
                for number in [modulus.as_slice(), public, private, inverse, first, second] {
                    secret.integer(number);
                }
            }
            Self::Ecdsa { curve, point, scalar } => {
                secret.string(curve.as_bytes());
                secret.string(point);
                secret.integer(scalar);
            }
            Self::Ed25519 { public, seed } => {
                secret.string(public);
                secret.string(&Zeroizing::new([seed.as_slice(), public].concat()));
            }
        }
        secret.string(comment.as_bytes());
        let missing = (BLOCK - secret.0.len() % BLOCK) % BLOCK;
        secret.0.extend((1..).take(missing));
        let mut file = Buffer::default();
        file.0.extend_from_slice(MAGIC);
        for text in ["none", "none", ""] {
            file.string(text.as_bytes());
        }
        file.number(1);
        file.string(&self.public_blob().0);
        file.string(&secret.0);
        pem(&file.0)
    }
}

fn pem(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let body = Zeroizing::new(STANDARD.encode(bytes));
    let mut text = Zeroizing::new(Vec::with_capacity(body.len() + body.len() / LINE + 80));
    text.extend_from_slice(b"-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for line in body.as_bytes().chunks(LINE) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(b"-----END OPENSSH PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_as_rfc_4251_has_them() {
        // Section 5.
        for (bytes, expected) in [
            (&[][..], "00000000"),
            (&[0, 0][..], "00000000"),
            (&[0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7][..], "0000000809a378f9b2e332a7"),
            (&[0x80][..], "000000020080"),
        ] {
            let mut buffer = Buffer::default();
            buffer.integer(bytes);
            let hex = buffer.0.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            assert_eq!(hex, expected);
        }
    }
}
