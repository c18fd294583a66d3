//! The scenarios of the hardening contract, on a namespace in memory: order of writes, what stays reachable at
//! every point, what comes back at the end.

use std::collections::BTreeMap;

use gabion::api::gabion::hardening_baseline::ConflictPolicy;
use gabion::api::gabion::hardening_baseline::DeletionPolicy;
use gabion::hardening::plan::effective;
use gabion::hardening::plan::error::Error;
use gabion::hardening::plan::labels;
use gabion::hardening::plan::namespace::{Input, needs_pods, plan, remaining};
use gabion::hardening::plan::objects::{Generated, GeneratedKey, ObjectKind};
use gabion::hardening::plan::steps::Step;
use gabion::hardening::plan::teardown::Leaving;
use gabion::quantity::Quantity;
use k8s_openapi::api::networking::v1::NetworkPolicyIngressRule;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::model_namespace::Model;
use crate::shop::{assert_dns, dns_facts, enforced, planned, planned_with, prod};

#[test]
fn the_full_set_appears_in_order_and_goes_in_the_reverse_order() {
    let mut model = Model::new(&[("env", "prod")]);
    let before = model.content();
    model.apply_all(&planned(&model, &[prod()]));
    assert_eq!(
        model.events,
        [
            "LABELS",
            "ADDED NetworkPolicy/gabion-allow-frontend-to-backend",
            "ADDED NetworkPolicy/gabion-egress-frontend-to-backend",
            "ADDED NetworkPolicy/gabion-allow-dns",
            "ADDED NetworkPolicy/gabion-default-deny",
            "ADDED LimitRange/gabion-limits",
            "ADDED ResourceQuota/gabion-quota",
            "ACCOUNT builder",
            "ACCOUNT default",
        ]
    );
    assert_eq!(model.labels.len(), 1 + 6);
    assert_eq!(model.labels["pod-security.kubernetes.io/enforce"], "restricted");
    assert_eq!(model.labels["pod-security.kubernetes.io/enforce-version"], "v1.36");
    for object in model.objects.values() {
        let meta = object.meta();
        assert_eq!(meta.labels.as_ref().expect("labels")["app.kubernetes.io/managed-by"], "gabion");
        assert_eq!(meta.annotations.as_ref().expect("annotations")["gabion.dev/owner"], "uid-prod");
    }
    model.events.clear();
    model.apply_all(&planned(&model, &[]));
    assert_eq!(model.events[0], "DELETED NetworkPolicy/gabion-default-deny");
    assert_eq!(
        &model.events[4..6],
        ["DELETED ResourceQuota/gabion-quota", "DELETED LimitRange/gabion-limits"]
    );
    assert_eq!(model.events.last().map(String::as_str), Some("LABELS"));
    assert_eq!(model.content(), before);
}

#[test]
fn a_steady_namespace_gets_no_write_and_every_drift_gets_one() {
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, &[prod()]));
    assert!(planned(&model, &[prod()]).is_settled());
    let steady = model.content();

    for key in model.objects.keys().cloned().collect::<Vec<_>>() {
        let mut deleted = model.clone();
        deleted.objects.remove(&key);
        let repair = planned(&deleted, &[prod()]);
        assert_eq!(repair.steps().count(), 1, "{key}");
        deleted.apply_all(&repair);
        assert_eq!(deleted.content(), steady);

        let mut edited = model.clone();
        let mut object = edited.objects[&key].clone();
        object.meta_mut().labels.get_or_insert_default().insert("team".into(), "web".into());
        match &mut object {
            Generated::NetworkPolicy(policy) => {
                policy.spec.as_mut().expect("spec").ingress =
                    Some(vec![NetworkPolicyIngressRule::default()]);
            }
            Generated::LimitRange(range) => range.spec.as_mut().expect("spec").limits.clear(),
            Generated::ResourceQuota(quota) => quota.spec = None,
        }
        edited.put(object);
        let repair = planned(&edited, &[prod()]);
        assert_eq!(repair.steps().count(), 1, "{key}");
        edited.apply_all(&repair);
        assert_eq!(edited.objects[&key].spec_digest(), model.objects[&key].spec_digest());
        assert_eq!(
            edited.objects[&key].meta().labels.as_ref().expect("labels")["team"],
            "web",
            "a user's label stays"
        );
    }
}

#[test]
fn a_teardown_that_is_killed_between_any_two_writes_ends_the_same() {
    let mut hardened =
        Model::new(&[("env", "prod"), ("pod-security.kubernetes.io/enforce", "baseline")]);
    let before = hardened.content();
    hardened.apply_all(&planned(&hardened, &[prod()]));
    assert_eq!(hardened.labels["pod-security.kubernetes.io/enforce"], "restricted");
    let leaving = [Leaving { uid: "uid-prod".into(), policy: DeletionPolicy::Revert }];
    let whole = planned_with(&hardened, &[], &leaving, &BTreeMap::new());
    for killed_after in 0..=whole.steps().count() {
        let mut model = hardened.clone();
        whole.steps().take(killed_after).for_each(|step| model.apply(step));
        let rest = planned_with(&model, &[], &leaving, &BTreeMap::new());
        model.apply_all(&rest);
        assert_eq!(model.content(), before, "killed after {killed_after}");
        let end = planned_with(&model, &[], &leaving, &BTreeMap::new());
        assert!(remaining(&"uid-prod".into(), &model.observed(), &end).is_empty());
        assert!(end.is_settled());
    }
}

#[test]
fn hardening_that_is_killed_between_any_two_writes_ends_the_same() {
    let fresh = Model::new(&[("env", "prod")]);
    let whole = planned(&fresh, &[prod()]);
    let mut done = fresh.clone();
    done.apply_all(&whole);
    for killed_after in 0..=whole.steps().count() {
        let mut model = fresh.clone();
        whole.steps().take(killed_after).for_each(|step| model.apply(step));
        assert_dns(&model, "killed");
        model.apply_all(&planned(&model, &[prod()]));
        assert_eq!(model.content(), done.content(), "killed after {killed_after}");
    }
}

#[test]
fn deleting_one_of_two_baselines_never_leaves_the_namespace_open() {
    let section = |rule: &str, pods: &str, level: &str| {
        json!({ "podSecurity": { "level": level }, "resources": { "quota": { "hard": { "pods": pods } } },
            "network": { "allow": [{ "name": rule, "from": [{ "podSelector": { "matchLabels": { "app": "frontend" } } }] }] } })
    };
    let org = enforced("org", 10, section("x", "100", "baseline"));
    let pci = enforced("pci", 50, section("y", "20", "restricted"));
    let mut both = Model::new(&[("env", "prod")]);
    both.apply_all(&planned(&both, &[org.clone(), pci.clone()]));
    let mut swapped = Model::new(&[("env", "prod")]);
    swapped.apply_all(&planned(&swapped, &[pci, org.clone()]));
    assert_eq!(both.content(), swapped.content());
    let has = |model: &Model, name: &str| {
        model.objects.contains_key(&GeneratedKey::new(ObjectKind::NetworkPolicy, name))
    };
    assert!(has(&both, "gabion-allow-y") && !has(&both, "gabion-allow-x"));

    let leaving = [Leaving { uid: "uid-pci".into(), policy: DeletionPolicy::Revert }];
    for step in planned_with(&both, std::slice::from_ref(&org), &leaving, &BTreeMap::new()).steps()
    {
        both.apply(step);
        assert!(has(&both, "gabion-default-deny"), "{}", step.object());
        assert!(
            both.objects
                .contains_key(&GeneratedKey::new(ObjectKind::ResourceQuota, "gabion-quota"))
        );
        assert!(both.labels.contains_key("pod-security.kubernetes.io/enforce"));
        assert_dns(&both, &step.object());
    }
    let mut only_org = Model::new(&[("env", "prod")]);
    only_org.apply_all(&planned(&only_org, &[org]));
    assert_eq!(both.content(), only_org.content());
}

fn foreign(name: &str, annotations: Value) -> Generated {
    let policy = json!({ "metadata": { "name": name, "namespace": "shop", "annotations": annotations,
            "managedFields": [{ "manager": "kubectl-create", "operation": "Update" }] },
        "spec": { "podSelector": { "matchLabels": { "app": "own" } }, "policyTypes": ["Ingress"] } });
    Generated::NetworkPolicy(serde_json::from_value(policy).expect("a policy"))
}

#[test]
fn a_name_taken_by_somebody_else_is_left_alone_and_the_rest_is_applied() {
    let mut model = Model::new(&[("env", "prod")]);
    model.put(foreign("gabion-default-deny", json!({})));
    let key = GeneratedKey::new(ObjectKind::NetworkPolicy, "gabion-default-deny");
    let theirs = model.objects[&key].clone();
    let plan = planned(&model, &[prod()]);
    assert_eq!(
        plan.problems,
        [Error::NameTaken { object: key.to_string(), manager: "kubectl-create".into() }]
    );
    model.apply_all(&plan);
    assert_eq!(model.objects[&key], theirs);
    assert!(
        model
            .objects
            .contains_key(&GeneratedKey::new(ObjectKind::NetworkPolicy, "gabion-allow-dns"))
    );
    assert_eq!(
        model.objects.keys().filter(|k| k.name.contains("deny")).count(),
        1,
        "no second deny"
    );

    model.objects.insert(key.clone(), theirs);
    model.put(foreign("gabion-default-deny", json!({ "gabion.dev/adopt": "true" })));
    let before = model.objects[&key].spec();
    model.apply_all(&planned(&model, &[prod()]));
    assert_ne!(model.objects[&key].spec(), before);
    let plan = planned(&model, &[prod()]);
    assert!(plan.problems.is_empty() && plan.is_settled());
    model.apply_all(&planned(&model, &[]));
    let left = &model.objects[&key];
    assert_eq!(left.spec(), before, "the content from before adoption is back");
    assert_eq!(left.meta().labels.clone().unwrap_or_default(), BTreeMap::new());
    assert_eq!(model.objects.len(), 1);
}

#[test]
fn nothing_is_denied_while_the_policy_that_keeps_dns_open_is_not_ours() {
    let mut model = Model::new(&[("env", "prod")]);
    model.put(foreign("gabion-allow-dns", json!({})));
    let plan = planned(&model, &[prod()]);
    assert!(plan.problems.contains(&Error::AllowMissing("NetworkPolicy/gabion-allow-dns".into())));
    assert!(plan.steps().all(|step| step.object() != "NetworkPolicy/gabion-default-deny"));
}

#[test]
fn weak_a_deny_that_was_in_force_is_kept_although_the_name_of_the_dns_policy_is_taken() {
    const DENY: &str = "NetworkPolicy/gabion-default-deny";
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, &[prod()]));
    let key = GeneratedKey::new(ObjectKind::NetworkPolicy, "gabion-default-deny");
    let denies = |model: &Model, denied: bool, contested: &BTreeMap<String, String>| {
        let (baselines, mut observed) = ([prod()], model.observed());
        observed.denied = denied;
        let input = Input {
            baselines: &baselines,
            leaving: &[],
            observed: &observed,
            dns: &dns_facts(),
            contested,
        };
        let plan = plan(input);
        let held = plan.problems.iter().any(|problem| matches!(problem, Error::AllowMissing(_)));
        assert!(!plan.problems.is_empty(), "the policy that is not ours is said all the same");
        (plan.steps().any(|step| step.object() == DENY), held)
    };
    let (nobody, fought) = (
        BTreeMap::new(),
        [("NetworkPolicy/gabion-allow-dns".to_owned(), "mallory".to_owned())].into(),
    );

    // Somebody fights over the policy that keeps DNS open, and takes the deny away.
    let ours = model.objects.remove(&key).expect("a deny");
    assert_eq!(denies(&model, true, &fought), (true, false));
    // Or takes its name.
    model.put(foreign("gabion-allow-dns", json!({})));
    assert_eq!(denies(&model, true, &nobody), (true, false));
    assert_eq!(denies(&model, false, &nobody), (false, true), "it never was in force");
    // What is there and was opened is put right.
    let mut open = ours;
    let Generated::NetworkPolicy(policy) = &mut open else { panic!("a policy") };
    policy.spec.as_mut().expect("a spec").ingress = Some(vec![NetworkPolicyIngressRule::default()]);
    model.put(open);
    for denied in [false, true] {
        assert_eq!(denies(&model, denied, &nobody), (true, false));
    }
}

#[test]
fn a_quota_below_usage_is_held_and_comes_after_the_limits_when_usage_falls() {
    let mut model = Model::new(&[("env", "prod")]);
    assert!(needs_pods(&[prod()], &model.observed()));
    let used = |text| {
        Some([("limits.memory".to_owned(), Quantity::parse(text).expect("quantity"))].into())
    };
    model.usage = used("80Gi");
    let plan = planned(&model, &[prod()]);
    let status =
        effective::next_status(&effective::StatusDigest::default(), &[prod()], &plan, None, now());
    let status = status.expect("a status");
    assert_eq!(status.held, ["Held: QuotaBelowUsage limits.memory used=80Gi hard=64Gi"]);
    let condition = status.conditions.iter().find(|c| c.type_ == "Held").expect("Held");
    assert!(condition.message.contains("Held: QuotaBelowUsage limits.memory used=80Gi hard=64Gi"));
    model.apply_all(&plan);
    let quota = GeneratedKey::new(ObjectKind::ResourceQuota, "gabion-quota");
    // What is not in excess is in force.
    let hard = |model: &Model| model.objects[&quota].spec()["hard"].clone();
    assert_eq!(hard(&model), json!({"pods": "200", "services.nodeports": "0"}));
    assert!(
        model.objects.contains_key(&GeneratedKey::new(ObjectKind::LimitRange, "gabion-limits"))
    );
    model.usage = used("50Gi");
    model.apply_all(&planned(&model, &[prod()]));
    assert_eq!(hard(&model)["limits.memory"], "64Gi");
    assert!(!needs_pods(&[prod()], &model.observed()));
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

#[test]
fn observing_writes_nothing_and_says_what_enforcing_would_do() {
    let model = Model::new(&[("env", "prod")]);
    let mut baseline = prod();
    baseline.stage = gabion::api::gabion::hardening_baseline::Stage::Observe;
    let plan = planned(&model, std::slice::from_ref(&baseline));
    assert!(plan.is_settled() && plan.merged.rows.is_empty());
    let status = effective::next_status(
        &effective::StatusDigest::default(),
        &[baseline],
        &plan,
        None,
        now(),
    );
    let preview = status.expect("a status").preview;
    assert!(
        preview.iter().any(|row| row.item == "podSecurity.enforce" && row.value == "restricted")
    );
    assert!(
        preview.iter().any(|row| row.item == "resources.quota.hard[pods]" && row.value == "200")
    );
}

#[test]
fn a_retained_namespace_keeps_everything_but_our_marks() {
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, &[prod()]));
    let labels = model.labels.clone();
    let specs: Vec<_> = model.objects.values().map(Generated::spec).collect();
    let leaving = [Leaving { uid: "uid-prod".into(), policy: DeletionPolicy::Retain }];
    let departure = planned_with(&model, &[], &leaving, &BTreeMap::new());
    assert!(departure.steps().all(|step| !matches!(step, Step::Delete { .. })));
    model.apply_all(&departure);
    assert_eq!(model.objects.values().map(Generated::spec).collect::<Vec<_>>(), specs);
    assert_eq!((model.labels.clone(), model.annotations.len()), (labels, 0));
    assert_eq!(model.accounts["default"], (Some(false), None));
    assert!(
        model.objects.values().all(|o| o
            .meta()
            .owner_references
            .as_ref()
            .is_none_or(Vec::is_empty))
    );
    assert!(planned(&model, &[]).is_settled());
}

#[test]
fn labels_that_somebody_else_owns_or_fights_for_are_not_written() {
    let model = Model::new(&[("env", "prod")]);
    let external = enforced("ext", 1, json!({ "podSecurity": { "labelOwnership": "External" } }));
    let plan = planned(&model, &[external]);
    assert!(plan.is_settled());
    assert!(
        matches!(&plan.problems[..], [Error::LabelsDiffer(text)] if text.contains("enforce is absent"))
    );

    let key = format!("{}enforce", labels::PREFIX);
    let contested = [(key.clone(), "argocd-controller".to_owned())].into();
    let plan = planned_with(&model, &[prod()], &[], &contested);
    assert!(
        matches!(&plan.problems[..], [Error::FieldOwnedBy { manager, .. }] if manager == "argocd-controller")
    );
    let patch = plan
        .steps()
        .find_map(|step| if let Step::Labels(patch) = step { Some(patch) } else { None });
    let patch = patch.expect("the other labels");
    assert!(patch.apply.len() == 5 && !patch.apply.contains_key(&key));
}

#[test]
fn a_namespace_that_is_being_deleted_gets_no_write_and_blocks_nothing() {
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, &[prod()]));
    let mut observed = model.observed();
    observed.terminating = true;
    let contested = BTreeMap::new();
    let plan = plan(Input {
        baselines: &[],
        leaving: &[],
        observed: &observed,
        dns: &dns_facts(),
        contested: &contested,
    });
    assert!(plan.is_settled());
    assert!(remaining(&"uid-prod".into(), &observed, &plan).is_empty());
}

#[test]
fn status_says_where_each_value_comes_from_and_is_written_once() {
    let mut model = Model::new(&[("env", "prod")]);
    model.apply_all(&planned(&model, &[prod()]));
    let plan = planned(&model, &[prod()]);
    let baselines = [prod()];
    let first =
        effective::next_status(&effective::StatusDigest::default(), &baselines, &plan, None, now());
    let first = first.expect("a status");
    let quota = first
        .values
        .iter()
        .find(|row| row.item == "resources.quota.hard[limits.memory]")
        .expect("a row");
    assert_eq!((quota.value.as_str(), quota.baseline.as_str()), ("64Gi", "prod-restricted"));
    assert_eq!(first.dns.as_ref().expect("dns").source, "Service kube-system/kube-dns");
    assert!(first.values.len() <= 64);
    let later = Timestamp::from_second(1_900_000_000).expect("a time");
    assert_eq!(
        effective::next_status(
            &effective::StatusDigest::of(&first),
            &baselines,
            &plan,
            None,
            later
        ),
        None
    );
    assert!(first.previous.iter().any(|p| p.item.ends_with("/enforce") && p.value.is_none()));
}

#[test]
fn an_object_that_says_the_same_is_adopted_only_where_that_is_asked() {
    let mut model = Model::new(&[("env", "prod")]);
    let key = GeneratedKey::new(ObjectKind::NetworkPolicy, "gabion-default-deny");
    let theirs = |types: &[&str]| {
        let Generated::NetworkPolicy(mut policy) = foreign("gabion-default-deny", json!({})) else {
            panic!("a policy")
        };
        let spec = policy.spec.as_mut().expect("a spec");
        spec.pod_selector =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector::default());
        spec.policy_types = Some(types.iter().map(|t| (*t).to_owned()).collect());
        Generated::NetworkPolicy(policy)
    };
    let mut adopting = prod();
    for (policy, types, adopted) in [
        (ConflictPolicy::Report, &["Egress", "Ingress"][..], false),
        (ConflictPolicy::Adopt, &["Egress", "Ingress"][..], true),
        (ConflictPolicy::Adopt, &["Ingress"][..], false),
        (ConflictPolicy::Force, &["Ingress"][..], false),
    ] {
        model.put(theirs(types));
        adopting.conflict_policy = policy;
        let plan = planned(&model, std::slice::from_ref(&adopting));
        let update = |step: &Step| {
            matches!(step, Step::Update { adopting: true, .. }) && step.object() == key.to_string()
        };
        assert_eq!(plan.steps().any(update), adopted, "{policy} {types:?}");
        assert_eq!(plan.problems.is_empty(), adopted);
    }
}

#[test]
fn an_object_that_somebody_keeps_changing_is_left_alone_and_the_rest_is_kept() {
    let model = Model::new(&[("env", "prod")]);
    let contested = [("LimitRange/gabion-limits".to_owned(), "helm".to_owned())].into();
    let plan = planned_with(&model, &[prod()], &[], &contested);
    assert!(plan.steps().all(|step| step.object() != "LimitRange/gabion-limits"));
    assert!(plan.steps().any(|step| step.object() == "NetworkPolicy/gabion-default-deny"));
    assert!(
        matches!(&plan.problems[..], [Error::FieldOwnedBy { manager, .. }] if manager == "helm")
    );
}

#[test]
fn registries_that_exclude_each_other_are_a_conflict() {
    let model = Model::new(&[("env", "prod")]);
    let with =
        |name, list: &[&str]| enforced(name, 1, json!({ "images": { "allowedRegistries": list } }));
    for (other, empty) in [
        ("b.example", true),
        ("a.example/team", false),
        ("a.example.evil", true),
        ("a.example", false),
    ] {
        let plan = planned(
            &model,
            &[with("one", &["a.example"]), with("two", &[other]), with("none", &[])],
        );
        assert_eq!(
            plan.problems,
            if empty { vec![Error::EmptyIntersection("one, two".into())] } else { vec![] },
            "{other}"
        );
    }
}

#[test]
fn a_status_with_many_rules_stays_bounded_and_says_what_is_left_out() {
    let rules: Vec<Value> = (0..64)
        .map(|i| json!({ "name": format!("r{i}"), "from": [{ "podSelector": {} }] }))
        .collect();
    let many = [enforced("many", 1, json!({ "podSecurity": {}, "network": { "allow": rules } }))];
    let plan = planned(&Model::new(&[("env", "prod")]), &many);
    let status =
        effective::next_status(&effective::StatusDigest::default(), &many, &plan, None, now());
    let values = status.expect("a status").values;
    assert_eq!(values.len(), 64);
    let last = values.last().expect("a row");
    assert_eq!((last.item.as_str(), last.value.as_str()), ("more", "10"));
    assert!(values.iter().any(|row| row.item == "podSecurity.enforce"));
}
