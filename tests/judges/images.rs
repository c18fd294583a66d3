//! Where images may come from: names that look alike, and every other control of ours on generated pods.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gabion::{
    api::hardening_baseline::{RequiredResource, Tags, Verdict},
    hardening::plan::policy::Settings,
};
use serde_json::{Value, json};

use crate::{
    chance::Chance,
    live::{Api, plane},
    ours,
    pods::bases,
    support::Result,
};

fn digest() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

fn with_image(image: &str) -> Value {
    let mut pod = bases()[1].1.clone();
    pod["spec"]["containers"][0]["image"] = image.into();
    pod
}

/// Asks both judges about a pod; they must agree. The controls that refuse it.
async fn refused_for(
    api: &Api,
    ns: &str,
    settings: &Settings,
    pod: &Value,
) -> Result<BTreeSet<String>> {
    let answer = api.try_pod(ns, pod).await?;
    let said = answer.message();
    let denied = if answer.is_yes() { Some(BTreeSet::new()) } else { ours::denied_controls(&said) };
    let denied = denied.unwrap_or_else(|| BTreeSet::from([said]));
    let found = ours::broken_controls(settings, pod);
    assert_eq!(denied, found, "policy and evaluator disagree on {pod}");
    Ok(found)
}

#[tokio::test]
async fn registries_that_look_alike_are_told_apart() -> Result<()> {
    let api = Api(plane()?.client().await?);
    let settings = Settings {
        allowed_registries: ["registry.corp.example/prod", "gcr.io/distroless"]
            .map(str::to_owned)
            .to_vec(),
        ..Settings::default()
    };
    api.namespace("look-alike").await?;
    api.label("look-alike", &json!({"bar": "look-alike"})).await?;
    api.put_in_force(&ours::compiled(&settings, "look-alike"), "look-alike").await?;
    let digested = format!("gcr.io/distroless/java@{}", digest());
    let bare = format!("x@{}", digest());
    for (image, allowed) in [
        ("registry.corp.example/prod/a/b:1", true),
        (digested.as_str(), true),
        ("registry.corp.example.evil.io/prod/x", false),
        ("registry.corp.example/production/x", false),
        ("registry.corp.example:5000/prod/x", false),
        ("gcr.io/distroless-evil/x", false),
        ("nginx", false),
        ("library/nginx", false),
        ("localhost/x", false),
        ("registry.corp.example/prod/../x", false),
        ("registry.corp.example//prod/x", false),
        // The same host: names of hosts know no case.
        ("REGISTRY.corp.example/prod/x", true),
        ("registry.corp.example/prod%2f..%2fx", true),
        ("https://registry.corp.example/prod/x", false),
        (bare.as_str(), false),
    ] {
        let refused = refused_for(&api, "look-alike", &settings, &with_image(image)).await?;
        assert!(allowed == refused.is_empty() || image.contains('%'), "{image}: {refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_denied_repository_is_known_under_all_its_names() -> Result<()> {
    let api = Api(plane()?.client().await?);
    let settings = Settings {
        denied_repositories: vec!["docker.io/library/ubuntu".to_owned()],
        tags: Tags::DenyLatest,
        ..Settings::default()
    };
    api.namespace("denied-names").await?;
    api.label("denied-names", &json!({"bar": "denied-names"})).await?;
    api.put_in_force(&ours::compiled(&settings, "denied-names"), "denied-names").await?;
    for image in [
        "docker.io/library/ubuntu:20.04",
        "ubuntu:20.04",
        "index.docker.io/library/ubuntu:20.04",
        "library/ubuntu:1",
    ] {
        let refused = refused_for(&api, "denied-names", &settings, &with_image(image)).await?;
        assert!(refused.contains("HB-IMG-BASE"), "{image}: {refused:?}");
    }
    for image in ["a:5000/x", "ubuntu", "x:latest", "docker.io/library/x"] {
        let refused = refused_for(&api, "denied-names", &settings, &with_image(image)).await?;
        assert!(!refused.is_empty(), "{image} has no tag");
    }
    for image in ["a:5000/x:1", "ubuntus:1", "docker.io/library2/ubuntu:1", "corp.example/ubuntu:1"]
    {
        let refused = refused_for(&api, "denied-names", &settings, &with_image(image)).await?;
        assert!(refused.is_empty(), "{image}: {refused:?}");
    }
    Ok(())
}

/// Everything at once.
fn everything() -> Settings {
    Settings {
        allowed_registries: vec!["registry.corp.example/prod".to_owned(), "docker.io".to_owned()],
        denied_repositories: vec!["docker.io/library/ubuntu".to_owned()],
        seccomp_profiles: vec!["operator/app1.json".to_owned()],
        secret_env: Verdict::Deny,
        literal_credential_env: Verdict::Deny,
        required_resources: vec![RequiredResource::LimitsMemory, RequiredResource::RequestsCpu],
        templates: Verdict::Ignore,
        ..Settings::built_in("guide").expect("a built-in name")
    }
}

fn values() -> Vec<(&'static str, Vec<Value>)> {
    let env = |name: &str, value: &str| json!([{"name": name, "value": value}]);
    let logged = |more: Value| {
        let mut list = vec![
            json!({"name": "LOG_LEVEL", "value": "info"}),
            json!({"name": "LOG_FORMAT", "value": "json"}),
        ];
        list.extend(more.as_array().cloned().unwrap_or_default());
        Value::Array(list)
    };
    let from_secret =
        json!([{"name": "DB", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
    let amounts = json!({"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "1Gi"});
    vec![
        (
            "image",
            [
                "registry.corp.example/prod/app:1",
                "ubuntu:20.04",
                "nginx",
                "nginx:latest",
                "evil.io/x:1",
                "nginx:1",
                "registry.corp.example/prod/app",
            ]
            .map(|i| json!(i))
            .to_vec(),
        ),
        (
            "env",
            vec![
                logged(json!([])),
                logged(env("DATABASE_PASSWORD", "hunter2")),
                logged(env("DATABASE_PASSWORD_FILE", "/run/x")),
                logged(env("API_KEY", "")),
                logged(env("api-token", "x")),
                logged(env("PASSWORDLESS", "x")),
                logged(from_secret),
                env("LOG_LEVEL", "x"),
                json!([]),
                json!(null),
            ],
        ),
        (
            "envFrom",
            vec![
                json!(null),
                json!([{"secretRef": {"name": "s"}}]),
                json!([{"configMapRef": {"name": "c"}}]),
            ],
        ),
        (
            "resources",
            vec![
                json!({"limits": amounts.clone(), "requests": amounts.clone()}),
                json!({"limits": amounts}),
                json!({"requests": amounts, "limits": amounts}),
                json!({"requests": amounts}),
                json!({"limits": {"memory": "1Gi"}}),
                json!({}),
                json!(null),
            ],
        ),
        (
            "ports",
            vec![json!(null), json!([{"containerPort": 80}]), json!([{"containerPort": 8080}])],
        ),
        ("securityContext|readOnlyRootFilesystem", vec![json!(true), json!(false), json!(null)]),
        (
            "securityContext|runAsUser",
            vec![json!(1000), json!(0), json!(999), json!(65535), json!(65536), json!(null)],
        ),
        ("securityContext|runAsGroup", vec![json!(1000), json!(0), json!(70000), json!(null)]),
        (
            "securityContext|seccompProfile",
            vec![
                json!({"type": "RuntimeDefault"}),
                json!(null),
                json!({"type": "Localhost", "localhostProfile": "operator/app1.json"}),
                json!({"type": "Localhost", "localhostProfile": "operator/app2.json"}),
            ],
        ),
        (
            "volumeMounts",
            vec![
                json!([{"name": "logs", "mountPath": "/var/log"}]),
                json!(null),
                json!([{"name": "logs", "mountPath": "/var/log", "readOnly": true}]),
            ],
        ),
    ]
}

/// A pod in which mostly single fields are as they should not be.
pub fn generated(seed: u64) -> Value {
    let mut chance = Chance::new(seed);
    let number = *chance.one_of(&[0, 1, 0, 1, 2, 3, 4, 5]);
    let mut pod = bases()[number].1.clone();
    let values = values();
    pod["spec"]["volumes"] =
        json!([{"name": "logs", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]);
    let pods = [
        ("automountServiceAccountToken", vec![json!(false), json!(true), json!(null)]),
        ("securityContext|fsGroup", vec![json!(1000), json!(0), json!(70000), json!(null)]),
        ("securityContext|runAsUser", vec![json!(1000), json!(0), json!(70000), json!(null)]),
        (
            "securityContext|supplementalGroups",
            vec![json!([1000]), json!([0]), json!([1000, 70000]), json!(null)],
        ),
    ];
    let put = |object: &mut Value, path: &str, value: &Value| {
        let path: Vec<_> = path.split('|').collect();
        crate::fields::set(object, &path, Some(value).filter(|value| !value.is_null()));
    };
    for group in ["initContainers", "containers"] {
        let list = pod["spec"].get_mut(group).and_then(Value::as_array_mut);
        for container in list.into_iter().flatten() {
            for (path, values) in &values {
                // Mostly the first, which is good, so that single faults are seen.
                let pick = if chance.below(4) == 0 { chance.below(values.len()) } else { 0 };
                put(container, path, &values[pick]);
            }
        }
    }
    for (path, values) in &pods {
        let pick = if chance.below(4) == 0 { chance.below(values.len()) } else { 0 };
        put(&mut pod["spec"], path, &values[pick]);
    }
    pod
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evaluator_and_policy_agree_on_every_control_of_ours() -> Result<()> {
    let api = Api(plane()?.client().await?);
    let settings = everything();
    api.namespace("controls").await?;
    api.label("controls", &json!({"bar": "controls"})).await?;
    api.namespace("controls-plain").await?;
    api.put_in_force(&ours::compiled(&settings, "controls"), "controls").await?;
    let seed = crate::agreement::number("GABION_JUDGES_SEED", 20_261_125);
    let pods = crate::agreement::number("GABION_JUDGES_PODS", 2000) / 2;
    let judged = stream::iter(0..pods).map(|nth| {
        let (api, settings) = (&api, &settings);
        async move {
            let pod = generated(Chance::new(seed ^ nth).next());
            if !api.try_pod("controls-plain", &pod).await?.is_yes() {
                return Ok::<_, crate::support::Failure>(None);
            }
            refused_for(api, "controls", settings, &pod).await.map(Some)
        }
    });
    let sets: Vec<_> = judged.buffer_unordered(32).try_collect().await?;
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    let valid: Vec<_> = sets.iter().flatten().collect();
    for id in valid.iter().flat_map(|set| set.iter()) {
        *counts.entry(id).or_default() += 1;
    }
    say!(
        "{} pods under every control of ours ({} invalid): {counts:?}",
        valid.len(),
        sets.len() - valid.len()
    );
    let seen: BTreeSet<&str> = counts.keys().copied().filter(|id| id.starts_with("HB-")).collect();
    assert!(seen.len() >= 10, "only {seen:?} were ever broken");
    Ok(())
}
