//! What `dataTo` asks for, once the keys of the Secret are known.

use std::collections::{BTreeMap, BTreeSet};

use gotemplate::regexp::Regexp;

use super::{
    PushError,
    entries::{self, Entry, Expanded, MOST, MOST_BYTES},
    settings::settings,
    value,
};
use crate::api::external_secrets::external_secret::Rewrite;
use crate::api::external_secrets::push_secret::PushConversionStrategy;
use crate::api::external_secrets::push_secret::PushSecretData;
use crate::api::external_secrets::push_secret::PushSecretDataTo;
use crate::api::external_secrets::push_secret::PushSecretMatch;
use crate::api::external_secrets::push_secret::PushSecretRemoteRef;
use crate::api::external_secrets::push_secret::PushSecretSpec;
use crate::provider::SecretBytes;
use crate::secrets::plan::{PlanError, key::Key};

/// A compiled expression may take so many bytes: more than any that a person writes.
const REGEXP_BYTES: usize = 1 << 20;
/// Bytes of the name of a remote secret.
const LONGEST_NAME: usize = 2048;

type Data = BTreeMap<String, SecretBytes>;

/// All entries that `dataTo` makes of these data. `rewrite` gives keys other names; what they hold is only passed on.
///
/// Keys are converted, then selected, then rewritten. One that `data` names is left to `data`, but for a remote secret
/// that holds all keys.
pub(crate) fn expand<E>(
    spec: &PushSecretSpec,
    data: &Data,
    mut rewrite: impl FnMut(&str, &[Rewrite], Data) -> Result<Data, E>,
) -> Result<Vec<Expanded>, E>
where
    E: From<PushError> + From<PlanError>,
{
    let explicit = explicit(spec, data);
    let mut all = Vec::new();
    for (nth, data_to) in spec.data_to.iter().enumerate() {
        let field = format!("dataTo[{nth}]");
        let store = store(&field, spec, data_to)?;
        let settings = settings(&field, data_to.metadata.as_ref())?;
        let mut keys = selected::<E>(&field, data_to, data)?;
        let made = |remote_key: &str, secret_key: Option<&str>, keys: Option<BTreeSet<String>>| {
            let record = record(data_to, remote_key, secret_key);
            let strategy = data_to.conversion_strategy.clone();
            let (field, property) = (field.clone(), String::new());
            let secret_key = secret_key.map(ToOwned::to_owned);
            let entry = Entry { field, secret_key, property, keys, strategy, record };
            Expanded { store: store.clone(), entry, settings: settings.clone() }
        };
        if let Some(remote) = data_to.remote_key.as_deref().filter(|remote| !remote.is_empty()) {
            if !keys.is_empty() {
                all.push(made(remote, None, Some(keys)));
            }
            continue;
        }
        for key in &explicit {
            keys.remove(&value::name(&data_to.conversion_strategy, key));
        }
        // Before any of them is rewritten.
        let count = all.len() + keys.len();
        if count > MOST {
            return Err(PushError::TooMany { count, most: MOST }.into());
        }
        // Before it is copied for each of them.
        let metadata = serde_json::to_vec(&data_to.metadata).map_or(0, |text| text.len());
        let bytes = metadata.saturating_mul(keys.len());
        if bytes > MOST_BYTES {
            return Err(PushError::TooLong { bytes, most: MOST_BYTES }.into());
        }
        for (remote, key) in named(&field, data_to, keys, &mut rewrite)? {
            all.push(made(&remote, Some(&key), None));
        }
    }
    Ok(all)
}

/// The keys of the Secret that `data` names, each by a strategy of its own.
fn explicit<'a>(spec: &PushSecretSpec, data: &'a Data) -> Vec<&'a str> {
    let mut named: Vec<(&PushConversionStrategy, &str)> = Vec::new();
    for entry in &spec.data {
        let key = entry.matches.secret_key.as_deref();
        named.extend(key.map(|key| (&entry.conversion_strategy, key)));
    }
    let is_named = |key: &&str| {
        let mut named = named.iter();
        named.any(|(strategy, wanted)| value::name(strategy, key) == *wanted)
    };
    data.keys().map(String::as_str).filter(is_named).collect()
}

/// Why something is refused, in words.
struct Problem(String);

impl From<PushError> for Problem {
    fn from(error: PushError) -> Self {
        Self(error.to_string())
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        Self(error.to_string())
    }
}

/// What is wrong with `dataTo` whatever keys there are.
pub(crate) fn problem(spec: &PushSecretSpec) -> Option<String> {
    let expanded = expand::<Problem>(spec, &Data::new(), |_, _, names| Ok(names));
    expanded.err().map(|problem| problem.0)
}

/// The store of an entry, which is one of those that the object names.
fn store(
    field: &str,
    spec: &PushSecretSpec,
    data_to: &PushSecretDataTo,
) -> Result<String, PushError> {
    let stores = entries::stores(spec)?;
    let Some(reference) = &data_to.store_ref else {
        let field = format!("{field}.storeRef");
        return Err(PushError::Missing { field, remedy: "name one of spec.secretStoreRefs" });
    };
    let store = entries::store(&format!("{field}.storeRef"), reference)?;
    if stores.contains(&store) {
        return Ok(store);
    }
    Err(PushError::OtherStore { field: format!("{field}.storeRef"), store })
}

/// The keys that an entry means, under the names that they have after conversion.
fn selected<E>(field: &str, data_to: &PushSecretDataTo, data: &Data) -> Result<BTreeSet<String>, E>
where
    E: From<PushError> + From<PlanError>,
{
    if let PushConversionStrategy::Other(value) = &data_to.conversion_strategy {
        let (field, value) = (format!("{field}.conversionStrategy"), value.clone());
        return Err(PushError::UnknownValue { field, value }.into());
    }
    let keys = value::names(field, &data_to.conversion_strategy, data)?.into_keys();
    let text = data_to.matches.as_ref().and_then(|matches| matches.regexp.as_deref());
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(keys.collect()) };
    let pattern = Regexp::compile(text, REGEXP_BYTES).map_err(|_| PlanError::Regexp {
        field: format!("{field}.match.regexp"),
        text: text.to_owned(),
    })?;
    Ok(keys.filter(|key| pattern.is_match(key.as_bytes())).collect())
}

/// The names of the remote secrets, and the key that each gets.
fn named<E>(
    field: &str,
    data_to: &PushSecretDataTo,
    keys: BTreeSet<String>,
    rewrite: &mut impl FnMut(&str, &[Rewrite], Data) -> Result<Data, E>,
) -> Result<Vec<(String, String)>, E>
where
    E: From<PushError>,
{
    let operations: Vec<_> = data_to
        .rewrite
        .iter()
        .map(|one| Rewrite {
            regexp: one.regexp.clone(),
            transform: one.transform.clone(),
            merge: None,
        })
        .collect();
    // Each key carries itself, so that it is known where a name comes from.
    let names = keys.into_iter().map(|key| (key.clone(), SecretBytes::from(key))).collect();
    let named = rewrite(field, &operations, names)?;
    let mut all = Vec::with_capacity(named.len());
    for (nth, (remote, key)) in named.into_iter().enumerate() {
        let key = String::from_utf8_lossy(key.expose()).into_owned();
        if remote.is_empty() || remote.len() > LONGEST_NAME {
            let key = Key::made(nth, &key).name();
            return Err(PushError::BadName { field: format!("{field}.rewrite"), key }.into());
        }
        all.push((remote, key));
    }
    Ok(all)
}

/// As the status lists it.
fn record(data_to: &PushSecretDataTo, remote: &str, key: Option<&str>) -> PushSecretData {
    let remote_ref = PushSecretRemoteRef { remote_key: remote.to_owned(), property: None };
    PushSecretData {
        matches: PushSecretMatch { secret_key: key.map(ToOwned::to_owned), remote_ref },
        metadata: data_to.metadata.clone(),
        conversion_strategy: data_to.conversion_strategy.clone(),
    }
}
