//! What is kept, for how long, and how much of it.

use k8s_openapi::api::{
    core::v1::{LimitRange, Namespace, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::cluster::ObjectKey;
use crate::hardening::{
    plan::objects::{Generated, ObjectKind},
    slim::Slim,
};

/// An object as a watch reads it.
fn read<K>(object: Value) -> K
where
    Slim<K>: DeserializeOwned,
{
    serde_json::from_value::<Slim<K>>(object).unwrap().0
}

fn namespace(uid: &str, version: u32) -> Namespace {
    let version = version.to_string();
    read(json!({"metadata": {"name": "shop", "uid": uid, "resourceVersion": version}}))
}

fn account(uid: &str, version: u32, more: &Value) -> ServiceAccount {
    let mut object = json!({"metadata": {"name": "default", "namespace": "shop", "uid": uid,
        "resourceVersion": version.to_string()}});
    for (field, value) in more.as_object().into_iter().flatten() {
        object["metadata"][field] = value.clone();
    }
    read(object)
}

fn accounts(index: &Index) -> Vec<String> {
    let material = index.material("shop", Timestamp::UNIX_EPOCH).expect("a namespace");
    material.observed.service_accounts.iter().map(|account| account.uid.to_string()).collect()
}

fn present(name: &str) -> HashSet<ObjectKey> {
    HashSet::from([ObjectKey::new("shop", name)])
}

/// The watches of namespaces and of what is in them tell of a new namespace in any order.
#[test]
fn q1_a_namespace_that_is_made_anew_keeps_what_was_told_of_it_before() {
    let index = Index::default();
    index.namespace_applied(&namespace("old", 1));
    index.account_applied(&account("a", 2, &json!({})));
    // It went and came again: its new account is told of first, then the end of the old namespace, or nothing of that.
    for told_of_its_end in [true, false] {
        index.account_deleted(&ObjectKey::new("shop", "default"));
        let uid = format!("new-{told_of_its_end}");
        assert!(index.account_applied(&account(&uid, 5, &json!({}))));
        if told_of_its_end {
            index.namespace_deleted("shop");
            assert!(index.material("shop", Timestamp::UNIX_EPOCH).is_none());
        }
        assert!(index.namespace_applied(&namespace(&uid, 4)));
        assert_eq!(accounts(&index), [uid]);
    }
    // Over a gap in the watch of namespaces.
    index.namespaces_listed(&HashSet::new());
    index.namespace_applied(&namespace("newest", 9));
    assert_eq!(accounts(&index), ["new-false"], "its own watch tells when it is gone");
    index.accounts_listed(&HashSet::new());
    assert_eq!(accounts(&index), [""; 0]);
}

#[test]
fn q1_what_users_took_away_during_a_gap_wakes_the_namespace() {
    let index = Index::default();
    index.namespace_applied(&namespace("u", 1));
    let policy: NetworkPolicy = read(json!({"metadata": {"name": "mine", "namespace": "shop"},
        "spec": {"podSelector": {}, "ingress": [{}]}}));
    assert!(index.permissive_policy_seen(&ObjectKey::new("shop", "mine"), Opened::by(&policy)));
    let range: LimitRange = read(json!({"metadata": {"name": "team", "namespace": "shop"},
        "spec": {"limits": [{"type": "Pod", "max": {"memory": "1Gi"}}]}}));
    assert!(index.limit_range_seen(&ObjectKey::new("shop", "team"), UserLimits::of(&range)));
    for (kind, name) in [(ObjectKind::NetworkPolicy, "mine"), (ObjectKind::LimitRange, "team")] {
        assert!(index.objects_listed(kind, &present(name)).is_empty(), "{name} is still there");
        let woken = index.objects_listed(kind, &HashSet::new());
        assert_eq!(woken.iter().map(|name| &**name).collect::<Vec<_>>(), ["shop"], "{name}");
    }
}

#[test]
fn weak_that_a_deny_was_in_force_is_known_until_we_take_it_away() {
    let index = Index::default();
    index.namespace_applied(&namespace("u", 1));
    let policy: NetworkPolicy = read(json!({"metadata": {"name": "gabion-default-deny",
        "namespace": "shop", "uid": "p", "resourceVersion": "2"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}));
    let object = Generated::NetworkPolicy(policy);
    let (key, seen) = (object.key(), ObservedObject::of(&object));
    let known = |denied: bool| {
        let material = index.material("shop", Timestamp::UNIX_EPOCH).expect("a namespace");
        assert_eq!((index.denied("shop"), material.observed.denied), (denied, denied));
    };
    index.object_seen("shop", &key, seen.clone());
    known(false);
    index.found_right("shop", &[(key.clone(), seen.digest)]);
    known(true);
    index.object_gone("shop", &key, &seen.uid);
    known(true);
    index.object_deleted("shop", &key);
    known(false);
}

/// Hundreds of kilobytes in each object of a tenant come to less than one.
#[test]
fn a2_what_is_kept_of_objects_of_tenants_is_bounded() {
    let index = Index::default();
    index.namespace_applied(&namespace("u", 1));
    let long = "x".repeat(250_000);
    let many: Vec<_> =
        (0..5_000).map(|nth| format!("example.com/{nth}-{}", "f".repeat(40))).collect();
    let owners: Vec<_> = (0..2_000)
        .map(|nth| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": format!("o{nth}"), "uid": "u"}))
        .collect();
    let managers: Vec<_> = (0..500)
        .map(|nth| {
            json!({"manager": format!("{nth}-{}", "m".repeat(100)), "operation": "Update",
            "fieldsV1": {"f:metadata": {"f:annotations": {"f:gabion.dev/owner": {}}}}})
        })
        .collect();
    let notes = json!({"gabion.dev/previous-automount": long, "gabion.dev/previous-spec": long,
        "gabion.dev/owner": long, "gabion.dev/adopt": long, "a": long});
    let metadata = json!({"annotations": notes, "labels": {"a": long}, "finalizers": many,
        "ownerReferences": owners, "managedFields": managers});
    index.account_applied(&account("a", 2, &metadata));
    let peers: Vec<_> = (0..40_000)
        .map(|nth| json!({"ipBlock": {"cidr": format!("10.{}.{}.0/24", nth / 250 % 250, nth % 250)}}))
        .collect();
    let mut policy = json!({"metadata": metadata, "spec": {
        "podSelector": {"matchLabels": {"a": long}}, "ingress": [{"from": peers}]}});
    policy["metadata"]["name"] = json!("gabion-allow-mine");
    policy["metadata"]["namespace"] = json!("shop");
    let policy: NetworkPolicy = read(policy);
    let selectors: Vec<_> = (0..5_000)
        .map(|nth| json!({"namespaceSelector": {"matchLabels": {format!("k{nth}"): "v"}}}))
        .collect();
    let wide: NetworkPolicy = read(json!({"metadata": {"name": "wide", "namespace": "shop"},
        "spec": {"podSelector": {}, "ingress": [{"from": selectors}]}}));
    index.permissive_policy_seen(&ObjectKey::new("shop", "wide"), Opened::by(&wide));
    let items: Vec<_> = (0..2_000)
        .map(|nth| json!({"type": "Pod", "max": {"memory": "1Gi", format!("example.com/{nth}"): "1"}}))
        .collect();
    let range: LimitRange = read(json!({"metadata": {"name": "team", "namespace": "shop"},
        "spec": {"limits": items}}));
    index.limit_range_seen(&ObjectKey::new("shop", "team"), UserLimits::of(&range));
    let kept = |index: &Index| {
        let material = index.material("shop", Timestamp::UNIX_EPOCH).expect("a namespace");
        format!("{:?}", material.observed).len()
    };
    let without = kept(&index);
    assert!(without < 8_000, "{without} bytes as text without the policy");
    let object = Generated::NetworkPolicy(policy);
    index.object_seen("shop", &object.key(), ObservedObject::of(&object));
    let with = kept(&index) - without;
    // A few names, and what it opens as one number for each of 4,096 peers.
    assert!(with < 130_000, "{with} bytes as text for a policy of megabytes");
}

#[test]
fn a2_what_is_kept_of_a_report_that_somebody_falsified_is_bounded() {
    let conditions: Vec<_> = (0..5_000)
        .map(|nth| {
            json!({"type": format!("T{nth}"), "status": "True", "reason": "R",
            "message": "m".repeat(100), "lastTransitionTime": "2026-01-01T00:00:00Z"})
        })
        .collect();
    let baselines: Vec<_> = (0..5_000)
        .map(|nth| json!({"name": format!("b{nth}"), "priority": 0, "stage": "Enforce"}))
        .collect();
    let status = json!({"conditions": conditions, "baselines": baselines});
    let digest = StatusDigest::of(&serde_json::from_value(status).unwrap());
    let kept = format!("{digest:?}").len();
    assert!(kept < 20_000, "{kept} bytes as text");
}
