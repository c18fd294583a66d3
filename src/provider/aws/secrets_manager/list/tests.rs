use std::collections::BTreeMap;

use aws_sdk_secretsmanager::types::Tag;
use proptest::prelude::*;

use super::*;
use crate::provider::aws::calls::full_path;

/// What AWS documents of one filter: beginnings, "not" with an exclamation mark in front, any value of any tag.
fn aws_lets_through(entry: &SecretListEntry, sent: &SentFilter) -> bool {
    let begins = |text: &str| {
        sent.values().iter().any(|value| match value.strip_prefix('!') {
            Some(value) => !text.starts_with(value),
            None => text.starts_with(value),
        })
    };
    let tags = entry.tags();
    match sent.key() {
        Some(FilterKey::Name) => entry.name().is_some_and(begins),
        Some(FilterKey::TagKey) => tags.iter().filter_map(Tag::key).any(begins),
        Some(FilterKey::TagValue) => tags.iter().filter_map(Tag::value).any(begins),
        other => panic!("{other:?} is never sent"),
    }
}

/// What a person means by a path and tags.
fn is_asked_for(name: &str, tags: &BTreeMap<String, String>, path: &str, filter: &Filter) -> bool {
    name.starts_with(path) && filter.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
}

fn entry(name: &str, tags: &BTreeMap<String, String>) -> SecretListEntry {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    SecretListEntry::builder().name(name).set_tags(Some(tags.collect())).build()
}

/// Few letters, so that beginnings, swapped pairs and marks with a meaning come up all the time.
fn text() -> impl Strategy<Value = String> {
    "[ab!*]{0,3}"
}

fn tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(text(), text(), 0..8)
}

proptest! {
    #[test]
    fn exactly_the_secrets_that_are_meant_are_found_through_filters_that_mean_less(
        secrets in prop::collection::vec((text(), tags()), 0..12),
        path in text(),
        prefix in text(),
        wanted in tags(),
    ) {
        let filter = Filter { path, tags: wanted };
        let path = full_path(&prefix, &filter.path);
        let sent = filters(&path, &filter);
        prop_assert!(sent.len() <= MOST_FILTERS);
        for (name, tags) in secrets {
            let entry = entry(&name, &tags);
            let passes = sent.iter().all(|sent| aws_lets_through(&entry, sent));
            let found = passes && is_meant(&entry, &path, &filter);
            prop_assert_eq!(found, is_asked_for(&name, &tags, &path, &filter));
            prop_assert!(!found || name.starts_with(&prefix), "nothing is outside of the prefix");
        }
    }
}

#[test]
fn a_secret_that_is_marked_for_deletion_is_not_found() {
    let mut gone = entry("a", &BTreeMap::new());
    assert!(is_meant(&gone, "", &Filter::default()));
    gone.deleted_date = Some(aws_smithy_types::DateTime::from_secs(1));
    assert!(!is_meant(&gone, "", &Filter::default()));
}

#[test]
fn a_text_that_aws_would_read_as_not_or_refuse_is_not_sent() {
    for text in ["!prod", "", "a*", "pr\u{f6}d", &"a".repeat(513)] {
        assert!(!is_sendable(text), "{text}");
    }
    assert!(is_sendable("prod/db_1@x:y+z=a.b-c d"));
}
