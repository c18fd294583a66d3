//! ClusterExternalSecrets: one ExternalSecret in each of many namespaces.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use support::{
    Cluster, Failure, Result, SOON, Subsystem, TestEnv, answers, audit, eventually, repository,
};

use crate::scene::Scene;

const KIND: &str = "ClusterExternalSecret";
const FORCE: &str = "external-secrets.io/force-sync";

/// A ClusterSecretStore that has the values of the tests here.
async fn store(scene: &Scene<'_>) -> Result<()> {
    let data = json!([{"key": "a", "value": "one"}, {"key": "b", "value": "two"}]);
    let store = json!({"kind": "ClusterSecretStore", "metadata": {"name": scene.ns},
        "spec": {"provider": {"fake": {"data": data}}}});
    scene.create(store).await?;
    Ok(())
}

/// An object that selects the namespaces with the label `ces=NAME`; `spec` replaces fields.
fn object(scene: &Scene<'_>, spec: Value) -> Value {
    let mut object = json!({
        "kind": KIND,
        "metadata": {"name": scene.ns},
        "spec": {
            "namespaceSelectors": [{"matchLabels": {"ces": scene.ns}}],
            "externalSecretSpec": {
                "secretStoreRef": {"kind": "ClusterSecretStore", "name": scene.ns},
                "data": [{"secretKey": "value", "remoteRef": {"key": "a"}}],
            },
        },
    });
    if let Value::Object(fields) = spec {
        for (field, value) in fields {
            object["spec"][field] = value;
        }
    }
    object
}

/// A further namespace, selected or not.
async fn namespace<'a>(scene: &Scene<'a>, suffix: &str, selected: bool) -> Result<Scene<'a>> {
    let beside = scene.beside(suffix).await?;
    if selected {
        label(&beside, json!(scene.ns)).await?;
    }
    Ok(beside)
}

async fn label(scene: &Scene<'_>, value: Value) -> Result<()> {
    scene.patch("Namespace", &scene.ns, json!({"metadata": {"labels": {"ces": value}}})).await?;
    Ok(())
}

/// Waits until the present spec is Ready or not, with a message that holds `text`.
async fn says(scene: &Scene<'_>, status: &str, text: &str) -> Result<Value> {
    scene
        .says(KIND, &scene.ns, |ready| {
            let message = ready["message"].as_str().unwrap_or_default();
            ready["status"] == status && message.contains(text)
        })
        .await
}

async fn provisioned(scene: &Scene<'_>, namespaces: &[&str]) -> Result<Value> {
    let wanted: Vec<_> = namespaces.iter().map(|suffix| format!("{}-{suffix}", scene.ns)).collect();
    eventually(SOON, "the namespaces are provisioned", || async {
        let object = scene.get(KIND, &scene.ns).await?.unwrap_or_default();
        let found = &object["status"]["provisionedNamespaces"];
        let found = found.as_array().cloned().unwrap_or_default();
        if found.iter().map(|name| name.as_str().unwrap_or_default()).eq(&wanted) {
            Ok(object)
        } else {
            Err(Failure::new(format!("{}", object["status"])))
        }
    })
    .await
}

async fn spec_of(scene: &Scene<'_>, name: &str) -> Result<Value> {
    Ok(scene.get("ExternalSecret", name).await?.unwrap_or_default()["spec"].clone())
}

#[tokio::test]
async fn ces_each_matching_namespace_gets_its_external_secret_and_no_other() -> Result<()> {
    let home = Scene::new("ces-each").await?;
    store(&home).await?;
    let (a, b) = (namespace(&home, "a", true).await?, namespace(&home, "b", false).await?);
    let named = namespace(&home, "named", false).await?;

    let names = json!([named.ns, "ces-each-not-there"]);
    home.create(object(&home, json!({"namespaces": names, "refreshTime": "5m"}))).await?;

    for scene in [&a, &named] {
        scene.ready("ces-each").await?;
        scene.data_is("ces-each", json!({"value": "one"})).await?;
    }
    let object = provisioned(&home, &["a", "named"]).await?;
    let status = &object["status"];
    assert_eq!(status["externalSecretName"], "ces-each");
    assert!(status["failedNamespaces"].as_array().is_none_or(Vec::is_empty), "{status}");
    let object = says(&home, "True", "do not exist yet: ces-each-not-there").await?;
    assert!(object["metadata"]["finalizers"].is_null(), "{object}");
    assert!(b.list("ExternalSecret").await?.is_empty());
    let child = a.get("ExternalSecret", "ces-each").await?.unwrap_or_default();
    let owner = &child["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], object["metadata"]["uid"]);
    assert_eq!((&owner["kind"], &owner["controller"]), (&json!(KIND), &json!(true)));
    // No finalizer on namespaces.
    let found = a.get("Namespace", &a.ns).await?.unwrap_or_default();
    assert!(found["metadata"]["finalizers"].is_null(), "{found}");
    Ok(())
}

#[tokio::test]
async fn ces_a_namespace_that_comes_or_goes_is_followed_at_once() -> Result<()> {
    let home = Scene::new("ces-come").await?;
    store(&home).await?;
    home.create(object(&home, json!({"namespaces": ["ces-come-late"]}))).await?;
    says(&home, "True", "do not exist yet").await?;
    let started = Instant::now();

    let (new, late) =
        (namespace(&home, "new", true).await?, namespace(&home, "late", false).await?);

    for scene in [&new, &late] {
        scene.ready("ces-come").await?;
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    provisioned(&home, &["late", "new"]).await?;
    // It does not match any more.
    label(&new, Value::Null).await?;
    new.gone("ExternalSecret", "ces-come").await?;
    new.gone("Secret", "ces-come").await?;
    provisioned(&home, &["late"]).await?;
    // A namespace that goes is none that failed.
    home.delete("Namespace", &late.ns).await?;
    provisioned(&home, &[]).await?;
    says(&home, "True", "do not exist yet: ces-come-late").await?;
    Ok(())
}

#[tokio::test]
async fn ces_refuses_to_take_over_and_one_bad_namespace_stops_no_other() -> Result<()> {
    // A quota denies, which is no missing right: not in the shared environment.
    let env = Subsystem::Secrets.start(&[])?;
    let home = Scene::within(&env, "ces-refuse").await?;
    store(&home).await?;
    let mut scenes = Vec::new();
    for suffix in ["a", "b", "c"] {
        scenes.push(namespace(&home, suffix, true).await?);
    }
    let [taken, full, good] = &scenes[..] else { panic!("three") };
    let mut foreign = home.external("ces-refuse", json!({"refreshInterval": "7h"}));
    foreign["metadata"]["namespace"] = json!(taken.ns);
    taken.create(foreign).await?;
    let quota = json!({"kind": "ResourceQuota", "metadata": {"name": "none"},
        "spec": {"hard": {"count/externalsecrets.external-secrets.io": "0"}}});
    full.create(quota).await?;
    let counted = eventually(SOON, "the quota counts", || async {
        let quota = full.get("ResourceQuota", "none").await?.unwrap_or_default();
        if quota["status"]["hard"].is_null() { Err(Failure::new("not yet")) } else { Ok(()) }
    });
    counted.await?;

    home.create(object(&home, json!({}))).await?;

    good.ready("ces-refuse").await?;
    let object = says(&home, "False", "one or more namespaces failed: 2 of 3").await?;
    let failed = object["status"]["failedNamespaces"].as_array().cloned().unwrap_or_default();
    let reasons: Vec<_> =
        failed.iter().map(|one| one["reason"].as_str().unwrap_or_default()).collect();
    assert_eq!(failed[0]["namespace"], taken.ns.as_str());
    assert!(reasons[0].starts_with("external secret already exists in namespace"), "{reasons:?}");
    assert_eq!(failed[1]["namespace"], full.ns.as_str());
    assert!(reasons[1].contains("exceeded quota"), "{reasons:?}");
    assert_eq!(object["status"]["provisionedNamespaces"], json!([good.ns]));
    assert_eq!(spec_of(taken, "ces-refuse").await?["refreshInterval"], "7h");

    // What was in its way is gone.
    taken.delete("ExternalSecret", "ces-refuse").await?;
    full.delete("ResourceQuota", "none").await?;
    taken.ready("ces-refuse").await?;
    full.ready("ces-refuse").await?;
    provisioned(&home, &["a", "b", "c"]).await?;
    says(&home, "True", "").await?;
    Ok(())
}

#[tokio::test]
async fn ces_a_changed_template_selector_or_name_follows_at_once() -> Result<()> {
    let home = Scene::new("ces-change").await?;
    store(&home).await?;
    let a = namespace(&home, "a", true).await?;
    let metadata = json!({"labels": {"team": "core", "old": "1"}, "annotations": {"note": "x"}});
    home.create(object(&home, json!({"externalSecretMetadata": metadata}))).await?;
    a.ready("ces-change").await?;
    // Somebody else's label stays.
    let theirs = json!({"metadata": {"labels": {"theirs": "1"}}});
    a.patch("ExternalSecret", "ces-change", theirs).await?;

    let change = json!({"spec": {
        "externalSecretSpec": {"data": [{"secretKey": "value", "remoteRef": {"key": "b"}}]},
        "externalSecretMetadata": {"labels": {"team": "edge", "old": null}, "annotations": null},
    }});
    home.patch(KIND, "ces-change", change).await?;

    a.data_is("ces-change", json!({"value": "two"})).await?;
    let child = a.get("ExternalSecret", "ces-change").await?.unwrap_or_default();
    assert_eq!(child["metadata"]["labels"], json!({"team": "edge", "theirs": "1"}), "{child}");
    assert!(child["metadata"]["annotations"].is_null(), "{child}");
    says(&home, "True", "").await?;

    home.patch(KIND, "ces-change", json!({"spec": {"externalSecretName": "other"}})).await?;
    a.ready("other").await?;
    a.gone("ExternalSecret", "ces-change").await?;
    let object = says(&home, "True", "").await?;
    assert_eq!(object["status"]["externalSecretName"], "other");

    let none = json!({"spec": {"namespaceSelectors": [{"matchLabels": {"ces": "nobody"}}]}});
    home.patch(KIND, "ces-change", none).await?;
    a.gone("ExternalSecret", "other").await?;
    says(&home, "True", "no namespace is selected").await?;
    Ok(())
}

#[tokio::test]
async fn ces_force_sync_passes_on_and_drift_is_put_back() -> Result<()> {
    let home = Scene::new("ces-force").await?;
    store(&home).await?;
    let a = namespace(&home, "a", true).await?;
    home.create(object(&home, json!({}))).await?;
    let before = a.ready("ces-force").await?;

    let stamp = |value: Value| json!({"metadata": {"annotations": {FORCE: value}}});
    home.patch(KIND, "ces-force", stamp(json!("1"))).await?;
    let forced = eventually(SOON, "it is read again", || async {
        let now = a.get("ExternalSecret", "ces-force").await?.unwrap_or_default();
        let field = "syncedResourceVersion";
        if now["status"][field] == before["status"][field] {
            return Err(Failure::new("not yet"));
        }
        Ok(now)
    });
    let forced = forced.await?;
    assert_eq!(forced["metadata"]["annotations"], json!({FORCE: "1"}));

    home.patch(KIND, "ces-force", stamp(Value::Null)).await?;
    eventually(SOON, "the stamp goes", || async {
        let now = a.get("ExternalSecret", "ces-force").await?.unwrap_or_default();
        match &now["metadata"]["annotations"] {
            Value::Null => Ok(()),
            other => Err(Failure::new(other.to_string())),
        }
    })
    .await?;

    a.patch("ExternalSecret", "ces-force", json!({"spec": {"refreshInterval": "9h"}})).await?;
    eventually(SOON, "the edit is taken back", || async {
        let spec = spec_of(&a, "ces-force").await?;
        if spec["refreshInterval"] == "1h0m0s" { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    a.delete("ExternalSecret", "ces-force").await?;
    eventually(SOON, "it is created again", || async {
        match a.get("ExternalSecret", "ces-force").await? {
            Some(now) if now["metadata"]["uid"] != before["metadata"]["uid"] => Ok(()),
            _ => Err(Failure::new("not yet")),
        }
    })
    .await
}

#[tokio::test]
async fn ces_somebody_who_takes_each_write_back_is_not_fought_for_ever() -> Result<()> {
    let home = Scene::new("ces-fight").await?;
    store(&home).await?;
    let a = namespace(&home, "a", true).await?;
    home.create(object(&home, json!({}))).await?;
    a.ready("ces-fight").await?;

    for nth in 0..20 {
        let edit = json!({"spec": {"refreshInterval": format!("{}h", nth + 2)}});
        a.patch("ExternalSecret", "ces-fight", edit).await?;
        let repaired = eventually(Duration::from_secs(10), "it is put back", || async {
            let spec = spec_of(&a, "ces-fight").await?;
            if spec["refreshInterval"] == "1h0m0s" { Ok(()) } else { Err(Failure::new("")) }
        });
        if repaired.await.is_err() {
            break;
        }
    }
    says(&home, "False", "somebody else keeps changing the external secret back").await?;
    // A new spec is a new start.
    home.patch(
        KIND,
        "ces-fight",
        json!({"spec": {"externalSecretMetadata": {"labels": {"a": "b"}}}}),
    )
    .await?;
    provisioned(&home, &["a"]).await?;
    assert_eq!(spec_of(&a, "ces-fight").await?["refreshInterval"], "1h0m0s");
    Ok(())
}

#[tokio::test]
async fn ces_deletion_removes_what_it_made_and_nothing_else() -> Result<()> {
    let home = Scene::new("ces-delete").await?;
    store(&home).await?;
    let (a, b) = (namespace(&home, "a", true).await?, namespace(&home, "b", true).await?);
    b.create(home.external("ces-delete", json!({}))).await?;
    a.create(home.external("other", json!({}))).await?;
    let mut created = object(&home, json!({}));
    // As External Secrets Operator leaves it.
    created["metadata"]["finalizers"] =
        json!(["externalsecrets.external-secrets.io/clusterexternalsecret-cleanup"]);
    home.create(created).await?;
    a.ready("ces-delete").await?;
    says(&home, "False", "already exists").await?;

    home.delete(KIND, "ces-delete").await?;

    home.gone(KIND, "ces-delete").await?;
    a.gone("ExternalSecret", "ces-delete").await?;
    a.gone("Secret", "ces-delete").await?;
    a.settle().await?;
    assert!(b.get("ExternalSecret", "ces-delete").await?.is_some());
    assert!(a.get("ExternalSecret", "other").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn ces_a_template_that_no_namespace_accepts_is_one_clear_condition() -> Result<()> {
    let env = Subsystem::Secrets.start(&[])?;
    let home = Scene::within(&env, "ces-nowhere").await?;
    store(&home).await?;
    let policy = json!({"kind": "ValidatingAdmissionPolicy", "metadata": {"name": "ces-nowhere"},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": ["external-secrets.io"],
            "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["externalsecrets"]}]},
            "validations": [{"expression": "object.metadata.name != 'ces-nowhere'",
                "message": "do not say hunter2"}]}});
    home.create(policy).await?;
    let binding = json!({"kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "ces-nowhere"},
        "spec": {"policyName": "ces-nowhere", "validationActions": ["Deny"]}});
    home.create(binding).await?;
    let probe = home.external("ces-nowhere", json!({}));
    eventually(SOON, "the policy is in force", || async {
        if home.create(probe.clone()).await.is_err() {
            return Ok(());
        }
        home.delete("ExternalSecret", "ces-nowhere").await?;
        Err(Failure::new("accepted"))
    })
    .await?;
    for nth in 0..6 {
        namespace(&home, &format!("n{nth}"), true).await?;
    }

    home.create(object(&home, json!({}))).await?;

    let text = "one or more namespaces failed: 6 of 6; in every namespace: the API server refused \
                ExternalSecret ces-nowhere: ValidatingAdmissionPolicy ";
    let object = says(&home, "False", text).await?;
    let message = object["status"]["conditions"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("'ces-nowhere'") && !message.contains("hunter2"), "{message}");
    assert_eq!(object["status"]["conditions"][0]["reason"], "NamespacesFailed");
    // A spec that no API server could take is refused where it is written.
    let mut wrong = object.clone();
    wrong["metadata"] = json!({"name": "ces-nowhere-2"});
    wrong["spec"]["externalSecretSpec"]["data"] = json!([]);
    let refusal = crate::scene::refused(home.create(wrong).await, 422);
    assert!(refusal.contains("data or dataFrom must have at least one entry"), "{refusal}");
    Ok(())
}

#[tokio::test]
async fn ces_a_selector_that_cannot_be_evaluated_deletes_nothing() -> Result<()> {
    let home = Scene::new("ces-bad").await?;
    store(&home).await?;
    let a = namespace(&home, "a", true).await?;
    home.create(object(&home, json!({}))).await?;
    let before = a.ready("ces-bad").await?;

    let wrong = json!([{"matchExpressions": [{"key": "a", "operator": "Maybe"}]}]);
    home.patch(KIND, "ces-bad", json!({"spec": {"namespaceSelectors": wrong}})).await?;

    let object = says(&home, "False", "spec.namespaceSelectors[0]: ").await?;
    assert_eq!(object["status"]["conditions"][0]["reason"], "InvalidSelector");
    a.settle().await?;
    let after = a.get("ExternalSecret", "ces-bad").await?.unwrap_or_default();
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    Ok(())
}

#[tokio::test]
async fn ces_namespaces_that_cannot_be_listed_delete_nothing() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    let home = Scene::within(&env, "ces-blind").await?;
    store(&home).await?;
    let a = namespace(&home, "a", true).await?;
    home.create(object(&home, json!({}))).await?;
    let before = a.ready("ces-blind").await?;
    provisioned(&home, &["a"]).await?;
    drop((home, a));
    env.operator.stop(SOON)?;
    crate::rights::take_away(&env, &[("namespaces", "list")]).await?;

    env.start_again(&[])?;

    let home = Scene::enter(&env, "ces-blind").await?;
    let change = json!({"spec": {"refreshTime": "2h"}});
    home.patch(KIND, "ces-blind", change).await?;
    says(&home, "False", "the namespaces are not known").await?;
    let a = Scene::enter(&env, "ces-blind-a").await?;
    let after = a.get("ExternalSecret", "ces-blind").await?.unwrap_or_default();
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    env.plane().admin()?.apply_path(&repository().join("config/rbac/secrets.yaml"))?;
    says(&home, "True", "").await?;
    Ok(())
}

/// Creates this many namespaces that an object selects.
async fn many(env: &TestEnv, label: &str, count: usize) -> Result<()> {
    let cluster = Cluster::new(env.plane()).await?;
    let created = stream::iter(0..count).map(|nth| {
        let (cluster, name) = (cluster.clone(), format!("{label}-{nth:04}"));
        async move {
            let object = json!({"kind": "Namespace",
                "metadata": {"name": name, "labels": {"ces": label}}});
            cluster.create(object).await.map(|_| ())
        }
    });
    created.buffer_unordered(16).try_collect::<()>().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ces_a_thousand_namespaces_at_once_and_a_restart_writes_nothing() -> Result<()> {
    const COUNT: usize = 1000;
    let mut env = Subsystem::Secrets.start(&[])?;
    let home = Scene::within(&env, "ces-many").await?;
    store(&home).await?;
    many(&env, "ces-many", COUNT).await?;
    let metadata = json!({"labels": {"team": "core"}});
    let before = audit::requests(env.plane()).len();

    home.create(object(&home, json!({"externalSecretMetadata": metadata}))).await?;

    let complete = eventually(Duration::from_mins(3), "all are provisioned", || async {
        let object = home.get(KIND, "ces-many").await?.unwrap_or_default();
        let ready = crate::scene::ready_of(&object);
        let done = object["status"]["provisionedNamespaces"].as_array().map_or(0, Vec::len);
        if done == COUNT && ready["status"] == "True" {
            Ok(())
        } else {
            Err(Failure::new(format!("{done}: {ready}")))
        }
    });
    complete.await?;
    let requests = audit::requests(env.plane());
    let of = |verb: &str, resource: &str| {
        let all = requests[before..].iter();
        all.filter(|r| r.verb == verb && r.resource == resource && r.code < 300).count()
    };
    assert_eq!(of("create", "externalsecrets"), COUNT);
    assert_eq!(of("patch", "externalsecrets"), 0);
    let statuses = of("patch", "clusterexternalsecrets/status");
    assert!(statuses < 60, "{statuses} writes of the status");
    // The last Secret, too.
    eventually(Duration::from_mins(3), "all are synced", || async {
        let secrets = Scene::enter(&env, "").await?.list("ExternalSecret").await?;
        let synced = secrets.iter().filter(|one| !one["status"]["refreshTime"].is_null()).count();
        if synced == COUNT { Ok(()) } else { Err(Failure::new(format!("{synced}"))) }
    })
    .await?;
    drop(home);
    env.operator.stop(SOON)?;
    let before = audit::requests(env.plane()).len();

    env.start_again(&[])?;
    answers(&env.health, "/readyz", "200 OK").await?;
    let home = Scene::enter(&env, "ces-many").await?;
    home.settle().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let requests = audit::requests(env.plane());
    let writes: Vec<_> = requests[before..]
        .iter()
        .filter(|request| request.is_write() && !request.name.starts_with("settle-"))
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    Ok(())
}
