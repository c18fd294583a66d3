//! What happens to pods and workloads that exist: no way around a policy, and nothing that gets stuck.

use gabion::api::gabion::hardening_baseline::Verdict;
use gabion::policy::Settings;
use serde_json::{Value, json};
use support::Result;

use crate::{
    live::{Answer, Api, plane},
    ours,
    pods::bases,
};

fn settings(templates: Verdict) -> Settings {
    Settings {
        templates,
        tags: gabion::api::gabion::hardening_baseline::Tags::DenyLatest,
        allowed_registries: vec!["registry.corp.example/prod".to_owned()],
        ..Settings::built_in("restricted").expect("a built-in name")
    }
}

fn pod(name: &str, bad: bool) -> Value {
    let mut pod = bases()[1].1.clone();
    pod["metadata"] = json!({"name": name, "finalizers": ["example.com/hold"]});
    if bad {
        pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
        pod["spec"]["containers"][0]["image"] = "nginx".into();
    }
    pod
}

fn deployment(bad: bool) -> Value {
    let labels = json!({"app": "old"});
    json!({"metadata": {"name": "old"}, "spec": {"replicas": 0, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod("x", bad)["spec"]}}})
}

/// A namespace with a good pod, a bad one and a bad Deployment, all older than the policies that come then.
async fn old_namespace(api: &Api, name: &str, templates: Verdict) -> Result<()> {
    api.namespace(name).await?;
    let pods = format!("/api/v1/namespaces/{name}/pods");
    api.create(&pods, &pod("good", false)).await?;
    api.create(&pods, &pod("bad", true)).await?;
    api.create(&format!("/apis/apps/v1/namespaces/{name}/deployments"), &deployment(true)).await?;
    api.label(name, &json!({"bar": name})).await?;
    api.put_in_force(&ours::compiled(&settings(templates), name), name).await
}

async fn patch(api: &Api, url: &str, change: Value) -> Result<Answer> {
    api.send("PATCH", url, "application/merge-patch+json", &change).await
}

#[tokio::test]
async fn no_update_of_a_good_pod_gets_around_the_policy() -> Result<()> {
    let api = Api(plane()?.client().await?);
    old_namespace(&api, "bypass", Verdict::Warn).await?;
    let good = "/api/v1/namespaces/bypass/pods/good";
    let debugger = |image: &str, context: Value| json!({"spec": {"ephemeralContainers": [{"name": "d", "image": image, "securityContext": context}]}});
    let context = json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}});
    let listed = "registry.corp.example/prod/debug:1";
    for (what, change, control) in [
        ("privileged", debugger(listed, json!({"privileged": true})), "PSS-privileged"),
        ("unlisted", debugger("evil.io/debug:1", context.clone()), "HB-IMG"),
    ] {
        let url = format!("{good}/ephemeralcontainers");
        let answer =
            api.send("PATCH", &url, "application/strategic-merge-patch+json", &change).await?;
        assert!(
            !answer.is_yes() && answer.message().contains(control),
            "{what}: {}",
            answer.message()
        );
    }
    let url = format!("{good}/ephemeralcontainers?dryRun=All");
    let fine = debugger(listed, context);
    let answer = api.send("PATCH", &url, "application/strategic-merge-patch+json", &fine).await?;
    assert!(answer.is_yes(), "{}", answer.message());
    for image in ["registry.corp.example/prod/app:latest", "evil.io/app:1"] {
        let change = json!({"spec": {"containers": [{"name": "app", "image": image}]}});
        let answer =
            api.send("PATCH", good, "application/strategic-merge-patch+json", &change).await?;
        assert!(
            !answer.is_yes() && answer.message().contains("HB-"),
            "{image}: {}",
            answer.message()
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_pod_that_is_older_than_the_policy_lives_and_dies_as_before() -> Result<()> {
    let api = Api(plane()?.client().await?);
    old_namespace(&api, "wedge", Verdict::Warn).await?;
    let bad = "/api/v1/namespaces/wedge/pods/bad";
    let status = json!({"status": {"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "False"}]}});
    for (what, url, change) in [
        ("labels", bad.to_owned(), json!({"metadata": {"labels": {"a": "b"}}})),
        ("annotations", bad.to_owned(), json!({"metadata": {"annotations": {"a": "b"}}})),
        ("status", format!("{bad}/status"), status),
    ] {
        let answer = patch(&api, &url, change).await?;
        assert!(answer.is_yes(), "{what}: {}", answer.message());
    }
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "bad", "namespace": "wedge"}});
    let answer = api
        .send("POST", &format!("{bad}/eviction?dryRun=All"), "application/json", &eviction)
        .await?;
    assert!(answer.is_yes(), "eviction: {}", answer.message());
    let answer =
        api.send("DELETE", bad, "application/json", &json!({"gracePeriodSeconds": 0})).await?;
    assert!(answer.is_yes(), "deletion: {}", answer.message());
    // It is held by its finalizer, and still can be let go.
    let answer = patch(&api, bad, json!({"metadata": {"finalizers": null}})).await?;
    assert!(answer.is_yes(), "finalizer: {}", answer.message());
    let answer = api.send("GET", bad, "", &Value::Null).await?;
    assert_eq!(answer.code, 404);
    Ok(())
}

#[tokio::test]
async fn weak_a_pod_that_is_being_deleted_takes_no_image_that_is_refused_and_still_goes()
-> Result<()> {
    let api = Api(plane()?.client().await?);
    old_namespace(&api, "leaving", Verdict::Deny).await?;
    let (pods, deployments) =
        ("/api/v1/namespaces/leaving/pods", "/apis/apps/v1/namespaces/leaving/deployments");
    let image = |image: &str| json!({"spec": {"containers": [{"name": "app", "image": image}]}});
    let strategic = "application/strategic-merge-patch+json";
    for name in ["good", "bad"] {
        let pod = format!("{pods}/{name}");
        let now = json!({"gracePeriodSeconds": 0});
        let answer = api.send("DELETE", &pod, "application/json", &now).await?;
        assert!(answer.is_yes(), "{name}: {}", answer.message());
        let answer = api.send("PATCH", &pod, strategic, &image("evil.example/x:1")).await?;
        assert!(!answer.is_yes() && answer.message().contains("HB-"), "{name}: {answer:?}");
        let debugger =
            json!({"spec": {"ephemeralContainers": [{"name": "d", "image": "evil.example/x:1"}]}});
        let url = format!("{pod}/ephemeralcontainers");
        let answer = api.send("PATCH", &url, strategic, &debugger).await?;
        assert!(!answer.is_yes(), "{name} takes a debugger");
        let answer = patch(&api, &pod, json!({"metadata": {"labels": {"a": "b"}}})).await?;
        assert!(answer.is_yes(), "{name}: {}", answer.message());
        let answer = patch(&api, &pod, json!({"metadata": {"finalizers": null}})).await?;
        assert!(answer.is_yes(), "{name}: {}", answer.message());
    }
    let old = format!("{deployments}/old");
    let held = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    assert!(patch(&api, &old, held).await?.is_yes());
    assert!(api.send("DELETE", &old, "application/json", &json!({})).await?.is_yes());
    let change = json!({"spec": {"template": image("evil.example/x:1")}});
    let answer = api.send("PATCH", &old, strategic, &change).await?;
    assert!(!answer.is_yes() && answer.message().contains("HB-"), "{answer:?}");
    let answer = patch(&api, &old, json!({"metadata": {"finalizers": null}})).await?;
    assert!(answer.is_yes(), "{}", answer.message());
    Ok(())
}

#[tokio::test]
async fn an_old_workload_can_be_scaled_and_a_new_one_is_warned_about_or_refused() -> Result<()> {
    let api = Api(plane()?.client().await?);
    for (ns, templates) in [("warned", Verdict::Warn), ("denied", Verdict::Deny)] {
        old_namespace(&api, ns, templates).await?;
        let set = ours::compiled(&settings(templates), ns);
        assert_eq!(set.policies.len(), 2, "{ns}: pods and templates");
        let deployments = format!("/apis/apps/v1/namespaces/{ns}/deployments");
        let old = format!("{deployments}/old");
        let mut fresh = deployment(true);
        fresh["metadata"]["name"] = "fresh".into();
        if templates == Verdict::Deny {
            support::eventually(crate::live::SOON, "templates are evaluated", || async {
                let url = format!("{deployments}?dryRun=All");
                let answer = api.send("POST", &url, "application/json", &fresh).await?;
                let denied = !answer.is_yes() && answer.message().contains("PSS-privileged");
                if denied { Ok(()) } else { Err(support::Failure::new(answer.message())) }
            })
            .await?;
        } else {
            support::eventually(crate::live::SOON, "templates are warned about", || async {
                let url = format!("{deployments}?dryRun=All");
                let answer = api.send("POST", &url, "application/json", &fresh).await?;
                assert!(answer.is_yes(), "{}", answer.message());
                let named = ours::all_controls(&answer);
                let warned = named.contains("PSS-privileged");
                if warned { Ok(()) } else { Err(support::Failure::new(format!("{named:?}"))) }
            })
            .await?;
        }
        for (what, url, change) in [
            ("annotated", old.clone(), json!({"metadata": {"annotations": {"a": "b"}}})),
            ("scaled", format!("{old}/scale"), json!({"spec": {"replicas": 2}})),
            ("scaled in place", old.clone(), json!({"spec": {"replicas": 0}})),
        ] {
            let answer = patch(&api, &url, change).await?;
            assert!(answer.is_yes(), "{ns}: {what}: {}", answer.message());
            // What is denied to new ones is not repeated for old ones; what is warned about is.
            if templates == Verdict::Warn && url == old {
                let named = ours::all_controls(&answer);
                assert!(named.contains("PSS-privileged"), "{what}: {:?}", answer.warnings);
            }
        }
    }
    Ok(())
}
