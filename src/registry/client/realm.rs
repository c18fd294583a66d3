//! Where a registry may send us: for a token, for a blob, for the next page.

use http::{Uri, uri::Authority};

use super::challenge::Challenge;

/// Bytes of a URL that a registry names.
const LONGEST: usize = 8192;
/// Hosts that make tokens for a registry of another name, and which. Others are in the policy.
const KNOWN: [(&str, &str); 2] =
    [("docker.io", "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")];

/// A URL that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// In full.
    pub(crate) url: Uri,
    /// Its host, and its port if it is not the default one; lower case.
    pub(crate) host: String,
}

impl Target {
    /// Whether it is asked over TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }
}

/// Reads a URL, absolute or from the root of the one that named it. The error is a part of a sentence.
pub(crate) fn target(text: &str, base: &Uri) -> Result<Target, &'static str> {
    if text.len() > LONGEST {
        return Err("a URL that is too long");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a URL with characters that no URL has");
    }
    let url = if text.starts_with('/') && !text.starts_with("//") {
        let (scheme, authority) = (base.scheme_str(), base.authority());
        let (Some(scheme), Some(authority)) = (scheme, authority) else { return Err("no URL") };
        format!("{scheme}://{authority}{text}")
    } else {
        text.to_owned()
    };
    let url: Uri = url.parse().map_err(|_| "no URL")?;
    let default = match url.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        _ => return Err("a URL that does not begin with https://"),
    };
    let authority = url.authority().ok_or("a URL without a host")?;
    if authority.as_str().contains('@') {
        return Err("a URL with a user");
    }
    let port = port(authority, default)?;
    let name = authority.host().to_ascii_lowercase();
    if name.is_empty() {
        return Err("a URL without a host");
    }
    let host = if port == default { name } else { format!("{name}:{port}") };
    Ok(Target { url, host })
}

fn port(authority: &Authority, default: u16) -> Result<u16, &'static str> {
    match authority.port_u16() {
        Some(0) => Err("a URL with a port that is none"),
        Some(port) => Ok(port),
        None if authority.as_str().len() == authority.host().len() => Ok(default),
        None => Err("a URL with a port that is none"),
    }
}

/// Whether tokens for a registry may be asked for at this host: its own, one below it, or one that is known or that a
/// policy lists. A host beside it may be anybody's (`a.example.io` and `b.example.io`), so it has to be listed.
pub(crate) fn makes_tokens(registry: &str, api: &str, listed: &[String], host: &str) -> bool {
    let is_below = || {
        // Another port of a host may be another program, of another user.
        let is_plain = !host.contains([':', '[']) && !registry.contains([':', '[']);
        is_plain && host.strip_suffix(registry).is_some_and(|start| start.ends_with('.'))
    };
    host == registry
        || host == api
        || is_below()
        || KNOWN.contains(&(registry, host))
        || listed.iter().any(|own| own.eq_ignore_ascii_case(host))
}

/// The query that asks for a token to read one repository. What the registry itself wants to be asked does not matter.
pub(crate) fn question(challenge: &Challenge, path: &str) -> Option<String> {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/')
        .remove(b':');
    let Challenge::Bearer { service, .. } = challenge else { return None };
    let scope = format!("repository:{path}:pull");
    let scope = utf8_percent_encode(&scope, PLAIN);
    Some(match service {
        Some(service) => format!("service={}&scope={scope}", utf8_percent_encode(service, PLAIN)),
        None => format!("scope={scope}"),
    })
}

/// The URL of the next page, by the header `Link` of RFC 8288. `None` if there is no further one.
pub(crate) fn next_page<'a>(mut headers: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    headers.find_map(|header| {
        let mut rest = header.get(..LONGEST).unwrap_or(header);
        loop {
            let (_, from) = rest.split_once('<')?;
            let (url, after) = from.split_once('>')?;
            // Commas and angles may be in quotes as well: then the next link is missed, and that is told below.
            let end = after.find('<').unwrap_or(after.len());
            let (parameters, further) = after.split_at(end);
            let is_next = parameters.split([';', ',']).any(|parameter| {
                let Some((name, value)) = parameter.split_once('=') else { return false };
                let value = value.trim().trim_matches('"');
                name.trim().eq_ignore_ascii_case("rel")
                    && value.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
            });
            if is_next {
                return Some(url);
            }
            rest = further;
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base() -> Uri {
        Uri::from_static("https://reg.test:5000/v2/x")
    }

    #[test]
    fn a_url_is_taken_apart_as_it_will_be_used() {
        for (text, host) in [
            ("https://A.test/x?y", "a.test"),
            ("https://a.test:443/", "a.test"),
            ("https://a.test:444/", "a.test:444"),
            ("http://a.test/", "a.test"),
            ("/v2/y?n=1", "reg.test:5000"),
            ("https://[::1]:7/", "[::1]:7"),
        ] {
            assert_eq!(target(text, &base()).expect(text).host, host);
        }
        for text in [
            "",
            "x",
            "//evil.test/x",
            "ftp://a.test/",
            "https://",
            "https:///x",
            "https://u@a.test/",
            "https://reg.test:5000@evil.test/",
            "https://a.test:0/",
            "https://a.test:99999/",
            "https://a.test:/",
            "https://a.test/ x",
            "https://a.test/\r\nX: y",
            "https://é.test/",
            "javascript:alert(1)",
        ] {
            assert!(target(text, &base()).is_err(), "{text}");
        }
        assert!(target(&format!("https://a.test/{}", "x".repeat(LONGEST)), &base()).is_err());
    }

    #[test]
    fn tokens_come_from_the_registry_itself_or_from_whom_an_administrator_lists() {
        let is = |registry: &str, host: &str| {
            let api = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
            makes_tokens(registry, api, &["Login.corp.test:8443".to_owned()], host)
        };
        for (registry, host) in [
            ("ghcr.io", "ghcr.io"),
            ("reg.test:5000", "reg.test:5000"),
            ("reg.test", "auth.reg.test"),
            ("docker.io", "auth.docker.io"),
            ("docker.io", "registry-1.docker.io"),
            ("registry.gitlab.com", "gitlab.com"),
            ("reg.test", "login.corp.test:8443"),
        ] {
            assert!(is(registry, host), "{registry} {host}");
        }
        for (registry, host) in [
            ("reg.test", "evilreg.test"),
            ("reg.test", "test"),
            ("reg.test", "reg.test.evil.test"),
            ("reg.test", "other.test"),
            ("a.azurecr.io", "b.azurecr.io"),
            ("reg.test", "reg.test:5000"),
            ("reg.test:5000", "reg.test"),
            ("reg.test", "auth.reg.test:22"),
            ("ghcr.io", "auth.docker.io"),
            ("ghcr.io", "gitlab.com"),
            ("reg.test", "login.corp.test"),
            ("reg.test", "169.254.169.254"),
        ] {
            assert!(!is(registry, host), "{registry} {host}");
        }
    }

    #[test]
    fn a_question_asks_to_read_one_repository_whatever_the_service_is_called() {
        let ask = |service: Option<&str>| {
            let (realm, service) = (String::new(), service.map(ToOwned::to_owned));
            question(&Challenge::Bearer { realm, service }, "a/b").expect("a question")
        };
        assert_eq!(ask(None), "scope=repository:a/b:pull");
        assert_eq!(
            ask(Some("x y&scope=z#")),
            "service=x%20y%26scope%3Dz%23&scope=repository:a/b:pull"
        );
        assert_eq!(question(&Challenge::Basic, "a"), None);
    }

    #[test]
    fn the_next_page_is_found_among_other_links() {
        let next = |header| next_page(std::iter::once(header));
        assert_eq!(next("</v2/x?n=2>; rel=\"next\""), Some("/v2/x?n=2"));
        assert_eq!(next("</a>; rel=prev, </b>; REL=next"), Some("/b"));
        assert_eq!(next("</a>;title=\"x\"; rel=\"last NEXT\""), Some("/a"));
        for header in ["", "</a>", "</a>; rel=\"nextish\"", "/a; rel=next", "</a; rel=next", "<<<<"]
        {
            assert_eq!(next(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_a_reader_panic(text in "\\PC{0,60}|[<>;=,rel\"next/ :@\\[\\]]{0,40}") {
            let _ = next_page(std::iter::once(text.as_str()));
            if let Ok(target) = target(&text, &base()) {
                prop_assert!(target.url.host().is_some() && !target.host.contains('@'));
            }
        }
    }
}
