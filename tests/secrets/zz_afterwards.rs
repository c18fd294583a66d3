//! What must hold of all that the other tests of this binary made the operator do. The name of this module is the
//! last one, so that the test harness comes to it at the end; it waits for those that still run.

use std::{collections::BTreeSet, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;

use crate::{
    audit,
    restart::http_get,
    scene::{self, Scene},
    support::{Result, repository},
    world::{MARK, World, value},
};

/// The one test of this kind: two would run side by side.
#[tokio::test]
async fn nothing_leaked_and_no_right_was_missing_or_too_much() -> Result<()> {
    let world = World::shared()?;
    exercise(world).await?;
    others_have_ended().await;
    nothing_leaked(world)?;
    rights_are_exactly_those_used(world)
}

/// Uses every right by itself, so that this test can be run alone.
async fn exercise(world: &World) -> Result<()> {
    use serde_json::json;
    let scene = Scene::new("afterwards").await?;
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
    elections(world).await
}

/// A process of its own that leads for a moment and gives the lease back. Nothing is written beside the lease.
async fn elections(world: &World) -> Result<()> {
    let flags = [
        "--enable-leader-election",
        "--enable-secrets=false",
        "--leader-election-retry-period=200ms",
    ];
    let (mut operator, _) = world.another(&flags)?;
    crate::support::eventually(crate::world::SOON, "the lease is taken", || async {
        if operator.log().contains("leading") { Ok(()) } else { Err(operator.log()) }
    })
    .await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(operator.stop(crate::world::SOON)?.code, Some(0));
    Ok(())
}

async fn others_have_ended() {
    let mut quiet = 0;
    while quiet < 10 {
        quiet = if scene::alive() == 0 { quiet + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The mark of the tests' values, plain and as base64 may show it.
fn marks() -> Vec<String> {
    let shifted = (0..3).map(|shift| {
        let text = BASE64.encode(format!("{}{MARK}", "x".repeat(shift)));
        // What depends on the neighbours is cut off.
        text[4..text.len() - 4].to_owned()
    });
    shifted.chain([MARK.to_owned(), "hunter2".to_owned()]).collect()
}

fn nothing_leaked(world: &World) -> Result<()> {
    let kubectl = world.plane().admin()?;
    let mut places = vec![
        ("the log".to_owned(), world.operator.log()),
        ("/metrics".to_owned(), http_get(&world.metrics, "/metrics")?),
        ("/readyz".to_owned(), http_get(&world.health, "/readyz")?),
        ("events".to_owned(), kubectl.run(&["get", "events", "-A", "-o", "json"])?),
    ];
    for kind in ["externalsecrets", "secretstores", "clustersecretstores"] {
        let list = kubectl.run(&["get", kind, "-A", "-o", "json"])?;
        let mut list: Value = serde_json::from_str(&list)?;
        for object in list["items"].as_array_mut().into_iter().flatten() {
            // A fake store has its values in its spec, in clear text.
            object["spec"].take();
            object["metadata"]["annotations"].take();
        }
        places.push((kind.to_owned(), list.to_string()));
    }
    assert!(places[0].1.contains("\"level\":\"DEBUG\""), "the log is not at debug level");
    assert!(places[1].1.contains("externalsecret_"), "no series per object");
    for (place, text) in places {
        assert!(text.len() > 1, "{place} is empty");
        for mark in marks() {
            let found = text.find(&mark).map(|at| {
                let start = text[..at].rfind('\n').map_or(0, |start| start + 1);
                text[start..].chars().take(600).collect::<String>()
            });
            assert_eq!(found, None, "a value is in {place}");
        }
    }
    Ok(())
}

/// Rights of the hardening half, which the operators here have switched off.
const OTHER_HALF: [&str; 3] = ["dns.yaml", "hardening.yaml", "policies.yaml"];

fn rights_are_exactly_those_used(world: &World) -> Result<()> {
    let mut used = audit::used_before();
    used.extend(audit::used_on(world.plane()));
    let mut granted = BTreeSet::new();
    let mut allowed = BTreeSet::new();
    for entry in std::fs::read_dir(repository().join("config/rbac"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        allowed.extend(rights_in(&path)?);
        if !OTHER_HALF.contains(&name) {
            granted.extend(rights_in(&path)?);
        }
    }
    let unused: Vec<_> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "granted and never used: {unused:#?}");
    let strange: Vec<_> = used.difference(&allowed).collect();
    assert!(strange.is_empty(), "used without config/rbac granting it: {strange:#?}");
    let denied: Vec<_> = audit::requests(world.plane())
        .into_iter()
        .filter(|r| r.code == 403 && !is_going(r))
        .collect();
    assert!(denied.is_empty(), "needed and not granted: {denied:#?}");
    Ok(())
}

/// In a namespace that is being deleted nothing can be created, whatever rights there are.
fn is_going(request: &audit::Request) -> bool {
    request.verb == "create" && request.namespace.starts_with("in-")
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
