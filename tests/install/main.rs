//! How Gabion is installed: `config/` and the chart on a real API server, and that both are the same.
//!
//! Here: `config/` is accepted as it stands, and our own pod passes Pod Security there.

#![allow(clippy::panic, reason = "a test says so by failing")]

mod alerts;
mod chart;
mod equality;
mod helm;
mod inspect;
mod life;
mod migrate;
mod switch;
mod watching;

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use support::{ControlPlane, Failure, Options, Result, eventually, repository};

/// A bound for what takes a second or two.
const SOON: Duration = Duration::from_mins(1);

/// The pod of a Deployment in what kubectl makes of a kustomization.
fn pod(manifests: &str, deployment: &str) -> Result<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifests)?;
    let found = documents
        .into_iter()
        .find(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == deployment)
        .ok_or_else(|| Failure::new(format!("there is no Deployment {deployment}")))?;
    let template = &found["spec"]["template"];
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": deployment,
            "namespace": found["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
        },
        "spec": template["spec"],
    }))
}

/// A control plane without our definitions: they come with what is applied.
fn bare() -> Result<ControlPlane> {
    ControlPlane::start_with(&Options { crds: None, audit: false, ..Options::default() })
}

fn folder(path: &str) -> Result<String> {
    let path = repository().join(path);
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| Failure::new("a path that is not UTF-8"))
}

#[tokio::test]
async fn one_command_installs_it_and_its_pod_is_admitted_where_only_restricted_ones_are()
-> Result<()> {
    let plane = bare()?;
    let (config, kubectl) = (folder("config")?, plane.admin()?);

    // Client-side, as most users do it; then once more, as a GitOps tool does.
    kubectl.run(&["apply", "-k", &config])?;
    let again = kubectl.run(&["apply", "-k", &config])?;
    for line in again.lines() {
        assert!(line.ends_with(" unchanged") || line.ends_with(" configured"), "{line}");
    }

    let pod = pod(&kubectl.run(&["kustomize", &config])?, "gabion")?.to_string();
    eventually(SOON, "the pod is admitted", || async {
        kubectl.run_with_input(&["create", "--dry-run=server", "-f", "-"], &pod)
    })
    .await?;
    // The same pod with one right more is not.
    let lax =
        pod.replace(r#""allowPrivilegeEscalation":false"#, r#""allowPrivilegeEscalation":true"#);
    assert_ne!(lax, pod);
    match kubectl.run_with_input(&["create", "--dry-run=server", "-f", "-"], &lax) {
        Err(refusal) => assert!(refusal.to_string().contains("violates PodSecurity"), "{refusal}"),
        Ok(_) => return Err(Failure::new("a pod that may escalate was admitted")),
    }
    Ok(())
}

#[tokio::test]
async fn the_account_may_do_what_the_page_says_and_not_more() -> Result<()> {
    let plane = bare()?;
    plane.kubectl(&["apply", "-k", &folder("config")?])?;
    let account = plane.service_account_kubeconfig("gabion-system", "gabion")?;
    let own = plane.kubectl_of(&account)?;
    let may =
        |question: &[&str]| -> bool { own.run(&[&["auth", "can-i"], question].concat()).is_ok() };

    eventually(SOON, "the rights are in force", || async {
        if may(&["list", "secrets", "-A"]) { Ok(()) } else { Err("not yet") }
    })
    .await?;
    assert!(may(&["patch", "externalsecrets.external-secrets.io", "--subresource=status", "-A"]));
    assert!(may(&["create", "serviceaccounts", "--subresource=token", "-A"]));
    assert!(may(&["update", "leases.coordination.k8s.io", "-n", "gabion-system"]));
    assert!(may(&["list", "services", "-n", "kube-system"]));
    assert!(may(&["get", "customresourcedefinitions/hardeningbaselines.gabion.dev"]));

    assert!(!may(&["get", "customresourcedefinitions/externalsecrets.external-secrets.io"]));
    assert!(!may(&["update", "leases.coordination.k8s.io", "-n", "default"]));
    assert!(!may(&["list", "services", "-n", "default"]));
    assert!(!may(&["update", "secrets", "-A"]));
    assert!(may(&["list", "pods", "-A"]) && !may(&["watch", "pods", "-A"]));
    assert!(!may(&["get", "pods", "-A"]) && !may(&["create", "pods", "-A"]));
    assert!(!may(&["patch", "clusterroles"]));
    Ok(())
}

#[tokio::test]
async fn in_one_namespace_it_may_read_no_other() -> Result<()> {
    let plane = bare()?;
    let (overlay, kubectl) = (folder("config/overlays/namespaces")?, plane.admin()?);
    kubectl.run(&["create", "namespace", "team-a"])?;
    kubectl.run(&["apply", "-k", &overlay])?;
    let pod = pod(&kubectl.run(&["kustomize", &overlay])?, "gabion-team-a")?;
    let arguments = pod["spec"]["containers"][0]["args"].to_string();
    assert!(arguments.contains("--namespace=team-a"), "{arguments}");
    let pod = pod.to_string();
    eventually(SOON, "the pod is admitted", || async {
        kubectl.run_with_input(&["create", "--dry-run=server", "-f", "-"], &pod)
    })
    .await?;

    let account = plane.service_account_kubeconfig("gabion-system", "gabion-team-a")?;
    let own = plane.kubectl_of(&account)?;
    eventually(SOON, "the rights are in force", || async {
        own.run(&["auth", "can-i", "list", "secrets", "-n", "team-a"])
    })
    .await?;
    for elsewhere in ["default", "gabion-system"] {
        assert!(own.run(&["auth", "can-i", "list", "secrets", "-n", elsewhere]).is_err());
    }
    assert!(own.run(&["auth", "can-i", "list", "namespaces"]).is_err());
    Ok(())
}

#[test]
fn every_other_kustomization_can_be_built() -> Result<()> {
    let kubectl = support::Kubectl::new(Path::new("none"), Path::new("none"))?;
    let rendered = kubectl.run(&["kustomize", &folder("config/overlays/replicas")?])?;
    assert!(rendered.contains("--enable-leader-election"));
    let rendered = kubectl.run(&["kustomize", &folder("config/overlays/openshift")?])?;
    let rollouts = kubectl.run(&["kustomize", &folder("config/overlays/rollouts")?])?;
    assert!(rollouts.contains("--enable-rollouts") && rollouts.contains("gabion-rollouts"));
    assert!(rendered.contains("openshift-dns") && !rendered.contains("runAsUser: 65532"));
    Ok(())
}
