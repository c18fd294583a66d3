//! URLs as Go's `net/url` takes them apart and puts them together.

use crate::{Args, Context, Entries, Failure, Function, Map, Text, Type, Value};

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("urlParse", &[Type::String], url_parse),
    Function::new("urlJoin", &[Type::DICT], url_join),
];

/// The parts of a URL, unescaped where Go unescapes them.
#[derive(Default)]
struct Url {
    scheme: Vec<u8>,
    /// User and, if there is a colon, password.
    user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    host: Vec<u8>,
    path: Vec<u8>,
    opaque: Vec<u8>,
    query: Vec<u8>,
    fragment: Vec<u8>,
}

/// What a text is part of: that decides which bytes are written as `%XX`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    User,
    Host,
    Zone,
    Path,
    Fragment,
}

fn url_parse(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    cx.allocate(text.len().saturating_mul(4))?;
    let url = parse(text).ok_or_else(|| Failure::function("the text is not a URL"))?;
    let hostname = hostname(&url.host).to_vec();
    let user = user_text(&url);
    let parts = [
        ("scheme", url.scheme),
        ("host", url.host),
        ("hostname", hostname),
        ("path", url.path),
        ("query", url.query),
        ("opaque", url.opaque),
        ("fragment", url.fragment),
        ("userinfo", user),
    ];
    let mut entries = Entries::default();
    for (name, part) in parts {
        entries.insert(Text::from(name), cx.text(part)?);
    }
    cx.map(entries)
}

fn url_join(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let map = args.map(0)?;
    let url = Url {
        scheme: part(map, "scheme")?,
        user: None,
        host: part(map, "host")?,
        path: part(map, "path")?,
        opaque: part(map, "opaque")?,
        query: part(map, "query")?,
        fragment: part(map, "fragment")?,
    };
    let userinfo = part(map, "userinfo")?;
    let parts = [&url.scheme, &url.host, &url.path, &url.opaque, &url.query, &url.fragment];
    cx.allocate(parts.iter().map(|part| part.len() * 4).sum::<usize>() + userinfo.len() * 4)?;
    let user = if userinfo.is_empty() {
        None
    } else {
        let text = [b"proto://", &*userinfo, b"@host"].concat();
        let parsed = parse(&text);
        parsed.ok_or_else(|| Failure::function("the userinfo is not that of a URL"))?.user
    };
    cx.text(joined(&Url { user, ..url }))
}

/// A text of the dictionary, empty when it is absent.
fn part(map: &Map, key: &str) -> Result<Vec<u8>, Failure> {
    match map.get(key.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.to_vec()),
        Some(other) => Err(Failure::function(format!(
            "the key {key} must be a string, not {}",
            other.type_name()
        ))),
    }
}

fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match memchr::memchr(at, text) {
        Some(position) => (&text[..position], &text[position + 1..]),
        None => (text, &[]),
    }
}

fn parse(text: &[u8]) -> Option<Url> {
    let (text, fragment) = cut(text, b'#');
    if text.iter().any(u8::is_ascii_control) {
        return None;
    }
    let fragment = unescape(fragment, Part::Fragment)?;
    let mut url = Url { fragment, ..Url::default() };
    if text == b"*" {
        url.path = text.to_vec();
        return Some(url);
    }
    let (scheme, rest) = scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (rest, query) = cut(rest, b'?');
    url.query = query.to_vec();
    if !rest.starts_with(b"/") {
        if !scheme.is_empty() {
            url.opaque = rest.to_vec();
            return Some(url);
        }
        if cut(rest, b'/').0.contains(&b':') {
            return None;
        }
    }
    let has_authority =
        rest.starts_with(b"//") && (!scheme.is_empty() || !rest.starts_with(b"///"));
    let rest = if has_authority {
        let authority = &rest[2..];
        let end = memchr::memchr(b'/', authority).unwrap_or(authority.len());
        url.set_authority(&authority[..end])?;
        &authority[end..]
    } else {
        rest
    };
    url.path = unescape(rest, Part::Path)?;
    Some(url)
}

/// Scheme and the rest; none where a colon stands first.
fn scheme(text: &[u8]) -> Option<(&[u8], &[u8])> {
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Some((&[], text))
}

impl Url {
    fn set_authority(&mut self, authority: &[u8]) -> Option<()> {
        let Some(at) = memchr::memrchr(b'@', authority) else {
            self.host = host(&self.scheme, authority)?;
            return Some(());
        };
        self.host = host(&self.scheme, &authority[at + 1..])?;
        let user = &authority[..at];
        let allowed =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
        if !user.iter().all(allowed) {
            return None;
        }
        let (name, password) = match memchr::memchr(b':', user) {
            Some(colon) => (&user[..colon], Some(unescape(&user[colon + 1..], Part::User)?)),
            None => (user, None),
        };
        self.user = Some((unescape(name, Part::User)?, password));
        Some(())
    }
}

fn host(scheme: &[u8], host: &[u8]) -> Option<Vec<u8>> {
    match memchr::memrchr(b'[', host) {
        Some(0) => return literal(host),
        Some(_) => return None,
        None => {}
    }
    if let Some(first) = memchr::memchr(b':', host) {
        let last = memchr::memrchr(b':', host).unwrap_or(first);
        let strict = matches!(scheme, b"http" | b"https");
        if !is_port(&host[if strict { first } else { last }..]) {
            return None;
        }
    }
    unescape(host, Part::Host)
}

/// `[::1]:80`
fn literal(host: &[u8]) -> Option<Vec<u8>> {
    let close = memchr::memrchr(b']', host)?;
    let port = &host[close + 1..];
    let name = &host[1..close];
    let zone = memchr::memmem::find(name, b"%25").unwrap_or(name.len());
    let mut address = unescape(&name[..zone], Part::Host)?;
    address.extend(unescape(&name[zone..], Part::Zone)?);
    let text = std::str::from_utf8(&address).ok()?;
    let number = match text.split_once('%') {
        Some((_, "")) => return None,
        Some((number, _)) => number,
        None => text,
    };
    let valid = is_port(port) && format!("{number}/128").parse::<ipnet::Ipv6Net>().is_ok();
    valid.then(|| [b"[", &*address, b"]", port].concat())
}

fn is_port(text: &[u8]) -> bool {
    text.is_empty() || text[0] == b':' && text[1..].iter().all(u8::is_ascii_digit)
}

/// Without port and brackets.
fn hostname(host: &[u8]) -> &[u8] {
    let colon = memchr::memrchr(b':', host).filter(|colon| is_port(&host[*colon..]));
    let host = &host[..colon.unwrap_or(host.len())];
    host.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(host)
}

fn user_text(url: &Url) -> Vec<u8> {
    match &url.user {
        None => Vec::new(),
        Some((name, None)) => escape(name, Part::User),
        Some((name, Some(password))) => {
            [escape(name, Part::User), escape(password, Part::User)].join(&b':')
        }
    }
}

fn joined(url: &Url) -> Vec<u8> {
    let mut out = Vec::new();
    if !url.scheme.is_empty() {
        out.extend(&url.scheme);
        out.push(b':');
    }
    if url.opaque.is_empty() {
        if !url.host.is_empty()
            || url.user.is_some()
            || !url.scheme.is_empty() && !url.path.is_empty()
        {
            out.extend(b"//");
            if url.user.is_some() {
                out.extend(user_text(url));
                out.push(b'@');
            }
            out.extend(escape(&url.host, Part::Host));
        }
        let path = if url.path == b"*" { b"*".to_vec() } else { escape(&url.path, Part::Path) };
        if !path.is_empty() && !path.starts_with(b"/") && !url.host.is_empty() {
            out.push(b'/');
        }
        if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
            out.extend(b"./");
        }
        out.extend(path);
    } else {
        out.extend(&url.opaque);
    }
    if !url.query.is_empty() {
        out.push(b'?');
        out.extend(&url.query);
    }
    if !url.fragment.is_empty() {
        out.push(b'#');
        out.extend(escape(&url.fragment, Part::Fragment));
    }
    out
}

fn must_escape(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return false;
    }
    !match part {
        Part::Host | Part::Zone => b"!$&'()*+,;=:[]<>\"".contains(&byte),
        Part::User => b"$&+,;=".contains(&byte),
        Part::Path => b"$&+,/:;=@".contains(&byte),
        Part::Fragment => b"$&+,/:;=?@!()*".contains(&byte),
    }
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if must_escape(*byte, part) {
            out.extend(format!("%{byte:02X}").into_bytes());
        } else {
            out.push(*byte);
        }
    }
    out
}

/// Bytes that `%XX` stands for; none where it is wrong, or where the part has no such.
fn unescape(text: &[u8], part: Part) -> Option<Vec<u8>> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    let in_host = matches!(part, Part::Host | Part::Zone);
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            if in_host && byte < 0x80 && must_escape(byte, part) {
                return None;
            }
            out.push(byte);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u8::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)?;
        let refused = match part {
            Part::Host => value < 0x80 && digits != "25",
            Part::Zone => digits != "25" && value != b' ' && must_escape(value, Part::Host),
            _ => false,
        };
        if refused {
            return None;
        }
        out.push(value);
        rest = &after[2..];
    }
    Some(out)
}
