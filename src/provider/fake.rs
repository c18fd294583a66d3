//! Secrets written down in the store itself, for tests and demonstrations.

use std::collections::BTreeSet;

use futures::future::BoxFuture;

use super::{
    Content, Fetched, Filter, Listing, Provider, ProviderError, ReadRequest, Validation, Version,
};
use crate::lane::Lane;

/// One entry of `spec.provider.fake.data`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FakeEntry {
    /// Name of the secret.
    pub key: String,
    /// Its value. The manifest holds it in clear text, so nothing is hidden here either.
    pub value: String,
    /// Its version; empty = none.
    pub version: String,
}

/// What `spec.provider.fake.validationResult` makes of a check of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum FakeValidation {
    /// 0: the store is ready.
    #[default]
    Ready,
    /// 1: the store cannot tell.
    Unknown,
    /// 2: the check fails.
    Error,
}

impl TryFrom<i64> for FakeValidation {
    type Error = ProviderError;

    fn try_from(number: i64) -> Result<Self, ProviderError> {
        match number {
            0 => Ok(Self::Ready),
            1 => Ok(Self::Unknown),
            2 => Ok(Self::Error),
            other => Err(ProviderError::Settings {
                field: "spec.provider.fake.validationResult",
                reason: format!("{other} means nothing: use 0 (ready), 1 (unknown) or 2 (error)"),
            }),
        }
    }
}

/// The fake provider of one store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct FakeSource {
    /// The secrets, in the order of the manifest.
    pub data: Vec<FakeEntry>,
    /// What a check of the store answers.
    pub validation: FakeValidation,
}

impl FakeSource {
    /// The value of a key. Without a version: the entry that has none, else the last one listed.
    fn find(&self, request: &ReadRequest) -> Result<&str, ProviderError> {
        let mut of_key = self.data.iter().filter(|entry| entry.key == request.key).peekable();
        if of_key.peek().is_none() {
            return Err(ProviderError::NotFound { key: request.key.clone() });
        }
        let all: Vec<&FakeEntry> = of_key.collect();
        let found = match &request.version {
            Version::Current => {
                all.iter().rfind(|entry| entry.version.is_empty()).or_else(|| all.last())
            }
            Version::Stage(stage) => all.iter().rfind(|entry| entry.version == *stage),
            Version::Id(id) => all.iter().rfind(|entry| {
                entry.version == *id || entry.version.strip_prefix("uuid/") == Some(id)
            }),
        };
        found.map(|entry| entry.value.as_str()).ok_or_else(|| ProviderError::NoSuchVersion {
            key: request.key.clone(),
            version: match &request.version {
                Version::Id(version) | Version::Stage(version) => version.clone(),
                Version::Current => String::new(),
            },
            available: all.iter().take(10).map(|entry| described(&entry.version)).collect(),
        })
    }
}

fn described(version: &str) -> String {
    if version.is_empty() { "one without a version".to_owned() } else { version.to_owned() }
}

impl Provider for FakeSource {
    fn read<'a>(
        &'a self,
        request: &'a ReadRequest,
        _lane: Lane,
    ) -> BoxFuture<'a, Result<Fetched, ProviderError>> {
        Box::pin(async move {
            match request.content {
                Content::Value => {
                    let text = self.find(request)?.to_owned();
                    Ok(Fetched { text: Some(text.into()), ..Fetched::default() })
                }
                Content::Tags => Err(ProviderError::Invalid {
                    key: request.key.clone(),
                    reason: "the fake provider has no tags".to_owned(),
                }),
            }
        })
    }

    fn list<'a>(
        &'a self,
        filter: &'a Filter,
        _lane: Lane,
    ) -> BoxFuture<'a, Result<Listing, ProviderError>> {
        Box::pin(async move {
            if let Some(tag) = filter.tags.keys().next() {
                return Err(ProviderError::Invalid {
                    key: tag.clone(),
                    reason: "the fake provider has no tags: find by name or path".to_owned(),
                });
            }
            // One key may stand there in several versions.
            let keys: BTreeSet<&String> = self.data.iter().map(|entry| &entry.key).collect();
            let keys = keys.into_iter().filter(|key| key.starts_with(&filter.path));
            Ok(Listing { prefix: String::new(), keys: keys.cloned().collect() })
        })
    }

    fn validate(&self) -> BoxFuture<'_, Result<Validation, ProviderError>> {
        Box::pin(async move {
            match self.validation {
                FakeValidation::Ready => Ok(Validation::Ready),
                FakeValidation::Unknown => Ok(Validation::Unknown {
                    reason: "spec.provider.fake.validationResult is 1 (unknown)".to_owned(),
                }),
                FakeValidation::Error => Err(ProviderError::Settings {
                    field: "spec.provider.fake.validationResult",
                    reason: "it is 2 (error), so every check of this store fails".to_owned(),
                }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> FakeSource {
        let entry = |key: &str, version: &str, value: &str| FakeEntry {
            key: key.to_owned(),
            value: value.to_owned(),
            version: version.to_owned(),
        };
        FakeSource {
            data: vec![
                entry("plain", "", "unversioned"),
                entry("plain", "v1", "first"),
                entry("dated", "v1", "first"),
                entry("dated", "uuid/v2", "second"),
            ],
            validation: FakeValidation::Ready,
        }
    }

    fn value(key: &str, version: Version) -> Result<String, String> {
        let request = ReadRequest { key: key.to_owned(), version, content: Content::Value };
        source().find(&request).map(str::to_owned).map_err(|error| error.to_string())
    }

    #[test]
    fn no_version_is_the_entry_without_one_or_else_the_newest() {
        assert_eq!(value("plain", Version::Current), Ok("unversioned".to_owned()));
        assert_eq!(value("dated", Version::Current), Ok("second".to_owned()));
    }

    #[test]
    fn a_version_is_found_by_its_text_with_or_without_the_id_prefix() {
        assert_eq!(value("plain", Version::Stage("v1".to_owned())), Ok("first".to_owned()));
        assert_eq!(value("dated", Version::Id("v2".to_owned())), Ok("second".to_owned()));
    }

    #[test]
    fn an_absent_key_and_an_absent_version_are_told_apart() {
        let missing = value("other", Version::Current).expect_err("there is no such key");
        assert_eq!(missing, r#"secret "other" does not exist"#);
        let version = value("plain", Version::Stage("v9".to_owned())).expect_err("no such version");
        assert_eq!(
            version,
            r#"secret "plain" has no version v9; it has one without a version, v1"#
        );
    }

    #[test]
    fn an_unknown_validation_result_names_the_field() {
        let error = FakeValidation::try_from(3).expect_err("3 means nothing").to_string();
        assert!(error.contains("spec.provider.fake.validationResult"), "{error}");
    }
}
