//! Pods that are padded until the API server runs out of budget.

use gabion::api::gabion::hardening_baseline::Verdict;
use gabion::policy::Settings;
use serde_json::{Value, json};
use support::Result;

use crate::{
    live::{Api, plane},
    ours,
    pods::bases,
};

/// The full set, with as many registries as there can be.
fn full() -> Settings {
    let registries = (0..64).map(|nth| format!("registry-{nth}.corp.example/team-{nth}/prod"));
    Settings {
        allowed_registries: registries.collect(),
        denied_repositories: (0..64)
            .map(|nth| format!("denied-{nth}.example/library/os-{nth}"))
            .collect(),
        templates: Verdict::Ignore,
        ..Settings::built_in("guide").expect("a built-in name")
    }
}

fn padded(containers: usize, volumes: usize, annotations: usize) -> Value {
    let mut pod = bases()[1].1.clone();
    let amounts = json!({"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"});
    let context = json!({"fsGroup": 1001, "runAsGroup": 1001, "runAsUser": 1001, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"}});
    pod["spec"]["securityContext"] = context;
    let mut container = pod["spec"]["containers"][0].clone();
    container["image"] = "registry-63.corp.example/team-63/prod/app:1.2".into();
    container["securityContext"]["readOnlyRootFilesystem"] = true.into();
    container["resources"] = json!({"requests": amounts, "limits": amounts});
    container["env"] =
        json!([{"name": "LOG_LEVEL", "value": "info"}, {"name": "LOG_FORMAT", "value": "json"}]);
    let list: Vec<_> = (0..containers)
        .map(|nth| {
            let mut container = container.clone();
            container["name"] = format!("c{nth}").into();
            container
        })
        .collect();
    pod["spec"]["containers"] = list.into();
    let volume = |nth| json!({"name": format!("v{nth}"), "emptyDir": {}});
    pod["spec"]["volumes"] = (0..volumes).map(volume).collect::<Vec<_>>().into();
    let note = |nth| (format!("example.com/note-{nth}"), json!("x".repeat(1000)));
    pod["metadata"]["annotations"] = Value::Object((0..annotations).map(note).collect());
    pod
}

#[tokio::test]
async fn weak_a_padded_pod_is_denied_and_never_admitted_for_want_of_budget() -> Result<()> {
    let api = Api(plane()?.client().await?);
    api.namespace("padded").await?;
    api.label("padded", &json!({"bar": "padded"})).await?;
    let set = ours::compiled(&full(), "padded");
    api.put_in_force(&set, "padded").await?;
    for containers in [50, 100] {
        let good = api.try_pod("padded", &padded(containers, 300, 240)).await?;
        assert!(good.is_yes(), "{containers} good containers: {}", good.message());
    }
    for containers in [1, 100, 500, 1500] {
        let mut bad = padded(containers, 300, 240);
        bad["spec"]["containers"][containers - 1]["securityContext"] = json!({"privileged": true});
        let answer = api.try_pod("padded", &bad).await?;
        let message = answer.message();
        let short: String = message.chars().take(200).collect();
        assert!(!answer.is_yes(), "{containers} containers, the last one bad");
        assert!(
            message.contains("PSS-privileged") || message.contains("cost limit"),
            "{containers}: {short}"
        );
    }
    Ok(())
}
