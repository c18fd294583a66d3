//! Digests of content.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{SHA256, digest};

use crate::text::hex;

/// A SHA-256 digest of content, `sha256:HEX` as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Another algorithm, or none.
    #[error(
        "only sha256 digests are supported: write sha256: and 64 lower-case hexadecimal digits"
    )]
    Algorithm,
    /// The digits.
    #[error("a sha256 digest has 64 lower-case hexadecimal digits")]
    Digits,
}

impl Digest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut own = [0; 32];
        own.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
        Self(own)
    }

    /// The raw bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digits alone.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The tag that is derived from this digest: `sha256-HEX`, and then `suffix`, such as `.sig`.
    pub fn tag(&self, suffix: &str) -> String {
        format!("sha256-{}{suffix}", self.hex())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("sha256:").ok_or(DigestError::Algorithm)?.as_bytes();
        if digits.len() != 64 {
            return Err(DigestError::Digits);
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(DigestError::Digits),
        };
        let mut own = [0; 32];
        for (to, pair) in own.iter_mut().zip(digits.chunks_exact(2)) {
            for byte in pair {
                *to = (*to << 4) | digit(*byte)?;
            }
        }
        Ok(Self(own))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_one_that_all_the_world_knows() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(Digest::of(b"").tag(".sig"), format!("{}.sig", empty.replace(':', "-")));
    }

    #[test]
    fn what_is_no_sha256_digest_is_refused() {
        let hex = "a".repeat(64);
        for (text, why) in [
            (String::new(), DigestError::Algorithm),
            (hex.clone(), DigestError::Algorithm),
            (format!("sha512:{hex}{hex}"), DigestError::Algorithm),
            (format!("SHA256:{hex}"), DigestError::Algorithm),
            (format!("sha256:{}", &hex[1..]), DigestError::Digits),
            (format!("sha256:{hex}a"), DigestError::Digits),
            (format!("sha256:{}A", &hex[1..]), DigestError::Digits),
            (format!("sha256:{}/", &hex[1..]), DigestError::Digits),
            (format!("sha256:{}é", &hex[2..]), DigestError::Digits),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_digest_is_read_as_it_is_written(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let digest = Digest::of(&bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        }

        #[test]
        fn no_text_but_its_own_is_read_as_a_digest(text in "(sha256:)?[0-9a-fA-F]{60,66}") {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
