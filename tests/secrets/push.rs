//! Contract 1.4, 2.14 and 3.3: Secrets of the cluster that are written to AWS.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{
    Failure, Result, SOON, Subsystem, answers, eventually, repository,
    secrets_manager::{Denial, Fault},
};

use crate::scene::{Scene, aws_provider, ready_of, value};

pub(crate) const KIND: &str = "PushSecret";
pub(crate) const FINALIZER: &str = "pushsecret.externalsecrets.io/finalizer";

/// A Secret `source` with these keys.
pub(crate) async fn source(scene: &Scene<'_>, data: Value) -> Result<()> {
    let secret = json!({"kind": "Secret", "metadata": {"name": "source"}, "stringData": data});
    scene.create(secret).await?;
    Ok(())
}

/// Gives keys of the Secret `source` new values.
pub(crate) async fn change(scene: &Scene<'_>, data: Value) -> Result<()> {
    scene.patch("Secret", "source", json!({"stringData": data})).await?;
    Ok(())
}

/// An entry of `data`: a key, a remote secret of this scene, and perhaps a property.
pub(crate) fn entry(scene: &Scene<'_>, key: &str, remote: &str, property: &str) -> Value {
    let mut entry = json!({"match": {"remoteRef": {"remoteKey": scene.remote(remote)}}});
    if !key.is_empty() {
        entry["match"]["secretKey"] = json!(key);
    }
    if !property.is_empty() {
        entry["match"]["remoteRef"]["property"] = json!(property);
    }
    entry
}

pub(crate) fn metadata(spec: Value) -> Value {
    json!({"apiVersion": "kubernetes.external-secrets.io/v1alpha1",
        "kind": "PushSecretMetadata", "spec": spec})
}

/// A PushSecret of `source` to the store `aws`; `spec` replaces fields.
pub(crate) fn push(name: &str, data: Value, spec: Value) -> Value {
    let mut object = json!({
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {
            "secretStoreRefs": [{"name": "aws"}],
            "selector": {"secret": {"name": "source"}},
            "data": data,
        },
    });
    if let Value::Object(fields) = spec {
        for (field, value) in fields {
            object["spec"][field] = value;
        }
    }
    object
}

pub(crate) async fn is_synced(scene: &Scene<'_>, name: &str) -> Result<Value> {
    scene.says(KIND, name, |ready| ready["status"] == "True" && ready["reason"] == "Synced").await
}

/// Waits until it fails with a message that holds `text`.
pub(crate) async fn fails(scene: &Scene<'_>, name: &str, text: &str) -> Result<String> {
    let object = scene
        .says(KIND, name, |ready| {
            let message = ready["message"].as_str().unwrap_or_default();
            ready["status"] == "False" && ready["reason"] == "Errored" && message.contains(text)
        })
        .await?;
    Ok(ready_of(&object)["message"].as_str().unwrap_or_default().to_owned())
}

/// Waits until a remote secret of this scene has this value, or does not exist.
pub(crate) async fn remote_is(scene: &Scene<'_>, name: &str, text: Option<&str>) -> Result<()> {
    eventually(SOON, "the remote secret", || async {
        let found = scene.env.aws.value_of(&scene.remote(name));
        if found.as_deref() == text { Ok(()) } else { Err(Failure::new(format!("{found:?}"))) }
    })
    .await
}

/// Operations that wrote to remote secrets of this scene.
pub(crate) fn writes(scene: &Scene<'_>) -> Vec<String> {
    let calls = scene.env.aws.writes().into_iter();
    calls.filter(|call| call.access_key == scene.access_key).map(|call| call.operation).collect()
}

pub(crate) fn finalizers(object: &Value) -> Value {
    object["metadata"]["finalizers"].clone()
}

#[tokio::test]
async fn push_creates_follows_its_secret_at_once_and_says_what_was_pushed() -> Result<()> {
    let scene = Scene::new("push-follow").await?;
    source(&scene, json!({"user": "shop", "password": value("one")})).await?;
    let data = json!([entry(&scene, "password", "db", ""), entry(&scene, "", "all", "")]);
    scene.create(push("db", data, json!({"refreshInterval": "1h"}))).await?;

    let object = is_synced(&scene, "db").await?;
    remote_is(&scene, "db", Some(&value("one"))).await?;
    let whole = format!(r#"{{"password":"{}","user":"shop"}}"#, value("one"));
    remote_is(&scene, "all", Some(&whole)).await?;
    let settings = scene.env.aws.settings_of(&scene.remote("db")).unwrap_or_default();
    assert_eq!(settings["tags"], json!({"managed-by": "external-secrets"}));
    let synced = &object["status"]["syncedPushSecrets"]["SecretStore/aws"];
    let ids: Vec<_> = synced.as_object().into_iter().flatten().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids, [scene.remote("all"), scene.remote("db")]);
    assert_eq!(synced[scene.remote("db")]["match"]["secretKey"], "password");
    assert!(object["status"]["refreshTime"].is_string(), "{object}");
    assert!(object["status"]["syncedResourceVersion"].is_string(), "{object}");
    assert_eq!(finalizers(&object), Value::Null);

    let started = Instant::now();
    change(&scene, json!({"password": value("two")})).await?;
    remote_is(&scene, "db", Some(&value("two"))).await?;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    is_synced(&scene, "db").await?;
    scene.settle().await?;
    let expected = ["CreateSecret", "CreateSecret", "PutSecretValue", "PutSecretValue"];
    assert_eq!(writes(&scene), expected);
    Ok(())
}

#[tokio::test]
async fn push_compares_before_it_writes_and_reads_no_value_that_did_not_change() -> Result<()> {
    let scene = Scene::new("push-same").await?;
    source(&scene, json!({"password": value("one")})).await?;
    let data = json!([entry(&scene, "password", "db", "")]);
    scene.create(push("db", data, json!({"refreshInterval": "1s"}))).await?;
    is_synced(&scene, "db").await?;
    let described = || scene.env.aws.calls_of("DescribeSecret", &scene.access_key);
    let (first, since) = (described(), Instant::now());
    eventually(SOON, "an interval ends", || async {
        if described() > first { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    // It asks for a second, and gets five.
    assert!(since.elapsed() > Duration::from_secs(4), "{:?}", since.elapsed());
    assert_eq!(writes(&scene), ["CreateSecret"]);
    assert_eq!(scene.env.aws.calls_of("GetSecretValue", &scene.access_key), 0);

    // Somebody changes it there: seen by its version, and put back.
    scene.put("db", &value("drift"));
    remote_is(&scene, "db", Some(&value("one"))).await?;
    assert_eq!(writes(&scene), ["CreateSecret", "PutSecretValue"]);
    Ok(())
}

#[tokio::test]
async fn push_never_touches_what_it_does_not_own_or_did_not_set() -> Result<()> {
    let scene = Scene::new("push-owner").await?;
    source(&scene, json!({"password": value("one")})).await?;
    scene.put("db", &value("theirs"));
    scene.env.aws.tag(&scene.remote("db"), "team", "core");
    scene.env.aws.describe_secret(&scene.remote("db"), "by hand", "alias/theirs");
    let data = json!([entry(&scene, "password", "db", "")]);
    scene.create(push("db", data, json!({}))).await?;

    let message = fails(&scene, "db", "secret not managed by external-secrets").await?;
    assert!(message.contains("managed-by=external-secrets"), "{message}");
    remote_is(&scene, "db", Some(&value("theirs"))).await?;
    assert_eq!(writes(&scene), Vec::<String>::new());

    // It is handed over; all else of it stays.
    scene.env.aws.tag(&scene.remote("db"), "managed-by", "external-secrets");
    remote_is(&scene, "db", Some(&value("one"))).await?;
    is_synced(&scene, "db").await?;
    let settings = scene.env.aws.settings_of(&scene.remote("db")).unwrap_or_default();
    let tags = json!({"managed-by": "external-secrets", "team": "core"});
    let expected =
        json!({"tags": tags, "description": "by hand", "kms": "alias/theirs", "deleted": false});
    assert_eq!(settings, expected);
    assert_eq!(writes(&scene), ["PutSecretValue"]);
    Ok(())
}

#[tokio::test]
async fn push_merges_properties_into_the_json_that_is_there_in_one_write() -> Result<()> {
    let scene = Scene::new("push-merge").await?;
    source(&scene, json!({"user": "shop", "password": value("one")})).await?;
    let theirs = r#"{"port": 12345678901234567890, "user": "old"}"#;
    scene.put("db", theirs);
    scene.env.aws.tag(&scene.remote("db"), "managed-by", "external-secrets");
    let data = json!([
        entry(&scene, "user", "db", "user"),
        entry(&scene, "password", "db", "secret.password"),
    ]);
    scene.create(push("db", data, json!({}))).await?;

    let object = is_synced(&scene, "db").await?;
    let expected = format!(
        r#"{{"port":12345678901234567890,"user":"shop","secret":{{"password":"{}"}}}}"#,
        value("one")
    );
    remote_is(&scene, "db", Some(&expected)).await?;
    assert!(scene.env.aws.is_text(&scene.remote("db")), "it keeps its form");
    assert_eq!(writes(&scene), ["PutSecretValue"]);
    let synced = &object["status"]["syncedPushSecrets"]["SecretStore/aws"];
    assert!(synced[format!("{}/user", scene.remote("db"))].is_object(), "{synced}");

    // What is no JSON object cannot have a property.
    scene.put("db", "hunter2");
    change(&scene, json!({"user": "other"})).await?;
    fails(&scene, "db", "is not a JSON object").await?;
    remote_is(&scene, "db", Some("hunter2")).await
}

#[tokio::test]
async fn push_deletion_policy_removes_what_was_pushed_and_nothing_else() -> Result<()> {
    let scene = Scene::new("push-delete").await?;
    source(&scene, json!({"user": "shop", "password": value("one")})).await?;
    scene.put("shared", r#"{"port":1}"#);
    scene.env.aws.tag(&scene.remote("shared"), "managed-by", "external-secrets");
    let [a, b] = ["a", "b"].map(|name| entry(&scene, "password", name, ""));
    let field = entry(&scene, "user", "shared", "user");
    let spec = json!({"deletionPolicy": "Delete"});
    scene.create(push("db", json!([a, b, field]), spec)).await?;
    let object = is_synced(&scene, "db").await?;
    assert_eq!(finalizers(&object), json!([FINALIZER]));
    remote_is(&scene, "shared", Some(r#"{"port":1,"user":"shop"}"#)).await?;

    // It leaves the spec.
    scene.patch(KIND, "db", json!({"spec": {"data": [b, field]}})).await?;
    remote_is(&scene, "a", None).await?;
    let object = is_synced(&scene, "db").await?;
    let synced = &object["status"]["syncedPushSecrets"]["SecretStore/aws"];
    assert!(synced[scene.remote("a")].is_null(), "{synced}");
    // It can be restored, and is when it is pushed again.
    scene.patch(KIND, "db", json!({"spec": {"data": [a, b, field]}})).await?;
    remote_is(&scene, "a", Some(&value("one"))).await?;
    is_synced(&scene, "db").await?;

    // The Secret goes, and comes back.
    scene.delete("Secret", "source").await?;
    scene.says(KIND, "db", |ready| ready["reason"] == "SourceDeleted").await?;
    remote_is(&scene, "a", None).await?;
    remote_is(&scene, "b", None).await?;
    remote_is(&scene, "shared", Some(r#"{"port":1}"#)).await?;
    source(&scene, json!({"user": "shop", "password": value("two")})).await?;
    remote_is(&scene, "b", Some(&value("two"))).await?;
    is_synced(&scene, "db").await?;

    // Somebody takes one over.
    scene.env.aws.tag(&scene.remote("a"), "managed-by", "a person");
    scene.delete(KIND, "db").await?;
    scene.gone(KIND, "db").await?;
    remote_is(&scene, "b", None).await?;
    remote_is(&scene, "a", Some(&value("two"))).await?;
    remote_is(&scene, "shared", Some(r#"{"port":1}"#)).await
}

#[tokio::test]
async fn push_what_is_meant_in_another_form_is_not_removed() -> Result<()> {
    let scene = Scene::new("push-forms").await?;
    source(&scene, json!({"user": "shop", "password": "one"})).await?;
    let delete = json!({"deletionPolicy": "Delete", "refreshInterval": "0"});
    let whole = entry(&scene, "", "db", "");
    scene.create(push("db", json!([whole]), delete.clone())).await?;
    is_synced(&scene, "db").await?;
    let both = r#"{"password":"one","user":"shop"}"#;
    remote_is(&scene, "db", Some(both)).await?;

    // All of it, then a field of it, then all of it again.
    let nested = entry(&scene, "user", "db", "user");
    scene.patch(KIND, "db", json!({"spec": {"data": [nested]}})).await?;
    lists(&scene, "db", &format!("{}/user", scene.remote("db"))).await?;
    remote_is(&scene, "db", Some(both)).await?;
    scene.patch(KIND, "db", json!({"spec": {"data": [whole]}})).await?;
    lists(&scene, "db", &scene.remote("db")).await?;
    remote_is(&scene, "db", Some(both)).await?;

    // Two objects with a field each: what one gives up goes, and the other's stays.
    let (user, password) = (("user", "user"), ("password", "password"));
    let field = |(key, property)| entry(&scene, key, "fields", property);
    scene.create(push("first", json!([field(user)]), delete.clone())).await?;
    is_synced(&scene, "first").await?;
    scene.create(push("second", json!([field(password)]), delete)).await?;
    is_synced(&scene, "second").await?;
    let fields = r#"{"user":"shop","password":"one"}"#;
    remote_is(&scene, "fields", Some(fields)).await?;
    scene.delete(KIND, "first").await?;
    scene.gone(KIND, "first").await?;
    remote_is(&scene, "fields", Some(r#"{"password":"one"}"#)).await?;
    assert!(!writes(&scene).contains(&"DeleteSecret".to_owned()), "{:?}", writes(&scene));
    Ok(())
}

/// Waits until the status lists this and nothing else as pushed.
async fn lists(scene: &Scene<'_>, name: &str, id: &str) -> Result<()> {
    eventually(SOON, "what was pushed is listed", || async {
        let object = scene.get(KIND, name).await?.unwrap_or_default();
        let synced = object["status"]["syncedPushSecrets"]["SecretStore/aws"].clone();
        let listed: Vec<_> = synced.as_object().into_iter().flatten().map(|(id, _)| id).collect();
        if listed == [id] { Ok(()) } else { Err(Failure::new(format!("{synced}"))) }
    })
    .await
}

#[tokio::test]
async fn push_all_who_push_a_secret_follow_each_change_of_it() -> Result<()> {
    let scene = Scene::new("push-many").await?;
    source(&scene, json!({"password": "0"})).await?;
    let names = ["a", "b", "c", "d"];
    for name in names {
        let data = json!([entry(&scene, "password", name, "")]);
        scene.create(push(name, data, json!({"refreshInterval": "0"}))).await?;
        is_synced(&scene, name).await?;
    }
    for round in 1..=20 {
        change(&scene, json!({"password": round.to_string()})).await?;
        // One of them is under way whenever the change comes.
        let stamp = json!({"metadata": {"annotations": {"force-sync": round.to_string()}}});
        scene.patch(KIND, names[round % names.len()], stamp).await?;
    }
    for name in names {
        remote_is(&scene, name, Some("20")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn push_obeys_the_list_of_allowed_keys() -> Result<()> {
    let scene = Scene::new("push-listed").await?;
    source(&scene, json!({"password": value("one")})).await?;
    let list = |key: &str| format!("[{{namespaces: [{}], keys: ['{key}']}}]", scene.ns);
    let annotations = json!({"gabion.dev/allowed-keys": list("elsewhere/*")});
    let store = json!({"kind": "ClusterSecretStore",
        "metadata": {"name": scene.ns, "annotations": annotations},
        "spec": {"provider": {"aws": aws_provider("aws-keys", Some(&scene.ns))}}});
    scene.create(store.clone()).await?;
    let stores = json!([{"kind": "ClusterSecretStore", "name": scene.ns}]);
    let spec = json!({"secretStoreRefs": stores, "deletionPolicy": "Delete"});
    let data = json!([entry(&scene, "password", "db", "")]);
    scene.create(push("db", data, spec)).await?;
    fails(&scene, "db", "does not let namespace").await?;
    assert_eq!(writes(&scene), Vec::<String>::new());
    assert_eq!(scene.reads("db"), 0);

    let wider = json!({"gabion.dev/allowed-keys": list(&scene.remote("*"))});
    let patch = json!({"metadata": {"annotations": wider}});
    scene.patch("ClusterSecretStore", &scene.ns, patch).await?;
    is_synced(&scene, "db").await?;
    remote_is(&scene, "db", Some(&value("one"))).await?;

    // The store is replaced by one with another list: in between nobody knows what is allowed.
    scene.delete("ClusterSecretStore", &scene.ns).await?;
    scene.gone("ClusterSecretStore", &scene.ns).await?;
    change(&scene, json!({"password": value("two")})).await?;
    fails(&scene, "db", "does not exist").await?;
    scene.create(store).await?;
    fails(&scene, "db", "does not let namespace").await?;
    scene.settle().await?;
    remote_is(&scene, "db", Some(&value("one"))).await
}

#[tokio::test]
async fn push_without_deletion_policy_leaves_what_it_pushed() -> Result<()> {
    let scene = Scene::new("push-keep").await?;
    source(&scene, json!({"password": value("one")})).await?;
    let data = json!([entry(&scene, "password", "db", "")]);
    let mut object = push("db", data, json!({}));
    // As External Secrets Operator may leave it.
    object["metadata"]["finalizers"] = json!([FINALIZER]);
    scene.create(object).await?;
    let object = is_synced(&scene, "db").await?;
    assert_eq!(finalizers(&object), Value::Null);
    scene.delete(KIND, "db").await?;
    scene.gone(KIND, "db").await?;
    scene.settle().await?;
    remote_is(&scene, "db", Some(&value("one"))).await
}

#[tokio::test]
async fn push_a_deletion_that_cannot_be_done_says_so_and_how_to_let_go() -> Result<()> {
    let scene = Scene::new("push-stuck").await?;
    source(&scene, json!({"password": value("one")})).await?;
    for name in ["denied", "orphan"] {
        let data = json!([entry(&scene, "password", name, "")]);
        scene.create(push(name, data, json!({"deletionPolicy": "Delete"}))).await?;
        is_synced(&scene, name).await?;
    }
    let key = Some(scene.access_key.clone());
    let operation = Some("DeleteSecret");
    let secret = Some(scene.remote("denied"));
    scene.env.aws.deny(Denial { operation, access_key: key, secret });
    scene.delete(KIND, "denied").await?;
    let message = fails(&scene, "denied", "secretsmanager:DeleteSecret").await?;
    assert!(message.contains(FINALIZER), "{message}");

    // A store that is gone cannot hold anybody.
    scene.delete("SecretStore", "aws").await?;
    scene.gone("SecretStore", "aws").await?;
    scene.delete(KIND, "orphan").await?;
    scene.gone(KIND, "orphan").await?;
    scene.event("orphan", "NotDeleted").await?;
    // Nor one that waits already.
    scene.gone(KIND, "denied").await?;
    let note = scene.event("denied", "NotDeleted").await?;
    assert!(note.contains("is gone") && note.contains(&scene.remote("denied")), "{note}");
    Ok(())
}

#[tokio::test]
async fn push_a_deletion_ends_when_the_store_is_for_another_controller() -> Result<()> {
    let scene = Scene::new("push-class").await?;
    source(&scene, json!({"password": value("one")})).await?;
    let delete = json!({"deletionPolicy": "Delete"});
    for name in ["before", "after"] {
        let data = json!([entry(&scene, "password", name, "")]);
        scene.create(push(name, data, delete.clone())).await?;
        is_synced(&scene, name).await?;
    }
    // One that another controller reconciles, which has the same finalizer.
    let mut theirs = push("theirs", json!([entry(&scene, "password", "x", "")]), delete);
    theirs["metadata"]["finalizers"] = json!([FINALIZER]);
    theirs["spec"]["secretStoreRefs"] = json!([{"name": "theirs"}]);
    let mut store = scene.store("theirs");
    store["spec"]["controller"] = json!("another");
    scene.create(store).await?;
    scene.create(theirs).await?;
    let status = json!({"gabion": {"source": ""}, "conditions": [{"type": "Ready", "status": "True",
        "reason": "Synced", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    scene.patch_status(KIND, "theirs", status).await?;

    let secret = Some(scene.remote("before"));
    let (operation, access_key) = (Some("DeleteSecret"), Some(scene.access_key.clone()));
    scene.env.aws.deny(Denial { operation, access_key, secret });
    scene.delete(KIND, "before").await?;
    fails(&scene, "before", "secretsmanager:DeleteSecret").await?;
    scene.patch("SecretStore", "aws", json!({"spec": {"controller": "another"}})).await?;
    for name in ["after", "theirs"] {
        scene.delete(KIND, name).await?;
    }
    for name in ["before", "after"] {
        scene.gone(KIND, name).await?;
        let note = scene.event(name, "NotDeleted").await?;
        assert!(note.contains("is not for this controller any more"), "{note}");
        assert!(note.contains(&scene.remote(name)), "{note}");
        remote_is(&scene, name, Some(&value("one"))).await?;
    }
    scene.settle().await?;
    let kept = scene.get(KIND, "theirs").await?.unwrap_or_default();
    assert_eq!(finalizers(&kept), json!([FINALIZER]), "it waits for its own controller");
    scene.patch(KIND, "theirs", json!({"metadata": {"finalizers": null}})).await?;
    Ok(())
}

#[tokio::test]
async fn push_if_not_exists_creates_once_and_never_replaces() -> Result<()> {
    let scene = Scene::new("push-once").await?;
    source(&scene, json!({"password": value("one")})).await?;
    scene.put("theirs", &value("theirs"));
    let data =
        json!([entry(&scene, "password", "db", ""), entry(&scene, "password", "theirs", ""),]);
    scene.create(push("db", data, json!({"updatePolicy": "IfNotExists"}))).await?;
    is_synced(&scene, "db").await?;
    remote_is(&scene, "db", Some(&value("one"))).await?;
    change(&scene, json!({"password": value("two")})).await?;
    let before = scene.env.aws.calls_of("DescribeSecret", &scene.access_key);
    eventually(SOON, "it is looked at again", || async {
        let now = scene.env.aws.calls_of("DescribeSecret", &scene.access_key);
        if now >= before + 2 { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    let object = is_synced(&scene, "db").await?;
    assert_eq!(writes(&scene), ["CreateSecret"]);
    remote_is(&scene, "theirs", Some(&value("theirs"))).await?;
    let synced = &object["status"]["syncedPushSecrets"]["SecretStore/aws"];
    assert!(synced[scene.remote("theirs")].is_null(), "{synced}");
    Ok(())
}

#[tokio::test]
async fn push_two_objects_on_one_remote_key_the_second_is_refused_and_takes_over_later()
-> Result<()> {
    let scene = Scene::new("push-two").await?;
    source(&scene, json!({"one": value("one"), "two": value("two")})).await?;
    let data = |key: &str| json!([entry(&scene, key, "db", "")]);
    scene.create(push("first", data("one"), json!({}))).await?;
    is_synced(&scene, "first").await?;
    scene.create(push("second", data("two"), json!({}))).await?;
    let message = fails(&scene, "second", "is pushed by PushSecret push-two/first").await?;
    assert!(message.contains("push-two/db"), "{message}");
    scene.settle().await?;
    remote_is(&scene, "db", Some(&value("one"))).await?;

    // Fields of one JSON object are different places.
    for (name, key) in [("a", "one"), ("b", "two")] {
        let data = json!([entry(&scene, key, "fields", name)]);
        scene.create(push(&format!("field-{name}"), data, json!({}))).await?;
    }
    is_synced(&scene, "field-a").await?;
    is_synced(&scene, "field-b").await?;
    let found = scene.env.aws.value_of(&scene.remote("fields")).unwrap_or_default();
    let found: Value = serde_json::from_str(&found)?;
    assert_eq!(found, json!({"a": value("one"), "b": value("two")}));

    // The first lets go.
    scene.delete(KIND, "first").await?;
    is_synced(&scene, "second").await?;
    remote_is(&scene, "db", Some(&value("two"))).await?;

    // What its Secret took back is not kept alive by who was refused.
    scene.create(push("third", data("one"), json!({}))).await?;
    fails(&scene, "third", "is pushed by PushSecret push-two/second").await?;
    scene.patch(KIND, "second", json!({"spec": {"deletionPolicy": "Delete"}})).await?;
    is_synced(&scene, "second").await?;
    scene.delete("Secret", "source").await?;
    remote_is(&scene, "db", None).await?;
    // Who has nothing to push keeps nothing from anybody.
    scene
        .create(json!({"kind": "Secret", "metadata": {"name": "other"},
        "stringData": {"one": value("other")}}))
        .await?;
    let from = json!({"secret": {"name": "other"}});
    scene.patch(KIND, "third", json!({"spec": {"selector": from}})).await?;
    remote_is(&scene, "db", Some(&value("other"))).await
}

#[tokio::test]
async fn push_a_store_of_another_controller_stops_all_and_says_so() -> Result<()> {
    let scene = Scene::new("push-mixed").await?;
    source(&scene, json!({"one": value("one")})).await?;
    let mut theirs = scene.store("theirs");
    theirs["spec"]["controller"] = json!("another");
    scene.create(theirs).await?;
    scene.settle().await?;
    let stores = json!([{"name": "aws"}, {"name": "theirs"}]);
    let spec = json!({"secretStoreRefs": stores});
    scene.create(push("mixed", json!([entry(&scene, "one", "db", "")]), spec)).await?;
    let text = scene.event("mixed", "NotPushed").await?;
    assert!(text.contains("SecretStore \"theirs\" for another one"), "{text}");
    remote_is(&scene, "db", None).await
}

#[tokio::test]
async fn push_settings_are_set_and_only_those_that_were_set_are_removed() -> Result<()> {
    let scene = Scene::new("push-meta").await?;
    source(&scene, json!({"password": value("one")})).await?;
    let with = |spec: Value| {
        let mut entry = entry(&scene, "password", "db", "");
        entry["metadata"] = metadata(spec);
        json!([entry])
    };
    let first = json!({"tags": {"team": "a", "old": "1"}, "description": "ours",
        "secretPushFormat": "string", "kmsKeyID": "alias/ours"});
    scene.create(push("db", with(first), json!({}))).await?;
    is_synced(&scene, "db").await?;
    scene.env.aws.tag(&scene.remote("db"), "theirs", "x");
    let settings = || scene.env.aws.settings_of(&scene.remote("db")).unwrap_or_default();
    assert_eq!(
        (&settings()["description"], &settings()["kms"]),
        (&json!("ours"), &json!("alias/ours"))
    );

    let second = json!({"tags": {"team": "b"}, "description": "new", "secretPushFormat": "string"});
    scene.patch(KIND, "db", json!({"spec": {"data": with(second)}})).await?;
    let tags = json!({"managed-by": "external-secrets", "team": "b", "theirs": "x"});
    eventually(SOON, "the tags", || async {
        if settings()["tags"] == tags { Ok(()) } else { Err(Failure::new(settings().to_string())) }
    })
    .await?;
    is_synced(&scene, "db").await?;
    assert_eq!(settings()["description"], "new");
    assert!(!writes(&scene).contains(&"PutSecretValue".to_owned()), "{:?}", writes(&scene));

    for (spec, text) in [
        (
            json!({"resourcePolicy": {"blockPublicPolicy": true}}),
            "metadata.spec.resourcePolicy is not supported",
        ),
        (json!({"tags": {"managed-by": "me"}}), "spec.tags.managed-by is set by Gabion"),
        (json!({"colour": "red"}), "spec.data[0].metadata: it cannot be read"),
    ] {
        scene.patch(KIND, "db", json!({"spec": {"data": with(spec)}})).await?;
        fails(&scene, "db", text).await?;
    }
    Ok(())
}

#[tokio::test]
async fn push_makes_values_with_a_template() -> Result<()> {
    let scene = Scene::new("push-template").await?;
    source(&scene, json!({"user": "shop", "password": "x"})).await?;
    let map = json!({"kind": "ConfigMap", "metadata": {"name": "texts"},
        "data": {"host": "{{ .user }}.example.com"}});
    scene.create(map).await?;
    let items = json!([{"key": "host"}]);
    let template = json!({"data": {"url": "https://{{ .user }}:{{ .password }}@db"},
        "templateFrom": [{"configMap": {"name": "texts", "items": items}}]});
    let data = json!([entry(&scene, "url", "db", ""), entry(&scene, "host", "host", "")]);
    scene.create(push("db", data, json!({"template": template}))).await?;
    is_synced(&scene, "db").await?;
    remote_is(&scene, "db", Some("https://shop:x@db")).await?;
    remote_is(&scene, "host", Some("shop.example.com")).await?;
    let change = json!({"data": {"host": "{{ .user }}.example.org"}});
    scene.patch("ConfigMap", "texts", change).await?;
    remote_is(&scene, "host", Some("shop.example.org")).await?;
    let broken = json!({"spec": {"template": {"data": {"url": "{{ .absent }}"}}}});
    scene.patch(KIND, "db", broken).await?;
    fails(&scene, "db", "spec.template.data[url]").await?;
    Ok(())
}

#[tokio::test]
async fn push_bad_input_is_told_and_disturbs_nobody() -> Result<()> {
    let scene = Scene::new("push-bad").await?;
    let large = "x".repeat(66_000);
    source(&scene, json!({"large": large, "small": value("s"), "medium": "y".repeat(5000)}))
        .await?;
    let fake = json!({"kind": "SecretStore", "metadata": {"name": "fixed"},
        "spec": {"provider": {"fake": {"data": [{"key": "a", "value": "b"}]}}}});
    scene.create(fake).await?;
    let one = |key: &str, remote: &str| json!([entry(&scene, key, remote, "")]);
    let generator = json!({"generatorRef": {"kind": "Password", "name": "p"}});
    let twice = json!([entry(&scene, "small", "t", ""), entry(&scene, "small", "t", "p")]);
    let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:another";
    let by_arn = json!([{"match": {"secretKey": "small", "remoteRef": {"remoteKey": arn}}}]);
    for (name, data, spec, text) in [
        ("large", one("large", "l"), json!({}), "AWS Secrets Manager takes 65536"),
        ("name", one("small", "a b!"), json!({}), "ValidationException"),
        (
            "read-only",
            one("small", "r"),
            json!({"secretStoreRefs": [{"name": "fixed"}]}),
            "cannot be written to",
        ),
        ("no-key", one("none", "n"), json!({}), "the Secret has no key \"none\""),
        (
            "no-store",
            one("small", "n"),
            json!({"secretStoreRefs": [{"name": "none"}]}),
            "does not exist",
        ),
        (
            "no-secret",
            one("small", "n"),
            json!({"selector": {"secret": {"name": "none"}}}),
            "Secret \"none\" does not exist",
        ),
        (
            "generator",
            one("small", "n"),
            json!({"selector": generator}),
            "spec.selector.generatorRef is not supported",
        ),
        ("twice", twice, json!({}), "push to the same place"),
        // By its ARN it would be another secret than by its name, for all who compare.
        (
            "arn",
            by_arn,
            json!({"deletionPolicy": "Delete"}),
            "is named by its name, without an ARN",
        ),
    ] {
        scene.create(push(name, data, spec)).await?;
        fails(&scene, name, text).await?;
    }
    scene.create(push("good", one("small", "good"), json!({}))).await?;
    is_synced(&scene, "good").await?;
    for name in ["l", "r", "n", "t"] {
        assert_eq!(scene.env.aws.value_of(&scene.remote(name)), None, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn push_obeys_the_conditions_of_cluster_stores() -> Result<()> {
    let scene = Scene::new("push-cluster").await?;
    source(&scene, json!({"password": value("one")})).await?;
    let store = json!({"kind": "ClusterSecretStore", "metadata": {"name": scene.ns},
        "spec": {"conditions": [{"namespaceSelector": {"matchLabels": {"may": "push"}}}],
            "provider": {"aws": aws_provider("aws-keys", Some(&scene.ns))}}});
    scene.create(store).await?;
    let stores = json!([{"kind": "ClusterSecretStore", "name": scene.ns}]);
    let data = json!([entry(&scene, "password", "db", "")]);
    scene.create(push("db", data, json!({"secretStoreRefs": stores}))).await?;
    fails(&scene, "db", "denied by spec.conditions").await?;
    assert_eq!(writes(&scene), Vec::<String>::new());
    let label = json!({"metadata": {"labels": {"may": "push"}}});
    scene.patch("Namespace", &scene.ns, label).await?;
    is_synced(&scene, "db").await?;
    remote_is(&scene, "db", Some(&value("one"))).await
}

#[tokio::test]
async fn push_a_store_that_does_not_answer_delays_only_its_own_objects() -> Result<()> {
    let (slow, good) = (Scene::new("push-silent").await?, Scene::new("push-heard").await?);
    slow.env.aws.fault_of_key(&slow.access_key, Some(Fault::Hang));
    for scene in [&slow, &good] {
        source(scene, json!({"password": value("one")})).await?;
        let data = json!([entry(scene, "password", "db", "")]);
        scene.create(push("db", data, json!({}))).await?;
    }
    let started = Instant::now();
    is_synced(&good, "db").await?;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    slow.env.aws.fault_of_key(&slow.access_key, None);
    is_synced(&slow, "db").await?;
    remote_is(&slow, "db", Some(&value("one"))).await
}

#[tokio::test]
async fn push_to_parameter_store_keeps_what_it_did_not_set() -> Result<()> {
    let scene = Scene::new("push-ps").await?;
    source(&scene, json!({"password": value("one"), "large": "y".repeat(5000)})).await?;
    let mut provider = aws_provider("aws-keys", None);
    provider["service"] = json!("ParameterStore");
    let store = json!({"kind": "SecretStore", "metadata": {"name": "parameters"},
        "spec": {"provider": {"aws": provider}}});
    scene.create(store).await?;
    let name = format!("/{}/db", scene.ns);
    let at = |key: &str, name: &str, spec: Value| {
        json!({"match": {"secretKey": key, "remoteRef": {"remoteKey": name}},
            "metadata": metadata(spec)})
    };
    let settings = json!({"secretType": "SecureString", "kmsKeyID": "alias/ours",
        "description": "ours", "tags": {"team": "a"}});
    let stores = json!({"secretStoreRefs": [{"name": "parameters"}], "deletionPolicy": "Delete"});
    scene.create(push("db", json!([at("password", &name, settings)]), stores.clone())).await?;
    is_synced(&scene, "db").await?;
    let tags = json!({"managed-by": "external-secrets", "team": "a"});
    let expected = |text: &str| {
        json!({"value": text, "type": "SecureString", "tier": "Standard", "key": "alias/ours",
            "description": "ours", "tags": tags})
    };
    assert_eq!(scene.env.aws.parameter(&name), Some(expected(&value("one"))));

    // Nothing but the value is said from now on, and all else stays.
    let plain = json!([{"match": {"secretKey": "password", "remoteRef": {"remoteKey": name}},
        "metadata": metadata(json!({"tags": {"team": "a"}}))}]);
    scene.patch(KIND, "db", json!({"spec": {"data": plain}})).await?;
    change(&scene, json!({"password": value("two")})).await?;
    eventually(SOON, "the parameter", || async {
        let found = scene.env.aws.parameter(&name);
        if found == Some(expected(&value("two"))) {
            Ok(())
        } else {
            Err(Failure::new(format!("{found:?}")))
        }
    })
    .await?;
    is_synced(&scene, "db").await?;

    let large = format!("/{}/large", scene.ns);
    scene.create(push("large", json!([at("large", &large, json!({}))]), stores.clone())).await?;
    fails(&scene, "large", "AWS Parameter Store takes 4096").await?;
    let advanced = json!([at("large", &large, json!({"tier": {"type": "Advanced"}}))]);
    scene.patch(KIND, "large", json!({"spec": {"data": advanced}})).await?;
    is_synced(&scene, "large").await?;
    for object in ["db", "large"] {
        scene.delete(KIND, object).await?;
        scene.gone(KIND, object).await?;
    }
    assert_eq!(scene.env.aws.parameter(&name), None);
    Ok(())
}

#[tokio::test]
async fn push_after_a_restart_nothing_is_asked_and_nothing_is_written() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "push-restart").await?;
    source(&scene, json!({"password": value("one")})).await?;
    let data = json!([entry(&scene, "password", "db", "")]);
    scene.create(push("db", data, json!({"refreshInterval": "1h"}))).await?;
    let before = is_synced(&scene, "db").await?;
    drop(scene);
    env.aws.reset_counts();

    env.operator.stop(SOON)?;
    env.start_again(&[])?;

    let scene = Scene::enter(&env, "push-restart").await?;
    scene.settle().await?;
    let after = is_synced(&scene, "db").await?;
    assert_eq!(after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    assert_eq!(scene.env.aws.received(), []);
    // What changed meanwhile is pushed.
    drop(scene);
    env.operator.stop(SOON)?;
    let scene = Scene::enter(&env, "push-restart").await?;
    change(&scene, json!({"password": value("two")})).await?;
    drop(scene);
    env.start_again(&[])?;
    let scene = Scene::enter(&env, "push-restart").await?;
    remote_is(&scene, "db", Some(&value("two"))).await
}

#[tokio::test]
async fn push_a_definition_that_is_not_installed_makes_nobody_unready() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    env.operator.stop(SOON)?;
    let kubectl = env.plane().admin()?;
    let definition = "pushsecrets.external-secrets.io";
    kubectl.run(&["delete", "crd", definition])?;

    env.start_again(&[])?;

    answers(&env.health, "/readyz", "200 OK").await?;
    let scene = Scene::within(&env, "push-absent").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    // It is installed later.
    kubectl.apply_path(&repository().join("crds").join(format!("{definition}.yaml")))?;
    source(&scene, json!({"password": value("one")})).await?;
    let object = push("db", json!([entry(&scene, "password", "pushed", "")]), json!({}));
    eventually(SOON, "the definition is served", || async {
        scene.create(object.clone()).await.map_err(|error| Failure::new(error.to_string()))
    })
    .await?;
    is_synced(&scene, "db").await?;
    remote_is(&scene, "pushed", Some(&value("one"))).await
}

#[tokio::test]
async fn push_data_to_follows_the_keys_of_the_secret() -> Result<()> {
    let scene = Scene::new("push-data-to").await?;
    source(&scene, json!({"db-user": "shop", "db-word": value("one"), "api": "token"})).await?;
    let aws = json!({"name": "aws"});
    let template = format!("{}/{{{{ trimPrefix \"db-\" .value }}}}", scene.ns);
    let rewrite = json!([{"transform": {"template": template}},
        {"regexp": {"source": "word$", "target": "password"}}]);
    let data_to = json!([
        {"storeRef": aws, "match": {"regexp": "^db-"}, "rewrite": rewrite,
            "metadata": metadata(json!({"tags": {"team": "a"}}))},
        {"storeRef": aws, "match": {"regexp": "^(api|db-user)$"}, "remoteKey": scene.remote("bundle")},
    ]);
    let data = json!([entry(&scene, "db-user", "custom", "")]);
    let spec = json!({"dataTo": data_to, "deletionPolicy": "Delete"});
    scene.create(push("db", data, spec)).await?;
    let object = is_synced(&scene, "db").await?;
    remote_is(&scene, "password", Some(&value("one"))).await?;
    remote_is(&scene, "custom", Some("shop")).await?;
    remote_is(&scene, "bundle", Some(r#"{"api":"token","db-user":"shop"}"#)).await?;
    remote_is(&scene, "user", None).await?;
    let settings = scene.env.aws.settings_of(&scene.remote("password")).unwrap_or_default();
    assert_eq!(settings["tags"], json!({"managed-by": "external-secrets", "team": "a"}));
    let synced = object["status"]["syncedPushSecrets"]["SecretStore/aws"].clone();
    assert_eq!(synced[scene.remote("password")]["match"]["secretKey"], "db-word");
    assert_eq!(synced.as_object().map(serde_json::Map::len), Some(3), "{synced}");

    // A new key is pushed at once, and another object is refused its place, until the key goes.
    change(&scene, json!({"db-host": "example.com"})).await?;
    remote_is(&scene, "host", Some("example.com")).await?;
    is_synced(&scene, "db").await?;
    let second = push("second", json!([entry(&scene, "api", "host", "")]), json!({}));
    scene.create(second).await?;
    fails(&scene, "second", "is pushed by PushSecret push-data-to/db").await?;
    scene.patch("Secret", "source", json!({"data": {"db-host": null}})).await?;
    remote_is(&scene, "host", Some("token")).await?;
    is_synced(&scene, "second").await?;

    // Two keys with one name: nothing is pushed, and nothing is removed.
    let same = json!([{"regexp": {"source": "^db-.*", "target": scene.remote("same")}}]);
    change(&scene, json!({"db-port": "5432"})).await?;
    remote_is(&scene, "port", Some("5432")).await?;
    let one = json!({"spec": {"dataTo": [{"storeRef": aws, "match": {"regexp": "^db-"},
        "rewrite": same}]}});
    scene.patch(KIND, "db", one).await?;
    fails(&scene, "db", "spec.dataTo[0].rewrite[0]: two keys become the same").await?;
    scene.settle().await?;
    remote_is(&scene, "port", Some("5432")).await?;
    remote_is(&scene, "same", None).await?;

    scene.delete(KIND, "db").await?;
    scene.gone(KIND, "db").await?;
    for name in ["password", "custom", "bundle", "port"] {
        remote_is(&scene, name, None).await?;
    }
    remote_is(&scene, "host", Some("token")).await
}
