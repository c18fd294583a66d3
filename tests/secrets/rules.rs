//! Contract 2.13: what the API server itself refuses, in both versions, and says why.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{Result, repository};

use crate::scene::{Scene, refused};

/// Each object in both versions is refused with 422 and these words.
async fn all_refused(scene: &Scene<'_>, specs: &[(&str, Value)]) -> Result<()> {
    for (message, spec) in specs {
        for version in ["v1", "v1beta1"] {
            let mut object = scene.external("refused", spec.clone());
            object["apiVersion"] = format!("external-secrets.io/{version}").into();
            let why = refused(scene.create(object).await, 422);
            assert!(why.contains(message), "{version} {spec}: {why}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_object_that_reads_nothing_or_too_much_is_refused() -> Result<()> {
    let scene = Scene::new("rules-source").await?;
    let generator = json!({"generatorRef": {"kind": "Password", "name": "p"}});
    let one_of = "takes only one of extract, find and sourceRef.generatorRef";
    all_refused(
        &scene,
        &[
            ("data or dataFrom must have at least one entry", json!({"data": []})),
            (
                "needs one of extract, find or sourceRef.generatorRef",
                json!({"dataFrom": [{"rewrite": []}]}),
            ),
            (one_of, json!({"dataFrom": [{"extract": {"key": "r"}, "find": {}}]})),
            (one_of, json!({"dataFrom": [{"extract": {"key": "r"}, "sourceRef": generator}]})),
            (one_of, json!({"dataFrom": [{"find": {}, "sourceRef": generator}]})),
            ("at least 1 propert", json!({"dataFrom": [{"sourceRef": {}}]})),
        ],
    )
    .await
}

#[tokio::test]
async fn policies_that_contradict_each_other_are_refused() -> Result<()> {
    let scene = Scene::new("rules-policy").await?;
    let mut specs = Vec::new();
    for creation in ["Merge", "CreateOrMerge", "None"] {
        let target = json!({"creationPolicy": creation, "deletionPolicy": "Delete"});
        let message = "deletionPolicy Delete needs creationPolicy Owner";
        specs.push((message, json!({"target": target})));
    }
    let target = json!({"creationPolicy": "None", "deletionPolicy": "Merge"});
    specs.push(("deletionPolicy Merge has nothing to remove keys from", json!({"target": target})));
    all_refused(&scene, &specs).await
}

#[tokio::test]
async fn a_template_that_mints_tokens_or_aims_elsewhere_is_refused() -> Result<()> {
    let scene = Scene::new("rules-template").await?;
    let of_type = |type_: &str| json!({"target": {"template": {"type": type_}}});
    let elsewhere = json!({"templateFrom": [{"literal": "a: b", "target": "spec.data"}]});
    all_refused(
        &scene,
        &[
            (
                "kubernetes.io/service-account-token is refused",
                of_type("kubernetes.io/service-account-token"),
            ),
            ("bootstrap.kubernetes.io/token is refused", of_type("bootstrap.kubernetes.io/token")),
            ("must be Data, Annotations or Labels", json!({"target": {"template": elsewhere}})),
        ],
    )
    .await
}

#[tokio::test]
async fn malformed_fields_are_refused() -> Result<()> {
    let scene = Scene::new("rules-fields").await?;
    let with_key = |key: &str| json!({"data": [{"secretKey": key, "remoteRef": {"key": "r"}}]});
    all_refused(
        &scene,
        &[
            ("refreshInterval must be a duration", json!({"refreshInterval": "1d"})),
            ("spec.data[0].secretKey", with_key("a b")),
            ("spec.data[0].secretKey", with_key("")),
            ("spec.target.name", json!({"target": {"name": "Not_A_Name"}})),
            ("Unsupported value", json!({"refreshPolicy": "Sometimes"})),
            ("Unsupported value", json!({"target": {"creationPolicy": "Steal"}})),
        ],
    )
    .await
}

#[tokio::test]
async fn two_entries_of_one_key_are_refused_or_reported() -> Result<()> {
    let scene = Scene::new("rules-twice").await?;
    scene.put("a", &crate::scene::value("a"));
    let data = json!([scene.entry("k", "a"), scene.entry("k", "a")]);

    match scene.create(scene.external("twice", json!({"data": data}))).await {
        Ok(_) => {
            scene.fails("twice", "two entries with secretKey \"k\"").await?;
        }
        refusal => {
            refused(refusal, 422);
        }
    }
    Ok(())
}

#[tokio::test]
async fn stores_that_cannot_work_are_refused() -> Result<()> {
    let scene = Scene::new("rules-store").await?;
    let with = |field: &str, value: Value| {
        let mut aws = json!({"service": "SecretsManager", "region": "eu-west-1"});
        aws[field] = value;
        json!({"kind": "SecretStore", "metadata": {"name": "refused"},
            "spec": {"provider": {"aws": aws}}})
    };
    let window = json!({"recoveryWindowInDays": 3});
    let both = json!({"recoveryWindowInDays": 7, "forceDeleteWithoutRecovery": true});
    let two = json!({"kind": "SecretStore", "metadata": {"name": "refused"}, "spec": {"provider": {
        "aws": {"service": "SecretsManager", "region": "eu-west-1"}, "fake": {"data": []}}}});
    let too_long = json!({"kind": "SecretStore", "metadata": {"name": "refused"},
        "spec": {"refreshInterval": 2_147_483_648_u64, "provider": {"fake": {"data": []}}}});
    for (message, object) in [
        ("recoveryWindowInDays must be between 7 and 30", with("secretsManager", window)),
        ("exclude each other", with("secretsManager", both)),
        ("reserved keys", with("customSessionTags", json!({"esoNamespace": "x"}))),
        ("Unsupported value", with("service", json!("Everything"))),
        ("spec.provider", two),
        ("less than or equal to 2147483647", too_long),
    ] {
        for version in ["v1", "v1beta1"] {
            let mut object = object.clone();
            object["apiVersion"] = format!("external-secrets.io/{version}").into();
            let why = refused(scene.create(object).await, 422);
            assert!(why.contains(message), "{version}: {why}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_field_of_v1beta1_comes_back() -> Result<()> {
    let scene = Scene::new("rules-fields-kept").await?;
    for (file, written) in [("externalsecrets", external_secrets()), ("secretstores", stores())] {
        let mut covered = BTreeSet::new();
        for (nth, spec) in written.into_iter().enumerate() {
            let kind = if file == "secretstores" { "SecretStore" } else { "ExternalSecret" };
            let object = json!({
                "apiVersion": "external-secrets.io/v1beta1", "kind": kind,
                "metadata": {"name": format!("kept-{nth}")}, "spec": spec,
            });
            scene.create(object).await?;
            for version in ["v1", "v1beta1"] {
                let url = format!(
                    "/apis/external-secrets.io/{version}/namespaces/{}/{file}/kept-{nth}",
                    scene.ns
                );
                let text = scene.env.plane().kubectl(&["get", "--raw", &url])?;
                let found: Value = serde_json::from_str(&text)?;
                lost(&spec, &found["spec"], &format!("{version} {file} {nth}"));
            }
            paths(&spec, String::new(), &mut covered);
        }
        let missing: Vec<_> = in_schema(file)?.difference(&covered).cloned().collect();
        assert_eq!(missing, Vec::<String>::new(), "fields that no object here has");
    }
    Ok(())
}

/// Fails if anything that was written is not there.
fn lost(written: &Value, found: &Value, at: &str) {
    match (written, found) {
        (Value::Object(written), Value::Object(found)) => {
            for (name, value) in written {
                let found = found.get(name).unwrap_or(&Value::Null);
                lost(value, found, &format!("{at}.{name}"));
            }
        }
        (Value::Array(written), Value::Array(found)) => {
            assert_eq!(written.len(), found.len(), "{at}");
            for (nth, (written, found)) in written.iter().zip(found).enumerate() {
                lost(written, found, &format!("{at}[{nth}]"));
            }
        }
        (written, found) => assert_eq!(written, found, "{at}"),
    }
}

fn paths(value: &Value, at: String, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = format!("{at}.{name}");
                all.insert(at.clone());
                paths(value, at, all);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, format!("{at}[]"), all)),
        _ => {}
    }
}

/// Every field that the schema of v1beta1 declares below spec.
fn in_schema(file: &str) -> Result<BTreeSet<String>> {
    let path = repository().join(format!("crds/{file}.external-secrets.io.yaml"));
    let definition: Value = serde_saphyr::from_str(&std::fs::read_to_string(path)?)?;
    let versions = definition["spec"]["versions"].as_array().cloned().unwrap_or_default();
    let old = versions.iter().find(|version| version["name"] == "v1beta1").expect("v1beta1");
    let mut all = BTreeSet::new();
    declared(&old["schema"]["openAPIV3Schema"]["properties"]["spec"], String::new(), &mut all);
    Ok(all)
}

fn declared(schema: &Value, at: String, all: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        // Providers that we do not have are kept whole, whatever is in them.
        if at.starts_with(".provider.") && field["x-kubernetes-preserve-unknown-fields"] == true {
            continue;
        }
        all.insert(at.clone());
        declared(field, at, all);
    }
    if schema["items"].is_object() {
        declared(&schema["items"], format!("{at}[]"), all);
    }
}

fn external_secrets() -> Vec<Value> {
    let remote = json!({
        "key": "r", "property": "p", "version": "v", "metadataPolicy": "Fetch",
        "conversionStrategy": "Unicode", "decodingStrategy": "Auto", "nullBytePolicy": "Fail",
    });
    let find = json!({
        "path": "p", "name": {"regexp": "x"}, "tags": {"a": "b"},
        "conversionStrategy": "Unicode", "decodingStrategy": "Base64", "nullBytePolicy": "Ignore",
    });
    let rewrite = json!([
        {"regexp": {"source": "a", "target": "b"}},
        {"transform": {"template": "{{ .value }}"}},
        {"merge": {"into": "i", "priority": ["p"], "priorityPolicy": "IgnoreNotFound",
            "conflictPolicy": "Ignore", "strategy": "JSON"}},
    ]);
    let store = json!({"storeRef": {"name": "other", "kind": "ClusterSecretStore"}});
    let generator = json!({"generatorRef": {"apiVersion": "generators.external-secrets.io/v1alpha1",
        "kind": "Password", "name": "g"}});
    let items = json!([{"key": "k", "templateAs": "KeysAndValues"}]);
    let source = json!({"name": "n", "items": items});
    let template = json!({
        "type": "Opaque", "engineVersion": "v2", "mergePolicy": "Merge",
        "metadata": {"annotations": {"a": "b"}, "labels": {"c": "d"},
            "finalizers": ["example.com/f"]},
        "data": {"k": "v"},
        "templateFrom": [
            {"configMap": source, "target": "Labels", "valuesDecodingStrategy": "Base64"},
            {"secret": source}, {"literal": "a: b"},
        ],
    });
    vec![json!({
        "secretStoreRef": {"name": "absent", "kind": "SecretStore"},
        "refreshPolicy": "OnChange", "refreshInterval": "5m",
        "syncWindows": {"kind": "allow",
            "windows": [{"schedule": "0 1 * * *", "duration": "8h"}]},
        "target": {"name": "t", "creationPolicy": "Orphan", "deletionPolicy": "Merge",
            "immutable": true, "template": template,
            "manifest": {"apiVersion": "v1", "kind": "ConfigMap"}},
        "data": [
            {"secretKey": "k", "remoteRef": remote, "sourceRef": store},
            {"secretKey": "l", "remoteRef": {"key": "r"}, "sourceRef": generator},
        ],
        "dataFrom": [
            {"extract": remote, "rewrite": rewrite, "sourceRef": store},
            {"find": find}, {"sourceRef": generator},
        ],
    })]
}

/// A store of Kubernetes with every field.
fn kubernetes(auth: &Value) -> Value {
    let selector = json!({"name": "n", "key": "k", "namespace": "rules-fields-kept"});
    let authority =
        json!({"type": "ConfigMap", "name": "n", "key": "k", "namespace": "rules-fields-kept"});
    json!({
        "controller": "somebody-else",
        "provider": {"kubernetes": {
            "server": {"url": "https://example.org", "caBundle": "eA==", "caProvider": authority},
            "auth": auth, "authRef": selector, "remoteNamespace": "other",
        }},
    })
}

fn stores() -> Vec<Value> {
    let selector = json!({"name": "n", "key": "k", "namespace": "rules-fields-kept"});
    let account = json!({"name": "sa", "namespace": "rules-fields-kept", "audiences": ["a"]});
    let conditions = json!([{"namespaces": ["a"], "namespaceRegexes": ["b"],
        "namespaceSelector": {"matchLabels": {"c": "d"},
            "matchExpressions": [{"key": "e", "operator": "In", "values": ["f"]}]}}]);
    vec![
        json!({
            "controller": "somebody-else", "refreshInterval": 60,
            "retrySettings": {"maxRetries": 2, "retryInterval": "5s"}, "conditions": conditions,
            "provider": {"aws": {
                "service": "SecretsManager", "region": "eu-west-1",
                "auth": {
                    "jwt": {"serviceAccountRef": account},
                    "secretRef": {"accessKeyIDSecretRef": selector,
                        "secretAccessKeySecretRef": selector, "sessionTokenSecretRef": selector},
                },
                "role": "arn:aws:iam::000000000000:role/r", "additionalRoles": ["arn"],
                "externalID": "x", "prefix": "p/", "sessionTagsPolicy": "Custom",
                "sessionTags": [{"key": "a", "value": "b"}], "transitiveTagKeys": ["a"],
                "customSessionTags": {"c": "d"},
                "secretsManager": {"forceDeleteWithoutRecovery": false, "recoveryWindowInDays": 8},
            }},
        }),
        json!({
            "controller": "somebody-else",
            "provider": {"fake": {"validationResult": 1,
                "data": [{"key": "k", "value": "v", "version": "1"}]}},
        }),
        kubernetes(&json!({"serviceAccount": account})),
        kubernetes(&json!({"token": {"bearerToken": selector}})),
        kubernetes(&json!({"cert": {"clientCert": selector, "clientKey": selector}})),
        json!({
            "controller": "somebody-else",
            "provider": {"vault": {"server": "https://vault.example.com", "auth": {"anything": [1, {"a": "b"}]}}},
        }),
    ]
}
