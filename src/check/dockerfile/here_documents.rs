//! Here-documents: which words begin one, and what ends it.

use super::words::{self, Bad};

/// A here-document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// The line that ends it.
    pub(crate) end: String,
    /// Variables in it are replaced.
    pub(crate) expands: bool,
    /// Tabs at the beginning of its lines do not count.
    pub(crate) tabs: bool,
    /// Number of the file that it is, if one is given.
    pub(crate) number: u64,
    /// Its lines.
    pub(crate) text: String,
}

/// The here-documents that the words of a line begin. A line that is no line of a shell has none.
pub(super) fn begun(line: &str) -> Result<Vec<Document>, String> {
    let words = words::shell(line, true, true).unwrap_or_default();
    let mut documents = Vec::new();
    for word in &words {
        let found = of(word).map_err(|_| format!("the here-document {word:?} cannot be read"))?;
        documents.extend(found);
    }
    Ok(documents)
}

/// `<<EOF`, `<<-EOF`, `3<<"EOF"`.
pub(super) fn of(word: &str) -> Result<Option<Document>, Bad> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = word.get(..word.len() - rest.len()).unwrap_or_default();
    let Some(rest) = rest.strip_prefix("<<") else { return Ok(None) };
    let (tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let rest = rest.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']);
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let words = words::shell(rest, false, false)?;
    let [end] = words.as_slice() else { return Ok(None) };
    let raw = words::shell(rest, true, false)?;
    let [written] = raw.as_slice() else { return Err(Bad::Syntax) };
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let expands = quotes(end) == quotes(written);
    let number = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
    Ok(Some(Document { end: end.clone(), expands, tabs, number, text: String::new() }))
}
