//! What happens when a right is missing, and that those of one namespace are enough for it.

use serde_json::{Value, json};
use support::{Failure, Result, SOON, Subsystem, TestEnv, answers, audit, eventually, repository};

use crate::scene::{Scene, value};

/// Takes rights (resource and verb) away, and waits until they are gone.
pub async fn take_away(env: &TestEnv, rights: &[(&str, &str)]) -> Result<()> {
    let kubectl = env.plane().admin()?;
    let text = kubectl.run(&["get", "clusterrole", "gabion-secrets", "-o", "json"])?;
    let mut role: Value = serde_json::from_str(&text)?;
    let rules = role["rules"].as_array().cloned().unwrap_or_default();
    let mut kept = Vec::new();
    for rule in rules {
        for resource in rule["resources"].as_array().into_iter().flatten() {
            let taken = |verb: &Value| rights.iter().any(|(of, it)| resource == of && verb == it);
            let mut verbs = rule["verbs"].as_array().cloned().unwrap_or_default();
            verbs.retain(|verb| !taken(verb));
            let groups = &rule["apiGroups"];
            kept.push(json!({"apiGroups": groups, "resources": [resource], "verbs": verbs}));
        }
    }
    role["rules"] = kept.into();
    kubectl.run_with_input(&["replace", "-f", "-"], &role.to_string())?;
    // Hardening may list ServiceAccounts as well; it is switched off here.
    kubectl.run(&["delete", "clusterrolebinding", "gabion-hardening"])?;
    let subject = format!("--as={}", audit::OPERATOR);
    for (resource, verb) in rights {
        eventually(SOON, "the right is gone", || async {
            match kubectl.run(&["auth", "can-i", verb, resource, "-A", &subject]) {
                Ok(answer) => Err(Failure::new(answer)),
                Err(_) => Ok(()),
            }
        })
        .await?;
    }
    Ok(())
}

fn give_back(env: &TestEnv) -> Result<()> {
    let kubectl = env.plane().admin()?;
    kubectl.apply_path(&repository().join("config/rbac/secrets.yaml"))?;
    Ok(())
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_and_the_rest_works() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    env.operator.stop(SOON)?;
    // Without ServiceAccounts and cluster stores.
    take_away(&env, &[("serviceaccounts", "list"), ("clustersecretstores", "list")]).await?;

    env.start_again(&[])?;

    let missing = "RBAC does not let Gabion list and watch";
    answers(&env.health, "/readyz", &format!("{missing} ServiceAccount")).await?;
    answers(&env.health, "/readyz", &format!("{missing} ClusterSecretStore")).await?;
    let scene = Scene::within(&env, "rights").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    scene.holds("db", &value("x")).await?;

    give_back(&env)?;
    answers(&env.health, "/readyz", "200 OK").await
}

#[tokio::test]
async fn a_missing_right_to_write_is_told_to_the_object() -> Result<()> {
    let env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "no-write").await?;
    scene.put("db", &value("x"));
    take_away(&env, &[("secrets", "create")]).await?;

    scene.create(scene.external("db", json!({}))).await?;
    let message = scene.fails("db", "not allowed").await?;
    assert!(message.contains("cannot create resource \"secrets\""), "{message}");

    give_back(&env)?;
    scene.ready("db").await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn a_missing_right_to_delete_is_told_to_the_object() -> Result<()> {
    let env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "no-delete").await?;
    for name in ["lost", "renamed"] {
        scene.put(name, &value("x"));
    }
    let spec = json!({"target": {"deletionPolicy": "Delete"}});
    scene.synced("lost", spec).await?;
    scene.synced("renamed", json!({"target": {"name": "first"}})).await?;
    take_away(&env, &[("secrets", "delete")]).await?;

    env.aws.remove(&scene.remote("lost"));
    scene.force("lost", "1").await?;
    let target = json!({"spec": {"target": {"name": "second"}}});
    scene.patch("ExternalSecret", "renamed", target).await?;

    scene.fails("lost", "could not delete secret: not allowed").await?;
    scene.fails("renamed", "could not delete orphaned secrets: not allowed").await?;
    give_back(&env)?;
    scene.gone("Secret", "lost").await?;
    scene.gone("Secret", "first").await?;
    scene.ready("renamed").await?;
    Ok(())
}

#[tokio::test]
async fn in_one_namespace_the_rights_of_that_namespace_are_enough() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    env.operator.stop(SOON)?;
    let kubectl = env.plane().admin()?;
    for role in [
        "gabion-secrets",
        "gabion-cluster-external-secrets",
        "gabion-push-secrets",
        "gabion-cluster-push-secrets",
        "gabion-events",
        "gabion-hardening",
    ] {
        kubectl.run(&["delete", "clusterrole,clusterrolebinding", role])?;
    }
    let scene = Scene::within(&env, "team-a").await?;
    kubectl.apply_path(&repository().join("config/overlays/namespaces/rbac.yaml"))?;
    let outside = scene.beside("outside").await?;
    for scene in [&scene, &outside] {
        scene.put("db", &value("x"));
    }
    outside.create(outside.credentials("aws-keys")).await?;
    outside.create(outside.store("aws")).await?;
    outside.create(outside.external("db", json!({}))).await?;

    let before = audit::requests(env.plane()).len();
    let outside_ns = outside.ns.clone();
    drop((scene, outside));
    env.start_again(&["--namespace=team-a", "--enable-cluster-store-reconciler=false"])?;

    answers(&env.health, "/readyz", "200 OK").await?;
    let scene = Scene::enter(&env, "team-a").await?;
    scene.synced("db", json!({})).await?;
    scene.holds("db", &value("x")).await?;
    let outside = Scene::enter(&env, &outside_ns).await?;
    let left = outside.get("ExternalSecret", "db").await?.expect("the object");
    assert!(left["status"].is_null(), "{left}");
    let requests = audit::requests(env.plane());
    let denied: Vec<_> = requests[before..].iter().filter(|r| r.code == 403).collect();
    assert!(denied.is_empty(), "{denied:?}");
    Ok(())
}
