//! Quoted constants: `strconv.Unquote` and `strconv.Quote` of Go.

use super::{budget::Context, buffer::Buffer, error::Failure, rune};

/// Bytes that a quoted constant stands for: `"..."` with escapes, or a raw one between backticks. None when the
/// quoting is wrong.
pub(crate) fn unquote(quoted: &[u8]) -> Option<Vec<u8>> {
    let (&quote, rest) = quoted.split_first()?;
    let (&last, inner) = rest.split_last()?;
    if quote != last {
        return None;
    }
    match quote {
        b'`' => {
            // Go drops carriage returns from raw strings.
            let clean = !inner.contains(&b'`');
            clean.then(|| inner.iter().copied().filter(|byte| *byte != b'\r').collect())
        }
        b'"' => {
            let (mut text, mut rest) = (Vec::with_capacity(inner.len()), inner);
            while !rest.is_empty() {
                let (piece, after) = character(rest, b'"')?;
                piece.append_to(&mut text);
                rest = after;
            }
            Some(text)
        }
        _ => None,
    }
}

/// The rune that a character constant `'x'` stands for.
pub(crate) fn unquote_character(quoted: &[u8]) -> Option<i64> {
    let (piece, rest) = character(quoted.strip_prefix(b"'")?, b'\'')?;
    (rest == b"'").then_some(match piece {
        Piece::Byte(byte) => i64::from(byte),
        Piece::Rune(rune) => i64::from(u32::from(rune)),
    })
}

/// One character of a constant.
enum Piece {
    /// A byte as it is: from `\x` or an octal escape, or a byte that is no UTF-8.
    Byte(u8),
    /// A rune.
    Rune(char),
}

impl Piece {
    fn append_to(&self, text: &mut Vec<u8>) {
        match self {
            Self::Byte(byte) => text.push(*byte),
            Self::Rune(rune) => text.extend(rune.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Reads one character, escaped or not, and gives what follows it.
fn character(text: &[u8], quote: u8) -> Option<(Piece, &[u8])> {
    let (rune, width) = rune::first(text)?;
    if rune != '\\' {
        if rune == char::from(quote) || rune == '\n' && quote == b'"' {
            return None;
        }
        let piece = if rune::is_invalid(rune, width) && quote == b'"' {
            Piece::Byte(text[0])
        } else {
            Piece::Rune(rune)
        };
        return Some((piece, &text[width..]));
    }
    let (escape, rest) = text[1..].split_first()?;
    let plain = |byte: u8| Some((Piece::Rune(char::from(byte)), rest));
    match escape {
        b'a' => plain(7),
        b'b' => plain(8),
        b'f' => plain(12),
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'v' => plain(11),
        b'\\' => plain(b'\\'),
        b'"' | b'\'' if *escape == quote => plain(quote),
        b'x' => {
            let (byte, rest) = digits(rest, 2, 16)?;
            Some((Piece::Byte(u8::try_from(byte).ok()?), rest))
        }
        b'u' | b'U' => {
            let (code, rest) = digits(rest, if *escape == b'u' { 4 } else { 8 }, 16)?;
            Some((Piece::Rune(char::from_u32(code)?), rest))
        }
        b'0'..=b'7' => {
            let (byte, rest) = digits(&text[1..], 3, 8)?;
            Some((Piece::Byte(u8::try_from(byte).ok()?), rest))
        }
        _ => None,
    }
}

fn digits(text: &[u8], count: usize, base: u32) -> Option<(u32, &[u8])> {
    let mut code: u32 = 0;
    for byte in text.get(..count)? {
        code = code.checked_mul(base)?.checked_add(char::from(*byte).to_digit(base)?)?;
    }
    Some((code, &text[count..]))
}

/// Go's `strconv.Quote`, with the quote sign given; `ascii` escapes whatever is not.
pub(crate) fn quote(
    cx: &mut Context<'_>,
    text: &[u8],
    sign: char,
    ascii: bool,
) -> Result<Buffer, Failure> {
    cx.step(text.len() / 8)?;
    let mut quoted = cx.buffer(text.len() + 2)?;
    let mut paid = quoted.allocated();
    quoted.rune(sign);
    for (at, rune, width) in rune::runes(text) {
        if quoted.allocated() > paid {
            cx.allocate(quoted.allocated() - paid)?;
            paid = quoted.allocated();
        }
        if rune::is_invalid(rune, width) {
            if sign == '\'' {
                quoted.rune(rune);
            } else {
                quoted.extend(format!("\\x{:02x}", text[at]).as_bytes());
            }
            continue;
        }
        append_escaped(&mut quoted, rune, sign, ascii);
    }
    quoted.rune(sign);
    cx.allocate(quoted.allocated() - paid)?;
    Ok(quoted)
}

fn append_escaped(quoted: &mut Buffer, rune: char, sign: char, ascii: bool) {
    if rune == sign || rune == '\\' {
        quoted.push(b'\\');
        quoted.rune(rune);
        return;
    }
    if rune::is_printable(rune) && (rune.is_ascii() || !ascii) {
        quoted.rune(rune);
        return;
    }
    let escape = match rune {
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\0'..=' ' | '\u{7f}' => format!("\\x{:02x}", u32::from(rune)),
        '\0'..='\u{ffff}' => format!("\\u{:04x}", u32::from(rune)),
        _ => format!("\\U{:08x}", u32::from(rune)),
    };
    quoted.extend(escape.as_bytes());
}

/// True of text that can stand between backticks: no control character but the tab.
pub(crate) fn can_backquote(text: &[u8]) -> bool {
    rune::runes(text).all(|(_, rune, width)| match rune {
        '\u{feff}' | '`' | '\u{7f}' => false,
        rune => !rune::is_invalid(rune, width) && (rune >= ' ' || rune == '\t'),
    })
}
