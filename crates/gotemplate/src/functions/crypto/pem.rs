//! PEM as Go's `encoding/pem` reads and writes it: text around blocks is passed over, headers are kept, and a block with
//! a flaw is skipped rather than reported.

use std::collections::BTreeMap;

use memchr::memmem;
use zeroize::Zeroizing;

use super::{Bytes, Error, base64_text, from_base64};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const DASHES: &[u8] = b"-----";
const LINE: usize = 64;

/// One block.
pub(super) struct Block {
    /// What stands between `BEGIN` and the dashes.
    pub kind: Vec<u8>,
    pub headers: BTreeMap<Vec<u8>, Vec<u8>>,
    pub bytes: Bytes,
}

impl Block {
    pub(super) fn new(kind: &str, bytes: &[u8]) -> Self {
        let bytes = Zeroizing::new(bytes.to_vec());
        Self { kind: kind.into(), headers: BTreeMap::new(), bytes }
    }
}

/// The first block of `data` and what comes behind it; without a block, all of `data`.
pub(super) fn decode(data: &[u8]) -> (Option<Block>, &[u8]) {
    let (mut rest, mut skip) = (data, 0);
    loop {
        let Some(next) = rest.get(skip..) else { return (None, data) };
        // From the first END line back to the nearest BEGIN: a BEGIN that is never ended does no harm.
        let Some(end) = memmem::find(next, END) else { return (None, data) };
        let Some(begin) =
            memmem::rfind(&next[..end], BEGIN).filter(|at| *at == 0 || next[at - 1] == b'\n')
        else {
            (rest, skip) = (next, end + END.len());
            continue;
        };
        let body = &next[begin + BEGIN.len()..];
        match block(body, end - begin - BEGIN.len()) {
            Attempt::Found(found, after) => return (Some(found), after),
            Attempt::Skip(after, by) => (rest, skip) = (after, by),
            Attempt::Over => return (None, data),
        }
    }
}

enum Attempt<'a> {
    Found(Block, &'a [u8]),
    /// Not a block: go on so many bytes into the rest.
    Skip(&'a [u8], usize),
    Over,
}

/// `text` begins behind `-----BEGIN ` and has the line break before `-----END ` at `end`.
fn block(text: &[u8], end: usize) -> Attempt<'_> {
    let (line, mut rest) = next_line(text);
    // Where the END line begins, counted from `rest`; negative when something ran past it.
    let distance = |rest: &[u8]| end.checked_sub(text.len() - rest.len());
    let skip = |rest| {
        let past = (end + END.len()).checked_sub(text.len() - <[u8]>::len(rest));
        past.map_or(Attempt::Over, |past| Attempt::Skip(rest, past))
    };
    let Some(kind) = line.strip_suffix(DASHES) else { return skip(rest) };
    let mut headers = BTreeMap::new();
    loop {
        if rest.is_empty() {
            return Attempt::Over;
        }
        let (line, next) = next_line(rest);
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        let (key, value) = (&line[..colon], &line[colon + 1..]);
        headers.insert(trimmed(key), trimmed(value));
        rest = next;
    }
    let at = distance(rest);
    if !headers.is_empty() && at.is_none() {
        return skip(rest);
    }
    // An empty block's END line begins right here: its line break was the one behind the BEGIN line.
    let Some(trailer) =
        (end + END.len()).checked_sub(text.len() - rest.len()).and_then(|past| rest.get(past..))
    else {
        return Attempt::Over;
    };
    let closed = trailer.strip_prefix(kind).and_then(|after| after.strip_prefix(DASHES));
    let Some((b"", after)) = closed.map(next_line) else { return skip(rest) };
    let encoded = &rest[..at.unwrap_or(0)];
    match decoded(encoded) {
        Some(bytes) => Attempt::Found(Block { kind: kind.to_vec(), headers, bytes }, after),
        None => skip(rest),
    }
}

/// Blanks between the characters do no harm.
fn decoded(encoded: &[u8]) -> Option<Bytes> {
    let mut dense = Zeroizing::new(Vec::with_capacity(encoded.len()));
    dense.extend(encoded.iter().filter(|byte| !matches!(byte, b' ' | b'\t')));
    from_base64(&dense).ok()
}

/// The line without its end and trailing blanks, and what comes behind.
fn next_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (mut line, rest) = match text.iter().position(|byte| *byte == b'\n') {
        Some(at) => (text[..at].strip_suffix(b"\r").unwrap_or(&text[..at]), &text[at + 1..]),
        None => (text, &text[text.len()..]),
    };
    while let [shorter @ .., b' ' | b'\t'] = line {
        line = shorter;
    }
    (line, rest)
}

/// Without white space around it, Unicode's included as Go's TrimSpace.
fn trimmed(bytes: &[u8]) -> Vec<u8> {
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.trim_ascii(), |text| text.trim().as_bytes())
        .to_vec()
}

/// The text of a block: 64 characters a line, `Proc-Type` before the other headers.
pub(super) fn encode(block: &Block) -> Result<Bytes, Error> {
    if block.headers.keys().any(|key| key.contains(&b':')) {
        return Err(Error::PemHeader);
    }
    let encoded = base64_text(&block.bytes);
    let headers: usize = block.headers.iter().map(|(key, value)| key.len() + value.len() + 3).sum();
    let size = encoded.len() + encoded.len() / LINE + 2 * block.kind.len() + headers + 40;
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    let edge = |text: &mut Vec<u8>, mark: &[u8]| {
        for part in [mark, &block.kind, DASHES, b"\n"] {
            text.extend_from_slice(part);
        }
    };
    edge(&mut text, BEGIN);
    let first = block.headers.get_key_value(&b"Proc-Type"[..]);
    let others = block.headers.iter().filter(|(key, _)| *key != b"Proc-Type");
    for (key, value) in first.into_iter().chain(others) {
        for part in [key, &b": "[..], value, b"\n"] {
            text.extend_from_slice(part);
        }
    }
    if !block.headers.is_empty() {
        text.push(b'\n');
    }
    for line in encoded.chunks(LINE) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    edge(&mut text, &END[1..]);
    Ok(text)
}

/// The text of a block without headers.
pub(super) fn text(kind: &str, bytes: &[u8]) -> Bytes {
    // Only a header can be refused.
    encode(&Block::new(kind, bytes)).unwrap_or_default()
}
