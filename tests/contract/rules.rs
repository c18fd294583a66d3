//! The rules in the schemas: each refuses what it is there for, and its message says what to do.

use kube_cel::Validator;
use serde_json::{Value, json};

use super::definitions::schema;

/// Messages of the rules that an object breaks.
fn broken(kind: &str, object: &Value) -> Vec<String> {
    ["v1", "v1beta1"]
        .map(|version| match Validator::new().validate(&schema(kind, version), object, None) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        })
        .into_iter()
        .reduce(|v1, v1beta1| {
            assert_eq!(v1, v1beta1, "the versions disagree");
            v1
        })
        .unwrap()
}

fn external_secret(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {
            "secretStoreRef": {"name": "s"},
            "data": [{"secretKey": "k", "remoteRef": {"key": "r"}}],
        },
    });
    change(&mut object["spec"]);
    object
}

fn store(aws: Value) -> Value {
    let mut aws = aws;
    aws["service"] = json!("SecretsManager");
    aws["region"] = json!("us-west-2");
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "SecretStore",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {"provider": {"aws": aws}},
    })
}

#[track_caller]
fn accepted(change: impl FnOnce(&mut Value)) {
    assert_eq!(broken("ExternalSecret", &external_secret(change)), Vec::<String>::new());
}

#[track_caller]
fn refused(message: &str, change: impl FnOnce(&mut Value)) {
    let errors = broken("ExternalSecret", &external_secret(change));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains(message), "{errors:?}");
}

#[test]
fn an_ordinary_object_is_accepted() {
    accepted(|_| {});
    accepted(|spec| {
        spec["data"] = json!([]);
        spec["dataFrom"] = json!([{"extract": {"key": "r"}}, {"find": {"name": {"regexp": "x"}}}]);
    });
}

#[test]
fn an_object_that_reads_nothing_is_refused() {
    let message = "data or dataFrom must have at least one entry";
    refused(message, |spec| spec["data"] = json!([]));
    refused(message, |spec| {
        spec.as_object_mut().unwrap().remove("data");
    });
}

#[test]
fn a_data_from_entry_without_a_source_is_refused() {
    refused("needs one of extract, find or sourceRef.generatorRef", |spec| {
        spec["dataFrom"] = json!([{"rewrite": []}]);
    });
}

#[test]
fn a_data_from_entry_with_two_sources_is_refused() {
    let generator = json!({"generatorRef": {"kind": "Password", "name": "p"}});
    for entry in [
        json!({"extract": {"key": "r"}, "find": {}}),
        json!({"extract": {"key": "r"}, "sourceRef": generator}),
        json!({"find": {}, "sourceRef": generator}),
    ] {
        refused("takes only one of extract, find and sourceRef.generatorRef", |spec| {
            spec["dataFrom"] = json!([entry]);
        });
    }
    accepted(|spec| {
        spec["dataFrom"] = json!([
            {"extract": {"key": "r"}, "sourceRef": {"storeRef": {"name": "other"}}},
            {"sourceRef": generator},
        ]);
    });
}

#[test]
fn deleting_a_secret_that_others_may_use_is_refused() {
    for policy in ["Merge", "CreateOrMerge", "None"] {
        refused("deletionPolicy Delete needs creationPolicy Owner", |spec| {
            spec["target"] = json!({"creationPolicy": policy, "deletionPolicy": "Delete"});
        });
    }
    accepted(|spec| spec["target"] = json!({"deletionPolicy": "Delete"}));
    accepted(|spec| {
        spec["target"] = json!({"creationPolicy": "Owner", "deletionPolicy": "Delete"});
    });
}

#[test]
fn removing_keys_from_a_secret_that_is_not_written_is_refused() {
    refused("deletionPolicy Merge has nothing to remove keys from", |spec| {
        spec["target"] = json!({"creationPolicy": "None", "deletionPolicy": "Merge"});
    });
    accepted(|spec| spec["target"] = json!({"creationPolicy": "Merge", "deletionPolicy": "Merge"}));
}

#[test]
fn a_template_cannot_mint_tokens() {
    for kind in ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"] {
        refused(&format!("type {kind} is refused"), |spec| {
            spec["target"] = json!({"template": {"type": kind}});
        });
    }
    accepted(|spec| {
        spec["target"] = json!({"template": {"type": "kubernetes.io/dockerconfigjson"}});
    });
}

#[test]
fn a_template_writes_data_annotations_or_labels_of_a_secret() {
    refused("templateFrom[].target of a Secret must be Data, Annotations or Labels", |spec| {
        spec["target"] =
            json!({"template": {"templateFrom": [{"literal": "a: b", "target": "spec.data"}]}});
    });
    for target in ["Data", "annotations", "LABELS"] {
        accepted(|spec| {
            spec["target"] =
                json!({"template": {"templateFrom": [{"literal": "a: b", "target": target}]}});
        });
    }
    accepted(|spec| {
        spec["target"] = json!({
            "manifest": {"apiVersion": "v1", "kind": "ConfigMap"},
            "template": {"templateFrom": [{"literal": "a: b", "target": "spec.data"}]},
        });
    });
}

#[test]
fn a_refresh_interval_is_a_duration() {
    for good in ["0", "0s", "30s", "1h", "1h0m0s", "1.5h", "100ms", "-1s", "1h30m"] {
        accepted(|spec| spec["refreshInterval"] = json!(good));
    }
    for bad in ["1d", "", "1", "h", "1 h", "one hour"] {
        refused("days are not a unit, write 24h", |spec| spec["refreshInterval"] = json!(bad));
    }
}

#[test]
fn a_store_rule_on_deletion_names_both_fields() {
    let errors = |days: i64, force: bool| {
        broken(
            "SecretStore",
            &store(json!({"secretsManager": {
                "recoveryWindowInDays": days, "forceDeleteWithoutRecovery": force,
            }})),
        )
    };
    assert!(errors(7, false).is_empty());
    assert!(errors(30, false).is_empty());
    assert!(errors(0, true).is_empty());
    assert!(errors(6, false)[0].contains("recoveryWindowInDays must be between 7 and 30"));
    assert!(errors(31, false)[0].contains("recoveryWindowInDays must be between 7 and 30"));
    assert!(errors(7, true)[0].contains("exclude each other"));
}

#[test]
fn session_tags_that_the_store_sets_itself_are_refused() {
    for key in ["esoNamespace", "esoStoreName", "esoStoreKind"] {
        let errors = broken("SecretStore", &store(json!({"customSessionTags": {key: "x"}})));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains("reserved keys: esoNamespace, esoStoreName, esoStoreKind"));
    }
    assert!(broken("SecretStore", &store(json!({"customSessionTags": {"team": "x"}}))).is_empty());
}

#[test]
fn every_rule_compiles() {
    for kind in ["ExternalSecret", "SecretStore", "ClusterSecretStore"] {
        let compiled = kube_cel::compile_schema(&schema(kind, "v1"));
        assert!(!compiled.has_errors(), "{kind}: {:?}", compiled.compilation_errors());
    }
}
