//! Bytes that grow without leaving copies behind.

use zeroize::Zeroizing;

use super::{budget::Context, error::Failure, value::Text};

/// A growing text. When it moves to a larger place, the smaller one is wiped.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Zeroizing<Vec<u8>>,
    allocated: usize,
}

impl Buffer {
    /// An empty text with room for so many bytes. [`super::Context::buffer`] accounts for them.
    pub(super) fn with_room(room: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(room)), allocated: room }
    }

    /// Bytes that were allocated, in all, those of smaller places too.
    pub(crate) fn allocated(&self) -> usize {
        self.allocated
    }

    /// Bytes that [`Self::reserve`] would allocate.
    pub(crate) fn growth(&self, coming: usize) -> usize {
        let needed = self.bytes.len() + coming;
        if needed <= self.bytes.capacity() {
            0
        } else {
            needed.max(2 * self.bytes.len()).max(SMALLEST)
        }
    }

    /// Makes room.
    pub(crate) fn reserve(&mut self, coming: usize) {
        let growth = self.growth(coming);
        if growth > 0 {
            let mut larger = Zeroizing::new(Vec::with_capacity(growth));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
            self.allocated += growth;
        }
    }

    /// Makes room that the bounds of a rendering allow.
    pub(super) fn reserve_within(
        &mut self,
        cx: &mut Context<'_>,
        coming: usize,
    ) -> Result<(), Failure> {
        let growth = self.growth(coming);
        if growth > 0 {
            cx.allocate(growth)?;
            self.reserve(coming);
        }
        Ok(())
    }

    /// Appends bytes.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends one byte.
    pub(crate) fn push(&mut self, byte: u8) {
        self.reserve(1);
        self.bytes.push(byte);
    }

    /// Appends a byte so many times.
    pub(crate) fn fill(&mut self, byte: u8, count: usize) {
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
    pub(crate) fn rune(&mut self, rune: char) {
        self.extend(rune.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets what is behind this length.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// The bytes, not copied.
    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }

    /// A string of Go, not copied.
    pub(crate) fn into_text(mut self) -> Text {
        Text::new(std::mem::take(&mut *self.bytes))
    }
}

impl std::fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}

/// Smaller places are not worth an allocation.
const SMALLEST: usize = 32;
