//! Following a path, as lazily as gjson: values are read where the path leads, and text around them may be broken.

use memchr::memchr2;
use zeroize::Zeroizing;

use super::{
    PropertyError, modifier, multipath,
    part::{ArrayPart, Part, Rest, split_pipe},
    pattern::matches,
    query::Query,
    scan::{self, JsonType, Raw},
    work::Work,
};

/// A JSON value: a part of the secret, or made on the way.
pub(crate) struct Found<'a> {
    json_type: JsonType,
    text: Text<'a>,
}

enum Text<'a> {
    Part(&'a str),
    Made(Zeroizing<String>),
}

impl<'a> Found<'a> {
    fn part(raw: Raw<'a>) -> Self {
        Self { json_type: raw.json_type, text: Text::Part(raw.text) }
    }

    fn made(json_type: JsonType, text: Zeroizing<String>) -> Self {
        Self { json_type, text: Text::Made(text) }
    }

    /// The value that a text starts with.
    fn parsed(mut text: Zeroizing<String>) -> Option<Self> {
        let raw = scan::parse(&text)?;
        let (json_type, length) = (raw.json_type, raw.text.len());
        let start = text.len() - text.trim_start_matches(|c| c <= ' ').len();
        text.truncate(start + length);
        text.drain(..start);
        Some(Self::made(json_type, text))
    }

    /// The value as it is written.
    pub(crate) fn raw(&self) -> Raw<'_> {
        let text = match &self.text {
            Text::Part(text) => text,
            Text::Made(text) => text.as_str(),
        };
        Raw { json_type: self.json_type, text }
    }

    fn detach<'b>(self) -> Found<'b> {
        let text = match self.text {
            Text::Part(text) => Zeroizing::new(text.to_owned()),
            Text::Made(text) => text,
        };
        Found::made(self.json_type, text)
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
        match path.as_bytes()[0] {
            b'@' => {
                if let Some((made, rest)) = modifier::apply(json, path, work, depth)? {
                    return follow(made, rest, work, depth);
                }
            }
            b'!' => {
                if let Some((literal, rest)) = multipath::literal(path) {
                    return follow(Zeroizing::new(literal.to_owned()), rest, work, depth);
                }
            }
            b'[' | b'{' => {
                if let Some((made, rest)) = multipath::apply(json, path, work, depth)? {
                    return follow(made, rest, work, depth);
                }
            }
            _ => {}
        }
    }
    let mut walk = Walk { json, found: None, pipe: None, work };
    if let Some(path) = path.strip_prefix("..") {
        // JSON lines: as the elements of an array that never ends.
        walk.array(0, path, depth)?;
    } else if let Some(at) = memchr2(b'{', b'[', json.as_bytes()) {
        match json.as_bytes()[at] {
            b'{' => walk.object(at + 1, path, depth)?,
            _ => walk.array(at + 1, path, depth)?,
        };
    }
    let Some(pipe) = walk.pipe else { return Ok(walk.found) };
    let json = walk.found.as_ref().map_or("", |found| found.raw().text);
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
        None => Ok(Found::parsed(made)),
    }
}

/// Where a walk through an object or array ended, and whether it found what the path wants.
type Walked = Result<(usize, bool), PropertyError>;

/// One walk through a text. It mirrors gjson's `parseObject` and `parseArray`, because in broken text their order of
/// steps decides what is found.
struct Walk<'a, 'p, 'w> {
    json: &'a str,
    found: Option<Found<'a>>,
    /// What is still to be followed. It is there as well if nothing is found: `absent.@keys` is `[]`.
    pipe: Option<&'p str>,
    work: &'w Work,
}

impl<'a, 'p> Walk<'a, 'p, '_> {
    /// Follows a path in the object whose bracket is before `start`.
    fn object(&mut self, start: usize, path: &'p str, depth: usize) -> Walked {
        let depth = Work::deeper(depth)?;
        let bytes = self.json.as_bytes();
        let part = Part::parse(path);
        self.pipe = part.rest.pipe().or(self.pipe);
        let mut at = start;
        let mut paid = start;
        loop {
            self.work.spend(at.saturating_sub(paid))?;
            paid = at.max(paid);
            let Some(found) = memchr2(b'"', b'}', bytes.get(at..).unwrap_or_default()) else {
                return Ok((bytes.len(), false));
            };
            at += found;
            if bytes[at] == b'}' {
                return Ok((at + 1, false));
            }
            let Some(quote) = scan::closing_quote(bytes, at) else {
                return Ok((bytes.len(), false));
            };
            let key = scan::unquote(self.json.get(at..=quote).unwrap_or_default());
            let found =
                if part.wild { matches(&key, &part.name, self.work)? } else { *key == part.name };
            let rest = part.rest.more().filter(|_| found);
            let (end, done) =
                self.value(quote + 1, found && part.rest.more().is_none(), rest, depth)?;
            if done {
                return Ok((end, true));
            }
            at = end;
        }
    }

    /// Takes the next value if it is wanted, follows `rest` into it, or skips it.
    fn value(&mut self, at: usize, wanted: bool, rest: Option<&'p str>, depth: usize) -> Walked {
        let bytes = self.json.as_bytes();
        let next = (at..bytes.len()).find_map(|at| Some((at, scan::type_at(bytes, at)?)));
        let Some((at, json_type)) = next else { return Ok((bytes.len(), false)) };
        match (json_type, rest) {
            (JsonType::Object, Some(rest)) => return self.object(at + 1, rest, depth),
            (JsonType::Array, Some(rest)) => return self.array(at + 1, rest, depth),
            _ => {}
        }
        let Some(end) = scan::end_at(bytes, at, json_type) else { return Ok((bytes.len(), false)) };
        if wanted {
            let text = self.json.get(at..end.min(bytes.len())).unwrap_or_default();
            self.found = Some(Found::part(Raw { json_type, text }));
        }
        Ok((end, wanted))
    }

    /// Follows a path in the array whose bracket is before `start`. The end of the text closes an array.
    fn array(&mut self, start: usize, path: &'p str, depth: usize) -> Walked {
        let depth = Work::deeper(depth)?;
        let part = ArrayPart::parse(path);
        self.pipe = part.rest().pipe().or(self.pipe);
        match part {
            ArrayPart::Index(index, rest) => self.index(start, index, rest, depth),
            ArrayPart::Each(path, _) => self.each(start, path, depth),
            ArrayPart::Query(query) => self.query(start, query, depth),
        }
    }

    /// The bracket that ends an array, or the value that starts at or after a byte.
    fn element(&self, start: usize) -> Result<Element<'a>, PropertyError> {
        let bytes = self.json.as_bytes();
        for at in start..bytes.len() {
            if bytes[at] == b']' {
                self.work.spend(at - start)?;
                return Ok(Element::End(at + 1));
            }
            let Some(json_type) = scan::type_at(bytes, at) else { continue };
            let Some(end) = scan::end_at(bytes, at, json_type) else { return Ok(Element::Broken) };
            self.work.spend(end - start)?;
            let text = self.json.get(at..end.min(bytes.len())).unwrap_or_default();
            return Ok(Element::Value(Raw { json_type, text }, at, end));
        }
        // A container that ends inside of a string hides the end of the text.
        Ok(if start > bytes.len() { Element::Broken } else { Element::End(bytes.len() + 1) })
    }

    fn index(
        &mut self,
        start: usize,
        index: Option<usize>,
        rest: Rest<'p>,
        depth: usize,
    ) -> Walked {
        let (mut at, mut nth) = (start, 0);
        loop {
            let (from, end) = match self.element(at)? {
                Element::Value(_, from, end) => (from, end),
                Element::End(end) => return Ok((end, false)),
                Element::Broken => return Ok((self.json.len(), false)),
            };
            let found = index == Some(nth);
            nth += 1;
            at = end;
            if found {
                let (end, done) = self.value(from, rest.more().is_none(), rest.more(), depth)?;
                if done {
                    return Ok((end, true));
                }
                at = end;
            }
        }
    }

    /// `#`: the number of elements; `#.path`: what the path finds in each of them.
    fn each(&mut self, start: usize, path: Option<&'p str>, depth: usize) -> Walked {
        let (mut at, mut starts) = (start, Vec::new());
        let end = loop {
            starts.push(at);
            match self.element(at)? {
                Element::Value(_, _, end) => at = end,
                Element::End(end) => break end,
                Element::Broken => return Ok((self.json.len(), false)),
            }
        };
        let Some(path) = path else {
            let count = (starts.len() - 1).to_string();
            self.found = Some(Found::made(JsonType::Number, Zeroizing::new(count)));
            return Ok((end, true));
        };
        let (path, pipe) = split_pipe(path);
        self.pipe = pipe.or(self.pipe);
        let mut list = List::new(end.saturating_sub(start));
        for at in starts {
            // As in gjson, text after the last element is read as one more.
            let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            let at = at + self.json.as_bytes().iter().skip(at).take_while(blank).count();
            if self.json.as_bytes().get(at).is_none_or(|byte| *byte == b']') {
                continue;
            }
            let Some((value, after)) = scan::next(self.json, at) else { continue };
            self.work.spend(after - at)?;
            if let Some(found) = get(value.text, path, self.work, depth)? {
                list.push(found.raw().text, self.work)?;
            }
        }
        self.found = Some(Found::made(JsonType::Array, list.end()));
        Ok((end, true))
    }

    fn query(&mut self, start: usize, mut query: Query<'p>, depth: usize) -> Walked {
        let mut list = query.all.then(|| List::new(self.json.len().saturating_sub(start)));
        let mut at = start;
        loop {
            let (value, end) = match self.element(at)? {
                Element::Value(value, _, end) => (value, end),
                Element::Broken => return Ok((self.json.len(), false)),
                Element::End(end) => {
                    if let Some(list) = list.filter(|_| self.found.is_none()) {
                        self.found = Some(Found::made(JsonType::Array, list.end()));
                    }
                    return Ok((end, false));
                }
            };
            at = end;
            if !query.accepts(value, self.work, depth)? {
                continue;
            }
            let found = match query.rest {
                Rest::More(rest) => {
                    let (inner, pipe) = split_pipe(rest);
                    query.rest = Rest::More(inner);
                    self.pipe = pipe.or(self.pipe);
                    get(value.text, inner, self.work, depth)?
                }
                Rest::End | Rest::Pipe(_) => Some(Found::part(value)),
            };
            match &mut list {
                None => {
                    self.found = found;
                    return Ok((end, true));
                }
                Some(list) => {
                    if let Some(found) = found {
                        list.push(found.raw().text, self.work)?;
                    }
                }
            }
        }
    }
}

/// What comes next in an array.
enum Element<'a> {
    /// A value, with its start and its end.
    Value(Raw<'a>, usize, usize),
    /// The end of the array: the byte after it.
    End(usize),
    /// A string that is not closed.
    Broken,
}

/// An array that is put together.
struct List(Zeroizing<String>);

impl List {
    /// It is rarely longer than the array that it comes from, so that no copy is left behind by growing.
    fn new(size: usize) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(size + 2));
        text.push('[');
        Self(text)
    }

    fn push(&mut self, value: &str, work: &Work) -> Result<(), PropertyError> {
        work.spend(value.len())?;
        if value.is_empty() {
            return Ok(());
        }
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(value);
        Ok(())
    }

    fn end(mut self) -> Zeroizing<String> {
        self.0.push(']');
        self.0
    }
}
