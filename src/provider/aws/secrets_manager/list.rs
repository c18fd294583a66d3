//! Listing names. AWS's own filters match the beginnings of names, tag keys and tag values, and do not pair a tag's
//! key with its value; so they only make the answer shorter, and every entry is looked at once more here.

use aws_sdk_secretsmanager::types::{
    Filter as SentFilter, FilterNameStringType as FilterKey, SecretListEntry,
};

use super::SecretsManager;
use crate::lane::Lane;
use crate::provider::aws::calls::Page;
use crate::provider::{Filter, Listing, MOST_LISTED, ProviderError, metrics::Operation};

/// AWS's limit of filters in one request.
const MOST_FILTERS: usize = 10;
/// AWS's limit of entries on one page.
const PAGE: i32 = 100;
/// More pages than any list within bounds has. AWS may send pages that are nearly empty.
const MOST_PAGES: usize = 1_000;

impl SecretsManager {
    /// The names of all secrets with this path and these tags. AWS leaves out those that are marked for deletion.
    pub(super) async fn names(
        &self,
        filter: &Filter,
        lane: Lane,
    ) -> Result<Listing, ProviderError> {
        let prefix = self.calls.source.settings().prefix.clone();
        let path = self.calls.full_path(&filter.path);
        let sent = filters(&path, filter);
        let mut listing = Listing { prefix, keys: Vec::new() };
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let request = self
                .client
                .list_secrets()
                .max_results(PAGE)
                .set_filters((!sent.is_empty()).then(|| sent.clone()))
                .set_next_token(token.take());
            let page = Page { operation: Operation::ListSecrets, lane, key: "*" };
            let page = self.calls.page(page, move || request.clone().send()).await?;
            let entries = page.secret_list.unwrap_or_default();
            let found = entries.into_iter().filter(|entry| is_meant(entry, &path, filter));
            let keys = found.filter_map(|entry| Some(entry.name?.split_off(listing.prefix.len())));
            listing.keys.extend(keys);
            if listing.keys.len() > MOST_LISTED {
                return Err(ProviderError::TooManyListed);
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(listing);
            }
        }
        Err(ProviderError::TooManyListed)
    }
}

/// Whether a secret has the path and the tags.
fn is_meant(entry: &SecretListEntry, path: &str, filter: &Filter) -> bool {
    let has = |(key, value): (&String, &String)| {
        let mut tags = entry.tags().iter();
        tags.any(|tag| tag.key() == Some(key.as_str()) && tag.value() == Some(value.as_str()))
    };
    entry.deleted_date.is_none()
        && entry.name().is_some_and(|name| name.starts_with(path))
        && filter.tags.iter().all(has)
}

/// What AWS can sort out by itself: never more than it would have to.
fn filters(path: &str, filter: &Filter) -> Vec<SentFilter> {
    let of_tags = filter
        .tags
        .iter()
        .flat_map(|(key, value)| [(FilterKey::TagKey, &**key), (FilterKey::TagValue, &**value)]);
    let all = std::iter::once((FilterKey::Name, path)).chain(of_tags);
    let sendable = all.filter(|(_, text)| is_sendable(text));
    let sent = sendable.map(|(key, text)| SentFilter::builder().key(key).values(text).build());
    sent.take(MOST_FILTERS).collect()
}

/// Whether AWS takes a text as the beginning that it is: it refuses some characters, and an exclamation mark in
/// front means "not".
fn is_sendable(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" :_@/+=.-".contains(&byte);
    !text.is_empty() && text.len() <= 512 && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests;
