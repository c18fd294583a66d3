//! Objects as they are written in the wild, and as another operator left them, are read without loss.

use std::{
    fs,
    path::{Path, PathBuf},
};

use gabion::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use gabion::api::external_secrets::external_secret::ExternalSecret;
use gabion::api::external_secrets::push_secret::PushSecretSpec;
use gabion::api::external_secrets::secret_store::SecretStore;
use gabion::secrets::plan::collect;
use gabion::secrets::plan::due;
use gabion::secrets::plan::generate;
use kube_cel::Validator;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::definitions::schema;

fn read(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap()
}

/// Reads and writes an object; the result must be what the API server stored.
#[track_caller]
fn without_loss<T: DeserializeOwned + Serialize>(object: &Value) {
    let typed: T = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), *object);
}

#[test]
fn objects_of_another_operator_are_read_without_loss() {
    let fixtures = documents("tests/fixtures/taken_over.yaml");
    assert_eq!(fixtures.len(), 4);
    for object in &fixtures {
        match object["kind"].as_str().unwrap() {
            "ExternalSecret" => without_loss::<ExternalSecret>(object),
            "SecretStore" => without_loss::<SecretStore>(object),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_rotation_example_is_the_old_api_and_passes() {
    let [store, secret] = &documents("examples/guide/rotation.yaml")[..] else {
        panic!("two objects")
    };
    for object in [store, secret] {
        assert_eq!(object["apiVersion"], "external-secrets.io/v1beta1");
        let kind = object["kind"].as_str().unwrap();
        Validator::new().validate(&schema(kind, "v1beta1"), object, None).unwrap();
    }
    let store: SecretStore = serde_json::from_value(store.clone()).unwrap();
    let aws = store.spec.0.provider.aws.unwrap();
    assert_eq!(aws.region, "us-west-2");
    assert_eq!(
        aws.auth.unwrap().jwt.unwrap().service_account_ref.unwrap().name,
        "external-secrets-sa"
    );
    let secret: ExternalSecret = serde_json::from_value(secret.clone()).unwrap();
    assert_eq!(secret.spec.refresh_interval.as_deref(), Some("1h"));
    assert_eq!(secret.spec.data[0].remote_ref.property.as_deref(), Some("password"));
}

/// Every document of every YAML file in a folder, with the file's name.
fn examples(folder: &str) -> Vec<(String, Value)> {
    let mut files: Vec<_> = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    let all = files.into_iter().flat_map(|name| {
        documents(&format!("{folder}/{name}")).into_iter().map(move |object| (name.clone(), object))
    });
    all.collect()
}

#[test]
fn every_example_passes_the_rules_and_is_supported_in_full() {
    let examples: Vec<_> =
        ["examples/secrets", "examples/guide"].into_iter().flat_map(examples).collect();
    assert!(examples.len() > 20);
    for (file, object) in examples {
        let (group, version) =
            object["apiVersion"].as_str().unwrap().rsplit_once('/').unwrap_or(("", "v1"));
        if group != "external-secrets.io" {
            continue;
        }
        let kind = object["kind"].as_str().unwrap();
        if let Err(errors) = Validator::new().validate(&schema(kind, version), &object, None) {
            panic!("{file}: {errors:?}");
        }
        if kind.ends_with("PushSecret") {
            let spec = if kind == "PushSecret" {
                &object["spec"]
            } else {
                &object["spec"]["pushSecretSpec"]
            };
            let push: PushSecretSpec = serde_json::from_value(spec.clone()).unwrap();
            let asks = push.data.len() + push.data_to.len();
            assert!(asks > 0 && push.selector.secret.is_some(), "{file}");
        } else if kind == "ExternalSecret" || kind == "ClusterExternalSecret" {
            let object = if kind == "ExternalSecret" {
                serde_json::from_value(object).unwrap()
            } else {
                let every: ClusterExternalSecret = serde_json::from_value(object).unwrap();
                ExternalSecret::new("one", every.spec.external_secret_spec)
            };
            let asked =
                collect::lookups(&object.spec).unwrap_or_else(|error| panic!("{file}: {error}"));
            let of_generators = generate::uses(&object.spec).unwrap();
            assert!(asked.len() + of_generators.len() > 0, "{file}");
            assert!(due::interval(&object).is_ok(), "{file}");
        } else {
            let store: SecretStore = serde_json::from_value(object).unwrap();
            assert!(
                ["aws", "fake", "kubernetes"].contains(&store.spec.0.provider.name()),
                "{file}"
            );
        }
    }
}

#[test]
fn every_example_says_what_it_is_for() {
    for folder in ["examples/secrets", "examples/guide"] {
        for (name, _) in examples(folder) {
            let text = read(&format!("{folder}/{name}"));
            // The guide's own two objects stand exactly as the guide has them.
            assert!(text.starts_with("# ") || name == "rotation.yaml", "{folder}/{name}");
        }
    }
}

#[test]
fn a_store_of_a_provider_that_we_do_not_have_keeps_its_fields() {
    let object = json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "SecretStore",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {"provider": {"vault": {"server": "https://v", "auth": {"tokenSecretRef": {"name": "t"}}}}},
    });
    without_loss::<SecretStore>(&object);
    let store: SecretStore = serde_json::from_value(object).unwrap();
    assert_eq!(store.spec.0.provider.name(), "vault");
    assert!(!format!("{store:?}").contains("tokenSecretRef"));
}

#[test]
fn values_and_fields_of_a_later_release_do_not_stop_the_reader() {
    let object = json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {
            "refreshPolicy": "Sometimes",
            "target": {"creationPolicy": "Share", "novel": true},
            "data": [{"secretKey": "k", "remoteRef": {"key": "r", "decodingStrategy": "Base45"}}],
            "novel": {"a": 1},
        },
    });
    let secret: ExternalSecret = serde_json::from_value(object).unwrap();
    assert_eq!(secret.spec.target.creation_policy.as_str(), "Share");
    assert_eq!(secret.spec.refresh_policy.unwrap().as_str(), "Sometimes");
}

#[test]
fn a_null_is_an_absent_field() {
    let object = json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {
            "secretStoreRef": null, "target": null, "refreshInterval": null, "data": null,
            "dataFrom": [{"extract": {"key": "r", "version": null}, "rewrite": null}],
        },
        "status": {"refreshTime": null, "conditions": null, "binding": {"name": null}},
    });
    let secret: ExternalSecret = serde_json::from_value(object).unwrap();
    assert_eq!(secret.spec.target.creation_policy.as_str(), "Owner");
    assert!(secret.status.unwrap().refresh_time.is_none());
}
