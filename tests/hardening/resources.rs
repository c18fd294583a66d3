//! Scenario 4: a quota cannot strangle a namespace.

use serde_json::{Value, json};
use support::{Cluster, Result, Subsystem, audit, condition};

use crate::scene::{Scene, merge, pod};

fn sections() -> Value {
    json!({"resources": {
        "quota": {"hard": {"limits.memory": "64Gi"}},
        "containerDefaults": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "512Mi"},
        },
    }})
}

#[tokio::test]
async fn a_quota_waits_until_usage_allows_it_and_comes_after_the_defaults() -> Result<()> {
    let scene = Scene::new("strangled").await?;
    let cluster = &scene.cluster;
    cluster.until("ServiceAccount", "strangled", "default", |_| Ok(())).await?;
    for (name, memory) in [("a", "50Gi"), ("b", "30Gi")] {
        let resources = json!({"limits": {"memory": memory}});
        cluster.create(pod("strangled", name, resources)).await?;
    }
    cluster.create(pod("strangled", "unlimited", json!({}))).await?;
    scene.create_namespace("strangled-not", json!({})).await?;

    scene.baseline("strangled", sections()).await?;

    let status = scene.effective_says("strangled", "False", "QuotaBelowUsage").await?;
    assert_eq!(status["held"], json!(["Held: QuotaBelowUsage limits.memory used=80Gi hard=64Gi"]));
    assert_eq!(cluster.get("ResourceQuota", "strangled", "gabion-quota").await?, None);
    assert!(cluster.get("LimitRange", "strangled", "gabion-limits").await?.is_some());
    // Others go on, and the baseline says where it is held.
    scene.hardened("strangled-not", &["strangled"]).await?;
    let ready = scene.baseline_says("strangled", "Ready", "False", "Held").await?;
    assert_eq!(ready["message"], "Something is held back in 1 of 2 namespaces.");
    let object = cluster.get("HardeningBaseline", "", "strangled").await?.unwrap_or_default();
    assert_eq!(object["status"]["namespaces"]["held"], 1);

    cluster.delete("Pod", "strangled", "b").await?;
    scene.hardened("strangled", &["strangled"]).await?;

    let quota = cluster.get("ResourceQuota", "strangled", "gabion-quota").await?;
    assert_eq!(quota.unwrap_or_default()["spec"]["hard"], json!({"limits.memory": "64Gi"}));
    scene.baseline_says("strangled", "Ready", "True", "Applied").await?;
    // A pod that states nothing has the defaults filled in; the quota alone would refuse it.
    let filled = cluster.create(pod("strangled", "plain", json!({}))).await?;
    let wanted = json!({
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"memory": "512Mi"},
    });
    assert_eq!(filled["spec"]["containers"][0]["resources"], wanted);
    Ok(())
}

#[tokio::test]
async fn the_defaults_come_before_the_quota_and_go_after_it() -> Result<()> {
    let scene = Scene::new("both").await?;
    scene.baseline("both", sections()).await?;
    scene.hardened("both", &["both"]).await?;
    scene.take_back("both").await?;
    scene.bare("both").await?;

    let all = audit::requests(scene.env.plane());
    let steps: Vec<String> = all
        .iter()
        .filter(|request| {
            request.namespace == "both"
                && matches!(request.resource.as_str(), "resourcequotas" | "limitranges")
                && matches!(request.verb.as_str(), "create" | "update" | "delete")
        })
        .map(audit::Request::text)
        .collect();
    let wanted = [
        "create limitranges gabion-limits",
        "create resourcequotas gabion-quota",
        "delete resourcequotas gabion-quota",
        "delete limitranges gabion-limits",
    ];
    assert_eq!(steps, wanted);
    Ok(())
}

#[tokio::test]
async fn a_quota_in_force_is_not_lowered_below_usage() -> Result<()> {
    let scene = Scene::new("lowered").await?;
    let cluster = &scene.cluster;
    scene.baseline("lowered", sections()).await?;
    scene.hardened("lowered", &["lowered"]).await?;
    cluster.until("ServiceAccount", "lowered", "default", |_| Ok(())).await?;
    cluster.create(pod("lowered", "a", json!({"limits": {"memory": "32Gi"}}))).await?;

    let mut lower = sections();
    merge(&mut lower["resources"]["quota"]["hard"], json!({"limits.memory": "16Gi"}));
    scene.change("lowered", lower).await?;

    scene.effective_says("lowered", "False", "QuotaBelowUsage").await?;
    let quota = cluster.get("ResourceQuota", "lowered", "gabion-quota").await?;
    assert_eq!(quota.unwrap_or_default()["spec"]["hard"], json!({"limits.memory": "64Gi"}));
    Ok(())
}

/// A pod as it runs before any baseline, by what is special about it: changes of its spec, and a LimitRange of its
/// namespace that comes after it.
fn various() -> Vec<(&'static str, Value, Option<Value>)> {
    let states = |resources: Value| json!([{"name": "main", "resources": resources}]);
    let cpu = json!({"requests": {"cpu": "100m"}});
    let large = json!({"requests": {"cpu": "100m", "memory": "600Mi"}});
    let mut sidecar = states(large.clone());
    sidecar[0]["name"] = "sidecar".into();
    sidecar[0]["restartPolicy"] = "Always".into();
    let two = json!([{"name": "main", "resources": cpu}, {"name": "other", "resources": cpu}]);
    let mut init = states(large.clone());
    init[0]["name"] = "init".into();
    let mut quiet = states(json!({}));
    quiet[0]["name"] = "init".into();
    let pod_max = |most: &str| Some(json!({"type": "Pod", "max": {"memory": most}}));
    let whole = |memory: &str| json!({"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"memory": memory}});
    let stated =
        json!({"requests": {"cpu": "100m", "memory": "600Mi"}, "limits": {"memory": "1Gi"}});
    vec![
        ("plain", json!({"containers": states(cpu.clone())}), None),
        ("stated", json!({"containers": states(stated)}), None),
        ("large", json!({"containers": states(large)}), None),
        ("init", json!({"containers": states(cpu.clone()), "initContainers": init}), None),
        ("sidecar", json!({"containers": states(cpu.clone()), "initContainers": sidecar}), None),
        ("no-cpu", json!({"containers": states(json!({}))}), None),
        ("no-cpu-init", json!({"containers": states(cpu.clone()), "initContainers": quiet}), None),
        ("tight", json!({"containers": states(json!({})), "resources": whole("256Mi")}), None),
        (
            "roomy",
            json!({"containers": states(json!({})), "resources": {
            "requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}}),
            None,
        ),
        ("crowded", json!({"containers": two.clone()}), pod_max("800Mi")),
        ("uncrowded", json!({"containers": two}), pod_max("2Gi")),
    ]
}

/// Makes a pod with another name and the same spec: whether the API server takes it, and its words if not.
async fn again(cluster: &Cluster, ns: &str, special: &Value) -> Result<Option<String>> {
    let made = cluster.create(special_pod(ns, "again", special)).await;
    match made {
        Ok(_) => {
            cluster.delete("Pod", ns, "again").await?;
            Ok(None)
        }
        Err(error) => Ok(Some(error.to_string())),
    }
}

fn special_pod(ns: &str, name: &str, special: &Value) -> Value {
    let mut object = pod(ns, name, json!({}));
    let usual = object["spec"]["containers"][0].clone();
    merge(&mut object["spec"], special.clone());
    for list in ["containers", "initContainers"] {
        for container in object["spec"][list].as_array_mut().into_iter().flatten() {
            for field in ["image", "securityContext"] {
                container[field] = usual[field].clone();
            }
        }
    }
    object
}

#[tokio::test]
async fn e_f_g_i_pods_that_could_not_be_made_again_are_those_that_the_api_server_refuses()
-> Result<()> {
    let env = Subsystem::Hardening.shared()?;
    let scene = Scene::without_namespace(env, "again").await?;
    let cluster = &scene.cluster;
    for (name, special, range) in various() {
        let ns = format!("again-{name}");
        scene.create_namespace(&ns, json!({})).await?;
        cluster.until("ServiceAccount", &ns, "default", |_| Ok(())).await?;
        cluster.create(special_pod(&ns, "runs", &special)).await?;
        if let Some(item) = range {
            let object = json!({"kind": "LimitRange", "metadata": {"name": "team", "namespace": ns},
                "spec": {"limits": [item]}});
            cluster.create(object).await?;
        }
    }
    let resources = json!({"containerDefaults": {"limits": {"memory": "512Mi"}},
        "quota": {"hard": {"limits.memory": "8Gi", "requests.cpu": "4", "pods": "10"}}});
    let observe = json!({"rollout": {"target": "Observe"}, "resources": resources});
    scene.baseline("again", observe).await?;
    let says = |status: &Value| condition(&json!({"status": status}), "PodsFit");
    let mut before = Vec::new();
    for (name, ..) in various() {
        let ns = format!("again-{name}");
        let status = scene.effective(&ns, |status| !says(status)["status"].is_null()).await?;
        before.push(says(&status));
    }

    scene.change("again", json!({"rollout": {"target": "Enforce"}})).await?;

    let mut differing = Vec::new();
    for ((name, special, _), before) in various().into_iter().zip(before) {
        let ns = format!("again-{name}");
        cluster
            .until("ResourceQuota", &ns, "gabion-quota", |quota| {
                let counted = &quota["status"]["hard"]["pods"];
                if counted.is_null() { Err("it is not counted yet".to_owned()) } else { Ok(()) }
            })
            .await?;
        cluster.until("LimitRange", &ns, "gabion-limits", |_| Ok(())).await?;
        let status = scene.effective(&ns, |status| status["stage"] == "Enforce").await?;
        let after = says(&status);
        let refused = again(cluster, &ns, &special).await?;
        let wanted = json!(if refused.is_none() { "True" } else { "False" });
        for (when, said) in [("before", &before), ("after", &after)] {
            if said["status"] != wanted {
                differing.push(format!("{name} {when}: {said}, but the API server: {refused:?}"));
            }
            if wanted == "False" && !said["message"].to_string().contains("runs: ") {
                differing.push(format!("{name} {when} does not name the pod: {said}"));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    Ok(())
}

#[tokio::test]
async fn e_a_pod_that_is_mended_ends_the_complaint() -> Result<()> {
    let scene = Scene::new("mended-pod").await?;
    let cluster = &scene.cluster;
    cluster.until("ServiceAccount", "mended-pod", "default", |_| Ok(())).await?;
    let large = json!({"requests": {"memory": "600Mi"}});
    cluster.create(pod("mended-pod", "web", large)).await?;
    scene.baseline("mended-pod", sections()).await?;
    let fits = |status: &Value| condition(&json!({"status": status}), "PodsFit");
    let found = scene.effective("mended-pod", |status| fits(status)["status"] == "False").await?;
    let words = "web: container main requests 600Mi of memory, and the default limit is 512Mi";
    assert!(fits(&found)["message"].to_string().contains(words), "{found}");
    // Whoever changes the defaults gets the answer at once, as the question is another one.
    let wide = json!({"resources": {"containerDefaults": {"limits": {"memory": "1Gi"}}}});
    scene.change("mended-pod", wide).await?;
    scene.effective("mended-pod", |status| fits(status)["status"] == "True").await?;
    Ok(())
}
