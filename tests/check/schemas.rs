//! Fields, versions and kinds that an API server knows, and pods in kinds that nobody knows.

use super::program::{Folder, GOOD};

/// A spec of a pod with one privileged container, as flow style has room for it.
const PRIVILEGED: &str =
    "{containers: [{name: a, image: 'registry.example/a:1', securityContext: {privileged: true}}]}";

#[test]
fn a_slip_and_a_version_that_is_gone_are_named_with_file_and_line() {
    let slip = GOOD.replace("allowPrivilegeEscalation", "allowPriviledgeEscalation");
    let gone = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a}\n";
    let folder = Folder::of(&[("slip.yaml", &slip), ("gone.yaml", gone)]);
    let run = folder.check(&["slip.yaml"]);
    assert!(run.code == 1 && run.out.contains("22:9  medium    HB-SCHEMA  unknown field \"allowPriviledgeEscalation\"; did you mean allowPrivilegeEscalation?"), "{}", run.all());
    let run = folder.check(&["gone.yaml"]);
    assert!(
        run.code == 1 && run.out.contains("1:1  high      HB-API  PodDisruptionBudget of policy/v1beta1 is gone since Kubernetes 1.25"),
        "{}",
        run.all()
    );
    assert!(
        run.out.contains("→ write apiVersion: policy/v1, and compare the fields"),
        "{}",
        run.out
    );
}

#[test]
fn the_version_of_kubernetes_decides() {
    let class =
        "apiVersion: storage.k8s.io/v1beta1\nkind: VolumeAttributesClass\nmetadata: {name: a}\n";
    let folder = Folder::of(&[("a.yaml", class)]);
    let of =
        |version: &str| folder.check(&["--kubernetes-version", version, "-o", "json", "a.yaml"]);
    for (version, severity) in [("1.36", "low"), ("v1.37.1", "high")] {
        let finding = of(version).json()["files"][0]["findings"][0].clone();
        assert_eq!(
            (finding["control"].as_str(), finding["severity"].as_str()),
            (Some("HB-API"), Some(severity))
        );
    }
    for wrong in ["1.20", "1.99", "newest"] {
        let run = of(wrong);
        assert!(
            run.code == 2 && run.err.contains("versions from 1.33 to 1.37 are known"),
            "{}",
            run.all()
        );
    }
}

#[test]
fn schemas_of_other_kinds_come_from_folders() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec:\n  group: example.com\n  scope: Namespaced\n  names: {kind: Widget, plural: widgets}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}\n";
    let widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec: {siez: 1}\n";
    let folder =
        Folder::of(&[("crds/widget.yaml", definition), ("a.yaml", widget), ("none/a.txt", "")]);
    let run = folder.check(&["a.yaml"]);
    let said = "2:1  remark    Widget.example.com is not evaluated, as its schema is not known: give it by --schema";
    assert!(run.code == 0 && run.out.contains(said), "{}", run.all());
    let run = folder.check(&["--schema", "crds", "a.yaml"]);
    assert!(
        run.code == 1 && run.out.contains("unknown field \"siez\"; did you mean size?"),
        "{}",
        run.all()
    );
    let run = folder.check(&["--schema", "none", "a.yaml"]);
    assert!(
        run.code == 2 && run.err.contains("--schema none holds no CustomResourceDefinition"),
        "{}",
        run.all()
    );
    let run = folder.check(&["--schema", "cluster", "--kubeconfig", "missing", "a.yaml"]);
    assert!(run.code == 2 && run.err.contains("--schema cluster: no cluster"), "{}", run.all());
}

#[test]
fn pods_behind_other_kinds_are_evaluated_or_named() {
    let rollout = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: a}}\nspec:\n  replicas: 1\n  template:\n    spec: {PRIVILEGED}\n"
    );
    let knative = format!(
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {{name: a}}\nspec:\n  template:\n    spec: {PRIVILEGED}\n"
    );
    let operator = format!(
        "apiVersion: example.com/v1\nkind: Nightly\nmetadata: {{name: a}}\nspec:\n  jobs:\n    - jobTemplate: {{spec: {{template: {{spec: {PRIVILEGED}}}}}}}\n"
    );
    let tekton = "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: a}\nspec:\n  steps:\n    - {name: a, image: a, command: [x]}\n";
    let folder = Folder::of(&[
        ("rollout.yaml", &rollout),
        ("knative.yaml", &knative),
        ("operator.yaml", &operator),
        ("tekton.yaml", tekton),
    ]);
    for (name, field) in [
        ("rollout.yaml", "spec.template.spec.containers[0].securityContext.privileged"),
        ("knative.yaml", "spec.template.spec.containers[0].securityContext.privileged"),
        (
            "operator.yaml",
            "spec.jobs[0].jobTemplate.spec.template.spec.containers[0].securityContext.privileged",
        ),
    ] {
        let run = folder.check(&["--profile", "baseline", name]);
        assert!(run.code == 1 && run.out.contains(field), "{}", run.all());
        assert!(run.out.contains("remark    only the pods of "), "{}", run.all());
    }
    let run = folder.check(&["tekton.yaml"]);
    assert!(
        run.out.contains("6:7  remark    the container at spec.steps[0] is not evaluated"),
        "{}",
        run.all()
    );
    assert!(
        run.code == 0 && run.out.contains("No checks exist for: 1 × Task.tekton.dev"),
        "{}",
        run.all()
    );
}

#[test]
fn a_patch_and_an_encrypted_secret_are_not_taken_for_whole_objects() {
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\nspec:\n  selector: {{matchLabels: {{app: a}}}}\n  template:\n    metadata: {{labels: {{app: a}}}}\n    spec: {PRIVILEGED}\n"
    );
    let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      containers:\n        - name: a\n          resurces: {}\n          volumeMounts: [{name: x, mountPath: /x}]\n";
    let sops = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: 'ENC[AES256_GCM,data:x]'}\nsops: {mac: 'ENC[x]'}\n";
    let kustomization = "resources: [deployment.yaml, sops.yaml]\npatches: [{path: patch.yaml}]\n";
    let folder = Folder::of(&[
        ("app/deployment.yaml", &deployment),
        ("app/patch.yaml", patch),
        ("app/sops.yaml", sops),
        ("app/kustomization.yaml", kustomization),
    ]);
    let of = |paths: &[&str]| {
        let only = ["--only", "HB-SCHEMA", "--only", "HB-INVALID"];
        folder.check(&[&only[..], paths].concat())
    };
    // What is deployed mounts a volume that there is not, and has a field that nobody knows: both in the patch.
    let run = of(&["app"]);
    assert!(run.code == 1 && run.out.contains("there is no volume \"x\""), "{}", run.all());
    assert!(
        run.out.contains("app/patch.yaml") && run.out.contains("unknown field \"resurces\""),
        "{}",
        run.all()
    );
    assert_eq!(of(&["app/sops.yaml"]).code, 0);
}
