use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::external_secrets::external_secret::ExternalSecretStatus;
use crate::api::external_secrets::references::Condition;
use crate::secrets::plan::due::Restart;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn spec(data_from: &Value) -> ExternalSecretSpec {
    serde_json::from_value(json!({"dataFrom": data_from})).unwrap()
}

fn generator(kind: &str) -> Value {
    json!({"sourceRef": {"generatorRef": {"kind": kind, "name": "g"}}})
}

/// One that was read at second 0 and is in step.
fn synced() -> ExternalSecret {
    let mut object = ExternalSecret::new("a", spec(&json!([generator("Password")])));
    object.metadata.generation = Some(1);
    object.metadata.uid = Some("u".to_owned());
    object.spec.refresh_interval = Some("1h".to_owned());
    object.status = Some(ExternalSecretStatus {
        refresh_time: Some(Time(at(0))),
        synced_resource_version: Some(due::version(&object)),
        ..ExternalSecretStatus::default()
    });
    object
}

fn known(seconds: i64) -> Known {
    Known {
        last_read: Some(at(0)),
        in_order: true,
        template_changed: false,
        event: false,
        joining: false,
        restart: Restart { at: at(0), heartbeat: SignedDuration::from_mins(15) },
        now: at(seconds),
    }
}

#[test]
fn gen_references_are_found_and_what_is_unknown_is_named() {
    let mut plain = json!({"extract": {"key": "r"}});
    let found = uses(&spec(&json!([plain.take(), generator("UUID"), generator("Password")])));
    let found = found.unwrap();
    assert_eq!(found.iter().map(|one| one.nth).collect::<Vec<_>>(), [1, 2]);
    assert!(may_mint(&found));
    assert!(!may_mint(&uses(&spec(&json!([generator("Fake")]))).unwrap()));
    let error = uses(&spec(&json!([generator("Dice")]))).unwrap_err().to_string();
    assert!(error.contains("spec.dataFrom[0].sourceRef.generatorRef.kind is \"Dice\""), "{error}");
    let mut other = generator("UUID");
    other["sourceRef"]["generatorRef"]["apiVersion"] = json!("v1");
    let error = uses(&spec(&json!([other]))).unwrap_err().to_string();
    assert!(error.contains("generatorRef.apiVersion is \"v1\""), "{error}");
    let many: Vec<_> = (0..17).map(|_| generator("UUID")).collect();
    assert!(matches!(uses(&spec(&json!(many))), Err(PlanError::TooManyGenerators { count: 17 })));
}

#[test]
fn gen_only_a_refresh_makes_new_values() {
    let object = synced();
    for why in [Why::NeverSynced, Why::Edited, Why::Interval] {
        assert!(is_refresh(&object, known(1), why), "{why:?}");
    }
    for why in [Why::Drift, Why::Failed, Why::Clock, Why::Template] {
        assert!(!is_refresh(&object, known(1), why), "{why:?}");
    }
    // What is in disorder does not put off what is due.
    for why in [Why::Drift, Why::Failed] {
        assert!(is_refresh(&object, known(3600), why), "{why:?}");
    }
    let mut failed = synced();
    failed.status.as_mut().unwrap().conditions = vec![Condition {
        type_: "Ready".to_owned(),
        status: "False".to_owned(),
        reason: None,
        message: None,
        last_transition_time: None,
        observed_generation: None,
    }];
    assert!(!is_refresh(&failed, known(1), Why::Failed), "a failure that was no refresh");
    assert!(!is_refresh(&object, known(-5), Why::Clock), "another replica's clock");
}

#[test]
fn gen_a_refresh_has_one_mark_until_its_status_is_written() {
    let object = synced();
    let mark = refresh_mark(&object);
    assert_eq!(refresh_mark(&object), mark);
    let mut failed = object.clone();
    failed.status.as_mut().unwrap().observed_generation = Some(7);
    assert_eq!(refresh_mark(&failed), mark, "a failure is about the same refresh");
    let mut done = object.clone();
    done.status.as_mut().unwrap().refresh_time = Some(Time(at(60)));
    assert_ne!(refresh_mark(&done), mark);
    let mut edited = object.clone();
    edited.metadata.generation = Some(2);
    assert_ne!(refresh_mark(&edited), mark);
}

type Data = BTreeMap<String, SecretBytes>;

fn data(pairs: &[(&str, &str)]) -> Data {
    let value = |text: &str| SecretBytes::from(text.to_owned());
    pairs.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect()
}

#[test]
fn gen_what_depends_on_made_values_is_kept_and_the_rest_is_restored() {
    let mut one = data(&[("host", "db"), ("password", "one")]);
    let other = data(&[("host", "db"), ("password", "two")]);
    let existing = data(&[("host", "tampered"), ("password", "old"), ("extra", "x")]);
    assert!(keep(&mut one, &other, &existing));
    assert_eq!(one, data(&[("host", "db"), ("password", "old")]));
}

#[test]
fn gen_what_is_not_in_the_secret_any_more_is_made_anew() {
    let mut one = data(&[("privateKey", "1"), ("publicKey", "1")]);
    let other = data(&[("privateKey", "2"), ("publicKey", "2")]);
    let before = one.clone();
    assert!(!keep(&mut one, &other, &data(&[("publicKey", "0")])));
    assert_eq!(one, before, "a pair stays a pair");
}

proptest! {
    /// Keys named `m...` are made, keys named `p...` come from a provider.
    #[test]
    fn gen_keeping_is_all_or_nothing(
        keys in proptest::collection::btree_set("[mp][0-3]", 0..6),
        existing in proptest::collection::btree_set("[mpx][0-3]", 0..8),
    ) {
        let made = |nth: &str| -> Data {
            let text = |key: &str| if key.starts_with('m') { nth } else { "same" }.to_owned();
            keys.iter().map(|key| (key.clone(), SecretBytes::from(text(key)))).collect()
        };
        let existing: Data =
            existing.iter().map(|key| (key.clone(), SecretBytes::from("old".to_owned()))).collect();
        let (mut one, other) = (made("1"), made("2"));
        let all_there = keys.iter().all(|key| !key.starts_with('m') || existing.contains_key(key));
        prop_assert_eq!(keep(&mut one, &other, &existing), all_there);
        for (key, value) in &one {
            let expected = match (key.starts_with('m'), all_there) {
                (true, true) => "old",
                (true, false) => "1",
                (false, _) => "same",
            };
            prop_assert_eq!(value.expose(), expected.as_bytes());
        }
    }
}
