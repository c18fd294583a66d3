//! ClusterSecretStores: who may use one, and whose credentials it takes.

use std::sync::Arc;

use serde_json::{Value, json};
use support::{
    Cluster, Options, Result, Subsystem,
    api_proxy::{self, Faults},
};

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
        // CEL cannot evaluate a regular expression.
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

#[tokio::test]
async fn s2_each_namespace_has_a_session_with_its_own_name_in_the_tag() -> Result<()> {
    let home = Scene::new("tagged").await?;
    let role = "arn:aws:iam::000000000000:role/tagged";
    let mut store = cluster_store(&home, "tagged", json!([]));
    let aws = &mut store["spec"]["provider"]["aws"];
    aws["role"] = json!(role);
    aws["sessionTagsPolicy"] = json!("Simple");
    home.create(store).await?;
    for suffix in ["a", "b"] {
        let guest = home.beside(suffix).await?;
        // One name for both: a read that is shared would be seen.
        home.env.aws.put("tagged-shared", &value("x"));
        let entry = json!([{"secretKey": "value", "remoteRef": {"key": "tagged-shared"}}]);
        let mut spec = using("tagged");
        spec["data"] = entry;
        guest.synced("db", spec).await?;
    }

    let calls = home.env.aws.received();
    let of_role = calls.iter().filter(|call| {
        call.operation == "AssumeRole"
            && call.parameters.get("RoleArn").is_some_and(|arn| arn == role)
    });
    let mut namespaces = Vec::new();
    for call in of_role {
        let tag = call.parameters.iter().find(|(_, value)| *value == "esoNamespace");
        let Some((key, _)) = tag else { continue };
        namespaces.push(call.parameters[&key.replace(".Key", ".Value")].clone());
    }
    namespaces.sort();
    assert_eq!(namespaces, ["tagged-a", "tagged-b"]);
    let reads = calls.iter().filter(|call| call.ids.iter().any(|id| id == "tagged-shared"));
    let keys: std::collections::BTreeSet<_> = reads.map(|call| call.access_key.clone()).collect();
    assert_eq!(keys.len(), 2, "each reads with the keys of its own session: {keys:?}");
    Ok(())
}

#[tokio::test]
async fn s3_labels_that_are_not_known_let_nobody_in() -> Result<()> {
    let faults = Arc::new(Faults::default());
    faults.fail_lists("namespaces", 4);
    let (plane, through) = (Subsystem::Secrets.control_plane(&Options::default())?, faults.clone());
    let admin = Cluster::new(&plane).await?;
    let label = json!({"kind": "Namespace", "metadata": {"name": "unknown-labels",
        "labels": {"untrusted": "1"}}});
    admin.create_in("unknown-labels", label, "kubectl-create").await?;
    let env = Subsystem::Secrets.start_through(
        plane,
        move |direct| api_proxy::start(&direct, through),
        &[],
    )?;
    let scene = Scene::enter(&env, "unknown-labels").await?;
    let expressions = json!([{"key": "untrusted", "operator": "DoesNotExist"}]);
    let fake = json!({"fake": {"data": [{"key": "foo", "value": "bar"}]}});
    let store = json!({"kind": "ClusterSecretStore", "metadata": {"name": "unknown-labels"},
        "spec": {"provider": fake,
            "conditions": [{"namespaceSelector": {"matchExpressions": expressions}}]}});
    scene.create(store).await?;
    let mut spec = using("unknown-labels");
    spec["data"] = json!([{"secretKey": "value", "remoteRef": {"key": "foo"}}]);
    scene.create(scene.external("db", spec)).await?;

    // First nothing is known; then the list comes, and the condition says no.
    scene.fails("db", "not allowed from namespace \"unknown-labels\"").await?;
    assert_eq!(scene.data("db").await?, None);
    assert!(faults.lists_failed() > 0, "the fault was not met");
    // What arrives later is evaluated anew.
    let change = json!({"metadata": {"labels": {"untrusted": null}}});
    scene.patch("Namespace", "unknown-labels", change).await?;
    scene.ready("db").await?;
    scene.holds("db", "bar").await
}
