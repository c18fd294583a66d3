//! The hosts that webhooks may reach.

use std::str::FromStr;

use http::Uri;

use super::{Reach, host};

/// The flag that names them.
pub(crate) const FLAG: &str = "--webhook-generator-hosts";

/// One host that webhooks may reach: over TLS at its usual port, or at this port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no host: write HOST or HOST:PORT, without a scheme");
        let url: Uri = format!("https://{}/", text.trim()).parse().map_err(|_| wrong())?;
        let authority = url.authority().ok_or_else(wrong)?;
        let is_plain =
            url.path() == "/" && url.query().is_none() && !authority.as_str().contains('@');
        let has_bad_port = url.port_u16().is_none() && authority.as_str() != authority.host();
        let host = host(&url).to_ascii_lowercase();
        let known =
            host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte));
        if host.is_empty() || !known || !is_plain || has_bad_port {
            return Err(wrong());
        }
        Ok(Self { host, port: url.port_u16() })
    }
}

impl AllowedHost {
    /// Names an address, or this machine, together with a port: then an administrator means just that.
    fn is_literal(&self) -> bool {
        let is_address = self.host.parse::<std::net::IpAddr>().is_ok();
        self.port.is_some() && (is_address || self.host == "localhost")
    }
}

/// Which addresses a request to this URL may reach, or why it may not be sent.
///
/// `called` is what the host is called in messages: one that a template made may hold a secret value.
pub(crate) fn reach(allowed: &[AllowedHost], url: &Uri, called: &str) -> Result<Reach, String> {
    let is_tls = match url.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("must begin with https:// (or http://) and name a host".to_owned()),
    };
    if url.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err("must name a host, and no user: send credentials in a header".to_owned());
    }
    let name = host(url).to_ascii_lowercase();
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let is_meant = |one: &&AllowedHost| {
        one.host == name && one.port.map_or(is_tls && port == 443, |own| own == port)
    };
    match allowed.iter().find(is_meant) {
        Some(one) if one.is_literal() => Ok(Reach::Anywhere),
        Some(_) => Ok(Reach::Outside),
        None => Err(format!(
            "{called} may not be asked: an administrator has to name host and port in the flag {FLAG}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(allowed: &[&str], url: &str) -> Result<Reach, String> {
        let allowed: Vec<_> = allowed.iter().filter_map(|text| text.parse().ok()).collect();
        reach(&allowed, &url.parse().unwrap_or_default(), "the host")
    }

    #[test]
    fn a_host_alone_means_tls_at_its_usual_port_and_one_with_a_port_means_that_port() {
        assert_eq!(asked(&["a.example"], "https://a.example/x"), Ok(Reach::Outside));
        assert_eq!(asked(&["A.Example"], "https://a.EXAMPLE:443/"), Ok(Reach::Outside));
        assert_eq!(asked(&["a.example:8080"], "http://a.example:8080/"), Ok(Reach::Outside));
        for url in [
            "http://a.example/",
            "https://a.example:8443/",
            "https://b.a.example/",
            "https://a.example.evil/",
            "https://a.example@evil.example/",
            "https://evil.example/a.example",
        ] {
            let refused = asked(&["a.example"], url).expect_err(url);
            assert!(refused.contains(FLAG) || refused.contains("no user"), "{refused}");
        }
        assert!(asked(&[], "https://a.example/").expect_err("none is allowed").contains(FLAG));
    }

    #[test]
    fn addresses_of_this_machine_are_reached_only_where_they_are_named_with_their_port() {
        assert_eq!(asked(&["127.0.0.1:80"], "http://127.0.0.1/"), Ok(Reach::Anywhere));
        assert_eq!(asked(&["[::1]:9"], "https://[::1]:9/"), Ok(Reach::Anywhere));
        assert_eq!(asked(&["localhost:9"], "http://localhost:9/"), Ok(Reach::Anywhere));
        assert_eq!(asked(&["127.0.0.1"], "https://127.0.0.1/"), Ok(Reach::Outside));
        assert_eq!(asked(&["a.example:9"], "https://a.example:9/"), Ok(Reach::Outside));
        assert!(asked(&["127.0.0.1:80"], "http://127.0.0.1:81/").is_err());
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["", "https://a", "a/b", "a b", "a@b", "a:", "a:x", "*", "*.a", "a?b"] {
            assert!(text.parse::<AllowedHost>().is_err(), "{text}");
        }
    }
}
