//! Searching and cutting byte strings: what package `strings` of Go has.

use std::collections::BTreeSet;

use memchr::memmem;

use super::unicode;
use crate::rune;

/// Where `needle` begins in `text`, every place that overlaps no earlier one.
pub(super) fn positions<'t>(text: &'t [u8], needle: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    memmem::find_iter(text, needle)
}

/// True when `needle` is in `text`.
pub(super) fn contains(text: &[u8], needle: &[u8]) -> bool {
    memmem::find(text, needle).is_some()
}

/// Go's `strings.SplitN`: at most `limit` pieces, all when it is negative, none when it is 0. An empty
/// separator splits between runes.
pub(super) fn split<'t>(
    text: &'t [u8],
    separator: &'t [u8],
    limit: i64,
) -> impl Iterator<Item = &'t [u8]> {
    let finder = memmem::Finder::new(separator);
    // Where the first piece ends, and where the next one starts.
    let cut = move |text: &[u8]| {
        if separator.is_empty() {
            let (_, width) = rune::first(text)?;
            return (width < text.len()).then_some((width, width));
        }
        finder.find(text).map(|at| (at, at + separator.len()))
    };
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let none = left == 0 || separator.is_empty() && text.is_empty();
    let mut rest = (!none).then_some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        left -= 1;
        let found = if left == 0 { None } else { cut(text) };
        rest = found.map(|(_, next)| &text[next..]);
        Some(found.map_or(text, |(end, _)| &text[..end]))
    })
}

/// How many pieces [`split`] makes when nothing limits it, or more.
pub(super) fn count(text: &[u8], separator: &[u8]) -> usize {
    if separator.is_empty() { text.len() } else { positions(text, separator).count() + 1 }
}

/// Without the white space at both ends, as `strings.TrimSpace`.
pub(super) fn trim_space(text: &[u8]) -> &[u8] {
    trim(text, |rune, width| !rune::is_invalid(rune, width) && unicode::is_space(rune))
}

/// Without the runes of `cutset` at both ends, as `strings.Trim`.
pub(super) fn trim_set<'t>(text: &'t [u8], cutset: &[u8]) -> &'t [u8] {
    let set: BTreeSet<char> = rune::runes(cutset).map(|(_, rune, _)| rune).collect();
    trim(text, |rune, _| set.contains(&rune))
}

fn trim(text: &[u8], cut: impl Fn(char, usize) -> bool) -> &[u8] {
    let mut text = text;
    while let Some((rune, width)) = rune::first(text)
        && cut(rune, width)
    {
        text = &text[width..];
    }
    while let Some((rune, width)) = last(text)
        && cut(rune, width)
    {
        text = &text[..text.len() - width];
    }
    text
}

/// The last rune and its width, as `utf8.DecodeLastRune`.
fn last(text: &[u8]) -> Option<(char, usize)> {
    let end = text.len();
    (1..=end.min(4))
        .filter_map(|width| rune::first(&text[end - width..]).filter(|(_, w)| *w == width))
        .find(|(rune, width)| !rune::is_invalid(*rune, *width))
        .or((end > 0).then_some((char::REPLACEMENT_CHARACTER, 1)))
}

/// Every rune through `map`. Bytes that are no UTF-8 become U+FFFD, as with `strings.Map`.
pub(super) fn mapped(text: &[u8], mut map: impl FnMut(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(mapped_size(text));
    for (_, rune, _) in rune::runes(text) {
        out.extend(map(rune).encode_utf8(&mut [0; 4]).as_bytes());
    }
    out
}

/// How long the result of [`mapped`] may get: no case mapping makes a rune of two bytes longer than three,
/// and a byte that is no UTF-8 becomes three.
pub(super) fn mapped_size(text: &[u8]) -> usize {
    if text.is_ascii() { text.len() } else { text.len() * 3 }
}
