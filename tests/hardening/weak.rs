//! What a tenant can do to a namespace that is of small use, and shows.

use serde_json::{Value, json};
use support::{Failure, Result, SOON, Signal, Subsystem, condition, eventually};

use crate::{
    attacks::{refuse, refuse_no_more},
    scene::{Scene, frontend_to_backend, pod},
};

/// Waits for a warning with this reason at the report of a namespace, or at the namespace; its words.
async fn warned(scene: &Scene<'_>, ns: &str, reason: &str) -> Result<String> {
    eventually(SOON, &format!("the event {reason}"), || async {
        let mut events = scene.cluster.list("Event", ns).await?;
        events.extend(scene.cluster.list("Event", "default").await?);
        let found = events.iter().find(|event| {
            event["reason"] == reason
                && event["type"] == "Warning"
                && (event["regarding"]["namespace"] == ns || event["regarding"]["name"] == ns)
        });
        match found {
            Some(event) => Ok(event["note"].as_str().unwrap_or_default().to_owned()),
            None => Err(Failure::new(format!("{} other events", events.len()))),
        }
    })
    .await
}

#[tokio::test]
async fn weak_a_gated_pod_keeps_out_only_what_it_asks_for_and_is_named() -> Result<()> {
    let scene = Scene::new("gated").await?;
    let cluster = &scene.cluster;
    cluster.until("ServiceAccount", "gated", "default", |_| Ok(())).await?;
    let mut trick = pod("gated", "trick", json!({"limits": {"memory": "1000Gi"}}));
    trick["spec"]["schedulingGates"] = json!([{"name": "example.com/never"}]);
    cluster.create(trick).await?;
    let hard = json!({"limits.memory": "16Gi", "pods": "5"});
    let resources = json!({"quota": {"hard": hard},
        "containerDefaults": {"limits": {"memory": "1Gi"}}});
    scene.baseline("gated", json!({"resources": resources})).await?;

    let status = scene.effective_says("gated", "False", "QuotaBelowUsage").await?;
    let held = status["held"].to_string();
    for words in ["limits.memory used=1000Gi hard=16Gi", "scheduling gates, such as trick"] {
        assert!(held.contains(words), "{held}");
    }
    let quota = |wanted: Value| async move {
        cluster
            .until("ResourceQuota", "gated", "gabion-quota", |quota| {
                let now = &quota["spec"]["hard"];
                if *now == wanted { Ok(()) } else { Err(now.to_string()) }
            })
            .await
    };
    quota(json!({"pods": "5"})).await?;
    let said = warned(&scene, "gated", "QuotaBelowUsage").await?;
    assert!(said.contains("trick"), "{said}");
    scene.baseline_says("gated", "Ready", "False", "Held").await?;

    cluster.delete("Pod", "gated", "trick").await?;
    quota(hard.clone()).await?;
    scene.hardened("gated", &["gated"]).await?;
    Ok(())
}

#[tokio::test]
async fn weak_a_policy_that_lost_every_mark_and_its_content_is_put_back() -> Result<()> {
    let scene = Scene::new("bare-policy").await?;
    let cluster = &scene.cluster;
    scene.baseline("bare-policy", json!({"network": {}})).await?;
    scene.hardened("bare-policy", &["bare-policy"]).await?;
    let name = "gabion-default-deny";
    let before = cluster.get("NetworkPolicy", "bare-policy", name).await?.unwrap_or_default();
    let mut open = before.clone();
    open["metadata"]["labels"] = Value::Null;
    open["metadata"]["annotations"] = Value::Null;
    open["metadata"]["managedFields"] = json!([{}]);
    open["spec"] = json!({"podSelector": {}, "ingress": [{}], "egress": [{}],
        "policyTypes": ["Ingress", "Egress"]});
    cluster.replace_in("bare-policy", open, "mallory").await?;
    cluster
        .until("NetworkPolicy", "bare-policy", name, |now| {
            let same = now["spec"] == before["spec"]
                && now["metadata"]["labels"] == before["metadata"]["labels"]
                && now["metadata"]["annotations"] == before["metadata"]["annotations"];
            if same { Ok(()) } else { Err(now["spec"].to_string()) }
        })
        .await?;
    scene.hardened("bare-policy", &["bare-policy"]).await?;
    Ok(())
}

#[tokio::test]
async fn weak_one_change_by_others_is_an_event_that_names_what_and_who() -> Result<()> {
    let scene = Scene::new("flipped").await?;
    let cluster = &scene.cluster;
    scene.baseline("flipped", json!({"network": {}})).await?;
    scene.hardened("flipped", &["flipped"]).await?;
    let open = json!({"spec": {"ingress": [{}]}});
    let name = "gabion-default-deny";
    cluster.patch_as("NetworkPolicy", "flipped", name, open, "mallory").await?;
    let said = warned(&scene, "flipped", "DriftRepaired").await?;
    assert!(
        said.contains("NetworkPolicy/gabion-default-deny") && said.contains("mallory"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn weak_an_owner_that_somebody_names_is_taken_off_before_it_can_go() -> Result<()> {
    let scene = Scene::new("owned").await?;
    let cluster = &scene.cluster;
    scene.baseline("owned", json!({"network": {}})).await?;
    scene.hardened("owned", &["owned"]).await?;
    let map = json!({"kind": "ConfigMap", "metadata": {"name": "bait", "namespace": "owned"}});
    let uid = cluster.create(map).await?["metadata"]["uid"].clone();
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "bait", "uid": uid}]);
    for name in ["gabion-allow-dns", "gabion-default-deny"] {
        let change = json!({"metadata": {"ownerReferences": owner}});
        cluster.patch("NetworkPolicy", "owned", name, change).await?;
    }
    let mut uids = Vec::new();
    for name in ["gabion-allow-dns", "gabion-default-deny"] {
        let now = cluster
            .until("NetworkPolicy", "owned", name, |policy| {
                let owners = &policy["metadata"]["ownerReferences"];
                if owners.is_null() { Ok(()) } else { Err(owners.to_string()) }
            })
            .await?;
        uids.push(now["metadata"]["uid"].clone());
    }
    cluster.delete("ConfigMap", "owned", "bait").await?;
    scene.settle().await?;
    for (name, uid) in ["gabion-allow-dns", "gabion-default-deny"].into_iter().zip(uids) {
        let now = cluster.get("NetworkPolicy", "owned", name).await?.unwrap_or_default();
        assert_eq!(now["metadata"]["uid"], uid, "{name} stays");
    }
    Ok(())
}

#[tokio::test]
async fn weak_rules_that_a_higher_priority_replaces_are_said_to_be_unused() -> Result<()> {
    let scene = Scene::new("replaced").await?;
    let lower = json!({"network": {"allow": [frontend_to_backend()]}});
    scene.baseline("replaced", lower).await?;
    let mut rule = frontend_to_backend();
    rule["name"] = json!("internet");
    let higher = json!({"priority": 50, "network": {"allow": [rule]}});
    scene.baseline("replaced-by", higher).await?;
    let status = scene.hardened("replaced", &["replaced-by", "replaced"]).await?;
    let rows = status["values"].as_array().cloned().unwrap_or_default();
    let unused = rows.iter().find(|row| row["value"] == "not used").cloned().unwrap_or_default();
    assert_eq!(unused["item"], "network.allow[frontend-to-backend of replaced]", "{rows:?}");
    assert_eq!(unused["baseline"], "replaced");
    Ok(())
}

#[tokio::test]
async fn hardening_7_whoever_brings_an_item_says_what_happens_to_that_of_others() -> Result<()> {
    let scene = Scene::new("forced").await?;
    let key = "pod-security.kubernetes.io/enforce";
    let manifest = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "forced", "labels": {key: "baseline"}}});
    let url = "/api/v1/namespaces/forced?fieldManager=argocd-controller&force=true";
    scene.cluster.send("PATCH", url, "application/apply-patch+yaml", &manifest).await?;
    // The other one comes first by priority, and has nothing to do with labels.
    scene.baseline("forced-pci", json!({"priority": 50, "network": {}})).await?;
    let prod = json!({"podSecurity": {}, "conflictPolicy": "Force"});
    scene.baseline("forced", prod).await?;
    let status = scene.hardened("forced", &["forced-pci", "forced"]).await?;
    scene.label_is("forced", key, json!("restricted")).await?;
    let rows = status["values"].as_array().cloned().unwrap_or_default();
    let row = rows.iter().find(|row| row["item"] == "conflictPolicy of podSecurity");
    let row = row.cloned().unwrap_or_default();
    assert_eq!((&row["value"], &row["baseline"]), (&json!("Force"), &json!("forced")), "{rows:?}");
    scene.take_back("forced-pci").await?;
    scene.label_is("forced", key, json!("restricted")).await?;
    // Whoever is more careful wins among those that bring it.
    let careful = json!({"priority": 1, "podSecurity": {}, "network": {}});
    scene.baseline("forced-careful", careful).await?;
    let status =
        scene.effective("forced", |status| status["baselineNames"] == "forced-careful,forced");
    let status = status.await?;
    let ready = condition(&json!({"status": status}), "Ready");
    assert_eq!(ready["status"], "True", "a label that is ours already stays ours: {ready}");
    Ok(())
}

/// A process that remembers what it did by the name of a namespace alone does nothing for the next of that name, or
/// takes away what is in others.
#[tokio::test]
async fn a_namespace_that_is_made_anew_is_hardened_anew_and_others_keep_what_they_have()
-> Result<()> {
    let scene = Scene::new("anew").await?;
    scene.create_namespace("anew-other", json!({})).await?;
    let resources = json!({"quota": {"hard": {"pods": "5"}},
        "containerDefaults": {"limits": {"memory": "1Gi"}}});
    let accounts = json!({"automountToken": "Disabled"});
    let sections = json!({"network": {}, "resources": resources, "serviceAccounts": accounts});
    scene.baseline("anew", sections).await?;
    scene.hardened("anew-other", &["anew"]).await?;
    scene.hardened("anew", &["anew"]).await?;
    let others = scene.owned("anew-other").await?;
    for _ in 0..3 {
        let before = scene.owned("anew").await?;
        scene.cluster.delete("Namespace", "", "anew").await?;
        scene.cluster.gone("Namespace", "", "anew").await?;
        scene.create_namespace("anew", json!({})).await?;
        scene.hardened("anew", &["anew"]).await?;
        assert_eq!(scene.owned("anew").await?, before);
    }
    assert_eq!(scene.owned("anew-other").await?, others);
    Ok(())
}

/// Whoever deletes our DNS policy and takes its name, while nobody looks, would otherwise get rid of the deny as well:
/// it waits for that policy when it comes first.
#[tokio::test]
async fn weak_whoever_takes_the_name_of_the_dns_policy_gets_rid_of_no_deny() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "squatted").await?;
    let cluster = &scene.cluster.clone();
    scene.baseline("squatted", json!({"network": {}})).await?;
    scene.hardened("squatted", &["squatted"]).await?;
    let (dns, deny) = ("gabion-allow-dns", "gabion-default-deny");
    let before = cluster.get("NetworkPolicy", "squatted", deny).await?.unwrap_or_default();
    let squat = json!({"kind": "NetworkPolicy", "metadata": {"name": dns, "namespace": "squatted"},
        "spec": {"podSelector": {"matchLabels": {"app": "none"}}, "policyTypes": ["Ingress"]}});
    env.operator.signal(Signal::STOP)?;
    cluster.delete("NetworkPolicy", "squatted", dns).await?;
    cluster.create_as(squat, "mallory").await?;
    env.operator.signal(Signal::CONT)?;
    let status = scene.effective_says("squatted", "False", "NameTaken").await?;
    assert_eq!(status["conflicts"][0]["object"], format!("NetworkPolicy/{dns}"));
    assert_eq!(status["conflicts"][0]["manager"], "mallory");
    scene.baseline_says("squatted", "Conflict", "True", "NameTaken").await?;

    let same = |now: &Value| {
        if now["spec"] == before["spec"] { Ok(()) } else { Err(now["spec"].to_string()) }
    };
    cluster.delete("NetworkPolicy", "squatted", deny).await?;
    cluster.until("NetworkPolicy", "squatted", deny, same).await?;
    let open = json!({"spec": {"ingress": [{}], "policyTypes": ["Ingress"]}});
    cluster.patch_as("NetworkPolicy", "squatted", deny, open, "mallory").await?;
    cluster.until("NetworkPolicy", "squatted", deny, same).await?;

    // While nobody runs who remembers, either.
    env.operator.stop(SOON)?;
    cluster.delete("NetworkPolicy", "squatted", deny).await?;
    env.start_again(&[])?;
    cluster.until("NetworkPolicy", "squatted", deny, same).await?;
    let scene = Scene::without_namespace(&env, "squatted").await?;

    cluster.delete("NetworkPolicy", "squatted", dns).await?;
    scene.hardened("squatted", &["squatted"]).await?;
    Ok(())
}

/// A quota that is refused: the words of whoever refuses, and the field that asks for it.
#[tokio::test]
async fn check_10_a_quota_that_is_refused_says_by_whom_and_for_which_field() -> Result<()> {
    let scene = Scene::new("no-quota").await?;
    let probe = json!({"kind": "ResourceQuota", "metadata": {"name": "probe", "namespace": "no-quota"},
        "spec": {"hard": {"pods": "1"}}});
    refuse(&scene.cluster, "no-quota", ("", "resourcequotas"), &probe, "false").await?;
    scene.baseline("no-quota", json!({"resources": {"quota": {"hard": {"pods": "5"}}}})).await?;
    let status = scene.effective_says("no-quota", "False", "Rejected").await?;
    let said = condition(&json!({"status": status}), "Ready")["message"].to_string();
    let words = ["ResourceQuota/gabion-quota", "spec.resources.quota", "the platform team says no"];
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    refuse_no_more(&scene.cluster, "no-quota").await?;
    scene.hardened("no-quota", &["no-quota"]).await?;
    Ok(())
}
