//! `rewrite`: changing the keys of what was read, and merging values that are JSON objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::error::PlanError;
use super::key::{Key, KeyName};
use super::template::Engine;
use crate::api::external_secrets::external_secret::MergeConflictPolicy;
use crate::api::external_secrets::external_secret::MergePriorityPolicy;
use crate::api::external_secrets::external_secret::MergeStrategy;
use crate::api::external_secrets::external_secret::Rewrite;
use crate::api::external_secrets::external_secret::RewriteMerge;
use crate::api::external_secrets::external_secret::RewriteRegexp;
use crate::api::external_secrets::external_secret::RewriteTransform;
use crate::gjson;
use crate::gjson::Member;
use crate::gjson::PropertyError;
use crate::provider::SecretBytes;
use gotemplate::regexp::Regexp;
use gotemplate::regexp::Replacement;

/// A compiled expression may take so many bytes: more than any that a person writes.
const REGEXP_BYTES: usize = 1 << 20;

type Data = BTreeMap<String, SecretBytes>;

/// Longest name that an operation may make, and longest text that it may be made of. A key of a Secret has 253
/// characters, and a remote secret's name 2,048; each operation multiplies.
const LONGEST_KEY: usize = 4_096;

/// Applies the operations in their order, each to what the one before made.
pub fn rewrite(
    field: &str,
    operations: &[Rewrite],
    data: Data,
    engine: &mut Engine<'_>,
) -> Result<Data, PlanError> {
    operations.iter().enumerate().try_fold(data, |data, (nth, operation)| {
        let field = format!("{field}.rewrite[{nth}]");
        match (&operation.regexp, &operation.merge, &operation.transform) {
            (Some(regexp), _, _) => replace(&field, regexp, data),
            (_, Some(merge), _) => merged(&field, merge, data),
            (_, _, Some(transform)) => transformed(&field, transform, data, engine),
            (None, None, None) => Ok(data),
        }
    })
}

/// Replaces every match in every key. Keys that become one are an error: which value would win is nobody's
/// choice.
fn replace(field: &str, operation: &RewriteRegexp, data: Data) -> Result<Data, PlanError> {
    let refused = || PlanError::Regexp {
        field: format!("{field}.regexp.source"),
        text: operation.source.clone(),
    };
    let pattern = Regexp::compile(&operation.source, REGEXP_BYTES).map_err(|_| refused())?;
    if operation.target.len() > LONGEST_KEY {
        let (field, most) = (format!("{field}.regexp.target"), LONGEST_KEY);
        return Err(PlanError::LongKey { field, most });
    }
    let target = Replacement::expanding(operation.target.as_bytes());
    renamed(field, data, |_, key| {
        let made = pattern.replace_all_within(key.as_bytes(), &target, LONGEST_KEY);
        let field = || format!("{field}.regexp");
        let made = made.ok_or_else(|| PlanError::LongKey { field: field(), most: LONGEST_KEY })?;
        // A key and a target are texts, so what is made of them is one.
        String::from_utf8(made).map_err(|_| refused())
    })
}

/// Renders the template for every key, which it sees as `.value`.
fn transformed(
    field: &str,
    operation: &RewriteTransform,
    data: Data,
    engine: &mut Engine<'_>,
) -> Result<Data, PlanError> {
    let place = format!("{field}.transform.template");
    let template = engine.lenient(&place, "transform", &operation.template)?;
    renamed(field, data, |nth, key| {
        let dot: gotemplate::Data = [("value", key)].into_iter().collect();
        let output = engine.output(&place, Ok(Arc::clone(&template)), &dot)?;
        let text = String::from_utf8(output.expose().to_vec());
        let key = || Key::made(nth, key).name();
        text.map_err(|_| PlanError::BadKey { field: place.clone(), key: key() })
    })
}

/// Gives every key a new name.
fn renamed(
    field: &str,
    data: Data,
    mut rename: impl FnMut(usize, &str) -> Result<String, PlanError>,
) -> Result<Data, PlanError> {
    let mut origin: BTreeMap<String, KeyName> = BTreeMap::new();
    let mut replaced = Data::new();
    for (nth, (key, value)) in data.into_iter().enumerate() {
        let new = rename(nth, &key)?;
        if new.len() > LONGEST_KEY {
            return Err(PlanError::LongKey { field: field.to_owned(), most: LONGEST_KEY });
        }
        let second = Key::made(nth, &key).name();
        if let Some(first) = origin.insert(new.clone(), second.clone()) {
            return Err(PlanError::KeyCollision { field: field.to_owned(), first, second });
        }
        replaced.insert(new, value);
    }
    Ok(replaced)
}

/// Merges all values: first those without priority in the order of their keys, then the others in the order
/// of the list. The later wins.
fn merged(field: &str, operation: &RewriteMerge, mut data: Data) -> Result<Data, PlanError> {
    let field = format!("{field}.merge");
    let order = merge_order(&field, operation, &data)?;
    let refuses_conflicts = match &operation.conflict_policy {
        MergeConflictPolicy::Error => true,
        MergeConflictPolicy::Ignore => false,
        MergeConflictPolicy::Other(value) => return Err(unknown(&field, "conflictPolicy", value)),
    };
    let not_an_object =
        |key: Key<'_>| PlanError::NotMergeable { field: field.clone(), key: key.name() };
    let mut members: BTreeMap<String, Member<'_>> = BTreeMap::new();
    for (key, value) in order.iter().filter_map(|key| data.get_key_value(key)) {
        // Within one object the last member of a name counts. That is no conflict.
        let inner: BTreeMap<_, _> = match gjson::members(value.expose()) {
            Ok(inner) => inner.into_iter().collect(),
            // To Go, null is an object without members.
            Err(PropertyError::NotAnObject) if value.expose().trim_ascii() == b"null" => continue,
            Err(_) => {
                let nth = data.keys().position(|other| other == key).unwrap_or_default();
                return Err(not_an_object(Key::made(nth, key)));
            }
        };
        for (nth, (name, member)) in inner.into_iter().enumerate() {
            if members.insert(name.clone(), member).is_some() && refuses_conflicts {
                let key = Key::made(nth, &name).name();
                return Err(PlanError::MergeConflict { field, key });
            }
        }
    }
    match &operation.strategy {
        MergeStrategy::Extract => members
            .iter()
            .enumerate()
            .map(|(nth, (key, member))| {
                let merged = member.merged().map_err(|_| not_an_object(Key::made(nth, key)))?;
                Ok((key.clone(), merged))
            })
            .collect(),
        MergeStrategy::Json if operation.into.is_empty() => {
            Err(PlanError::Missing { field: format!("{field}.into"), why: "strategy JSON" })
        }
        MergeStrategy::Json => {
            let object = gjson::object(&members)
                .map_err(|_| not_an_object(Key::from(operation.into.as_str())))?;
            data.insert(operation.into.clone(), object);
            Ok(data)
        }
        MergeStrategy::Other(value) => Err(unknown(&field, "strategy", value)),
    }
}

fn merge_order(
    field: &str,
    operation: &RewriteMerge,
    data: &Data,
) -> Result<Vec<String>, PlanError> {
    let strict = match &operation.priority_policy {
        MergePriorityPolicy::Strict => true,
        MergePriorityPolicy::IgnoreNotFound => false,
        MergePriorityPolicy::Other(value) => return Err(unknown(field, "priorityPolicy", value)),
    };
    if strict && let Some(key) = operation.priority.iter().find(|key| !data.contains_key(*key)) {
        return Err(PlanError::PriorityAbsent { field: field.to_owned(), key: key.clone() });
    }
    let listed: BTreeSet<&String> = operation.priority.iter().collect();
    let others = data.keys().filter(|key| !listed.contains(key));
    Ok(others.chain(&operation.priority).cloned().collect())
}

fn unknown(field: &str, name: &str, value: &str) -> PlanError {
    PlanError::UnknownValue { field: format!("{field}.{name}"), value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::template::tests::with_engine, *};

    fn parsed(operations: serde_json::Value) -> Vec<Rewrite> {
        serde_json::from_value(operations).unwrap()
    }

    fn rewritten(
        operations: serde_json::Value,
        pairs: &[(&str, &str)],
    ) -> Result<Vec<String>, PlanError> {
        let operations = parsed(operations);
        let data = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), SecretBytes::from((*v).to_owned())))
            .collect();
        let shown = |(key, value): (String, SecretBytes)| {
            format!("{key}={}", String::from_utf8_lossy(value.expose()))
        };
        let data = with_engine(|engine| rewrite("dataFrom[0]", &operations, data, engine))?;
        Ok(data.into_iter().map(shown).collect())
    }

    #[test]
    fn every_match_in_every_key_is_replaced() {
        let groups = json!([{"regexp": {"source": "^shop/(?P<rest>.*)$", "target": "${rest}_$1"}}]);
        assert_eq!(rewritten(groups, &[("shop/a", "1"), ("b", "2")]).unwrap(), ["a_a=1", "b=2"]);
        let every = json!([{"regexp": {"source": "/", "target": "-"}}, {"regexp": {"source": "^", "target": "x-"}}]);
        assert_eq!(rewritten(every, &[("a/b/c", "1")]).unwrap(), ["x-a-b-c=1"]);
        let dollar = json!([{"regexp": {"source": "a", "target": "$$$9"}}]);
        assert_eq!(rewritten(dollar, &[("a", "1")]).unwrap(), ["$=1"]);
        let longest = json!([{"regexp": {"source": "(a)", "target": "$1x${1}y"}}]);
        assert_eq!(rewritten(longest, &[("a", "1")]).unwrap(), ["ay=1"]);
        let digits = json!([{"regexp": {"source": "\\d", "target": "n"}}]);
        assert_eq!(rewritten(digits, &[("1٣", "1")]).unwrap(), ["n٣=1"]);
    }

    #[test]
    fn keys_that_become_one_are_an_error() {
        let operations = json!([{"regexp": {"source": "[0-9]", "target": ""}}]);
        let error = rewritten(operations, &[("a1", "1"), ("a2", "2")]).unwrap_err();
        let text = "two keys become the same, the key at position 1 in alphabetical order";
        assert!(error.to_string().contains(text), "{error}");
    }

    #[test]
    fn an_expression_that_is_none_is_named() {
        let operations = json!([{"regexp": {"source": "a", "target": ""}}, {"regexp": {"source": "(", "target": ""}}]);
        let error = rewritten(operations, &[("a", "1")]).unwrap_err();
        assert!(
            error.to_string().contains("spec.dataFrom[0].rewrite[1].regexp.source is \"(\""),
            "{error}"
        );
    }

    #[test]
    fn merging_makes_the_inner_keys_the_result() {
        let pairs = [("a", r#"{"x":1.50,"s":"t"}"#), ("b", r#"{"y":{"z":null}}"#)];
        assert_eq!(
            rewritten(json!([{"merge": {}}]), &pairs).unwrap(),
            ["s=t", "x=1.5", r#"y={"z":null}"#]
        );
    }

    #[test]
    fn merging_can_add_one_key_with_the_merged_object() {
        let pairs = [("a", r#"{"x":1.50,"q\"":"t\n"}"#), ("b", r#"{"y":[1]}"#)];
        let merge = json!([{"merge": {"strategy": "JSON", "into": "all"}}]);
        assert_eq!(
            rewritten(merge, &pairs).unwrap(),
            [
                r#"a={"x":1.50,"q\"":"t\n"}"#,
                r#"all={"q\"":"t\n","x":1.5,"y":[1]}"#,
                r#"b={"y":[1]}"#,
            ]
        );
        let error = rewritten(json!([{"merge": {"strategy": "JSON"}}]), &pairs).unwrap_err();
        assert!(error.to_string().contains("spec.dataFrom[0].rewrite[0].merge.into"), "{error}");
    }

    #[test]
    fn the_last_of_the_priority_list_is_the_strongest() {
        let pairs = [("a", r#"{"k":"a"}"#), ("b", r#"{"k":"b"}"#), ("c", r#"{"k":"c"}"#)];
        let merge = |priority: serde_json::Value| json!([{"merge": {"conflictPolicy": "Ignore", "priority": priority}}]);
        assert_eq!(rewritten(merge(json!([])), &pairs).unwrap(), ["k=c"]);
        assert_eq!(rewritten(merge(json!(["a"])), &pairs).unwrap(), ["k=a"]);
        assert_eq!(rewritten(merge(json!(["b", "a", "b"])), &pairs).unwrap(), ["k=b"]);
        assert_eq!(rewritten(merge(json!(["c", "b", "a"])), &pairs).unwrap(), ["k=a"]);
    }

    #[test]
    fn a_conflict_and_a_missing_priority_are_errors_unless_ignored() {
        let pairs = [("a", r#"{"k":"a"}"#), ("b", r#"{"k":"b"}"#)];
        let error = rewritten(json!([{"merge": {"priority": ["a"]}}]), &pairs).unwrap_err();
        let name = KeyName::Made { position: 1, length: 1 };
        assert!(matches!(&error, PlanError::MergeConflict { key, .. } if *key == name), "{error}");
        let absent =
            |policy: &str| json!([{"merge": {"priority": ["z"], "priorityPolicy": policy}}]);
        let error = rewritten(absent("Strict"), &pairs[..1]).unwrap_err();
        assert!(matches!(&error, PlanError::PriorityAbsent { key, .. } if key == "z"), "{error}");
        assert_eq!(rewritten(absent("IgnoreNotFound"), &pairs[..1]).unwrap(), ["k=a"]);
    }

    #[test]
    fn a_value_that_is_no_object_cannot_be_merged() {
        let error = rewritten(json!([{"merge": {}}]), &[("a", "plain")]).unwrap_err();
        assert!(matches!(&error, PlanError::NotMergeable { .. }), "{error}");
    }

    #[test]
    fn a_transform_sees_each_key_as_its_value() {
        let transform = |template: &str| json!([{"transform": {"template": template}}]);
        assert_eq!(
            rewritten(transform("x-{{ .value }}"), &[("a/b", "1"), ("c", "2")]).unwrap(),
            ["x-a/b=1", "x-c=2"]
        );
        let error = rewritten(transform("x"), &[("a", "1"), ("b", "2")]).unwrap_err();
        assert!(matches!(error, PlanError::KeyCollision { .. }), "{error}");
        assert_eq!(rewritten(transform("{{ .key }}"), &[("a", "1")]).unwrap(), ["<no value>=1"]);
        let error = rewritten(transform("{{ .value"), &[("a", "1")]).unwrap_err();
        let wanted = "spec.dataFrom[0].rewrite[0].transform.template: template transform:1:";
        assert!(error.to_string().starts_with(wanted), "{error}");
    }
}
