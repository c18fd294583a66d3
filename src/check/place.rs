//! Lines and columns.

/// A place in a text, both numbers from 1; the column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Where the lines of a text start.
#[derive(Debug)]
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// The lines of a text.
    pub fn of(text: &'t str) -> Self {
        let after =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// The number of the line that holds a byte, from 0.
    pub fn index(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Where a line starts, counted from 0; the end of the text for lines past the last.
    pub fn start(&self, index: usize) -> usize {
        self.starts.get(index).copied().unwrap_or(self.text.len())
    }

    /// The end of the line that holds a byte, before what ends the line.
    pub fn end(&self, at: usize) -> usize {
        let next = self.start(self.index(at) + 1);
        let line = self.text.get(..next).unwrap_or(self.text);
        line.strip_suffix('\n').map_or(line.len(), |line| line.trim_end_matches('\r').len())
    }

    /// Line and column of a byte.
    pub fn place(&self, at: usize) -> Place {
        let index = self.index(at);
        let before = self.text.get(self.start(index)..at).unwrap_or_default();
        Place { line: index + 1, column: before.chars().count() + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_know_both_line_ends() {
        let text = "ab\r\nüc\n\nd";
        let lines = Lines::of(text);
        let of = |needle: &str| lines.place(text.find(needle).unwrap());
        assert_eq!(of("b"), Place { line: 1, column: 2 });
        assert_eq!(of("c"), Place { line: 2, column: 2 });
        assert_eq!(of("d"), Place { line: 4, column: 1 });
        assert_eq!(lines.place(text.len()), Place { line: 4, column: 2 });
        assert_eq!(&text[lines.start(0)..lines.end(0)], "ab");
        assert_eq!(&text[lines.start(1)..lines.end(5)], "üc");
        assert_eq!(&text[lines.start(3)..lines.end(text.len())], "d");
        assert_eq!(Lines::of("").place(0), Place { line: 1, column: 1 });
    }
}
