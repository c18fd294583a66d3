//! Rotation at the source, against a Secrets Manager that keeps stages as AWS does.

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Failure, Result, SOON, Subsystem, TestEnv, eventually,
    secrets_manager::{Denial, Fault, Managed},
};

use crate::scene::{Scene, aws_provider, ready_of, value};

const KIND: &str = "SecretRotation";

/// The new password, which the generator `new` makes.
fn new() -> String {
    value("new")
}

fn document(password: &str) -> String {
    json!({"host": "db", "password": password}).to_string()
}

/// A secret with an old password, and what rotates it.
async fn rotation(scene: &Scene<'_>, name: &str, spec: Value) -> Result<()> {
    scene.put(name, &document(&value("old")));
    let mut object = json!({
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {
            "storeRef": {"name": "aws"},
            "remoteRef": {"key": scene.remote(name)},
            "value": {"generatorRef": {"kind": "Fake", "name": "new"}, "property": "password"},
        },
    });
    if let Value::Object(fields) = spec {
        for (field, value) in fields {
            object["spec"][field] = value;
        }
    }
    scene.create(object).await?;
    scene.says(KIND, name, |ready| ready["reason"] == "Waiting").await?;
    Ok(())
}

async fn generator(scene: &Scene<'_>) -> Result<()> {
    let spec = json!({"data": {"password": new()}});
    scene.create(json!({"kind": "Fake", "metadata": {"name": "new"}, "spec": spec})).await?;
    Ok(())
}

/// Asks for a rotation now.
async fn rotate(scene: &Scene<'_>, name: &str, stamp: &str) -> Result<()> {
    let annotations = json!({"metadata": {"annotations": {"gabion.dev/rotate": stamp}}});
    scene.patch(KIND, name, annotations).await?;
    Ok(())
}

/// Uses the rights for SecretRotations.
pub(crate) async fn is_rotated(scene: &Scene<'_>) -> Result<()> {
    generator(scene).await?;
    rotation(scene, "rotated", json!({})).await?;
    rotate(scene, "rotated", "1").await?;
    says(scene, "rotated", "Complete").await?;
    assert_rotated(scene.env, &scene.remote("rotated"));
    Ok(())
}

/// Waits until it says why.
async fn says(scene: &Scene<'_>, name: &str, reason: &str) -> Result<Value> {
    scene.says(KIND, name, |ready| ready["reason"] == reason).await
}

/// The new value is in force, by one version more, and nothing of the rotation is left.
fn assert_rotated(env: &TestEnv, remote: &str) {
    assert_eq!(env.aws.value_of(remote), Some(document(&new())), "{remote}");
    assert_eq!(env.aws.versions_of(remote), 2, "{remote}");
    assert_eq!(env.aws.version_at(remote, "AWSPENDING"), None, "{remote}");
    let stages = env.aws.stages_of(remote);
    assert!(stages.values().any(|stages| stages == &["AWSPREVIOUS"]), "{stages:?}");
}

#[tokio::test]
async fn t16_a_value_is_rotated_and_its_consumers_have_it() -> Result<()> {
    let scene = Scene::new("rotation").await?;
    generator(&scene).await?;
    rotation(&scene, "db", json!({})).await?;
    let spec = json!({"refreshInterval": "0", "data": [{"secretKey": "value",
        "remoteRef": {"key": scene.remote("db"), "property": "password"}}]});
    scene.synced("db", spec).await?;
    scene.holds("db", &value("old")).await?;
    rotate(&scene, "db", "1").await?;
    let object = says(&scene, "db", "Complete").await?;
    scene.holds("db", &new()).await?;
    let remote = scene.remote("db");
    assert_rotated(scene.env, &remote);
    assert_eq!(object["status"]["consumers"], json!({"total": 1, "synced": 1}));
    assert_eq!(object["status"]["lastRotation"]["outcome"], "Complete");
    let calls = |operation| scene.env.aws.calls_of(operation, &scene.access_key);
    let of_rotation =
        ["DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage", "TagResource"];
    assert_eq!(of_rotation.map(calls), [2, 1, 3, 1]);
    let object = eventually(SOON, "no finalizer", || async {
        let object = scene.get(KIND, "db").await?.unwrap_or_default();
        let free = object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        if free { Ok(object) } else { Err(Failure::new("a finalizer")) }
    })
    .await?;
    assert_eq!(object["status"]["phase"], "Idle");
    // Nothing younger than ten minutes is rotated, and a person's word waits as well.
    rotate(&scene, "db", "2").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.env.aws.calls_of("PutSecretValue", &scene.access_key), 1);
    scene.delete(KIND, "db").await?;
    scene.gone(KIND, "db").await?;
    // What was rotated stays.
    assert_eq!(scene.env.aws.value_of(&remote), Some(document(&new())));
    refusals(&scene).await
}

async fn refusals(scene: &Scene<'_>) -> Result<()> {
    let aws = &scene.env.aws;
    rotation(scene, "by-aws", json!({})).await?;
    aws.managed(&scene.remote("by-aws"), Managed { rotates: true, ..Managed::default() });
    rotate(scene, "by-aws", "1").await?;
    rotation(scene, "tagged", json!({})).await?;
    aws.tag(&scene.remote("tagged"), "gabion.dev/rotated-by", "somebody");
    rotate(scene, "tagged", "1").await?;
    rotation(scene, "locked", json!({})).await?;
    let token = "00000000-0000-0000-0000-00000000aaaa";
    aws.put_version(&scene.remote("locked"), token, &["AWSPENDING"], "theirs");
    rotate(scene, "locked", "1").await?;
    rotation(scene, "young", json!({})).await?;
    aws.age(&scene.remote("young"), Duration::from_secs(5));
    rotate(scene, "young", "1").await?;
    rotation(scene, "no-object", json!({})).await?;
    scene.put("no-object", &value("plain"));
    rotate(scene, "no-object", "1").await?;
    for (name, reason) in [
        ("by-aws", "AwsRotates"),
        ("tagged", "RotatedElsewhere"),
        ("locked", "PendingElsewhere"),
        ("young", "TooSoon"),
        ("no-object", "InvalidValue"),
    ] {
        let object = says(scene, name, reason).await?;
        assert_eq!(ready_of(&object)["status"], "False", "{name}");
        let remote = scene.remote(name);
        let written = aws.writes().iter().any(|call| call.ids.contains(&remote));
        assert!(!written, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn t18_t19_what_somebody_does_meanwhile_and_missing_rights() -> Result<()> {
    let scene = Scene::new("rotation-others").await?;
    let aws = &scene.env.aws;
    generator(&scene).await?;
    // Somebody puts a value while the promotion is under way.
    rotation(&scene, "moved", json!({})).await?;
    let remote = scene.remote("moved");
    let key = &scene.access_key;
    aws.fault_of_key(key, Some(Fault::Delay(Duration::from_millis(300))));
    rotate(&scene, "moved", "1").await?;
    eventually(SOON, "the new version is on its way", || async {
        let asked = aws.calls_of("PutSecretValue", key) > 0;
        if asked { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    scene.put("moved", &document("by hand"));
    aws.fault_of_key(key, None);
    says(&scene, "moved", "CurrentMoved").await?;
    assert_eq!(aws.value_of(&remote), Some(document("by hand")));
    assert_eq!(aws.version_at(&remote, "AWSPENDING"), None);
    // No right to move labels: nothing is in force, and the reason names the action.
    rotation(&scene, "denied", json!({})).await?;
    let remote = scene.remote("denied");
    aws.deny(Denial {
        operation: Some("UpdateSecretVersionStage"),
        secret: Some(remote.clone()),
        ..Denial::default()
    });
    rotate(&scene, "denied", "1").await?;
    let object = scene.says(KIND, "denied", |ready| ready["status"] == "False").await?;
    let message = ready_of(&object)["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("UpdateSecretVersionStage"), "{message}");
    assert_eq!(aws.value_of(&remote), Some(document(&value("old"))));
    // One consumer cannot be written: the old value comes back.
    rotation(&scene, "back", json!({"consumers": {"timeout": "1s"}})).await?;
    let spec = json!({"data": [{"secretKey": "value",
        "remoteRef": {"key": scene.remote("back"), "property": "password"}}]});
    scene.synced("back", spec).await?;
    // Its Secret takes no other data any more.
    scene.patch("Secret", "back", json!({"immutable": true})).await?;
    scene.settle().await?;
    rotate(&scene, "back", "1").await?;
    says(&scene, "back", "RolledBack").await?;
    assert_eq!(aws.value_of(&scene.remote("back")), Some(document(&value("old"))));
    assert_eq!(aws.version_at(&scene.remote("back"), "AWSPENDING"), None);
    Ok(())
}

/// Those whom a shared store refuses: an older rotation and a push of the same secret.
#[tokio::test]
async fn who_is_refused_holds_no_rotation_up() -> Result<()> {
    let refused = Scene::new("rotation-refused").await?;
    let allowed = refused.beside("not").await?;
    let remote = refused.remote("db");
    refused.put("db", &document(&value("old")));
    let provider = json!({"aws": aws_provider("aws-keys", Some(&refused.ns))});
    refused
        .create(json!({"kind": "ClusterSecretStore",
            "metadata": {"name": refused.ns, "annotations": {"gabion.dev/allow-rotation": "true"}},
            "spec": {"conditions": [{"namespaces": [allowed.ns]}], "provider": provider}}))
        .await?;
    let store = json!({"kind": "ClusterSecretStore", "name": refused.ns});
    let object = json!({"kind": KIND, "metadata": {"name": "db"}, "spec": {
        "storeRef": store, "remoteRef": {"key": remote},
        "value": {"generatorRef": {"kind": "Fake", "name": "new"}, "property": "password"}}});
    for scene in [&refused, &allowed] {
        generator(scene).await?;
        scene.create(object.clone()).await?;
        scene.says(KIND, "db", |ready| ready["reason"] == "Waiting").await?;
    }
    crate::push::source(&refused, json!({"one": value("theirs")})).await?;
    let data = json!([crate::push::entry(&refused, "one", "db", "")]);
    let stores = json!({"secretStoreRefs": [store]});
    refused.create(crate::push::push("db", data, stores)).await?;
    crate::push::fails(&refused, "db", "denied by spec.conditions").await?;

    rotate(&allowed, "db", "1").await?;

    says(&allowed, "db", "Complete").await?;
    assert_eq!(refused.env.aws.value_of(&remote), Some(document(&new())));
    refused.delete("ClusterSecretStore", &refused.ns).await?;
    Ok(())
}

/// The process is killed after each effect, before its answer.
#[tokio::test]
async fn t16_a_kill_at_any_call_leaves_one_version_in_force() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    let kills = [
        ("DescribeSecret", 0),
        ("GetSecretValue", 0),
        ("TagResource", 0),
        ("PutSecretValue", 0),
        ("UpdateSecretVersionStage", 0),
        ("UpdateSecretVersionStage", 1),
        ("UpdateSecretVersionStage", 2),
    ];
    {
        let scene = Scene::within(&env, "rotation-kill").await?;
        generator(&scene).await?;
        for nth in 0..kills.len() {
            rotation(&scene, &format!("r{nth}"), json!({"consumers": {"wait": "None"}})).await?;
        }
    }
    for (nth, (operation, passes)) in kills.into_iter().enumerate() {
        let name = format!("r{nth}");
        env.aws.reset_counts();
        env.aws.fault(operation, &Fault::Delay(Duration::ZERO), passes);
        env.aws.fault(operation, &Fault::Unanswered, 1);
        let scene = Scene::enter(&env, "rotation-kill").await?;
        rotate(&scene, &name, "1").await?;
        eventually(SOON, "the call that is not answered", || async {
            let met = env.aws.calls(operation) > passes;
            if met { Ok(()) } else { Err(Failure::new("not yet")) }
        })
        .await?;
        drop(scene);
        env.start_again(&[])?;
        let scene = Scene::enter(&env, "rotation-kill").await?;
        says(&scene, &name, "Complete").await?;
        assert_rotated(&env, &scene.remote(&name));
    }
    Ok(())
}
