//! Who asks: the credentials that an administrator gave. Never those of a pod.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::{RegistryError, Repository};
use crate::{policy::image, secret_bytes::SecretBytes};

/// Bytes of a configuration file.
const LONGEST: usize = 1 << 20;
/// Registries in it.
const MOST: usize = 1024;

/// What proves who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretBytes,
    },
    /// What is exchanged for a token where tokens are made.
    Identity(SecretBytes),
}

/// What a source has, once it was read.
pub type Found<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Credentials>, RegistryError>> + Send + 'a>>;

/// Where credentials come from.
pub trait CredentialSource: Send + Sync {
    /// In words, behind "with": `Secret gabion-system/registry-read`.
    fn name(&self) -> String;

    /// Those for a repository, if there are any. `again` = the registry refused those that were read before.
    fn read<'a>(&'a self, repository: &'a Repository, again: bool) -> Found<'a>;
}

/// The configuration file of Docker, or a Secret of the type `kubernetes.io/dockerconfigjson`. Programs that it names
/// (`credsStore`, `credHelpers`) are not run.
#[derive(Clone)]
pub struct DockerConfig {
    name: String,
    /// By registry or path in one, in full form.
    entries: BTreeMap<String, Credentials>,
    helpers: bool,
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} registries", self.name, self.entries.len())
    }
}

/// Why it cannot be used. Nothing of its content is in the texts but names of registries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerConfigError {
    /// The size.
    #[error("{0} is larger than 1 MiB or names more than {MOST} registries")]
    TooLarge(String),
    /// The format.
    #[error("{0} is no configuration of Docker: it must be JSON with auths")]
    Format(String),
    /// One entry.
    #[error(
        "{0}: the entry of {1:?} has no user and password: its auth must be base64 of USER:PASSWORD"
    )]
    Entry(String, String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Zeroizing<String>,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: Zeroizing<String>,
    #[serde(default)]
    identitytoken: Zeroizing<String>,
}

impl DockerConfig {
    /// Reads it; `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// It is too large or not well formed.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, DockerConfigError> {
        if bytes.len() > LONGEST {
            return Err(DockerConfigError::TooLarge(name.to_owned()));
        }
        let file: File = serde_json::from_slice(bytes)
            .map_err(|_| DockerConfigError::Format(name.to_owned()))?;
        if file.auths.len() > MOST {
            return Err(DockerConfigError::TooLarge(name.to_owned()));
        }
        let helpers = file.creds_store.is_some_and(|store| !store.is_empty())
            || file.cred_helpers.is_some_and(|helpers| !helpers.is_empty());
        let mut entries = BTreeMap::new();
        for (key, entry) in file.auths {
            match entry.credentials() {
                Ok(Some(credentials)) => {
                    entries.insert(prefix(&key), credentials);
                }
                // Docker leaves an empty entry where a program keeps the password.
                Ok(None) => {}
                Err(Unreadable) => return Err(DockerConfigError::Entry(name.to_owned(), key)),
            }
        }
        Ok(Self { name: name.to_owned(), entries, helpers })
    }

    /// Whether it names programs that keep passwords, which are not run.
    pub fn names_helpers(&self) -> bool {
        self.helpers
    }

    fn find(&self, repository: &Repository) -> Option<&Credentials> {
        let full = repository.to_string();
        let fitting = self.entries.iter().filter(|(prefix, _)| image::within(&full, prefix));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, credentials)| credentials)
    }
}

/// An entry that cannot be read.
struct Unreadable;

impl Entry {
    /// `None`: it is empty.
    fn credentials(self) -> Result<Option<Credentials>, Unreadable> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credentials::Identity(self.identitytoken.as_bytes().to_vec().into())));
        }
        if self.auth.is_empty() {
            if self.username.is_empty() && self.password.is_empty() {
                return Ok(None);
            }
            let password = self.password.as_bytes().to_vec().into();
            return Ok(Some(Credentials::Password { user: self.username, password }));
        }
        let decoded = STANDARD.decode(self.auth.as_bytes()).map_err(|_| Unreadable)?;
        let decoded = Zeroizing::new(decoded);
        let text = std::str::from_utf8(&decoded).map_err(|_| Unreadable)?;
        let (user, password) = text.split_once(':').ok_or(Unreadable)?;
        // Some tools pad the text with zeros.
        let password = password.trim_end_matches('\0').as_bytes().to_vec().into();
        Ok(Some(Credentials::Password { user: user.to_owned(), password }))
    }
}

/// The registry that an entry is for: keys are hosts, paths in them, or URLs of Docker's first API.
fn prefix(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    image::canonical_prefix(key)
}

impl CredentialSource for DockerConfig {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn read<'a>(&'a self, repository: &'a Repository, _: bool) -> Found<'a> {
        Box::pin(std::future::ready(Ok(self.find(repository).cloned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(config: &DockerConfig, repository: &str) -> Option<String> {
        match config.find(&Repository::parse(repository).expect("a repository"))? {
            Credentials::Password { user, password } => {
                Some(format!("{user}/{}", String::from_utf8_lossy(password.expose())))
            }
            Credentials::Identity(token) => Some(format!("token {}", token.len())),
        }
    }

    #[test]
    fn the_longest_path_that_fits_has_the_credentials() {
        let text = format!(
            r#"{{"auths": {{
                "https://index.docker.io/v1/": {{"auth": "{}"}},
                "ghcr.io": {{"username": "all", "password": "p"}},
                "ghcr.io/acme": {{"username": "acme", "password": "p"}},
                "Reg.Test:443": {{"identitytoken": "abc"}},
                "http://other.test:5000/v2/": {{"username": "o", "password": ""}},
                "empty.test": {{}}
            }}, "credsStore": "desktop", "HttpHeaders": {{}}}}"#,
            STANDARD.encode("hub:a:b\0")
        );
        let config = DockerConfig::parse("the file", text.as_bytes()).expect("a file");
        assert!(config.names_helpers());
        for (repository, want) in [
            ("nginx", Some("hub/a:b")),
            ("ghcr.io/other/x", Some("all/p")),
            ("ghcr.io/acme/x", Some("acme/p")),
            ("ghcr.io/acme-evil/x", Some("all/p")),
            ("reg.test/x", Some("token 3")),
            ("other.test:5000/x", Some("o/")),
            ("other.test/x", None),
            ("empty.test/x", None),
            ("ghcr.io.evil.test/x", None),
        ] {
            assert_eq!(user(&config, repository).as_deref(), want, "{repository}");
        }
        assert_eq!(format!("{config:?}"), "the file with 5 registries");
    }

    #[test]
    fn a_message_about_a_file_repeats_no_password() {
        let parse = |text: &str| {
            DockerConfig::parse("the file", text.as_bytes()).expect_err(text).to_string()
        };
        assert!(parse("[").contains("no configuration of Docker"));
        let plain = STANDARD.encode("hunter2");
        for auth in ["hunter2!", plain.as_str()] {
            let error = parse(&format!(r#"{{"auths": {{"a.test": {{"auth": "{auth}"}}}}}}"#));
            assert!(error.contains("a.test") && !error.contains("hunter"), "{error}");
            assert!(!error.contains(auth), "{error}");
        }
        assert!(parse(&" ".repeat(LONGEST + 1)).contains("larger"));
    }
}
