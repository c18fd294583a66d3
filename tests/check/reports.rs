//! Inputs that people met and reported: each test is named after what was wrong.

use super::program::{Folder, GOOD, writable};

fn controls(folder: &Folder, arguments: &[&str]) -> Vec<String> {
    folder.check(&[&["-o", "json"], arguments].concat()).controls()
}

/// The good pod with this list of variables beside its own.
fn with_env(entries: &str) -> String {
    GOOD.replace("      resources:", &format!("{entries}\n      resources:"))
}

#[test]
fn reports_10_names_that_only_sound_like_credentials_are_no_credentials() {
    let entry = |name: &str, value: &str| format!("        - {{name: {name}, value: '{value}'}}");
    for (name, value) in [("TOKEN_BUDGET", "8192"), ("PASSWORD_HASHER", "bcrypt")] {
        let folder = Folder::of(&[
            ("x.yaml", &with_env(&entry(name, value))),
            (
                "Dockerfile",
                &format!(
                    "FROM company.example/x:1@sha256:{}\nARG {name}={value}\nENV {name}={value}\nUSER 1\n",
                    "a".repeat(64)
                ),
            ),
        ]);
        assert_eq!(controls(&folder, &["."]), [""; 0], "{name}");
    }
    let url = format!(
        "        - {{name: CACHE_PW, valueFrom: {{secretKeyRef: {{name: s, key: k}}}}}}\n{}",
        entry("REDIS_URL", "redis://:$(CACHE_PW)@cache:6379")
    );
    let folder = Folder::of(&[("x.yaml", &with_env(&url))]);
    assert_eq!(controls(&folder, &["x.yaml"]), [""; 0]);
    for (name, value) in [("ADMIN_PASSWORD", "123456"), ("GITHUB_TOKENS", "not-a-real-one")] {
        let folder = Folder::of(&[("x.yaml", &with_env(&entry(name, value)))]);
        assert_eq!(controls(&folder, &["x.yaml"]), ["HB-SECRET-LITERAL"], "{name}");
    }
}

#[test]
fn check_8_credentials_in_the_command_line_are_found_in_files() {
    let with =
        |args: &str| GOOD.replace("      env:", &format!("      args: [{args}]\n      env:"));
    let folder = Folder::of(&[("x.yaml", &with("serve, --db-password=hunter2"))]);
    let run = folder.check(&["x.yaml"]);
    assert!(run.out.contains("HB-SECRET-LITERAL") && !run.out.contains("hunter2"), "{}", run.out);
    let folder = Folder::of(&[("x.yaml", &with("serve, --db-password=$(DB_PASSWORD)"))]);
    assert_eq!(folder.check(&["x.yaml"]).code, 0);
}

#[test]
fn a_volume_with_a_token_is_found() {
    let token = "  volumes:\n    - name: t\n      projected: {sources: [{serviceAccountToken: {path: token}}]}";
    let folder = Folder::of(&[("x.yaml", &GOOD.replace("  volumes:", token))]);
    assert_eq!(controls(&folder, &["x.yaml"]), ["HB-TOKEN"]);
    // --fix has no answer for it, and leaves it alone.
    let before = folder.read("x.yaml");
    folder.check(&["--fix", "x.yaml"]);
    assert_eq!(folder.read("x.yaml"), before);
}

#[test]
fn reports_5_amounts_that_our_own_limit_range_refuses_are_found() {
    let baseline = "apiVersion: gabion.dev/v1alpha1\nkind: HardeningBaseline\nmetadata: {name: prod}\nspec:\n  allNamespaces: true\n  resources: {containerDefaults: {limits: {memory: 512Mi}}}\n";
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n        - name: web\n          image: a:1\n          resources:\n            requests: {memory: 600Mi}\n";
    let folder = Folder::of(&[("prod.yaml", baseline), ("web.yaml", deployment)]);
    let report = folder.check(&["--baseline", "prod.yaml", "-o", "json", "web.yaml"]).json();
    let findings = report["files"][0]["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["note"] == false).unwrap();
    assert_eq!(finding["control"], "HB-RES", "{report}");
    assert_eq!(finding["field"], "spec.template.spec.containers[0].resources.requests.memory");
    assert!(finding["message"].as_str().unwrap().contains("512Mi"), "{finding}");
}

#[test]
fn reports_14_patches_of_kustomize_are_no_objects() {
    let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers:\n        - name: web\n          resources: {limits: {memory: 1Gi}}\n";
    let kustomization = "resources: [../base]\npatchesStrategicMerge: [res.yaml]\n";
    let (_, spec) = GOOD.split_once("spec:\n").unwrap();
    let spec = spec.replace("name: app\n", "name: web\n").replace("\n  ", "\n      ");
    let head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n    ";
    let workload = format!("{head}{spec}");
    let folder = Folder::of(&[
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
        ("base/web.yaml", &workload),
        ("o/kustomization.yaml", kustomization),
        ("o/res.yaml", patch),
    ]);
    for path in ["o", "o/res.yaml"] {
        let run = folder.check(&["--fix", path]);
        assert_eq!(run.code, 0, "{}", run.all());
        assert_eq!(folder.read("o/res.yaml"), patch);
    }
    // What a patch itself says still counts.
    let bad = patch.replace(
        "          resources",
        "          securityContext: {privileged: true}\n          resources",
    );
    folder.write("o/res.yaml", bad.as_bytes());
    assert!(controls(&folder, &["o"]).contains(&"PSS-privileged".to_owned()));
    let alone = Folder::of(&[("res.yaml", patch)]);
    assert!(controls(&alone, &["res.yaml"]).contains(&"PSS-runAsNonRoot".to_owned()));
    let json = Folder::of(&[
        ("kustomization.yaml", "patches: [{path: p.yaml, target: {kind: Deployment}}]\n"),
        ("p.yaml", "- {op: add, path: /spec/replicas, value: 2}\n"),
    ]);
    assert_eq!(json.check(&["."]).code, 0);
}

#[test]
fn reports_17_json_that_yaml_does_not_know_is_read() {
    let pod = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "annotations": {"x": "DEL"}}, "spec": {"containers": []}}"#;
    let folder = Folder::of(&[("x.json", &pod.replace("DEL", "a\u{7f}b"))]);
    let run = folder.check(&["--skip", "HB-INVALID", "x.json"]);
    assert_eq!(run.code, 0, "{}", run.all());
}

#[test]
fn check_2_what_is_not_evaluated_does_not_pass_in_silence() {
    for (text, word) in [
        (GOOD.replace("kind: Pod\n", ""), "has no kind"),
        (GOOD.replace("apiVersion: v1\n", ""), "has no apiVersion"),
        (GOOD.replace("kind: Pod", "kind: pod"), "write Pod"),
        ("services: {web: {image: x}}\n".to_owned(), "nothing to evaluate"),
        (
            "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: a}\nspec: {}\n"
                .to_owned(),
            "write apps/v1",
        ),
    ] {
        let folder = Folder::of(&[("x.yaml", &text)]);
        let run = folder.check(&["--fail-on", "never", "x.yaml"]);
        assert_eq!(run.code, 2, "{}", run.all());
        assert!(run.out.contains(word), "{word}: {}", run.all());
    }
    // Beside something that is evaluated, a file without objects is listed and no more.
    let folder =
        Folder::of(&[("values.yaml", "kind: Deployment\nreplicas: 1\n"), ("x.yaml", GOOD)]);
    assert_eq!(folder.check(&["."]).code, 0);
}

#[test]
fn check_1_files_and_controls_can_be_left_out() {
    let folder = Folder::of(&[
        ("a/x.yaml", &writable()),
        ("a/vendor/y.yaml", &writable()),
        ("z.yaml", GOOD),
    ]);
    assert_eq!(folder.check(&["."]).code, 1);
    assert_eq!(folder.check(&["--exclude", "a", "."]).code, 0);
    assert_eq!(folder.check(&["--exclude", "vendor", "--exclude", "a/*.yaml", "."]).code, 0);
    assert_eq!(folder.check(&["--exclude", "vendor/", "."]).code, 1);
    assert_eq!(folder.check(&["--skip", "HB-ROFS", "."]).code, 0);
    let typo = folder.check(&["--skip", "HB-ROF", "."]);
    assert!(typo.code == 2 && typo.err.contains("did you mean HB-ROFS?"), "{}", typo.all());
}

#[test]
fn suppressions_in_files_can_be_made_not_to_count() {
    let ignored = writable().replace(
        "metadata: {name: good,",
        "metadata: {name: good, annotations: {gabion.dev/ignore-HB-ROFS: because},",
    );
    let folder = Folder::of(&[
        ("x.yaml", &ignored),
        ("Dockerfile", "# gabion:ignore HB-DF-USER,HB-DF-BASE because\nFROM alpine:3.20\n"),
    ]);
    assert_eq!(folder.check(&["."]).code, 0);
    let run = folder.check(&["--no-suppress", "-o", "json", "."]);
    assert_eq!(run.code, 1);
    assert_eq!(run.controls(), ["HB-DF-USER", "HB-ROFS"]);
}

#[test]
fn folders_that_are_not_searched_are_named() {
    let folder =
        Folder::of(&[(".github/workflows/x.yaml", GOOD), (".git/y.yaml", GOOD), ("x.yaml", GOOD)]);
    let run = folder.check(&["."]);
    assert!(run.out.contains("names start with a dot: .github."), "{}", run.out);
    assert!(!run.out.contains(".git,") && !folder.check(&["-q", "."]).out.contains(".github"));
    assert!(!folder.check(&["x.yaml"]).out.contains("start with a dot"));
}

#[test]
fn reports_16_the_stricter_profile_is_never_milder() {
    let socket = GOOD.replace(
        "{name: tmp, emptyDir: {}}",
        "{name: tmp, hostPath: {path: /var/run/docker.sock}}",
    );
    let folder = Folder::of(&[("x.yaml", &socket)]);
    for profile in ["baseline", "restricted", "guide"] {
        let run = folder.check(&["--profile", profile, "--fail-on", "critical", "x.yaml"]);
        assert_eq!(run.code, 1, "{profile}: {}", run.out);
    }
}
