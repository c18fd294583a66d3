//! `gabion check --eso` over files.

use serde_json::Value;

use super::program::Folder;

const STORES: &str = "\
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: aws, namespace: shop}
spec:
  provider:
    aws:
      service: SecretsManager
      region: eu-west-1
      prefix: shop/
      auth: {jwt: {serviceAccountRef: {name: sa}}}
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: vault}
spec:
  provider:
    vault: {server: https://vault.example.com, path: secret}
";

const SECRETS: &str = "\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: fine, namespace: shop}
spec:
  secretStoreRef: {name: aws}
  data:
    - {secretKey: a, remoteRef: {key: a}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: foreign, namespace: shop}
spec:
  secretStoreRef: {name: vault, kind: ClusterSecretStore}
  data:
    - {secretKey: a, remoteRef: {key: a}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: found, namespace: shop}
spec:
  secretStoreRef: {name: aws}
  dataFrom:
    - find: {name: {regexp: a}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: nowhere, namespace: other}
spec:
  secretStoreRef: {name: aws}
  data:
    - {secretKey: a, remoteRef: {key: a}}
";

fn folder() -> Folder {
    Folder::of(&[
        ("stores.yaml", STORES),
        ("secrets.yaml", SECRETS),
        // What has nothing to do with it is not evaluated.
        ("Dockerfile", "FROM ubuntu\n"),
        (
            "pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a}]}\n",
        ),
    ])
}

fn findings(report: &Value) -> Vec<String> {
    let files = report["files"].as_array().unwrap().iter();
    files
        .flat_map(|file| {
            file["findings"].as_array().unwrap().iter().map(|finding| {
                let text = |field: &str| finding[field].as_str().unwrap().to_owned();
                let name = file["name"].as_str().unwrap().rsplit('/').next().unwrap();
                format!(
                    "{name}:{}:{} {} {} {}: {}",
                    finding["line"],
                    finding["column"],
                    text("severity"),
                    text("control"),
                    text("object"),
                    text("message")
                )
            })
        })
        .collect()
}

#[test]
fn each_object_that_does_not_work_is_named_where_it_stands() {
    let run = folder().check(&["--eso", "-o", "json", "."]);
    assert_eq!(run.code, 1, "{}", run.all());
    let report = run.json();
    assert_eq!(
        findings(&report),
        [
            "secrets.yaml:13:20 high HB-ESO-LACKS ExternalSecret shop/foreign: its ClusterSecretStore vault does not work: Gabion has no provider vault",
            "secrets.yaml:23:7 medium HB-ESO-DIFFERS ExternalSecret shop/found: its SecretStore aws has a prefix: only what is below it is found",
            "secrets.yaml:29:20 low HB-ESO-LACKS ExternalSecret other/nowhere: its SecretStore aws is not among what is checked, so nobody can tell whether it works",
            "stores.yaml:17:5 high HB-ESO-LACKS ClusterSecretStore vault: Gabion has no provider vault",
        ]
    );
    assert_eq!(report["unevaluated"]["Pod"], 1);
    assert_eq!(report["summary"]["objects"], 6);
}

#[test]
fn every_format_and_every_exit_code_is_that_of_check() {
    let folder = folder();
    for (arguments, code, said) in [
        (&["--eso", "."][..], 1, "→ keep ESO for the ExternalSecrets of this store"),
        (&["--eso", "-o", "sarif", "."], 1, "\"HB-ESO-LACKS\""),
        (&["--eso", "-o", "junit", "."], 1, "HB-ESO-LACKS"),
        (&["--eso", "-o", "github", "."], 1, "::error file=secrets.yaml,line=13"),
        (&["--eso", "-o", "gitlab", "."], 1, "HB-ESO-LACKS"),
        (&["--eso", "--fail-on", "never", "."], 0, "HB-ESO-LACKS"),
        (&["--eso", "--skip", "HB-ESO-LACKS", "--fail-on", "high", "."], 0, "HB-ESO-DIFFERS"),
        (&["--eso", "pod.yaml"], 2, "holds no object of External Secrets Operator"),
        (&["--eso", "--allow-empty", "pod.yaml"], 0, "No findings"),
        (&["--eso", "gone.yaml"], 2, "gone.yaml"),
        (&["--eso", "--fix", "."], 2, "cannot be used with"),
        (&["--cluster"], 2, "--eso"),
        (&["--eso", "--cluster", "."], 2, "cannot be used with"),
        (&["--eso", "--context", "a", "."], 2, "need --eso --cluster"),
        (&["--eso", "--cluster", "--kubeconfig", "none"], 2, "no cluster"),
    ] {
        let run = folder.check(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.all());
        assert!(run.all().contains(said), "{arguments:?}: {}", run.all());
    }
    let run = super::program::check_in(&folder.path("."), &["--eso", "-"], STORES.as_bytes());
    assert_eq!(run.code, 1, "{}", run.all());
    assert!(run.out.contains("<stdin>") && run.out.contains("17:5"), "{}", run.out);
}

#[test]
fn what_somebody_decided_to_live_with_does_not_count() {
    let decided = STORES.replace(
        "metadata: {name: vault}",
        "metadata: {name: vault, annotations: {gabion.dev/ignore-HB-ESO-LACKS: stays with ESO}}",
    );
    let run = Folder::of(&[("a.yaml", &decided)]).check(&["--eso", "a.yaml"]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.out.contains("stays with ESO"), "{}", run.out);
}

/// Objects as ESO leaves them, with their status, finalizers and defaults.
#[test]
fn what_eso_leaves_of_supported_objects_has_no_finding() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = super::program::check_in(
        root,
        &["--eso", "--no-suppress", "--fail-on", "medium", "-o", "json", "tests/fixtures/takeover"],
        b"",
    );
    assert_eq!(run.code, 0, "{}", run.all());
    assert_eq!(run.json()["summary"]["objects"], 6);
    assert_eq!(run.json()["summary"]["errors"], 0);
}

#[test]
fn a_value_is_in_no_message() {
    let secret = "tr0ub4dor";
    let text = format!(
        "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {{name: a}}\nspec:\n  provider:\n    vault: {{token: {secret}}}\n---\napiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {{name: b}}\nspec: {{provider: {{fake: {{data: [{{key: a, value: {secret}, valueMap: {{a: {secret}}}}}, {{key: [{secret}], value: 1}}]}}}}}}\n"
    );
    for format in ["text", "json", "sarif"] {
        let run = Folder::of(&[("a.yaml", &text)]).check(&["--eso", "-o", format, "a.yaml"]);
        assert_eq!(run.code, 1, "{}", run.all());
        assert!(!run.all().contains(secret), "{}", run.all());
    }
}

#[test]
fn two_pushsecrets_for_one_remote_secret_are_told() {
    let push = |name: &str, store: &str, remote: &str| {
        format!(
            "apiVersion: external-secrets.io/v1alpha1\nkind: PushSecret\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{secretStoreRefs: [{{name: {store}}}], selector: {{secret: {{name: s}}}}, data: [{{match: {{secretKey: k, remoteRef: {{{remote}}}}}}}]}}\n---\n"
        )
    };
    let of = |pushes: &[String]| {
        let text = format!("{STORES}---\n{}", pushes.concat()).replace("prefix: shop/", "");
        let report = Folder::of(&[("x.yaml", &text)]).check(&["--eso", "-o", "json", "."]).json();
        let all = findings(&report);
        all.into_iter().filter(|one| one.contains("same remote")).collect::<Vec<_>>()
    };
    let first = push("one", "aws", "remoteKey: a");
    let found = of(&[first.clone(), push("two", "aws", "remoteKey: a")]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("medium HB-ESO-DIFFERS PushSecret shop/two: PushSecret one writes the same remote secret a"),
        "{found:?}"
    );
    let part = |name: &str, property: &str| {
        push(name, "aws", &format!("remoteKey: a, property: {property}"))
    };
    for shared in [
        [first.clone(), part("two", "x")],
        [part("one", "x"), part("two", "x")],
        [part("one", "x.z"), part("two", "x")],
    ] {
        assert_eq!(of(&shared).len(), 1, "{shared:?}");
    }
    for apart in [
        [part("one", "user"), part("two", "password")],
        [first.clone(), push("two", "aws", "remoteKey: b")],
        [first.clone(), push("two", "other", "remoteKey: a")],
        [
            first.clone(),
            push("two", "aws", "remoteKey: a").replace("namespace: shop", "namespace: b"),
        ],
        // One object may name a place several times.
        [first.clone(), first.clone()],
    ] {
        assert_eq!(of(&apart), [""; 0], "{apart:?}");
    }
}
