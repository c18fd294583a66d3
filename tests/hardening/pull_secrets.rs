//! Scenario 5: registry credentials reach every namespace, and clobber nothing.

use serde_json::{Value, json};
use support::{Cluster, Failure, Result, SOON, Subsystem, condition, eventually};

use crate::scene::{Scene, pod};

const TYPE: &str = "kubernetes.io/dockerconfigjson";

/// The namespace of the sources, which other tests may have made.
pub async fn platform(cluster: &Cluster) -> Result<()> {
    let made = cluster.create(json!({"kind": "Namespace", "metadata": {"name": "platform"}})).await;
    match made {
        Err(kube::Error::Api(refused)) if refused.code == 409 => Ok(()),
        made => Ok(made.map(|_| ())?),
    }
}

/// A registry's credentials in base64, told apart by `who`.
fn value(who: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(format!(r#"{{"auths":{{"registry.example.com":{{"auth":"{who}"}}}}}}"#))
}

/// Writes a source, with labels and annotations that must not be copied.
pub async fn source(cluster: &Cluster, name: &str, who: &str) -> Result<()> {
    let data = json!({".dockerconfigjson": value(who), "more": value("x")});
    if cluster.get("Secret", "platform", name).await?.is_some() {
        cluster.patch("Secret", "platform", name, json!({"data": data})).await?;
        return Ok(());
    }
    let metadata = json!({"name": name, "namespace": "platform",
        "labels": {"argocd.argoproj.io/instance": "platform"}, "annotations": {"a": "b"}});
    cluster
        .create(json!({"kind": "Secret", "metadata": metadata, "type": TYPE, "data": data}))
        .await?;
    Ok(())
}

/// `pullSecrets` of a baseline.
pub fn asking(source: &str, target: &str) -> Value {
    json!([{"source": {"namespace": "platform", "name": source}, "targetName": target}])
}

fn sections(source: &str, target: &str) -> Value {
    json!({"serviceAccounts": {"pullSecrets": asking(source, target)}})
}

/// Waits until a copy holds just the value of this source.
pub async fn copied(cluster: &Cluster, ns: &str, name: &str, who: &str) -> Result<Value> {
    let wanted = json!({".dockerconfigjson": value(who)});
    cluster
        .until("Secret", ns, name, |object| {
            let fits = object["data"] == wanted && object["type"] == TYPE;
            if fits { Ok(()) } else { Err(object["metadata"].to_string()) }
        })
        .await
}

/// Waits until an account has exactly these entries.
async fn uses(cluster: &Cluster, ns: &str, account: &str, names: &[&str]) -> Result<()> {
    let names: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    let wanted = if names.is_empty() { Value::Null } else { json!(names) };
    cluster
        .until("ServiceAccount", ns, account, |object| {
            let found = &object["imagePullSecrets"];
            if *found == wanted { Ok(()) } else { Err(found.to_string()) }
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn credentials_are_copied_used_and_renewed() -> Result<()> {
    let scene = Scene::new("pulls").await?;
    let cluster = &scene.cluster;
    platform(cluster).await?;
    source(cluster, "registry", "one").await?;
    let builder = json!({"kind": "ServiceAccount", "metadata": {"name": "builder", "namespace": "pulls"},
        "imagePullSecrets": [{"name": "team-own"}]});
    cluster.create_as(builder, "team").await?;
    scene.baseline("pulls", sections("registry", "registry")).await?;

    let copy = copied(cluster, "pulls", "registry", "one").await?;
    let labels =
        json!({"app.kubernetes.io/managed-by": "gabion", "gabion.dev/pull-secret": "copy"});
    assert_eq!(copy["metadata"]["labels"], labels);
    let notes = copy["metadata"]["annotations"].as_object().map_or(0, serde_json::Map::len);
    assert_eq!(notes, 1, "{copy}");
    uses(cluster, "pulls", "builder", &["team-own", "registry"]).await?;
    uses(cluster, "pulls", "default", &["registry"]).await?;
    let mut made = pod("pulls", "app", json!({}));
    made["spec"]["serviceAccountName"] = json!("builder");
    let made = cluster.create(made).await?;
    let both = json!([{"name": "team-own"}, {"name": "registry"}]);
    assert_eq!(made["spec"]["imagePullSecrets"], both);
    scene.hardened("pulls", &["pulls"]).await?;

    // Renewed, also when the source is another one under the same name.
    source(cluster, "registry", "two").await?;
    copied(cluster, "pulls", "registry", "two").await?;
    cluster.delete("Secret", "platform", "registry").await?;
    scene.effective_says("pulls", "False", "PullSecretUnusable").await?;
    copied(cluster, "pulls", "registry", "two").await?;
    uses(cluster, "pulls", "default", &["registry"]).await?;
    source(cluster, "registry", "three").await?;
    copied(cluster, "pulls", "registry", "three").await?;

    scene.take_back("pulls").await?;
    assert_eq!(cluster.get("Secret", "pulls", "registry").await?, None);
    uses(cluster, "pulls", "builder", &["team-own"]).await?;
    uses(cluster, "pulls", "default", &[]).await?;
    scene.bare("pulls").await
}

/// Whatever a tenant does to a copy or an account is put right, also what was done while nobody looked.
#[tokio::test]
async fn what_is_changed_is_put_right() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&[])?;
    let cluster = &Cluster::new(env.plane()).await?;
    platform(cluster).await?;
    source(cluster, "registry", "one").await?;
    let scene = Scene::within(&env, "pulled").await?;
    scene.baseline("pulled", sections("registry", "registry")).await?;
    copied(cluster, "pulled", "registry", "one").await?;
    uses(cluster, "pulled", "default", &["registry"]).await?;
    scene.hardened("pulled", &["pulled"]).await?;

    env.operator.stop(SOON)?;
    let lie = json!({"data": {".dockerconfigjson": value("tenant")}});
    cluster.patch("Secret", "pulled", "registry", lie.clone()).await?;
    env.start_again(&[])?;
    copied(cluster, "pulled", "registry", "one").await?;
    cluster.patch("Secret", "pulled", "registry", lie).await?;
    copied(cluster, "pulled", "registry", "one").await?;
    let frozen = json!({"immutable": true, "metadata": {"annotations": {"a": "b"}}});
    cluster.patch("Secret", "pulled", "registry", frozen).await?;
    source(cluster, "registry", "two").await?;
    copied(cluster, "pulled", "registry", "two").await?;
    let bare = json!({"metadata": {"labels": null}});
    cluster.patch("Secret", "pulled", "registry", bare).await?;
    source(cluster, "registry", "three").await?;
    copied(cluster, "pulled", "registry", "three").await?;
    cluster.delete("Secret", "pulled", "registry").await?;
    copied(cluster, "pulled", "registry", "three").await?;
    let team = json!({"imagePullSecrets": [{"name": "team-own"}]});
    cluster.patch_as("ServiceAccount", "pulled", "default", team, "team").await?;
    uses(cluster, "pulled", "default", &["team-own", "registry"]).await?;

    let scene = Scene::without_namespace(&env, "pulled").await?;
    scene.take_back("pulled").await?;
    assert_eq!(cluster.get("Secret", "pulled", "registry").await?, None);
    uses(cluster, "pulled", "default", &["team-own"]).await?;
    scene.bare("pulled").await
}

#[tokio::test]
async fn a_secret_of_somebody_else_keeps_its_name() -> Result<()> {
    let scene = Scene::new("pull-taken").await?;
    let cluster = &scene.cluster;
    platform(cluster).await?;
    source(cluster, "second", "one").await?;
    let own = json!({"kind": "Secret", "metadata": {"name": "second", "namespace": "pull-taken",
        "labels": {"gabion.dev/pull-secret": "copy", "app.kubernetes.io/managed-by": "gabion"}},
        "data": {"theirs": value("x")}});
    let own = cluster.create(own).await?;
    let plain = json!({"kind": "Secret", "metadata": {"name": "plain", "namespace": "pull-taken"},
        "data": {"theirs": value("x")}});
    let plain = cluster.create(plain).await?;
    let both: Vec<_> =
        ["second", "plain"].into_iter().map(|target| asking("second", target)[0].clone()).collect();
    scene.baseline("pull-taken", json!({"serviceAccounts": {"pullSecrets": both}})).await?;
    let status = scene.effective_says("pull-taken", "False", "SecretNameTaken").await?;
    let found = condition(&json!({"status": status}), "Conflict");
    assert_eq!(found["status"], "True", "{status}");
    scene.settle().await?;
    scene.take_back("pull-taken").await?;
    assert_eq!(cluster.get("Secret", "pull-taken", "second").await?, Some(own));
    assert_eq!(cluster.get("Secret", "pull-taken", "plain").await?, Some(plain));
    uses(cluster, "pull-taken", "default", &[]).await
}

#[tokio::test]
async fn what_cannot_be_copied_is_said_and_nothing_is_written() -> Result<()> {
    let scene = Scene::new("pull-bad").await?;
    let cluster = &scene.cluster;
    platform(cluster).await?;
    for (source, words) in
        [("unlisted", "--pull-secret-sources"), ("absent", "does not exist; create it")]
    {
        scene.baseline("pull-bad", sections(source, "copy")).await?;
        let said = scene.baseline_says("pull-bad", "Ready", "False", "NamespaceProblems").await?;
        assert!(said["message"].to_string().contains(words), "{said}");
        assert_eq!(cluster.get("Secret", "pull-bad", "copy").await?, None);
        scene.take_back("pull-bad").await?;
    }
    uses(cluster, "pull-bad", "default", &[]).await
}

/// A namespace and its first pod by a controller's pace: at the latest a moment after the account is there.
#[tokio::test]
async fn a_new_namespace_has_them_at_once() -> Result<()> {
    let scene = Scene::without_namespace(Subsystem::Hardening.shared()?, "pull-new").await?;
    let cluster = &scene.cluster;
    platform(cluster).await?;
    source(cluster, "second", "one").await?;
    scene.baseline("pull-new", sections("second", "pull-new")).await?;
    for serial in 0..10 {
        let ns = format!("pull-new-{serial}");
        scene.create_namespace(&ns, json!({})).await?;
    }
    for serial in 0..10 {
        let ns = format!("pull-new-{serial}");
        eventually(SOON, &format!("{ns} has credentials"), || async {
            let account = cluster.get("ServiceAccount", &ns, "default").await?.unwrap_or_default();
            let found = &account["imagePullSecrets"];
            let wanted = json!([{"name": "pull-new"}]);
            if *found == wanted { Ok(()) } else { Err(Failure::new(found.to_string())) }
        })
        .await?;
    }
    scene.take_back("pull-new").await
}
