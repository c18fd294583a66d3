//! Bytes that grow without leaving copies behind.

use zeroize::Zeroizing;

use super::value::Text;

/// A growing text. When it moves to a larger place, the smaller one is wiped.
#[derive(Default)]
pub struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    /// Appends bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.0.len())));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Appends one byte.
    pub fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    /// Appends a byte so many times.
    pub fn fill(&mut self, byte: u8, count: usize) {
        const RUN: usize = 64;
        let run = [byte; RUN];
        let mut left = count;
        while left > 0 {
            let now = left.min(RUN);
            self.extend(&run[..now]);
            left -= now;
        }
    }

    /// Appends a rune as UTF-8.
    pub fn rune(&mut self, rune: char) {
        self.extend(rune.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without any byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Mutable view of the bytes so far.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Forgets what is behind this length.
    pub fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// The bytes, not copied.
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// A string of Go, not copied.
    pub fn into_text(mut self) -> Text {
        Text::new(std::mem::take(&mut *self.0))
    }
}

impl std::fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}
