//! Subject alternative names of a certificate, printed as Go prints them.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    Error,
    der::{self, Reader},
};

const EMAIL: u8 = der::implicit(1);
const DNS: u8 = der::implicit(2);
const URI: u8 = der::implicit(6);
const ADDRESS: u8 = der::implicit(7);

/// Whether every name is one.
pub(super) fn check(names: &[u8]) -> Result<(), Error> {
    list(names).map(drop)
}

/// DNS names, addresses, e-mail addresses and URIs, in this order.
pub(super) fn list(names: &[u8]) -> Result<Vec<String>, Error> {
    let mut groups: [Vec<String>; 4] = Default::default();
    let mut reader = Reader::new(names);
    while !reader.is_empty() {
        let name = reader.any()?;
        let (group, text) = match name.tag {
            DNS => (0, ascii(name.content)?),
            ADDRESS => (1, address(name.content)?),
            EMAIL => (2, ascii(name.content)?),
            URI => (3, uri(&ascii(name.content)?).ok_or(Error::Certificate)?),
            _ => continue,
        };
        groups[group].push(text);
    }
    Ok(groups.concat())
}

fn ascii(bytes: &[u8]) -> Result<String, Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Ok(text.to_owned()),
        _ => Err(Error::Certificate),
    }
}

fn address(bytes: &[u8]) -> Result<String, Error> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).map_err(|_| Error::Certificate)?;
    // Go shows a mapped address as the IPv4 address that it is.
    Ok(IpAddr::from(Ipv6Addr::from(sixteen)).to_canonical().to_string())
}

/// A URI as Go's `net/url` reads and prints it: scheme in lower case, what may not stand in a path escaped. None where
/// Go refuses it.
fn uri(text: &str) -> Option<String> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let end = text.find(|c| !in_scheme(c)).unwrap_or(text.len());
    let (scheme, rest) =
        if text.starts_with(|c: char| c.is_ascii_alphabetic()) && text[end..].starts_with(':') {
            (text[..=end].to_ascii_lowercase(), &text[end + 1..])
        } else {
            (String::new(), text)
        };
    let (before_fragment, fragment) =
        rest.split_once('#').map_or((rest, None), |(a, b)| (a, Some(b)));
    let (hierarchy, query) =
        before_fragment.split_once('?').map_or((before_fragment, None), |(a, b)| (a, Some(b)));
    if !scheme.is_empty() && !hierarchy.starts_with('/') {
        return Some(format!("{scheme}{rest}")); // opaque, such as urn:uuid:...
    }
    if scheme.is_empty() && hierarchy.split('/').next().is_some_and(|first| first.contains(':')) {
        return None; // would be read as a scheme
    }
    let (authority, path) = match hierarchy.strip_prefix("//") {
        Some(after) => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            (is_authority(authority).then(|| format!("//{authority}"))?, path)
        }
        None => (String::new(), hierarchy),
    };
    let mut printed = format!("{scheme}{authority}{}", escaped(path)?);
    if let Some(query) = query {
        printed = printed + "?" + query;
    }
    if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
        printed = printed + "#" + &escaped(fragment)?;
    }
    Some(printed)
}

/// User, host and port; the host's labels must not be empty.
fn is_authority(text: &str) -> bool {
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let (name, port) = match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((name, port)) => (name, port.strip_prefix(':').unwrap_or(port)),
        None if host.contains(['[', ']']) => return false,
        None => host.rsplit_once(':').unwrap_or((host, "")),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:<>\"".contains(&byte);
    name.bytes().all(plain)
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && (host.is_empty() || host.split('.').all(|label| !label.is_empty()))
}

/// With everything escaped that may not stand in a path; none if an escape of its own is broken.
fn escaped(path: &str) -> Option<String> {
    let mut escaped = String::with_capacity(path.len());
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                escaped.push('%');
            }
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                let _ = write!(escaped, "%{byte:02X}"); // into a String: cannot fail
            }
            _ => escaped.push(char::from(*byte)),
        }
    }
    Some(escaped)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_printed_as_go_prints_them() {
        let same = [
            "https://example.com",
            "spiffe://cluster.local/ns/prod/sa/web",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "https://user@example.com:8443/a%20b?q=1&r#frag",
            "/relative/path",
            "",
        ];
        for text in same {
            assert_eq!(uri(text).as_deref(), Some(text));
        }
        assert_eq!(uri("HTTPS://Example.com/a b").unwrap(), "https://Example.com/a%20b");
        for text in [":x", "http://a..b/", "http://a b/", "http://x/%zz", "http://x:port/", "a\n"] {
            assert_eq!(uri(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_of_both_kinds_are_shown_short() {
        let names = der::element(ADDRESS, &[&[10, 0, 0, 1]]);
        assert_eq!(list(&names).unwrap(), ["10.0.0.1"]);
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2];
        assert_eq!(list(&der::element(ADDRESS, &[&mapped])).unwrap(), ["10.0.0.2"]);
        let long = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(list(&der::element(ADDRESS, &[&long])).unwrap(), ["2001:db8::1"]);
        assert!(list(&der::element(ADDRESS, &[&[1, 2, 3]])).is_err());
        assert!(list(&der::element(DNS, &["h\u{e9}".as_bytes()])).is_err(), "not ASCII");
        assert!(list(&der::element(0xa0, &[b"other name"])).unwrap().is_empty());
    }
}
