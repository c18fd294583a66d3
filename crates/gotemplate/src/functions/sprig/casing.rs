//! Strings: upper and lower case, and the cases of programmers.

use super::{bytes, printed::accounted, unicode};
use crate::{Args, Context, Failure, Function, Type, Value, rune};

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("upper", &[Type::String], |cx, args| runes(cx, args, unicode::to_upper)),
    Function::new("lower", &[Type::String], |cx, args| runes(cx, args, unicode::to_lower)),
    Function::new("title", &[Type::String], title),
    Function::new("untitle", &[Type::String], untitle),
    Function::new("swapcase", &[Type::String], swapcase),
    Function::new("initials", &[Type::String], initials),
    Function::new("nospace", &[Type::String], nospace),
    Function::new("camelcase", &[Type::String], camelcase),
];

/// Every rune of the only argument through `map`.
fn runes(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    map: impl FnMut(char) -> char,
) -> Result<Value, Failure> {
    let text = args.text(0)?;
    // A rune may cost a search in tables.
    cx.step(text.len() / 16)?;
    cx.allocate(bytes::mapped_size(text))?;
    Ok(accounted(bytes::mapped(text, map)))
}

/// The first letter of every word as a title has it.
fn title(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let mut previous = ' ';
    runes(cx, args, |rune| {
        let first = separates_words(previous);
        previous = rune;
        if first { unicode::to_title(rune) } else { rune }
    })
}

fn separates_words(rune: char) -> bool {
    if rune.is_ascii() {
        return !rune.is_ascii_alphanumeric() && rune != '_';
    }
    !unicode::is_letter(rune) && !unicode::is_digit(rune) && unicode::is_space(rune)
}

/// The first letter of every word in lower case; only white space ends a word.
fn untitle(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let mut first = true;
    runes(cx, args, |rune| {
        if unicode::is_space(rune) {
            first = true;
            return rune;
        }
        if std::mem::replace(&mut first, false) { unicode::to_lower(rune) } else { rune }
    })
}

/// Lower case becomes upper and the reverse; the first of a word becomes a title's letter.
fn swapcase(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let mut first = true;
    runes(cx, args, |rune| {
        if unicode::is_upper(rune) || unicode::is_title(rune) {
            first = false;
            unicode::to_lower(rune)
        } else if unicode::is_lower(rune) {
            if std::mem::replace(&mut first, false) {
                unicode::to_title(rune)
            } else {
                unicode::to_upper(rune)
            }
        } else {
            first = unicode::is_space(rune);
            rune
        }
    })
}

/// Reads bytes as if they were runes, as the library does: what is not ASCII comes out as Latin-1.
fn initials(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    cx.allocate(text.len())?;
    let mut gap = true;
    let initial = |byte: &u8| {
        let space = unicode::is_space(char::from(*byte));
        let first = !space && gap;
        gap = space;
        first.then(|| char::from(*byte))
    };
    cx.text(text.iter().filter_map(initial).collect::<String>())
}

/// Without white space. Like [`initials`] it reads bytes as runes, unless there is nothing to take away.
fn nospace(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    let is_space = |byte: &u8| unicode::is_space(char::from(*byte));
    if !text.iter().any(is_space) {
        cx.step(text.len() / 32)?;
        return Ok(Value::String(text.clone()));
    }
    cx.allocate(text.len() * 2)?;
    let kept = text.iter().filter(|byte| !is_space(byte));
    Ok(accounted(kept.map(|byte| char::from(*byte)).collect::<String>().into_bytes()))
}

/// `some_words` becomes `SomeWords`. Connectors stand for a new word; those at the ends stay.
fn camelcase(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    let size = bytes::mapped_size(text) + 4;
    cx.step(text.len() / 8)?;
    cx.allocate(size)?;
    let mut out = String::with_capacity(size);
    let mut runes = rune::runes(text).map(|(_, rune, _)| rune).peekable();
    while let Some(connector) = runes.next_if(|rune| is_connector(*rune)) {
        out.push(connector);
    }
    let Some(first) = runes.next() else {
        // Of nothing but connectors the library writes the last one twice.
        out.extend(out.chars().next_back());
        return Ok(accounted(out.into_bytes()));
    };
    // Each rune is written when the next one is known: one connector between words vanishes.
    let (mut pending, mut upper_word) = (unicode::to_upper(first), unicode::is_upper(first));
    for mut rune in runes {
        if is_connector(pending) && is_connector(rune) {
            out.push(pending);
            pending = rune;
            continue;
        }
        if is_connector(pending) {
            upper_word = unicode::is_upper(rune);
            rune = unicode::to_upper(rune);
        } else {
            if upper_word && unicode::is_upper(rune) {
                rune = unicode::to_lower(rune);
            } else {
                upper_word = false;
            }
            out.push(pending);
        }
        pending = rune;
    }
    out.push(pending);
    Ok(accounted(out.into_bytes()))
}

/// What stands between words of an identifier.
pub(super) fn is_connector(rune: char) -> bool {
    matches!(rune, '-' | '_') || unicode::is_space(rune)
}
