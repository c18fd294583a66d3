//! The hardening kinds keep their contract: the schema takes what it should and refuses the rest with a
//! reason.

use gabion::api::gabion::crds::crds;
use gabion::api::gabion::hardening_baseline::HardeningBaseline;
use gabion::hardening::plan::baseline::compile;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use support::malformed_baselines::{acknowledged, baseline, malformed, with};

use crate::schema_check;

fn of_baselines() -> CustomResourceDefinition {
    let mut all = crds().into_iter();
    all.find(|crd| crd.spec.names.kind == "HardeningBaseline").expect("it is one of them")
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

fn refused(object: &Value) -> Vec<String> {
    let faults = schema_check::faults(&of_baselines(), object);
    assert!(!faults.is_empty(), "accepted: {object}");
    faults
}

fn accepted(object: &Value) {
    let faults = schema_check::faults(&of_baselines(), object);
    assert!(faults.is_empty(), "{object}: {faults:?}");
    let typed: HardeningBaseline =
        serde_json::from_value(object.clone()).expect("the type reads it");
    let back = serde_json::to_value(&typed).expect("JSON");
    assert_eq!(back["spec"], object["spec"], "what is read back equals what was applied");
}

#[test]
fn every_definition_is_small_enough_for_a_plain_apply() {
    for crd in crds() {
        let text = serde_saphyr::to_string(&crd).expect("YAML");
        assert!(text.len() < 262_144, "{:?}: {} bytes", crd.metadata.name, text.len());
        assert!(!text.contains("nullable"));
    }
}

#[test]
fn the_full_example_is_accepted_and_read_back_as_it_stands() {
    accepted(&yaml(include_str!("../../examples/hardening/full.yaml")));
}

#[test]
fn every_example_is_accepted_and_compiles() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hardening");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).expect("the examples") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        for document in text.split("\n---\n") {
            let object = yaml(document);
            if object["kind"] != "HardeningBaseline" {
                continue;
            }
            accepted(&object);
            let typed: HardeningBaseline = serde_json::from_value(object).expect("a baseline");
            compile(&typed, 36).expect("it compiles");
            seen += 1;
        }
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn a_minimal_baseline_is_accepted() {
    accepted(&with("podSecurity", json!({})));
    accepted(&baseline(json!({ "allNamespaces": true, "network": {} })));
    accepted(&baseline(json!({ "namespaceSelector":
        { "matchExpressions": [{ "key": "env", "operator": "In", "values": ["prod"] }] } })));
}

#[test]
fn malformed_baselines_are_refused_with_the_path_and_the_remedy() {
    for case in malformed().iter().filter(|case| !case.server_only) {
        let faults = refused(&case.object);
        assert!(
            faults
                .iter()
                .any(|f| f.starts_with(&format!("{}:", case.path)) && f.contains(case.remedy)),
            "{} / {} not in {faults:?}",
            case.path,
            case.remedy
        );
    }
    accepted(&acknowledged());
}

#[test]
fn a_name_that_does_not_fit_into_generated_names_is_refused() {
    for name in ["a".repeat(80), "a".repeat(41), "with.dots".to_owned()] {
        let mut object = with("podSecurity", json!({}));
        object["metadata"]["name"] = json!(name);
        assert!(refused(&object)[0].contains("DNS label of at most 40"), "{name}");
    }
    let mut object = with("podSecurity", json!({}));
    object["metadata"]["name"] = json!("a".repeat(40));
    accepted(&object);
}

#[test]
fn bounds_of_lists_are_kept() {
    let rule = |i: usize| json!({ "name": format!("r{i}"), "from": [{ "podSelector": {} }] });
    let rules = |n: usize| (0..n).map(rule).collect::<Vec<_>>();
    accepted(&with("network", json!({ "allow": rules(64) })));
    refused(&with("network", json!({ "allow": rules(65) })));
    let names = |n: usize| (0..n).map(|i| format!("ns{i}")).collect::<Vec<_>>();
    accepted(&with("excludeNames", json!(names(256))));
    refused(&with("excludeNames", json!(names(257))));
}

#[test]
fn no_choice_is_a_word_that_yaml_reads_as_a_boolean() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(
                    fields
                        .get("enum")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                        .map(ToString::to_string),
                );
                fields.values().for_each(|v| walk(v, found));
            }
            Value::Array(items) => items.iter().for_each(|v| walk(v, found)),
            _ => {}
        }
    }
    let mut words = Vec::new();
    for crd in crds() {
        walk(&serde_json::to_value(crd).expect("JSON"), &mut words);
    }
    assert!(words.len() > 60);
    for word in words {
        assert!(
            !["on", "off", "yes", "no", "y", "n", "null"]
                .contains(&word.trim_matches('"').to_lowercase().as_str())
        );
    }
}

#[test]
fn an_object_of_another_schema_version_is_still_read() {
    let object = with("podSecurity", json!({ "level": "hermetic", "futureField": [1] }));
    let typed: HardeningBaseline = serde_json::from_value(object).expect("the reader is tolerant");
    let level = typed.spec.pod_security.and_then(|p| p.level);
    assert_eq!(level, Some(gabion::api::gabion::hardening_baseline::Level::Unknown));
}
