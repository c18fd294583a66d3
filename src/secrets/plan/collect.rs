//! What an `ExternalSecret` asks of its providers, and what the answers make.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::decode::check_key;
use super::decode::check_null_bytes;
use super::decode::convert_keys;
use super::decode::decode;
use super::error::PlanError;
use super::find;
use super::find::Found;
use super::find::Search;
use super::generate::Generated;
use super::key::{Key, KeyName};
use super::keys;
use super::rewrite;
use super::template::Engine;
use crate::api::external_secrets::external_secret::ConversionStrategy;
use crate::api::external_secrets::external_secret::DataFromEntry;
use crate::api::external_secrets::external_secret::DeletionPolicy;
use crate::api::external_secrets::external_secret::ExternalSecretSpec;
use crate::api::external_secrets::external_secret::Find;
use crate::api::external_secrets::external_secret::MetadataPolicy;
use crate::api::external_secrets::external_secret::NullBytePolicy;
use crate::api::external_secrets::external_secret::RemoteRef;
use crate::api::external_secrets::external_secret::SourceRef;
use crate::api::external_secrets::references::DecodingStrategy;
use crate::api::external_secrets::references::StoreKind;
use crate::gjson;
use crate::gjson::PropertyError;
use crate::provider::{Content, Fetched, ProviderError, ReadRequest, SecretBytes, Version};

/// A store, as an object refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StoreId {
    /// Whether it is a `ClusterSecretStore`.
    pub(crate) cluster: bool,
    /// Its name. A `SecretStore` is in the namespace of the object.
    pub(crate) name: String,
}

/// One question of an `ExternalSecret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Where it is in the object: `dataFrom[0].extract` or `data[3].remoteRef`.
    pub(crate) field: String,
    /// Whom to ask.
    pub(crate) store: StoreId,
    /// What to ask.
    pub(crate) ask: Ask,
}

/// What is asked of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// One secret.
    Read(ReadRequest),
    /// All secrets that match.
    Find(Search),
}

/// One answer to a [`Lookup`].
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// To [`Ask::Read`].
    Read {
        /// What the provider answered.
        result: Result<Arc<Fetched>, ProviderError>,
        /// Whether a property that the secret does not have counts as a missing secret. It does for the fake
        /// provider; for AWS it is an error, which no deletion policy excuses.
        absent_property_is_missing: bool,
    },
    /// To [`Ask::Find`].
    Found(Result<Found, PlanError>),
}

impl Answer {
    /// Why the provider gave none.
    pub(crate) fn failure(&self) -> Option<&ProviderError> {
        match self {
            Self::Read { result: Err(error), .. }
            | Self::Found(Err(PlanError::Provider { source: error, .. })) => Some(error),
            Self::Read { .. } | Self::Found(_) => None,
        }
    }
}

/// What the answers make.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected {
    /// The data, before a template.
    pub(crate) data: BTreeMap<String, SecretBytes>,
    /// Fields whose remote secret is missing and that the deletion policy excuses.
    pub(crate) missing: Vec<String>,
}

/// Every question of an object, in the order in which the answers count.
///
/// Equal questions are listed each time they are asked: sharing them is the fetcher's business.
pub fn lookups(spec: &ExternalSecretSpec) -> Result<Vec<Lookup>, PlanError> {
    check_supported(spec)?;
    if spec.data.is_empty() && spec.data_from.is_empty() {
        return Err(PlanError::Nothing);
    }
    // Generators are asked apart.
    let of_stores = spec.data_from.iter().enumerate();
    let of_stores = of_stores.filter(|(_, entry)| !has_generator(entry.source_ref.as_ref()));
    let from = of_stores.map(|(nth, entry)| {
        let field = format!("dataFrom[{nth}]");
        let store = store(spec, &field, entry.source_ref.as_ref());
        match (&entry.extract, &entry.find) {
            (Some(remote), _) => read(format!("{field}.extract"), store?, remote),
            (None, Some(find)) => {
                let (store, field) = (store?, format!("{field}.find"));
                let ask = Ask::Find(find::search(&field, find)?);
                Ok(Lookup { field, store, ask })
            }
            (None, None) => Err(PlanError::NoSource { field }),
        }
    });
    let data = spec.data.iter().enumerate().map(|(nth, entry)| {
        let field = format!("data[{nth}]");
        let store = store(spec, &field, entry.source_ref.as_ref())?;
        read(format!("{field}.remoteRef"), store, &entry.remote_ref)
    });
    from.chain(data).collect()
}

/// The store that an entry reads from.
fn store(
    spec: &ExternalSecretSpec,
    entry: &str,
    source: Option<&SourceRef>,
) -> Result<StoreId, PlanError> {
    let own = source.and_then(|source| source.store_ref.as_ref());
    let store = own.or(spec.secret_store_ref.as_ref());
    let cluster = match store.and_then(|store| store.kind.as_ref()) {
        None | Some(StoreKind::SecretStore) => false,
        Some(StoreKind::ClusterSecretStore) => true,
        Some(StoreKind::Other(value)) => {
            let field = if own.is_some() {
                format!("{entry}.sourceRef.storeRef.kind")
            } else {
                "secretStoreRef.kind".to_owned()
            };
            return Err(PlanError::UnknownValue { field, value: value.clone() });
        }
    };
    let name = store.and_then(|store| store.name.clone()).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| PlanError::NoStore { field: entry.to_owned() })?;
    Ok(StoreId { cluster, name })
}

fn read(field: String, store: StoreId, remote: &RemoteRef) -> Result<Lookup, PlanError> {
    let content = match remote.metadata_policy.as_ref() {
        None | Some(MetadataPolicy::None) => Content::Value,
        Some(MetadataPolicy::Fetch) => Content::Tags,
        Some(MetadataPolicy::Other(value)) => {
            let field = format!("{field}.metadataPolicy");
            return Err(PlanError::UnknownValue { field, value: value.clone() });
        }
    };
    let version = parse_version(remote.version.as_deref().unwrap_or_default());
    let ask = Ask::Read(ReadRequest { key: remote.key.clone(), version, content });
    Ok(Lookup { field, store, ask })
}

fn parse_version(text: &str) -> Version {
    match text.strip_prefix("uuid/") {
        Some(id) => Version::Id(id.to_owned()),
        None if text.is_empty() => Version::Current,
        None => Version::Stage(text.to_owned()),
    }
}

/// Refuses what this release would otherwise ignore.
fn check_supported(spec: &ExternalSecretSpec) -> Result<(), PlanError> {
    let mut unsupported = Vec::new();
    if spec.target.manifest.is_some() {
        unsupported.push("target.manifest".to_owned());
    }
    for (nth, entry) in spec.data.iter().enumerate() {
        if has_generator(entry.source_ref.as_ref()) {
            unsupported.push(format!("data[{nth}].sourceRef.generatorRef"));
        }
    }
    match unsupported.into_iter().next() {
        Some(field) => Err(PlanError::NotImplemented { field }),
        None => Ok(()),
    }
}

fn has_generator(source: Option<&SourceRef>) -> bool {
    source.is_some_and(|source| source.generator_ref.is_some())
}

/// Makes the data out of the answers, which are in the order of [`lookups`], and of what generators made.
///
/// dataFrom in its order, then data: the later wins. A secret that is missing is an error under
/// `deletionPolicy: Retain` and is left out otherwise.
pub(crate) fn collect(
    spec: &ExternalSecretSpec,
    answers: &[Answer],
    generated: &Generated,
    engine: &mut Engine<'_>,
) -> Result<Collected, PlanError> {
    check_duplicates(spec)?;
    let mut collected = Collected::default();
    let mut answers = answers.iter();
    // Fewer answers than questions: the rest is unknown, and nothing may be concluded from that.
    let unanswered = |field: String| PlanError::Provider {
        field,
        source: ProviderError::Unavailable { reason: "no answer".to_owned(), source: None },
    };
    for (nth, entry) in spec.data_from.iter().enumerate() {
        if has_generator(entry.source_ref.as_ref()) {
            let field = format!("dataFrom[{nth}].sourceRef");
            let made = generated.get(&nth).cloned().ok_or_else(|| unanswered(field.clone()))?;
            collected.data.extend(rewritten_keys(&field, entry, made, engine)?);
            continue;
        }
        let part = if entry.extract.is_some() { "extract" } else { "find" };
        let field = format!("dataFrom[{nth}].{part}");
        let answer = answers.next().ok_or_else(|| unanswered(field.clone()))?;
        match (&entry.extract, &entry.find) {
            (Some(remote), _) => match value(spec, &field, remote, answer)? {
                Some(value) => {
                    collected.data.extend(extract(&field, entry, answer, &value, engine)?);
                }
                None => collected.missing.push(field),
            },
            (None, Some(find)) => {
                let Answer::Found(found) = answer else { return Err(unanswered(field)) };
                let data = find::values(&field, found.clone()?)?;
                collected.data.extend(finished(
                    &field,
                    entry,
                    &Policies::from(find),
                    data,
                    engine,
                )?);
            }
            (None, None) => return Err(PlanError::NoSource { field: format!("dataFrom[{nth}]") }),
        }
    }
    for (nth, entry) in spec.data.iter().enumerate() {
        let field = format!("data[{nth}].remoteRef");
        let remote = &entry.remote_ref;
        let answer = answers.next().ok_or_else(|| unanswered(field.clone()))?;
        match value(spec, &field, remote, answer)? {
            Some(value) => {
                let key = Key::from(entry.secret_key.as_str());
                let value = finish(&field, key, &Policies::from(remote), value)?;
                collected.data.insert(entry.secret_key.clone(), value);
            }
            None => collected.missing.push(field),
        }
    }
    Ok(collected)
}

/// The value that an entry speaks of, or `None` if it is missing and may be.
fn value(
    spec: &ExternalSecretSpec,
    field: &str,
    remote: &RemoteRef,
    answer: &Answer,
) -> Result<Option<SecretBytes>, PlanError> {
    let excused = spec.target.deletion_policy != DeletionPolicy::Retain;
    let no_answer = ProviderError::Unavailable { reason: "no answer".to_owned(), source: None };
    let (result, absent_property_is_missing) = match answer {
        Answer::Read { result, absent_property_is_missing } => {
            (result.as_ref().map_err(Clone::clone), *absent_property_is_missing)
        }
        Answer::Found(_) => (Err(no_answer), false),
    };
    let fetched = match result {
        Ok(fetched) => fetched,
        Err(ProviderError::NotFound { .. }) if excused => return Ok(None),
        Err(source) => {
            return Err(PlanError::Provider { field: field.to_owned(), source });
        }
    };
    let (field, key) = (|| field.to_owned(), || remote.key.clone());
    let no_value = || PlanError::NoValue { field: field(), key: key() };
    let property = remote.property.as_deref().filter(|path| !path.is_empty());
    if let (Some(keys), Some(path)) = (&fetched.keys, property) {
        let found =
            keys::value(keys, path).map_err(|error| property_error(error, field(), key()))?;
        let absent =
            || PlanError::PropertyAbsent { field: field(), key: key(), property: path.to_owned() };
        return found.ok_or_else(absent).map(Some);
    }
    let Some(path) = property else {
        return fetched
            .text
            .as_ref()
            .or(fetched.binary.as_ref())
            .cloned()
            .map(Some)
            .ok_or_else(no_value);
    };
    let json = fetched.binary.as_ref().or(fetched.text.as_ref()).ok_or_else(no_value)?;
    match gjson::find(json.expose(), path).map_err(|error| property_error(error, field(), key()))? {
        Some(value) => Ok(Some(value)),
        // A broken text proves nothing about what it should contain.
        None if !gjson::is_json(json.expose()) => {
            Err(PlanError::NotJson { field: field(), key: key() })
        }
        None if absent_property_is_missing && excused => Ok(None),
        None => {
            Err(PlanError::PropertyAbsent { field: field(), key: key(), property: path.to_owned() })
        }
    }
}

fn property_error(error: PropertyError, field: String, key: String) -> PlanError {
    match error {
        PropertyError::NotJson => PlanError::NotJson { field, key },
        PropertyError::NotAnObject => PlanError::NotAnObject { field, key },
        PropertyError::TooDeep => PlanError::PropertyPath { field, reason: error.to_string() },
    }
}

/// Every key of a secret, or of a JSON object, under names that a Secret can have.
fn extract(
    field: &str,
    entry: &DataFromEntry,
    answer: &Answer,
    value: &SecretBytes,
    engine: &mut Engine<'_>,
) -> Result<BTreeMap<String, SecretBytes>, PlanError> {
    let Some(remote) = &entry.extract else { return Ok(BTreeMap::new()) };
    if let Answer::Read { result: Ok(fetched), .. } = answer
        && let Some(keys) = &fetched.keys
        && remote.property.as_deref().is_none_or(str::is_empty)
    {
        return finished(field, entry, &Policies::from(remote), keys.clone(), engine);
    }
    let data = match gjson::entries(value.expose()) {
        Ok(data) => data,
        // The value of a property is no JSON of its own where it is a string.
        Err(PropertyError::NotJson) if remote.property.is_some() => {
            return Err(PlanError::NotAnObject {
                field: field.to_owned(),
                key: remote.key.clone(),
            });
        }
        Err(error) => return Err(property_error(error, field.to_owned(), remote.key.clone())),
    };
    finished(field, entry, &Policies::from(remote), data, engine)
}

/// What an entry says of keys and values.
struct Policies {
    conversion: ConversionStrategy,
    decoding: DecodingStrategy,
    null_bytes: NullBytePolicy,
    /// What a message may say of a key.
    name: fn(usize, &str) -> KeyName,
}

impl From<&RemoteRef> for Policies {
    fn from(remote: &RemoteRef) -> Self {
        Self {
            conversion: remote.conversion_strategy.clone().unwrap_or_default(),
            decoding: remote.decoding_strategy.clone().unwrap_or_default(),
            null_bytes: remote.null_byte_policy.clone().unwrap_or_default(),
            name: |nth, key| Key::made(nth, key).name(),
        }
    }
}

impl From<&Find> for Policies {
    fn from(find: &Find) -> Self {
        Self {
            conversion: find.conversion_strategy.clone().unwrap_or_default(),
            decoding: find.decoding_strategy.clone().unwrap_or_default(),
            null_bytes: find.null_byte_policy.clone().unwrap_or_default(),
            // The name of a secret is none.
            name: |_, key| Key::from(key).name(),
        }
    }
}

/// Many keys under names that a Secret can have, with decoded values.
fn finished(
    field: &str,
    entry: &DataFromEntry,
    policies: &Policies,
    data: BTreeMap<String, SecretBytes>,
    engine: &mut Engine<'_>,
) -> Result<BTreeMap<String, SecretBytes>, PlanError> {
    let data = if entry.rewrite.is_empty() {
        convert_keys(field, &policies.conversion, data, policies.name)?
    } else {
        rewritten_keys(field, entry, data, engine)?
    };
    let finished = |(nth, (key, value)): (usize, (String, SecretBytes))| {
        let value = finish(field, Key::made(nth, &key), policies, value)?;
        Ok((key, value))
    };
    data.into_iter().enumerate().map(finished).collect()
}

/// Keys as the rewrite operations leave them: those are checked and not converted.
fn rewritten_keys(
    field: &str,
    entry: &DataFromEntry,
    data: BTreeMap<String, SecretBytes>,
    engine: &mut Engine<'_>,
) -> Result<BTreeMap<String, SecretBytes>, PlanError> {
    let parent = field.rsplit_once('.').map_or(field, |(parent, _)| parent);
    let mut data = rewrite::rewrite(parent, &entry.rewrite, data, engine)?;
    data.retain(|key, _| !key.is_empty());
    let mut keys = data.keys().enumerate();
    keys.try_for_each(|(nth, key)| check_key(parent, Key::made(nth, key)))?;
    Ok(data)
}

/// Decodes a value and refuses what its policy refuses.
fn finish(
    field: &str,
    key: Key<'_>,
    policies: &Policies,
    value: SecretBytes,
) -> Result<SecretBytes, PlanError> {
    let value = decode(field, key, &policies.decoding, value)?;
    check_null_bytes(field, key, &policies.null_bytes, &value)?;
    Ok(value)
}

/// Two entries of one key: a mistake, unless they are meant as alternatives of which one may be missing.
fn check_duplicates(spec: &ExternalSecretSpec) -> Result<(), PlanError> {
    if spec.target.deletion_policy != DeletionPolicy::Retain {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    match spec.data.iter().find(|entry| !seen.insert(&entry.secret_key)) {
        Some(entry) => Err(PlanError::DuplicateKey { key: entry.secret_key.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
