//! No value of a secret leaves the Secrets, and the operator has the rights that it uses and no others. The shared
//! environment is looked at whenever a test in it ends; one of its own has every right used.

use std::{collections::BTreeSet, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use support::{
    Cluster, Failure, Options, Result, SOON, Subsystem, TestEnv, audit, eventually, fetch,
    repository,
};

use crate::scene::{MARK, Scene, value};

#[tokio::test]
async fn with_every_right_used_none_is_missing_or_too_much_and_no_value_leaks() -> Result<()> {
    let flags = ["--per-object-metrics", "--log-level=trace"];
    let env = Subsystem::Secrets.start_with(&Options::default(), &flags)?;
    exercise(&env).await?;
    let outputs = outputs(&env, "afterwards").await?;
    assert!(env.operator.log().contains("\"level\":\"DEBUG\""), "the log is not at debug level");
    let metrics = fetch(&env.metrics, "/metrics").await?.1;
    assert!(metrics.contains("externalsecret_"), "no series per object");
    for (output, text) in &outputs {
        assert!(text.len() > 2, "{output} is empty");
    }
    assert_eq!(leaks(&outputs), Vec::<String>::new());
    rights_are_exactly_those_used(&env)
}

/// Every output that is checked shows a mark that is put there.
#[test]
fn a_value_is_found_in_every_encoding_whatever_is_around_it() {
    for padding in ["", "x", "xx", "xxx"] {
        let plain = format!("{padding}{}", value("old"));
        let hex: String =
            plain.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"));
        let url = plain.replace('-', "%2D");
        let json = plain.replace('-', "\\u002d");
        let numbers = format!("{:?}", plain.as_bytes());
        for text in
            [plain.clone(), BASE64.encode(&plain), hex.to_lowercase(), hex, url, json, numbers]
        {
            assert_eq!(leaks(&[("the log".to_owned(), text)]).len(), 1, "{padding:?}");
        }
    }
    assert!(leaks(&[("the log".to_owned(), "a line without values".to_owned())]).is_empty());
}

/// Uses every right.
async fn exercise(env: &TestEnv) -> Result<()> {
    let scene = Scene::within(env, "afterwards").await?;
    let role = json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::000000000000:role/after"});
    let account = json!({"name": "app", "annotations": role});
    scene.create(json!({"kind": "ServiceAccount", "metadata": account})).await?;
    let auth = json!({"jwt": {"serviceAccountRef": {"name": "app"}}});
    let aws = json!({"service": "SecretsManager", "region": "eu-west-1", "auth": auth});
    let store = json!({"kind": "SecretStore", "metadata": {"name": "by-account"},
        "spec": {"provider": {"aws": aws}}});
    scene.create(store).await?;
    let fake = json!({"fake": {"data": []}});
    let store = json!({"kind": "ClusterSecretStore", "metadata": {"name": "afterwards"},
        "spec": {"provider": fake}});
    scene.create(store).await?;
    scene.store_says("ClusterSecretStore", "afterwards", "True", "").await?;
    // The other one goes before its status is looked at.
    scene.put("stays", &value("x"));
    let layout = json!({"kind": "ConfigMap", "metadata": {"name": "layout"},
        "data": {"app.ini": "password={{ .value }}"}});
    scene.create(layout).await?;
    let from = json!([{"configMap": {"name": "layout", "items": [{"key": "app.ini"}]}}]);
    scene.synced("stays", json!({"target": {"template": {"templateFrom": from}}})).await?;
    scene.put("db", &value("old"));
    let spec = json!({"secretStoreRef": {"name": "by-account"},
        "target": {"deletionPolicy": "Delete"}});
    let mut object = scene.external("db", spec);
    let finalizer = "externalsecrets.external-secrets.io/externalsecret-cleanup";
    object["metadata"]["finalizers"] = json!([finalizer]);
    scene.create(object).await?;
    scene.ready("db").await?;
    scene.put("db", &value("new"));
    scene.force("db", "1").await?;
    scene.event("db", "Updated").await?;
    // The same again within six minutes makes the event a series.
    scene.put("db", &value("newer"));
    scene.force("db", "2").await?;
    scene.holds("db", &value("newer")).await?;
    scene.delete("ExternalSecret", "db").await?;
    scene.gone("ExternalSecret", "db").await?;
    scene.gone("Secret", "db").await?;
    every_namespace(&scene).await?;
    generators(&scene).await?;
    pushes(&scene).await?;
    crate::rotation::is_rotated(&scene).await?;
    elections(env).await
}

/// Uses the rights for ClusterExternalSecrets.
async fn every_namespace(scene: &Scene<'_>) -> Result<()> {
    let kind = "ClusterExternalSecret";
    let finalizer = "externalsecrets.external-secrets.io/clusterexternalsecret-cleanup";
    let spec = json!({
        "secretStoreRef": {"name": "aws"},
        "data": [scene.entry("value", "stays")],
    });
    let object = json!({"kind": kind,
        "metadata": {"name": "every", "finalizers": [finalizer]},
        "spec": {"namespaces": [scene.ns], "externalSecretSpec": spec}});
    scene.create(object).await?;
    scene.ready("every").await?;
    let labels = json!({"externalSecretMetadata": {"labels": {"a": "b"}}});
    scene.patch(kind, "every", json!({"spec": labels})).await?;
    eventually(SOON, "the label arrives", || async {
        let child = scene.get("ExternalSecret", "every").await?.unwrap_or_default();
        if child["metadata"]["labels"]["a"] == "b" { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    scene.patch(kind, "every", json!({"spec": {"namespaces": []}})).await?;
    scene.gone("ExternalSecret", "every").await?;
    scene.delete(kind, "every").await?;
    scene.gone(kind, "every").await?;
    // This one stays, so that its status is looked at.
    let spec = json!({"secretStoreRef": {"name": "aws"}, "data": [scene.entry("value", "stays")]});
    let nowhere = json!({"kind": kind, "metadata": {"name": "nowhere"},
        "spec": {"externalSecretSpec": spec}});
    scene.create(nowhere).await?;
    scene.says(kind, "nowhere", |ready| ready["status"] == "True").await?;
    Ok(())
}

/// Uses the rights for generators.
async fn generators(scene: &Scene<'_>) -> Result<()> {
    let seed = json!({"kind": "Secret", "metadata": {"name": "device"},
        "stringData": {"seed": "GEZDGNBVGY3TQOJQ"}});
    scene.create(seed).await?;
    let mfa = json!({"secret": {"name": "device", "key": "seed"}});
    let cluster = json!({"kind": "UUID", "generator": {"uuidSpec": {}}});
    let key = |key: &str| json!({"name": "aws-keys", "key": key});
    let keys = json!({"accessKeyIDSecretRef": key("id"), "secretAccessKeySecretRef": key("key")});
    let aws = json!({"region": "eu-west-1", "auth": {"secretRef": keys}});
    let hook = json!({"url": "https://example.org/", "result": {}});
    scene.create(json!({"kind": "Webhook", "metadata": {"name": "hook"}, "spec": hook})).await?;
    let from = json!([{"sourceRef": {"generatorRef": {"kind": "Webhook", "name": "hook"}}}]);
    scene.create(scene.external("hook", json!({"data": [], "dataFrom": from}))).await?;
    scene.fails("hook", "--webhook-generator-hosts").await?;
    for (kind, spec) in [
        ("Password", json!({})),
        ("UUID", json!({})),
        ("SSHKey", json!({"keyType": "ed25519"})),
        ("Fake", json!({"data": {"value": value("fake")}})),
        ("MFA", mfa),
        ("ECRAuthorizationToken", aws.clone()),
        ("STSSessionToken", aws),
        ("ClusterGenerator", cluster),
    ] {
        let name = kind.to_lowercase();
        scene.create(json!({"kind": kind, "metadata": {"name": name}, "spec": spec})).await?;
        let from = json!([{"sourceRef": {"generatorRef": {"kind": kind, "name": name}}}]);
        scene.synced(&name, json!({"data": [], "dataFrom": from})).await?;
    }
    Ok(())
}

/// Uses the rights for PushSecrets.
async fn pushes(scene: &Scene<'_>) -> Result<()> {
    let kind = "PushSecret";
    let source = json!({"kind": "Secret", "metadata": {"name": "pushed"},
        "stringData": {"password": value("pushed"), "other": value("other")}});
    scene.create(source).await?;
    let object = |name: &str, key: &str| {
        let remote = json!({"remoteKey": scene.remote(name)});
        json!({"kind": kind, "metadata": {"name": name}, "spec": {
            "deletionPolicy": "Delete",
            "secretStoreRefs": [{"name": "aws"}],
            "selector": {"secret": {"name": "pushed"}},
            "data": [{"match": {"secretKey": key, "remoteRef": remote}}],
        }})
    };
    scene.create(object("pushes", "password")).await?;
    scene.says(kind, "pushes", |ready| ready["status"] == "True").await?;
    scene.delete(kind, "pushes").await?;
    scene.gone(kind, "pushes").await?;
    // These stay, so that their statuses are looked at.
    scene.create(object("keeps-pushing", "other")).await?;
    scene.says(kind, "keeps-pushing", |ready| ready["status"] == "True").await?;
    scene.create(object("fails-to-push", "none")).await?;
    scene.says(kind, "fails-to-push", |ready| ready["status"] == "False").await?;
    every_namespace_pushes(scene).await
}

/// Uses the rights for ClusterPushSecrets.
async fn every_namespace_pushes(scene: &Scene<'_>) -> Result<()> {
    let kind = "ClusterPushSecret";
    let name = json!({"matchLabels": {"kubernetes.io/metadata.name": scene.ns}});
    let remote = json!({"remoteKey": scene.remote("every-push")});
    let push = json!({
        "secretStoreRefs": [{"name": "aws"}],
        "selector": {"secret": {"name": "pushed"}},
        "data": [{"match": {"secretKey": "other", "remoteRef": remote}}],
    });
    let object = json!({"kind": kind, "metadata": {"name": "every-push"},
        "spec": {"namespaceSelectors": [name], "pushSecretSpec": push}});
    scene.create(object).await?;
    scene.says("PushSecret", "every-push", |ready| ready["status"] == "True").await?;
    let labels = json!({"pushSecretMetadata": {"labels": {"a": "b"}}});
    scene.patch(kind, "every-push", json!({"spec": labels})).await?;
    eventually(SOON, "the label arrives", || async {
        let child = scene.get("PushSecret", "every-push").await?.unwrap_or_default();
        if child["metadata"]["labels"]["a"] == "b" { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    // It stays, so that its status is looked at.
    scene.patch(kind, "every-push", json!({"spec": {"namespaceSelectors": []}})).await?;
    scene.gone("PushSecret", "every-push").await?;
    scene.says(kind, "every-push", |ready| ready["status"] == "True").await?;
    Ok(())
}

/// A process of its own that leads for a moment and gives the lease back. Nothing is written beside the lease.
async fn elections(env: &TestEnv) -> Result<()> {
    let flags = [
        "--enable-leader-election",
        "--enable-secrets=false",
        "--leader-election-retry-period=200ms",
    ];
    let (mut operator, _) = env.another(&flags)?;
    eventually(SOON, "the lease is taken", || async {
        if operator.log().contains("leading") { Ok(()) } else { Err(operator.log()) }
    })
    .await?;
    // It renews the lease every 200 ms, which is a right of its own.
    eventually(SOON, "the lease is renewed", || async {
        let used = audit::used_on(env.plane());
        let renews = |(group, _, verb): &(String, String, String)| {
            group == "coordination.k8s.io" && verb == "update"
        };
        if used.iter().any(renews) { Ok(()) } else { Err("not yet") }
    })
    .await?;
    assert_eq!(operator.stop(SOON)?.code, Some(0));
    Ok(())
}

/// The mark of the tests' values, plain and as base64 may show it.
fn marks() -> Vec<String> {
    let shifted = (0..3).map(|shift| {
        let text = BASE64.encode(format!("{}{MARK}", "x".repeat(shift)));
        // What depends on the neighbours is cut off.
        text[4..text.len() - 4].to_owned()
    });
    let hex = |upper: bool| {
        MARK.bytes().fold(String::new(), |hex, byte| {
            hex + &if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }
        })
    };
    let numbers = format!("{:?}", MARK.as_bytes());
    let written = [
        MARK.to_owned(),
        "hunter2".to_owned(),
        hex(true),
        hex(false),
        MARK.replace('-', "%2D"),
        MARK.replace('-', "%2d"),
        MARK.replace('-', "\\u002d"),
        numbers.trim_matches(['[', ']']).to_owned(),
    ];
    shifted.chain(written).collect()
}

/// Everything that the operator says, to anybody: its log, its metrics, and events and statuses in a namespace.
async fn outputs(env: &TestEnv, namespace: &str) -> Result<Vec<(String, String)>> {
    let cluster = Cluster::new(env.plane()).await?;
    let mut outputs = vec![
        ("the log".to_owned(), env.operator.log()),
        ("/metrics".to_owned(), fetch(&env.metrics, "/metrics").await?.1),
        ("/readyz".to_owned(), fetch(&env.health, "/readyz").await?.1),
    ];
    for kind in [
        "Event",
        "ExternalSecret",
        "SecretStore",
        "ClusterSecretStore",
        "ClusterExternalSecret",
        "PushSecret",
        "ClusterPushSecret",
    ] {
        let mut list = cluster.list(kind, namespace).await?;
        for object in &mut list {
            // A fake store has its values in its spec, in clear text.
            object["spec"].take();
            object["metadata"]["annotations"].take();
        }
        outputs.push((kind.to_owned(), json!(list).to_string()));
    }
    Ok(outputs)
}

/// The outputs that show a value, and what is around it.
fn leaks(outputs: &[(String, String)]) -> Vec<String> {
    let marks = marks();
    let mut found = Vec::new();
    for (output, text) in outputs {
        if let Some(at) = marks.iter().find_map(|mark| text.find(mark)) {
            let start = text[..at].rfind('\n').map_or(0, |start| start + 1);
            let line: String = text[start..].chars().take(600).collect();
            found.push(format!("a value is in {output}: {line}"));
        }
    }
    found
}

/// Fails if a value has left the Secrets, or if the operator was denied something in this namespace.
pub fn assert_kept(env: &TestEnv, namespace: &str) {
    let read = || -> Result<Vec<(String, String)>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(outputs(env, namespace))
    };
    // A thread of its own: the test that ends has a runtime, which must not block.
    let outputs = std::thread::scope(|scope| scope.spawn(read).join());
    let outputs = outputs.expect("no panic").expect("what the operator says");
    assert_eq!(leaks(&outputs), Vec::<String>::new());
    let denied: Vec<_> =
        denied(env).into_iter().filter(|request| request.namespace == namespace).collect();
    assert!(denied.is_empty(), "needed and not granted: {denied:#?}");
}

/// Requests that the operator had no right to.
fn denied(env: &TestEnv) -> Vec<audit::Request> {
    let requests = audit::requests_with_code(env.plane(), 403);
    requests.into_iter().filter(|request| !request.authorized).collect()
}

/// Rights of the other subsystem, which the operators here have switched off.
const HARDENING: [&str; 3] = ["dns.yaml", "hardening.yaml", "policies.yaml"];
/// Roles for people, which the operator does not have.
const PEOPLE: &str = "people.yaml";

fn rights_are_exactly_those_used(env: &TestEnv) -> Result<()> {
    let used = audit::used_on(env.plane());
    let mut granted = BTreeSet::new();
    let mut allowed = BTreeSet::new();
    for entry in std::fs::read_dir(repository().join("config/rbac"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "yaml") || name == PEOPLE {
            continue;
        }
        allowed.extend(rights_in(&path)?);
        if !HARDENING.contains(&name) {
            granted.extend(rights_in(&path)?);
        }
    }
    let of_rotation = rights_in(&repository().join("config/overlays/rotation/rbac.yaml"))?;
    allowed.extend(of_rotation.iter().cloned());
    granted.extend(of_rotation);
    let unused: Vec<_> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "granted and never used: {unused:#?}");
    let strange: Vec<_> = used.difference(&allowed).collect();
    assert!(strange.is_empty(), "used without config/rbac granting it: {strange:#?}");
    let denied = denied(env);
    assert!(denied.is_empty(), "needed and not granted: {denied:#?}");
    Ok(())
}

fn rights_in(path: &Path) -> Result<BTreeSet<(String, String, String)>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(path)?)?;
    let mut rights = BTreeSet::new();
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for rule in documents.iter().filter_map(|document| document["rules"].as_array()).flatten() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    rights.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    Ok(rights)
}
