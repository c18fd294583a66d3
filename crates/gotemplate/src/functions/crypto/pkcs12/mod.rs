//! PKCS#12 files: what `keytool`, OpenSSL, Windows and Go write is read; what is written is what ESO writes, byte for
//! byte when the random bytes are the same.

mod derive;
mod encryption;
mod mac;
mod read;
mod write;

pub(super) use read::{Contents, read};
pub(super) use write::{bundle, trust_store};

use zeroize::Zeroizing;

use super::{Bytes, Error};
use crate::Context;

/// A password in the two forms that the formats want.
pub(super) struct Password {
    /// UTF-16 in big endian, ended with a zero: the old key derivation. No byte at all for "no password".
    wide: Bytes,
    /// UTF-8, for PBKDF2.
    narrow: Bytes,
}

impl Password {
    /// Bytes that are not UTF-8 count as U+FFFD each, as in Go.
    pub(super) fn new(cx: &mut Context<'_>, bytes: &[u8]) -> Result<Self, Error> {
        cx.step(bytes.len() / 4)?;
        cx.allocate(bytes.len())?;
        let mut wide = Zeroizing::new(Vec::with_capacity(bytes.len() * 2 + 2));
        let mut narrow = Zeroizing::new(Vec::with_capacity(bytes.len() * 3));
        for character in characters(bytes) {
            wide.extend(wide_character(character)?);
            narrow.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        wide.extend([0, 0]);
        Ok(Self { wide, narrow })
    }

    fn is_empty(&self) -> bool {
        self.narrow.is_empty()
    }

    /// Some programs take the empty password for no byte at all.
    fn none() -> Self {
        Self { wide: Bytes::default(), narrow: Bytes::default() }
    }
}

/// What Go's `range` makes of bytes.
fn characters(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let broken = chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(broken)
    })
}

/// One character of a BMPString, which holds nothing beyond U+FFFF.
fn wide_character(character: char) -> Result<[u8; 2], Error> {
    let code = u16::try_from(u32::from(character)).map_err(|_| Error::PasswordCharacter)?;
    Ok(code.to_be_bytes())
}
