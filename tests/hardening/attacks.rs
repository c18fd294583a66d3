//! What a tenant or a fault can do to a namespace: records that are forged, marks that are copied, finalizers, policies
//! that open in other words, writes that are refused. Each was possible once, and is named after its finding.

use std::time::Duration;

use serde_json::{Value, json};
use support::{Cluster, Failure, Result, SOON, Subsystem, audit, condition, eventually};

use crate::scene::{PSS, Scene, frontend_to_backend};

/// A repair that failed is tried again after half a minute at most, when the fault lasted as long.
const RETRIED: Duration = Duration::from_secs(75);

fn policy(ns: &str, name: &str, spec: Value) -> Value {
    json!({"kind": "NetworkPolicy", "metadata": {"name": name, "namespace": ns}, "spec": spec})
}

fn open() -> Value {
    json!({"podSelector": {}, "ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"]})
}

async fn widened(scene: &Scene<'_>, ns: &str, name: &str) -> Result<()> {
    scene
        .effective(ns, |status| {
            let found = condition(&json!({"status": status}), "NetworkWidened");
            found["status"] == "True" && found["message"].to_string().contains(name)
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn s6_an_annotation_by_anybody_changes_no_label() -> Result<()> {
    let scene = Scene::without_namespace(Subsystem::Hardening.shared()?, "forged").await?;
    let enforce = format!("{PSS}enforce");
    let record = json!({&enforce: {"set": "restricted", "was": "privileged"}}).to_string();
    let labels = json!({&enforce: "restricted", "team": "a"});
    let notes = json!({"gabion.dev/pod-security": record});
    let object = json!({"kind": "Namespace",
        "metadata": {"name": "forged", "labels": labels, "annotations": notes}});
    for manager in ["kubectl-create", "gabion"] {
        scene.cluster.create_as(object.clone(), manager).await?;
        scene.settle().await?;
        scene.label_is("forged", &enforce, json!("restricted")).await?;
        let now = scene.cluster.get("Namespace", "", "forged").await?.unwrap_or_default();
        assert_eq!(now["metadata"]["annotations"]["gabion.dev/pod-security"], record, "{manager}");
        scene.cluster.delete("Namespace", "", "forged").await?;
        scene.cluster.gone("Namespace", "", "forged").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a1_long_annotations_do_not_freeze_the_report() -> Result<()> {
    let scene = Scene::new("frozen").await?;
    let sections = json!({"serviceAccounts": {"automountToken": "Disabled"}, "network": {}});
    scene.baseline("frozen", sections).await?;
    scene.hardened("frozen", &["frozen"]).await?;
    for nth in 0..8 {
        let note = json!({"gabion.dev/previous-automount": "x".repeat(250_000)});
        let account = json!({"kind": "ServiceAccount", "automountServiceAccountToken": false,
            "metadata": {"name": format!("f{nth}"), "namespace": "frozen", "annotations": note}});
        scene.cluster.create(account).await?;
    }
    scene.cluster.create(policy("frozen", "mine", open())).await?;
    widened(&scene, "frozen", "mine").await
}

#[tokio::test]
async fn a5_marks_of_ours_hide_no_policy_of_a_user() -> Result<()> {
    let scene = Scene::new("marked").await?;
    scene.baseline("marked", json!({"network": {}})).await?;
    scene.hardened("marked", &["marked"]).await?;
    let mut mine = policy("marked", "mine", open());
    mine["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "gabion"});
    mine["metadata"]["annotations"] = json!({"gabion.dev/owner": "x"});
    scene.cluster.create_as(mine, "gabion").await?;
    widened(&scene, "marked", "mine").await?;
    widened(&scene, "marked", "it carries marks of Gabion").await?;
    scene.take_back("marked").await?;
    scene.settle().await?;
    let left = scene.cluster.get("NetworkPolicy", "marked", "mine").await?;
    assert!(left.is_some(), "it is the user's");
    Ok(())
}

#[tokio::test]
async fn a6_open_to_everyone_in_other_words_is_reported() -> Result<()> {
    let scene = Scene::new("words").await?;
    scene.baseline("words", json!({"network": {}})).await?;
    scene.hardened("words", &["words"]).await?;
    let expression = |key: &str, operator: &str| json!([{"namespaceSelector": {"matchExpressions": [{"key": key, "operator": operator}]}}]);
    let halves = json!([{"ipBlock": {"cidr": "0.0.0.0/1"}}, {"ipBlock": {"cidr": "128.0.0.0/1"}}]);
    for (name, from) in [
        ("halves", halves),
        ("named", expression("kubernetes.io/metadata.name", "Exists")),
        ("nope", expression("nobody-has-this", "DoesNotExist")),
    ] {
        let spec = json!({"podSelector": {}, "ingress": [{"from": from}]});
        scene.cluster.create(policy("words", name, spec)).await?;
        widened(&scene, "words", name).await?;
        scene.cluster.delete("NetworkPolicy", "words", name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a7_a_rule_that_a_finalizer_keeps_is_a_leftover_and_holds_the_teardown() -> Result<()> {
    let scene = Scene::new("kept").await?;
    let cluster = &scene.cluster;
    scene.baseline("kept", json!({"network": {"allow": [frontend_to_backend()]}})).await?;
    scene.hardened("kept", &["kept"]).await?;
    let name = "gabion-allow-frontend-to-backend";
    let held = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    cluster.patch("NetworkPolicy", "kept", name, held).await?;
    scene.change("kept", json!({"network": {"allow": null}})).await?;
    let status = scene.effective_says("kept", "False", "Leftover").await?;
    let ready = condition(&json!({"status": status}), "Ready")["message"].to_string();
    assert!(ready.contains(name) && ready.contains("example.com/hold"), "{ready}");
    let wide = json!({"spec": {"podSelector": {"matchLabels": null}, "ingress": [{}]}});
    cluster.patch("NetworkPolicy", "kept", name, wide).await?;
    widened(&scene, "kept", name).await?;
    scene.baseline_says("kept", "Ready", "False", "NamespaceProblems").await?;

    scene.delete_baseline("kept").await?;
    cluster.gone("NetworkPolicy", "kept", "gabion-default-deny").await?;
    scene.settle().await?;
    let waiting = cluster.get("HardeningBaseline", "", "kept").await?.unwrap_or_default();
    let stuck = waiting["status"]["teardown"]["stuck"].to_string();
    assert!(stuck.contains("example.com/hold"), "{stuck}");
    cluster.patch("NetworkPolicy", "kept", name, json!({"metadata": {"finalizers": null}})).await?;
    cluster.gone("HardeningBaseline", "", "kept").await
}

#[tokio::test]
async fn a8_an_earlier_spec_of_a_tenant_is_never_written() -> Result<()> {
    let scene = Scene::new("earlier").await?;
    let cluster = &scene.cluster;
    scene.baseline("earlier", json!({"network": {}})).await?;
    scene.hardened("earlier", &["earlier"]).await?;
    let note =
        json!({"metadata": {"annotations": {"gabion.dev/previous-spec": open().to_string()}}});
    cluster
        .patch_as("NetworkPolicy", "earlier", "gabion-default-deny", note, "kubectl-annotate")
        .await?;
    cluster
        .until("NetworkPolicy", "earlier", "gabion-default-deny", |object| {
            let note = &object["metadata"]["annotations"]["gabion.dev/previous-spec"];
            if note.is_null() { Ok(()) } else { Err("it is still there".to_owned()) }
        })
        .await?;
    scene.take_back("earlier").await?;
    cluster.gone("NetworkPolicy", "earlier", "gabion-default-deny").await?;

    // Copied into a namespace that no baseline ever selected, marks and all.
    scene.create_namespace("earlier-copy", json!({"set": "nothing"})).await?;
    let mut copy = policy("earlier-copy", "gabion-default-deny", json!({"podSelector": {}}));
    copy["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "gabion"});
    copy["metadata"]["annotations"] = json!({"gabion.dev/owner": "x"});
    let made = cluster.create(copy).await?;
    scene.settle().await?;
    let now = cluster.get("NetworkPolicy", "earlier-copy", "gabion-default-deny").await?;
    assert_eq!(now, Some(made));
    Ok(())
}

#[tokio::test]
async fn a9_a_policy_that_names_a_baseline_does_not_hold_its_deletion() -> Result<()> {
    let scene = Scene::new("named").await?;
    let made = scene.baseline("named", json!({"network": {}})).await?;
    scene.baseline("named-too", json!({"network": {}})).await?;
    scene.hardened("named", &["named", "named-too"]).await?;
    let mut mine = policy("named", "mine", json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
    mine["metadata"]["annotations"] = json!({"gabion.dev/owner": made["metadata"]["uid"]});
    scene.cluster.create(mine).await?;
    scene.settle().await?;
    scene.take_back("named").await?;
    scene.hardened("named", &["named-too"]).await?;
    Ok(())
}

const POLICIES: (&str, &str) = ("networking.k8s.io", "networkpolicies");

/// An admission policy of somebody else that refuses to write objects of a group and resource in a namespace, unless
/// the expression holds. `probe` is one of them that is refused.
pub async fn refuse(
    cluster: &Cluster,
    ns: &str,
    (of, resource): (&str, &str),
    probe: &Value,
    expression: &str,
) -> Result<()> {
    let group = "/apis/admissionregistration.k8s.io/v1";
    let rules = json!([{"apiGroups": [of], "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"], "resources": [resource]}]);
    let name = format!("refuse-{ns}");
    let there = json!([{"key": "kubernetes.io/metadata.name", "operator": "In", "values": [ns]}]);
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": rules},
            "validations": [{"expression": expression, "message": "the platform team says no"}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchExpressions": there}}}});
    for (plural, object) in
        [("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", binding)]
    {
        cluster.send("POST", &format!("{group}/{plural}"), "application/json", &object).await?;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&probe["kind"]), text(&probe["metadata"]["name"]));
    eventually(SOON, "it refuses", || async {
        if cluster.create(probe.clone()).await.is_err() {
            return Ok(());
        }
        cluster.delete(&kind, ns, &name).await?;
        Err(Failure::new("it was taken"))
    })
    .await
}

fn policy_probe(ns: &str) -> Value {
    policy(ns, "gabion-allow-probe", json!({"podSelector": {"matchLabels": {"a": "b"}}}))
}

pub async fn refuse_no_more(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.delete("ValidatingAdmissionPolicyBinding", "", &format!("refuse-{ns}")).await?;
    Ok(())
}

#[tokio::test]
async fn q2_a_repair_that_fails_is_no_fight_and_comes_soon_after_the_fault() -> Result<()> {
    let env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "failing").await?;
    let cluster = &scene.cluster;
    scene.baseline("failing", json!({"network": {}})).await?;
    scene.hardened("failing", &["failing"]).await?;
    refuse(cluster, "failing", POLICIES, &policy_probe("failing"), "false").await?;
    cluster.delete("NetworkPolicy", "failing", "gabion-default-deny").await?;
    let status = scene.effective_says("failing", "False", "Rejected").await?;
    let ready = condition(&json!({"status": status}), "Ready")["message"].to_string();
    assert!(ready.contains("the platform team says no"), "{ready}");
    let reported = scene.baseline_says("failing", "Ready", "False", "NamespaceErrors").await?;
    let message = reported["message"].to_string();
    for word in ["failing (Rejected", "the platform team says no"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    // Five changes by somebody else would be a fight; five attempts are not.
    eventually(RETRIED, "five attempts", || async {
        let all = audit::requests(env.plane());
        let refused = all.iter().filter(|request| {
            request.namespace == "failing"
                && request.name == "gabion-default-deny"
                && request.is_write()
                && request.code >= 400
        });
        match refused.count() {
            5.. => Ok(()),
            few => Err(Failure::new(format!("there were {few}"))),
        }
    })
    .await?;
    refuse_no_more(cluster, "failing").await?;
    eventually(RETRIED, "the deny is back", || async {
        match cluster.get("NetworkPolicy", "failing", "gabion-default-deny").await? {
            Some(_) => Ok(()),
            None => Err(Failure::new("it is missing")),
        }
    })
    .await?;
    scene.hardened("failing", &["failing"]).await?;
    assert_eq!(env.counter("gabion_fights_total").await?, 0);
    assert_eq!(env.counter("gabion_drift_repairs_total").await?, 1, "one deletion");
    Ok(())
}

#[tokio::test]
async fn hardening_1_2_3_a_refused_rule_costs_only_itself_and_holds_no_other_baseline() -> Result<()>
{
    let scene = Scene::new("unwritable").await?;
    let cluster = &scene.cluster;
    refuse(
        cluster,
        "unwritable",
        POLICIES,
        &policy_probe("unwritable"),
        "object.metadata.name != 'gabion-allow-x' && object.metadata.name != 'gabion-allow-probe'",
    )
    .await?;
    let mut rule = frontend_to_backend();
    rule["name"] = json!("x");
    scene.baseline("unwritable", json!({"network": {"allow": [rule]}})).await?;
    let status = scene.effective_says("unwritable", "False", "Rejected").await?;
    let ready = condition(&json!({"status": status}), "Ready")["message"].to_string();
    assert!(ready.contains("spec.network.allow[x]"), "{ready}");
    let deny = cluster.get("NetworkPolicy", "unwritable", "gabion-default-deny").await?;
    assert!(deny.is_some(), "the deny does not wait for it");

    scene.create_namespace("unwritable-not", json!({"set": "unwritable-not"})).await?;
    let elsewhere = json!({"namespaceSelector": {"matchLabels": {"set": "unwritable-not"}},
        "podSecurity": {"level": "baseline"}});
    scene.baseline("unwritable-not", elsewhere).await?;
    scene.hardened("unwritable-not", &["unwritable-not"]).await?;
    scene.take_back("unwritable-not").await?;
    refuse_no_more(cluster, "unwritable").await
}

#[tokio::test]
async fn hardening_4_registries_without_a_common_one_are_seen_at_both_baselines() -> Result<()> {
    let scene = Scene::new("disjoint").await?;
    for (name, registry) in [("disjoint-a", "a.example"), ("disjoint-b", "b.example")] {
        let images = json!({"images": {"allowedRegistries": [registry], "tags": "Any"}});
        scene.baseline(name, images).await?;
    }
    for name in ["disjoint-a", "disjoint-b"] {
        let reported = scene.baseline_says(name, "Conflict", "True", "EmptyIntersection").await?;
        let message = reported["message"].to_string();
        for word in ["disjoint-a", "disjoint-b", "namespace disjoint"] {
            assert!(message.contains(word), "{message}");
        }
        let check = |object: &Value| {
            let ready = condition(object, "Ready");
            if ready["status"] == "False" { Ok(()) } else { Err(ready.to_string()) }
        };
        let object = scene.cluster.until("HardeningBaseline", "", name, check).await?;
        assert_eq!(object["status"]["namespaces"]["applied"], 0, "{}", object["status"]);
    }
    Ok(())
}

#[tokio::test]
async fn h_drift_is_counted_although_another_process_wrote_the_object() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&[])?;
    let scene = Scene::within(&env, "again").await?;
    let cluster = scene.cluster.clone();
    scene.baseline("again", json!({"network": {}})).await?;
    scene.hardened("again", &["again"]).await?;
    env.operator.kill();
    env.start_again(&[])?;
    let scene = Scene { env: &env, name: "again".to_owned(), cluster: cluster.clone() };
    scene.settle().await?;
    let edit = json!({"spec": {"ingress": [{}]}});
    cluster.patch("NetworkPolicy", "again", "gabion-default-deny", edit).await?;
    eventually(SOON, "it is put back and counted once", || async {
        let count = env.counter("gabion_drift_repairs_total").await?;
        if count == 1 { Ok(()) } else { Err(Failure::new(format!("{count}"))) }
    })
    .await
}
