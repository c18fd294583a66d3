//! Where images may come from: names that look alike, and every other control of ours on generated pods.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gabion::api::gabion::hardening_baseline::RequiredResource;
use gabion::api::gabion::hardening_baseline::Tags;
use gabion::api::gabion::hardening_baseline::Verdict;
use gabion::policy::Settings;
use serde_json::{Value, json};
use support::Result;

use crate::{
    controls,
    live::{Api, plane},
    ours,
    pods::bases,
    test_random::TestRandom,
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
    let message = answer.message();
    let denied =
        if answer.is_yes() { Some(BTreeSet::new()) } else { ours::denied_controls(&message) };
    let denied = denied.unwrap_or_else(|| BTreeSet::from([message]));
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
        ("registry.corp.example/prod%2f..%2fx", false),
        ("registry.corp.example:0443/prod/x:1", true),
        ("registry.corp.example/prod@evil/x", false),
        ("registry.corp.example/prod/x:1@evil.example/y:1", false),
        ("registry.corp.example/prod/./x:1", false),
        ("registry.corp.example/prod//x:1", false),
        ("registry.corp.example/prod/x y:1", false),
        ("registry.corp.example/prod/x:1:2", false),
        ("registry.corp.example/prod:443/x:1", false),
        ("registry.corp.example/prod/x@sha256:zz", false),
        ("registry.corp.example/prod/x:", false),
        ("https://registry.corp.example/prod/x", false),
        (bare.as_str(), false),
    ] {
        let refused = refused_for(&api, "look-alike", &settings, &with_image(image)).await?;
        assert_eq!(allowed, refused.is_empty(), "{image}: {refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a10_a_denied_repository_is_known_under_all_its_names() -> Result<()> {
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
        "registry.hub.docker.com/library/ubuntu:20.04",
        "registry-1.docker.io:0443/library/ubuntu:20.04",
        "registry-1.docker.io:00443/library/ubuntu:20.04",
    ] {
        let refused = refused_for(&api, "denied-names", &settings, &with_image(image)).await?;
        assert!(refused.contains("HB-IMG-BASE"), "{image}: {refused:?}");
    }
    for image in
        ["ubuntu", "docker.io/library/ubuntu", "docker.io/ubuntu", "docker.io:443/library/ubuntu"]
    {
        let refused = refused_for(&api, "denied-names", &settings, &with_image(image)).await?;
        let both = ["HB-IMG-BASE", "HB-IMG-TAG"].map(str::to_owned);
        assert_eq!(refused, BTreeSet::from(both), "{image}");
    }
    for image in ["a:5000/x", "x:latest", "docker.io/library/x"] {
        let refused = refused_for(&api, "denied-names", &settings, &with_image(image)).await?;
        assert_eq!(refused, BTreeSet::from(["HB-IMG-TAG".to_owned()]), "{image} has no tag");
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
        allowed_registries: [
            "registry.corp.example/prod",
            "registry.corp.example:5000/a/b/c",
            "quay.example",
            "docker.io",
        ]
        .map(str::to_owned)
        .to_vec(),
        denied_repositories: [
            "docker.io/library/ubuntu",
            "quay.example/os",
            "registry.corp.example/prod/old/base",
        ]
        .map(str::to_owned)
        .to_vec(),
        seccomp_profiles: vec!["operator/app1.json".to_owned()],
        secret_env: Verdict::Deny,
        literal_credential_env: Verdict::Deny,
        required_resources: vec![RequiredResource::LimitsMemory, RequiredResource::RequestsCpu],
        token_audiences: vec!["vault".to_owned()],
        templates: Verdict::Ignore,
        ..Settings::built_in("guide").expect("a built-in name")
    }
}

/// Names of images, a good one first, and most of those that can be mistaken for another.
const IMAGES: [&str; 49] = [
    "registry.corp.example/prod/app:1",
    "ubuntu:20.04",
    "nginx",
    "nginx:latest",
    "evil.io/x:1",
    "nginx:1",
    "registry.corp.example/prod/app",
    "registry.corp.example/prod",
    "registry.corp.example/prod:1",
    "registry.corp.example/prodigy/app:1",
    "registry.corp.example/prod/old/base:1",
    "registry.corp.example/prod/old/base/x:1",
    "registry.corp.example/prod/old/baseline:1",
    "registry.corp.example/prod/old:1",
    "registry.corp.example:5000/a/b/c/d:1",
    "registry.corp.example:5000/a/b/cd:1",
    "registry.corp.example:443/prod/app:1",
    "registry.corp.example:443/prod/old/base:1",
    "REGISTRY.corp.example/prod/app:1",
    "registry.corp.example/prod/../x:1",
    "registry.corp.example/prod/x..y:1",
    "quay.example/os:1",
    "quay.example/os/a@sha256:00",
    "quay.example/osx/a:1",
    "quay.example/a/b/c/d/e/f:1.2-3_4",
    "quay.example/a:latest",
    "quay.example/a:v1latest",
    "quay.example/a:1@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    "quay.example/a@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    "index.docker.io/library/ubuntu:1",
    "registry-1.docker.io/ubuntu:1",
    "docker.io/ubuntu:1",
    "docker.io/corp/ubuntu:1",
    "my.docker.io/x:1",
    "localhost/x:1",
    "a//b:1",
    "quay.example//os:1",
    "registry.hub.docker.com/library/ubuntu:1",
    "registry.hub.docker.com/ubuntu:1",
    "registry-1.docker.io:0443/library/ubuntu:1",
    "quay.example:00443/os:1",
    "quay.example:0/a:1",
    "registry.corp.example:05000/a/b/c/d:1",
    "quay.example/a b:1",
    "quay.example/a:1:2",
    "quay.example/a:",
    "quay.example/-a:1",
    "quay.example/a@evil.example/x:1",
    "quay.example/%2e%2e/a:1",
];

/// The ends of the allowed range, and beyond.
fn ids() -> Vec<Value> {
    vec![json!(1000), json!(0), json!(999), json!(65535), json!(65536), json!(null)]
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
        ("image", IMAGES.map(|image| json!(image)).to_vec()),
        (
            "env",
            vec![
                logged(json!([])),
                logged(env("DATABASE_PASSWORD", "hunter2")),
                logged(env("DATABASE_PASSWORD_FILE", "/run/x")),
                logged(env("API_KEY", "")),
                logged(env("api-token", "x")),
                logged(env("PASSWORDLESS", "x")),
                logged(env("TOKEN_BUDGET", "8192")),
                logged(env("PASSWORD_HASHER", "bcrypt")),
                logged(env("MAX_TOKENS", "4096")),
                logged(env("DB_PASSWORD_PROD", "hunter2")),
                logged(env("REDIS_URL", "redis://:$(CACHE_PW)@cache:6379")),
                logged(env("REDIS_URL", "redis://:hunter2@cache:6379")),
                logged(env("DSN", "host=db password=hunter2")),
                logged(env("SOME_ID", "AKIAIOSFODNN7EXAMPLE")),
                logged(env("DB_PASSWORD", "$(LOG_LEVEL)")),
                logged(env("DB_PASSWORD", "$(CACHE_PW)")),
                logged(env("U", "redis://:$(LOG_LEVEL)@cache")),
                logged(env("DB_PASSWORD", "<later>")),
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
                json!({"limits": {"memory": "0.5", "cpu": "0.5", "ephemeral-storage": "0.1Ki"}}),
                json!({"limits": {"memory": "1e-3", "cpu": "1e-9", "ephemeral-storage": "+1"}}),
                json!({"limits": {"memory": "0Gi", "cpu": "0m", "ephemeral-storage": "0e3"}}),
                json!({"limits": {"memory": "00012", "cpu": "007m", "ephemeral-storage": ".5Gi"}}),
                json!({}),
                json!(null),
            ],
        ),
        (
            "ports",
            vec![
                json!(null),
                json!([{"containerPort": 1023}]),
                json!([{"containerPort": 1024}]),
                json!([{"containerPort": 8080}, {"containerPort": 80}]),
            ],
        ),
        ("securityContext|readOnlyRootFilesystem", vec![json!(true), json!(false), json!(null)]),
        ("securityContext|runAsUser", ids()),
        ("securityContext|runAsGroup", ids()),
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
    let mut random = TestRandom::new(seed);
    let number = *random.one_of(&[0, 1, 0, 1, 2, 3, 4, 5]);
    let mut pod = bases()[number].1.clone();
    let values = values();
    pod["spec"]["volumes"] =
        json!([{"name": "logs", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]);
    let logs = json!({"name": "logs", "emptyDir": {}});
    let token = |token: Value| json!([logs, {"name": "t", "projected": {"sources": [{"serviceAccountToken": token}]}}]);
    let pods = [
        (
            "volumes",
            vec![
                pod["spec"]["volumes"].clone(),
                token(json!({"path": "token", "expirationSeconds": 3600})),
                token(json!({"path": "token", "audience": "vault"})),
                token(json!({"path": "token", "audience": "other"})),
                json!([logs, {"name": "t", "projected": {"sources": [{"configMap": {"name": "c"}}, {"serviceAccountToken": {"path": "x"}}]}}]),
                json!([logs, {"name": "t", "projected": {"sources": [{"secret": {"name": "c"}}]}}]),
            ],
        ),
        ("automountServiceAccountToken", vec![json!(false), json!(true), json!(null)]),
        ("securityContext|fsGroup", ids()),
        ("securityContext|runAsUser", ids()),
        ("securityContext|runAsGroup", ids()),
        (
            "securityContext|supplementalGroups",
            vec![json!([1000]), json!([0]), json!([1000, 70000]), json!(null)],
        ),
        (
            "resources",
            vec![
                json!(null),
                json!({"limits": {"cpu": "4", "memory": "8Gi"}}),
                json!({"requests": {"cpu": "4", "memory": "8Gi"}}),
                json!({"limits": {"memory": "8Gi"}}),
            ],
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
                let pick = if random.below(4) == 0 { random.below(values.len()) } else { 0 };
                put(container, path, &values[pick]);
            }
        }
    }
    for (path, values) in &pods {
        let pick = if random.below(4) == 0 { random.below(values.len()) } else { 0 };
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
    let set = ours::compiled(&settings, "controls");
    api.put_in_force(&set, "controls").await?;
    let seed = crate::agreement::number("GABION_JUDGES_SEED", 20_261_125);
    let pods = crate::agreement::number("GABION_JUDGES_PODS", 2000) / 2;
    let evaluated = stream::iter(0..pods).map(|nth| {
        let (api, settings) = (&api, &settings);
        async move {
            let pod = generated(TestRandom::new(seed ^ nth).next());
            if !api.try_pod("controls-plain", &pod).await?.is_yes() {
                return Ok::<_, support::Failure>(None);
            }
            let answer = api.try_pod("controls", &pod).await?;
            let named = ours::all_controls(&answer);
            let found = ours::found_controls(settings, &pod);
            assert_eq!(named, found, "policy and evaluator disagree on {pod}");
            Ok(Some((pod, named)))
        }
    });
    let sets: Vec<_> = evaluated.buffer_unordered(32).try_collect().await?;
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    let valid: Vec<_> = sets.iter().flatten().collect();
    for id in valid.iter().flat_map(|(_, set)| set.iter()) {
        *counts.entry(id).or_default() += 1;
    }
    say!(
        "{} pods under every control of ours ({} invalid): {counts:?}",
        valid.len(),
        sets.len() - valid.len()
    );
    let seen: BTreeSet<&str> = counts.keys().copied().filter(|id| id.starts_with("HB-")).collect();
    assert!(seen.len() >= 14, "only {seen:?} were ever broken");
    let survivors = controls::score(&settings, &valid);
    assert!(survivors.is_empty(), "nothing notices {survivors:?}");
    Ok(())
}
