//! Regular expressions.

use super::printed::accounted;
use crate::{
    Args, Context, Failure, Function, List, Type, Value,
    regexp::{self, Refusal, Regexp, Replacement},
};

const STRING: Type = Type::String;
const PAIR: &[Type] = &[STRING, STRING];
const COUNTED: &[Type] = &[STRING, STRING, Type::INT];
const TRIPLE: &[Type] = &[STRING, STRING, STRING];

/// This family. Those with `must` fail where the others panic, which in a template is the same; only `regexMatch`
/// takes an expression that is none for one that does not match.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("regexMatch", PAIR, |cx, args| match matches(cx, args) {
        Err(failure) if failure.kind == crate::ErrorKind::Function => Ok(Value::Bool(false)),
        result => result,
    }),
    Function::new("mustRegexMatch", PAIR, matches),
    Function::new("regexFindAll", COUNTED, find_all),
    Function::new("mustRegexFindAll", COUNTED, find_all),
    Function::new("regexFind", PAIR, find),
    Function::new("mustRegexFind", PAIR, find),
    Function::new("regexReplaceAll", TRIPLE, |cx, args| replace(cx, args, Replacement::expanding)),
    Function::new("mustRegexReplaceAll", TRIPLE, |cx, args| {
        replace(cx, args, Replacement::expanding)
    }),
    Function::new("regexReplaceAllLiteral", TRIPLE, |cx, args| {
        replace(cx, args, Replacement::literal)
    }),
    Function::new("mustRegexReplaceAllLiteral", TRIPLE, |cx, args| {
        replace(cx, args, Replacement::literal)
    }),
    Function::new("regexSplit", COUNTED, split),
    Function::new("mustRegexSplit", COUNTED, split),
    Function::new("regexQuoteMeta", &[STRING], |cx, args| {
        let text = args.text(0)?;
        cx.allocate(text.len() * 2)?;
        Ok(accounted(regexp::quoted(text)))
    }),
];

/// Compiled size that hardly costs anything, and steps for compiling what is larger.
const SMALL: usize = 48 << 10;
const SMALL_STEPS: usize = 400;
const LARGE_STEPS: usize = 20_000;

/// Compiles the first argument. Compiling takes longer than most matches, so it is accounted for.
fn compiled(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Regexp, Failure> {
    let pattern = args.text(0)?;
    cx.step(SMALL_STEPS + 5 * pattern.len())?;
    cx.allocate(pattern.len().saturating_mul(4))?;
    let refused = || Failure::function("the regular expression is not one of Go's");
    let pattern = std::str::from_utf8(pattern).map_err(|_| refused())?;
    let limit = cx.limits.regex;
    let mut result = Regexp::compile(pattern, limit.min(SMALL));
    if result.as_ref().err() == Some(&Refusal::Size) && limit > SMALL {
        cx.step(LARGE_STEPS)?;
        result = Regexp::compile(pattern, limit);
    }
    result.map_err(|refusal| match refusal {
        Refusal::Syntax => refused(),
        Refusal::Size => Failure::bound("bytes of a compiled regular expression", limit),
    })
}

/// Accounts for one search through so much text.
fn search(cx: &mut Context<'_>, length: usize) -> Result<(), Failure> {
    cx.step(1 + length / 128)
}

fn matches(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (regexp, text) = (compiled(cx, args)?, args.text(1)?);
    search(cx, text.len())?;
    Ok(Value::Bool(regexp.is_match(text)))
}

/// Start and end of at most so many matches; of all when the limit is negative.
fn ranges(
    cx: &mut Context<'_>,
    regexp: &Regexp,
    text: &[u8],
    limit: i64,
) -> Result<Vec<(usize, usize)>, Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut ranges, mut matches) = (Vec::new(), regexp.matches(text));
    while ranges.len() < limit {
        search(cx, matches.remaining())?;
        let Some(found) = matches.next() else { break };
        cx.allocate(size_of::<(usize, usize)>())?;
        ranges.extend(found.get(0).map(|whole| (whole.start(), whole.end())));
    }
    Ok(ranges)
}

fn find(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (regexp, text) = (compiled(cx, args)?, args.text(1)?);
    let found = ranges(cx, &regexp, text, 1)?;
    cx.text(found.first().map_or(&[] as &[u8], |(start, end)| &text[*start..*end]))
}

fn find_all(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (regexp, text) = (compiled(cx, args)?, args.text(1)?);
    let found = ranges(cx, &regexp, text, args.int(2)?)?;
    if found.is_empty() {
        return Ok(Value::List(List::nil(&STRING)));
    }
    let texts = found.into_iter().map(|(start, end)| cx.text(&text[start..end]));
    let texts = texts.collect::<Result<_, _>>()?;
    cx.list_of(&STRING, texts)
}

/// The size is known before anything is made.
fn replace(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    replacement: fn(&[u8]) -> Replacement,
) -> Result<Value, Failure> {
    let (regexp, text, new) = (compiled(cx, args)?, args.text(1)?, args.text(2)?);
    cx.allocate(new.len() * 2)?;
    let replacement = replacement(new);
    let (mut size, mut matches) = (text.len(), regexp.matches(text));
    loop {
        // Twice: once to measure, once to replace.
        search(cx, matches.remaining().saturating_mul(2))?;
        let Some(found) = matches.next() else { break };
        size = size.saturating_add(replacement.size(&found));
        if size > cx.limits.bytes {
            cx.allocate(size)?;
        }
    }
    cx.allocate(size)?;
    Ok(accounted(regexp.replace_all(text, &replacement)))
}

/// Go's `Split`: at most so many pieces, none for 0.
fn split(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (regexp, text, limit) = (compiled(cx, args)?, args.text(1)?, args.int(2)?);
    if limit == 0 {
        return Ok(Value::List(List::nil(&STRING)));
    }
    if text.is_empty() && !regexp.is_empty() {
        let empty = cx.text("")?;
        return cx.list_of(&STRING, vec![empty]);
    }
    let (mut pieces, mut start, mut end) = (Vec::new(), 0, 0);
    for (from, to) in ranges(cx, &regexp, text, limit)? {
        if usize::try_from(limit).is_ok_and(|limit| pieces.len() + 1 == limit) {
            break;
        }
        end = from;
        if to != 0 {
            pieces.push(cx.text(&text[start..end])?);
        }
        start = to;
    }
    if end != text.len() {
        pieces.push(cx.text(&text[start..])?);
    }
    cx.list_of(&STRING, pieces)
}
