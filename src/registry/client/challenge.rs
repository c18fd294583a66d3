//! What a registry asks for with status 401: the header `WWW-Authenticate` of RFC 9110.
//!
//! The registry writes it, and whoever follows it sends credentials somewhere. So little is read of it, and where they
//! may go is decided in [`super::realm`].

/// Bytes of one header that are read.
const LONGEST: usize = 4096;
/// Bytes of one value.
const VALUE: usize = 2048;
/// Challenges and parameters in one header.
const MOST: usize = 16;

/// How to prove who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password, to the registry itself.
    Basic,
    /// A token, from this URL.
    Bearer {
        /// Where tokens are made. Not yet checked.
        realm: String,
        /// What the registry calls itself there.
        service: Option<String>,
    },
}

/// The best of the challenges in these headers: one for a token, else one for a password. `None` if there is none that
/// is known, or the header is not well formed.
pub(crate) fn challenge<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut best = None;
    for header in headers.take(MOST) {
        for (scheme, parameters) in challenges(header)? {
            let value = |name: &str| {
                let found = parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer") {
                if let Some(realm) = value("realm") {
                    return Some(Challenge::Bearer { realm, service: value("service") });
                }
            } else if scheme.eq_ignore_ascii_case("basic") {
                best = Some(Challenge::Basic);
            }
        }
    }
    best
}

type Parameters = Vec<(String, String)>;

/// Schemes with their parameters, of one header.
fn challenges(header: &str) -> Option<Vec<(String, Parameters)>> {
    if header.len() > LONGEST || !header.is_ascii() {
        return None;
    }
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    let mut parts = 0;
    while !rest.is_empty() {
        parts += 1;
        if parts > MOST {
            return None;
        }
        let (word, after) = word(rest)?;
        let after = after.trim_start_matches([' ', '\t']);
        if let Some(value) = after.strip_prefix('=') {
            let (value, after) = value_of(value.trim_start_matches([' ', '\t']))?;
            let (_, parameters) = found.last_mut()?;
            // Two readers would take two different ones.
            if parameters.iter().any(|(own, _)| own.eq_ignore_ascii_case(word)) {
                return None;
            }
            parameters.push((word.to_owned(), value));
            rest = separated(after)?;
        } else {
            found.push((word.to_owned(), Vec::new()));
            rest = after.trim_start_matches([' ', ',', '\t']);
        }
    }
    Some(found)
}

/// What is behind a comma, or nothing at the end.
fn separated(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches([' ', '\t']);
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix(',').map(|rest| rest.trim_start_matches([' ', ',', '\t']))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A word, or a text in quotes.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return word(text).map(|(word, rest)| (word.to_owned(), rest));
    };
    let (mut value, mut is_escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if c.is_ascii_control() => return None,
            _ if is_escaped => {
                is_escaped = false;
                value.push(c);
            }
            '\\' => is_escaped = true,
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default())),
            _ => value.push(c),
        }
        if value.len() > VALUE {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> Option<Challenge> {
        challenge(std::iter::once(header))
    }

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(Into::into) }
    }

    #[test]
    fn the_challenges_of_known_registries_are_read() {
        for (header, want) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#,
                bearer("https://auth.docker.io/token", Some("registry.docker.io")),
            ),
            (
                r#"bearer Realm="https://a/t" , scope="x" ,SERVICE=b"#,
                bearer("https://a/t", Some("b")),
            ),
            (r#"Bearer realm="https://a/t\"x""#, bearer(r#"https://a/t"x"#, None)),
            (r#"Basic realm="ECR""#, Challenge::Basic),
            ("Basic", Challenge::Basic),
            (r#"Basic realm="x", Bearer realm="https://a/t""#, bearer("https://a/t", None)),
            (r#"Negotiate, Basic realm="x""#, Challenge::Basic),
            (r#", ,Basic realm="x",,"#, Challenge::Basic),
        ] {
            assert_eq!(read(header), Some(want), "{header}");
        }
        let two = challenge(["Negotiate", r#"Basic realm="x""#].into_iter());
        assert_eq!(two, Some(Challenge::Basic));
    }

    #[test]
    fn what_readers_could_take_in_two_ways_is_not_read() {
        for header in [
            "",
            "Digest realm=x",
            r#"Bearer service="x""#,
            r#"Bearer realm="https://a", realm="https://b""#,
            r#"Bearer realm="https://a", Realm="https://b""#,
            r#"Bearer realm="https://a"#,
            r#"Bearer realm="https://a" service="x""#,
            r#"realm="https://a""#,
            "Bearer realm=\"https://a\u{1}\"",
            "Bearer realm=\"https://é\"",
            "Bearer realm=",
        ] {
            assert_eq!(read(header), None, "{header}");
        }
        assert_eq!(read(&format!("Bearer realm=\"{}\"", "a".repeat(VALUE + 1))), None);
        assert_eq!(read(&format!("Basic {}", "a ".repeat(LONGEST))), None);
        assert_eq!(read(&format!("Basic {}", "a, ".repeat(MOST + 1))), None);
    }

    proptest! {
        #[test]
        fn any_value_survives_its_quotes(value in "[ -~]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Bearer realm=\"{quoted}\", service=x");
            prop_assert_eq!(read(&header), Some(bearer(&value, Some("x"))));
        }

        #[test]
        fn no_header_makes_the_reader_panic(header in "\\PC{0,60}|[ ,=\"\\\\a-c]{0,40}") {
            let _ = read(&header);
        }
    }
}
