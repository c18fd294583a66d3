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

fn object(remote: &str, name: &str) -> Value {
    json!({
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {
            "storeRef": {"name": "aws"},
            "remoteRef": {"key": remote},
            "value": {"generatorRef": {"kind": "Fake", "name": "new"}, "property": "password"},
        },
    })
}

/// A secret with an old password, and what rotates it.
async fn rotation(scene: &Scene<'_>, name: &str, spec: Value) -> Result<()> {
    scene.put(name, &document(&value("old")));
    let mut object = object(&scene.remote(name), name);
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
    // Looks lag all the while.
    aws.lag(&scene.remote("back"), 2);
    rotate(&scene, "back", "1").await?;
    says(&scene, "back", "RolledBack").await?;
    assert_eq!(aws.value_of(&scene.remote("back")), Some(document(&value("old"))));
    assert_eq!(aws.version_at(&scene.remote("back"), "AWSPENDING"), None);
    // Another cluster sees by its label who rotates the secret, even if nobody may set tags.
    let (remote, key) = (scene.remote("back"), scene.access_key.clone());
    let token = aws.version_at(&remote, "AWSPREVIOUS").unwrap_or_default();
    assert!(aws.stages_of(&remote)[&token].iter().any(|label| label.starts_with("GABION-")));
    leftovers(&scene).await?;
    second(&scene, &remote, &key).await
}

/// S12: what a request that came late has locked is freed, and so is what a lost status has left.
async fn leftovers(scene: &Scene<'_>) -> Result<()> {
    let aws = &scene.env.aws;
    rotation(scene, "late", json!({"consumers": {"wait": "None"}})).await?;
    let remote = scene.remote("late");
    let late = "00000000-0000-0000-0000-00000000abcd";
    let last =
        json!({"at": "2026-01-01T00:00:00Z", "version": late, "outcome": "TimedOut", "seconds": 1});
    scene.patch_status(KIND, "late", json!({"lastRotation": last})).await?;
    aws.put_version(&remote, late, &["AWSPENDING"], "late");
    rotate(scene, "late", "1").await?;
    says(scene, "late", "Complete").await?;
    assert_eq!(aws.version_at(&remote, "AWSPENDING"), None);
    assert_eq!(aws.value_of(&remote), Some(document(&new())));
    Ok(())
}

/// A namespace with a store of its own, which sees the same secrets.
async fn another<'s>(scene: &Scene<'s>) -> Result<Scene<'s>> {
    let other = scene.beside("other").await?;
    other.create(other.credentials("aws-keys")).await?;
    other.create(other.store("aws")).await?;
    generator(&other).await?;
    Ok(other)
}

async fn second(scene: &Scene<'_>, remote: &str, key: &str) -> Result<()> {
    let (aws, other) = (&scene.env.aws, another(scene).await?);
    for key in [key, &other.access_key] {
        aws.deny(Denial {
            operation: Some("TagResource"),
            secret: Some(remote.to_owned()),
            access_key: Some(key.to_owned()),
        });
    }
    aws.untag(remote, "gabion.dev/rotated-by");
    other.create(object(remote, "back")).await?;
    other.says(KIND, "back", |ready| ready["reason"] == "Waiting").await?;
    rotate(&other, "back", "1").await?;
    let object = says(&other, "back", "RotatedElsewhere").await?;
    let message = ready_of(&object)["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("secretsmanager:TagResource"), "{message}");
    Ok(())
}

/// Two control planes know nothing of each other but what the secret's labels say, like two stores here.
#[tokio::test]
async fn t17_of_two_clusters_one_brings_its_value_into_force() -> Result<()> {
    const SECRETS: usize = 20;
    let one = Scene::new("rotation-two").await?;
    let two = another(&one).await?;
    let aws = &one.env.aws;
    let names: Vec<_> = (0..SECRETS).map(|nth| format!("s{nth}")).collect();
    generator(&one).await?;
    for scene in [&one, &two] {
        for name in &names {
            let remote = one.remote(name);
            if scene.ns == one.ns {
                scene.put(name, &document(&value("old")));
            }
            let mut object = object(&remote, name);
            object["spec"]["consumers"] = json!({"wait": "None"});
            scene.create(object).await?;
        }
    }
    for (scene, name) in
        [&one, &two].into_iter().flat_map(|scene| names.iter().map(move |name| (scene, name)))
    {
        scene.says(KIND, name, |ready| ready["reason"] == "Waiting").await?;
    }
    let before: Vec<_> =
        names.iter().map(|name| aws.version_at(&one.remote(name), "AWSCURRENT")).collect();
    for (nth, name) in names.iter().enumerate() {
        // No tag decides, so labels have to; and looks lag behind them.
        let remote = one.remote(name);
        aws.deny(Denial {
            operation: Some("TagResource"),
            secret: Some(remote.clone()),
            ..Denial::default()
        });
        aws.lag(&remote, nth % 3);
        let (first, second) = if nth % 2 == 0 { (&one, &two) } else { (&two, &one) };
        tokio::try_join!(rotate(first, name, "1"), rotate(second, name, "1"))?;
    }
    let mut winners = 0;
    for (name, before) in names.iter().zip(before) {
        let mut reasons = Vec::new();
        for scene in [&one, &two] {
            let object = scene.says(KIND, name, |ready| ready["reason"] != "Waiting").await?;
            reasons.push(ready_of(&object)["reason"].as_str().unwrap_or_default().to_owned());
        }
        let remote = one.remote(name);
        let complete = reasons.iter().filter(|reason| *reason == "Complete").count();
        assert!(complete <= 1, "{name}: {reasons:?}");
        winners += complete;
        // One move from the first version, or none.
        let label = if complete == 1 { "AWSPREVIOUS" } else { "AWSCURRENT" };
        assert_eq!(aws.version_at(&remote, label), before, "{name}: {reasons:?}");
        assert_eq!(aws.version_at(&remote, "AWSPENDING"), None, "{name}: {reasons:?}");
        for loser in reasons.iter().filter(|reason| *reason != "Complete") {
            let known = ["Lost", "CurrentMoved", "PendingElsewhere", "TooSoon", "RotatedElsewhere"];
            assert!(known.contains(&loser.as_str()), "{name}: {reasons:?}");
        }
    }
    assert!(winners > 0);
    comes_and_goes(&one, &two).await
}

/// One cluster begins; the other brings its value into force and takes it back. The first one sees the version that it
/// began with, and that somebody rotated nevertheless.
async fn comes_and_goes(one: &Scene<'_>, two: &Scene<'_>) -> Result<()> {
    let aws = &one.env.aws;
    let (remote, key) = (one.remote("aba"), &two.access_key);
    rotation(one, "aba", json!({"consumers": {"timeout": "1s"}})).await?;
    let old = aws.version_at(&remote, "AWSCURRENT");
    let secret = Some(remote.clone());
    aws.deny(Denial { operation: Some("TagResource"), secret, ..Denial::default() });
    let data =
        json!([{"secretKey": "value", "remoteRef": {"key": remote, "property": "password"}}]);
    one.synced("aba", json!({"data": data})).await?;
    one.patch("Secret", "aba", json!({"immutable": true})).await?;
    one.settle().await?;
    two.create(object(&remote, "aba")).await?;
    two.says(KIND, "aba", |ready| ready["reason"] == "Waiting").await?;
    let puts = aws.calls_of("PutSecretValue", key);
    aws.fault_of_key(key, Some(Fault::Delay(Duration::from_millis(200))));
    rotate(two, "aba", "1").await?;
    eventually(SOON, "a version that nobody reads", || async {
        let asked = aws.calls_of("PutSecretValue", key) > puts;
        if asked { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    // What follows waits until the other one is through.
    aws.fault_of_key(key, Some(Fault::Delay(Duration::from_secs(4))));
    rotate(one, "aba", "1").await?;
    says(one, "aba", "RolledBack").await?;
    assert_eq!(aws.version_at(&remote, "AWSCURRENT"), old);
    aws.fault_of_key(key, None);
    says(two, "aba", "CurrentMoved").await?;
    assert_eq!(aws.version_at(&remote, "AWSCURRENT"), old);
    assert_eq!(aws.version_at(&remote, "AWSPENDING"), None);
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
