//! Strings of Go: bytes, shared, and wiped when nobody holds them any more.

use std::{cmp::Ordering, sync::Arc};

use zeroize::Zeroizing;

/// A string, or a part of a longer one. Neither cloning nor cutting copies bytes: a part shares those of the whole,
/// which are wiped when the last part of them is dropped.
#[derive(Clone, Default)]
pub(crate) struct Text {
    /// None of the empty string.
    whole: Option<Arc<Zeroizing<Vec<u8>>>>,
    start: u32,
    end: u32,
}

impl Text {
    /// Takes the bytes over without copying them. Nothing here comes near the 4 GiB of which the rest is dropped.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let end = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let bytes = Zeroizing::new(bytes);
        Self { whole: (end > 0).then(|| Arc::new(bytes)), start: 0, end }
    }

    /// These bytes, which are shared where they lie within this text, as a slice of it does.
    #[must_use]
    pub(crate) fn part(&self, part: &[u8]) -> Self {
        if part.is_empty() {
            return Self::default();
        }
        let offset = part.as_ptr().addr().wrapping_sub(self.as_ptr().addr());
        let range = offset.checked_add(part.len()).filter(|end| *end <= self.len());
        match (range, u32::try_from(offset), u32::try_from(part.len())) {
            (Some(_), Ok(offset), Ok(length)) => {
                let start = self.start + offset;
                Self { whole: self.whole.clone(), start, end: start + length }
            }
            _ => Self::from(part),
        }
    }
}

impl std::ops::Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let range = self.start as usize..self.end as usize;
        self.whole.as_ref().and_then(|whole| whole.get(range)).unwrap_or_default()
    }
}

impl std::borrow::Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_shares_the_bytes_of_the_whole() {
        let whole = Text::from("one two three");
        let part = whole.part(&whole[4..]);
        let inner = part.part(&part[..3]);
        assert_eq!(&*inner, b"two");
        assert_eq!(inner.as_ptr(), whole[4..].as_ptr());
        assert!(inner == Text::from("two"));
    }

    #[test]
    fn bytes_from_elsewhere_are_copied() {
        let (whole, other) = (Text::from("one two"), Text::from("two"));
        let part = whole.part(&other);
        assert_eq!(&*part, b"two");
        assert_ne!(part.as_ptr(), whole[4..].as_ptr());
        // A part is no door to the rest of the whole.
        let one = whole.part(&whole[..3]);
        assert_ne!(one.part(&whole[..5]).as_ptr(), whole.as_ptr());
    }

    #[test]
    fn the_empty_text_holds_nothing() {
        let whole = Text::from("one");
        assert!(whole.part(&whole[3..]).is_empty());
        assert!(Text::new(Vec::new()) == Text::default());
        assert!(Text::default() < whole);
    }
}
