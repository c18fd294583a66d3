//! Searching and cutting byte strings: what package `strings` of Go has.

use std::collections::BTreeSet;

use memchr::memmem;

use super::unicode;
use crate::template::rune;

/// Where `needle` begins in `text`, every place that overlaps no earlier one.
pub fn positions<'t>(text: &'t [u8], needle: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    memmem::find_iter(text, needle)
}

/// True when `needle` is in `text`.
pub fn contains(text: &[u8], needle: &[u8]) -> bool {
    memmem::find(text, needle).is_some()
}

/// Go's `strings.SplitN`: at most `limit` pieces, all when it is negative, none when it is 0. An empty
/// separator splits between runes.
pub fn split<'t>(text: &'t [u8], separator: &'t [u8], limit: i64) -> Vec<&'t [u8]> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return Vec::new();
    }
    if separator.is_empty() {
        return runes(text, limit);
    }
    let (mut pieces, mut start) = (Vec::new(), 0);
    for at in positions(text, separator).take(limit - 1) {
        pieces.push(&text[start..at]);
        start = at + separator.len();
    }
    pieces.push(&text[start..]);
    pieces
}

/// How many pieces [`split`] makes when nothing limits it, or more.
pub fn count(text: &[u8], separator: &[u8]) -> usize {
    if separator.is_empty() { text.len() } else { positions(text, separator).count() + 1 }
}

/// One piece per rune; the last of `limit` pieces holds the rest.
fn runes(text: &[u8], limit: usize) -> Vec<&[u8]> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((_, width)) = rune::first(rest) {
        if pieces.len() + 1 == limit {
            pieces.push(rest);
            return pieces;
        }
        pieces.push(&rest[..width]);
        rest = &rest[width..];
    }
    pieces
}

/// Without the white space at both ends, as `strings.TrimSpace`.
pub fn trim_space(text: &[u8]) -> &[u8] {
    trim(text, |rune, width| !rune::is_invalid(rune, width) && unicode::is_space(rune))
}

/// Without the runes of `cutset` at both ends, as `strings.Trim`.
pub fn trim_set<'t>(text: &'t [u8], cutset: &[u8]) -> &'t [u8] {
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
pub fn mapped(text: &[u8], mut map: impl FnMut(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(mapped_size(text));
    for (_, rune, _) in rune::runes(text) {
        out.extend(map(rune).encode_utf8(&mut [0; 4]).as_bytes());
    }
    out
}

/// How long the result of [`mapped`] may get: no case mapping makes a rune of two bytes longer than three,
/// and a byte that is no UTF-8 becomes three.
pub fn mapped_size(text: &[u8]) -> usize {
    if text.is_ascii() { text.len() } else { text.len() * 3 }
}
