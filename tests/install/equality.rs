//! The chart and the kustomizations install the same, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use support::{Kubectl, Result, repository};

use super::helm::{Helm, objects, text};

/// Labels that say who installed an object.
const OF_HELM: [&str; 4] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];

/// A mark that only Helm reads.
const KEEP: &str = "helm.sh/resource-policy";

/// Labels of an object that nothing selects: the chart puts its name on everything, the kustomization on some.
const DECORATION: [&str; 2] = ["app.kubernetes.io/name", "app.kubernetes.io/part-of"];

fn without(map: &mut Value, keys: &[&str]) {
    if let Some(map) = map.as_object_mut() {
        map.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

fn sort(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(ToString::to_string);
    }
}

/// One form for both sides. What it drops is all that may differ.
fn normal(mut object: Value) -> Value {
    without(&mut object["metadata"]["labels"], &OF_HELM);
    without(&mut object["metadata"]["labels"], &DECORATION);
    without(&mut object["metadata"]["annotations"], &[KEEP]);
    for field in ["labels", "annotations"] {
        if object["metadata"][field].as_object().is_none_or(serde_json::Map::is_empty) {
            without(&mut object["metadata"], &[field]);
        }
    }
    // The label of the release in selectors: it keeps two releases apart.
    for pointer in [
        "/spec/selector/matchLabels",
        "/spec/podSelector/matchLabels",
        "/spec/template/metadata/labels",
        "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels",
        "/spec/selector",
    ] {
        if let Some(labels) = object.pointer_mut(pointer) {
            without(labels, &OF_HELM);
        }
    }
    // Flags have no order.
    if let Some(flags) = object.pointer_mut("/spec/template/spec/containers/0/args") {
        sort(flags);
    }
    if let Some(rules) = object.get_mut("rules").and_then(Value::as_array_mut) {
        for rule in rules {
            for field in ["apiGroups", "resources", "verbs"] {
                sort(&mut rule[field]);
            }
        }
        sort(&mut object["rules"]);
    }
    object
}

type Objects = BTreeMap<String, Value>;

fn by_name(yaml: &str) -> Result<Objects> {
    let mut all = Objects::new();
    for object in objects(yaml)? {
        let (kind, meta) = (object["kind"].to_string(), &object["metadata"]);
        let name = format!("{kind} {}/{}", meta["namespace"], meta["name"]);
        let before = all.insert(name.clone(), normal(object));
        assert!(before.is_none(), "{name} twice");
    }
    Ok(all)
}

/// Each field in which two values differ, by its path.
fn differences(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: BTreeSet<_> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let of = |map: &serde_json::Map<_, _>| map.get(key).cloned().unwrap_or_default();
                differences(&format!("{path}.{key}"), &of(left), &of(right), found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differences(&format!("{path}[{index}]"), left, right, found);
            }
        }
        (left, right) if left == right => {}
        _ => found.push(format!("{path}: the chart has {left}, the kustomization {right}")),
    }
}

fn compare(chart: &Objects, kustomization: &Objects) -> Vec<String> {
    let mut found = Vec::new();
    let names: BTreeSet<_> = chart.keys().chain(kustomization.keys()).collect();
    for name in names {
        let of = |all: &Objects| all.get(name).cloned().unwrap_or_default();
        differences(name, &of(chart), &of(kustomization), &mut found);
    }
    found
}

/// The kustomization without the namespace of the pod: Helm makes that of the release (`--create-namespace`).
fn kustomized(folder: &str) -> Result<String> {
    let kubectl = Kubectl::new("none".as_ref(), "none".as_ref())?;
    let all = kubectl.run(&["kustomize", &text(&repository().join(folder))?])?;
    let namespace = |object: &Value| {
        object["kind"] == "Namespace" && object["metadata"]["name"] == "gabion-system"
    };
    let rest: Vec<_> = objects(&all)?.into_iter().filter(|object| !namespace(object)).collect();
    let texts: Vec<_> = rest.iter().map(ToString::to_string).collect();
    Ok(texts.join("\n---\n"))
}

/// The chart denies the traffic of the whole namespace only if asked to: other pods may be there.
const ALONE: &str = "--set=networkPolicy.defaultDeny=true";

/// The pod of `helm test` is no part of an installation.
const INSTALLED: &str = "--no-hooks";

fn assert_equal(folder: &str, values: &[&str]) -> Result<()> {
    let chart = Helm::alone()?.render(
        "gabion",
        "gabion-system",
        &[&[ALONE, INSTALLED], values].concat(),
    )?;
    let found = compare(&by_name(&chart)?, &by_name(&kustomized(folder)?)?);
    assert!(found.is_empty(), "{folder}:\n{}", found.join("\n"));
    Ok(())
}

#[test]
fn the_defaults_are_config() -> Result<()> {
    assert_equal("config", &[])
}

#[test]
fn two_replicas_are_the_overlay() -> Result<()> {
    assert_equal("config/overlays/replicas", &["--set=replicaCount=2"])
}

#[test]
fn with_rotation_it_is_the_overlay() -> Result<()> {
    assert_equal("config/overlays/rotation", &["--set=processSecretRotation=true"])
}

#[test]
fn with_pull_secrets_it_is_the_overlay() -> Result<()> {
    let sources = "--set=pullSecretSources={platform/registry-credentials}";
    assert_equal("config/overlays/pull-secrets", &[sources])
}

#[test]
fn with_rollouts_it_is_the_overlay() -> Result<()> {
    assert_equal("config/overlays/rollouts", &["--set=rollouts.enabled=true"])
}

#[test]
fn on_openshift_it_is_the_overlay() -> Result<()> {
    assert_equal("config/overlays/openshift", &["--api-versions=security.openshift.io/v1"])
}

/// Kustomize puts the name of the namespace last (`gabion-metrics-team-a`), Helm behind that of the program.
#[test]
fn one_namespace_is_the_overlay() -> Result<()> {
    let values = ["--set=scopedNamespace=team-a,scopedRBAC=true", ALONE, INSTALLED];
    let chart = Helm::alone()?.render("gabion-team-a", "gabion-system", &values)?;
    let plain = |text: &str| text.replace("-team-a", "");
    let overlay = kustomized("config/overlays/namespaces")?;
    let found = compare(&by_name(&plain(&chart))?, &by_name(&plain(&overlay))?);
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// The comparison itself: one verb, one probe, one field of security.
#[test]
fn one_changed_field_is_named() -> Result<()> {
    let chart = by_name(&Helm::alone()?.render("gabion", "gabion-system", &[ALONE, INSTALLED])?)?;
    let deployment = r#""Deployment" "gabion-system"/"gabion""#;
    let container = "/spec/template/spec/containers/0";
    let (list, probe) = ("/rules/0/verbs/0", format!("{container}/livenessProbe/httpGet/path"));
    let security = format!("{container}/securityContext/readOnlyRootFilesystem");
    for (name, pointer) in [
        (r#""ClusterRole" null/"gabion-hardening""#, list),
        (deployment, probe.as_str()),
        (deployment, security.as_str()),
    ] {
        let mut changed = chart.clone();
        let field = changed.get_mut(name).and_then(|object| object.pointer_mut(pointer));
        *field.unwrap_or_else(|| panic!("{name} has no {pointer}")) = json!("changed");
        let found = compare(&chart, &changed);
        assert_eq!(found.len(), 1, "{found:?}");
        let last = pointer.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or("");
        assert!(found[0].starts_with(name) && found[0].contains(last), "{found:?}");
    }
    Ok(())
}
