//! Here-documents behind other words, as in `RUN tee FILE <<EOF`, which the parser does not know.
//!
//! Their text is data of a command and no instruction. It is blanked out, byte for byte, so that everything else
//! keeps its position. A here-document that is a whole RUN is a script, and is left to the parser, as are the sources
//! of COPY and ADD.

use std::ops::Range;

/// What a word that begins a here-document says.
struct Begin {
    /// Bytes of the word.
    word: Range<usize>,
    /// The line that ends it.
    end: String,
    /// Leading tabs do not count.
    tabs: bool,
}

/// The text without those here-documents.
pub(crate) fn blanked(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let escape = escape(text);
    let mut at = 0;
    while at < text.len() {
        let line = logical(text, at, escape);
        at = line.end;
        let Some((name, begins, alone)) = read(text, &line, escape) else { continue };
        let Some(end) = body(text, line.end, &begins) else { continue };
        if name == "run" && !alone {
            for begin in &begins {
                bytes[begin.word.clone()].fill(b' ');
            }
            blank(&mut bytes[line.end..end]);
        }
        at = end;
    }
    // The parser takes the reset of an entrypoint for one without an argument.
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words: String = line.split_whitespace().collect();
        if words.eq_ignore_ascii_case("ENTRYPOINT[]") {
            blank(&mut bytes[at..at + line.len()]);
        }
        at += line.len();
    }
    // Bytes were only replaced by ASCII, and whole lines or words at a time.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// The character that continues a line.
fn escape(text: &str) -> char {
    let directives = text.lines().take_while(|line| line.trim_start().starts_with('#'));
    let backtick = directives
        .map(|line| line.trim_start().trim_start_matches('#').replace(' ', "").to_lowercase())
        .any(|line| line == "escape=`");
    if backtick { '`' } else { '\\' }
}

/// A line with those that continue it; comments between them do not end it.
fn logical(text: &str, start: usize, escape: char) -> Range<usize> {
    let mut end = start;
    for line in text.get(start..).unwrap_or_default().split_inclusive('\n') {
        let first = end == start;
        let comment = line.trim_start().starts_with('#');
        let continues = line.trim_end().ends_with(escape);
        end += line.len();
        // A comment is a line of its own, but in the middle of another one it is nothing.
        if first && comment || !comment && !continues {
            break;
        }
    }
    start..end
}

/// The instruction of a line if it has here-documents: its name, where they begin, and whether it is nothing else.
fn read(text: &str, line: &Range<usize>, escape: char) -> Option<(String, Vec<Begin>, bool)> {
    let mut words = words(text, line, escape).into_iter();
    let name = text.get(words.next()?)?.to_ascii_lowercase();
    if !matches!(name.as_str(), "run" | "copy" | "add") {
        return None;
    }
    let rest: Vec<_> = words
        .skip_while(|word| text.get(word.clone()).is_some_and(|w| w.starts_with("--")))
        .collect();
    let begins: Vec<_> = rest.iter().filter_map(|word| begin(text, word)).collect();
    let alone = begins.len() == rest.len();
    (!begins.is_empty()).then_some((name, begins, alone))
}

/// The words of a line, quotes kept; what continues it, and comments in it, are none.
fn words(text: &str, line: &Range<usize>, escape: char) -> Vec<Range<usize>> {
    let (mut words, mut start, mut quote) = (Vec::new(), None, None);
    let mut at = line.start;
    for part in text.get(line.clone()).unwrap_or_default().split_inclusive('\n') {
        let own = part.trim_end();
        let own = own.strip_suffix(escape).unwrap_or(own);
        if !(part.trim_start().starts_with('#') && at > line.start) {
            for (offset, c) in own.char_indices() {
                match (c, quote) {
                    (c, Some(open)) if c == open => quote = None,
                    ('\'' | '"', None) => quote = Some(c),
                    _ => {}
                }
                if c.is_whitespace() && quote.is_none() {
                    words.extend(start.take().map(|start| start..at + offset));
                } else if start.is_none() {
                    start = Some(at + offset);
                }
            }
            words.extend(start.take().map(|start| start..at + own.len()));
        }
        at += part.len();
    }
    words
}

/// `<<EOF`, `<<-EOF`, `<<"EOF"`, with the number of a file before it.
fn begin(text: &str, word: &Range<usize>) -> Option<Begin> {
    let written = text.get(word.clone())?;
    let rest = written.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let end: String = rest.chars().filter(|c| !matches!(c, '\'' | '"')).collect();
    (!end.is_empty() && !end.contains('<')).then(|| Begin { word: word.clone(), end, tabs })
}

/// Where the last of these here-documents ends; `None` if one does not.
fn body(text: &str, start: usize, begins: &[Begin]) -> Option<usize> {
    let mut at = start;
    let mut lines = text.get(start..)?.split_inclusive('\n');
    for begin in begins {
        loop {
            let line = lines.next()?;
            at += line.len();
            let line = line.trim_end_matches(['\r', '\n']);
            let line = if begin.tabs { line.trim_start_matches('\t') } else { line };
            if line == begin.end {
                break;
            }
        }
    }
    Some(at)
}

/// Turns lines into comments of the same length.
fn blank(bytes: &mut [u8]) {
    let mut first = true;
    for byte in bytes {
        match byte {
            b'\n' => first = true,
            b'\r' => {}
            _ => {
                *byte = if first { b'#' } else { b' ' };
                first = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_here_documents_behind_a_word_are_blanked_and_nothing_moves() {
        for (text, wanted) in [
            (
                "RUN tee x <<EOF >/dev/null\nEXPOSE 22\nEOF\nUSER 1\n",
                "RUN tee x       >/dev/null\n#        \n#  \nUSER 1\n",
            ),
            (
                "RUN cat > x <<-\"EOF\"\n\tUSER root\n\tEOF\n",
                "RUN cat > x         \n#         \n#   \n",
            ),
            ("RUN a <<A b <<B\n1\nA\n2\nB\nUSER 1\n", "RUN a     b    \n#\n#\n#\n#\nUSER 1\n"),
            ("RUN a \\\n # why\n <<E\nx\nE\n", "RUN a \\\n # why\n    \n#\n#\n"),
        ] {
            assert_eq!(blanked(text), wanted);
            assert_eq!(blanked(text).len(), text.len());
        }
        for kept in [
            "RUN <<EOF\nEXPOSE 22\nRUN a <<B\nEOF\n",
            "COPY <<EOF /x\nRUN a <<B\nEOF\n",
            "RUN echo '<<EOF'\nUSER 1\n",
            "RUN cat <<< x\nUSER 1\n",
            "RUN a <<EOF\nUSER 1\n",
            "ENV A <<EOF\nUSER 1\nEOF\n",
            "# RUN a <<EOF\nUSER 1\nEOF\n",
        ] {
            assert_eq!(blanked(kept), kept);
        }
    }
}
