//! What a `PushSecret` asks for, one entry for each store and place.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::{
    PushError,
    pace::LEAST_INTERVAL,
    settings::{Settings, settings},
};
use crate::api::external_secrets::push_secret::PushConversionStrategy;
use crate::api::external_secrets::push_secret::PushDeletionPolicy;
use crate::api::external_secrets::push_secret::PushSecretData;
use crate::api::external_secrets::push_secret::PushSecretRemoteRef;
use crate::api::external_secrets::push_secret::PushSecretSpec;
use crate::api::external_secrets::push_secret::PushSecretStoreRef;
use crate::api::external_secrets::push_secret::PushUpdatePolicy;
use crate::api::external_secrets::references::StoreKind;
use crate::duration;

/// Entries of one object, over all stores.
pub(super) const MOST: usize = 500;
/// Keys of the Secret, or of what its template makes.
const MOST_KEYS: usize = 2000;
/// Bytes of all entries, once for each store: the status has them all.
pub(super) const MOST_BYTES: usize = 512 << 10;
const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// One entry of one store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Path below `spec`.
    pub(crate) field: String,
    /// Key of the Secret; `None`: all of them.
    pub(crate) secret_key: Option<String>,
    /// Field of the remote secret; empty: all of it.
    pub(crate) property: String,
    /// Of all keys, only these; `None`: every one.
    pub(crate) keys: Option<BTreeSet<String>>,
    /// How keys are read.
    pub(crate) strategy: PushConversionStrategy,
    /// As the status lists it.
    pub(crate) record: PushSecretData,
}

/// What `dataTo` comes to: one entry for one store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expanded {
    /// The store: its kind, a slash and its name.
    pub(crate) store: String,
    /// What is pushed where.
    pub(crate) entry: Entry,
    /// The settings of the remote secret.
    pub(crate) settings: Settings,
}

/// All entries of one remote secret of one store: they are one write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// The store: its kind, a slash and its name.
    pub(crate) store: String,
    /// The remote secret.
    pub(crate) remote_key: String,
    /// What is put there.
    pub(crate) entries: Vec<Entry>,
    /// Its settings.
    pub(crate) settings: Settings,
}

/// How the status calls a place.
pub(crate) fn id(remote: &PushSecretRemoteRef) -> String {
    match property(remote) {
        "" => remote.remote_key.clone(),
        property => format!("{}/{property}", remote.remote_key),
    }
}

/// The property of a reference; empty: there is none.
pub(crate) fn property(remote: &PushSecretRemoteRef) -> &str {
    remote.property.as_deref().unwrap_or_default()
}

/// The name of the Secret that is pushed. Whatever this release cannot honour is refused here, too.
pub(crate) fn source(spec: &PushSecretSpec) -> Result<&str, PushError> {
    let unsupported =
        |field: &str, remedy| Err(PushError::NotImplemented { field: field.to_owned(), remedy });
    if spec.selector.generator_ref.is_some() {
        let remedy =
            "write the generator's value to a Secret with an ExternalSecret, and name that Secret";
        return unsupported("selector.generatorRef", remedy);
    }
    let secret = spec.selector.secret.as_ref();
    if secret.is_some_and(|secret| secret.selector.is_some()) {
        return unsupported("selector.secret.selector", "name the Secret");
    }
    if let PushUpdatePolicy::Other(value) = &spec.update_policy {
        let field = "updatePolicy".to_owned();
        return Err(PushError::UnknownValue { field, value: value.clone() });
    }
    if let PushDeletionPolicy::Other(value) = &spec.deletion_policy {
        let field = "deletionPolicy".to_owned();
        return Err(PushError::UnknownValue { field, value: value.clone() });
    }
    let name = secret.and_then(|secret| secret.name.as_deref()).filter(|name| !name.is_empty());
    name.ok_or_else(|| PushError::Missing {
        field: "selector.secret.name".to_owned(),
        remedy: "name the Secret that is pushed",
    })
}

/// The stores, as the status names them, in the order of the spec.
pub(crate) fn stores(spec: &PushSecretSpec) -> Result<Vec<String>, PushError> {
    let mut stores = Vec::new();
    for (nth, reference) in spec.secret_store_refs.iter().enumerate() {
        let store = store(&format!("secretStoreRefs[{nth}]"), reference)?;
        if !stores.contains(&store) {
            stores.push(store);
        }
    }
    if stores.is_empty() {
        let field = "secretStoreRefs".to_owned();
        return Err(PushError::Missing { field, remedy: "name at least one store" });
    }
    Ok(stores)
}

/// A store as the status names it.
pub(crate) fn store(field: &str, reference: &PushSecretStoreRef) -> Result<String, PushError> {
    if reference.label_selector.is_some() {
        let field = format!("{field}.labelSelector");
        return Err(PushError::NotImplemented { field, remedy: "name the store" });
    }
    let kind = match &reference.kind {
        None | Some(StoreKind::SecretStore) => "SecretStore",
        Some(StoreKind::ClusterSecretStore) => "ClusterSecretStore",
        Some(StoreKind::Other(value)) => {
            let field = format!("{field}.kind");
            return Err(PushError::UnknownValue { field, value: value.clone() });
        }
    };
    let name = reference.name.as_deref().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| PushError::Missing {
        field: format!("{field}.name"),
        remedy: "name the store",
    })?;
    Ok(format!("{kind}/{name}"))
}

/// How often the remote secrets are compared; zero or less: never.
pub(crate) fn interval(spec: &PushSecretSpec) -> Result<SignedDuration, PushError> {
    let Some(text) = spec.refresh_interval.as_deref() else { return Ok(DEFAULT_INTERVAL) };
    let field = || "refreshInterval".to_owned();
    let interval = duration::parse(text)
        .ok_or_else(|| PushError::Duration { field: field(), text: text.to_owned() })?;
    Ok(if interval.is_positive() { interval.max(LEAST_INTERVAL) } else { interval })
}

/// Refuses what has more keys than can be gone over for each entry.
pub(crate) fn check_keys(count: usize) -> Result<(), PushError> {
    if count > MOST_KEYS {
        return Err(PushError::ManyKeys { count, most: MOST_KEYS });
    }
    Ok(())
}

/// What `data` asks for, by remote secret.
pub(crate) fn groups(spec: &PushSecretSpec) -> Result<Vec<Group>, PushError> {
    gather(spec, Vec::new())
}

/// What `data` asks for, and what `dataTo` came to, by remote secret.
pub(crate) fn gather(
    spec: &PushSecretSpec,
    expanded: Vec<Expanded>,
) -> Result<Vec<Group>, PushError> {
    let stores = stores(spec)?;
    check_size(spec, stores.len(), &expanded)?;
    if spec.data.is_empty() && spec.data_to.is_empty() {
        let field = "data".to_owned();
        return Err(PushError::Missing { field, remedy: "say which key goes where" });
    }
    let mut of_one_store: Vec<Group> = Vec::new();
    let mut ids: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut note = |store: &str, field: &str, remote: &PushSecretRemoteRef| {
        let (id, field) = ((store.to_owned(), id(remote)), field.to_owned());
        match ids.insert(id, field.clone()) {
            None => Ok(()),
            Some(other) => {
                Err(PushError::Twice { field, other, remote: remote.remote_key.clone() })
            }
        }
    };
    for (nth, data) in spec.data.iter().enumerate() {
        let field = format!("data[{nth}]");
        if let PushConversionStrategy::Other(value) = &data.conversion_strategy {
            let field = format!("{field}.conversionStrategy");
            return Err(PushError::UnknownValue { field, value: value.clone() });
        }
        let remote = &data.matches.remote_ref;
        for store in &stores {
            note(store, &field, remote)?;
        }
        let settings = settings(&field, data.metadata.as_ref())?;
        let entry = Entry {
            field,
            secret_key: data.matches.secret_key.clone().filter(|key| !key.is_empty()),
            property: property(remote).to_owned(),
            keys: None,
            strategy: data.conversion_strategy.clone(),
            record: data.clone(),
        };
        join(&mut of_one_store, "", entry, settings)?;
    }
    let mut groups: Vec<_> = stores
        .iter()
        .flat_map(|store| {
            of_one_store.iter().map(|group| Group { store: store.clone(), ..group.clone() })
        })
        .collect();
    for Expanded { store, entry, settings } in expanded {
        note(&store, &entry.field, &entry.record.matches.remote_ref)?;
        join(&mut groups, &store, entry, settings)?;
    }
    Ok(groups)
}

fn check_size(
    spec: &PushSecretSpec,
    stores: usize,
    expanded: &[Expanded],
) -> Result<(), PushError> {
    let count = spec.data.len().saturating_mul(stores).saturating_add(expanded.len());
    if count > MOST {
        return Err(PushError::TooMany { count, most: MOST });
    }
    let length = |data: &PushSecretData| {
        let written = serde_json::to_vec(data).map_or(0, |text| text.len());
        written + id(&data.matches.remote_ref).len()
    };
    let explicit = spec.data.iter().map(length).sum::<usize>().saturating_mul(stores);
    let made: usize = expanded.iter().map(|expanded| length(&expanded.entry.record)).sum();
    let bytes = explicit.saturating_add(made);
    if bytes > MOST_BYTES {
        return Err(PushError::TooLong { bytes, most: MOST_BYTES });
    }
    Ok(())
}

/// Adds an entry to the group of its remote secret.
fn join(
    groups: &mut Vec<Group>,
    store: &str,
    entry: Entry,
    settings: Settings,
) -> Result<(), PushError> {
    let remote_key = entry.record.matches.remote_ref.remote_key.clone();
    let is_same = |group: &&mut Group| group.store == store && group.remote_key == remote_key;
    let Some(group) = groups.iter_mut().find(is_same) else {
        let store = store.to_owned();
        groups.push(Group { store, remote_key, entries: vec![entry], settings });
        return Ok(());
    };
    let overlaps = |other: &&Entry| other.property.is_empty() || entry.property.is_empty();
    if let Some(other) = group.entries.iter().find(overlaps) {
        let (field, other) = (entry.field, other.field.clone());
        return Err(PushError::Twice { field, other, remote: remote_key });
    }
    if settings != Settings::default() {
        if group.settings != Settings::default() && group.settings != settings {
            let other = group.entries.first().map(|first| first.field.clone()).unwrap_or_default();
            return Err(PushError::Settings { field: entry.field, other, remote: remote_key });
        }
        group.settings = settings;
    }
    group.entries.push(entry);
    Ok(())
}
