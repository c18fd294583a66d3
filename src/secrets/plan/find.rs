//! `find`: which of a provider's secrets are meant, and what their values make.

use std::{collections::BTreeMap, sync::Arc};

use gotemplate::regexp::{Refusal, Regexp};

use super::allowed_keys::Patterns;
use super::error::PlanError;
use crate::api::external_secrets::external_secret::Find;
use crate::provider::{Fetched, Filter, Listing, SecretBytes};

/// A compiled expression may take so many bytes: more than any that a person writes.
const REGEXP_BYTES: usize = 1 << 20;
/// More tags than a secret of any provider can have.
const MOST_TAGS: usize = 50;
/// One object finds at most so many secrets.
pub(crate) const MOST_FOUND: usize = 5_000;
/// Their values have at most so many bytes: twice what a Secret holds, as a template may use a part of them.
pub(crate) const MOST_BYTES: usize = 2 << 20;

/// One `find` of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Search {
    /// What the provider is asked for. Objects whose filters are equal share the list.
    pub(crate) filter: Filter,
    /// Which of the names are meant; `None`: all.
    pub(crate) regexp: Option<String>,
}

/// Full names, and what was read of them.
pub(crate) type Found = Vec<(String, Arc<Fetched>)>;

/// What `find` asks for.
pub(crate) fn search(field: &str, find: &Find) -> Result<Search, PlanError> {
    if find.name.is_none() && find.tags.is_empty() && find.path.as_deref().is_none_or(str::is_empty)
    {
        return Err(PlanError::EmptyFind { field: field.to_owned() });
    }
    let count = find.tags.len();
    if count > MOST_TAGS {
        return Err(PlanError::TooManyTags { field: field.to_owned(), count, most: MOST_TAGS });
    }
    let filter = Filter { path: find.path.clone().unwrap_or_default(), tags: find.tags.clone() };
    let regexp = find.name.as_ref().and_then(|name| name.regexp.clone());
    Ok(Search { filter, regexp: regexp.filter(|regexp| !regexp.is_empty()) })
}

/// The expression of a search, ready to use. Asked for before the provider is.
pub(crate) fn pattern(field: &str, search: &Search) -> Result<Option<Regexp>, PlanError> {
    let Some(text) = &search.regexp else { return Ok(None) };
    let field = format!("{field}.name.regexp");
    match Regexp::compile(text, REGEXP_BYTES) {
        Ok(regexp) => Ok(Some(regexp)),
        Err(Refusal::Size) => {
            let reason = "it takes more than a megabyte when compiled";
            Err(PlanError::CostlyRegexp { field, reason })
        }
        Err(Refusal::Syntax) => Err(PlanError::Regexp { field, text: text.clone() }),
    }
}

/// The keys of a listing that may be read and whose full name matches. `in_time` says whether to go on, and is asked
/// before each name.
pub(crate) fn matching(
    field: &str,
    (pattern, allowed): (Option<&Regexp>, Option<&Patterns>),
    listing: &Listing,
    mut in_time: impl FnMut() -> bool,
) -> Result<Vec<String>, PlanError> {
    let mut matching = Vec::new();
    let mut name = listing.prefix.clone();
    for key in &listing.keys {
        if allowed.is_some_and(|allowed| !allowed.allows(key)) {
            continue;
        }
        if let Some(pattern) = pattern {
            if !in_time() {
                let field = format!("{field}.name.regexp");
                let reason = "matching the names of the store takes too long";
                return Err(PlanError::CostlyRegexp { field, reason });
            }
            name.truncate(listing.prefix.len());
            name.push_str(key);
            if !pattern.is_match(name.as_bytes()) {
                continue;
            }
        }
        matching.push(key.clone());
    }
    let count = matching.len();
    if count > MOST_FOUND {
        return Err(PlanError::TooManyFound { field: field.to_owned(), count, most: MOST_FOUND });
    }
    Ok(matching)
}

/// The values by full name.
pub(crate) fn values(
    field: &str,
    found: Found,
) -> Result<BTreeMap<String, SecretBytes>, PlanError> {
    let value = |(name, fetched): (String, Arc<Fetched>)| match fetched
        .text
        .as_ref()
        .or(fetched.binary.as_ref())
    {
        Some(value) => Ok((name, value.clone())),
        None => Err(PlanError::NoValue { field: field.to_owned(), key: name }),
    };
    found.into_iter().map(value).collect()
}

#[cfg(test)]
mod tests;
