//! From External Secrets Operator to Gabion: what it left is accepted as it is.
//!
//! `tests/fixtures/takeover/` has one pair per creation policy in the form in which that operator leaves objects; hashes
//! were computed by another implementation of its formula.

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Failure, Options, Result, SOON, Subsystem, TestEnv,
    audit::{self, Request},
    eventually, repository,
};

use crate::scene::{Scene, value};

const FINALIZER: &str = "externalsecrets.external-secrets.io/externalsecret-cleanup";
const PAIRS: [&str; 6] = ["owner", "orphan", "merge", "create-or-merge", "none", "owner-delete"];

/// A control plane in which the other operator has just been switched off.
async fn left_behind() -> Result<TestEnv> {
    let mut env = Subsystem::Secrets.start(&[])?;
    env.operator.stop(SOON)?;
    let scene = Scene::bare(&env, "taken").await?;
    scene.create(scene.credentials("aws-keys")).await?;
    scene.create(scene.store("aws")).await?;
    let ready = json!({"lastTransitionTime": "2026-03-02T08:00:00Z", "message": "store validated",
        "reason": "Valid", "status": "True", "type": "Ready"});
    let status = json!({"capabilities": "ReadWrite", "conditions": [ready]});
    scene.patch_status("SecretStore", "aws", status).await?;
    for name in PAIRS {
        pair(&scene, name).await?;
    }
    drop(scene);
    Ok(env)
}

/// Makes one pair through the API, as the tools did that made it first.
async fn pair(scene: &Scene<'_>, name: &str) -> Result<()> {
    let path = repository().join(format!("tests/fixtures/takeover/{name}.yaml"));
    let text = std::fs::read_to_string(path)?;
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let (mut secret, mut object) =
        (documents.pop().expect("a Secret"), documents.pop().expect("an ExternalSecret"));
    let mut status = object["status"].take();
    let object = scene.create_as(object, "kubectl-client-side-apply").await?;
    let manager = format!("externalsecrets.external-secrets.io/{name}");
    if secret["metadata"]["ownerReferences"].is_array() {
        secret["metadata"]["ownerReferences"][0]["uid"] = object["metadata"]["uid"].clone();
    }
    if secret["data"]["foreign"].is_string() {
        let first = json!({"kind": "Secret", "metadata": {"name": name}, "type": "Opaque",
            "data": {"foreign": secret["data"]["foreign"]}});
        scene.create_as(first, "kubectl-create").await?;
        scene.replace(secret, &manager).await?;
    } else {
        scene.create_as(secret, &manager).await?;
    }
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())?;
    status["refreshTime"] = now.to_string().into();
    scene.patch_status("ExternalSecret", name, status).await?;
    // What is read is not what was left: any read would be a change.
    scene.put(name, &value("not read"));
    Ok(())
}

/// A second handle to the namespace that [`left_behind`] made.
async fn again(env: &TestEnv) -> Result<Scene<'_>> {
    Scene::enter(env, "taken").await
}

fn since(env: &TestEnv, before: usize) -> Vec<Request> {
    let all = audit::requests(env.plane());
    all[before..].iter().filter(|request| !request.name.starts_with("settle-")).cloned().collect()
}

#[tokio::test]
async fn what_another_operator_left_costs_no_read_and_no_write() -> Result<()> {
    let mut env = left_behind().await?;
    let before = audit::requests(env.plane()).len();

    env.start_again(&[])?;
    let scene = again(&env).await?;
    scene.settle().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let requests = since(&env, before);
    let writes: Vec<_> = requests.iter().filter(|request| request.is_write()).collect();
    assert!(writes.is_empty(), "{writes:?}");
    let reads: Vec<_> =
        requests.iter().filter(|r| r.is_secret_read() && r.name != "aws-keys").collect();
    assert!(reads.is_empty(), "{reads:?}");
    assert_eq!(env.aws.received(), [], "no call of the provider");

    // From here on they are ours: a rotation arrives, foreign keys stay.
    for name in PAIRS.iter().filter(|name| **name != "none") {
        scene.put(name, &value("rotated"));
        scene.force(name, "1").await?;
        scene.ready(name).await?;
        let merged = json!({"foreign": "keep", "value": value("rotated")});
        let alone = json!({"value": value("rotated")});
        scene.data_is(name, if name.contains("merge") { merged } else { alone }).await?;
    }
    scene.data_is("none", json!({"foreign": "keep"})).await
}

#[tokio::test]
async fn an_edit_that_nobody_watched_is_found_and_put_right() -> Result<()> {
    let mut env = left_behind().await?;
    let scene = again(&env).await?;
    // Field managers have whole seconds.
    support::next_second().await;
    for name in ["owner", "merge"] {
        scene.patch("Secret", name, json!({"stringData": {"value": "tampered"}})).await?;
    }
    scene.delete("Secret", "create-or-merge").await?;
    scene.patch("Secret", "owner-delete", json!({"metadata": {"labels": null}})).await?;
    drop(scene);

    env.start_again(&[])?;
    let scene = again(&env).await?;

    scene.data_is("owner", json!({"value": value("not read")})).await?;
    let merged = json!({"foreign": "keep", "value": value("not read")});
    scene.data_is("merge", merged).await?;
    scene.data_is("create-or-merge", json!({"value": value("not read")})).await?;
    eventually(SOON, "the label is back", || async {
        let secret = scene.get("Secret", "owner-delete").await?.unwrap_or_default();
        match &secret["metadata"]["labels"]["reconcile.external-secrets.io/managed"] {
            Value::String(managed) if managed == "true" => Ok(()),
            other => Err(Failure::new(format!("it is {other}"))),
        }
    })
    .await
}

#[tokio::test]
async fn the_finalizer_of_another_operator_is_honoured_and_removed() -> Result<()> {
    let mut env = left_behind().await?;
    env.start_again(&[])?;
    let scene = again(&env).await?;
    scene.settle().await?;
    for name in PAIRS {
        let object = scene.get("ExternalSecret", name).await?.expect("the object");
        assert_eq!(object["metadata"]["finalizers"], json!([FINALIZER]), "kept until deletion");

        scene.delete("ExternalSecret", name).await?;
        scene.gone("ExternalSecret", name).await?;
    }
    // deletionPolicy Delete: by our own hand; Owner otherwise: by the garbage collector.
    scene.gone("Secret", "owner-delete").await?;
    scene.gone("Secret", "owner").await?;
    for name in ["orphan", "merge", "create-or-merge", "none"] {
        assert!(scene.data(name).await?.is_some(), "{name} is kept");
    }
    let requests = audit::requests(env.plane());
    let deleted: Vec<_> = requests
        .iter()
        .filter(|request| request.resource == "secrets" && request.verb == "delete")
        .map(|request| request.name.as_str())
        .collect();
    assert_eq!(deleted, ["owner-delete"]);
    Ok(())
}

#[tokio::test]
async fn a_finalizer_left_behind_blocks_no_namespace_and_no_deletion_while_nobody_ran() -> Result<()>
{
    let mut env = left_behind().await?;
    let scene = again(&env).await?;
    scene.delete("ExternalSecret", "owner-delete").await?;
    scene.delete("Namespace", "taken").await?;
    drop(scene);

    env.start_again(&[])?;

    let scene = again(&env).await?;
    scene.gone("Namespace", "taken").await
}

#[tokio::test]
async fn a_refresh_time_in_the_future_holds_nothing_up() -> Result<()> {
    let mut env = left_behind().await?;
    let scene = again(&env).await?;
    let future = json!({"refreshTime": "2099-01-01T00:00:00Z"});
    scene.patch_status("ExternalSecret", "owner", future).await?;
    drop(scene);

    env.start_again(&[])?;
    let scene = again(&env).await?;

    scene.data_is("owner", json!({"value": value("not read")})).await?;
    eventually(SOON, "a refresh time of today", || async {
        let object = scene.get("ExternalSecret", "owner").await?.unwrap_or_default();
        match object["status"]["refreshTime"].as_str() {
            Some(time) if !time.starts_with("2099") => Ok(()),
            other => Err(Failure::new(format!("it is {other:?}"))),
        }
    })
    .await
}

/// The definitions as another operator has them: without the fields that only Gabion has in a status.
fn definitions_of_others() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for name in ["externalsecrets", "secretstores", "clustersecretstores"] {
        let file = format!("{name}.external-secrets.io.yaml");
        let text = std::fs::read_to_string(repository().join("crds").join(&file))?;
        let mut definition: Value = serde_saphyr::from_str(&text)?;
        for version in definition["spec"]["versions"].as_array_mut().expect("versions") {
            let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"];
            let fields = status["properties"].as_object_mut().expect("fields");
            fields.remove("gabion");
            fields.remove("observedGeneration");
            let condition = &mut fields["conditions"]["items"]["properties"];
            condition.as_object_mut().expect("fields").remove("observedGeneration");
        }
        std::fs::write(folder.path().join(file), definition.to_string())?;
    }
    Ok(folder)
}

#[tokio::test]
async fn with_the_definitions_of_another_operator_a_steady_object_costs_no_write() -> Result<()> {
    let folder = definitions_of_others()?;
    let options = Options { crds: Some(folder.path().to_owned()), ..Options::default() };
    let mut env = Subsystem::Secrets.start_with(&options, &[])?;
    let scene = Scene::within(&env, "foreign-crd").await?;
    for (name, interval) in [("often", "1s"), ("rarely", "1h")] {
        scene.put(name, &value("x"));
        scene.create(scene.external(name, json!({"refreshInterval": interval}))).await?;
        scene.holds(name, &value("x")).await?;
    }
    eventually(SOON, "the status is written", || async {
        let ready = scene.condition("ExternalSecret", "rarely").await?;
        if ready["status"] == "True" { Ok(()) } else { Err(Failure::new("no")) }
    })
    .await?;
    let object = scene.get("ExternalSecret", "rarely").await?.expect("the object");
    assert!(object["status"]["gabion"].is_null(), "the schema is not what it is meant to be");
    let reads = scene.reads("often");
    let before = scene.requests().iter().filter(|request| request.is_write()).count();

    eventually(SOON, "four refreshes", || async {
        if scene.reads("often") >= reads + 4 { Ok(()) } else { Err("not yet") }
    })
    .await?;

    let writes: Vec<_> =
        scene.requests().into_iter().filter(Request::is_write).skip(before).collect();
    assert!(writes.is_empty(), "{writes:?}");

    // A restart reads no value of the provider, and at most once the Secret.
    scene.delete("ExternalSecret", "often").await?;
    scene.gone("Secret", "often").await?;
    drop(scene);
    env.operator.stop(SOON)?;
    let before = audit::requests(env.plane()).len();
    env.aws.reset_counts();
    env.start_again(&[])?;
    let scene = Scene::enter(&env, "foreign-crd").await?;
    scene.put("after", &value("y"));
    scene.create(scene.external("after", json!({}))).await?;
    scene.holds("after", &value("y")).await?;
    assert_eq!(scene.reads("rarely"), 0);
    let requests = since(&env, before);
    let about: Vec<_> = requests.iter().filter(|request| request.name == "rarely").collect();
    assert!(about.iter().all(|request| request.is_secret_read()) && about.len() <= 1, "{about:?}");
    Ok(())
}
