//! Which rules apply: profiles, baselines, kinds, references between files, thresholds.

use super::program::{Folder, GOOD, writable};

const BASELINE: &str = "\
apiVersion: gabion.dev/v1alpha1
kind: HardeningBaseline
metadata: {name: prod}
spec:
  allNamespaces: true
  images:
    allowedRegistries: [registry.corp.example/prod, gcr.io/distroless]
    deniedRepositories: [docker.io/library/ubuntu]
    vulnerabilities: {maxCritical: 0}
";

fn with_image(image: &str) -> String {
    GOOD.replace("registry.example/app:1.2", image)
}

#[test]
fn a_baseline_file_evaluates_images_and_look_alikes() {
    let digest = format!("gcr.io/distroless/java@sha256:{}", "a".repeat(64));
    let bare = format!("x@sha256:{}", "a".repeat(64));
    for (image, admitted) in [
        ("registry.corp.example/prod/a/b:1", true),
        (digest.as_str(), true),
        ("registry.corp.example.evil.io/prod/x:1", false),
        ("registry.corp.example/production/x:1", false),
        ("registry.corp.example:5000/prod/x:1", false),
        ("gcr.io/distroless-evil/x:1", false),
        ("nginx:1", false),
        ("library/nginx:1", false),
        ("localhost/x:1", false),
        ("registry.corp.example/prod/../x:1", false),
        (bare.as_str(), false),
    ] {
        let folder = Folder::of(&[("b.yaml", BASELINE), ("pod.yaml", &with_image(image))]);
        let run = folder.check(&["--baseline", "b.yaml", "-o", "json", "pod.yaml"]);
        assert_eq!(run.code == 0, admitted, "{image}: {}", run.all());
        assert_eq!(run.json()["rules"], "prod");
    }
}

#[test]
fn a10_a_denied_repository_is_known_by_all_its_names() {
    let denying = "apiVersion: gabion.dev/v1alpha1\nkind: HardeningBaseline\nmetadata: {name: prod}\nspec:\n  allNamespaces: true\n  images: {deniedRepositories: [docker.io/library/ubuntu], tags: Any}\n";
    for image in
        ["docker.io/library/ubuntu", "ubuntu", "ubuntu:20.04", "index.docker.io/library/ubuntu"]
    {
        let folder = Folder::of(&[("b.yaml", denying), ("pod.yaml", &with_image(image))]);
        let run = folder.check(&["--baseline", "b.yaml", "-o", "json", "pod.yaml"]);
        assert_eq!(run.controls(), ["HB-IMG-BASE"], "{image}");
    }
    let port =
        Folder::of(&[("pod.yaml", &with_image("a:5000/x"))]).check(&["-o", "json", "pod.yaml"]);
    assert_eq!(port.controls(), ["HB-IMG-TAG"]);
}

#[test]
fn profiles_ask_for_less_and_severity_decides_the_exit_code() {
    let folder = Folder::of(&[("x.yaml", &writable())]);
    assert_eq!(folder.check(&["x.yaml"]).code, 1);
    for profile in ["baseline", "restricted"] {
        assert_eq!(folder.check(&["--profile", profile, "x.yaml"]).code, 0, "{profile}");
    }
    for (threshold, code) in [("low", 1), ("high", 1), ("critical", 0), ("never", 0)] {
        assert_eq!(folder.check(&["--fail-on", threshold, "x.yaml"]).code, code, "{threshold}");
    }
}

#[test]
fn lists_and_all_template_kinds_are_opened() {
    let spec: Vec<_> = writable().lines().skip(3).map(|line| format!("    {line}\n")).collect();
    let spec = spec.concat();
    let job = format!("{spec}      restartPolicy: Never\n");
    for (version, kind) in [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "ReplicationController"),
        ("batch/v1", "Job"),
    ] {
        let selector =
            if version == "apps/v1" { "  selector: {matchLabels: {a: b}}\n" } else { "" };
        let ends = if kind == "Job" { &job } else { &spec };
        let text = format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n{selector}  template:\n    metadata: {{labels: {{a: b}}}}\n{ends}"
        );
        let run = Folder::of(&[("x.yaml", &text)]).check(&["-o", "json", "x.yaml"]);
        assert_eq!(run.controls(), ["HB-ROFS"], "{kind}: {}", run.all());
    }
    let template =
        format!("apiVersion: v1\nkind: PodTemplate\nmetadata: {{name: a}}\ntemplate:\n{spec}");
    assert_eq!(
        Folder::of(&[("x.yaml", &template)]).check(&["-o", "json", "x.yaml"]).controls(),
        ["HB-ROFS"]
    );
    let nested = job.replace("\n    ", "\n        ");
    let cron = format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: a}}\nspec:\n  schedule: \"@daily\"\n  jobTemplate:\n    spec:\n      template:\n    {nested}"
    );
    let run = Folder::of(&[("x.yaml", &cron)]).check(&["-o", "json", "x.yaml"]);
    assert_eq!(run.controls(), ["HB-ROFS"], "{}", run.all());

    let item: Vec<_> = writable()
        .lines()
        .enumerate()
        .map(|(i, line)| format!("{}{line}\n", if i == 0 { "- " } else { "  " }))
        .collect();
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}", item.concat());
    let run = Folder::of(&[("l.yaml", &list)]).check(&["-o", "json", "l.yaml"]);
    let finding = run.json()["files"][0]["findings"][0].clone();
    assert_eq!(
        finding["field"],
        "items[0].spec.containers[0].securityContext.readOnlyRootFilesystem"
    );
    assert_eq!(
        (finding["line"].as_u64(), finding["object"].as_str()),
        (Some(26), Some("Pod shop/good"))
    );
    // The API server leaves out what the items of a list are.
    let bare = list
        .replace("kind: List", "kind: PodList")
        .replace("- apiVersion: v1\n  kind: Pod\n  metadata", "- metadata");
    let run = Folder::of(&[("l.yaml", &bare)]).check(&["-o", "json", "l.yaml"]);
    assert_eq!(run.controls(), ["HB-ROFS"], "{}", run.all());
}

#[test]
fn references_are_resolved_across_files() {
    let secret = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: a, namespace: shop}\nspec:\n  secretStoreRef: {name: aws}\n";
    let store = |name: &str, namespace: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{provider: {{fake: {{data: [{{key: a, value: b}}]}}}}}}\n"
        )
    };
    for (stores, code, word) in [
        (String::new(), 0, "note"),
        (store("aws", "shop"), 0, "No findings"),
        (store("other", "shop"), 1, "SecretStore aws is not among what is checked"),
        (store("aws", "bank"), 1, "HB-ESO"),
    ] {
        let folder = Folder::of(&[("a.yaml", secret), ("b.yaml", &stores)]);
        let run = folder.check(&["."]);
        assert_eq!(run.code, code, "{stores}: {}", run.out);
        assert!(run.out.contains(word), "{word}: {}", run.out);
    }
}

#[test]
fn secrets_network_policies_and_namespaces_are_evaluated() {
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: swordfish}\n";
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:\n  podSelector: {}\n  ingress:\n  - {}\n";
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels: {pod-security.kubernetes.io/enforce: privileged}\n";
    let folder = Folder::of(&[("a.yaml", secret), ("b.yaml", policy), ("c.yaml", namespace)]);
    let run = folder.check(&["-o", "json", "."]);
    assert_eq!(run.controls(), ["HB-SECRET-GIT", "HB-NP-OPEN", "HB-PSA"]);
    for format in ["text", "json", "sarif", "junit"] {
        assert!(!folder.check(&["-o", format, "."]).all().contains("swordfish"), "{format}");
    }
}

#[test]
fn a_scanners_report_is_held_against_thresholds() {
    let finding = |id: &str, severity: &str| {
        format!(
            "{{\"VulnerabilityID\": \"{id}\", \"PkgName\": \"openssl\", \"Severity\": \"{severity}\"}}"
        )
    };
    let report = format!(
        "{{\"SchemaVersion\": 2, \"ArtifactName\": \"app:1\", \"Results\": [{{\"Vulnerabilities\": [{}, {}]}}]}}",
        finding("CVE-1", "CRITICAL"),
        finding("CVE-2", "HIGH")
    );
    let folder = Folder::of(&[("trivy.json", &report), ("b.yaml", BASELINE)]);
    let run = folder.check(&["trivy.json"]);
    assert_eq!(run.code, 1, "{}", run.out);
    assert!(
        run.out.contains(
            "critical  HB-VULN  1 critical vulnerability, accepted are 0: CVE-1 (openssl)"
        ),
        "{}",
        run.out
    );
    assert_eq!(folder.check(&["--max-critical", "1", "trivy.json"]).code, 0);
    assert_eq!(folder.check(&["--max-critical", "1", "--max-high", "0", "trivy.json"]).code, 1);
    assert_eq!(folder.check(&["--baseline", "b.yaml", "trivy.json"]).code, 1);
}
