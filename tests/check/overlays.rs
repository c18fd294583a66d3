//! Kustomizations and charts: what is deployed counts, and findings point at what was written.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use super::program::{Folder, GOOD, Run, check_with, writable};

/// A base that lacks something, an overlay that adds it, and one that does not.
fn overlays() -> Folder {
    let base = GOOD
        .replace("metadata: {name: good, namespace: shop}", "metadata: {name: web}")
        .replace("        readOnlyRootFilesystem: true\n", "");
    Folder::of(&[
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
        ("base/web.yaml", &base),
        (
            "prod/kustomization.yaml",
            "namespace: shop\nresources: [../base]\npatches: [{path: root.yaml}]\n",
        ),
        (
            "prod/root.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n    - name: app\n      securityContext: {readOnlyRootFilesystem: true}\n",
        ),
        (
            "dev/kustomization.yaml",
            "namePrefix: dev-\nresources: [../base]\nimages:\n  - {name: registry.example/app, newTag: latest}\n",
        ),
    ])
}

fn places(run: &Run) -> Vec<String> {
    let report = run.json();
    let mut found = Vec::new();
    for file in report["files"].as_array().unwrap() {
        for hit in file["findings"].as_array().unwrap() {
            found.push(format!(
                "{}:{} {} {}",
                file["name"].as_str().unwrap(),
                hit["line"],
                hit["control"].as_str().unwrap(),
                hit["object"].as_str().unwrap()
            ));
        }
    }
    found
}

#[test]
fn an_overlay_is_evaluated_as_it_is_deployed() {
    let folder = overlays();
    let run = folder.check(&["prod"]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(
        run.out.contains("No findings in 1 object")
            && run.out.contains("Kustomizations evaluated as they are deployed: prod"),
        "{}",
        run.out
    );
    let run = folder.check(&["-o", "json", "dev"]);
    assert_eq!(
        places(&run),
        [
            "dev/kustomization.yaml:4 HB-IMG-TAG Pod dev-web of dev",
            "base/web.yaml:21 HB-ROFS Pod dev-web of dev"
        ],
        "{}",
        run.out
    );
    // All together: the base counts where it is deployed, and each thing is said once.
    let run = folder.check(&["-o", "json", "."]);
    assert_eq!(places(&run).len(), 2, "{}", run.out);
    assert_eq!(run.json()["rendered"], serde_json::json!(["dev", "prod"]));
    // By itself it counts too.
    assert_eq!(folder.check(&["-o", "json", "base"]).controls(), ["HB-ROFS"]);
}

#[test]
fn a_repair_writes_what_is_wrong_where_it_is_deployed_and_no_patch() {
    let folder = overlays();
    let (patch, kustomization) =
        (folder.read("prod/root.yaml"), folder.read("dev/kustomization.yaml"));
    let run = folder.check(&["--fix", "--only", "HB-ROFS", "."]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.out.starts_with("fixed base/web.yaml\n"), "{}", run.out);
    assert!(folder.read("base/web.yaml").contains("readOnlyRootFilesystem: true"));
    assert_eq!(
        (folder.read("prod/root.yaml"), folder.read("dev/kustomization.yaml")),
        (patch, kustomization)
    );
    let after = folder.read("base/web.yaml");
    assert_eq!(folder.check(&["--fix", "--only", "HB-ROFS", "."]).code, 0);
    assert_eq!(folder.read("base/web.yaml"), after, "a second time changes nothing");
    // What is patched everywhere is no work, and what lies outside of the folder is nobody's here.
    let folder = overlays();
    let before = folder.read("base/web.yaml");
    assert_eq!(folder.check(&["--fix", "prod"]).code, 0);
    assert_eq!(folder.check(&["--fix", "dev"]).code, 1);
    assert_eq!(folder.read("base/web.yaml"), before);
    let run = folder.check(&["--fix", "--dry-run", "--only", "HB-ROFS", "."]);
    assert!(run.out.contains("+++ b/base/web.yaml"), "{}", run.out);
    assert_eq!(folder.read("base/web.yaml"), before);
}

#[test]
fn comments_count_in_the_base_and_in_the_patch() {
    let folder = overlays();
    let text = folder.read("base/web.yaml").replace(
        "    - name: app\n",
        "    # gabion:ignore HB-ROFS writes below /opt\n    - name: app\n",
    );
    folder.write("base/web.yaml", text.as_bytes());
    let run = folder.check(&["-o", "json", "."]);
    assert_eq!(run.controls(), ["HB-IMG-TAG"], "{}", run.out);
    let images = folder
        .read("dev/kustomization.yaml")
        .replace("images:\n", "images:\n  # gabion:ignore HB-IMG-TAG built on each commit\n");
    folder.write("dev/kustomization.yaml", images.as_bytes());
    let run = folder.check(&["."]);
    assert!(run.code == 0 && run.out.contains("2 ignored findings"), "{}", run.all());
    let unused = images.replace("HB-IMG-TAG", "HB-PORT");
    folder.write("dev/kustomization.yaml", unused.as_bytes());
    let run = folder.check(&["."]);
    assert!(
        run.code == 1 && run.out.contains("suppression of HB-PORT covers no finding"),
        "{}",
        run.all()
    );
}

#[test]
fn what_cannot_be_put_together_is_said_and_its_files_are_evaluated_one_by_one() {
    for (kustomization, code, said) in [
        (
            "resources: [a.yaml, .]\n",
            2,
            "cannot be built: app includes itself: remove it from resources; its files are evaluated one by one",
        ),
        ("resources: [a.yaml, gone.yaml]\n", 2, "cannot be built: app/gone.yaml does not exist"),
        (
            "resources: [a.yaml, 'https://example.com/b?ref=v1']\n",
            0,
            "not rendered: https://example.com/b?ref=v1 is remote, and nothing is fetched here",
        ),
        (
            "resources: [a.yaml]\nreplacements: []\n",
            0,
            "uses replacements, which is not known here; its files are evaluated one by one. `kustomize build app | gabion check -`",
        ),
    ] {
        let folder = Folder::of(&[("app/kustomization.yaml", kustomization), ("app/a.yaml", GOOD)]);
        let run = folder.check(&["."]);
        assert_eq!(run.code, code, "{kustomization}: {}", run.all());
        assert!(run.out.contains(said) && run.out.contains("in 1 object"), "{said}: {}", run.out);
        folder.write("app/a.yaml", writable().as_bytes());
        assert_eq!(folder.check(&["."]).code, 1, "{kustomization}");
    }
    // Two that include each other.
    let folder = Folder::of(&[
        ("a/kustomization.yaml", "resources: [../b]\n"),
        ("b/kustomization.yaml", "resources: [../a]\n"),
    ]);
    let run = folder.check(&["."]);
    assert!(run.code == 2 && run.out.contains("a includes itself"), "{}", run.all());
}

/// A chart, and a `helm` that prints what a script says.
fn chart(script: &str) -> Folder {
    let template = "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}}\nspec:\n  hostPID: true\n";
    let folder = Folder::of(&[
        ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        ("charts/web/values.yaml", "a: b\n"),
        ("charts/web/templates/pod.yaml", template),
        ("charts/web/templates/_helpers.tpl", "{{ x }}"),
        ("charts/web/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n"),
        ("charts/web/charts/sub/templates/x.yaml", "{{ y }}"),
        ("good.yaml", GOOD),
        ("bin/helm", &format!("#!/bin/sh\n{script}\n")),
    ]);
    fs::set_permissions(folder.path("bin/helm"), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn with_path(folder: &Folder, path: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gabion"));
    command.env("PATH", path);
    check_with(command, &folder.path(""), arguments, b"")
}

#[test]
fn a_chart_without_helm_is_no_error_and_not_silent() {
    let folder = chart("exit 1");
    let run = with_path(&folder, "/nowhere", &["."]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.out.contains("Not evaluated: charts/web (a chart, and there is no helm in the PATH: `helm template charts/web | gabion check -`)"), "{}", run.out);
    assert!(run.out.contains("in 1 object") && !run.out.contains("sub"), "{}", run.out);
    assert_eq!(
        with_path(&folder, "bin", &["."]).code,
        0,
        "a program that lies in what is checked is not started"
    );
    assert_eq!(
        with_path(&folder, "/nowhere", &["charts"]).code,
        2,
        "there is nothing else to evaluate"
    );
    folder.write("charts/web/Chart.yaml", b"apiVersion: v2\nname: web\ntype: library\n");
    assert!(with_path(&folder, "/nowhere", &["."]).out.contains("a library chart"));
}

#[test]
fn a_chart_is_rendered_by_helm_and_findings_point_at_its_templates() {
    let folder = chart(
        "test \"$1 $2 $3\" = 'template --skip-tests release' || exit 3\nprintf -- '---\\n# Source: web/templates/pod.yaml\\napiVersion: v1\\nkind: Pod\\nmetadata: {name: release}\\nspec:\\n  hostPID: true\\n  containers: [{name: a, image: a}]\\n'",
    );
    let path = format!("{}:/bin:/usr/bin", folder.path("bin").display());
    let run = with_path(&folder, &path, &["-o", "json", "--profile", "baseline", "charts"]);
    assert_eq!(
        places(&run),
        ["charts/web/templates/pod.yaml:5 PSS-hostNamespaces Pod release"],
        "{}",
        run.all()
    );
    // What stands in no line of the template has the number of the line that was rendered.
    let text = folder
        .read("charts/web/templates/pod.yaml")
        .replace("hostPID: true", "hostPID: {{ .Values.pid }}");
    folder.write("charts/web/templates/pod.yaml", text.as_bytes());
    let run = with_path(&folder, &path, &["--profile", "baseline", "charts"]);
    assert!(run.code == 1 && run.out.contains("(line 7 of what helm renders)"), "{}", run.all());
}

#[test]
fn a_chart_that_names_a_template_outside_of_it_gets_nothing_read_there() {
    let folder = chart(
        "printf -- '---\\n# Source: web/../../outside.yaml\\napiVersion: v1\\nkind: Pod\\nmetadata: {name: release}\\nspec:\\n  hostPID: true\\n  containers: [{name: a, image: a}]\\n'",
    );
    folder.write(
        "outside.yaml",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  hostPID: true\n",
    );
    let path = format!("{}:/bin:/usr/bin", folder.path("bin").display());
    let run = with_path(&folder, &path, &["--profile", "baseline", "charts"]);
    assert!(run.code == 1 && run.out.contains("(line 7 of what helm renders)"), "{}", run.all());
    assert!(!run.all().contains("outside.yaml"), "{}", run.all());
}

#[test]
fn a_chart_that_needs_the_network_is_an_error_with_what_to_do() {
    let folder = chart(
        "echo 'Error: An error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: postgresql' >&2; exit 1",
    );
    let path = format!("{}:/bin:/usr/bin", folder.path("bin").display());
    let run = with_path(&folder, &path, &["."]);
    assert_eq!(run.code, 2, "{}", run.all());
    assert!(run.out.contains("charts/web/Chart.yaml\n") && run.out.contains("missing in charts/ directory: postgresql: run `helm dependency build`, which fetches"), "{}", run.out);
}
