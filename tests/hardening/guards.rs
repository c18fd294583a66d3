//! Scenario 24: nobody opts out. The API server holds tenants to a baseline at Enforce.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{Failure, Kubectl, Result, SOON, Subsystem, condition, eventually, repository};

use crate::scene::{PSS, Scene, frontend_to_backend};

/// What a team has that may do more than is good: it edits its namespace object and the network policies in it.
const PEOPLE: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: opting-out}
rules:
- {apiGroups: [""], resources: [namespaces, namespaces/status, namespaces/finalize], verbs: [get, list, watch, create, patch, update, delete]}
- {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: opting-out-owner}
rules:
- {apiGroups: [""], resources: [namespaces], verbs: [set-pss-labels]}
- {apiGroups: [gabion.dev], resources: [hardeningbaselines], verbs: [protect-override]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: opting-out}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: opting-out}
subjects: [{kind: User, name: dev-out}, {kind: User, name: owner-out}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: opting-out-owner}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: opting-out-owner}
subjects: [{kind: User, name: owner-out}]
"#;

/// Somebody with kubectl.
struct As<'a>(&'a Kubectl, &'a str);

impl As<'_> {
    fn patch(&self, namespace: &str, metadata: &Value, more: &[&str]) -> Result<String> {
        let patch = json!({ "metadata": metadata }).to_string();
        let mut words =
            vec!["patch", "namespace", namespace, "--as", self.1, "--type=merge", "-p", &patch];
        words.extend(more);
        self.0.run(&words)
    }

    /// Asks whether a policy of this spec would be taken.
    fn network(&self, namespace: &str, spec: &Value) -> Result<(), String> {
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "mine", "namespace": namespace}, "spec": spec});
        let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        std::fs::write(file.path(), object.to_string()).map_err(|error| error.to_string())?;
        let path = file.path().display().to_string();
        let words = ["create", "--as", self.1, "--dry-run=server", "-f", &path];
        self.0.run(&words).map(drop).map_err(|error| error.to_string())
    }
}

fn refused(answer: Result<String>, words: &str) {
    let why = answer.expect_err(words).to_string();
    assert!(why.contains(words), "{why}");
}

/// Waits until the baseline denies, guards included.
async fn enforced(scene: &Scene<'_>, baseline: &str, metadata: &Value, ns: &str) -> Result<()> {
    scene.baseline_says(baseline, "Ready", "True", "Applied").await?;
    let admin = scene.env.plane().admin()?;
    eventually(SOON, "the guards are in force", || async {
        match As(&admin, "dev-out").patch(ns, metadata, &["--dry-run=server"]) {
            Err(why) if why.to_string().contains("is enforced in namespace") => Ok(()),
            other => Err(Failure::new(format!("{other:?}"))),
        }
    })
    .await
}

#[tokio::test]
async fn hardening_24_a_tenant_who_edits_the_namespace_stays_in_its_baseline() -> Result<()> {
    const NAME: &str = "opting-out-labels";
    let scene = Scene::new(NAME).await?;
    let admin = scene.env.plane().admin()?;
    admin.apply_yaml(PEOPLE)?;
    let (dev, owner) = (As(&admin, "dev-out"), As(&admin, "owner-out"));
    scene.baseline(NAME, json!({"podSecurity": {"level": "restricted"}})).await?;
    let away = json!({"labels": {"set": "else"}});
    enforced(&scene, NAME, &away, NAME).await?;
    let enforce = format!("{PSS}enforce");
    scene.label_is(NAME, &enforce, json!("restricted")).await?;

    let message = "hardening baseline opting-out-labels is enforced in namespace opting-out-labels";
    for labels in [
        json!({"set": "else"}),
        json!({"set": null}),
        json!({"set": "", "x": "y"}),
        json!({ enforce.as_str(): "privileged" }),
        json!({ enforce.as_str(): null }),
        json!({ format!("{PSS}warn-version"): "v1.20" }),
        json!({ format!("{PSS}audit"): null, "set": "else" }),
        json!({ format!("{PSS}enforce-version"): null }),
    ] {
        for below in [vec![], vec!["--subresource=status"]] {
            refused(dev.patch(NAME, &json!({"labels": labels}), &below), message);
        }
    }
    // All else is theirs.
    dev.patch(NAME, &json!({"labels": {"team": "a"}, "annotations": {"x": "y"}}), &[])?;
    dev.patch(NAME, &json!({"labels": {"team": null, "set": NAME}}), &[])?;
    // A namespace that no baseline reaches can come in, and one that is born outside may stay there.
    let outside = format!("{NAME}-2");
    scene.cluster.create(json!({"kind": "Namespace", "metadata": {"name": outside}})).await?;
    dev.patch(&outside, &json!({"labels": {"set": "else"}}), &[])?;
    dev.patch(&outside, &json!({"labels": {"set": NAME}}), &[])?;
    refused(dev.patch(&outside, &away, &[]), "the labels set decide which baselines reach it");
    // Who has the verb may, and Gabion puts its own labels back.
    owner.patch(NAME, &json!({"labels": { enforce.as_str(): "privileged" }}), &[])?;
    scene.label_is(NAME, &enforce, json!("restricted")).await?;
    owner.patch(&outside, &away, &[])?;
    scene.bare(&outside).await?;
    // A namespace is deleted and finalized by whoever may.
    admin.run(&["delete", "namespace", NAME, "--as", "dev-out", "--timeout=60s"])?;
    scene.take_back(NAME).await
}

/// Whether a namespace with these labels is selected, as the API server says.
fn selected(admin: &Kubectl, name: &str, selector: &str) -> Result<bool> {
    let field = format!("metadata.name={name}");
    let found =
        admin.run(&["get", "ns", "-l", selector, "--field-selector", &field, "-o", "name"])?;
    Ok(!found.trim().is_empty())
}

/// The reference is the API server's own reading of a selector.
#[tokio::test]
async fn a_label_guard_holds_just_where_the_selector_does() -> Result<()> {
    const NAME: &str = "opting-out-selectors";
    let scene = Scene::without_namespace(Subsystem::Hardening.shared()?, NAME).await?;
    let admin = scene.env.plane().admin()?;
    admin.apply_yaml(PEOPLE)?;
    let dev = As(&admin, "dev-out");
    let mark = json!({"key": "opting-out-set", "operator": "Exists"});
    let namespaces: BTreeMap<String, Value> = [
        json!({}),
        json!({"tier": "gold"}),
        json!({"tier": ""}),
        json!({"tier": "silver", "free": "yes"}),
        json!({"free": ""}),
    ]
    .into_iter()
    .enumerate()
    .map(|(nth, mut labels)| {
        labels["opting-out-set"] = "1".into();
        (format!("{NAME}-{nth}"), labels)
    })
    .collect();
    for (name, labels) in &namespaces {
        let metadata = json!({"name": name, "labels": labels});
        scene.cluster.create(json!({"kind": "Namespace", "metadata": metadata})).await?;
    }
    for (nth, (selector, words)) in [
        (json!({"matchLabels": {"tier": "gold"}}), "tier=gold"),
        (json!({"matchLabels": {"tier": ""}}), "tier="),
        (json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "silver"]}]}), "tier in (gold,silver)"),
        (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}), "tier notin (gold)"),
        (json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}), "tier"),
        (json!({"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}], "matchLabels": {"tier": "gold"}}), "!free,tier=gold"),
        (json!({"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]}), "!free"),
    ]
    .into_iter()
    .enumerate()
    {
        let baseline = format!("opting-out-{nth}");
        let mut selector = selector;
        let expressions = selector["matchExpressions"].as_array().cloned().unwrap_or_default();
        selector["matchExpressions"] = expressions.into_iter().chain([mark.clone()]).collect();
        let spec = json!({"namespaceSelector": selector, "rollout": {"target": "Enforce"}, "serviceAccounts": {"automountToken": "Unmanaged"}});
        scene.cluster.create(json!({"kind": "HardeningBaseline", "metadata": {"name": baseline}, "spec": spec})).await?;
        let words = format!("opting-out-set,{words}");
        let mut expected = BTreeMap::new();
        for name in namespaces.keys() {
            expected.insert(name.as_str(), selected(&admin, name, &words)?);
        }
        assert!(expected.values().any(|held| *held) && expected.values().any(|held| !*held));
        // The label by which the baseline may be left or entered.
        let change = json!({"labels": {"tier": "bronze", "free": "no", "opting-out-set": "2"}});
        eventually(SOON, &words, || async {
            for (name, held) in &expected {
                let answer = dev.patch(name, &change, &["--dry-run=server"]);
                if answer.is_err() != *held {
                    return Err(Failure::new(format!("{words} {name} {held}: {answer:?}")));
                }
            }
            Ok(())
        })
        .await?;
        scene.take_back(&baseline).await?;
    }
    Ok(())
}

fn ingress(from: Value) -> Value {
    json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{ "from": from }]})
}

fn egress(to: Value, ports: Value) -> Value {
    json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{ "to": to, "ports": ports }]})
}

fn blocks(cidrs: &[&str]) -> Value {
    cidrs.iter().map(|cidr| json!({"ipBlock": {"cidr": cidr}})).collect()
}

fn namespaces(key: &str, operator: &str, values: Value) -> Value {
    let mut requirement = json!({"key": key, "operator": operator});
    if !values.is_null() {
        requirement["values"] = values;
    }
    json!([{"namespaceSelector": {"matchExpressions": [requirement]}}])
}

#[tokio::test]
async fn hardening_24_a_tenant_opens_nothing_that_is_denied() -> Result<()> {
    const NAME: &str = "opting-out-network";
    let scene = Scene::new(NAME).await?;
    let admin = scene.env.plane().admin()?;
    admin.apply_yaml(PEOPLE)?;
    let dev = As(&admin, "dev-out");
    let wide = ingress(json!([]));
    // Policies from before stay; that they open is said.
    let before = json!({"kind": "NetworkPolicy", "metadata": {"name": "before", "namespace": NAME}, "spec": wide});
    scene.cluster.create(before).await?;
    let mut everyone = frontend_to_backend();
    everyone["from"] = json!([{"ipBlock": {"cidr": "0.0.0.0/0"}}]);
    everyone["acknowledgeAnyCIDR"] = true.into();
    let network = json!({"guardUserPolicies": "Deny", "allow": [everyone]});
    scene.baseline(NAME, json!({"network": network})).await?;
    enforced(&scene, NAME, &json!({"labels": {"set": "else"}}), NAME).await?;
    // Gabion itself writes what the baseline allows.
    let opened = "gabion-allow-frontend-to-backend";
    scene.cluster.until("NetworkPolicy", NAME, opened, |_| Ok::<_, String>(())).await?;
    scene
        .effective(NAME, |status| {
            condition(&json!({"status": status}), "Conflict").to_string().contains("before")
                || status.to_string().contains("NetworkPolicy/before")
        })
        .await?;

    let web = json!([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]);
    for (spec, taken) in [
        (wide.clone(), false),
        (json!({"podSelector": {}, "ingress": [{}]}), false),
        (ingress(json!([{"namespaceSelector": {}}])), false),
        (ingress(json!([{"namespaceSelector": {}, "podSelector": {}}])), false),
        (ingress(web), true),
        (ingress(namespaces("kubernetes.io/metadata.name", "Exists", Value::Null)), false),
        (ingress(namespaces("nope", "DoesNotExist", Value::Null)), false),
        (ingress(namespaces("team", "NotIn", json!(["b"]))), false),
        (ingress(namespaces("team", "In", json!(["b"]))), true),
        (ingress(namespaces("team", "Exists", Value::Null)), true),
        (ingress(json!([{"podSelector": {}}])), true),
        (ingress(blocks(&["0.0.0.0/0"])), false),
        (ingress(blocks(&["0.0.0.0/1", "128.0.0.0/1"])), false),
        (ingress(blocks(&["64.0.0.0/2", "32.0.0.0/3", "16.0.0.0/4"])), false),
        (ingress(blocks(&["10.0.0.0/8", "192.168.0.0/16", "203.0.113.0/24"])), true),
        (ingress(blocks(&["::/0"])), false),
        (ingress(blocks(&["2000::/4"])), false),
        (ingress(blocks(&["2000::/5", "2800::/5", "3000::/5"])), false),
        (ingress(blocks(&["2001:db8::/32", "fd00::/8"])), true),
        (egress(blocks(&["0.0.0.0/0"]), json!([])), false),
        (egress(blocks(&["0.0.0.0/0"]), json!([{"port": 443}])), true),
        (egress(json!([]), json!([{"protocol": "UDP", "port": "dns"}])), true),
        (egress(json!([]), json!([{"protocol": "UDP"}])), false),
        (egress(json!([]), json!([{"port": 1, "endPort": 65535}])), false),
        (
            json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [], "egress": [{}]}),
            true,
        ),
        (json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": []}), true),
    ] {
        let answer = dev.network(NAME, &spec);
        assert_eq!(answer.is_ok(), taken, "{spec}: {answer:?}");
        let words = "opens it to everyone";
        assert!(taken || answer.is_err_and(|why| why.contains(words)), "{spec}");
    }
    // The peers of all rules count together.
    let mut halves = ingress(blocks(&["0.0.0.0/2"]));
    let more = json!({"from": blocks(&["64.0.0.0/2"])});
    halves["ingress"].as_array_mut().expect("rules").push(more);
    assert!(dev.network(NAME, &halves).is_err());
    assert!(As(&admin, "owner-out").network(NAME, &wide).is_ok());
    // One from before can be labelled, and deleted, but not made wide anew.
    let policy = ["networkpolicy", "before", "-n", NAME, "--as", "dev-out"];
    let with =
        |words: &[&'static str]| -> Vec<&str> { words.iter().copied().chain(policy).collect() };
    admin.run(&[&with(&["label"])[..], &["x=y"]].concat())?;
    let patch = r#"{"spec":{"ingress":[{},{}]}}"#;
    refused(
        admin.run(&[&with(&["patch"])[..], &["--type=merge", "-p", patch]].concat()),
        "opens it to everyone",
    );
    admin.run(&with(&["delete"]))?;
    // Report is milder.
    scene.change(NAME, json!({"network": {"guardUserPolicies": "Report"}})).await?;
    eventually(SOON, "what is only reported is taken", || async { dev.network(NAME, &wide) })
        .await?;
    scene.take_back(NAME).await
}

#[tokio::test]
async fn hardening_18_a_protected_baseline_is_deleted_by_whoever_says_so() -> Result<()> {
    const NAME: &str = "protected-deletion";
    let scene = Scene::new(NAME).await?;
    let admin = scene.env.plane().admin()?;
    admin.apply_path(&repository().join("config/rbac/protection.yaml"))?;
    scene.baseline(NAME, json!({"deletionProtection": true})).await?;
    eventually(SOON, "the guard is in force", || async {
        match admin.run(&["delete", "hb", NAME, "--dry-run=server"]) {
            Err(why) if why.to_string().contains("gabion.dev/confirm-delete") => Ok(()),
            other => Err(Failure::new(format!("{other:?}"))),
        }
    })
    .await?;
    let note = json!({"metadata": {"annotations": {"gabion.dev/confirm-delete": "else"}}});
    scene.cluster.patch("HardeningBaseline", "", NAME, note).await?;
    refused(admin.run(&["delete", "hb", NAME]), "gabion.dev/confirm-delete to its name first");
    refused(
        admin.run(&["delete", "hb", "--field-selector", "metadata.name=protected-deletion"]),
        "gabion.dev/confirm-delete",
    );
    scene.take_back(NAME).await?;
    // One that does not ask for it is deleted as ever.
    let other = format!("{NAME}-2");
    scene.baseline(&other, json!({})).await?;
    admin.run(&["delete", "hb", &other, "--timeout=60s"]).map(drop)
}
