//! What an entry is worth.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    PushError,
    entries::{Entry, Group},
    json,
    settings::Service,
};
use crate::api::external_secrets::push_secret::PushConversionStrategy;
use crate::provider::SecretBytes;
use crate::secrets::plan::hash;

type Data = BTreeMap<String, SecretBytes>;

/// What is put into the remote secret: by property, or whole under an empty one.
pub(crate) type Parts = BTreeMap<String, SecretBytes>;

/// The parts of a group, given the data of the Secret or what its template made of them.
pub(crate) fn parts(
    group: &Group,
    data: &Data,
    service: Service,
    templated: bool,
) -> Result<Parts, PushError> {
    let plain = service == Service::SecretsManager || group.settings.decoded;
    let mut parts = Parts::new();
    for entry in &group.entries {
        parts.insert(entry.property.clone(), worth(entry, data, plain, templated)?);
    }
    Ok(parts)
}

/// Tells one set of parts from another. Kept in memory only.
pub(crate) fn digest(parts: &Parts) -> String {
    hash::data_hash(parts)
}

fn worth(
    entry: &Entry,
    data: &Data,
    plain: bool,
    templated: bool,
) -> Result<SecretBytes, PushError> {
    let mut data = converted(entry, data)?;
    if let Some(keys) = &entry.keys {
        data.retain(|key, _| keys.contains(key));
    }
    let Some(key) = &entry.secret_key else { return whole(entry, &data, plain) };
    data.get(key).map(|value| (*value).clone()).ok_or_else(|| PushError::KeyMissing {
        field: entry.field.clone(),
        what: if templated { "output of the template" } else { "Secret" },
        key: key.clone(),
    })
}

/// All keys as one JSON object. Parameter Store gets the values in base64 unless the metadata say otherwise, as
/// from External Secrets Operator.
fn whole(
    entry: &Entry,
    data: &BTreeMap<String, &SecretBytes>,
    plain: bool,
) -> Result<SecretBytes, PushError> {
    let mut texts: Vec<(&str, Zeroizing<String>)> = Vec::with_capacity(data.len());
    for (key, value) in data {
        let text = if plain {
            let text = std::str::from_utf8(value.expose()).map_err(|_| PushError::NotText {
                field: entry.field.clone(),
                why: "a JSON object holds text only: name a secretKey",
            })?;
            text.to_owned()
        } else {
            STANDARD.encode(value.expose())
        };
        texts.push((key, Zeroizing::new(text)));
    }
    Ok(json::object(texts.iter().map(|(key, text)| (*key, text.as_str()))))
}

/// The data under the keys that the entry means.
fn converted<'a>(
    entry: &Entry,
    data: &'a Data,
) -> Result<BTreeMap<String, &'a SecretBytes>, PushError> {
    names(&entry.field, &entry.strategy, data)
}

/// The data under the names that the keys have after conversion.
pub(crate) fn names<'a>(
    field: &str,
    strategy: &PushConversionStrategy,
    data: &'a Data,
) -> Result<BTreeMap<String, &'a SecretBytes>, PushError> {
    let mut converted = BTreeMap::new();
    for (key, value) in data {
        if converted.insert(name(strategy, key), value).is_some() {
            return Err(PushError::KeyCollision { field: field.to_owned() });
        }
    }
    Ok(converted)
}

/// The name that a key has after conversion.
pub(crate) fn name(strategy: &PushConversionStrategy, key: &str) -> String {
    match strategy {
        PushConversionStrategy::ReverseUnicode => reversed(key),
        _ => key.to_owned(),
    }
}

/// Turns `_U0040_` into the character that it stands for.
fn reversed(key: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(key.len()), key);
    while let Some(at) = rest.find("_U") {
        let character = rest[at + 2..].split_once('_').and_then(|(hex, after)| {
            let is_code =
                (4..=6).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
            let code = u32::from_str_radix(hex, 16).ok().filter(|_| is_code)?;
            char::from_u32(code).map(|c| (c, after))
        });
        if let Some((c, after)) = character {
            out.push_str(&rest[..at]);
            out.push(c);
            rest = after;
        } else {
            out.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
        }
    }
    out.push_str(rest);
    out
}

/// What the remote secret should hold, given what it holds.
pub(crate) fn desired(
    group: &Group,
    parts: &Parts,
    existing: Option<&SecretBytes>,
    service: Service,
) -> Result<SecretBytes, PushError> {
    let made = match parts.get("") {
        Some(whole) => whole.clone(),
        None => merged(group, parts, existing)?,
    };
    let (most, remedy) = service.most(&group.settings);
    if made.len() > most {
        return Err(PushError::TooLarge {
            remote: group.remote_key.clone(),
            bytes: made.len(),
            service: service.name(),
            most,
            remedy,
        });
    }
    Ok(made)
}

fn merged(
    group: &Group,
    parts: &Parts,
    existing: Option<&SecretBytes>,
) -> Result<SecretBytes, PushError> {
    let mut made = existing.cloned().unwrap_or_else(|| json::object([]));
    for entry in &group.entries {
        let Some(value) = parts.get(&entry.property) else { continue };
        let text = std::str::from_utf8(value.expose()).map_err(|_| PushError::NotText {
            field: entry.field.clone(),
            why: "a property of a JSON object is text: push it without property",
        })?;
        if json::holds(made.expose(), &entry.property, text) {
            continue;
        }
        made = json::set(made.expose(), &entry.property, text).map_err(|_| {
            PushError::NotAnObject {
                remote: group.remote_key.clone(),
                property: entry.property.clone(),
            }
        })?;
    }
    Ok(made)
}
