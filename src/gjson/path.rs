//! Following a path.

use std::cell::Cell;

use zeroize::Zeroizing;

use super::{
    PropertyError, modifier, multipath,
    part::{Part, Rest, split_pipe},
    pattern::matches,
    query::Query,
    scan::{self, JsonType},
    work::Work,
};

/// A JSON value: a part of the secret, or made on the way.
pub(crate) enum Found<'a> {
    /// Part of the text that was searched.
    Part(&'a str),
    /// Made on the way.
    Made(Zeroizing<String>),
}

impl Found<'_> {
    /// The JSON text.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Part(text) => text,
            Self::Made(text) => text,
        }
    }

    fn detach<'b>(self) -> Found<'b> {
        match self {
            Self::Part(text) => Found::Made(Zeroizing::new(text.to_owned())),
            Self::Made(text) => Found::Made(text),
        }
    }
}

/// What a path leads to up to its first pipe.
struct Step<'a, 'p> {
    found: Option<Found<'a>>,
    /// What is still to be followed. It is there as well when nothing was found: `absent.@keys` is `[]`.
    pipe: Option<&'p str>,
}

impl<'a> Step<'a, '_> {
    const NOTHING: Self = Step { found: None, pipe: None };

    fn end(found: Found<'a>) -> Self {
        Self { found: Some(found), pipe: None }
    }
}

/// The value at a path in a JSON text. An empty text has no values, but modifiers make some.
pub(crate) fn get<'a>(
    json: &'a str,
    path: &str,
    work: &Work,
    depth: usize,
) -> Result<Option<Found<'a>>, PropertyError> {
    let depth = Work::deeper(depth)?;
    if path.len() > 1 {
        match path.as_bytes() {
            [b'@', ..] => {
                if let Some((made, rest)) = modifier::apply(json, path, work, depth)? {
                    return follow(made, rest, work, depth);
                }
            }
            [b'!', ..] => {
                if let Some((literal, rest)) = multipath::literal(path) {
                    return follow(Zeroizing::new(literal.to_owned()), rest, work, depth);
                }
            }
            [b'[' | b'{', ..] => {
                if let Some((made, rest)) = multipath::apply(json, path, work, depth)? {
                    return follow(made, rest, work, depth);
                }
            }
            [b'.', b'.', ..] => {
                // JSON lines; there is one.
                work.spend(json.len())?;
                let line = Zeroizing::new(["[", json, "]"].concat());
                let step = walk_array(&line, &path[2..], work, depth)?;
                return Ok(piped(step, work, depth)?.map(Found::detach));
            }
            _ => {}
        }
    }
    let step = walk(json, path, work, depth)?;
    piped(step, work, depth)
}

fn piped<'a>(
    step: Step<'a, '_>,
    work: &Work,
    depth: usize,
) -> Result<Option<Found<'a>>, PropertyError> {
    let Some(pipe) = step.pipe else { return Ok(step.found) };
    let json = step.found.as_ref().map_or("", Found::as_str);
    Ok(get(json, pipe, work, depth)?.map(Found::detach))
}

/// What `rest` leads to in a value that was made.
fn follow<'a>(
    made: Zeroizing<String>,
    rest: &str,
    work: &Work,
    depth: usize,
) -> Result<Option<Found<'a>>, PropertyError> {
    match rest.strip_prefix(['|', '.']) {
        Some(rest) => Ok(get(&made, rest, work, depth)?.map(Found::detach)),
        None if scan::value(&made).is_empty() => Ok(None),
        None => Ok(Some(Found::Made(made))),
    }
}

fn walk<'a, 'p>(
    json: &'a str,
    path: &'p str,
    work: &Work,
    depth: usize,
) -> Result<Step<'a, 'p>, PropertyError> {
    let depth = Work::deeper(depth)?;
    let json = scan::value(json);
    match scan::kind(json) {
        JsonType::Object => walk_object(json, path, work, depth),
        JsonType::Array => walk_array(json, path, work, depth),
        _ => Ok(Step::NOTHING),
    }
}

fn walk_object<'a, 'p>(
    json: &'a str,
    path: &'p str,
    work: &Work,
    depth: usize,
) -> Result<Step<'a, 'p>, PropertyError> {
    work.spend(json.len())?;
    let part = Part::parse(path);
    // Where the path goes on, what was last read tells whether there is a pipe.
    let mut pipe = part.rest.pipe();
    for (key, value) in scan::entries(json) {
        let key = scan::unquote(key);
        let hit = if part.wild { matches(&key, &part.name, work)? } else { *key == part.name };
        if !hit {
            continue;
        }
        // A later key of the same name, or one that matches as well, may lead further.
        let Rest::More(rest) = part.rest else {
            return Ok(Step { found: Some(Found::Part(value)), pipe });
        };
        let step = walk(value, rest, work, depth)?;
        if step.found.is_some() {
            return Ok(step);
        }
        pipe = step.pipe.or(pipe);
    }
    Ok(Step { found: None, pipe })
}

fn walk_array<'a, 'p>(
    json: &'a str,
    path: &'p str,
    work: &Work,
    depth: usize,
) -> Result<Step<'a, 'p>, PropertyError> {
    work.spend(json.len())?;
    if let Some(rest) = path.strip_prefix("#.") {
        let (inner, pipe) = split_pipe(rest);
        let made = collect(json, inner, work, depth, |_| Ok(true))?;
        return Ok(Step { found: Some(Found::Made(made)), pipe });
    }
    if path.starts_with("#(") || path.starts_with("#[") {
        return match Query::parse(path) {
            Some(query) => walk_query(json, &query, work, depth),
            None => Ok(Step::NOTHING),
        };
    }
    let part = Part::of_array(path);
    if part.name.contains('#') {
        let count = Found::Made(Zeroizing::new(scan::elements(json).count().to_string()));
        return Ok(match part.rest {
            Rest::End => Step::end(count),
            Rest::Pipe(pipe) => Step { found: Some(count), pipe: Some(pipe) },
            Rest::More(_) => Step::NOTHING,
        });
    }
    let digits = !part.name.is_empty() && part.name.bytes().all(|byte| byte.is_ascii_digit());
    let index = if digits { part.name.parse::<usize>().ok() } else { None };
    let value = index.and_then(|index| scan::elements(json).nth(index));
    match (value, part.rest) {
        (Some(value), Rest::More(rest)) => walk(value, rest, work, depth),
        (value, rest) => Ok(Step { found: value.map(Found::Part), pipe: rest.pipe() }),
    }
}

fn walk_query<'a, 'p>(
    json: &'a str,
    query: &Query<'p>,
    work: &Work,
    depth: usize,
) -> Result<Step<'a, 'p>, PropertyError> {
    let (inner, pipe) = match query.rest {
        Rest::End => (None, None),
        Rest::Pipe(pipe) => (None, Some(pipe)),
        Rest::More(rest) => {
            let (inner, pipe) = split_pipe(rest);
            (Some(inner), pipe)
        }
    };
    if query.all {
        let any = Cell::new(false);
        let passes = |value: &str| {
            let passes = query.accepts(value, work, depth)?;
            any.set(any.get() || passes);
            Ok(passes)
        };
        let made = collect(json, inner.unwrap_or("@this"), work, depth, passes)?;
        // In gjson the first hit finds the pipe in a longer path: without one there is none.
        let pipe = pipe.filter(|_| inner.is_none() || any.get());
        return Ok(Step { found: Some(Found::Made(made)), pipe });
    }
    for value in scan::elements(json) {
        if query.accepts(value, work, depth)? {
            let found = match inner {
                None => Some(Found::Part(value)),
                Some(inner) => get(value, inner, work, depth)?,
            };
            return Ok(Step { found, pipe });
        }
    }
    Ok(Step { found: None, pipe })
}

/// An array of what `path` finds in those elements that pass.
fn collect(
    json: &str,
    path: &str,
    work: &Work,
    depth: usize,
    passes: impl Fn(&str) -> Result<bool, PropertyError>,
) -> Result<Zeroizing<String>, PropertyError> {
    // Never longer than the array, unless modifiers are at work: no copy is left behind by growing.
    let mut out = Zeroizing::new(String::with_capacity(json.len() + 2));
    out.push('[');
    for value in scan::elements(json) {
        if !passes(value)? {
            continue;
        }
        if let Some(found) = get(value, path, work, depth)? {
            if out.len() > 1 {
                out.push(',');
            }
            let found = scan::value(found.as_str());
            work.spend(found.len())?;
            out.push_str(found);
        }
    }
    out.push(']');
    Ok(out)
}
