//! What the chart makes of values: of none, of External Secrets Operator's, of wrong ones. No server is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;
use support::{Result, repository};

use super::helm::{Helm, chart, object, objects, only, text, value_files};

fn read(path: &str) -> Result<String> {
    Ok(std::fs::read_to_string(repository().join(path))?)
}

#[test]
fn its_versions_are_those_of_the_program() -> Result<()> {
    let chart: Value = serde_saphyr::from_str(&read("charts/gabion/Chart.yaml")?)?;
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    Ok(())
}

#[test]
fn helm_finds_nothing_to_complain_about() -> Result<()> {
    let helm = Helm::alone()?;
    helm.run(&["lint", "--strict", &chart()?])?;
    for (_, file) in value_files()? {
        helm.run(&["lint", "--strict", &chart()?, "-f", &file])?;
    }
    Ok(())
}

/// A key of `values.yaml`: its path, its default as JSON, and the comment above it.
struct Key {
    path: String,
    default: Value,
    comment: String,
}

/// The keys with a comment. Below one, keys without a comment are its default.
fn commented() -> Result<Vec<Key>> {
    let source = read("charts/gabion/values.yaml")?;
    let values: Value = serde_saphyr::from_str(&source)?;
    let (mut keys, mut parents, mut comment): (_, Vec<(usize, String)>, _) =
        (Vec::new(), Vec::new(), String::new());
    for line in source.lines() {
        let body = line.trim_start();
        let depth = line.len() - body.len();
        if let Some(text) = body.strip_prefix("# ") {
            comment = if comment.is_empty() { text.into() } else { format!("{comment} {text}") };
            continue;
        }
        let name = body.split_once(':').map(|(name, _)| name).filter(|_| !body.starts_with('-'));
        if let Some(name) = name {
            parents.retain(|(of, _)| *of < depth);
            parents.push((depth, name.to_owned()));
            let path: Vec<_> = parents.iter().map(|(_, name)| name.as_str()).collect();
            if !comment.is_empty() {
                let default = values.pointer(&format!("/{}", path.join("/")));
                let default = default.cloned().unwrap_or_default();
                let path = path.join(".");
                keys.push(Key { path, default, comment: comment.clone() });
            }
        }
        comment.clear();
    }
    Ok(keys)
}

/// The table of how every key is treated.
struct Treatment {
    same: Vec<String>,
    own: Vec<String>,
    no_effect: BTreeMap<String, String>,
    refused: BTreeMap<String, String>,
}

fn treatment() -> Result<Treatment> {
    let table: Value = serde_json::from_str(&read("charts/gabion/eso-values.json")?)?;
    let parse = |field: &str| table[field].clone();
    Ok(Treatment {
        same: serde_json::from_value(parse("same"))?,
        own: serde_json::from_value(parse("own"))?,
        no_effect: serde_json::from_value(parse("noEffect"))?,
        refused: serde_json::from_value(parse("refused"))?,
    })
}

/// Every path of a tree that ends at a value, or at a map that is empty.
fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

fn covers(row: &str, path: &str) -> bool {
    path == row || path.strip_prefix(row).is_some_and(|rest| rest.starts_with('.'))
}

#[test]
fn every_key_is_in_exactly_one_row_of_the_table() -> Result<()> {
    let table = treatment()?;
    let rows: Vec<_> = table.same.iter().chain(&table.own).chain(table.no_effect.keys()).collect();
    let check = |path: &str| {
        let of: Vec<_> = rows.iter().filter(|row| covers(row, path)).collect();
        assert_eq!(of.len(), 1, "{path}: {of:?}");
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    leaves("", &serde_saphyr::from_str(&read("charts/gabion/values.yaml")?)?, &mut ours);
    leaves(
        "",
        &serde_saphyr::from_str(&read("tests/install/values/eso-complete.yaml")?)?,
        &mut theirs,
    );
    ours.iter().chain(&theirs).for_each(|path| check(path));
    for row in table.same {
        let known =
            |all: &[String]| all.iter().any(|path| covers(&row, path) || covers(path, &row));
        assert!(known(&theirs) && known(&ours), "{row} is not a value of both charts");
    }
    for row in table.own {
        assert!(!theirs.iter().any(|path| covers(&row, path)), "{row} is a value of ESO's");
    }
    // A key without effect must not be in values.yaml: its presence is how the chart knows that it was given.
    for row in table.no_effect.keys().chain(table.refused.keys()) {
        assert!(!ours.iter().any(|path| covers(row, path)), "{row} is in values.yaml");
    }
    Ok(())
}

fn readme(keys: &[Key]) -> Result<String> {
    let mut page = String::from(
        "# Chart gabion\n\nGenerated from `values.yaml` and `eso-values.json` (`make chart` rewrites it). How to install: \
         [docs/install.md](../../docs/install.md). How to switch from External Secrets Operator (ESO) and back: \
         [docs/switch-from-eso.md](../../docs/switch-from-eso.md).\n\n## Values\n\nValues of the wrong type are refused. \
         A value that nothing reads is named in the notes of the release, in the annotation \
         `gabion.dev/ignored-values` of the Deployment and in the log at start.\n\n\
         | value | default | meaning |\n|---|---|---|\n",
    );
    for key in keys {
        let default = key.default.to_string();
        let default =
            if default.len() > 60 { "see values.yaml".into() } else { format!("`{default}`") };
        let _ = writeln!(page, "| `{}` | {default} | {} |", key.path, key.comment);
    }
    let table = treatment()?;
    page.push_str("\n## Values of ESO without effect\n\n| value | why |\n|---|---|\n");
    for (path, why) in &table.no_effect {
        let _ = writeln!(page, "| `{path}` | {why} |");
    }
    page.push_str("\n## Values of ESO that are refused\n\n| value | what to do |\n|---|---|\n");
    for (path, why) in &table.refused {
        let _ = writeln!(page, "| `{path}: true` | {why} |");
    }
    page.push_str(
        "| `image.repository`, `global.repository` that end in `external-secrets` | It is ESO's image, which does not \
         know Gabion's flags. Set it to a mirror of Gabion's image, or remove it |\n",
    );
    Ok(page)
}

#[test]
fn every_value_has_a_type_and_a_meaning_on_the_page() -> Result<()> {
    let keys = commented()?;
    let mut schema: Value = serde_json::from_str(&read("charts/gabion/values.schema.json")?)?;
    let mut all = Vec::new();
    leaves("", &serde_saphyr::from_str(&read("charts/gabion/values.yaml")?)?, &mut all);
    for path in &all {
        assert!(
            keys.iter().any(|key| covers(&key.path, path)),
            "values.yaml: no comment at {path}"
        );
    }
    for key in &keys {
        let pointer = format!("/properties/{}", key.path.replace('.', "/properties/"));
        let row = schema.pointer_mut(&pointer);
        let row = row.unwrap_or_else(|| panic!("values.schema.json has no {}", key.path));
        assert!(!row["type"].is_null(), "values.schema.json: {} has no type", key.path);
        row["description"] = key.comment.clone().into();
    }
    let schema = format!("{}\n", serde_json::to_string_pretty(&schema)?);
    for (file, wanted) in
        [("charts/gabion/README.md", readme(&keys)?), ("charts/gabion/values.schema.json", schema)]
    {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(repository().join(file), &wanted)?;
        }
        assert!(read(file)? == wanted, "{file} is not what values.yaml says: run `make chart`");
    }
    Ok(())
}

#[test]
fn values_that_cannot_be_meant_are_refused_with_the_key_and_the_way_out() -> Result<()> {
    let helm = Helm::alone()?;
    for (values, sentence) in [
        (
            "image.repository=mirror.example/ext/external-secrets",
            "image.repository: mirror.example",
        ),
        ("image.repository=ghcr.io/external-secrets/external-secrets,image.tag=v2", "remove it"),
        ("global.repository=mirror.example/external-secrets", "global.repository: mirror.example"),
        ("bitwarden-sdk-server.enabled=true", "no provider for Bitwarden. Set it to false"),
        ("genericTargets.enabled=true", "writes Secrets only. Set it to false"),
        ("metrics.listen.secure.enabled=true", "without TLS. Set it to false"),
        ("metrics.listen.auth.enabled=true", "without authentication. Set it to false"),
        (
            "scopedNamespace=a,hardening.enabled=true",
            "hardening.enabled: hardening needs the whole",
        ),
        ("scopedRBAC=true,hardening.enabled=true", "remove it, or install a second release"),
        ("secrets.enabled=false,hardening.enabled=false", "switch one of them on"),
        ("secrets.enabled=false,scopedNamespace=a", "switch one of them on"),
        ("createOperator=false,installCRDs=false", "there is nothing to install"),
        (
            "serviceMonitor.enabled=true,serviceMonitor.renderMode=failIfMissing",
            "set skipIfMissing",
        ),
        ("replicaCount=many", "at '/replicaCount': got string, want integer"),
        ("replicaCount=-1", "/replicaCount"),
        ("hardening=null", "missing property 'hardening'"),
        ("image.digest=latest", "/image/digest"),
        ("ambientCredentials=some", "/ambientCredentials"),
        ("resources=none", "/resources"),
        ("extraEnv=HOME", "/extraEnv"),
    ] {
        match helm.render("eso", "eso", &["--set", values]) {
            Err(refusal) => {
                let refusal = refusal.to_string();
                assert!(refusal.contains(sentence), "{values}: {refusal}");
            }
            Ok(_) => panic!("{values} was accepted"),
        }
    }
    Ok(())
}

fn deployment(helm: &Helm, more: &[&str]) -> Result<Value> {
    Ok(only(&objects(&helm.render("external-secrets", "eso", more)?)?, "Deployment")?.clone())
}

fn ignored(deployment: &Value) -> BTreeSet<String> {
    let list = deployment["metadata"]["annotations"]["gabion.dev/ignored-values"].as_str();
    let list: BTreeSet<_> = list.unwrap_or_default().split(',').map(ToOwned::to_owned).collect();
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array();
    let env = env.into_iter().flatten().find(|entry| entry["name"] == "GABION_IGNORED_VALUES");
    let told: BTreeSet<_> = env
        .and_then(|entry| entry["value"].as_str())
        .unwrap_or_default()
        .split(',')
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(list, told, "the annotation and what the program is told");
    list
}

#[test]
fn all_values_of_eso_render_and_those_without_effect_are_named() -> Result<()> {
    let helm = Helm::alone()?;
    let complete = text(&repository().join("tests/install/values/eso-complete.yaml"))?;
    let found = deployment(&helm, &["-f", &complete])?;
    let mut wanted: BTreeSet<_> = treatment()?.no_effect.into_keys().collect();
    // ESO's own image is the default of its chart. It says nothing, and ours is used.
    wanted.insert("image.repository".into());
    assert_eq!(ignored(&found), wanted);
    let container = &found["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["image"],
        format!("ghcr.io/gabion-dev/gabion:{}", env!("CARGO_PKG_VERSION"))
    );
    Ok(())
}

#[test]
fn a_key_that_nobody_knows_is_named_too_and_many_are_counted() -> Result<()> {
    let helm = Helm::alone()?;
    let found =
        deployment(&helm, &["--set=replicas=2,image.registry=x,wat.a.b=1,webhook.create=false"])?;
    let wanted = ["image.registry", "replicas", "wat", "webhook"];
    assert_eq!(ignored(&found), wanted.map(ToOwned::to_owned).into());
    assert!(ignored(&deployment(&helm, &[])?).iter().all(String::is_empty));

    let many: Vec<_> = (0..1000).map(|number| format!("key{number:04}={number}")).collect();
    let found = ignored(&deployment(&helm, &["--set", &many.join(",")])?);
    assert_eq!(found.len(), 101);
    assert!(found.contains("and 900 more"));
    Ok(())
}

#[test]
fn names_are_those_that_trust_policies_and_selectors_need() -> Result<()> {
    let helm = Helm::alone()?;
    for (release, values, account, deployment) in [
        ("external-secrets", "", "external-secrets", "external-secrets-gabion"),
        ("my-external-secrets", "", "my-external-secrets", "my-external-secrets-gabion"),
        ("eso", "", "eso-external-secrets", "eso-gabion"),
        ("eso", "nameOverride=secrets", "eso-secrets", "eso-secrets-gabion"),
        ("eso", "fullnameOverride=external-secrets", "external-secrets", "external-secrets-gabion"),
        ("eso", "serviceAccount.name=given", "given", "eso-gabion"),
        ("eso", "serviceAccount.create=false", "default", "eso-gabion"),
        ("gabion", "", "gabion", "gabion"),
    ] {
        let all = objects(&helm.render(release, "eso", &["--set", values])?)?;
        let found = object(&all, "Deployment", deployment)?;
        assert_eq!(found["spec"]["template"]["spec"]["serviceAccountName"], account, "{release}");
        for binding in all.iter().filter(|object| !object["subjects"].is_null()) {
            assert_eq!(binding["subjects"][0]["name"], account, "{release} {values}");
            assert_eq!(binding["subjects"][0]["namespace"], "eso");
        }
    }
    let long = "a".repeat(53);
    for object in objects(&helm.render(&long, "eso", &[])?)? {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().len();
        let kind = object["kind"].as_str().unwrap_or_default();
        // Names of these are no labels, and those of definitions are not ours to choose.
        let is_free = ["Role", "CustomResourceDefinition", "ValidatingAdmissionPolicy"]
            .iter()
            .any(|part| kind.contains(part));
        assert!(name <= 63 || is_free, "{object}");
    }
    Ok(())
}

#[test]
fn every_definition_is_kept_whatever_the_values_say() -> Result<()> {
    let helm = Helm::alone()?;
    for values in
        [&[][..], &[r"--set=crds.annotations.helm\.sh/resource-policy=delete,commonLabels.a=b"]]
    {
        let all = objects(&helm.render("eso", "eso", values)?)?;
        let definitions: Vec<_> =
            all.iter().filter(|object| object["kind"] == "CustomResourceDefinition").collect();
        assert_eq!(definitions.len(), std::fs::read_dir(repository().join("crds"))?.count() - 1);
        for definition in definitions {
            let mark = &definition["metadata"]["annotations"]["helm.sh/resource-policy"];
            assert_eq!(*mark, "keep", "{}", definition["metadata"]["name"]);
        }
        assert!(!all.iter().any(|object| object["kind"] == "Secret"));
    }
    let fewer = objects(&helm.render("eso", "eso", &["--set=crds.createSecretStore=false"])?)?;
    assert!(
        object(&fewer, "CustomResourceDefinition", "secretstores.external-secrets.io").is_err()
    );
    Ok(())
}

#[test]
fn a_service_monitor_finds_exactly_one_service() -> Result<()> {
    let helm = Helm::alone()?;
    let monitor = ["--set=serviceMonitor.enabled=true,metrics.service.enabled=false"];
    let there = "--api-versions=monitoring.coreos.com/v1/ServiceMonitor";
    let all = objects(&helm.render("eso", "eso", &[monitor[0], there])?)?;
    let found = only(&all, "ServiceMonitor")?;
    let labels = found["spec"]["selector"]["matchLabels"].as_object().cloned().unwrap_or_default();
    assert_eq!(found["spec"]["namespaceSelector"]["matchNames"][0], "eso");
    let service = only(&all, "Service")?;
    assert!(!labels.is_empty());
    for (label, value) in labels {
        assert_eq!(service["metadata"]["labels"][&label], value);
    }
    assert_eq!(service["spec"]["ports"][0]["name"], found["spec"]["endpoints"][0]["port"]);
    // Without the definition it would fail the installation, so it is left out, and the Service with it.
    assert!(!helm.render("eso", "eso", &monitor)?.contains("ServiceMonitor"));
    Ok(())
}

#[test]
fn what_users_add_replaces_ours_and_is_never_there_twice() -> Result<()> {
    let helm = Helm::alone()?;
    let file = text(&repository().join("tests/install/values/proxy.yaml"))?;
    let all = objects(&helm.render("eso", "eso", &["-f", &file])?)?;
    let found = object(&all, "Deployment", "eso-gabion")?;
    let spec = &found["spec"]["template"]["spec"];
    assert_eq!(spec["terminationGracePeriodSeconds"], 30);
    assert_eq!(spec["initContainers"][0]["name"], "eso-wait");
    assert_eq!(spec["hostUsers"], false);
    let container = &spec["containers"][0];
    let env = container["env"].as_array().cloned().unwrap_or_default();
    let names: BTreeSet<_> = env.iter().map(|entry| entry["name"].to_string()).collect();
    assert_eq!(names.len(), env.len());
    assert!(env.iter().any(|entry| entry["name"] == "LOG_LEVEL" && entry["value"] == "debug"));
    let args = container["args"].to_string();
    for flag in
        ["--client-qps=100", "--enable-flood-gate=false", "--enable-secrets-caching\"", "=:9090"]
    {
        assert!(args.contains(flag), "{flag}: {args}");
    }
    // A label that a selector needs is not replaced.
    assert_eq!(found["metadata"]["labels"]["app.kubernetes.io/name"], "gabion");
    assert_eq!(found["metadata"]["labels"]["team"], "platform");
    let policy = only(&all, "NetworkPolicy")?;
    assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["port"], 9090);
    Ok(())
}

/// `resources:` with nothing below it is `null`, which takes the key away.
#[test]
fn a_block_that_somebody_emptied_is_empty_and_one_that_is_needed_is_named() -> Result<()> {
    let helm = Helm::alone()?;
    let free = [
        "commonLabels",
        "crds.annotations",
        "deploymentAnnotations",
        "dnsConfig",
        "extraArgs",
        "extraEnv",
        "extraObjects",
        "global.nodeSelector",
        "global.tolerations",
        "imagePullSecrets",
        "livenessProbe.spec",
        "nodeSelector",
        "podAnnotations",
        "podLabels",
        "podSpecExtra",
        "protectedNamespaces",
        "readinessProbe.spec",
        "resources",
        "serviceAccount.annotations",
        "serviceAccount.extraLabels",
        "strategy",
        "tolerations",
        "topologySpreadConstraints",
    ];
    let nulls: Vec<_> = free.iter().map(|key| format!("{key}=null")).collect();
    let all = objects(&helm.render("gabion", "eso", &["--set", &nulls.join(",")])?)?;
    assert_eq!(only(&all, "Deployment")?["spec"]["strategy"]["type"], "Recreate");
    for key in ["image", "rbac", "replicaCount", "securityContext", "probeNamespace"] {
        match helm.render("gabion", "eso", &["--set", &format!("{key}=null")]) {
            Err(refusal) => assert!(refusal.to_string().contains(key), "{key}: {refusal}"),
            Ok(_) => panic!("{key}=null was accepted"),
        }
    }
    Ok(())
}
