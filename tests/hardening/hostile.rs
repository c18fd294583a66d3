//! Scenarios 24 and 26: tenants cannot opt out, and malformed baselines change nothing.

use serde_json::{Value, json};
use support::{Cluster, Failure, Options, Result, Subsystem, condition, repository};

use crate::{
    recorder::Recorder,
    scene::{FULL_SET, PSS, Scene, full, merge},
};

/// A client of a user who is admin in a namespace, and may patch namespaces.
async fn tenant(scene: &Scene<'_>) -> Result<Cluster> {
    let (plane, ns) = (scene.env.plane(), scene.name.as_str());
    plane.kubectl(&["create", "serviceaccount", "dev", "-n", ns])?;
    let account = format!("--serviceaccount={ns}:dev");
    plane.kubectl(&["create", "rolebinding", "dev", "-n", ns, "--clusterrole=admin", &account])?;
    let role = format!("{ns}-namespaces");
    let verbs = ["--verb=get,patch,delete", "--resource=namespaces"];
    plane.kubectl(&["create", "clusterrole", &role, verbs[0], verbs[1]])?;
    let role_flag = format!("--clusterrole={role}");
    plane.kubectl(&["create", "clusterrolebinding", &role, &role_flag, &account])?;
    // `admin` does not include network policies of the kind's own group in every version.
    let verbs = ["--verb=*", "--resource=networkpolicies,resourcequotas,limitranges"];
    plane.kubectl(&["create", "role", "policies", "-n", ns, verbs[0], verbs[1]])?;
    plane.kubectl(&["create", "rolebinding", "policies", "-n", ns, "--role=policies", &account])?;
    let kubeconfig = plane.service_account_kubeconfig(ns, "dev")?;
    Ok(Cluster { client: plane.client_of(&kubeconfig).await? })
}

#[tokio::test]
async fn a_tenant_cannot_opt_out_and_can_still_delete_the_namespace() -> Result<()> {
    let scene = Scene::new("tenant").await?;
    scene.baseline("tenant", full()).await?;
    scene.hardened("tenant", &["tenant"]).await?;
    let dev = tenant(&scene).await?;
    let unmarked = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null},
        "annotations": {"gabion.dev/owner": null}, "ownerReferences": null}});

    let mut lower =
        json!({"metadata": {"labels": {}, "annotations": {"gabion.dev/pod-security": null}}});
    lower["metadata"]["labels"][format!("{PSS}enforce")] = json!("privileged");
    dev.patch("Namespace", "", "tenant", lower).await?;
    scene.label_is("tenant", &format!("{PSS}enforce"), json!("restricted")).await?;

    // Both marks off and the content changed: it is still ours.
    let mut open = unmarked.clone();
    merge(&mut open, json!({"spec": {"ingress": [{}], "egress": [{}]}}));
    dev.patch("NetworkPolicy", "tenant", "gabion-default-deny", open).await?;
    let closed = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    scene
        .cluster
        .until("NetworkPolicy", "tenant", "gabion-default-deny", |object| {
            let mark = &object["metadata"]["labels"]["app.kubernetes.io/managed-by"];
            let repaired = object["spec"] == closed && mark == "gabion";
            if repaired { Ok(()) } else { Err(object.to_string()) }
        })
        .await?;

    let mut wide = unmarked.clone();
    merge(&mut wide, json!({"spec": {"hard": {"pods": "9999"}}}));
    dev.patch("ResourceQuota", "tenant", "gabion-quota", wide).await?;
    scene
        .cluster
        .until("ResourceQuota", "tenant", "gabion-quota", |object| {
            let pods = &object["spec"]["hard"]["pods"];
            if pods == "200" { Ok(()) } else { Err(pods.to_string()) }
        })
        .await?;

    let on = json!({"automountServiceAccountToken": true,
        "metadata": {"annotations": {"gabion.dev/previous-automount": null}}});
    dev.patch("ServiceAccount", "tenant", "default", on).await?;
    scene.automount("tenant", "default", json!(false)).await?;

    let allow_all = json!({
        "kind": "NetworkPolicy",
        "metadata": {"name": "allow-all", "namespace": "tenant"},
        "spec": {"podSelector": {}, "ingress": [{}], "policyTypes": ["Ingress"]},
    });
    dev.create(allow_all).await?;
    scene
        .effective("tenant", |status| {
            let reported = condition(&json!({"status": status}), "NetworkWidened");
            reported["status"] == "True" && reported["message"].to_string().contains("allow-all")
        })
        .await?;
    assert_eq!(scene.owned("tenant").await?, FULL_SET);

    dev.delete("Namespace", "", "tenant").await?;
    scene.cluster.gone("Namespace", "", "tenant").await
}

#[tokio::test]
async fn a_malformed_change_is_refused_and_what_was_valid_stays_in_force() -> Result<()> {
    let scene = Scene::new("valid").await?;
    scene.baseline("valid", full()).await?;
    scene.hardened("valid", &["valid"]).await?;
    scene.settle().await?;
    let before = scene.writes("valid").len();
    let admin = scene.env.plane().admin()?;
    let applied = |sections: Value| {
        let mut object = scene.baseline_object("valid", full());
        object["apiVersion"] = json!("gabion.dev/v1alpha1");
        merge(&mut object["spec"], sections);
        match admin.replace_strictly(&object.to_string()) {
            Err(why) => Ok(why.to_string()),
            Ok(_) => Err(Failure::new(format!("it was taken: {object}"))),
        }
    };

    for (path, sections) in [
        ("spec.podSecurity.level", json!({"podSecurity": {"level": "Restricted"}})),
        ("spec.podSecurty", json!({"podSecurty": {"level": "baseline"}})),
        ("namespaceSelector", json!({"namespaceSelector": {}})),
        ("12potatoes", json!({"resources": {"quota": {"hard": {"pods": "12potatoes"}}}})),
        ("spec.network.allow", json!({"network": {"allow": [{"name": "x", "from": [{}]}]}})),
    ] {
        let why = applied(sections)?;
        assert!(why.contains(path), "{path}: {why}");
    }

    scene.settle().await?;
    let object = scene.cluster.get("HardeningBaseline", "", "valid").await?.unwrap_or_default();
    assert_eq!(object["metadata"]["generation"], 1);
    assert_eq!(scene.writes("valid").len(), before);
    scene.cluster.delete("NetworkPolicy", "valid", "gabion-default-deny").await?;
    scene.cluster.until("NetworkPolicy", "valid", "gabion-default-deny", |_| Ok(())).await?;
    Ok(())
}

/// The definition as an older version might have had it: it takes anything.
fn lax_definition() -> Result<Value> {
    let file = repository().join("crds/hardeningbaselines.gabion.dev.yaml");
    let mut definition: Value = serde_saphyr::from_str(&std::fs::read_to_string(file)?)?;
    let version = &mut definition["spec"]["versions"][0];
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    version["schema"]["openAPIV3Schema"] = json!({
        "type": "object",
        "properties": {"spec": anything, "status": anything},
    });
    version["selectableFields"] = json!([]);
    Ok(definition)
}

#[tokio::test]
async fn what_an_older_definition_let_in_changes_nothing_and_says_what_is_wrong() -> Result<()> {
    let plane = Subsystem::Hardening.control_plane(&Options::default())?;
    let definition =
        std::fs::read_to_string(repository().join("crds/hardeningbaselines.gabion.dev.yaml"))?;
    plane.admin()?.apply_yaml(&lax_definition()?.to_string())?;
    let mut env = Subsystem::Hardening.start_on(plane, &[])?;
    let scene = Scene::within(&env, "old").await?;
    let cluster = scene.cluster.clone();
    scene.create_namespace("other", json!({"set": "other"})).await?;
    let elsewhere = json!({"namespaceSelector": {"matchLabels": {"set": "other"}}});
    let mut sections = full();
    merge(&mut sections, elsewhere.clone());
    scene.baseline("fine", sections).await?;
    scene.baseline("stale", full()).await?;
    scene.hardened("old", &["stale"]).await?;
    scene.hardened("other", &["fine"]).await?;
    let recorder = Recorder::start(&cluster, "NetworkPolicy", "old").await?;

    // While it runs, the previous generation stays in force.
    scene.change("stale", json!({"podSecurity": {"level": "Restricted"}})).await?;
    let reported = scene.baseline_says("stale", "Ready", "False", "InvalidSpec").await?;
    let message = reported["message"].as_str().unwrap_or_default();
    assert!(message.contains("spec.podSecurity.level"), "{message}");
    cluster.delete("NetworkPolicy", "old", "gabion-allow-dns").await?;
    cluster.until("NetworkPolicy", "old", "gabion-allow-dns", |_| Ok(())).await?;
    // One whose type is wrong cannot even be read; all others can.
    let mut odd = scene.baseline_object("odd", elsewhere);
    odd["spec"]["priority"] = json!("high");
    cluster.create(odd).await?;
    let reported = scene.baseline_says("odd", "Ready", "False", "InvalidSpec").await?;
    assert!(
        reported["message"].as_str().unwrap_or_default().contains("spec.priority"),
        "{reported}"
    );

    // A new process, under today's definition, knows no previous generation: it touches nothing.
    env.operator.kill();
    env.plane().admin()?.apply_yaml(&definition)?;
    recorder.clear();
    env.start_again(&[])?;
    let scene = Scene { env: &env, name: "old".to_owned(), cluster: cluster.clone() };
    cluster.delete("NetworkPolicy", "other", "gabion-default-deny").await?;
    cluster.until("NetworkPolicy", "other", "gabion-default-deny", |_| Ok(())).await?;
    scene.baseline_says("stale", "Ready", "False", "InvalidSpec").await?;
    scene.baseline_says("odd", "Ready", "False", "InvalidSpec").await?;
    scene.settle().await?;
    assert_eq!(recorder.texts(), Vec::<String>::new());
    assert_eq!(scene.owned("old").await?, FULL_SET);

    let level = json!({"spec": {"podSecurity": {"level": "baseline"}}});
    cluster.patch("HardeningBaseline", "", "stale", level).await?;
    scene.hardened("old", &["stale"]).await?;
    scene.label_is("old", &format!("{PSS}enforce"), json!("baseline")).await?;
    assert_eq!(recorder.texts(), Vec::<String>::new());
    Ok(())
}
