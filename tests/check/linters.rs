//! What people know from other linters, and would miss.

use std::collections::BTreeSet;

use super::program::Folder;

/// Controls that a run names, as findings or as notes.
fn named(folder: &Folder, arguments: &[&str]) -> BTreeSet<String> {
    let report = folder.check(&[arguments, &["-o", "json", "."]].concat()).json();
    let files = report["files"].as_array().unwrap().clone();
    let findings = files.iter().flat_map(|file| file["findings"].as_array().unwrap());
    findings.map(|finding| finding["control"].as_str().unwrap().to_owned()).collect()
}

fn role(rule: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: r}}\nrules: [{{{rule}}}]\n"
    )
}

fn service(spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: shop}}\nspec: {{ports: [{{port: 80}}], {spec}}}\n"
    )
}

#[test]
fn check_7_what_other_linters_find_in_manifests_is_found() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: 'registry.example/a:1'}]}\n";
    let ported = deployment.replace(
        "image: 'registry.example/a:1'",
        "image: 'registry.example/a:1', ports: [{containerPort: 80}]",
    );
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {podSelector: {matchLabels: {app: other}}, policyTypes: [Ingress]}\n";
    let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: b}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: a, namespace: shop}]\n";
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: shop}\nspec: {rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}\n";
    let cases = [
        (role("apiGroups: ['*'], resources: ['*'], verbs: ['*']"), "HB-RBAC-WILDCARD"),
        (role("apiGroups: [''], resources: [pods], verbs: ['*']"), "HB-RBAC-WILDCARD"),
        (role("apiGroups: [''], resources: [secrets], verbs: [list]"), "HB-RBAC-SECRETS"),
        (
            role(
                "apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [escalate]",
            ),
            "HB-RBAC-ESCALATE",
        ),
        (binding.to_owned(), "HB-RBAC-ADMIN"),
        (service("type: NodePort, selector: {app: web}"), "HB-SVC-NODEPORT"),
        (service("externalIPs: [198.51.100.1], selector: {app: web}"), "HB-SVC-EXTERNALIP"),
        (format!("{deployment}---\n{}", service("selector: {app: wep}").replace("name: s,", "name: web,")), "HB-SVC-SELECTOR"),
        (ingress.to_owned(), "HB-ING-TLS"),
        (format!("{ported}---\n{}", service("selector: {app: web}")), "HB-PROBE"),
        (deployment.to_owned(), "HB-TOKEN-DEFAULT"),
        (format!("{deployment}---\n{policy}"), "HB-NP-NONE"),
        (deployment.replace("{containers: [", "{shareProcessNamespace: true, containers: [{name: side, image: 'registry.example/b:1'}, "), "HB-PROC-NS"),
    ];
    for (text, control) in cases {
        let found = named(&Folder::of(&[("x.yaml", &text)]), &[]);
        assert!(found.contains(control), "{control} is not in {found:?}:\n{text}");
    }
}

#[test]
fn check_9_what_hadolint_finds_in_dockerfiles_is_found_and_can_be_switched_off() {
    let file = |lines: &str| {
        format!("FROM registry.example/x:1@sha256:{}\n{lines}\nUSER 1000\n", "a".repeat(64))
    };
    for (lines, control) in [
        ("EXPOSE 70000", "HB-DF-EXPOSE"),
        ("CMD [\"a\"]\nCMD [\"b\"]", "HB-DF-CMD"),
        (
            "RUN apt-get update && apt-get install curl && rm -rf /var/lib/apt/lists/*",
            "HB-DF-INSTALL",
        ),
        ("RUN sudo make install", "HB-DF-SUDO"),
        ("WORKDIR app", "HB-DF-WORKDIR"),
        ("RUN pip install --no-cache-dir requests", "HB-DF-PIN"),
        ("RUN curl -o /usr/bin/tool https://a.example/tool", "HB-DF-FETCH"),
    ] {
        let text = file(lines);
        let found = named(&Folder::of(&[("Dockerfile", &text)]), &[]);
        assert!(found.contains(control), "{control} is not in {found:?}:\n{text}");
        let found = named(&Folder::of(&[("Dockerfile", &text)]), &["--skip", control]);
        assert!(!found.contains(control), "{control} is switched off: {found:?}");
        let skip = format!("skip: [{{control: {control}, reason: the project wants it so}}]\n");
        let folder = Folder::of(&[("Dockerfile", &text), (".gabion.yaml", &skip)]);
        let run = folder.check(&["."]);
        assert!(!run.out.contains(&format!("{control}  ")), "{control}: {}", run.out);
    }
}
