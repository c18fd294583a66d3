//! Findings that depend on several objects: selectors, policies, autoscalers, accounts.

use super::program::Folder;

/// A workload whose pods have the label `app: <name>`, with more lines in its spec and in that of its pods.
fn workload(kind: &str, name: &str, own: &str, pods: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  replicas: 2\n{own}  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n{pods}      containers:\n        - name: app\n          image: registry.example/app:1.2\n          livenessProbe: {{tcpSocket: {{port: 8080}}}}\n"
    )
}

fn object(version: &str, kind: &str, rest: &str) -> String {
    format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: web, namespace: shop}}\n{rest}")
}

/// What one control reports: `note` or `finding`, with the object.
fn reported(control: &str, objects: &[String]) -> Vec<String> {
    let run = Folder::of(&[("all.yaml", &objects.join("---\n"))])
        .check(&["-o", "json", "--only", control, "all.yaml"]);
    let report = run.json();
    assert_eq!(report["summary"]["errors"], 0, "{}", run.all());
    let findings = report["files"][0]["findings"].as_array().unwrap();
    let shown = findings.iter().map(|finding| {
        let word = if finding["note"] == true { "note" } else { "finding" };
        format!("{word} {}", finding["object"].as_str().unwrap())
    });
    shown.collect()
}

#[test]
fn a_service_is_compared_with_the_workload_of_its_name() {
    let web = workload("Deployment", "web", "", "");
    let service = |spec: &str| object("v1", "Service", &format!("spec: {{{spec}}}\n"));
    let of = |spec: &str, more: &str| {
        reported("HB-SVC-SELECTOR", &[web.clone(), service(spec), more.to_owned()])
    };
    let wrong = ["finding Service shop/web"];
    assert_eq!(of("selector: {app: wbe}", ""), wrong);
    assert_eq!(of("selector: {name: web}", ""), wrong);
    // Other pods among the files have the labels, or may get them.
    let other = workload("StatefulSet", "wbe", "", "");
    assert_eq!(of("selector: {app: wbe}", &other), [""; 0]);
    let rollout = object(
        "argoproj.io/v1alpha1",
        "Rollout",
        "spec: {template: {metadata: {labels: {app: wbe}}}}\n",
    );
    assert_eq!(of("selector: {app: wbe}", &rollout), [""; 0]);
    for fine in [
        "selector: {app: web}",
        "selector: {app: web, role: primary}",
        "clusterIP: None, selector: {app: web}",
        "type: ExternalName, externalName: db.example, selector: {app: wbe}",
        "ports: [{port: 80}]",
    ] {
        assert_eq!(of(fine, ""), [""; 0], "{fine}");
    }
    // What an operator makes is in no file.
    let alone = [workload("Deployment", "api", "", ""), service("selector: {app: pg}")];
    assert_eq!(reported("HB-SVC-SELECTOR", &alone), [""; 0]);
    let governed = workload("StatefulSet", "db", "  serviceName: web\n", "");
    assert_eq!(reported("HB-SVC-SELECTOR", &[governed, service("selector: {app: dbs}")]), wrong);
}

#[test]
fn pods_without_a_policy_are_noted_once_and_found_where_others_have_one() {
    let (web, api) =
        (workload("Deployment", "web", "", ""), workload("StatefulSet", "api", "", ""));
    let policy = |selector: &str| {
        object(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            &format!("spec: {{podSelector: {selector}}}\n"),
        )
    };
    let of =
        |more: &[String]| reported("HB-NP-NONE", &[&[web.clone(), api.clone()], more].concat());
    assert_eq!(of(&[]), ["note Deployment shop/web"], "once for the namespace");
    assert_eq!(of(&[policy("{matchLabels: {app: web}}")]), ["finding StatefulSet shop/api"]);
    assert_eq!(of(&[policy("{}")]), [""; 0]);
    let expression = "{matchExpressions: [{key: app, operator: In, values: [web, api]}]}";
    assert_eq!(of(&[policy(expression)]), [""; 0]);
    let elsewhere = policy("{}").replace("namespace: shop", "namespace: other");
    assert_eq!(of(&[elsewhere]), ["note Deployment shop/web"]);
    for more in [
        object("cilium.io/v2", "CiliumNetworkPolicy", "spec: {endpointSelector: {}}\n"),
        object("gabion.dev/v1alpha1", "HardeningBaseline", "spec: {network: {}}\n")
            .replace(", namespace: shop", ""),
    ] {
        assert_eq!(of(std::slice::from_ref(&more)), [""; 0], "{more}");
    }
    let node = workload("DaemonSet", "node", "", "      hostNetwork: true\n");
    assert_eq!(reported("HB-NP-NONE", &[node]), [""; 0], "no policy applies to it");
}

#[test]
fn a_pod_behind_a_service_needs_a_readiness_probe() {
    let web = workload("Deployment", "web", "", "") + "          ports: [{containerPort: 8080}]\n";
    let service = object("v1", "Service", "spec: {selector: {app: web}}\n");
    let other = object("v1", "Service", "spec: {selector: {app: api}}\n");
    assert_eq!(reported("HB-PROBE", &[web.clone(), service]), ["finding Deployment shop/web"]);
    assert_eq!(reported("HB-PROBE", &[web, other]), ["note Deployment shop/web"]);
}

#[test]
fn workloads_of_one_name_in_two_folders_are_two_projects() {
    let bare = |text: String| text.replace(", namespace: shop", "");
    let web = bare(workload("Deployment", "web", "", ""));
    let service = bare(object("v1", "Service", "spec: {selector: {app: other}}\n"));
    for (name, code) in [("a/service.yaml", 1), ("b/service.yaml", 0)] {
        let folder = Folder::of(&[("a/web.yaml", &web), (name, &service)]);
        let run = folder.check(&["--only", "HB-SVC-SELECTOR", "."]);
        assert_eq!(run.code, code, "{name}: {}", run.all());
    }
}

#[test]
fn budgets_autoscalers_and_accounts_cancel_notes() {
    let web = workload("Deployment", "web", "", "");
    let once = web.replace("replicas: 2", "replicas: 1");
    let noted = ["note Deployment shop/web"];
    let budget =
        object("policy/v1", "PodDisruptionBudget", "spec: {selector: {matchLabels: {app: web}}}\n");
    assert_eq!(reported("HB-PDB", std::slice::from_ref(&web)), noted);
    assert_eq!(reported("HB-PDB", &[web.clone(), budget]), [""; 0]);
    let scaler = object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "spec: {scaleTargetRef: {kind: Deployment, name: web}, minReplicas: 2}\n",
    );
    assert_eq!(reported("HB-REPLICAS", std::slice::from_ref(&once)), noted);
    assert_eq!(reported("HB-REPLICAS", &[once.clone(), scaler]), [""; 0]);
    assert_eq!(reported("HB-TOKEN-DEFAULT", std::slice::from_ref(&web)), noted);
    let account = object("v1", "ServiceAccount", "automountServiceAccountToken: false\n")
        .replace("name: web", "name: default");
    assert_eq!(reported("HB-TOKEN-DEFAULT", &[web, account]), [""; 0]);
    // An account with a role needs its token.
    let bound = workload("Deployment", "web", "", "      serviceAccountName: web\n");
    let binding = object(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "roleRef: {kind: Role, name: web}\nsubjects: [{kind: ServiceAccount, name: web}]\n",
    );
    assert_eq!(reported("HB-TOKEN-DEFAULT", std::slice::from_ref(&bound)), noted);
    assert_eq!(reported("HB-TOKEN-DEFAULT", &[bound, binding]), [""; 0]);
}

#[test]
fn profiles_of_the_pod_security_standards_leave_practices_out() {
    let text = workload("Deployment", "web", "", "").replace("replicas: 2", "replicas: 1");
    let folder = Folder::of(&[("web.yaml", &text)]);
    for (profile, asks) in [("baseline", false), ("restricted", false), ("guide", true)] {
        let run = folder.check(&["-o", "json", "--profile", profile, "web.yaml"]);
        assert_eq!(run.out.contains("HB-REPLICAS"), asks, "{profile}: {}", run.all());
    }
}

#[test]
fn many_selectors_and_pods_are_compared_in_bounded_time() {
    let folder = Folder::of(&[]);
    let mut text = String::new();
    for number in 0..1_500 {
        let name = format!("w{number}");
        let place = format!("namespace: n{}", number % 7);
        text += &workload("Deployment", &name, "", "").replace("namespace: shop", &place);
        text += "---\n";
        let service = object("v1", "Service", &format!("spec: {{selector: {{app: x{number}}}}}\n"));
        text += &service
            .replace("name: web", &format!("name: {name}"))
            .replace("namespace: shop", &place);
        text += "---\n";
        let policy = object(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            &format!("spec: {{podSelector: {{matchLabels: {{app: y{number}}}}}}}\n"),
        );
        text += &policy.replace(", namespace: shop", "");
        text += "---\n";
    }
    folder.write("many.yaml", text.as_bytes());
    let start = std::time::Instant::now();
    let run = folder.check(&[
        "-o",
        "json",
        "--only",
        "HB-SVC-SELECTOR",
        "--only",
        "HB-NP-NONE",
        "many.yaml",
    ]);
    assert!(run.code <= 1, "{}", run.err);
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}
