//! References to images, in full form.

use std::fmt;

use super::{Digest, DigestError, bounds};
use crate::{policy::image, text::shortened};

/// Longest part of a bad reference that a message repeats.
const SHOWN: usize = 128;

/// A repository by its one full name: lower case, Docker Hub's aliases and official images resolved, the default port
/// left out. Two texts that a runtime pulls from the same place are equal here, by the rule of the admission policies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// Reads a repository without tag and digest.
    ///
    /// # Errors
    ///
    /// It is no reference, or has a tag or a digest.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let Reference { repository, tag, digest } = Reference::parse(text)?;
        match (tag, digest) {
            (None, None) => Ok(repository),
            _ => Err(ReferenceError::NotBare(shown(text))),
        }
    }

    /// One whose name is known to be canonical.
    pub(super) fn at(host: String, path: String) -> Self {
        Self { host, path }
    }

    /// The registry, and its port where that is not the default one. Docker Hub is `docker.io`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What is behind the host.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an image is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Where it is.
    pub repository: Repository,
    /// Its tag. Ignored by runtimes if there is a digest too.
    pub tag: Option<String>,
    /// Its digest.
    pub digest: Option<Digest>,
}

/// Why a text is no reference that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing.
    #[error("the image reference is empty")]
    Empty,
    /// Too long.
    #[error("the image reference {0} is too long: a repository has at most 255 characters")]
    TooLong(String),
    /// A URL.
    #[error("{0} is a URL: write an image reference without the scheme, as HOST/PATH:TAG")]
    Scheme(String),
    /// Capitals in the path.
    #[error("the image reference {0} has capital letters behind the host: paths are lower case")]
    Capitals(String),
    /// The grammar.
    #[error("{0} is no image reference: write [HOST[:PORT]/]PATH[:TAG][@sha256:DIGITS]")]
    Grammar(String),
    /// The host.
    #[error(
        "the image reference {0} names a registry by a word without a dot and a port: write its full name"
    )]
    Host(String),
    /// The port.
    #[error("the image reference {0} has no port from 1 to 65535")]
    Port(String),
    /// The digest.
    #[error("the image reference {0}: {1}")]
    Digest(String, DigestError),
    /// A tag or digest where only a repository may stand.
    #[error("{0} has a tag or a digest: write the repository alone")]
    NotBare(String),
}

/// Text from outside in a message.
fn shown(text: &str) -> String {
    format!("{:?}", shortened(text, SHOWN))
}

impl Reference {
    /// Reads a reference as a container runtime does.
    ///
    /// # Errors
    ///
    /// No runtime would pull it, or its digest is not sha256.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() > bounds::REFERENCE {
            return Err(ReferenceError::TooLong(shown(text)));
        }
        if !image::is_reference(text) {
            return Err(what_is_wrong(text));
        }
        let canonical = image::canonical(text);
        let (host, path) = canonical
            .repository
            .split_once('/')
            .ok_or_else(|| ReferenceError::Grammar(shown(text)))?;
        if path.len() > bounds::REPOSITORY || host.len() > bounds::REPOSITORY {
            return Err(ReferenceError::TooLong(shown(text)));
        }
        // Told from a path by its capitals alone, which the full name no longer has.
        if !image::is_host(host) {
            return Err(ReferenceError::Host(shown(text)));
        }
        let port = host.rsplit_once(':').filter(|_| !host.ends_with(']')).map(|(_, port)| port);
        if port.is_some_and(|port| port.parse::<u16>().ok().is_none_or(|port| port == 0)) {
            return Err(ReferenceError::Port(shown(text)));
        }
        let digest = match text.split_once('@') {
            Some((_, digest)) => {
                Some(digest.parse().map_err(|why| ReferenceError::Digest(shown(text), why))?)
            }
            None => None,
        };
        let repository = Repository { host: host.to_owned(), path: path.to_owned() };
        Ok(Self { repository, tag: canonical.tag, digest })
    }
}

/// The likeliest mistake in a text that the grammar does not know.
fn what_is_wrong(text: &str) -> ReferenceError {
    if text.contains("://") {
        return ReferenceError::Scheme(shown(text));
    }
    if let Some((name, digest)) = text.split_once('@')
        && image::is_reference(name)
    {
        // The name is right, so the digest is not: it is no digest of any kind, or would have been read.
        let why = digest.parse::<Digest>().err().unwrap_or(DigestError::Digits);
        return ReferenceError::Digest(shown(text), why);
    }
    let path = text.split_once('/').map_or(text, |(_, path)| path);
    if path.bytes().any(|byte| byte.is_ascii_uppercase())
        && image::is_reference(&text.to_ascii_lowercase())
    {
        return ReferenceError::Capitals(shown(text));
    }
    ReferenceError::Grammar(shown(text))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full(text: &str) -> String {
        Reference::parse(text).expect(text).to_string()
    }

    #[test]
    fn one_image_has_one_full_name() {
        for (text, want) in [
            ("nginx", "docker.io/library/nginx"),
            ("docker.io/nginx:1", "docker.io/library/nginx:1"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx"),
            ("REG.TEST:443/prod/x", "reg.test/prod/x"),
            ("reg.test:05000/x", "reg.test:5000/x"),
            ("LocalHost/bar", "localhost/bar"),
            ("acme/web:V1.2", "docker.io/acme/web:V1.2"),
            ("[::1]:5000/x", "[::1]:5000/x"),
            ("[::1]/x", "[::1]/x"),
        ] {
            assert_eq!(full(text), want);
        }
        let digest = Digest::of(b"");
        let pinned = Reference::parse(&format!("a.b/c:1@{digest}")).expect("pinned");
        assert_eq!(pinned.digest, Some(digest));
        assert_eq!((pinned.repository.host(), pinned.repository.path()), ("a.b", "c"));
        assert_eq!(pinned.tag.as_deref(), Some("1"));
    }

    #[test]
    fn a_message_says_what_is_wrong() {
        let hex = "a".repeat(64);
        for (text, part) in [
            (String::new(), "is empty"),
            ("a".repeat(2000), "too long"),
            (format!("a.b/{}", "c".repeat(256)), "too long"),
            ("https://a.b/c".to_owned(), "without the scheme"),
            ("a.b/Web".to_owned(), "capital letters"),
            ("a.b/c d".to_owned(), "no image reference"),
            ("a.b/../c".to_owned(), "no image reference"),
            ("a.b/c:1:2".to_owned(), "no image reference"),
            ("a.b/c\n".to_owned(), "no image reference"),
            ("Foo/bar".to_owned(), "its full name"),
            ("a.b:0/c".to_owned(), "port"),
            ("a.b:65536/c".to_owned(), "port"),
            (format!("a.b/c@sha512:{hex}{hex}"), "only sha256"),
            (format!("a.b/c@sha256:{}", &hex[1..]), "64 lower-case"),
            (format!("a.b/c@sha256:{}", hex.to_uppercase()), "64 lower-case"),
            ("a.b/c@latest".to_owned(), "only sha256"),
        ] {
            let error = Reference::parse(&text).expect_err(&text).to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(error.len() < 400 && !error.contains('\n'), "{error}");
        }
        assert!(Repository::parse("a.b/c:1").is_err());
        assert_eq!(
            Repository::parse("nginx").expect("bare").to_string(),
            "docker.io/library/nginx"
        );
    }

    proptest! {
        #[test]
        fn a_full_name_is_read_as_itself(
            text in "([a-zA-Z0-9.-]{1,8}(:[0-9]{1,6})?/)?[a-z0-9._-]{1,6}(/[a-z0-9._-]{1,4}){0,2}(:[a-zA-Z0-9_.-]{1,5})?",
        ) {
            let Ok(reference) = Reference::parse(&text) else { return Ok(()) };
            let again = Reference::parse(&reference.to_string());
            prop_assert_eq!(again, Ok(reference));
        }

        #[test]
        fn what_is_read_is_what_admission_compares(text in "[a-zA-Z0-9.:/_@-]{0,40}|\\PC{0,20}") {
            if let Ok(reference) = Reference::parse(&text) {
                let repository = reference.repository.to_string();
                prop_assert_eq!(&image::canonical(&text).repository, &repository);
                prop_assert!(image::is_from(&text, &[repository]));
            }
        }
    }
}
