//! What keeps workloads available, and who connects to them: findings that several objects decide together.

use super::program::Folder;

/// Findings of some controls, with their severity or that they are notes.
fn found(controls: &[&str], text: &str) -> Vec<String> {
    let report = Folder::of(&[("x.yaml", text)]).check(&["-o", "json", "."]).json();
    let files = report["files"].as_array().unwrap().iter();
    let findings = files.flat_map(|file| file["findings"].as_array().unwrap());
    let shown = findings.filter_map(|finding| {
        let control = finding["control"].as_str().unwrap();
        let note = if finding["note"] == true { "note " } else { "" };
        let path = finding["field"].as_str().unwrap();
        controls.contains(&control).then(|| format!("{note}{control} {path}"))
    });
    shown.collect()
}

fn deployment(spec: &str, container: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec:\n  {spec}\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec: {{containers: [{{name: web, image: 'registry.example/a:1'{container}}}]}}\n---\n"
    )
}

fn budget(spec: &str) -> String {
    format!(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: web, namespace: shop}}\nspec: {{selector: {{matchLabels: {{app: web}}}}, {spec}}}\n---\n"
    )
}

fn autoscaler(spec: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web, namespace: shop}}\nspec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}, maxReplicas: 9{spec}}}\n---\n"
    )
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: web, namespace: shop}}\nspec: {{podSelector: {{}}, {spec}}}\n---\n"
    )
}

#[test]
fn only_policies_for_incoming_connections_protect_pods() {
    let of = |policies: &str| found(&["HB-NP-NONE"], &format!("{}{policies}", deployment("", "")));
    let wrong = ["HB-NP-NONE spec.template.metadata.labels"];
    assert_eq!(of(""), ["note HB-NP-NONE spec.template.metadata.labels"]);
    assert_eq!(of(&policy("policyTypes: [Egress]")), wrong);
    assert_eq!(of(&policy("policyTypes: [Egress], egress: [{ports: [{port: 53}]}]")), wrong);
    let cilium = |spec: &str| {
        policy(spec)
            .replace("networking.k8s.io/v1", "cilium.io/v2")
            .replace("NetworkPolicy", "CiliumNetworkPolicy")
    };
    assert_eq!(of(&cilium("egress: [{toEntities: [world]}]")), wrong);
    assert_eq!(of(&cilium("enableDefaultDeny: {ingress: false}, ingress: [{}]")), wrong);
    let calico = |spec: &str| policy(spec).replace("networking.k8s.io/v1", "projectcalico.org/v3");
    assert_eq!(of(&calico("types: [Egress]")), wrong);
    for fine in [
        policy("policyTypes: [Ingress]"),
        policy("policyTypes: [Ingress, Egress]"),
        // Without types, a policy is for incoming connections, whatever it says of others.
        policy("policyTypes: []"),
        policy("egress: [{ports: [{port: 53}]}]"),
        policy("ingress: []"),
        cilium("ingress: [{fromEndpoints: [{}]}]"),
        cilium("egressDeny: [{}], ingressDeny: [{}]"),
        calico("types: [Ingress]"),
        calico("selector: all()"),
    ] {
        assert_eq!(of(&fine), [""; 0], "{fine}");
    }
}

#[test]
fn a_budget_that_keeps_every_pod_blocks_drains() {
    let of = |spec: &str, objects: &[String]| {
        found(&["HB-PDB"], &format!("{}{}", deployment(spec, ""), objects.concat()))
    };
    for (spec, objects) in [
        ("replicas: 3", vec![budget("maxUnavailable: 0")]),
        ("replicas: 3", vec![budget("maxUnavailable: 0%")]),
    ] {
        assert_eq!(of(spec, &objects), ["HB-PDB spec.maxUnavailable"], "{spec} {objects:?}");
    }
    let kept = ["HB-PDB spec.minAvailable"];
    for (spec, objects) in [
        ("replicas: 2", vec![budget("minAvailable: 2")]),
        ("replicas: 2", vec![budget("minAvailable: 51%")]),
        ("replicas: 3", vec![budget("minAvailable: 100%")]),
        ("", vec![budget("minAvailable: 1")]),
        ("", vec![budget("minAvailable: 2"), autoscaler(", minReplicas: 2")]),
        ("replicas: 5", vec![budget("minAvailable: 2"), autoscaler(", minReplicas: 2")]),
    ] {
        assert_eq!(of(spec, &objects), kept, "{spec} {objects:?}");
    }
    for (spec, objects) in [
        ("replicas: 2", vec![budget("minAvailable: 1")]),
        ("replicas: 2", vec![budget("minAvailable: 50%")]),
        ("replicas: 2", vec![budget("maxUnavailable: 1")]),
        ("replicas: 0", vec![budget("minAvailable: 1")]),
        ("", vec![budget("minAvailable: 1"), autoscaler(", minReplicas: 2")]),
        // Another workload has pods to spare.
        (
            "replicas: 1",
            vec![
                budget("minAvailable: 1"),
                deployment("replicas: 1", "").replace("name: web, namespace", "name: b, namespace"),
            ],
        ),
        // It is for other pods.
        ("replicas: 1", vec![budget("minAvailable: 1").replace("app: web", "app: db")]),
    ] {
        assert_eq!(of(spec, &objects), [""; 0], "{spec} {objects:?}");
    }
    // With several replicas, whoever says how many, some budget is worth a note.
    let none = ["note HB-PDB spec.replicas"];
    assert_eq!(of("replicas: 2", &[]), none);
    assert_eq!(of("", &[autoscaler(", minReplicas: 2")]), none);
    assert_eq!(of("replicas: 3", &[autoscaler("")]), [""; 0]);
}

#[test]
fn an_autoscaler_that_goes_down_to_one_replica_keeps_the_note() {
    let of = |spec: &str, more: &str| {
        found(&["HB-REPLICAS"], &format!("{}{more}", deployment(spec, "")))
    };
    let note = ["note HB-REPLICAS spec.replicas"];
    assert_eq!(of("", ""), note);
    assert_eq!(of("", &autoscaler("")), note);
    assert_eq!(of("", &autoscaler(", minReplicas: 1")), note);
    assert_eq!(of("replicas: 4", &autoscaler(", minReplicas: 1")), note);
    assert_eq!(of("replicas: 1", &autoscaler(", minReplicas: 2")), [""; 0]);
    assert_eq!(of("replicas: 2", ""), [""; 0]);
    assert_eq!(of("replicas: 0", ""), [""; 0]);
    assert_eq!(of("", &autoscaler("").replace("name: web}", "name: other}")), note);
    let keda = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: web, namespace: shop}\nspec: {scaleTargetRef: {name: web}}\n";
    assert_eq!(of("", keda), [""; 0], "down to none on purpose");
    assert_eq!(of("", &keda.replace("web}}", "web}, minReplicaCount: 1}")), note);
}

#[test]
fn a_service_asks_for_readiness_whatever_ports_are_declared() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";
    let other = service.replace("app: web", "app: db");
    let of = |container: &str, more: &str| {
        found(&["HB-PROBE"], &format!("{}{more}", deployment("", container)))
    };
    let at = "spec.template.spec.containers[0]";
    let ready = [format!("HB-PROBE {at}.readinessProbe")];
    let (live, noted) =
        ([format!("note HB-PROBE {at}.livenessProbe")], [format!("note {}", ready[0])]);
    let probe = "httpGet: {path: /, port: 80}";
    assert_eq!(of("", service), ready);
    assert_eq!(of(&format!(", livenessProbe: {{{probe}}}"), service), ready);
    assert_eq!(of(", ports: [{containerPort: 80}]", service), ready);
    assert_eq!(of(", ports: [{containerPort: 80}]", &other), noted);
    assert_eq!(of("", ""), live);
    assert_eq!(of("", &other), live);
    assert_eq!(of(&format!(", livenessProbe: {{{probe}}}"), ""), [""; 0]);
    assert_eq!(of(&format!(", readinessProbe: {{{probe}}}"), service), [""; 0]);
}

#[test]
fn what_is_read_for_other_objects_is_not_listed_as_unknown() {
    let text = format!(
        "{}{}apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: a, namespace: shop}}\n",
        budget("maxUnavailable: 1"),
        autoscaler("")
    );
    let run = Folder::of(&[("x.yaml", &text)]).check(&["."]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.out.contains("3 objects") && !run.all().contains("no checks"), "{}", run.all());
}
