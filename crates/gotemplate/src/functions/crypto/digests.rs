//! Checksums in hexadecimal, and Adler-32 in decimal, as sprig prints them.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Algorithm, digest};

pub(super) fn hex(algorithm: &'static Algorithm, text: &[u8]) -> String {
    let sum = digest(algorithm, text);
    let mut shown = String::with_capacity(2 * sum.as_ref().len());
    for byte in sum.as_ref() {
        let _ = write!(shown, "{byte:02x}"); // into a String: cannot fail
    }
    shown
}

/// RFC 1950.
pub(super) fn adler32(text: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    // So many bytes do not overflow the sums.
    const RUN: usize = 5552;
    let (mut a, mut b) = (1, 0);
    for run in text.chunks(RUN) {
        for byte in run {
            a += u32::from(*byte);
            b += a;
        }
        (a, b) = (a % MODULUS, b % MODULUS);
    }
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};

    use super::*;

    #[test]
    fn sums_of_known_texts() {
        assert_eq!(
            hex(&SHA1_FOR_LEGACY_USE_ONLY, b"abc"),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert!(hex(&SHA256, b"").starts_with("e3b0c44298fc1c14"));
        assert_eq!(hex(&SHA512, b"abc").len(), 128);
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&vec![0xff; 100_000]), 0x149a_302c);
    }
}
