//! Texts of users that try to get out of their literal.

use std::collections::BTreeSet;

use gabion::api::gabion::crds::crds;
use gabion::api::gabion::hardening_baseline::HardeningBaselineSpec;
use gabion::api::gabion::hardening_baseline::Verdict;
use gabion::policy::Settings;
use gabion::policy::version::PssVersion;
use serde_json::{Value, json};
use support::{Failure, Result, eventually};

use crate::{
    live::{Api, plane},
    ours,
    pods::bases,
};

fn corpus() -> Vec<String> {
    let mut texts: Vec<String> = [
        "'",
        "\"",
        "\\",
        "\n",
        "\r",
        "\u{2028}",
        "${x}",
        "$(x)",
        "`x`",
        "') || true || ('",
        "\\') || true || (\\'",
        "'] || true || ['",
        "\\u0027) || true",
        "\u{1F600}",
        "\u{0}",
        "a'b",
        "/**/",
        "//",
        "{{x}}",
        "%s",
        "x\\",
        "é",
        "\u{202e}",
        "''' || true || '''",
        "r'x'",
        "x; y: z",
        "PSS-privileged: x",
        "000000000000",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(65_536));
    texts.push("y".repeat(255));
    texts
}

/// A spec with one text in one field, and the field.
fn specs(text: &str) -> Vec<(&'static str, Value)> {
    vec![
        (
            "images.allowedRegistries",
            json!({"images": {"allowedRegistries": [text, "ok.example.com"]}}),
        ),
        ("images.deniedRepositories", json!({"images": {"deniedRepositories": [text]}})),
        ("pods.localhostSeccompProfiles", json!({"pods": {"localhostSeccompProfiles": [text]}})),
        ("logging.requireEnv", json!({"logging": {"requireEnv": [text]}})),
        ("excludeNames", json!({"excludeNames": [text]})),
        ("namespaceSelector", json!({"namespaceSelector": {"matchLabels": {"bar": text}}})),
    ]
}

/// Pods that show whether the text did what it says and no more.
fn pods(text: &str) -> Vec<Value> {
    let base = bases()[1].1.clone();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut pod = base.clone();
        change(&mut pod);
        pod
    };
    let profile = json!({"type": "Localhost", "localhostProfile": text});
    vec![
        with(&|_| {}),
        with(&|pod| pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true})),
        with(&|pod| pod["spec"]["containers"][0]["image"] = format!("{text}/x:1").into()),
        with(&|pod| pod["spec"]["containers"][0]["image"] = text.into()),
        with(&|pod| pod["spec"]["containers"][0]["image"] = "ok.example.com/x:1".into()),
        with(&|pod| pod["spec"]["securityContext"]["seccompProfile"] = profile.clone()),
        with(&|pod| pod["spec"]["containers"][0]["env"] = json!([{"name": text, "value": "x"}])),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_texts_are_refused_with_their_field_or_mean_only_themselves() -> Result<()> {
    let plane = plane()?;
    let api = Api(plane.client().await?);
    api.namespace("hostile-plain").await?;
    eventually(crate::live::SOON, "the definitions are served", || async {
        let url = "/apis/gabion.dev/v1alpha1/hardeningbaselines";
        let answer = api.send("GET", url, "", &Value::Null).await?;
        if answer.is_yes() {
            Ok(())
        } else {
            Err(Failure::new(format!("{}; {}", answer.message(), crds().len())))
        }
    })
    .await?;
    let refused = definitions(&api).await?;
    let mut evaluated = 0;
    // Even past the definition, as when an older one let it in, no text must get out of its literal.
    for (field, settings) in compiled_all() {
        let ns = format!("hostile-{field}");
        api.namespace(&ns).await?;
        api.label(&ns, &json!({"bar": ns})).await?;
        api.put_in_force(&ours::compiled(&settings, &ns), &ns).await?;
        let texts: Vec<_> = corpus().into_iter().filter(|text| text.len() < 1000).collect();
        for pod in texts.iter().flat_map(|text| pods(text)) {
            if !api.try_pod("hostile-plain", &pod).await?.is_yes() {
                continue;
            }
            let answer = api.try_pod(&ns, &pod).await?;
            let message = answer.message();
            let denied = if answer.is_yes() {
                Some(BTreeSet::new())
            } else {
                ours::denied_controls(&message)
            };
            let denied = denied.unwrap_or_else(|| BTreeSet::from([message]));
            assert_eq!(denied, ours::broken_controls(&settings, &pod), "{field}: {pod}");
            evaluated += 1;
        }
    }
    say!(
        "hostile texts: {refused} refused by the definition with their field; {evaluated} pods evaluated alike where all of them were compiled"
    );
    assert!(refused > 50 && evaluated > 200);
    Ok(())
}

/// Settings with all hostile texts in one field, past every check.
fn compiled_all() -> Vec<(String, Settings)> {
    let texts = || -> Vec<String> {
        let short = corpus().into_iter().filter(|text| text.len() < 1000);
        short.chain(["ok.example.com".to_owned()]).collect()
    };
    let base = || Settings {
        templates: Verdict::Ignore,
        ..Settings::built_in("restricted").expect("a name")
    };
    let ok = "ok.example.com".to_owned();
    let denied = texts().into_iter().filter(|text| *text != ok).collect();
    let mut all = vec![
        ("registries".to_owned(), Settings { allowed_registries: texts(), ..base() }),
        ("repositories".to_owned(), Settings { denied_repositories: denied, ..base() }),
        ("profiles".to_owned(), Settings { seccomp_profiles: texts(), ..base() }),
    ];
    // All at once would cost more than the API server spends on one expression.
    all.extend(texts().chunks(15).enumerate().map(|(nth, names)| {
        (format!("env-{nth}"), Settings { required_env: names.to_vec(), ..base() })
    }));
    all
}

/// Gives each text in each field to the definition. How many are refused, all with their field.
async fn definitions(api: &Api) -> Result<usize> {
    let mut refused = 0;
    for text in corpus() {
        for (field, mut spec) in specs(&text) {
            spec["podSecurity"] = json!({});
            if field != "namespaceSelector" {
                spec["namespaceSelector"] = json!({"matchLabels": {"bar": "hostile"}});
            }
            let object = json!({"apiVersion": "gabion.dev/v1alpha1", "kind": "HardeningBaseline",
                "metadata": {"name": "hostile"}, "spec": spec});
            let url =
                "/apis/gabion.dev/v1alpha1/hardeningbaselines?dryRun=All&fieldValidation=Strict";
            let answer = api.send("POST", url, "application/json", &object).await?;
            if !answer.is_yes() {
                let last = field.rsplit('.').next().unwrap_or_default();
                let message = answer.message();
                assert!(message.contains(last), "{field} {text:?}: {message}");
                refused += 1;
            }
            let typed: HardeningBaselineSpec = serde_json::from_value(spec)?;
            if Settings::of(&typed, PssVersion::Pinned(37)).is_err() {
                let taken = answer.is_yes();
                assert!(!taken, "{field} {text:?}: the definition takes what the compiler refuses");
            }
        }
    }
    Ok(refused)
}
