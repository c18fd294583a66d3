//! The files in `crds/` are what the types say, and small enough for a plain `kubectl apply`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use gabion::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion;
use serde_json::{Value, json};

/// Limit of the annotation in which a client-side apply keeps the whole object.
const APPLY_LIMIT: usize = 262_144;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crds")
}

/// File name and text of every definition.
fn generated() -> BTreeMap<String, String> {
    crds::all()
        .unwrap()
        .iter()
        .map(|crd| {
            (format!("{}.yaml", crd.metadata.name.clone().unwrap()), crds::to_yaml(crd).unwrap())
        })
        .collect()
}

fn committed() -> BTreeMap<String, String> {
    fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The schema of one version of one kind, as the API server gets it.
pub fn schema(kind: &str, version: &str) -> Value {
    let crds = crds::all().unwrap();
    let crd = crds.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    let version = crd.spec.versions.iter().find(|v| v.name == version).unwrap();
    serde_json::to_value(version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap())
        .unwrap()
}

/// Every object inside a JSON value with the path that leads to it.
fn objects(value: &Value) -> Vec<(String, &serde_json::Map<String, Value>)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(map) => {
                found.push((path.clone(), map));
                open.extend(map.iter().map(|(key, inner)| (format!("{path}/{key}"), inner)));
            }
            Value::Array(items) => {
                open.extend(items.iter().map(|inner| (format!("{path}[]"), inner)));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_files_are_what_the_types_say() {
    let generated = generated();
    if std::env::var_os("UPDATE").is_some() {
        for (name, text) in &generated {
            fs::write(folder().join(name), text).unwrap();
        }
    }
    let committed = committed();
    assert_eq!(
        committed.keys().collect::<Vec<_>>(),
        generated.keys().collect::<Vec<_>>(),
        "crds/ has other files than there are kinds; UPDATE=1 writes missing ones"
    );
    for (name, text) in &generated {
        assert!(committed[name] == *text, "crds/{name} is out of date: run UPDATE=1 cargo test");
    }
}

#[test]
fn every_definition_fits_a_plain_kubectl_apply() {
    for (name, text) in generated() {
        assert!(text.len() < APPLY_LIMIT, "{name} has {} bytes", text.len());
    }
}

#[test]
fn every_file_reads_back_as_the_same_definition() {
    for crd in crds::all().unwrap() {
        let text = crds::to_yaml(&crd).unwrap();
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, serde_json::to_value(&crd).unwrap());
    }
}

#[test]
fn the_secrets_kinds_serve_v1beta1_and_store_v1() {
    let two = |kind: &str| !kind.ends_with("PushSecret");
    for crd in crds::all()
        .unwrap()
        .iter()
        .filter(|crd| crd.spec.group == "external-secrets.io" && two(&crd.spec.names.kind))
    {
        let versions: Vec<_> = crd
            .spec
            .versions
            .iter()
            .map(|v| (v.name.as_str(), v.served, v.storage, v.subresources.is_some()))
            .collect();
        assert_eq!(versions, [("v1", true, true, true), ("v1beta1", true, false, true)]);
        let [v1, v1beta1] = &crd.spec.versions[..] else { panic!("two versions") };
        let selectable = |version: &CustomResourceDefinitionVersion| {
            let fields = version.selectable_fields.iter().flatten();
            fields.map(|field| field.json_path.clone()).collect::<BTreeSet<_>>()
        };
        assert_eq!(selectable(v1), selectable(v1beta1));
        let one_list = v1.selectable_fields == v1beta1.selectable_fields;
        assert!(
            v1.selectable_fields.is_none() || !one_list,
            "the API server refuses equal lists where the schemas differ"
        );
        assert_eq!(v1.additional_printer_columns, v1beta1.additional_printer_columns);
        let label =
            crd.metadata.labels.as_ref().and_then(|l| l.get("external-secrets.io/component"));
        assert_eq!(label.map(String::as_str), Some("controller"));
        assert_eq!(crd.spec.names.categories, Some(vec!["external-secrets".to_owned()]));
    }
}

#[test]
fn push_secrets_have_the_version_the_columns_and_the_defaults_of_external_secrets_operator() {
    let crds = crds::all().unwrap();
    let crd = crds.iter().find(|crd| crd.spec.names.kind == "PushSecret").unwrap();
    let versions: Vec<_> = crd
        .spec
        .versions
        .iter()
        .map(|v| (v.name.as_str(), v.served, v.storage, v.subresources.is_some()))
        .collect();
    assert_eq!(versions, [("v1alpha1", true, true, true)]);
    assert_eq!(crd.spec.names.short_names, Some(vec!["ps".to_owned()]));
    assert_eq!(crd.spec.names.categories, Some(vec!["external-secrets".to_owned()]));
    let columns = crd.spec.versions[0].additional_printer_columns.iter().flatten();
    let columns: Vec<_> = columns.map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["AGE", "Status", "Last Sync"]);
    let schema = schema("PushSecret", "v1alpha1");
    let spec = &schema["properties"]["spec"];
    assert_eq!(spec["required"], json!(["secretStoreRefs", "selector"]));
    let fields: BTreeSet<_> = spec["properties"].as_object().unwrap().keys().collect();
    let expected = [
        "data",
        "dataTo",
        "deletionPolicy",
        "refreshInterval",
        "secretStoreRefs",
        "selector",
        "template",
        "updatePolicy",
    ];
    assert_eq!(fields.into_iter().collect::<Vec<_>>(), expected);
    for (field, default) in
        [("updatePolicy", "Replace"), ("deletionPolicy", "None"), ("refreshInterval", "1h0m0s")]
    {
        assert_eq!(spec["properties"][field]["default"], default, "{field}");
    }
    for (path, object) in objects(&schema) {
        let nullable = object.get("nullable") == Some(&json!(true));
        assert!(!nullable || path.ends_with("refreshTime"), "{path} is nullable");
    }
    let crd = crds.iter().find(|crd| crd.spec.names.kind == "ClusterPushSecret").unwrap();
    assert_eq!((crd.spec.scope.as_str(), crd.spec.versions.len()), ("Cluster", 1));
    let cluster = self::schema("ClusterPushSecret", "v1alpha1");
    let spec = &cluster["properties"]["spec"];
    assert_eq!(spec["required"], json!(["pushSecretSpec"]));
    let fields: BTreeSet<_> = spec["properties"].as_object().unwrap().keys().collect();
    let expected = [
        "namespaceSelectors",
        "pushSecretMetadata",
        "pushSecretName",
        "pushSecretSpec",
        "refreshTime",
    ];
    assert_eq!(fields.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(
        spec["properties"]["pushSecretSpec"]["properties"]["updatePolicy"]["default"],
        "Replace"
    );
}

#[test]
fn the_versions_differ_in_three_defaults_and_nothing_else() {
    for kind in ["ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore"] {
        let mut v1beta1 = schema(kind, "v1beta1");
        let v1 = schema(kind, "v1");
        for (path, _) in objects(&v1) {
            let field = path.rsplit('/').next().unwrap();
            let default = match field {
                "conversionStrategy" => "Default",
                "decodingStrategy" | "metadataPolicy" => "None",
                _ => continue,
            };
            let object = v1beta1.pointer_mut(&path).unwrap().as_object_mut().unwrap();
            assert_eq!(object.remove("default"), Some(json!(default)), "{kind}{path}");
        }
        assert_eq!(v1, v1beta1, "{kind}");
    }
}

#[test]
fn schemas_are_structural_and_hold_no_number_format_that_kubernetes_does_not_know() {
    for kind in ["ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore"] {
        for (path, object) in objects(&schema(kind, "v1")) {
            let is_property =
                path.rsplit('/').nth(1) == Some("properties") || path.ends_with("/items");
            if is_property && !path.contains("/default") {
                let typed = object.contains_key("type")
                    || object.contains_key("x-kubernetes-int-or-string")
                    || object.contains_key("x-kubernetes-preserve-unknown-fields");
                assert!(typed, "{kind}{path} has no type");
            }
            if let Some(format) = object.get("format").and_then(Value::as_str) {
                assert!(
                    ["int32", "int64", "date-time", "byte"].contains(&format),
                    "{kind}{path}: {format}"
                );
            }
            let has_null =
                object.get("enum").is_some_and(|v| v.as_array().unwrap().contains(&Value::Null));
            assert!(!has_null, "{kind}{path} lists null");
            let nullable = object.get("nullable") == Some(&json!(true));
            assert!(!nullable || path.ends_with("refreshTime"), "{kind}{path} is nullable");
        }
    }
}

#[test]
fn defaults_are_those_that_existing_manifests_rely_on() {
    let v1 = schema("ExternalSecret", "v1");
    let found: BTreeMap<String, String> = objects(&v1)
        .into_iter()
        .filter(|(path, object)| path.contains("/properties/") && object.contains_key("default"))
        .map(|(path, object)| {
            let field = path.replace("/properties/", ".").replace("/items", "[]");
            (field, object["default"].to_string())
        })
        .collect();
    let expected = [
        (".spec.dataFrom[].rewrite[].merge.conflictPolicy", r#""Error""#),
        (".spec.dataFrom[].rewrite[].merge.into", r#""""#),
        (".spec.dataFrom[].rewrite[].merge.priorityPolicy", r#""Strict""#),
        (".spec.dataFrom[].rewrite[].merge.strategy", r#""Extract""#),
        (
            ".spec.dataFrom[].sourceRef.generatorRef.apiVersion",
            r#""generators.external-secrets.io/v1alpha1""#,
        ),
        (
            ".spec.data[].sourceRef.generatorRef.apiVersion",
            r#""generators.external-secrets.io/v1alpha1""#,
        ),
        (".spec.refreshInterval", r#""1h0m0s""#),
        (".spec.target", r#"{"creationPolicy":"Owner","deletionPolicy":"Retain"}"#),
        (".spec.target.creationPolicy", r#""Owner""#),
        (".spec.target.deletionPolicy", r#""Retain""#),
        (".spec.target.template.engineVersion", r#""v2""#),
        (".spec.target.template.mergePolicy", r#""Replace""#),
        (".spec.target.template.templateFrom[].configMap.items[].templateAs", r#""Values""#),
        (".spec.target.template.templateFrom[].secret.items[].templateAs", r#""Values""#),
        (".spec.target.template.templateFrom[].target", r#""Data""#),
        (".status.binding.name", r#""""#),
    ];
    let expected: BTreeMap<String, String> =
        expected.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    assert_eq!(found, expected);
}
