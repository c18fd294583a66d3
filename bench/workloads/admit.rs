//! The cost of the admission policies of a baseline for a pod: every rule of the guide, 64 registries, 64 denied
//! repositories, and 200 exceptions for the API server's budget.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use gabion::api::gabion::hardening_baseline::HardeningBaseline;
use gabion::api::gabion::hardening_baseline::Selector;
use gabion::api::gabion::hardening_baseline::Stage;
use gabion::api::gabion::hardening_baseline::Verdict;
use gabion::policy::PolicySet;
use gabion::policy::Scope;
use gabion::policy::Settings;
use gabion::policy::compile;
use gabion::policy::selection::Protected;
use gabion::policy::selection::Selection;
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};
use support::{Failure, Result};
use tokio::time::sleep;

use crate::{
    exchange::{exchange, expect},
    machine,
    population::Population,
    results::{Samples, Table, count},
    world::World,
};

/// Containers of the pods that are timed.
const SIZES: [usize; 3] = [1, 10, 100];
const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

pub async fn run(pods: usize) -> Result<()> {
    let world = World::populated(&Population::spread(0)).await?;
    let client = &world.client;
    for namespace in ["plain", "hardened", "budget"] {
        let object = json!({"metadata": {"name": namespace, "labels": {"set": namespace}}});
        expect(send(client, "/api/v1/namespaces", &object).await?)?;
        let account = json!({"metadata": {"name": "default"}});
        let url = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        send(client, &url, &account).await?;
    }
    let operator = world.start_operator()?;
    let start = Instant::now();
    let baselines = Api::<HardeningBaseline>::all(client.clone());
    baselines.create(&PostParams::default(), &serde_json::from_value(baseline())?).await?;
    until(async || enforced(&baselines).await).await?;
    let proved = start.elapsed();
    latency(&world, pods, proved).await?;
    // It would take the policies of the next part away: no baseline owns them.
    operator.stop()?;
    budget(client).await
}

/// Pods alternately without and with the policies, one at a time, so that both run under the same load.
async fn latency(world: &World, pods: usize, proved: Duration) -> Result<()> {
    let client = &world.client;
    let mut table =
        Table::new(format!("Pods with the policies of a baseline, {pods} of each size"));
    let text = format!("{:.2} s", proved.as_secs_f64());
    table.plain("from the baseline to Enforced, with type check and probes", text);
    for containers in SIZES {
        let (mut without, mut with) = (Samples::default(), Samples::default());
        let pod = pod(containers);
        for nth in 0..pods {
            for (namespace, samples) in [("plain", &mut without), ("hardened", &mut with)] {
                let url = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
                let start = Instant::now();
                let answer = send(client, &url, &pod).await?;
                let took = start.elapsed();
                expect(answer)?;
                // The first requests find cold caches, with and without.
                if nth >= pods / 20 {
                    samples.push(took);
                }
            }
        }
        for quantile in [0.5, 0.9, 0.99] {
            let [plain, hardened] = [&without, &with].map(|samples| samples.quantile_ms(quantile));
            let what =
                format!("added to a pod of {containers} containers, p{:.0}", quantile * 100.0);
            let figures =
                format!("{:.2} ms ({plain:.2} without, {hardened:.2} with)", hardened - plain);
            if containers == 1 {
                table.at_most(&what, hardened - plain, 5.0, " ms");
                table.plain("the same in full", figures);
            } else {
                table.plain(&what, figures);
            }
        }
    }
    for containers in SIZES {
        let mut spent = Vec::new();
        for namespace in ["plain", "hardened"] {
            let (pod, url) =
                (pod(containers), format!("/api/v1/namespaces/{namespace}/pods?dryRun=All"));
            let before = world.apiserver_cpu_seconds()?;
            for _ in 0..pods {
                expect(send(client, &url, &pod).await?)?;
            }
            spent.push((world.apiserver_cpu_seconds()? - before) * 1_000.0 / count(pods));
        }
        if let [plain, hardened] = spent.as_slice() {
            let what =
                format!("processor time of the API server for a pod of {containers} containers");
            table.plain(&what, format!("{plain:.1} ms without, {hardened:.1} ms with"));
        }
    }
    table.note(format!("Dry runs, one at a time. Load {}.", machine::load()));
    table.print();
    Ok(())
}

/// The largest pod that fits into the budget of the API server, by binary search.
async fn budget(client: &Client) -> Result<()> {
    let mut table = Table::new("What fits into the API server's budget");
    let what = "64 registries";
    let set = policies()?;
    put_in_force(client, &set).await?;
    let (mut fits, mut too_many) = (1, 4_000);
    while too_many - fits > 10 {
        let middle = usize::midpoint(fits, too_many);
        let answer = try_pod(client, middle).await?;
        match answer {
            None => fits = middle,
            Some(words) if words.contains("cost") => too_many = middle,
            // The request itself is too large.
            Some(words) if words.contains("large") => break,
            Some(words) => return Err(Failure::new(words)),
        }
    }
    table.plain(&format!("{what}: containers of the largest pod"), fits.to_string());
    let share = 100.0 * 100.0 / count(fits);
    table.at_most(&format!("{what}: share of a pod of 100 containers"), share, 100.0, " %");
    for (resource, objects) in [
        ("validatingadmissionpolicybindings", &set.bindings),
        ("validatingadmissionpolicies", &set.policies),
    ] {
        for object in objects {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            exchange(client, "DELETE", &format!("{GROUP}/{resource}/{name}"), &Value::Null).await?;
        }
    }
    table.note("Compliant pods. The share assumes that the cost grows linearly with the number of containers.");
    table.print();
    Ok(())
}

fn registries() -> Vec<String> {
    (0..64).map(|nth| format!("registry-{nth}.corp.example/team-{nth}/prod")).collect()
}

fn repositories() -> Vec<String> {
    (0..64).map(|nth| format!("docker.io/library/os-{nth}")).collect()
}

fn baseline() -> Value {
    let ids = json!({"min": 1000, "max": 65535});
    let resources = [
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
    ];
    json!({
        "apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline", "metadata": {"name": "full"},
        "spec": {
            "namespaceSelector": {"matchLabels": {"set": "hardened"}},
            "rollout": {"target": "Enforce"},
            // Of the labels nothing is asked: the plugin would be timed with the policies.
            "podSecurity": {"labelOwnership": "External"},
            "pods": {"readOnlyRootFilesystem": true, "runAsUser": ids, "runAsGroup": ids, "fsGroup": ids,
                "minContainerPort": 1024},
            "resources": {"require": resources},
            "images": {"allowedRegistries": registries(), "deniedRepositories": repositories()},
            "secrets": {"literalCredentialEnv": "Deny", "secretEnv": "Warn"},
            "logging": {"requireEnv": ["LOG_LEVEL", "LOG_FORMAT"], "sharedLogVolumeReadOnlyForSidecars": true},
            "serviceAccounts": {"automountToken": "Disabled"},
        },
    })
}

/// The policies alone.
fn policies() -> Result<PolicySet> {
    let guide = Settings::built_in("guide").ok_or_else(|| Failure::new("there is no guide"))?;
    let settings = Settings {
        allowed_registries: registries(),
        denied_repositories: repositories(),
        templates: Verdict::Ignore,
        ..guide
    };
    let labels: BTreeMap<_, _> = [("set".to_owned(), "budget".to_owned())].into();
    let selector = Selector { match_labels: labels, ..Selector::default() };
    let scope = Scope {
        name: "budget".to_owned(),
        uid: "bench".into(),
        selection: Selection { selector, ..Selection::default() },
        protected: Protected::new("gabion-system", []),
        behind: BTreeSet::new(),
        waivers: Vec::new(),
    };
    Ok(compile(&settings, &scope, Stage::Enforce)?)
}

/// A pod that satisfies every rule.
fn pod(containers: usize) -> Value {
    let amounts = json!({"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"});
    let container = |nth| {
        json!({
            "name": format!("c{nth}"),
            "image": "registry-63.corp.example/team-63/prod/app:1.2",
            "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "LOG_FORMAT", "value": "json"}],
            "resources": {"requests": amounts, "limits": amounts},
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]}},
        })
    };
    json!({
        "metadata": {"name": "timed"},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1001, "runAsGroup": 1001, "fsGroup": 1001,
                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": (0..containers).map(container).collect::<Vec<_>>(),
        },
    })
}

/// Why a pod with that many containers is denied, if it is.
async fn try_pod(client: &Client, containers: usize) -> Result<Option<String>> {
    let url = "/api/v1/namespaces/budget/pods?dryRun=All";
    let (code, body) = send(client, url, &pod(containers)).await?;
    let words = body["message"].as_str().unwrap_or_default().to_owned();
    Ok((code >= 400).then_some(words))
}

async fn put_in_force(client: &Client, set: &PolicySet) -> Result<()> {
    for (resource, objects) in [
        ("validatingadmissionpolicies", &set.policies),
        ("validatingadmissionpolicybindings", &set.bindings),
    ] {
        for object in objects {
            expect(send(client, &format!("{GROUP}/{resource}"), object).await?)?;
        }
    }
    let probe = set.probes.first().ok_or_else(|| Failure::new("there is no probe"))?;
    until(async || {
        let url = "/api/v1/namespaces/budget/pods?dryRun=All";
        let (_, body) = send(client, url, &probe.denied).await?;
        Ok(body["message"].as_str().is_some_and(|words| words.contains(&probe.sentinel)))
    })
    .await
}

async fn enforced(baselines: &Api<HardeningBaseline>) -> Result<bool> {
    let status = baselines.get("full").await?.status.unwrap_or_default();
    Ok(status.conditions.iter().any(|one| one.type_ == "Enforced" && one.status == "True"))
}

async fn send(client: &Client, url: &str, body: &Value) -> Result<(u16, Value)> {
    exchange(client, "POST", url, body).await
}

async fn until(mut wanted: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    while Instant::now() < deadline {
        if wanted().await? {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(Failure::new("not so within a minute"))
}
