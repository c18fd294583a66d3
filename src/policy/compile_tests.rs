//! What holds for every set of policies, whatever the settings.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{PolicySet, Scope, Settings, compile, rules};
use crate::api::gabion::hardening_baseline::HardeningBaselineSpec;
use crate::api::gabion::hardening_baseline::Level;
use crate::api::gabion::hardening_baseline::RequiredResource;
use crate::api::gabion::hardening_baseline::Selector;
use crate::api::gabion::hardening_baseline::Stage;
use crate::api::gabion::hardening_baseline::Tags;
use crate::api::gabion::hardening_baseline::Verdict;
use crate::policy::selection::NAME_LABEL;
use crate::policy::selection::Protected;
use crate::policy::selection::Selection;
use crate::policy::settings::Range;
use crate::policy::version::PssVersion;

fn scope() -> Scope {
    let selector = Selector {
        match_labels: [("env".to_owned(), "prod".to_owned())].into(),
        ..Selector::default()
    };
    Scope {
        name: "prod".into(),
        uid: "uid-prod".into(),
        selection: Selection { selector, exclude: ["legacy".to_owned()].into() },
        protected: Protected::new("gabion-system", ["platform".to_owned()]),
        behind: ["slow".to_owned()].into(),
        waivers: Vec::new(),
    }
}

fn set(settings: &Settings, stage: Stage) -> PolicySet {
    compile(settings, &scope(), stage).expect("settings that a pod can hold")
}

/// Everything that can be asked for, as long as it can be.
fn most() -> Settings {
    let registries = (0..64).map(|n| format!("r{n:02}.{}.example/team", "x".repeat(55)));
    let range = Some(Range { min: 1_000_000, max: 2_147_483_647 });
    Settings {
        pod_security: Some((Level::Restricted, PssVersion::Latest)),
        read_only_root: true,
        user_ids: range,
        group_ids: range,
        fs_groups: range,
        seccomp_profiles: (0..64).map(|n| format!("{n}/{}.json", "p".repeat(240))).collect(),
        required_resources: vec![
            RequiredResource::LimitsCpu,
            RequiredResource::LimitsMemory,
            RequiredResource::LimitsEphemeralStorage,
            RequiredResource::RequestsCpu,
            RequiredResource::RequestsMemory,
            RequiredResource::RequestsEphemeralStorage,
        ],
        allowed_registries: registries.clone().collect(),
        denied_repositories: registries.map(|r| format!("{r}/denied")).collect(),
        tags: Tags::RequireDigest,
        literal_credential_env: Verdict::Deny,
        secret_env: Verdict::Deny,
        required_env: (0..16).map(|n| format!("V{n}{}", "E".repeat(250))).collect(),
        log_volume_read_only: true,
        min_container_port: Some(1024),
        no_token: true,
        token_audiences: (0..16).map(|n| format!("{n}{}", "a".repeat(250))).collect(),
        templates: Verdict::Deny,
    }
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        _ => {}
    }
}

fn expressions(set: &PolicySet) -> Vec<String> {
    let mut found = Vec::new();
    for policy in &set.policies {
        for key in ["variables", "validations", "matchConditions"] {
            texts(&policy["spec"][key], &mut found);
        }
    }
    found
}

#[test]
fn no_policy_waits_for_a_parameter_or_reaches_the_core() {
    for name in Settings::BUILT_IN {
        let settings = Settings::built_in(name).expect("built in");
        for policy in set(&settings, Stage::Enforce).policies {
            assert!(policy["spec"].get("paramKind").is_none());
            for rule in
                policy["spec"]["matchConstraints"]["resourceRules"].as_array().expect("rules")
            {
                let resources: Vec<_> =
                    rule["resources"].as_array().expect("resources").iter().collect();
                let known = |resource: &str| {
                    resource.starts_with("pods")
                        || super::WorkloadKind::TEMPLATES.iter().any(|k| k.resource() == resource)
                };
                assert!(resources.iter().all(|r| r.as_str().is_some_and(known)), "{rule}");
                assert!(!rule.to_string().contains('*'), "{rule}");
            }
        }
    }
}

#[test]
fn only_what_denies_fails_closed() {
    let guide = Settings::built_in("guide").expect("built in");
    let policies = |stage| {
        let of = |p: &Value| {
            let name = p["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            (name, p["spec"]["failurePolicy"].as_str().unwrap_or_default().to_owned())
        };
        set(&guide, stage).policies.iter().map(of).collect::<Vec<_>>()
    };
    let row = |name: &str, policy: &str| (name.to_owned(), policy.to_owned());
    assert_eq!(
        policies(Stage::Enforce),
        [
            row("gabion-prod-pods", "Fail"),
            row("gabion-prod-advice", "Ignore"),
            row("gabion-prod-templates", "Ignore")
        ]
    );
    assert!(policies(Stage::Warn).iter().all(|(_, policy)| policy == "Ignore"));
    assert!(policies(Stage::Observe).is_empty());
}

#[test]
fn each_stage_has_its_actions() {
    let settings =
        Settings { templates: Verdict::Deny, ..Settings::built_in("guide").expect("it") };
    let actions = |stage| {
        let bindings = set(&settings, stage).bindings;
        bindings.iter().map(|b| b["spec"]["validationActions"].clone()).collect::<Vec<_>>()
    };
    let (deny, warn) = (json!(["Deny", "Audit"]), json!(["Warn", "Audit"]));
    assert_eq!(actions(Stage::Enforce), [deny.clone(), warn.clone(), deny]);
    assert_eq!(actions(Stage::Warn), [warn.clone(), warn.clone(), warn]);
    assert_eq!(actions(Stage::Audit), [json!(["Audit"]), json!(["Audit"]), json!(["Audit"])]);
}

#[test]
fn protected_and_excluded_namespaces_are_left_out_in_every_selector() {
    let set = set(&Settings::built_in("guide").expect("it"), Stage::Enforce);
    let constraints = set.policies.iter().map(|p| &p["spec"]["matchConstraints"]);
    let bindings = set.bindings.iter();
    let resources = bindings.map(|b| &b["spec"]["matchResources"]);
    for place in constraints.chain(resources) {
        let selector = &place["namespaceSelector"];
        assert_eq!(selector["matchLabels"], json!({ "env": "prod" }));
        let out = &selector["matchExpressions"][0];
        assert_eq!((&out["key"], &out["operator"]), (&json!(NAME_LABEL), &json!("NotIn")));
        let names: BTreeSet<_> =
            out["values"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
        for name in
            ["kube-system", "kube-public", "kube-node-lease", "gabion-system", "platform", "legacy"]
        {
            assert!(names.contains(name), "{name} in {selector}");
        }
    }
    let behind = |v: &Value| v.to_string().contains("\"slow\"");
    assert!(set.bindings.iter().all(behind) && !set.policies.iter().any(behind));
}

#[test]
fn the_longest_message_fits_and_has_one_line() {
    /// In bytes; the API server drops longer ones.
    const LONGEST_MESSAGE: usize = 5 * 1024;
    let settings = most();
    let all: usize = rules::asked(&settings)
        .map(|(rule, _)| rule.id.as_str().len() + 4 + rule.remedy(&settings).len())
        .sum();
    assert!(all + 200 < LONGEST_MESSAGE, "{all}");
    for text in expressions(&set(&settings, Stage::Enforce)) {
        assert!(!text.contains(['\n', '\r']) && text.len() < 100_000, "{}", text.len());
    }
}

#[test]
fn the_revision_follows_what_decides_and_nothing_else() {
    let settings = Settings::built_in("guide").expect("it");
    let first = set(&settings, Stage::Enforce);
    assert_eq!(first, set(&settings, Stage::Enforce));
    assert_eq!(first.revision.len(), 12);
    let ahead = Scope { behind: BTreeSet::new(), ..scope() };
    let promoted = compile(&settings, &ahead, Stage::Enforce).expect("compiles");
    assert_eq!(promoted.revision, first.revision);
    assert_eq!(promoted.policies, first.policies);
    let other = Settings { tags: Tags::RequireDigest, ..settings };
    assert_ne!(set(&other, Stage::Enforce).revision, first.revision);
}

#[test]
fn each_policy_proves_itself_by_its_own_sentinel() {
    let set = set(&Settings::built_in("guide").expect("it"), Stage::Enforce);
    let sentinels: BTreeSet<_> = set.probes.iter().map(|probe| &probe.sentinel).collect();
    assert_eq!((sentinels.len(), set.probes.len()), (set.policies.len(), set.policies.len()));
    for (probe, policy) in set.probes.iter().zip(&set.policies) {
        assert_eq!(policy["metadata"]["name"], json!(probe.policy));
        let text = policy.to_string();
        assert!(probe.sentinel.contains(&set.revision) && text.contains(&probe.sentinel));
        assert_eq!(probe.passes["metadata"].get("annotations"), None);
    }
}

#[test]
fn settings_that_no_pod_can_hold_are_refused() {
    let registry = vec!["registry.example.com/prod".to_owned()];
    let settings = Settings {
        allowed_registries: registry.clone(),
        denied_repositories: registry,
        ..Settings::default()
    };
    let error = compile(&settings, &scope(), Stage::Enforce).expect_err("nothing can start");
    assert!(error.to_string().starts_with("spec.images: no image could start"), "{error}");
}

#[test]
fn what_no_expression_has_room_for_is_refused_with_its_field() {
    let profiles = |mark: &str| {
        let names = (10..74).map(|nth| format!("{nth}{}", mark.repeat(253)));
        Settings { seccomp_profiles: names.collect(), ..Settings::default() }
    };
    // Each character that is not plain is written as its code point.
    let refused = compile(&profiles("'"), &scope(), Stage::Enforce).expect_err("too long");
    let words = refused.to_string();
    assert!(words.contains("characters, and the API server reads 100000"), "{words}");
    assert!(words.ends_with("shorten pods.localhostSeccompProfiles"), "{words}");
    assert!(compile(&profiles("'"), &scope(), Stage::Observe).is_ok());
    assert!(compile(&profiles("a"), &scope(), Stage::Enforce).is_ok());
}

/// Text that would end a literal, a template or an expression if anything let it.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "'",
            "\"",
            "\\",
            "\n",
            "\r",
            "\0",
            "${",
            "}",
            "' || true || '",
            "'''",
            "`",
            "\u{2028}",
            "😀",
            "é",
            "\\u0027",
            "\\'",
            "//",
            "/*",
            "%s",
            "{{",
            ";",
            "ABC",
            "a/b",
            ".",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,6}",
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

/// The text outside string literals; `None` when a literal does not end.
fn outside_literals(expression: &str) -> Option<String> {
    let (mut outside, mut chars) = (String::new(), expression.chars());
    while let Some(c) = chars.next() {
        if c != '\'' {
            outside.push(c);
            continue;
        }
        loop {
            match chars.next()? {
                '\'' => break,
                '\\' => {
                    chars.next()?;
                }
                _ => {}
            }
        }
    }
    Some(outside)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Past every validation, as if the schema and the compiler's own checks had a hole.
    #[test]
    fn no_text_of_a_user_changes_the_shape_of_an_expression(text in hostile()) {
        let with = |text: &str| {
            let one = || vec![text.to_owned()];
            let settings = Settings {
                seccomp_profiles: one(),
                denied_repositories: one(),
                required_env: one(),
                no_token: true,
                token_audiences: one(),
                tags: Tags::DenyLatest,
                templates: Verdict::Ignore,
                ..Settings::default()
            };
            let set = compile(&settings, &scope(), Stage::Enforce).expect("compiles");
            let outside: Option<Vec<_>> =
                expressions(&set).iter().map(|e| outside_literals(e)).collect();
            outside.map(|parts| parts.join("\n").replace(&set.revision, "REVISION"))
        };
        let shape = with(&text);
        prop_assert!(shape.is_some(), "a literal does not end");
        // Of the same length: how long a name is, is written as a number.
        prop_assert_eq!(shape, with(&"x".repeat(text.chars().count())));
    }
}

#[test]
fn what_the_schema_refuses_the_compiler_refuses_too() {
    for (section, value, field) in [
        ("images", json!({ "allowedRegistries": ["https://x"] }), "images.allowedRegistries"),
        ("images", json!({ "allowedRegistries": ["*.io"] }), "images.allowedRegistries"),
        ("images", json!({ "deniedRepositories": ["REG/x"] }), "images.deniedRepositories"),
        ("images", json!({ "allowedRegistries": [""] }), "images.allowedRegistries"),
        ("images", json!({ "allowedRegistries": ["x/../y"] }), "images.allowedRegistries"),
        ("images", json!({ "allowedRegistries": vec!["a.io"; 65] }), "images.allowedRegistries"),
        ("images", json!({ "tags": "Newest" }), "images.tags"),
        ("pods", json!({ "runAsUser": { "min": 5, "max": 4 } }), "pods.runAsUser"),
        ("pods", json!({ "fsGroup": { "min": 0 } }), "pods.fsGroup"),
        ("pods", json!({ "localhostSeccompProfiles": ["../x"] }), "pods.localhostSeccompProfiles"),
        ("pods", json!({ "templates": "Maybe" }), "pods.templates"),
        ("pods", json!({ "minContainerPort": 0 }), "pods.minContainerPort"),
        ("resources", json!({ "require": ["limits.gpu"] }), "resources.require"),
        ("secrets", json!({ "secretEnv": "Maybe" }), "secrets.secretEnv"),
        ("podSecurity", json!({ "version": "v1.999" }), "podSecurity.version"),
    ] {
        let spec: HardeningBaselineSpec =
            serde_json::from_value(json!({ section: value })).expect("a spec");
        let error = Settings::of(&spec, PssVersion::Latest).expect_err(field);
        assert!(error.to_string().starts_with(&format!("spec.{field}:")), "{field}: {error}");
    }
}

#[test]
fn an_absent_section_checks_nothing_and_an_empty_one_its_defaults() {
    let of = |spec: Value| {
        let spec: HardeningBaselineSpec = serde_json::from_value(spec).expect("a spec");
        Settings::of(&spec, PssVersion::Pinned(30)).expect("valid")
    };
    assert_eq!(of(json!({})), Settings::default());
    assert_eq!(of(json!({ "images": {} })).tags, Tags::DenyLatest);
    let secrets = of(json!({ "secrets": {} }));
    assert_eq!(
        (secrets.literal_credential_env, secrets.secret_env),
        (Verdict::Warn, Verdict::Ignore)
    );
    let standards = of(json!({ "podSecurity": {} })).pod_security;
    assert_eq!(standards, Some((Level::Restricted, PssVersion::Pinned(30))));
    let forward = of(json!({ "images": { "allowedRegistries": ["a.io", "b.io"] } }));
    let backward = of(json!({ "images": { "allowedRegistries": ["b.io", "a.io"] } }));
    assert_eq!(forward, backward);
}
