//! `property`: a part of a JSON secret.
//!
//! The path language is gjson's, because that is what existing manifests are written in: keys and indexes
//! with dots between them, `#`, queries, wildcards, escapes, pipes and the modifiers of `modifier.rs`. It
//! works on the text of the JSON, so that numbers and nested values come out as they were written.
//! `path`, `part`, `query`, `modifier` and `multipath` import each other: they are one recursive algorithm, because a
//! path holds queries and modifiers, which hold paths.
//!
//! Everything is bounded: the length of a path, its nesting, the text that modifiers build, the work in all.

mod canonical;
mod foreign;
mod modifier;
mod multipath;
mod part;
mod path;
mod pattern;
mod pretty;
mod query;
mod scan;
mod work;

use std::collections::BTreeMap;

use scan::{JsonType, Raw};
use work::Work;
use zeroize::Zeroizing;

use crate::secret_bytes::SecretBytes;

/// Longest path.
const MAX_PATH: usize = 1024;

/// Why a property cannot be had. Holds no part of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// The secret is not JSON.
    #[error("not valid JSON")]
    NotJson,
    /// The secret is JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// The path is longer, goes deeper, or makes more work, than anything reasonable.
    #[error("the path is too long, too deeply nested or too much work")]
    TooDeep,
}

/// The value at a path, or `None` if there is none.
///
/// A path with dots is first taken as one key. Strings come out unquoted, numbers as gjson prints them,
/// `null` as nothing, objects and arrays as they were written. As in gjson, nothing validates the JSON: a mistake
/// outside of the value does no harm.
pub fn find(json: &[u8], path: &str) -> Result<Option<SecretBytes>, PropertyError> {
    if path.len() > MAX_PATH {
        return Err(PropertyError::TooDeep);
    }
    if let Ok(json) = std::str::from_utf8(json) {
        return Ok(find_in(json, path)?.map(text));
    }
    let found = find_in(&foreign::encode(json).ok_or(PropertyError::NotJson)?, path)?;
    Ok(found.map(|found| foreign::decode(&found)))
}

fn find_in(json: &str, path: &str) -> Result<Option<Zeroizing<String>>, PropertyError> {
    let work = Work::new(json.len());
    if path.contains('.')
        && let Some(found) = path::get(json, &path.replace('.', "\\."), &work, 0)?
    {
        return Ok(Some(modifier::printed(found.raw())));
    }
    let found = path::get(json, path, &work, 0)?;
    Ok(found.map(|found| modifier::printed(found.raw())))
}

/// Whether a secret is one JSON value.
pub(crate) fn is_json(json: &[u8]) -> bool {
    std::str::from_utf8(json).is_ok_and(scan::is_json)
}

/// Every key of a JSON object with its value: strings unquoted, everything else as it was written.
pub fn entries(json: &[u8]) -> Result<BTreeMap<String, SecretBytes>, PropertyError> {
    Ok(members(json)?.into_iter().map(|(key, member)| (key, member.printed())).collect())
}

/// A value in a JSON object, as it was written.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a>(Raw<'a>);

impl Member<'_> {
    /// A string unquoted, `null` as nothing, everything else as it was written.
    pub(crate) fn printed(&self) -> SecretBytes {
        match self.0.json_type {
            JsonType::Null => SecretBytes::default(),
            JsonType::String => text(scan::decode(self.0.text)),
            _ => SecretBytes::new(self.0.text.as_bytes().to_vec()),
        }
    }

    /// As `rewrite.merge` prints it: a string unquoted, `null` as nothing, a number without exponent, everything
    /// else as Go writes it.
    pub(crate) fn merged(&self) -> Result<SecretBytes, PropertyError> {
        match self.0.json_type {
            JsonType::Number => {
                canonical::finite(self.0.text)?;
                Ok(SecretBytes::from(scan::print_number(self.0.text)))
            }
            JsonType::Object | JsonType::Array => canonical::canonical(self.0, true).map(text),
            _ => Ok(self.printed()),
        }
    }
}

/// Keys and values of a JSON object, in the order in which they were written.
pub(crate) fn members(json: &[u8]) -> Result<Vec<(String, Member<'_>)>, PropertyError> {
    let json = checked(json)?;
    if json.json_type != JsonType::Object {
        return Err(PropertyError::NotAnObject);
    }
    Ok(scan::entries(json.text)
        .map(|(key, value)| (scan::decode(key).to_string(), Member(value)))
        .collect())
}

/// A JSON object of these members, as Go writes it.
pub(crate) fn object(members: &BTreeMap<String, Member<'_>>) -> Result<SecretBytes, PropertyError> {
    let keys: Vec<_> = members.keys().map(|key| modifier::quoted(key, false)).collect();
    let values: Vec<_> = members
        .values()
        .map(|member| canonical::canonical(member.0, false))
        .collect::<Result<_, _>>()?;
    let entries = keys.iter().zip(&values).map(|(key, value)| (key.as_str(), value.as_str()));
    Ok(text(modifier::mapped(entries)))
}

fn checked(json: &[u8]) -> Result<Raw<'_>, PropertyError> {
    let text = std::str::from_utf8(json).map_err(|_| PropertyError::NotJson)?;
    scan::parse(text).filter(|_| scan::is_json(text)).ok_or(PropertyError::NotJson)
}

fn text(mut text: Zeroizing<String>) -> SecretBytes {
    SecretBytes::from(std::mem::take(&mut *text))
}

#[cfg(test)]
mod tests;
