//! What pods use, and which of them could not be made again.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::baseline::Amounts;
use super::merge::{Limits, Merged};
use super::pods::{Pods, allowed};
use super::resources::UserLimits;
use crate::quantity::Quantity;

fn amounts(pairs: &[(&str, &str)]) -> Amounts {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), Quantity::parse(v).unwrap())).collect()
}

fn pod(name: &str, spec: &Value, phase: &str) -> Pod {
    let object = json!({"metadata": {"name": name}, "spec": spec, "status": {"phase": phase}});
    serde_json::from_value(object).unwrap()
}

fn running(spec: &Value) -> Pods {
    let mut pods = Pods::default();
    pods.add(&pod("web-1", spec, "Running"));
    pods
}

fn container(name: &str, resources: &Value) -> Value {
    json!({"name": name, "resources": resources})
}

fn merged(quota: &[(&str, &str)], defaults: &[(&str, &str)], max: &[(&str, &str)]) -> Merged {
    let limits = Limits { defaults: amounts(defaults), max: amounts(max), ..Limits::default() };
    let limits = Some(limits).filter(|limits| *limits != Limits::default());
    Merged { quota: amounts(quota), limits, ..Merged::default() }
}

/// What is said of a pod under these.
fn refused(spec: &Value, merged: &Merged, users: &[(String, UserLimits)]) -> String {
    running(spec).refused(merged, users).unwrap_or_default()
}

fn theirs(item: &Value) -> [(String, UserLimits); 1] {
    let range = json!({"metadata": {}, "spec": {"limits": [item]}});
    [("team".to_owned(), UserLimits::of(&serde_json::from_value(range).unwrap()))]
}

#[test]
fn usage_counts_what_the_api_server_would_charge() {
    let memory =
        |amount: &str| json!({"limits": {"memory": amount}, "requests": {"memory": amount}});
    let mut pods = running(&json!({
        "containers": [container("a", &memory("1Gi")), container("b", &memory("512Mi"))],
        "initContainers": [
            {"name": "sidecar", "restartPolicy": "Always", "resources": memory("1Gi")},
            container("setup", &memory("4Gi"))]}));
    pods.add(&pod("b", &json!({"containers": [{"name": "a"}]}), "Pending"));
    let ended = json!({"containers": [container("a", &memory("100Gi"))]});
    pods.add(&pod("c", &ended, "Succeeded"));
    assert_eq!(pods.used["pods"], Quantity::whole(2));
    assert_eq!(
        pods.used["limits.memory"].to_string(),
        "5Gi",
        "the init container beside the sidecar is more"
    );
    assert_eq!(pods.used["memory"], pods.used["requests.memory"]);
}

#[test]
fn a_quota_below_usage_is_held_with_the_resource_and_both_amounts() {
    let mut pods = Pods::using(amounts(&[("limits.memory", "80Gi"), ("pods", "3")]));
    let hard = amounts(&[("limits.memory", "64Gi"), ("pods", "20")]);
    let (now, held) = allowed(&hard, &pods, None);
    let held = held.expect("held").to_string();
    assert!(held.contains("limits.memory used=80Gi hard=64Gi") && !held.contains("pods"), "{held}");
    assert_eq!(now, amounts(&[("pods", "20")]), "the rest of it is in force");
    let before = amounts(&[("limits.memory", "100Gi"), ("pods", "40")]);
    let (now, _) = allowed(&hard, &pods, Some(&before));
    assert_eq!(now, amounts(&[("limits.memory", "100Gi"), ("pods", "20")]));
    pods.used = amounts(&[("limits.memory", "64Gi")]);
    assert_eq!(allowed(&hard, &pods, None), (hard.clone(), None));
}

#[test]
fn weak_a_gated_pod_that_uses_up_a_quota_is_named_and_the_rest_is_in_force() {
    let asks = json!({"schedulingGates": [{"name": "x/y"}],
        "containers": [container("a", &json!({"limits": {"memory": "1000Gi"}}))]});
    let mut pods =
        running(&json!({"containers": [container("a", &json!({"limits": {"memory": "1Gi"}}))]}));
    pods.add(&pod("trick", &asks, "Pending"));
    let hard = amounts(&[("limits.memory", "16Gi"), ("pods", "5")]);
    let (now, held) = allowed(&hard, &pods, None);
    assert_eq!(now, amounts(&[("pods", "5")]));
    let held = held.expect("held").to_string();
    let words =
        "limits.memory used=1001Gi hard=16Gi (1000Gi by pods with scheduling gates, such as trick)";
    assert!(held.contains(words), "{held}");
}

#[test]
fn i_amounts_of_the_pod_stand_for_those_of_its_containers() {
    let whole = json!({"resources": {"requests": {"memory": "1Gi"}},
        "containers": [container("a", &json!({"requests": {"memory": "100Mi", "cpu": "1"}}))]});
    let pods = running(&whole);
    assert_eq!(pods.used["requests.memory"].to_string(), "1Gi");
    assert_eq!(pods.used["requests.cpu"].to_string(), "1");
    let (_, held) = allowed(&amounts(&[("requests.memory", "512Mi")]), &pods, None);
    let held = held.expect("held").to_string();
    assert!(held.contains("used=1Gi hard=512Mi"), "{held}");
    // And the defaults must fit into them.
    let quota = merged(&[("limits.memory", "8Gi")], &[("memory", "512Mi")], &[]);
    let tight = json!({"resources": {"requests": {"memory": "100Mi"}, "limits": {"memory": "256Mi"}},
        "containers": [container("a", &json!({}))]});
    let said = refused(&tight, &quota, &[]);
    assert!(said.contains("512Mi of memory with the defaults, and the pod 100Mi"), "{said}");
    let roomy = json!({"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "containers": [container("a", &json!({}))]});
    assert_eq!(refused(&roomy, &quota, &[]), "");
    // What the pod states, its containers need not.
    let quota = merged(&[("requests.cpu", "4")], &[], &[]);
    let stated = json!({"resources": {"requests": {"cpu": "1"}},
        "containers": [container("a", &json!({}))]});
    assert_eq!(refused(&stated, &quota, &[]), "");
}

#[test]
fn e_a_request_above_the_limit_that_is_filled_in_is_named_in_every_kind_of_container() {
    let limits = merged(&[], &[("memory", "512Mi")], &[]);
    let large = container("big", &json!({"requests": {"memory": "600Mi"}}));
    let mut sidecar = large.clone();
    sidecar["restartPolicy"] = json!("Always");
    let small = container("small", &json!({}));
    for spec in [
        json!({"containers": [small, large]}),
        json!({"containers": [small], "initContainers": [large]}),
        json!({"containers": [small], "initContainers": [sidecar]}),
    ] {
        let said = refused(&spec, &limits, &[]);
        let words = "1 of 1 pods; web-1: container big requests 600Mi of memory, and the default limit is 512Mi";
        assert_eq!(said, words);
    }
    let fits =
        container("big", &json!({"requests": {"memory": "600Mi"}, "limits": {"memory": "1Gi"}}));
    assert_eq!(refused(&json!({"containers": [fits]}), &limits, &[]), "");
    let bounded = merged(&[], &[], &[("cpu", "2")]);
    let said = refused(
        &json!({"containers": [container("a", &json!({"limits": {"cpu": "3"}}))]}),
        &bounded,
        &[],
    );
    assert!(
        said.ends_with("has 3 of cpu, and the most that one container may have is 2"),
        "{said}"
    );
}

#[test]
fn f_a_pod_that_leaves_out_what_a_quota_demands_is_named() {
    let quota = merged(&[("cpu", "4"), ("limits.memory", "2Gi")], &[("memory", "512Mi")], &[]);
    let states = json!({"requests": {"cpu": "1"}});
    assert_eq!(refused(&json!({"containers": [container("a", &states)]}), &quota, &[]), "");
    for (list, other) in [("containers", "initContainers"), ("initContainers", "containers")] {
        let said = refused(
            &json!({list: [container("quiet", &json!({}))],
                other: [container("a", &json!({"requests": {"cpu": "1"}}))]}),
            &quota,
            &[],
        );
        assert!(said.contains("container quiet states no cpu, which the quota demands"), "{said}");
    }
    // Each alone is fine, and all together are not: nothing was charged for what they leave out.
    let mut pods = Pods::default();
    for nth in 0..5 {
        let spec = json!({"containers": [container("a", &json!({"requests": {"cpu": "100m"}}))]});
        pods.add(&pod(&format!("web-{nth}"), &spec, "Running"));
    }
    let said = pods.refused(&quota, &[]).expect("refused");
    assert!(said.contains("limits.memory would be 2560Mi, and the quota allows 2Gi"), "{said}");
}

#[test]
fn g_a_pod_that_theirs_and_ours_together_refuse_is_named() {
    let ours = merged(&[], &[("memory", "256Mi")], &[]);
    let two = json!({"containers": [container("a", &json!({})), container("b", &json!({}))]});
    let said = refused(&two, &ours, &theirs(&json!({"type": "Pod", "max": {"memory": "400Mi"}})));
    assert!(
        said.ends_with(
            "has 512Mi of memory, and the maximum of LimitRange/team for a pod is 400Mi"
        ),
        "{said}"
    );
    let said =
        refused(&two, &ours, &theirs(&json!({"type": "Container", "min": {"memory": "300Mi"}})));
    assert!(
        said.ends_with("has 256Mi of memory, and the minimum of LimitRange/team is 300Mi"),
        "{said}"
    );
    assert_eq!(
        refused(&two, &ours, &theirs(&json!({"type": "Pod", "max": {"memory": "1Gi"}}))),
        ""
    );
}

#[test]
fn a2_what_is_kept_of_pods_is_bounded() {
    let mut pods = Pods::default();
    for nth in 0..2_000 {
        let many: Vec<_> = (0..nth % 40)
            .map(|of| {
                container(&format!("c{of}"), &json!({"requests": {"cpu": format!("{nth}m")}}))
            })
            .collect();
        pods.add(&pod(&"n".repeat(10_000), &json!({"containers": many}), "Running"));
    }
    assert_eq!(pods.used["pods"], Quantity::whole(2_000));
    let kept = format!("{pods:?}").len();
    assert!(kept < 400_000, "{kept} bytes as text");
    // What was not kept is not said to fit together, and not said not to.
    let quota = merged(&[("requests.cpu", "1")], &[], &[]);
    let said = pods.refused(&quota, &[]).unwrap_or_default();
    assert!(!said.contains("all of them together"), "{said}");
}
