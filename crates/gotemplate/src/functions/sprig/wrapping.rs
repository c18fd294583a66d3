//! `wrap` and `abbrev`: texts cut to a width in bytes.

use super::printed::accounted;
use crate::{Args, Context, Failure, Function, Type, Value};

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("wrap", &[Type::INT, Type::String], wrap),
    Function::new("wrapWith", &[Type::INT, Type::String, Type::String], wrap_with),
    Function::new("abbrev", &[Type::INT, Type::String], abbrev),
    Function::new("abbrevboth", &[Type::INT, Type::INT, Type::String], abbrev_both),
];

fn wrap(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    wrapped(cx, Lines::new(args.text(1)?, args.int(0)?, false), b"\n")
}

fn wrap_with(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let separator = args.text(1)?;
    let separator: &[u8] = if separator.is_empty() { b"\n" } else { separator };
    wrapped(cx, Lines::new(args.text(2)?, args.int(0)?, true), separator)
}

/// The lines with the separator between them, measured before they are made.
fn wrapped(cx: &mut Context<'_>, lines: Lines<'_>, separator: &[u8]) -> Result<Value, Failure> {
    let mut size: usize = 0;
    for line in lines.clone() {
        cx.step(1)?;
        size = size.saturating_add(line.len() + separator.len());
    }
    cx.allocate(size)?;
    let mut out = Vec::with_capacity(size);
    for (nth, line) in lines.enumerate() {
        if nth > 0 {
            out.extend(separator);
        }
        out.extend(line);
    }
    Ok(accounted(out))
}

/// Lines of at most `width` bytes, cut at spaces. Spaces at the start of a line are dropped.
#[derive(Clone)]
struct Lines<'t> {
    /// What is left; none when the last line was given.
    rest: Option<&'t [u8]>,
    width: usize,
    /// Cut words that are longer than a line.
    cut_words: bool,
}

impl<'t> Lines<'t> {
    fn new(text: &'t [u8], width: i64, cut_words: bool) -> Self {
        let width = usize::try_from(width).unwrap_or(1).max(1);
        Self { rest: Some(text).filter(|text| !text.is_empty()), width, cut_words }
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let mut rest = self.rest?;
        while rest.len() > self.width
            && let Some(more) = rest.strip_prefix(b" ")
        {
            rest = more;
        }
        if rest.len() <= self.width {
            self.rest = None;
            return Some(rest);
        }
        let space = memchr::memrchr(b' ', &rest[..=self.width]);
        let (line, after) = match space {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None if self.cut_words => (&rest[..self.width], Some(&rest[self.width..])),
            None => match memchr::memchr(b' ', &rest[self.width..]) {
                Some(at) => (&rest[..self.width + at], Some(&rest[self.width + at + 1..])),
                None => (rest, None),
            },
        };
        self.rest = after;
        Some(line)
    }
}

fn abbrev(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (width, text) = (args.int(0)?, args.text(1)?);
    if width < 4 {
        return Ok(Value::String(text.clone()));
    }
    abbreviated(cx, text, 0, width)
}

fn abbrev_both(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (offset, width, text) = (args.int(0)?, args.int(1)?, args.text(2)?);
    if width < 4 || offset > 0 && width < 7 {
        return Ok(Value::String(text.clone()));
    }
    abbreviated(cx, text, offset, width)
}

/// At most `width` bytes around `offset`, with dots where something is missing.
fn abbreviated(
    cx: &mut Context<'_>,
    text: &[u8],
    offset: i64,
    width: i64,
) -> Result<Value, Failure> {
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    if text.len() <= width {
        return cx.text(text);
    }
    let kept = width - 3;
    let mut offset = usize::try_from(offset).unwrap_or(0).min(text.len());
    if text.len() - offset < kept {
        offset = text.len() - kept;
    }
    if offset <= 4 {
        return cx.text([&text[..kept], b"..."].concat());
    }
    if offset + kept >= text.len() {
        return cx.text([b"...", &text[text.len() - kept..]].concat());
    }
    // Both ends are missing: the dots at the end take three more, if that leaves anything.
    let middle = &text[offset..];
    let inner = match kept {
        ..4 => &[] as &[u8],
        _ if middle.len() <= kept => middle,
        _ => return cx.text([b"...", &middle[..kept - 3], b"..."].concat()),
    };
    cx.text([b"...", inner].concat())
}
