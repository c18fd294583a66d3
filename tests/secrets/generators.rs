//! Generators: what they make, and when it changes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{Failure, Result, SOON, Subsystem, TestEnv, eventually};

use crate::scene::{Scene, value};

/// A generator object.
fn generator(kind: &str, name: &str, spec: Value) -> Value {
    json!({"kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// `spec.dataFrom` of one generator.
fn from(kind: &str, name: &str) -> Value {
    json!({"data": [], "dataFrom": [{"sourceRef": {"generatorRef": {"kind": kind, "name": name}}}]})
}

/// An ExternalSecret without a store that uses a generator.
fn external(scene: &Scene<'_>, name: &str, kind: &str, of: &str, spec: Value) -> Value {
    let mut object = scene.external(name, from(kind, of));
    object["spec"]["secretStoreRef"] = Value::Null;
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

/// The data of a Secret, once it exists.
async fn made(scene: &Scene<'_>, name: &str) -> Result<Value> {
    scene.ready(name).await?;
    Ok(scene.data(name).await?.unwrap_or_default())
}

/// Waits until the data of a Secret is something else.
async fn changes(scene: &Scene<'_>, name: &str, before: &Value) -> Result<Value> {
    eventually(SOON, "the value changes", || async {
        match scene.data(name).await? {
            Some(now) if now != *before => Ok(now),
            _ => Err(Failure::new("not yet")),
        }
    })
    .await
}

#[tokio::test]
async fn gen_each_kind_makes_its_keys() -> Result<()> {
    let scene = Scene::new("gen-kinds").await?;
    scene.create(generator("Password", "p", json!({"length": 16, "symbols": 0}))).await?;
    // Its spec may be left out.
    scene.create(json!({"kind": "UUID", "metadata": {"name": "u"}})).await?;
    scene.create(generator("SSHKey", "s", json!({"keyType": "ed25519", "comment": "me"}))).await?;
    scene.create(generator("Fake", "f", json!({"data": {"a": "1", "b": "2"}}))).await?;
    for (kind, name, keys) in [
        ("Password", "p", &["password"][..]),
        ("UUID", "u", &["uuid"][..]),
        ("SSHKey", "s", &["privateKey", "publicKey"][..]),
        ("Fake", "f", &["a", "b"][..]),
    ] {
        scene.create(external(&scene, name, kind, name, json!({}))).await?;
        let data = made(&scene, name).await?;
        let found: Vec<_> = data.as_object().into_iter().flatten().map(|(key, _)| key).collect();
        assert_eq!(found, keys, "{kind}");
    }
    let password = made(&scene, "p").await?["password"].as_str().unwrap_or_default().to_owned();
    assert_eq!(password.len(), 16);
    assert!(password.chars().all(|one| one.is_ascii_alphanumeric()));
    let keys = made(&scene, "s").await?;
    assert!(
        keys["publicKey"]
            .as_str()
            .is_some_and(|key| key.starts_with("ssh-ed25519 ") && key.ends_with(" me\n"))
    );
    scene.data_is("f", json!({"a": "1", "b": "2"})).await
}

#[tokio::test]
async fn gen_a_cluster_generator_serves_every_namespace() -> Result<()> {
    let scene = Scene::new("gen-cluster").await?;
    let spec = json!({"kind": "Password", "generator": {"passwordSpec": {"length": 12}}});
    scene.create(generator("ClusterGenerator", "gen-cluster", spec)).await?;
    let beside = scene.beside("b").await?;
    let mut values = BTreeSet::new();
    for scene in [&scene, &beside] {
        let object = external(scene, "db", "ClusterGenerator", "gen-cluster", json!({}));
        scene.create(object).await?;
        let data = made(scene, "db").await?;
        values.insert(data["password"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(values.len(), 2, "each has a value of its own");
    assert!(values.iter().all(|value| value.len() == 12));
    let wrong = json!({"kind": "UUID", "generator": {"passwordSpec": {}}});
    scene.create(generator("ClusterGenerator", "gen-cluster-wrong", wrong)).await?;
    let object = external(&scene, "wrong", "ClusterGenerator", "gen-cluster-wrong", json!({}));
    scene.create(object).await?;
    scene.fails("wrong", "has no settings of spec.kind \"UUID\": make the two agree").await?;
    Ok(())
}

#[tokio::test]
async fn gen_a_refresh_and_a_forced_refresh_make_a_new_value() -> Result<()> {
    let scene = Scene::new("gen-refresh").await?;
    scene.create(generator("Password", "p", json!({}))).await?;
    scene.create(external(&scene, "hourly", "Password", "p", json!({}))).await?;
    let before = made(&scene, "hourly").await?;
    scene.force("hourly", "1").await?;
    changes(&scene, "hourly", &before).await?;
    let often = json!({"refreshInterval": "1s"});
    scene.create(external(&scene, "often", "Password", "p", often)).await?;
    let before = made(&scene, "often").await?;
    changes(&scene, "often", &before).await?;
    // Created once means once.
    let once = json!({"refreshPolicy": "CreatedOnce", "refreshInterval": "1s"});
    scene.create(external(&scene, "once", "Password", "p", once)).await?;
    let before = made(&scene, "once").await?;
    scene.force("once", "1").await?;
    scene.intervals(3).await?;
    assert_eq!(made(&scene, "once").await?, before);
    Ok(())
}

#[tokio::test]
async fn gen_the_repair_of_drift_keeps_the_value() -> Result<()> {
    let scene = Scene::new("gen-drift").await?;
    scene.create(generator("Password", "p", json!({}))).await?;
    scene.put("host", &value("db"));
    // A value that is made and one that is read.
    let spec = json!({"secretStoreRef": {"name": "aws"}, "data": [scene.entry("host", "host")]});
    scene.create(external(&scene, "plain", "Password", "p", spec.clone())).await?;
    let mut templated = spec;
    templated["target"] = json!({"template": {"data": {
        "url": "db://u:{{ .password | urlquery }}@{{ .host }}", "host": "{{ .host }}"}}});
    scene.create(external(&scene, "templated", "Password", "p", templated)).await?;
    for name in ["plain", "templated"] {
        let before = made(&scene, name).await?;
        let object = scene.get("ExternalSecret", name).await?.unwrap_or_default();
        let tampered = json!({"stringData": {"host": "tampered", "extra": "x"}});
        scene.patch("Secret", name, tampered).await?;
        scene.data_is(name, before.clone()).await?;
        scene.settle().await?;
        assert_eq!(made(&scene, name).await?, before, "{name}");
        let after = scene.get("ExternalSecret", name).await?.unwrap_or_default();
        let time = |object: &Value| object["status"]["refreshTime"].clone();
        assert_eq!(time(&after), time(&object), "the next refresh is not later for it");
    }
    // What is lost has to be made anew: nobody else has it.
    let before = made(&scene, "plain").await?;
    scene.delete("Secret", "plain").await?;
    let after = changes(&scene, "plain", &before).await?;
    assert_eq!(after["host"], before["host"]);
    let gone = json!({"data": {"password": null}});
    scene.patch("Secret", "plain", gone).await?;
    eventually(SOON, "it is made anew", || async {
        let now = scene.data("plain").await?.unwrap_or_default();
        if now["password"].is_null() { Err(Failure::new("not yet")) } else { Ok(()) }
    })
    .await
}

/// A namespace with passwords that are in sync.
async fn passwords(env: &TestEnv, name: &str) -> Result<Value> {
    let scene = Scene::within(env, name).await?;
    scene.create(generator("Password", "p", json!({}))).await?;
    for name in ["one", "two"] {
        scene.create(external(&scene, name, "Password", "p", json!({}))).await?;
    }
    Ok(json!([made(&scene, "one").await?, made(&scene, "two").await?]))
}

#[tokio::test]
async fn gen_a_restart_keeps_the_value_even_if_the_status_was_not_written() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    let before = passwords(&env, "gen-restart").await?;
    env.operator.stop(SOON)?;
    {
        let scene = Scene::enter(&env, "gen-restart").await?;
        // As if the process had ended between the two writes of the first sync.
        let empty = json!({"refreshTime": null, "syncedResourceVersion": null,
            "conditions": null, "binding": null, "gabion": null});
        scene.patch_status("ExternalSecret", "two", empty).await?;
    }

    env.start_again(&[])?;

    let scene = Scene::enter(&env, "gen-restart").await?;
    let after = json!([made(&scene, "one").await?, made(&scene, "two").await?]);
    assert_eq!(after, before);
    scene.settle().await?;
    let after = json!([made(&scene, "one").await?, made(&scene, "two").await?]);
    assert_eq!(after, before);
    Ok(())
}

#[tokio::test]
async fn gen_what_cannot_be_made_is_said_and_mended() -> Result<()> {
    let scene = Scene::new("gen-wrong").await?;
    scene.create(external(&scene, "missing", "Password", "later", json!({}))).await?;
    let text = "spec.dataFrom[0].sourceRef.generatorRef: Password \"later\" does not exist";
    scene.fails("missing", text).await?;
    scene.create(generator("Password", "long", json!({"length": 44}))).await?;
    scene.create(external(&scene, "long", "Password", "long", json!({}))).await?;
    scene.fails("long", "11 digits are asked for and there are 10 different ones").await?;
    scene.patch("Password", "long", json!({"spec": {"allowRepeat": true}})).await?;
    scene.create(generator("Password", "later", json!({}))).await?;
    scene.ready("long").await?;
    scene.ready("missing").await?;
    // Of others: the fields stay.
    let grafana = json!({"url": "https://grafana.example.com", "serviceAccount": {"name": "a"}});
    scene.create(generator("Grafana", "g", grafana.clone())).await?;
    let kept = scene.get("Grafana", "g").await?.unwrap_or_default();
    assert_eq!(kept["spec"], grafana);
    scene.create(external(&scene, "grafana", "Grafana", "g", json!({}))).await?;
    let message = scene.fails("grafana", "generators of kind Grafana are not supported").await?;
    assert!(message.contains("the fields of \"g\" are kept"), "{message}");
    // A generator of another namespace is not there.
    let beside = scene.beside("b").await?;
    beside.create(external(&beside, "db", "Password", "later", json!({}))).await?;
    beside.fails("db", "Password \"later\" does not exist").await?;
    let mut far = external(&scene, "far", "Password", "later", json!({}));
    far["spec"]["dataFrom"][0]["sourceRef"]["generatorRef"]["namespace"] = json!("gen-wrong");
    beside.create(far).await?;
    beside.fails("far", "Password \"later\" does not exist").await?;
    Ok(())
}

#[tokio::test]
async fn gen_mfa_reads_its_seed_here_and_nowhere_else() -> Result<()> {
    let scene = Scene::new("gen-mfa").await?;
    let seed = json!({"kind": "Secret", "metadata": {"name": "device"},
        "stringData": {"seed": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}});
    scene.create(seed.clone()).await?;
    let spec = json!({"secret": {"name": "device", "key": "seed"}, "length": 8,
        "when": "1970-01-01T00:00:59Z"});
    scene.create(generator("MFA", "m", spec.clone())).await?;
    scene.create(external(&scene, "m", "MFA", "m", json!({}))).await?;
    // RFC 6238, appendix B.
    scene.data_is("m", json!({"token": "94287082", "timeLeft": "1"})).await?;
    let cluster = json!({"kind": "MFA", "generator": {"mfaSpec": spec}});
    scene.create(generator("ClusterGenerator", "gen-mfa", cluster)).await?;
    scene.create(external(&scene, "c", "ClusterGenerator", "gen-mfa", json!({}))).await?;
    scene.data_is("c", json!({"token": "94287082", "timeLeft": "1"})).await?;

    let beside = scene.beside("b").await?;
    let far = json!({"secret": {"name": "device", "key": "seed", "namespace": scene.ns}});
    beside.create(generator("MFA", "far", far)).await?;
    beside.create(external(&beside, "far", "MFA", "far", json!({}))).await?;
    beside.fails("far", "spec.secret names namespace \"gen-mfa\"").await?;
    beside.create(external(&beside, "c", "ClusterGenerator", "gen-mfa", json!({}))).await?;
    beside.fails("c", "Secret \"device\" or its key \"seed\" does not exist").await?;
    assert_eq!(beside.data("far").await?, None);
    Ok(())
}

#[tokio::test]
async fn gen_rewrite_and_merge_work_on_what_is_made() -> Result<()> {
    let scene = Scene::new("gen-rewrite").await?;
    scene.create(generator("Fake", "f", json!({"data": {"user": "u", "key": "k"}}))).await?;
    let mut object = external(&scene, "db", "Fake", "f", json!({}));
    object["spec"]["dataFrom"][0]["rewrite"] =
        json!([{"regexp": {"source": "^(.*)$", "target": "db.$1"}}]);
    scene.create(object).await?;
    scene.data_is("db", json!({"db.user": "u", "db.key": "k"})).await?;
    // One that is for another controller is left alone.
    let foreign = generator("Fake", "other", json!({"controller": "other", "data": {"a": "b"}}));
    scene.create(foreign).await?;
    scene.create(external(&scene, "other", "Fake", "other", json!({}))).await?;
    scene.settle().await?;
    let left = scene.get("ExternalSecret", "other").await?.unwrap_or_default();
    assert!(left["status"].is_null(), "{left}");
    Ok(())
}
