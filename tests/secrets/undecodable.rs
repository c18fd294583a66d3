//! An object that the API server takes and this version cannot decode costs that object only, also at a restart.

use serde_json::{Value, json};
use support::{Cluster, Failure, Result, SOON, Subsystem, answers, eventually, path};

use crate::scene::Scene;

/// More than a 32-bit integer holds.
const TOO_LARGE: i64 = 2_147_483_648;

/// Maps in maps, deeper than JSON decoders follow.
fn nested(levels: usize) -> String {
    format!("{}{{}}{}", "{\"f:a\":".repeat(levels), "}".repeat(levels))
}

/// A fake store; `spec` replaces fields of its spec.
fn fake(kind: &str, name: &str, spec: Value) -> Value {
    let data = json!([{"key": "foo", "value": "bar"}]);
    let mut object = json!({"kind": kind, "metadata": {"name": name},
        "spec": {"provider": {"fake": {"data": data}}}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

fn reader(name: &str, store: &str) -> Value {
    json!({"kind": "ExternalSecret", "metadata": {"name": name}, "spec": {
        "secretStoreRef": {"name": store}, "refreshInterval": "1h",
        "data": [{"secretKey": "value", "remoteRef": {"key": "foo"}}]}})
}

/// Replaces an object by itself with deep lists of managed fields, as its owner may.
async fn deepen(cluster: &Cluster, kind: &str, namespace: &str, name: &str) -> Result<()> {
    let mut object = cluster.get(kind, namespace, name).await?.expect("the object");
    object["metadata"]["managedFields"] = json!([{"manager": "deep", "operation": "Update",
        "apiVersion": object["apiVersion"], "fieldsType": "FieldsV1",
        "time": "2026-01-01T00:00:00Z", "fieldsV1": "DEEP"}]);
    let body = object.to_string().replace("\"DEEP\"", &nested(140)).into_bytes();
    let request = http::Request::put(path(kind, namespace, name))
        .header("content-type", "application/json")
        .body(body)?;
    let stored = cluster.client.request_text(request).await?;
    assert!(stored.matches("f:a").count() >= 140, "{kind}: the API server takes it: {stored}");
    Ok(())
}

/// Takes the bounds of `refreshInterval` away, as in an older definition.
async fn loosen(cluster: &Cluster, definition: &str) -> Result<()> {
    let kind = "CustomResourceDefinition";
    let mut versions =
        cluster.get(kind, "", definition).await?.expect("the definition")["spec"]["versions"]
            .take();
    for version in versions.as_array_mut().into_iter().flatten() {
        let spec = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"];
        spec["properties"]["refreshInterval"] = json!({"x-kubernetes-int-or-string": true});
    }
    cluster.patch(kind, "", definition, json!({"spec": {"versions": versions}})).await?;
    Ok(())
}

/// Creates an object as soon as the API server has accepted the definition.
async fn create_soon(scene: &Scene<'_>, object: Value) -> Result<()> {
    eventually(SOON, "the object is taken", || async { scene.create(object.clone()).await })
        .await?;
    Ok(())
}

/// Everything that the API server takes and a decoder does not.
async fn spoil(scene: &Scene<'_>, cluster: &Cluster) -> Result<()> {
    let ns = &scene.ns;
    loosen(cluster, "secretstores.external-secrets.io").await?;
    loosen(cluster, "clustersecretstores.external-secrets.io").await?;
    let wide = json!({"refreshInterval": TOO_LARGE});
    create_soon(scene, fake("SecretStore", "wide", wide.clone())).await?;
    create_soon(scene, fake("ClusterSecretStore", "wide-cluster", wide)).await?;
    let mut deep = fake("SecretStore", "deep", json!({}));
    deep["spec"]["provider"] = json!({"gcpsm": "DEEP"});
    deep["apiVersion"] = json!("external-secrets.io/v1");
    let body = deep.to_string().replace("\"DEEP\"", &nested(130)).into_bytes();
    let request = http::Request::post(path("SecretStore", ns, ""))
        .header("content-type", "application/json")
        .body(body)?;
    cluster.client.request_text(request).await?;

    scene.create(fake("SecretStore", "fake", json!({}))).await?;
    for name in ["bad-time", "bad-condition", "deep-fields"] {
        scene.create(reader(name, "fake")).await?;
    }
    let bad = "2026-01-01T00:00:00x5Z";
    scene.patch_status("ExternalSecret", "bad-time", json!({"refreshTime": bad})).await?;
    let condition = json!({"type": "Ready", "status": "True", "lastTransitionTime": bad});
    let status = json!({"conditions": [condition]});
    scene.patch_status("ExternalSecret", "bad-condition", status).await?;
    deepen(cluster, "ExternalSecret", ns, "deep-fields").await?;

    scene.create(json!({"kind": "Secret", "metadata": {"name": "deep"}})).await?;
    scene.create(json!({"kind": "ConfigMap", "metadata": {"name": "deep"}})).await?;
    scene.create(json!({"kind": "ServiceAccount", "metadata": {"name": "deep"}})).await?;
    for kind in ["Secret", "ConfigMap", "ServiceAccount"] {
        deepen(cluster, kind, ns, "deep").await?;
    }
    Ok(())
}

#[tokio::test]
async fn s1_one_object_that_cannot_be_decoded_stops_nobody_else() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    // While the operator is away, so that its first lists hold all of it.
    env.operator.stop(SOON)?;
    let cluster = Cluster::new(env.plane()).await?;
    let spoilt = Scene::bare(&env, "spoilt").await?;
    spoil(&spoilt, &cluster).await?;
    let other = Scene::bare(&env, "other-tenant").await?;
    other.create(fake("SecretStore", "fake", json!({}))).await?;
    other.create(reader("before", "fake")).await?;
    drop((spoilt, other));

    env.start_again(&[])?;

    answers(&env.health, "/readyz", "200 OK").await?;
    let (spoilt, other) =
        (Scene::enter(&env, "spoilt").await?, Scene::enter(&env, "other-tenant").await?);
    other.ready("before").await?;
    other.data_is("before", json!({"value": "bar"})).await?;
    other.create(reader("after", "fake")).await?;
    other.ready("after").await?;
    // What can be done without is left out: these are synced as well.
    for name in ["bad-time", "bad-condition"] {
        spoilt.ready(name).await?;
    }
    spoilt.data_is("deep-fields", json!({"value": "bar"})).await?;
    // What cannot be is named in the log, counted, and reported in an event of the object.
    let log = env.operator.log();
    for name in ["spoilt/wide", "spoilt/deep", "wide-cluster", "spoilt/bad-time"] {
        assert!(
            log.lines().any(|line| line.contains("cannot be decoded") && line.contains(name)),
            "{name}"
        );
    }
    eventually(SOON, "three are counted", || async {
        match env.counter("gabion_undecodable_objects").await? {
            3 => Ok(()),
            other => Err(Failure::new(format!("it is {other}"))),
        }
    })
    .await?;
    let note = spoilt.event("wide", "NotDecodable").await?;
    assert!(note.contains("spec.refreshInterval: invalid value: integer"), "{note}");
    let stored = spoilt.store_says("SecretStore", "wide", "False", "spec.refreshInterval").await?;
    assert_eq!(crate::scene::ready_of(&stored)["reason"], "NotDecodable");
    // No client that decodes JSON into values can read this one.
    eventually(SOON, "the store says so", || async {
        let request =
            http::Request::get(path("SecretStore", &spoilt.ns, "deep")).body(Vec::new())?;
        let stored = cluster.client.request_text(request).await?;
        if stored.contains("NotDecodable") {
            return Ok(());
        }
        Err(Failure::new("no condition"))
    })
    .await?;
    spoilt
        .store_says("ClusterSecretStore", "wide-cluster", "False", "spec.refreshInterval")
        .await?;
    spoilt.create(reader("of-wide", "wide")).await?;
    spoilt.fails("of-wide", "cannot be decoded: spec.refreshInterval").await?;
    // Once it can be decoded it is like any other.
    let mended = json!({"spec": {"refreshInterval": 60}});
    spoilt.patch("SecretStore", "wide", mended).await?;
    spoilt.store_says("SecretStore", "wide", "True", "").await?;
    spoilt.ready("of-wide").await?;
    answers(&env.health, "/healthz", "200 OK").await
}
