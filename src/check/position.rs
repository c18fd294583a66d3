//! Lines and columns.

/// A position in a text, both numbers from 1; the column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Bytes between two positions whose number of characters is kept.
const STRIDE: usize = 1024;

/// Where the lines of a text start.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// Characters before each multiple of [`STRIDE`], so that a place far along a long line is found at once.
    characters: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let after =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let chunks = text.as_bytes().chunks(STRIDE).scan(0, |before, chunk| {
            let here = *before;
            *before += begun(chunk);
            Some(here)
        });
        let starts = std::iter::once(0).chain(after).collect();
        Self { text, starts, characters: chunks.collect() }
    }

    /// Characters that begin before a byte.
    fn characters_before(&self, at: usize) -> usize {
        let Some(before) = self.characters.get(at / STRIDE) else {
            return begun(self.text.as_bytes());
        };
        let rest = self.text.as_bytes().get(at / STRIDE * STRIDE..at).unwrap_or_default();
        before + begun(rest)
    }

    /// The number of the line that holds a byte, from 0.
    pub(crate) fn index(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Where a line starts, counted from 0; the end of the text for lines past the last.
    pub(crate) fn start(&self, index: usize) -> usize {
        self.starts.get(index).copied().unwrap_or(self.text.len())
    }

    /// The end of the line that holds a byte, before what ends the line.
    pub(crate) fn end(&self, at: usize) -> usize {
        let next = self.start(self.index(at) + 1);
        let line = self.text.get(..next).unwrap_or(self.text);
        line.strip_suffix('\n').map_or(line.len(), |line| line.trim_end_matches('\r').len())
    }

    /// Line and column of a byte.
    pub(crate) fn position(&self, at: usize) -> Position {
        let index = self.index(at);
        let before =
            self.characters_before(at).saturating_sub(self.characters_before(self.start(index)));
        Position { line: index + 1, column: before + 1 }
    }
}

/// Characters that begin in some bytes: all bytes but those that continue one.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_know_both_line_ends() {
        let text = "ab\r\nüc\n\nd";
        let lines = Lines::of(text);
        let of = |needle: &str| lines.position(text.find(needle).unwrap());
        assert_eq!(of("b"), Position { line: 1, column: 2 });
        assert_eq!(of("c"), Position { line: 2, column: 2 });
        assert_eq!(of("d"), Position { line: 4, column: 1 });
        assert_eq!(lines.position(text.len()), Position { line: 4, column: 2 });
        assert_eq!(&text[lines.start(0)..lines.end(0)], "ab");
        assert_eq!(&text[lines.start(1)..lines.end(5)], "üc");
        assert_eq!(&text[lines.start(3)..lines.end(text.len())], "d");
        assert_eq!(Lines::of("").position(0), Position { line: 1, column: 1 });
    }

    #[test]
    fn places_in_a_long_line_count_characters_too() {
        let text = "é".repeat(5000) + "x\n" + &"ab".repeat(3000) + "ü";
        let lines = Lines::of(&text);
        for (at, line, column) in [
            (0, 1, 1),
            (2, 1, 2),
            (2046, 1, 1024),
            (10_000, 1, 5001),
            (10_002, 2, 1),
            (13_002, 2, 3001),
        ] {
            assert_eq!(lines.position(at), Position { line, column }, "{at}");
        }
        assert_eq!(lines.position(text.len()), Position { line: 2, column: 6002 });
    }
}
