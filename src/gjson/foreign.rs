//! Bytes that are not UTF-8, kept as characters: gjson works on bytes, this module on text.

use zeroize::Zeroizing;

use crate::secret_bytes::SecretBytes;

/// Noncharacters and private use at the very end of Unicode stand for the bytes from 0x80.
const FIRST: u32 = 0x10_ff80;

/// A text in which a character stands for each byte that is not UTF-8. None if it has such characters already.
pub(crate) fn encode(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 4));
    for chunk in bytes.utf8_chunks() {
        if chunk.valid().contains(is_foreign) {
            return None;
        }
        text.push_str(chunk.valid());
        let foreign = chunk.invalid().iter().map(|byte| FIRST - 0x80 + u32::from(*byte));
        text.extend(foreign.filter_map(char::from_u32));
    }
    Some(text)
}

/// The bytes again.
pub(crate) fn decode(text: &str) -> SecretBytes {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(u32::from(c).wrapping_sub(FIRST - 0x80)) {
            Ok(byte) if is_foreign(c) => bytes.push(byte),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    SecretBytes::new(bytes)
}

/// Whether a character stands for a byte.
pub(crate) fn is_foreign(c: char) -> bool {
    u32::from(c) >= FIRST
}
