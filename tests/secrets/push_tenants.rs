//! Contract 2.14 and 3.3: PushSecrets of several tenants, and of an operator that dies.

use std::sync::Arc;

use serde_json::{Value, json};
use support::{
    Failure, Options, Result, SOON, Subsystem,
    api_proxy::{self, Failing, Faults, Reading},
    eventually,
    secrets_manager::Denial,
};

use crate::push::{
    FINALIZER, KIND, change, entry, fails, is_synced, push, remote_is, source, writes,
};
use crate::scene::{Scene, aws_provider, value};

const CLUSTER: &str = "ClusterPushSecret";

/// A PushSecret of the key `password` to one remote secret of the first scene, by a ClusterSecretStore of its name.
fn shared(first: &Scene<'_>, name: &str, remote: &str) -> Value {
    let stores = json!([{"kind": "ClusterSecretStore", "name": first.ns}]);
    let spec = json!({"secretStoreRefs": stores, "deletionPolicy": "Delete"});
    push(name, json!([entry(first, "password", remote, "")]), spec)
}

#[tokio::test]
async fn push_who_is_refused_holds_nobody_up() -> Result<()> {
    let refused = Scene::new("push-refused").await?;
    let allowed = refused.beside("not").await?;
    for scene in [&refused, &allowed] {
        source(scene, json!({"password": value(&scene.ns)})).await?;
    }
    let provider = json!({"aws": aws_provider("aws-keys", Some(&refused.ns))});
    let store = json!({"kind": "ClusterSecretStore", "metadata": {"name": refused.ns},
        "spec": {"conditions": [{"namespaces": [allowed.ns]}], "provider": provider}});
    refused.create(store).await?;
    // By the conditions of the store. It is older, and may not.
    refused.create(shared(&refused, "first", "a")).await?;
    fails(&refused, "first", "denied by spec.conditions").await?;
    allowed.create(shared(&refused, "second", "a")).await?;
    is_synced(&allowed, "second").await?;
    remote_is(&refused, "a", Some(&value(&allowed.ns))).await?;
    allowed.delete(KIND, "second").await?;
    allowed.gone(KIND, "second").await?;
    remote_is(&refused, "a", None).await?;

    // By the list of keys, and by a controller that one of its stores is for.
    let list = format!(
        "[{{namespaces: [{}], keys: ['*']}}, {{namespaces: [{}], keys: ['none']}}]",
        allowed.ns, refused.ns
    );
    let listed = json!({"metadata": {"annotations": {"gabion.dev/allowed-keys": list}},
        "spec": {"conditions": null}});
    refused.patch("ClusterSecretStore", &refused.ns, listed).await?;
    fails(&refused, "first", "does not let namespace").await?;
    let mut foreign = refused.store("foreign");
    foreign["spec"]["controller"] = json!("another");
    refused.create(foreign).await?;
    let mut waits = shared(&refused, "waits", "b");
    waits["spec"]["secretStoreRefs"].as_array_mut().unwrap().push(json!({"name": "foreign"}));
    refused.create(waits).await?;
    for name in ["a", "b"] {
        allowed.create(shared(&refused, name, name)).await?;
        is_synced(&allowed, name).await?;
    }

    // One that may, and whose Secret lacks the key, has the place until it may not any more.
    let labels = |label: Value| json!({"metadata": {"labels": {"may": label}}});
    for scene in [&refused, &allowed] {
        scene.patch("Namespace", &scene.ns, labels(json!("push"))).await?;
    }
    let selector = json!([{"namespaceSelector": {"matchLabels": {"may": "push"}}}]);
    let open = json!({"metadata": {"annotations": {"gabion.dev/allowed-keys": null}},
        "spec": {"conditions": selector}});
    refused.patch("ClusterSecretStore", &refused.ns, open).await?;
    let mut empty = shared(&refused, "empty", "c");
    empty["spec"]["data"][0]["match"]["secretKey"] = json!("absent");
    refused.create(empty).await?;
    fails(&refused, "empty", "absent").await?;
    allowed.create(shared(&refused, "c", "c")).await?;
    fails(&allowed, "c", "is pushed by PushSecret push-refused/empty").await?;
    refused.patch("Namespace", &refused.ns, labels(Value::Null)).await?;
    is_synced(&allowed, "c").await?;
    refused.delete("ClusterSecretStore", &refused.ns).await?;
    Ok(())
}

/// A ClusterPushSecret, its PushSecret and the remote secret as External Secrets Operator leaves them. What is there.
async fn left_behind(scene: &Scene<'_>) -> Result<[Value; 2]> {
    let spec = push(
        "taken",
        json!([entry(scene, "password", "taken", "")]),
        json!({"deletionPolicy": "Delete"}),
    )["spec"]
        .clone();
    let label = json!({"matchLabels": {"kubernetes.io/metadata.name": scene.ns}});
    let cluster = json!({"kind": CLUSTER, "metadata": {"name": "taken"},
        "spec": {"namespaceSelectors": [label], "pushSecretSpec": spec}});
    let uid = scene.create(cluster).await?["metadata"]["uid"].clone();
    let owner = json!({"apiVersion": "external-secrets.io/v1alpha1", "kind": CLUSTER,
        "name": "taken", "uid": uid, "controller": true, "blockOwnerDeletion": true});
    let meta = json!({"name": "taken", "ownerReferences": [owner], "finalizers": [FINALIZER]});
    scene.create(json!({"kind": KIND, "metadata": meta, "spec": spec})).await?;
    let ready =
        json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-01T00:00:00Z"});
    let mut synced = ready.clone();
    synced["reason"] = json!("Synced");
    synced["message"] = json!("PushSecret synced successfully");
    let status = json!({"conditions": [synced], "refreshTime": "2026-11-01T00:00:00Z",
        "syncedResourceVersion": "1-0123456789",
        "syncedPushSecrets": {"SecretStore/aws": {scene.remote("taken"): spec["data"][0]}}});
    scene.patch_status(KIND, "taken", status).await?;
    let status = json!({"conditions": [ready], "provisionedNamespaces": [scene.ns],
        "pushSecretName": "taken"});
    scene.patch_status(CLUSTER, "taken", status).await?;
    scene.put("taken", &value("two"));
    scene.env.aws.tag(&scene.remote("taken"), "managed-by", "external-secrets");
    let found = [scene.get(KIND, "taken").await?, scene.get(CLUSTER, "taken").await?];
    Ok(found.map(Option::unwrap_or_default))
}

/// It was compared, and nothing was written but the status of the PushSecret.
async fn is_taken_over(scene: &Scene<'_>, [child, cluster]: &[Value; 2]) -> Result<()> {
    let now = is_synced(scene, "taken").await?;
    assert_eq!(now["spec"], child["spec"]);
    for field in ["generation", "ownerReferences", "finalizers", "labels", "annotations"] {
        assert_eq!(now["metadata"][field], child["metadata"][field], "{field}");
    }
    assert_eq!(now["status"]["syncedPushSecrets"], child["status"]["syncedPushSecrets"]);
    let now = scene.get(CLUSTER, "taken").await?.unwrap_or_default();
    assert_eq!(&now, cluster);
    remote_is(scene, "taken", Some(&value("two"))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_nothing_is_forgotten_whatever_dies_or_is_refused() -> Result<()> {
    let faults = Arc::new(Faults::default());
    let plane = Subsystem::Secrets.control_plane(&Options::default())?;
    let through = |direct: std::path::PathBuf| api_proxy::start(&direct, faults.clone());
    let mut env = Subsystem::Secrets.start_through(plane, through, &[])?;
    let ns = "push-dies";
    let scene = Scene::within(&env, ns).await?;
    source(&scene, json!({"password": value("one")})).await?;
    scene.store_says("SecretStore", "aws", "True", "").await?;
    let delete = json!({"deletionPolicy": "Delete"});
    let to = |scene: &Scene<'_>, name: &str| json!([entry(scene, "password", name, "")]);

    // It dies between the creation and the status that says so: the third write, after finalizer and announcement.
    let last = faults.writes(ns).len() + 3;
    faults.fail(ns, last, Failing::Hang);
    scene.create(push("db", to(&scene, "a"), delete.clone())).await?;
    eventually(SOON, "the write that hangs", || async {
        let writes = faults.writes(ns);
        if writes.len() == last { Ok(()) } else { Err(Failure::new(format!("{writes:?}"))) }
    })
    .await?;
    remote_is(&scene, "a", Some(&value("one"))).await?;
    drop(scene);
    env.operator.kill();
    let scene = Scene::enter(&env, ns).await?;
    scene.patch(KIND, "db", json!({"spec": {"data": to(&scene, "b")}})).await?;
    drop(scene);
    env.start_again(&[])?;
    let scene = Scene::enter(&env, ns).await?;
    remote_is(&scene, "b", Some(&value("one"))).await?;
    remote_is(&scene, "a", None).await?;
    is_synced(&scene, "db").await?;

    // No status can be written about a field of a secret that is there: it is remembered.
    let kubectl = env.plane().admin()?;
    let role = |resource: &str| {
        let patch = format!(
            r#"[{{"op": "replace", "path": "/rules/1/resources", "value": ["{resource}"]}}]"#
        );
        kubectl.run(&["patch", "clusterrole", "gabion-push-secrets", "--type=json", "-p", &patch])
    };
    scene.put("shared", r#"{"port":1}"#);
    scene.env.aws.tag(&scene.remote("shared"), "managed-by", "external-secrets");
    role("none")?;
    let account = "--as=system:serviceaccount:gabion-system:gabion";
    eventually(SOON, "the right is gone", || async {
        let asked = ["auth", "can-i", "patch", "pushsecrets", "--subresource=status", account];
        match kubectl.run(&[&asked[..], &["-n", ns]].concat()) {
            Ok(answer) => Err(Failure::new(answer)),
            Err(_) => Ok(()),
        }
    })
    .await?;
    let field = json!([entry(&scene, "password", "shared", "password")]);
    scene.create(push("field", field, delete.clone())).await?;
    let both = format!(r#"{{"port":1,"password":"{}"}}"#, value("one"));
    remote_is(&scene, "shared", Some(&both)).await?;
    // What it pushes instead is there already: a creation would wait for the status.
    scene.put("spare", "x");
    scene.env.aws.tag(&scene.remote("spare"), "managed-by", "external-secrets");
    scene.patch(KIND, "field", json!({"spec": {"data": to(&scene, "spare")}})).await?;
    remote_is(&scene, "shared", Some(r#"{"port":1}"#)).await?;
    assert_eq!(scene.get(KIND, "field").await?.unwrap_or_default()["status"], Value::Null);
    role("pushsecrets/status")?;
    is_synced(&scene, "field").await?;

    // A creation that is refused is not listed as pushed.
    let (operation, access_key) = (Some("CreateSecret"), Some(scene.access_key.clone()));
    scene.env.aws.deny(Denial { operation, access_key, secret: Some(scene.remote("never")) });
    scene.create(push("refused", to(&scene, "never"), delete)).await?;
    fails(&scene, "refused", "secretsmanager:CreateSecret").await?;
    let refused = scene.get(KIND, "refused").await?.unwrap_or_default();
    assert_eq!(refused["status"]["syncedPushSecrets"], Value::Null, "{refused}");
    scene.delete(KIND, "refused").await?;
    scene.gone(KIND, "refused").await?;
    drop(scene);

    // As long as one list is missing, nobody knows who has what: ExternalSecrets go on, and nothing is pushed.
    env.operator.kill();
    faults.reading("clustersecretstores", Reading::Away);
    let scene = Scene::enter(&env, ns).await?;
    change(&scene, json!({"password": value("two")})).await?;
    let theirs = left_behind(&scene).await?;
    drop(scene);
    env.aws.reset_counts();
    env.start_again(&[])?;
    let scene = Scene::enter(&env, ns).await?;
    scene.settle().await?;
    assert_eq!(writes(&scene), Vec::<String>::new());
    remote_is(&scene, "b", Some(&value("one"))).await?;
    faults.reading("clustersecretstores", Reading::Normal);
    remote_is(&scene, "b", Some(&value("two"))).await?;
    is_taken_over(&scene, &theirs).await?;
    scene.settle().await?;
    let mut written = writes(&scene);
    written.retain(|operation| operation != "PutSecretValue");
    assert_eq!(written, Vec::<String>::new(), "beside that of the new value");
    Ok(())
}
