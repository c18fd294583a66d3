//! Contract 1.5: ClusterPushSecrets, one PushSecret in each of many namespaces.

use serde_json::{Value, json};
use support::{Failure, Result, SOON, eventually};

use crate::push::{is_synced, remote_is, source};
use crate::scene::{Scene, aws_provider, value};

const KIND: &str = "ClusterPushSecret";

/// An object that pushes the key `password` of the Secret `source` of each namespace with the label `cps=NAME` to a
/// remote secret of that namespace; `spec` replaces fields.
fn object(home: &Scene<'_>, spec: Value) -> Value {
    let store = json!({"kind": "ClusterSecretStore", "name": home.ns});
    let rewrite = json!([{"regexp": {"source": "^", "target": format!("{}/", home.ns)}}]);
    let push = json!({
        "secretStoreRefs": [store],
        "selector": {"secret": {"name": "source"}},
        "deletionPolicy": "Delete",
        "dataTo": [{"storeRef": store, "rewrite": rewrite}],
    });
    let mut object = json!({"kind": KIND, "metadata": {"name": home.ns}, "spec": {
        "namespaceSelectors": [{"matchLabels": {"cps": home.ns}}],
        "pushSecretSpec": push,
    }});
    if let Value::Object(fields) = spec {
        for (field, value) in fields {
            object["spec"][field] = value;
        }
    }
    object
}

/// A further namespace whose Secret has one key, which is its name.
async fn namespace<'a>(home: &Scene<'a>, suffix: &str, selected: bool) -> Result<Scene<'a>> {
    let beside = home.beside(suffix).await?;
    source(&beside, json!({suffix: value(suffix)})).await?;
    if selected {
        label(home, &beside, true).await?;
    }
    Ok(beside)
}

async fn label(home: &Scene<'_>, scene: &Scene<'_>, selected: bool) -> Result<()> {
    let label = if selected { json!(home.ns) } else { Value::Null };
    scene.patch("Namespace", &scene.ns, json!({"metadata": {"labels": {"cps": label}}})).await?;
    Ok(())
}

/// Waits until these namespaces are provisioned and those have failed.
async fn lists(home: &Scene<'_>, provisioned: &[&str], failed: &[&str]) -> Result<Value> {
    let full = |all: &[&str]| -> Vec<String> {
        all.iter().map(|suffix| format!("{}-{suffix}", home.ns)).collect()
    };
    let wanted = (full(provisioned), full(failed));
    eventually(SOON, "the lists of namespaces", || async {
        let object = home.get(KIND, &home.ns).await?.unwrap_or_default();
        let status = &object["status"];
        let names = |all: &Value, field: &str| -> Vec<String> {
            let all = all.as_array().cloned().unwrap_or_default().into_iter();
            all.filter_map(|one| {
                let name = if field.is_empty() { &one } else { &one[field] };
                name.as_str().map(ToOwned::to_owned)
            })
            .collect()
        };
        let found = (
            names(&status["provisionedNamespaces"], ""),
            names(&status["failedNamespaces"], "namespace"),
        );
        if found == wanted { Ok(object) } else { Err(Failure::new(status.to_string())) }
    })
    .await
}

#[tokio::test]
async fn cps_each_namespace_pushes_its_own_and_none_takes_over() -> Result<()> {
    let home = Scene::new("cps").await?;
    let provider = json!({"aws": aws_provider("aws-keys", Some(&home.ns))});
    let store = json!({"kind": "ClusterSecretStore", "metadata": {"name": home.ns},
        "spec": {"provider": provider}});
    home.create(store).await?;
    let (a, b) = (namespace(&home, "a", true).await?, namespace(&home, "b", false).await?);
    let taken = namespace(&home, "taken", true).await?;
    let theirs = json!({"kind": "PushSecret", "metadata": {"name": "cps"}, "spec": {
        "secretStoreRefs": [{"name": "none"}],
        "selector": {"secret": {"name": "source"}},
        "data": [{"match": {"remoteRef": {"remoteKey": "theirs"}}}]}});
    taken.create(theirs).await?;

    home.create(object(&home, json!({}))).await?;
    is_synced(&a, "cps").await?;
    remote_is(&home, "a", Some(&value("a"))).await?;
    let made = lists(&home, &["a"], &["taken"]).await?;
    let status = &made["status"];
    assert_eq!(status["pushSecretName"], "cps");
    let reason = status["failedNamespaces"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("push secret already exists in namespace"), "{reason}");
    let ready = crate::scene::ready_of(&made);
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("NamespacesFailed")));
    let child = a.get("PushSecret", "cps").await?.unwrap_or_default();
    let owner = &child["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["uid"], &owner["kind"]), (&made["metadata"]["uid"], &json!(KIND)));
    let kept = taken.get("PushSecret", "cps").await?.unwrap_or_default();
    assert_eq!(kept["spec"]["secretStoreRefs"][0]["name"], "none");
    assert!(b.list("PushSecret").await?.is_empty());
    remote_is(&home, "taken", None).await?;

    // It goes, and another namespace is selected: both at once. What was pushed from one that is left is removed.
    taken.delete("PushSecret", "cps").await?;
    is_synced(&taken, "cps").await?;
    label(&home, &a, false).await?;
    label(&home, &b, true).await?;
    remote_is(&home, "b", Some(&value("b"))).await?;
    remote_is(&home, "a", None).await?;
    a.gone("PushSecret", "cps").await?;
    lists(&home, &["b", "taken"], &[]).await?;

    // A changed template, and drift.
    let labels = json!({"spec": {"pushSecretMetadata": {"labels": {"team": "core"}}}});
    home.patch(KIND, &home.ns, labels).await?;
    let drift = json!({"spec": {"refreshInterval": "5m"}});
    b.patch("PushSecret", "cps", drift).await?;
    eventually(SOON, "the PushSecret is as specified", || async {
        let child = b.get("PushSecret", "cps").await?.unwrap_or_default();
        let (interval, team) =
            (&child["spec"]["refreshInterval"], &child["metadata"]["labels"]["team"]);
        if interval == "1h0m0s" && team == "core" {
            Ok(())
        } else {
            Err(Failure::new(child.to_string()))
        }
    })
    .await?;
    // A selector that cannot be evaluated changes nothing.
    let broken = json!([{"matchExpressions": [{"key": "a", "operator": "Maybe"}]}]);
    home.patch(KIND, &home.ns, json!({"spec": {"namespaceSelectors": broken}})).await?;
    home.says(KIND, &home.ns, |ready| ready["reason"] == "InvalidSelector").await?;
    assert!(b.get("PushSecret", "cps").await?.is_some());

    // One that it did not make stays.
    let mut other = b.get("PushSecret", "cps").await?.unwrap_or_default();
    other["metadata"] = json!({"name": "other"});
    other["spec"]["deletionPolicy"] = json!("None");
    b.create(other).await?;
    home.delete(KIND, &home.ns).await?;
    home.gone(KIND, &home.ns).await?;
    for scene in [&b, &taken] {
        scene.gone("PushSecret", "cps").await?;
    }
    assert!(b.get("PushSecret", "other").await?.is_some());
    remote_is(&home, "taken", None).await?;
    // Another object means what was pushed from here, and has it now.
    remote_is(&home, "b", Some(&value("b"))).await
}
