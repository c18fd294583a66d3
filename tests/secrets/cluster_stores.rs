//! ClusterSecretStores: who may use one, and whose credentials it takes.

use serde_json::{Value, json};
use support::{Result, Subsystem};

use crate::scene::{Scene, aws_provider, value};

/// A ClusterSecretStore with the credentials of the scene.
fn cluster_store(scene: &Scene<'_>, name: &str, conditions: Value) -> Value {
    json!({"kind": "ClusterSecretStore", "metadata": {"name": name}, "spec": {
        "provider": {"aws": aws_provider("aws-keys", Some(&scene.ns))}, "conditions": conditions}})
}

fn using(name: &str) -> Value {
    json!({"secretStoreRef": {"name": name, "kind": "ClusterSecretStore"}})
}

#[tokio::test]
async fn a_cluster_store_serves_every_namespace() -> Result<()> {
    let home = Scene::new("cluster-all").await?;
    home.create(cluster_store(&home, "cluster-all", json!([]))).await?;
    let guest = home.beside("guest").await?;
    guest.put("db", &value("x"));

    guest.synced("db", using("cluster-all")).await?;

    guest.holds("db", &value("x")).await?;
    home.store_says("ClusterSecretStore", "cluster-all", "True", "store validated").await?;
    Ok(())
}

#[tokio::test]
async fn a_condition_lets_in_by_name_pattern_or_label_and_nobody_else() -> Result<()> {
    let home = Scene::new("cluster-cond").await?;
    for (suffix, condition) in [
        ("by-name", json!({"namespaces": ["cluster-cond-by-name"]})),
        ("by-regex", json!({"namespaceRegexes": ["cond-by-re.ex$"]})),
        ("by-label", json!({"namespaceSelector": {"matchLabels": {"team": "core"}}})),
    ] {
        let store = format!("cluster-cond-{suffix}");
        home.create(cluster_store(&home, &store, json!([condition]))).await?;
        let guest = home.beside(suffix).await?;
        if suffix == "by-label" {
            let label = json!({"metadata": {"labels": {"team": "core"}}});
            guest.patch("Namespace", &guest.ns, label).await?;
        }
        guest.put("db", &value(suffix));
        guest.synced("db", using(&store)).await?;
        guest.holds("db", &value(suffix)).await?;

        home.put(suffix, &value("x"));
        home.create(home.external(suffix, using(&store))).await?;
        let message = home.fails(suffix, "not allowed from namespace \"cluster-cond\"").await?;
        assert!(message.contains(&store), "{message}");
        assert_eq!(home.reads(suffix), 0);
        assert_eq!(home.data(suffix).await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_gets_the_label_is_let_in_at_once() -> Result<()> {
    let home = Scene::new("cluster-wake").await?;
    let condition = json!([{"namespaceSelector": {"matchLabels": {"team": "core"}}}]);
    home.create(cluster_store(&home, "cluster-wake", condition)).await?;
    home.put("db", &value("x"));
    home.create(home.external("db", using("cluster-wake"))).await?;
    home.fails("db", "not allowed from namespace").await?;

    let label = json!({"metadata": {"labels": {"team": "core"}}});
    home.patch("Namespace", &home.ns, label).await?;

    home.ready("db").await?;
    home.holds("db", &value("x")).await
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_lets_nobody_in_and_says_so() -> Result<()> {
    let home = Scene::new("cluster-bad").await?;
    let store = cluster_store(&home, "cluster-bad", json!([{"namespaceRegexes": ["("]}]));
    home.put("db", &value("x"));
    match home.create(store).await {
        // CEL cannot judge a regular expression.
        Ok(_) => {
            home.create(home.external("db", using("cluster-bad"))).await?;
            home.fails("db", "is not a regular expression").await?;
            assert_eq!(home.reads("db"), 0);
        }
        refusal => {
            crate::scene::refused(refusal, 422);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_referent_store_takes_the_credentials_of_whoever_asks() -> Result<()> {
    let env = Subsystem::Secrets.shared()?;
    let first = Scene::bare(env, "referent-a").await?;
    let second = Scene::bare(env, "referent-b").await?;
    let provider = json!({"aws": aws_provider("aws-keys", None)});
    first
        .create(json!({"kind": "ClusterSecretStore", "metadata": {"name": "referent"},
            "spec": {"provider": provider}}))
        .await?;
    for scene in [&first, &second] {
        scene.create(scene.credentials("aws-keys")).await?;
        scene.put("db", &value(&scene.ns));
        scene.synced("db", using("referent")).await?;
        scene.holds("db", &value(&scene.ns)).await?;
        let calls = scene.env.aws.received();
        let read = calls.iter().find(|call| call.ids.contains(&scene.remote("db")));
        assert_eq!(read.expect("a read").access_key, scene.access_key);
    }
    // A namespace without credentials gets nobody else's.
    let third = Scene::bare(env, "referent-c").await?;
    third.put("db", &value("x"));
    third.create(third.external("db", using("referent"))).await?;
    third.fails("db", "Secret referent-c/aws-keys does not exist").await?;
    assert_eq!(third.reads("db"), 0);
    third.create(third.credentials("aws-keys")).await?;
    third.ready("db").await?;
    Ok(())
}
